//! What the tests share.

// Each test program uses its own part.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

pub mod cluster;
pub mod facts;
pub mod format;
pub mod golden;
pub mod rng;
pub mod server;
pub mod textual;
