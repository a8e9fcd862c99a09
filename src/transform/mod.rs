//! How rows of a table go from the source to the destination: under which names, with which columns, which of them, and
//! which operations. Pure.
//!
//! A [`Route`] is made once for each definition of a table, and a [`Relation`](crate::logicalrep::Relation) that flows
//! has its destination's names already: whoever writes statements knows no other. The usual route is the identity.

#[cfg(any(test, fuzzing))]
pub mod properties;
mod route;

pub use route::{Operation, Route};
