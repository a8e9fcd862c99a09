//! Of this module, what makes parameters of rows.

#[path = "../../src/apply/encode/arrays.rs"]
mod arrays;
#[path = "../../src/apply/encode/properties.rs"]
pub mod properties;
