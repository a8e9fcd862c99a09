//! The server's hooks: before something is dropped, where who is asked says why not, if need be; and after EXPLAIN has made a table, which
//! no event trigger is told of.

use std::sync::OnceLock;

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::error::Result;
use crate::pg::{compat, guard, report};

static mut PREVIOUS_UTILITY: pg_sys::ProcessUtility_hook_type = None;
static mut PREVIOUS_ACCESS: pg_sys::object_access_hook_type = None;

/// Is asked with the OID of a table that is about to be dropped, inside the transaction that does so.
type OfTable = fn(u32) -> Result<()>;
/// Is asked with OID and name of a database that its owner is about to drop.
type OfDatabase = fn(u32, &str) -> Result<()>;

/// Is told the OID of a table that a statement has made, inside its transaction.
type Made = fn(u32) -> Result<()>;

static OF_MADE: OnceLock<Made> = OnceLock::new();
static OF_TABLE: OnceLock<OfTable> = OnceLock::new();
static OF_DATABASE: OnceLock<OfDatabase> = OnceLock::new();

/// From `_PG_init` while preloading: `ask` refuses with an error.
pub fn before_drop_database(ask: OfDatabase) {
    if OF_DATABASE.set(ask).is_ok() {
        watch_utility();
    }
}

/// From `_PG_init`, in every process that loads the library: `tell` is told of tables that `EXPLAIN ANALYZE CREATE TABLE AS` makes.
pub fn after_explain_made(tell: Made) {
    if OF_MADE.set(tell).is_ok() {
        watch_utility();
    }
}

fn watch_utility() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    // SAFETY: once in a process, which is single-threaded, or in the postmaster before others start; the hook is chained.
    ONCE.call_once(|| unsafe {
        PREVIOUS_UTILITY = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(utility);
    });
}

/// From `_PG_init`, in every process that loads the library: `ask` refuses with an error. Whatever the statement: DROP
/// EXTENSION, DROP SCHEMA ... CASCADE, DROP OWNED BY.
pub fn before_drop_table(ask: OfTable) {
    if OF_TABLE.set(ask).is_err() {
        return;
    }
    // SAFETY: once in a process; the hook is chained.
    unsafe {
        PREVIOUS_ACCESS = pg_sys::object_access_hook;
        pg_sys::object_access_hook = Some(object_access);
    }
}

/// Sees each object that is dropped.
unsafe extern "C-unwind" fn object_access(
    access: pg_sys::ObjectAccessType::Type,
    class: pg_sys::Oid,
    object: pg_sys::Oid,
    part: std::ffi::c_int,
    argument: *mut std::ffi::c_void,
) {
    // SAFETY: the server's arguments, handed on unchanged.
    unsafe {
        if let Some(previous) = PREVIOUS_ACCESS {
            previous(access, class, object, part, argument);
        }
    }
    if access == pg_sys::ObjectAccessType::OAT_DROP && class == pg_sys::RelationRelationId && part == 0 {
        ask_about_table(object);
    }
}

#[pg_guard]
extern "C-unwind" fn ask_about_table(table: pg_sys::Oid) {
    if let Some(ask) = OF_TABLE.get() {
        report::unwrap(ask(table.to_u32()));
    }
}

mod raw {
    use super::*;

    // Called without a guard: an error of the user's statement shall pass through with all its fields. Nothing in the
    // frames it crosses has a destructor.
    #[cfg(not(feature = "pg13"))]
    unsafe extern "C-unwind" {
        #[allow(clippy::too_many_arguments)] // the server's signature
        pub fn standard_ProcessUtility(
            statement: *mut pg_sys::PlannedStmt,
            query: *const std::ffi::c_char,
            read_only_tree: bool,
            context: pg_sys::ProcessUtilityContext::Type,
            params: pg_sys::ParamListInfo,
            environment: *mut pg_sys::QueryEnvironment,
            destination: *mut pg_sys::DestReceiver,
            completion: *mut pg_sys::QueryCompletion,
        );
    }
    #[cfg(feature = "pg13")]
    unsafe extern "C-unwind" {
        pub fn standard_ProcessUtility(
            statement: *mut pg_sys::PlannedStmt,
            query: *const std::ffi::c_char,
            context: pg_sys::ProcessUtilityContext::Type,
            params: pg_sys::ParamListInfo,
            environment: *mut pg_sys::QueryEnvironment,
            destination: *mut pg_sys::DestReceiver,
            completion: *mut pg_sys::QueryCompletion,
        );
    }
}

#[cfg(not(feature = "pg13"))]
#[allow(clippy::too_many_arguments)] // the server's signature
unsafe extern "C-unwind" fn utility(
    statement: *mut pg_sys::PlannedStmt,
    query: *const std::ffi::c_char,
    read_only_tree: bool,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    destination: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: the server's arguments, handed on unchanged.
    unsafe {
        before_utility((*statement).utilityStmt);
        let made = made_by_explain((*statement).utilityStmt);
        let next = match PREVIOUS_UTILITY {
            Some(previous) => previous,
            None => raw::standard_ProcessUtility,
        };
        next(statement, query, read_only_tree, context, params, environment, destination, completion);
        if !made.is_null() {
            tell_of(made);
        }
    }
}

#[cfg(feature = "pg13")]
unsafe extern "C-unwind" fn utility(
    statement: *mut pg_sys::PlannedStmt,
    query: *const std::ffi::c_char,
    context: pg_sys::ProcessUtilityContext::Type,
    params: pg_sys::ParamListInfo,
    environment: *mut pg_sys::QueryEnvironment,
    destination: *mut pg_sys::DestReceiver,
    completion: *mut pg_sys::QueryCompletion,
) {
    // SAFETY: the server's arguments, handed on unchanged.
    unsafe {
        before_utility((*statement).utilityStmt);
        let made = made_by_explain((*statement).utilityStmt);
        let next = match PREVIOUS_UTILITY {
            Some(previous) => previous,
            None => raw::standard_ProcessUtility,
        };
        next(statement, query, context, params, environment, destination, completion);
        if !made.is_null() {
            tell_of(made);
        }
    }
}

/// # Safety
/// `statement` is a utility statement's parse tree.
unsafe fn before_utility(statement: *mut pg_sys::Node) {
    // SAFETY: by contract; the tag says which structure it is.
    unsafe {
        if !statement.is_null() && (*statement).type_ == pg_sys::NodeTag::T_DropdbStmt {
            ask_about_database(statement.cast::<pg_sys::DropdbStmt>());
        }
    }
}

/// The name of the table that EXPLAIN would make if it runs its statement; null if there is one already, or none is made.
///
/// # Safety
/// `statement` is a utility statement's parse tree.
unsafe fn made_by_explain(statement: *mut pg_sys::Node) -> *const pg_sys::RangeVar {
    // SAFETY: by contract; tags say which structures nodes are.
    unsafe {
        let is = |node: *mut pg_sys::Node, tag| !node.is_null() && (*node).type_ == tag;
        if OF_MADE.get().is_none() || !is(statement, pg_sys::NodeTag::T_ExplainStmt) {
            return std::ptr::null();
        }
        let query = (*statement.cast::<pg_sys::ExplainStmt>()).query;
        if !is(query, pg_sys::NodeTag::T_Query) {
            return std::ptr::null();
        }
        let inner = (*query.cast::<pg_sys::Query>()).utilityStmt;
        if !is(inner, pg_sys::NodeTag::T_CreateTableAsStmt) {
            return std::ptr::null();
        }
        let name = (*(*inner.cast::<pg_sys::CreateTableAsStmt>()).into).rel;
        // Who may not look into the schema hears that from the statement, if it matters to it.
        let there = guard::attempt(|| Ok(find(name)));
        if there == Some(pg_sys::InvalidOid) { name } else { std::ptr::null() }
    }
}

/// # Safety
/// The name of a relation.
unsafe fn find(name: *const pg_sys::RangeVar) -> pg_sys::Oid {
    let (lock, options) = (pg_sys::NoLock as i32, pg_sys::RVROption::RVR_MISSING_OK);
    // SAFETY: by contract; nothing is locked, and no table is none.
    unsafe { pg_sys::RangeVarGetRelidExtended(name, lock, options, None, std::ptr::null_mut()) }
}

/// # Safety
/// The name of a relation that may have been made just now.
#[pg_guard]
unsafe extern "C-unwind" fn tell_of(name: *const pg_sys::RangeVar) {
    // SAFETY: by contract.
    let made = guard::attempt(|| Ok(unsafe { find(name) })).filter(|made| *made != pg_sys::InvalidOid);
    if let Some((tell, made)) = OF_MADE.get().zip(made) {
        report::unwrap(tell(made.to_u32()));
    }
}

/// # Safety
/// `statement` is a DROP DATABASE.
#[pg_guard]
unsafe extern "C-unwind" fn ask_about_database(statement: *mut pg_sys::DropdbStmt) {
    // SAFETY: by contract.
    unsafe {
        let name = (*statement).dbname;
        let database = pg_sys::get_database_oid(name, true);
        // Whoever may not drop it hears that from the server, and nothing from us.
        if database == pg_sys::InvalidOid || !compat::owns_database(database) {
            return;
        }
        if let Some(ask) = OF_DATABASE.get() {
            report::unwrap(ask(database.to_u32(), &crate::pg::rel::text(name)));
        }
    }
}
