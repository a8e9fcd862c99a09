//! The output plugin for slots of others: a walsender or `pg_logical_slot_get_changes` that reads in one of the formats of
//! [`wire`](crate::wire).
#![allow(unsafe_code)]

pub(crate) mod plugin;
mod tables;
