//! The schema of a database as values, and the way from one state of it to another. Pure: no server is asked here.
//!
//! ```text
//!   facts (sql/query/schema) --> Image before, Image after --> diff() --> Vec<Step> --> deparse --> Vec<Item>
//!            catalog::schema asks                              what changes             as SQL of the destination
//! ```
//!
//! An [`image::Image`] holds objects with their identity: a kind, the oid on the source, names as fields. What is created on an empty
//! destination is the difference to [`image::Image::default`]; a rename is the same oid under another name.
//! [`scope`] says which objects tables need and in which order; [`inherit`] what a table has from its parents.
//!
//! A new kind of object is: a struct in `image`, a query that fills it, a [`Kind`] with its place in the order, an arm of `diff` and
//! one of `deparse`.

#[allow(dead_code, reason = "written and read by what comes next")]
pub mod apart;
pub mod aside;
pub mod captured;
pub mod deparse;
pub mod diff;
pub mod fingerprint;
pub mod governed;
pub mod image;
pub mod inherit;
mod kind;
#[allow(dead_code, reason = "written and read by what comes next")]
pub mod model;
pub mod named;
pub mod omission;
pub mod order;
pub mod plan;
#[cfg(test)]
pub mod samples;
pub mod scope;
pub mod spelling;

pub use deparse::SchemaSql;
pub use kind::{Kind, Section};
pub use plan::Item;
