//! The values that flow: LSNs, snapshots, relations, names. Pure: nothing here knows that a server exists.

pub mod array;
pub mod change;
pub mod fast_map;
pub mod helper;
pub mod lsn;
pub mod names;
#[cfg(any(test, fuzzing))]
pub mod properties;
pub mod quote;
pub mod relation;
pub mod row;
pub mod snapshot;
pub mod spool;
pub mod table_name;
pub mod words;

pub use change::{Change, Transaction};
pub use fast_map::FastMap;
pub use helper::HELPER_SCHEMA;
pub use lsn::Lsn;
pub use relation::{Column, ColumnFormat, Operator, Relation};
pub use row::Row;
pub use snapshot::CopySnapshot;
pub use spool::Spool;
pub use table_name::TableName;
