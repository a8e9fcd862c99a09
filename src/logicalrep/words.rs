//! Numbers in sentences.

/// `1 row`, `2 rows`.
pub fn counted(number: impl Into<i128>, noun: &str) -> String {
    let number = number.into();
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::counted;

    #[test]
    fn one_is_no_plural() {
        let seen = [0, 1, 2, 11].map(|number| counted(number, "table"));
        assert_eq!(seen, ["0 tables", "1 table", "2 tables", "11 tables"]);
        assert_eq!(counted(1_u64, "row"), "1 row");
    }
}
