//! Commands that leave no row, and those whose text nobody else shall read.

/// Secrets travel nowhere.
pub fn has_rows(tag: &str) -> bool {
    const NONE: [&str; 6] = ["USER MAPPING", "SERVER", "SUBSCRIPTION", "ROLE", "DATABASE", "TABLESPACE"];
    let ends = |word: &str| tag.strip_suffix(word).is_some_and(|before| before.ends_with(' '));
    !NONE.iter().any(|word| ends(word))
}

/// Options of foreign tables and wrappers may be anything.
pub fn has_text(tag: &str) -> bool {
    !tag.contains("FOREIGN") && has_rows(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

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
