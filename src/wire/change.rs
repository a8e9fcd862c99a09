//! What writers are given: tables, rows and the rest, with names and values as finished text.

use crate::logicalrep::Lsn;

/// A name in both of its forms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Name {
    pub plain: Vec<u8>,
    /// In double quotes where SQL needs them.
    pub quoted: Vec<u8>,
}

/// What a value's text means, as far as a format may want to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// smallint, integer, oid.
    Integer,
    Bigint,
    /// real, double precision.
    Float,
    Numeric,
    /// Printed as `t` or `f`.
    Boolean,
    /// bit, bit varying.
    Bits,
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: Name,
    /// Without a modifier; with its schema if the reader's search path does not lead to it.
    pub type_name: Vec<u8>,
    /// That of the type itself, or of what a domain is made of.
    pub kind: Kind,
    pub is_domain: bool,
    /// Generated when it is read: the WAL has no value of it.
    pub is_virtual: bool,
}

/// What an UPDATE or DELETE logs of the old row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    Nothing,
    /// Positions of the identity index's columns, in the order of the index.
    Key(Vec<usize>),
    FullRow,
}

#[derive(Clone, Debug)]
pub struct Table {
    pub schema: Name,
    pub name: Name,
    /// As in the tuple; `None` for a dropped one.
    pub columns: Vec<Option<Column>>,
    pub identity: Identity,
}

/// What a writer has prepared for a table. Each writer uses the parts as it needs them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Prepared {
    /// The table's part of a message.
    pub table: Vec<u8>,
    /// The part that describes its identity.
    pub key: Vec<u8>,
    /// What stands before each column's value.
    pub columns: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// NULL, or a dropped column.
    Null,
    /// Kept out of line and not changed, so that the WAL does not have it.
    Unchanged,
    /// What the type's output function printed.
    Text(&'a [u8]),
}

/// A row change. Rows have a value for each of the table's columns; an old row has those of the key only, unless the
/// identity is the full row.
#[derive(Clone, Copy, Debug)]
pub struct RowChange<'a> {
    pub lsn: Lsn,
    pub table: &'a Table,
    pub prepared: &'a Prepared,
    pub action: Action<'a>,
}

#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    Insert {
        new: &'a [Value<'a>],
    },
    /// Without an old row when the key did not change.
    Update {
        old: Option<&'a [Value<'a>]>,
        new: &'a [Value<'a>],
    },
    /// Without an old row when the table has no identity.
    Delete {
        old: Option<&'a [Value<'a>]>,
    },
}

#[derive(Clone, Copy, Debug)]
pub struct Truncate<'a> {
    pub lsn: Lsn,
    pub tables: &'a [&'a Table],
    pub cascade: bool,
    pub restart_identity: bool,
}

/// What a logical message carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content<'a> {
    /// Text in the encoding that the format wants.
    Text(&'a [u8]),
    /// Not text, as it was emitted.
    Bytes(&'a [u8]),
}

#[derive(Clone, Copy, Debug)]
pub struct LogicalMessage<'a> {
    pub lsn: Lsn,
    pub transactional: bool,
    pub prefix: &'a [u8],
    pub content: Content<'a>,
    /// The length of the content as it was emitted.
    pub size: usize,
}
