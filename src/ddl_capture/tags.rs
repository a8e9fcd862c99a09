//! Commands that leave no row, those whose text nobody else shall read, and those that change nothing about the rows of a table.

/// Secrets travel nowhere.
pub fn has_rows(tag: &str) -> bool {
    const NONE: [&str; 6] = ["USER MAPPING", "SERVER", "SUBSCRIPTION", "ROLE", "DATABASE", "TABLESPACE"];
    let ends = |word: &str| tag.strip_suffix(word).is_some_and(|before| before.ends_with(' '));
    !NONE.iter().any(|word| ends(word))
}

/// Whatever they change about a table, its rows arrive without, and so do later commands.
pub fn is_needed_by_nothing(tag: &str) -> bool {
    const PARTS: [&str; 4] = ["TRIGGER", "RULE", "POLICY", "STATISTICS"];
    ["GRANT", "REVOKE", "COMMENT"].contains(&tag) || tag.split_once(' ').is_some_and(|(_, part)| PARTS.contains(&part))
}

/// Options of foreign tables and wrappers may be anything.
pub fn has_text(tag: &str) -> bool {
    !tag.contains("FOREIGN") && has_rows(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rows_need_is_never_late() {
        for tag in ["GRANT", "REVOKE", "COMMENT", "CREATE TRIGGER", "ALTER POLICY", "DROP RULE", "CREATE STATISTICS"] {
            assert!(is_needed_by_nothing(tag), "{tag}");
        }
        for tag in ["CREATE TABLE", "ALTER TABLE", "ALTER TYPE", "CREATE INDEX", "DROP TABLE", "CREATE EVENT TRIGGER"] {
            assert!(!is_needed_by_nothing(tag), "{tag}");
        }
    }

    #[test]
    fn secrets_leave_nothing() {
        for tag in ["CREATE USER MAPPING", "ALTER SERVER", "CREATE SUBSCRIPTION", "ALTER ROLE"] {
            assert!(!has_rows(tag) && !has_text(tag), "{tag}");
        }
        for tag in ["CREATE FOREIGN TABLE", "IMPORT FOREIGN SCHEMA", "ALTER FOREIGN DATA WRAPPER"] {
            assert!(has_rows(tag) && !has_text(tag), "{tag}");
        }
        for tag in ["CREATE TABLE", "GRANT", "REFRESH MATERIALIZED VIEW", "COMMENT", "DROP OWNED"] {
            assert!(has_rows(tag) && has_text(tag), "{tag}");
        }
    }
}
