//! What holds for any pattern that is typed and any row that is read.

use super::own::{Heard, Own};
use super::pattern::Pattern;
use crate::chance::Chance;
use crate::logicalrep::Change;

/// Any pattern matches what its rule says; whatever else is typed is a pattern or an error.
pub fn patterns(chance: &mut Chance) {
    let (pattern, name) = (format!("a{}", chance.text("ab*?", 6)), chance.text("ab", 8));
    match Pattern::parse(&format!("s.{pattern}")) {
        Err(error) => assert!(pattern.is_empty(), "{error}"),
        Ok(parsed) => assert_eq!(parsed.matches("s", &name), may_match(&pattern, &name), "{pattern} {name}"),
    }
    let typed = chance.text("ab*?.\" Ü'İ", 10);
    match Pattern::parse(&typed) {
        Ok(pattern) => {
            assert_eq!(pattern.text(), typed);
            let _ = pattern.matches(&name, &name);
        }
        Err(error) => assert!(error.sqlstate() == "22023" && error.hint_text().is_some(), "{typed}: {error}"),
    }
}

/// The rule itself, as slow as it likes.
fn may_match(pattern: &str, name: &str) -> bool {
    let rest = |text: &str| text.chars().skip(1).collect::<String>();
    match (pattern.chars().next(), name.chars().next()) {
        (None, None) => true,
        (Some('*'), next) => may_match(&rest(pattern), name) || next.is_some() && may_match(pattern, &rest(name)),
        (Some('?'), Some(_)) => may_match(&rest(pattern), &rest(name)),
        (Some(one), Some(other)) => one == other && may_match(&rest(pattern), &rest(name)),
        _ => false,
    }
}

/// Whatever row is heard or not, and only by the task that it names.
pub fn own_rows(chance: &mut Chance) {
    let own = Own { heartbeat: 100, rewritten: 200, commands: 0, task: 7 };
    let row = chance.damage(&[0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 4, 0, 0, 64, 0, 0, 0, 0, 1, 1]);
    for table in [100, 200] {
        let heard = own.hears(table, Change::Insert { row: &row });
        assert!(heard.is_none() || row.starts_with(&[0, 0, 0, 4, 0, 0, 0, 7]), "{row:?}");
        assert!(table == 100 || heard != Some(Heard::Heartbeat), "{row:?}");
    }
}

#[cfg(test)]
mod tests {
    use crate::chance::many;

    #[test]
    fn patterns_of_chance_match_as_they_say() {
        many(5000, super::patterns);
    }

    #[test]
    fn rows_of_chance_are_heard_or_not() {
        many(3000, super::own_rows);
    }
}
