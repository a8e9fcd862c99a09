//! Task names, and the patterns that select tables.
//!
//! A pattern is `schema.table`; in either part `*` stands for any characters and `?` for one. Without a dot it means a
//! table in `public`. Parts follow the rules of SQL identifiers: folded to lower case unless in double quotes, where
//! `""` stands for a quote and wildcards still work; `"My-Shop"."Order*"`.

use crate::error::{Error, Result, sqlstate};

/// How the names of all slots of tasks begin.
const SLOT_PREFIX: &str = "courier_";

/// Task names become slot names (`courier_<task>`), which allow little: at most 40 of `a-z`, `0-9` and `_`.
pub fn check_task_name(name: &str) -> Result<()> {
    let invalid = |message: String| {
        Err(Error::new(sqlstate::INVALID_NAME, message)
            .detail("The name becomes part of a replication slot name.")
            .hint("Use 1 to 40 lower-case letters, digits and underscores, starting with a letter."))
    };
    let length = name.chars().count();
    if length > 40 {
        return invalid(format!("task name \"{name}\" is too long ({length} characters)"));
    }
    let starts_well = name.starts_with(|c: char| c.is_ascii_lowercase());
    if !starts_well || !name.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '_')) {
        return invalid(format!("invalid task name \"{name}\""));
    }
    Ok(())
}

pub fn slot_name(task: &str) -> String {
    format!("{SLOT_PREFIX}{task}")
}

/// Does a slot of this name belong to a task? All such names are kept for tasks.
pub fn is_slot_of_task(slot: &str) -> bool {
    slot.starts_with(SLOT_PREFIX)
}

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
        let mut parts: Vec<Vec<Token>> = vec![Vec::new()];
        let mut chars = text.trim().chars().peekable();
        let mut quoted = false;
        let mut empty_part = true;
        while let Some(c) = chars.next() {
            let part = match parts.last_mut() {
                Some(part) => part,
                None => break,
            };
            match c {
                '"' if quoted && chars.peek() == Some(&'"') => {
                    chars.next();
                    part.push(Token::Char('"'));
                }
                '"' => quoted = !quoted,
                '.' if !quoted => {
                    if empty_part {
                        return Err(invalid("A part of the name is empty."));
                    }
                    empty_part = true;
                    parts.push(Vec::new());
                    continue;
                }
                '*' => part.push(Token::Any),
                '?' => part.push(Token::One),
                c if quoted => part.push(Token::Char(c)),
                c if c.is_whitespace() => return Err(invalid("White space needs double quotes.")),
                c => part.extend(c.to_lowercase().map(Token::Char)),
            }
            empty_part = false;
        }
        if quoted {
            return Err(invalid("A double quote is not closed."));
        }
        if empty_part || parts.iter().any(Vec::is_empty) {
            return Err(invalid("A part of the name is empty."));
        }
        let mut parts = parts.into_iter();
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

    /// As the user wrote it.
    pub fn text(&self) -> &str {
        &self.text
    }
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

/// Quotes an identifier for the destination; quoting always is correct on every server and version.
pub fn quote_ident(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub fn quote_qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", quote_ident(schema), quote_ident(name))
}

/// Quotes a string constant so that it reads the same whatever `standard_conforming_strings` says.
pub fn quote_literal(text: &str) -> String {
    let doubled = text.replace('\'', "''");
    if doubled.contains('\\') { format!("E'{}'", doubled.replace('\\', "\\\\")) } else { format!("'{doubled}'") }
}

/// For people: quotes an identifier only where it reads differently without, as `format('%I')` does. (A keyword gets them too often rather than too seldom.)
pub fn shown(name: &str) -> String {
    const KEYWORDS: &str = " all analyse analyze and any array as asc asymmetric authorization binary both case cast check \
        collate collation column concurrently constraint create cross current_catalog current_date current_role \
        current_schema current_time current_timestamp current_user default deferrable desc distinct do else end except \
        false fetch for foreign freeze from full grant group having ilike in initially inner intersect into is isnull join \
        lateral leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer \
        overlaps placing primary references returning right select session_user similar some symmetric system_user table \
        tablesample then to trailing true union unique user using variadic verbose when where window with between bigint \
        bit boolean char character coalesce dec decimal exists extract float greatest grouping inout int integer interval \
        least national nchar none normalize nullif numeric out overlay position precision real row setof smallint \
        substring time timestamp treat trim values varchar ";
    let starts = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
    let plain = starts && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain && !KEYWORDS.contains(&format!(" {name} ")) { name.to_owned() } else { quote_ident(name) }
}

/// The name of a table or sequence, as messages and views have it.
pub fn shown_qualified(schema: &str, name: &str) -> String {
    format!("{}.{}", shown(schema), shown(name))
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
    fn bad_patterns_are_refused() {
        for bad in ["", ".", "a.", ".b", "a.b.c", "\"open", "a b", "\"\".x"] {
            let error = Pattern::parse(bad).expect_err(bad);
            assert_eq!(error.sqlstate(), sqlstate::INVALID_PARAMETER_VALUE, "{bad}");
        }
    }

    #[test]
    fn task_names_are_slot_names() {
        assert!(check_task_name("shop_to_dr").is_ok());
        assert!(check_task_name(&"a".repeat(40)).is_ok());
        for bad in ["", "Shop", "shop-to-dr", "1a", "a b", "täsk"] {
            assert_eq!(check_task_name(bad).expect_err(bad).sqlstate(), sqlstate::INVALID_NAME);
        }
        assert!(check_task_name(&"a".repeat(41)).expect_err("long").message().contains("too long"));
    }

    #[test]
    fn people_see_quotes_only_where_they_are_needed() {
        for (name, seen) in [
            ("customer", "customer"),
            ("_a1", "_a1"),
            ("1a", "\"1a\""),
            ("Customer", "\"Customer\""),
            ("order", "\"order\""),
            ("int", "\"int\""),
            ("action", "action"),
            ("größe", "\"größe\""),
            ("a\"b", "\"a\"\"b\""),
            ("", "\"\""),
        ] {
            assert_eq!(shown(name), seen);
        }
        assert_eq!(shown_qualified("My.S", "t"), "\"My.S\".t");
    }

    #[test]
    fn quoting_survives_quotes_and_backslashes() {
        assert_eq!(quote_qualified("a\"b", "C"), "\"a\"\"b\".\"C\"");
        assert_eq!(quote_literal("it's"), "'it''s'");
        assert_eq!(quote_literal("a\\'b"), "E'a\\\\''b'");
    }
}
