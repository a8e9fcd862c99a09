//! Of this module, what takes stored forms apart.

#[path = "../../src/tuple/jsonb.rs"]
mod jsonb;
#[path = "../../src/tuple/numeric.rs"]
mod numeric;
#[path = "../../src/tuple/properties.rs"]
pub mod properties;
