//! What a person does about a table that a task cannot follow as it is: the statements, whole.

use crate::error::{Error, sqlstate};
use crate::logicalrep::TableName;
use crate::logicalrep::names::{quote_literal, shown};

/// The two ways out for a table that is named and not followed.
pub fn not_followed_hint(task: &str, table: &TableName) -> String {
    let (task, name) = (quote_literal(task), table.shown());
    let (name, pattern) = (quote_literal(&name), quote_literal(&table.qualified()));
    format!(
        "To follow it, create it on the destination as it is here, empty, then SELECT courier.add_table({task}, {name}); \
         To leave it out: SELECT courier.alter_task({task}, exclude => ARRAY[{pattern}]); \
         Either while the task is paused or has failed, then SELECT courier.resume({task});"
    )
}

/// The same of a task that applies commands, which completes the hint.
pub fn not_followed_hint_of_any(table: &TableName) -> String {
    let (name, pattern) = (quote_literal(&table.shown()), quote_literal(&table.qualified()));
    format!(
        "To follow it: SELECT courier.capture({name}); tells of it, and it is copied. To leave it out: SELECT courier.alter_task({{task}}, exclude => ARRAY[{pattern}]); Either way then SELECT courier.resume({{task}});"
    )
}

pub(super) fn unlogged(task: &str, table: &TableName) -> Error {
    let name = table.shown();
    Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("table {name} was made unlogged on the source"))
        .detail("What was written to it since is not in the WAL, and so not on the destination.")
        .hint(unlogged_hint(task, table))
}

pub fn unlogged_hint(task: &str, table: &TableName) -> String {
    let (name, task) = (table.shown(), quote_literal(task));
    format!(
        "To copy it anew: ALTER TABLE {name} SET LOGGED; if it is not by now; TRUNCATE {name}; on the destination; \
         SELECT courier.add_table({task}, {}); To leave it out: SELECT courier.alter_task({task}, exclude => ARRAY[{}]); \
         Either while the task is paused or has failed, then SELECT courier.resume({task});",
        quote_literal(&name),
        quote_literal(&table.qualified())
    )
}

/// Statements that give tables their new names, in an order in which each name is free; names that go round in a circle
/// are parted with the help of one more. Each table is put aside once at most, so this ends whatever the names are.
pub fn rename_statements(moves: &[(TableName, TableName)]) -> Vec<String> {
    let mut left: Vec<(TableName, TableName)> = moves.iter().filter(|(from, to)| from != to).cloned().collect();
    let mut statements = Vec::new();
    let mut aside: Vec<TableName> = Vec::new();
    while !left.is_empty() {
        let free = left.iter().position(|(_, to)| !left.iter().any(|(from, _)| from == to));
        if let Some(free) = free {
            let (from, to) = left.remove(free);
            statements.extend(rename(&from, &to));
        } else {
            // Those before it wait for a name in another circle.
            let Some((from, _)) = left.iter_mut().find(|(from, _)| !aside.contains(from)) else { break };
            let number = aside.len();
            let name = if number == 0 { "courier_renamed".to_owned() } else { format!("courier_renamed_{number}") };
            let name = TableName::new(from.schema.clone(), name);
            statements.extend(rename(from, &name));
            aside.push(name.clone());
            *from = name;
        }
    }
    statements
}

/// A table that changes both gets there under a name that nobody has: any table may have the old name in the new schema, or
/// the new name in the old one.
fn rename(from: &TableName, to: &TableName) -> Vec<String> {
    let names = |at: &TableName, name: &str| format!("ALTER TABLE {} RENAME TO {};", at.shown(), shown(name));
    let moves = |at: &TableName| format!("ALTER TABLE {} SET SCHEMA {};", at.shown(), shown(&to.schema));
    match (from.schema != to.schema, from.name != to.name) {
        (false, false) => Vec::new(),
        (false, true) => vec![names(from, &to.name)],
        (true, false) => vec![moves(from)],
        (true, true) => {
            let name = "courier_moved";
            let [before, after] = [from, to].map(|table| TableName::new(table.schema.clone(), name));
            vec![names(from, name), moves(&before), names(&after, &to.name)]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> TableName {
        TableName::parse(text).unwrap()
    }

    /// Two tables that are said to get one name, at moments that are not the same: whatever is said then, it is said.
    #[test]
    fn a_circle_that_others_wait_for_ends() {
        let moves = |of: &[(&str, &str)]| of.iter().map(|(from, to)| (name(from), name(to))).collect::<Vec<_>>();
        let statements = rename_statements(&moves(&[("s.a", "s.b"), ("s.b", "s.c"), ("s.c", "s.b")]));
        assert_eq!(statements.len(), 5, "{statements:?}");
        assert!(rename_statements(&moves(&[("s.a", "s.b"), ("s.b", "s.b")])).len() == 1);
        let three = [("s.a", "s.b"), ("s.b", "s.a"), ("s.c", "s.d"), ("s.d", "s.c"), ("s.e", "s.f"), ("s.f", "s.e")];
        assert_eq!(rename_statements(&moves(&three)).len(), 9);
    }

    /// Followed on a model of the destination: no name is taken twice, whoever else is there.
    #[test]
    fn tables_change_places_across_schemas() {
        let cases: &[&[(&str, &str)]] = &[
            &[("s.c", "x.t"), ("w.t", "x.c")],
            &[("s.a", "x.b"), ("x.a", "x.a2"), ("x.b", "s.a")],
            &[("s.a", "x.b"), ("x.b", "s.a"), ("s.b", "x.a"), ("x.a", "s.b")],
        ];
        for moves in cases {
            let moves: Vec<_> = moves.iter().map(|(from, to)| (name(from), name(to))).collect();
            let mut tables: Vec<String> = moves.iter().map(|(from, _)| from.shown()).collect();
            for statement in rename_statements(&moves) {
                let words: Vec<&str> = statement.trim_end_matches(';').split(' ').collect();
                let (schema, table) = words[2].split_once('.').expect("a name with its schema");
                let new =
                    if words[3] == "SET" { format!("{}.{table}", words[5]) } else { format!("{schema}.{}", words[5]) };
                assert!(!tables.contains(&new), "{statement} {tables:?}");
                let at = tables.iter().position(|known| known == words[2]).expect("it is there");
                tables[at] = new;
            }
            let wanted: Vec<String> = moves.iter().map(|(_, to)| to.shown()).collect();
            assert_eq!(tables, wanted);
        }
    }
}
