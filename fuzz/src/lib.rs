//! The modules of the extension that do not know the server, under their own names, for a fuzzer.
//!
//! Each function of a `properties.rs` is a target (`targets/`), and a unit test of the extension with numbers from a seed.
#![allow(dead_code, reason = "the rest of the extension is not here")]

pub mod apply;
#[path = "../../src/chance.rs"]
mod chance;
#[path = "../../src/error.rs"]
mod error;
#[path = "../../src/libpq/mod.rs"]
pub mod libpq;
#[path = "../../src/logicalrep/mod.rs"]
pub mod logicalrep;
#[path = "../../src/select/mod.rs"]
pub mod select;
#[path = "../../src/transform/mod.rs"]
pub mod transform;
pub mod tuple;
#[path = "../../src/wire/mod.rs"]
pub mod wire;

pub use chance::Chance;

/// Looks at a property with what the fuzzer gives.
pub fn look(property: fn(&mut Chance), bytes: &[u8]) {
    property(&mut Chance::Given(bytes.to_vec().into_iter()));
}

/// The program that does so.
#[macro_export]
macro_rules! target {
    ($($name:ident)::+) => {
        libfuzzer_sys::fuzz_target!(|bytes: &[u8]| $crate::look($crate::$($name)::+, bytes));
    };
}
