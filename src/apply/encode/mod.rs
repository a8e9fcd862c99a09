//! Rows as parameters of statements: pure code.

pub mod arrays;
#[cfg(any(test, fuzzing))]
pub mod properties;
