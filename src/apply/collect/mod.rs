//! What has come and was not sent: pure code, which knows neither a server nor a session.
//!
//! `batch` collapses the changes of a table, `net` says what is left of them, `waiting` keeps a batch for each table,
//! `group` is the run of transactions that they belong to, `route` says which way they go, `written` keeps
//! values that are looked up before the commit.

pub mod batch;
pub mod group;
pub mod net;
pub mod route;
pub mod waiting;
pub mod written;
