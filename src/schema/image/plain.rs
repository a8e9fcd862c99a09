//! Objects that are nothing but their statement: what the server says of them is put together again as it was typed. They act with the
//! rights of whoever uses them.

use serde::{Deserialize, Serialize};

use super::operand::{self, Operand};
use super::{Class, Name};
use crate::logicalrep::names::shown;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PlainKind {
    Aggregate,
    Operator,
    Cast,
    Dictionary,
    Configuration,
    Conversion,
}

impl PlainKind {
    pub const ALL: [PlainKind; 6] = [
        PlainKind::Aggregate,
        PlainKind::Operator,
        PlainKind::Cast,
        PlainKind::Dictionary,
        PlainKind::Configuration,
        PlainKind::Conversion,
    ];

    pub fn class(self) -> Class {
        match self {
            PlainKind::Aggregate => Class::Proc,
            PlainKind::Operator => Class::Operator,
            PlainKind::Cast => Class::Cast,
            PlainKind::Dictionary => Class::SearchDictionary,
            PlainKind::Configuration => Class::SearchConfiguration,
            PlainKind::Conversion => Class::Conversion,
        }
    }

    /// As CREATE, DROP and COMMENT ON say it.
    pub fn word(self) -> &'static str {
        match self {
            PlainKind::Aggregate => "AGGREGATE",
            PlainKind::Operator => "OPERATOR",
            PlainKind::Cast => "CAST",
            PlainKind::Dictionary => "TEXT SEARCH DICTIONARY",
            PlainKind::Configuration => "TEXT SEARCH CONFIGURATION",
            PlainKind::Conversion => "CONVERSION",
        }
    }

    pub fn shown(self) -> &'static str {
        match self {
            PlainKind::Aggregate => "aggregate",
            PlainKind::Operator => "operator",
            PlainKind::Cast => "cast",
            PlainKind::Dictionary => "text search dictionary",
            PlainKind::Configuration => "text search configuration",
            PlainKind::Conversion => "conversion",
        }
    }

    pub fn catalog(self) -> &'static str {
        match self {
            PlainKind::Aggregate => "pg_proc",
            PlainKind::Operator => "pg_operator",
            PlainKind::Cast => "pg_cast",
            PlainKind::Dictionary => "pg_ts_dict",
            PlainKind::Configuration => "pg_ts_config",
            PlainKind::Conversion => "pg_conversion",
        }
    }

    /// Rows with `oid`, `target` and `definition`, for source and destination; conditions may follow, on the catalog's row `o`.
    pub fn query(self) -> &'static str {
        match self {
            PlainKind::Aggregate => include_str!("../../../sql/query/schema/plain/aggregate.sql"),
            PlainKind::Operator => include_str!("../../../sql/query/schema/plain/operator.sql"),
            PlainKind::Cast => include_str!("../../../sql/query/schema/plain/cast.sql"),
            PlainKind::Dictionary => include_str!("../../../sql/query/schema/plain/dictionary.sql"),
            PlainKind::Configuration => include_str!("../../../sql/query/schema/plain/configuration.sql"),
            PlainKind::Conversion => include_str!("../../../sql/query/schema/plain/conversion.sql"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plain {
    pub oid: u32,
    pub level: i64,
    pub kind: PlainKind,
    /// Of a cast that of a type which a user has made.
    pub name: Name,
    /// How statements name it: with its arguments, or types.
    pub target: String,
    /// The types in that, where a user has made one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operands: Vec<Operand>,
    /// The statements that create it.
    pub definition: String,
    pub blocked: bool,
}

impl Plain {
    pub fn class(&self) -> Class {
        self.kind.class()
    }

    /// What the server calls it now (`operator s.+(integer,s.t)`): types may have got other names since it was read.
    pub fn is_called(&mut self, identity: &str) {
        let Some(named) = identity.strip_prefix(self.kind.shown()).and_then(|rest| rest.strip_prefix(' ')) else {
            return;
        };
        let between = if self.kind == PlainKind::Cast { " AS " } else { "," };
        let shown = |name: &str| name.trim().strip_prefix("pg_catalog.").unwrap_or(name.trim()).to_owned();
        let split = named.strip_suffix(')').and_then(|named| named.rsplit_once('('));
        let types: Vec<String> = split.into_iter().flat_map(|(_, types)| types.split(between)).map(shown).collect();
        if operand::hear(&mut self.operands, &types) {
            self.target = self.signed();
            return;
        }
        let types = types.join(", ");
        let target = match self.kind {
            PlainKind::Aggregate => split.map(|(name, _)| {
                let types = if types.is_empty() { "*" } else { &types };
                format!("{name}({types})")
            }),
            PlainKind::Operator => split.map(|(name, _)| format!("{name} ({types})")),
            PlainKind::Cast => Some(named.replace("(pg_catalog.", "(").replace(" AS pg_catalog.", " AS ")),
            PlainKind::Dictionary | PlainKind::Configuration | PlainKind::Conversion => Some(named.to_owned()),
        };
        self.target = target.unwrap_or_else(|| self.target.clone());
    }

    /// What its types are called, as far as that is known.
    pub fn respell(&mut self, names: &impl Fn(&(Class, u32)) -> Option<Name>) {
        let respelled = operand::respell(&mut self.operands, names);
        if !respelled.is_empty() {
            self.target = self.signed();
            self.definition = operand::rewritten(&self.definition, &respelled);
        }
    }

    /// How statements name it, by its operands.
    fn signed(&self) -> String {
        match self.kind {
            PlainKind::Operator => format!("{} ({})", self.own_name(), operand::listed(&self.operands)),
            PlainKind::Cast => format!("({})", operand::listed(&self.operands).replacen(", ", " AS ", 1)),
            _ => format!("{}({})", self.own_name(), operand::listed(&self.operands)),
        }
    }

    /// As its target has it.
    fn own_name(&self) -> String {
        match self.kind {
            PlainKind::Operator => format!("{}.{}", shown(&self.name.schema), self.name.name),
            _ => self.name.shown(),
        }
    }

    /// The same under another name.
    pub fn named(&self, name: &Name) -> Plain {
        let mut named = Plain { name: name.clone(), ..self.clone() };
        // A cast has none in its statements.
        let (old, now, word) = (self.own_name(), named.own_name(), self.kind.word());
        if let Some(rest) = self.target.strip_prefix(&old) {
            named.target = format!("{now}{rest}");
            named.definition = self.definition.replace(&format!("{word} {old}"), &format!("{word} {now}"));
        }
        named
    }

    /// Can one become the other as it stands, in the middle of whatever needs it?
    pub fn is_like(&self, other: &Plain) -> bool {
        const CHANGING: [&str; 2] = ["RESTRICT", "JOIN"];
        let staying = |of: &Plain| -> Vec<String> {
            let items = of.items().into_iter();
            match of.kind {
                // What it finds rows by.
                PlainKind::Configuration | PlainKind::Dictionary => items.take(1).map(str::to_owned).collect(),
                _ => items.filter(|item| !CHANGING.contains(&key(item))).map(str::to_owned).collect(),
            }
        };
        match self.kind {
            PlainKind::Aggregate => true,
            PlainKind::Operator | PlainKind::Configuration | PlainKind::Dictionary => staying(self) == staying(other),
            PlainKind::Cast | PlainKind::Conversion => false,
        }
    }

    /// What stands in parentheses where it is created, one by one: `LEFTARG = integer`.
    pub fn items(&self) -> Vec<&str> {
        let start = format!("CREATE {} {} (", self.kind.word(), self.own_name());
        let statement = self.definition.split(NEXT).next().unwrap_or_default();
        let list = statement.strip_prefix(&start).and_then(|rest| rest.strip_suffix(')'));
        list.map(split_unquoted).unwrap_or_default()
    }

    /// Of a configuration: the kinds of tokens that it knows dictionaries for, and the statements that say so.
    pub fn mappings(&self) -> impl Iterator<Item = (&str, &str)> {
        self.definition.split(NEXT).filter_map(|statement| {
            let (_, rest) = statement.split_once(" ADD MAPPING FOR ")?;
            Some((rest.split_once(" WITH ")?.0, statement))
        })
    }
}

/// Between two statements of a definition.
const NEXT: &str = ";\n";

/// What an item is about.
pub fn key(item: &str) -> &str {
    item.split_once(" = ").map_or(item, |(key, _)| key)
}

/// At commas that are in no name and no text.
fn split_unquoted(list: &str) -> Vec<&str> {
    let (mut items, mut begin, mut quote) = (Vec::new(), 0, None);
    for (at, c) in list.char_indices() {
        match (c, quote) {
            ('\'' | '"', None) => quote = Some(c),
            (_, Some(open)) if open == c => quote = None,
            (',', None) => {
                items.push(list[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    items.push(list[begin..].trim());
    items
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(kind: PlainKind, name: &str, definition: &str) -> Plain {
        let (name, target) = (Name::new("s", name), format!("s.{name}"));
        Plain {
            oid: 1,
            level: 0,
            kind,
            name,
            target,
            operands: Vec::new(),
            definition: definition.to_owned(),
            blocked: false,
        }
    }

    #[test]
    fn what_it_is_made_of_is_read_from_its_statement() {
        let text = "CREATE TEXT SEARCH DICTIONARY s.d (TEMPLATE = pg_catalog.simple, \"odd, one\" = 'it''s, so', accept = 'f')";
        let of = plain(PlainKind::Dictionary, "d", text);
        assert_eq!(of.items(), ["TEMPLATE = pg_catalog.simple", "\"odd, one\" = 'it''s, so'", "accept = 'f'"]);
        assert_eq!(of.items().into_iter().map(key).collect::<Vec<_>>(), ["TEMPLATE", "\"odd, one\"", "accept"]);
        let text = "CREATE TEXT SEARCH CONFIGURATION s.c (PARSER = pg_catalog.\"default\");\n\
                    ALTER TEXT SEARCH CONFIGURATION s.c ADD MAPPING FOR word WITH s.d, s.e";
        let of = plain(PlainKind::Configuration, "c", text);
        assert_eq!(of.mappings().map(|(kind, _)| kind).collect::<Vec<_>>(), ["word"]);
        let other = of.named(&Name::new("t", "C"));
        assert_eq!((other.target.as_str(), other.definition), ("t.\"C\"", text.replace("s.c", "t.\"C\"")));
    }

    #[test]
    fn each_kind_is_called_as_the_server_calls_it() {
        for (kind, before, identity, after) in [
            (PlainKind::Operator, "s.|> (s.a, integer)", "operator s.|>(s.b,integer)", "s.|> (s.b, integer)"),
            (PlainKind::Operator, "s.! (NONE, text)", "operator s.!(NONE,pg_catalog.text)", "s.! (NONE, text)"),
            (PlainKind::Aggregate, "s.ag(s.a)", "aggregate s.ag(s.b)", "s.ag(s.b)"),
            (PlainKind::Aggregate, "s.ag(*)", "aggregate s.ag()", "s.ag(*)"),
            (PlainKind::Cast, "(s.e1 AS text)", "cast (s.e2 AS pg_catalog.text)", "(s.e2 AS text)"),
            (PlainKind::Configuration, "s.c", "text search configuration t.c", "t.c"),
            (PlainKind::Dictionary, "s.d", "function s.d()", "s.d"),
        ] {
            let (name, definition) = (Name::new("s", "x"), String::new());
            let (target, operands) = (before.to_owned(), Vec::new());
            let mut of = Plain { oid: 1, level: 0, kind, name, target, operands, definition, blocked: false };
            of.is_called(identity);
            assert_eq!(of.target, after, "{identity}");
        }
    }
}
