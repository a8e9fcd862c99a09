//! The patterns that select tables.
//!
//! A pattern is `schema.table`; in either part `*` stands for any characters and `?` for one. Without a dot it means a
//! table in `public`. Parts follow the rules of SQL identifiers: folded to lower case unless in double quotes, where
//! `""` stands for a quote and wildcards still work; `"My-Shop"."Order*"`.

use crate::error::{Error, Result, sqlstate};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    schema: Vec<Token>,
    table: Vec<Token>,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Token {
    Char(char),
    Any,
    One,
}

impl Pattern {
    pub fn parse(text: &str) -> Result<Pattern> {
        let invalid = |detail: &str| {
            Error::new(sqlstate::INVALID_PARAMETER_VALUE, format!("invalid table pattern \"{text}\""))
                .detail(detail.to_owned())
                .hint(
                    "Write schema.table with * and ? as wildcards, for example 'public.*' or '\"My-Shop\".\"Order*\"'.",
                )
        };
        let mut parts = parts_of(text.trim()).map_err(invalid)?.into_iter();
        match (parts.next(), parts.next(), parts.next()) {
            (Some(schema), Some(table), None) => Ok(Pattern { schema, table, text: text.to_owned() }),
            (Some(table), None, None) => {
                let schema = "public".chars().map(Token::Char).collect();
                Ok(Pattern { schema, table, text: text.to_owned() })
            }
            _ => Err(invalid("A pattern has at most two parts; a task covers one database.")),
        }
    }

    pub fn matches(&self, schema: &str, table: &str) -> bool {
        let schema: Vec<char> = schema.chars().collect();
        let table: Vec<char> = table.chars().collect();
        matches(&self.schema, &schema) && matches(&self.table, &table)
    }

    /// Does it say this name, and no other?
    pub fn is_name(&self, schema: &str, table: &str) -> bool {
        let says = |tokens: &[Token]| tokens.iter().all(|token| matches!(token, Token::Char(_)));
        says(&self.schema) && says(&self.table) && self.matches(schema, table)
    }

    /// How many letters of a name does it say?
    pub fn letters(&self) -> usize {
        self.schema.iter().chain(&self.table).filter(|token| matches!(token, Token::Char(_))).count()
    }

    /// As the user wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// What stands between the dots, or what is wrong with it.
fn parts_of(text: &str) -> std::result::Result<Vec<Vec<Token>>, &'static str> {
    const EMPTY: &str = "A part of the name is empty.";
    let mut parts = Vec::new();
    let mut part = Vec::new();
    let mut chars = text.chars().peekable();
    let mut quoted = false;
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                part.push(Token::Char('"'));
            }
            '"' => quoted = !quoted,
            '.' if !quoted && part.is_empty() => return Err(EMPTY),
            '.' if !quoted => parts.push(std::mem::take(&mut part)),
            '*' => part.push(Token::Any),
            '?' => part.push(Token::One),
            c if quoted => part.push(Token::Char(c)),
            c if c.is_whitespace() => return Err("White space needs double quotes."),
            c => part.extend(c.to_lowercase().map(Token::Char)),
        }
    }
    if quoted {
        return Err("A double quote is not closed.");
    }
    if part.is_empty() {
        return Err(EMPTY);
    }
    parts.push(part);
    Ok(parts)
}

/// Wildcard match in linear space: on a mismatch go back to the last `*` and let it take one character more.
fn matches(pattern: &[Token], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut back: Option<(usize, usize)> = None;
    while n < name.len() {
        match pattern.get(p) {
            Some(Token::Char(c)) if *c == name[n] => (p, n) = (p + 1, n + 1),
            Some(Token::One) => (p, n) = (p + 1, n + 1),
            Some(Token::Any) => {
                back = Some((p + 1, n));
                p += 1;
            }
            _ => match back {
                Some((after_star, taken)) => {
                    back = Some((after_star, taken + 1));
                    (p, n) = (after_star, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|t| *t == Token::Any)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hits(pattern: &str, schema: &str, table: &str) -> bool {
        Pattern::parse(pattern).unwrap().matches(schema, table)
    }

    #[test]
    fn patterns_match_as_documented() {
        assert!(hits("public.*", "public", "anything"));
        assert!(hits("orders", "public", "orders"));
        assert!(hits("sales.order*", "sales", "orders_2026"));
        assert!(!hits("sales.order*", "sales", "preorders"));
        assert!(hits("*.t?", "x", "t1"));
        assert!(!hits("*.t?", "x", "t"));
        assert!(hits("Public.T", "public", "t"));
        assert!(hits("\"My-Shop\".\"Or\"\"der*\"", "My-Shop", "Or\"der 1"));
        assert!(!hits("\"My-Shop\".*", "my-shop", "t"));
        assert!(hits("a.*b*c", "a", "xxbyyc"));
        assert!(!hits("a.*b*c", "a", "xxbyyd"));
    }

    #[test]
    fn a_pattern_without_wildcards_is_a_name() {
        let is_name = |pattern: &str| Pattern::parse(pattern).unwrap().is_name("public", "t*");
        assert!(!is_name("public.t*") && !is_name("public.t?") && !is_name("public.t"));
        let is_name = |pattern: &str| Pattern::parse(pattern).unwrap().is_name("public", "t");
        assert!(is_name("public.t") && is_name("t") && is_name("public.\"t\""));
        assert!(!is_name("*.t") && !is_name("public.*") && !is_name("public.u"));
    }

    #[test]
    fn bad_patterns_are_refused() {
        for bad in ["", ".", "a.", ".b", "a.b.c", "\"open", "a b", "\"\".x"] {
            let error = Pattern::parse(bad).expect_err(bad);
            assert_eq!(error.sqlstate(), sqlstate::INVALID_PARAMETER_VALUE, "{bad}");
        }
    }
}
