//! Words of the destination in a finding. Whoever answers there may say anything, and what a precheck shows is copied into
//! sessions of superusers: so it stays on one line, is of bounded length, and a statement says that it is for the
//! destination. `courier.apply_fixes()` runs none of it.

/// Characters of a text that are shown.
const LONGEST: usize = 1000;
const FOR_THERE: &str = "-- on the destination";

/// A text on one line.
pub(super) fn line(text: &str) -> String {
    let mut line: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        line.push_str("...");
    }
    line
}

/// A statement to run on the destination.
pub(super) fn statement(text: &str) -> String {
    // A backslash starts a command of psql, and no statement that we ask for has one.
    let line = line(text).replace('\\', " ");
    if line.contains(FOR_THERE) { line } else { format!("{line} {FOR_THERE}") }
}

/// Where a fix runs that comes from the destination: never on the source.
pub(super) fn place(said: Option<&str>) -> &'static str {
    match said {
        Some("person") => "person",
        Some("reload") => "reload",
        Some("restart") => "restart",
        _ => "destination",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_runs_on_the_source() {
        assert_eq!(place(Some("source")), "destination");
        assert_eq!(place(None), "destination");
        assert_eq!(place(Some("restart")), "restart");
    }

    #[test]
    fn a_statement_is_one_line_for_the_destination() {
        let evil = "CREATE ROLE x SUPERUSER;\n\\! rm -rf /\u{1b}[2J";
        assert_eq!(statement(evil), "CREATE ROLE x SUPERUSER;  ! rm -rf / [2J -- on the destination");
        let ours = "GRANT CREATE ON DATABASE a TO b; -- on the destination, as superuser";
        assert_eq!(statement(ours), ours);
        assert_eq!(line(&"x".repeat(5000)).len(), LONGEST + 3);
    }
}
