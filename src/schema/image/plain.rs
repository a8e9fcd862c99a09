//! Objects that are nothing but their statement: what the server says of them is put together again as it was typed, and nothing changes
//! about them in place. They act with the rights of whoever uses them.

use serde::{Deserialize, Serialize};

use super::{Class, Name};

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
        let split = || {
            let (name, arguments) = named.strip_suffix(')')?.rsplit_once('(')?;
            let shown = |name: &str| name.trim().strip_prefix("pg_catalog.").unwrap_or(name.trim()).to_owned();
            Some((name, arguments.split(',').map(shown).collect::<Vec<_>>().join(", ")))
        };
        let target = match self.kind {
            PlainKind::Aggregate => split().map(|(name, types)| {
                let types = if types.is_empty() { "*" } else { &types };
                format!("{name}({types})")
            }),
            PlainKind::Operator => split().map(|(name, types)| format!("{name} ({types})")),
            PlainKind::Cast => Some(named.replace("(pg_catalog.", "(").replace(" AS pg_catalog.", " AS ")),
            PlainKind::Dictionary | PlainKind::Configuration | PlainKind::Conversion => Some(named.to_owned()),
        };
        self.target = target.unwrap_or_else(|| self.target.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let mut of = Plain { oid: 1, level: 0, kind, name, target: before.to_owned(), definition, blocked: false };
            of.is_called(identity);
            assert_eq!(of.target, after, "{identity}");
        }
    }
}
