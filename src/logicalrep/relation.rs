//! A source table as the stream and the copy see it, and how its columns travel.
//!
//! Values travel in the server's binary format where both servers read it the same way, as text otherwise. The field
//! encoding is the same for COPY and for array elements (a 4-byte length, then the bytes; -1 for NULL), so a row is
//! encoded once and its fields are moved about as plain bytes.

use std::rc::Rc;

use super::quote::shown;
use crate::transform::{Operation, Route};

/// Length word of a NULL field.
pub const NULL_FIELD: i32 = -1;
/// Length word of a value that an UPDATE did not change and the WAL does not hold (TOAST). Never sent.
pub const UNCHANGED_FIELD: i32 = -2;

/// What binary COPY begins with: signature, flags, length of the extension; and what it ends with.
pub const COPY_HEADER: &[u8; 19] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
pub const COPY_TRAILER: [u8; 2] = (-1i16).to_be_bytes();

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ColumnFormat {
    /// Binary; the type and its array type have the same OIDs on every server.
    Binary { element: u32, array: u32 },
    /// The type's text form, which the destination makes a value of the type again. (The type's name is as the source's server writes
    /// it, with its schema.)
    Text { type_name: String },
    /// The label of an enum, likewise; COPY takes it as the type's binary form.
    Label { type_name: String },
}

/// OIDs of `text` and `text[]`, the same everywhere.
const TEXT: u32 = 25;
const TEXT_ARRAY: u32 = 1009;

impl ColumnFormat {
    pub fn element_type(&self) -> u32 {
        match self {
            ColumnFormat::Binary { element, .. } => *element,
            ColumnFormat::Text { .. } | ColumnFormat::Label { .. } => TEXT,
        }
    }

    pub fn array_type(&self) -> u32 {
        match self {
            ColumnFormat::Binary { array, .. } => *array,
            ColumnFormat::Text { .. } | ColumnFormat::Label { .. } => TEXT_ARRAY,
        }
    }

    /// Is the field also what binary COPY takes?
    pub fn fits_copy(&self) -> bool {
        !matches!(self, ColumnFormat::Text { .. })
    }
}

/// An operator by its name, as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    pub schema: String,
    pub name: String,
}

impl Operator {
    /// The server's own `=`.
    pub fn equals() -> Operator {
        Operator { schema: "pg_catalog".to_owned(), name: "=".to_owned() }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// On the destination.
    pub name: String,
    /// On the source.
    pub source: String,
    pub format: ColumnFormat,
    /// By which values of the type are equal, for a key column.
    pub equality: Operator,
    /// May it be compared with the elements of an array of its type? Arrays have no arrays.
    pub by_element: bool,
    /// GENERATED ALWAYS AS IDENTITY: may be inserted (overriding) but not updated.
    pub identity_always: bool,
}

impl Column {
    /// May it be compared with the elements of an array parameter, which is of its own type?
    pub fn takes_array(&self) -> bool {
        self.by_element && matches!(self.format, ColumnFormat::Binary { .. })
    }
}

/// How the stream finds the row that an UPDATE or DELETE means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// By the columns of a primary key or identity index.
    Key,
    /// By the whole old row; equal rows are interchangeable.
    FullRow,
    /// Not at all: only INSERT and TRUNCATE can be applied.
    Nothing,
    /// By a key with a column that does not travel, as it is generated: not at all either.
    Generated,
}

#[derive(Clone, Debug)]
pub struct Relation {
    pub oid: u32,
    /// The table's number among those that the stream has met, from 0 on: stays the same when its definition changes.
    pub slot: usize,
    /// Differs between two definitions of the same table; prepared statements are named after it.
    pub generation: u64,
    /// What the table is called here and there.
    pub route: Rc<Route>,
    /// Columns that travel, under their names on the destination: no dropped and no generated ones.
    pub columns: Vec<Column>,
    pub identity: Identity,
    /// Indexes into `columns`.
    pub key: Vec<usize>,
    /// Has it no unique or exclusion constraint besides one, the key? Else the order of its updates may matter.
    pub has_one_unique_index: bool,
}

impl Relation {
    /// Do changes of this kind go to the destination?
    #[inline]
    pub fn takes(&self, operation: Operation) -> bool {
        self.route.operations.include(operation)
    }

    /// On the destination, for statements.
    pub fn target(&self) -> String {
        self.route.target.qualified()
    }

    /// On the destination, for messages.
    pub fn shown_there(&self) -> String {
        self.route.target.shown()
    }

    /// On the source, for messages.
    pub fn shown(&self) -> String {
        self.route.source.shown()
    }

    /// The same definition, whenever it was read?
    pub fn is_same_as(&self, other: &Relation) -> bool {
        self.oid == other.oid
            && self.route == other.route
            && self.columns == other.columns
            && self.identity == other.identity
            && self.key == other.key
            && self.has_one_unique_index == other.has_one_unique_index
    }

    /// Can its rows be sent as binary COPY, as far as the source can tell?
    pub fn fits_copy(&self) -> bool {
        !self.columns.is_empty() && self.columns.iter().all(|column| column.format.fits_copy())
    }

    /// What to do about a value that names an object which the destination lacks, if columns of this table hold such names.
    pub fn hint_for_names(&self, sqlstate: &str) -> Option<String> {
        const UNKNOWN_NAMES: [&str; 4] = ["42883", "42P01", "42704", "3F000"];
        // regclass, regproc and the like, and their arrays.
        let names_objects = |column: &&Column| match &column.format {
            ColumnFormat::Text { type_name } => type_name.starts_with("pg_catalog.reg"),
            ColumnFormat::Binary { .. } | ColumnFormat::Label { .. } => false,
        };
        let columns: Vec<String> = self.columns.iter().filter(names_objects).map(|c| shown(&c.name)).collect();
        (UNKNOWN_NAMES.contains(&sqlstate) && !columns.is_empty()).then(|| {
            format!(
                "Values of {} of {} are names of objects: create the one that the error names on the destination, then SELECT \
                 courier.resume({{task}});",
                columns.join(", "),
                self.shown()
            )
        })
    }

    pub fn is_key(&self, column: usize) -> bool {
        self.key.contains(&column)
    }

    /// Has it a GENERATED ALWAYS identity column outside the key? Such a row is replaced, not updated.
    pub fn needs_replacing(&self) -> bool {
        self.columns.iter().enumerate().any(|(i, c)| c.identity_always && !self.is_key(i))
    }
}

/// Walks over the fields of an encoded row: each is its length word and its bytes.
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Iterator for Fields<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let word: [u8; 4] = self.0.get(..4)?.try_into().ok()?;
        let length = i32::from_be_bytes(word).max(0) as usize;
        let (field, rest) = self.0.split_at_checked(4 + length)?;
        self.0 = rest;
        Some(field)
    }
}

pub fn is_unchanged(field: &[u8]) -> bool {
    field.starts_with(&UNCHANGED_FIELD.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_walked_one_by_one() {
        let mut row = Vec::new();
        row.extend(3i32.to_be_bytes());
        row.extend(b"abc");
        row.extend(NULL_FIELD.to_be_bytes());
        row.extend(0i32.to_be_bytes());
        row.extend(UNCHANGED_FIELD.to_be_bytes());
        let fields: Vec<&[u8]> = Fields(&row).collect();
        assert_eq!(fields.len(), 4);
        assert_eq!(&fields[0][4..], b"abc");
        assert!(is_unchanged(fields[3]) && !is_unchanged(fields[1]) && !is_unchanged(fields[2]));
    }
}
