//! `ali_decoding`: the output plugin, as one library for every PostgreSQL server from 9.4 on.
//!
//! ```text
//!   server ── loads ──> Pg_magic_func          answers for the version that asks          magic.rs
//!          ── slot ───> _PG_output_plugin_init finds the layout, or refuses by an error   plugin.rs
//!          ── row ────> change                 relation header from the cache             cache.rs
//!                                              values by their types' output functions    server/catalog.rs
//!                                              bytes                                      wire.rs
//!          <── message
//! ```
//!
//! There are no server headers behind this crate. What a server's structures look like is a table of facts
//! (`layout.rs`); its functions are bound when it loads the library, those that changed over the versions
//! by name at run time (`server/`). The encoder (`wire.rs`) knows nothing of servers.
//!
//! Absent on purpose: an allocator, threads, anything with a destructor (`server/mod.rs` says why), and in
//! the library that is shipped the standard library, so that it asks nothing of the machine's C library.

#![cfg_attr(not(test), no_std)]

#[cfg(not(all(target_os = "linux", target_endian = "little", any(target_arch = "x86_64", target_arch = "aarch64"))))]
compile_error!("ali_decoding is built for Linux on x86-64 or aarch64: the layout table holds for no other platform");
#[cfg(not(target_pointer_width = "64"))]
compile_error!("ali_decoding is built for 64-bit servers: the layout table holds for no other");

// A development build unwinds, and only the standard library knows how.
#[cfg(all(not(test), panic = "unwind"))]
extern crate std;

pub mod layout;
pub mod options;
pub mod wire;

// The rest needs a server around it to link, which a test program does not have.
#[cfg(not(test))]
mod cache;
#[cfg(not(test))]
mod guard;
#[cfg(not(test))]
mod magic;
#[cfg(not(test))]
mod plugin;
#[cfg(not(test))]
mod server;
