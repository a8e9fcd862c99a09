//! Our own tables and the source's catalogs, as typed rows. Runs inside a transaction of the caller.

pub mod connection;
pub mod marks;
mod scope;
pub mod select;
pub mod sequences;
pub mod tables;
mod task;
pub mod version;

pub use marks::Marks;
pub use scope::Scope;
pub use task::{ConflictPolicy, Stage, Task, Wanted, to_json};
