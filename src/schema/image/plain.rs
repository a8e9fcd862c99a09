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
}
