//! The name of a table with its schema, as values, in statements and for people.

use super::quote::{quote_qualified, shown_qualified};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName {
    pub schema: String,
    pub name: String,
}

impl TableName {
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> TableName {
        TableName { schema: schema.into(), name: name.into() }
    }

    /// For messages and statements: quotes where they are needed.
    pub fn shown(&self) -> String {
        shown_qualified(&self.schema, &self.name)
    }

    pub fn qualified(&self) -> String {
        quote_qualified(&self.schema, &self.name)
    }

    /// What [`quote_qualified`] has written, for messages.
    pub fn shown_as(qualified: &str) -> String {
        TableName::parse(qualified).map_or_else(|| qualified.to_owned(), |name| name.shown())
    }

    /// Reads what [`quote_qualified`] has written.
    pub fn parse(qualified: &str) -> Option<TableName> {
        let mut parts = vec![String::new()];
        let mut chars = qualified.chars().peekable();
        let mut quoted = false;
        while let Some(c) = chars.next() {
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    parts.last_mut()?.push('"');
                }
                '"' => quoted = !quoted,
                '.' if !quoted => parts.push(String::new()),
                c => parts.last_mut()?.push(c),
            }
        }
        let [schema, name] = <[String; 2]>::try_from(parts).ok()?;
        Some(TableName { schema, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_they_were_written() {
        for (schema, table) in [("public", "t"), ("My \"S\".x", "Ü.1")] {
            assert_eq!(TableName::parse(&quote_qualified(schema, table)), Some(TableName::new(schema, table)));
        }
        assert_eq!(TableName::parse("a"), None);
        assert_eq!(TableName::shown_as("\"public\".\"order\""), "public.\"order\"");
        assert_eq!(TableName::shown_as("public.t"), "public.t");
    }
}
