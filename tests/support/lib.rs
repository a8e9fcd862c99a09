//! Servers, traffic and accidents for testing pg_courier from outside.
//!
//! ```text
//!   Scratch   one directory under /tmp, and a reaper process that empties it when we die
//!     Install   a private copy of the server's programs with the extension in it
//!       Cluster   one server: start, stop, kill -9, restart, SQL, psql, log
//!         Pair      a source with the extension and a plain destination
//!   Proxy       a wire between both that can be cut, stalled, throttled
//!   Traffic     writers that survive crashes; Pgbench is the real program
//!   compare     both databases row by row
//!   dump        both databases as pg_dump sees them
//!   wait        the only way to wait: for an event, with a story when it does not come
//! ```
//!
//! Everything a test leaves behind lives in the scratch directory: data directories,
//! sockets, logs, and (by their working directory) the processes. So one process
//! that outlives ours can clean up after a panic, Ctrl-C or kill -9 alike.
//!
//! Nothing here uses the extension's code: the tests see what a user sees.

pub mod account;
pub mod cluster;
pub mod compare;
pub mod dump;
pub mod failpoint;
mod fresh;
pub mod install;
pub mod liar;
mod majors;
pub mod memory;
pub mod pair;
pub mod pgbench;
pub mod port;
pub mod procfs;
pub mod proxy;
pub mod rng;
pub mod scratch;
pub mod sql;
pub mod traffic;
pub mod types;
pub mod wait;

pub use cluster::{Cluster, ClusterBuilder, Stop};
pub use compare::{Difference, assert_same, compare};
pub use dump::{Dump, Privileges};
pub use install::Install;
pub use memory::MemoryWatch;
pub use pair::{Pair, PairBuilder, TaskOptions};
pub use pgbench::Pgbench;
pub use proxy::Proxy;
pub use rng::Rng;
pub use sql::Answer;
pub use traffic::Traffic;
