//! Rows as parameters of statements: pure code.

pub mod arrays;
