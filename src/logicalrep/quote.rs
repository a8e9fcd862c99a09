//! How names and texts are quoted, for servers and for people.

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

/// Quotes an identifier only where it reads differently without, as `format('%I')` does: for people, and for definitions that people read. A
/// keyword gets quotes too often rather than too seldom; those that 13 to 18 reserve are all here.
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
