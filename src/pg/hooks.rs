//! Answers to statements that a running task would otherwise make hang or fail obscurely.

use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::error::{Error, sqlstate};
use crate::logicalrep::names;
use crate::pg::{compat, logical, report, spi};

static mut PREVIOUS_UTILITY: pg_sys::ProcessUtility_hook_type = None;
static mut PREVIOUS_ACCESS: pg_sys::object_access_hook_type = None;

/// From `_PG_init` while preloading.
pub fn install() {
    // SAFETY: in the postmaster, before other processes start; the hook is chained.
    unsafe {
        PREVIOUS_UTILITY = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(utility);
    }
}

/// From `_PG_init`, in every process that loads the library.
pub fn guard_own_objects() {
    // SAFETY: once in a process; the hook is chained.
    unsafe {
        PREVIOUS_ACCESS = pg_sys::object_access_hook;
        pg_sys::object_access_hook = Some(object_access);
    }
}

/// Sees each object that is dropped, whatever the statement: DROP EXTENSION, DROP SCHEMA ... CASCADE, DROP OWNED BY.
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
    // The extension itself comes last, when its tables are gone and the names of its tasks with them.
    if access == pg_sys::ObjectAccessType::OAT_DROP && class == pg_sys::RelationRelationId && part == 0 {
        check_drop_of_table(object);
    }
}

#[pg_guard]
extern "C-unwind" fn check_drop_of_table(table: pg_sys::Oid) {
    // SAFETY: inside the transaction that drops the table, which is still there; names are C strings or null.
    unsafe {
        let name = pg_sys::get_rel_name(table);
        if name.is_null() || CStr::from_ptr(name) != c"task" {
            return;
        }
        let extension = pg_sys::getExtensionOfObject(pg_sys::RelationRelationId, table);
        if extension == pg_sys::InvalidOid || extension != pg_sys::get_extension_oid(c"pg_courier".as_ptr(), true) {
            return;
        }
    }
    let tasks = spi::as_extension(|| spi::query("SELECT name FROM courier.task ORDER BY name", &[]));
    let tasks: Vec<String> = report::unwrap(tasks).iter().filter_map(|row| row.opt_string(0)).collect();
    if let Some(first) = tasks.first() {
        report::raise(
            &Error::new(sqlstate::OBJECT_IN_USE, "cannot drop extension pg_courier while it has tasks")
                .detail(format!(
                    "Tasks: {}. Each has a replication slot that would stay and keep WAL.",
                    tasks.join(", ")
                ))
                .hint(format!(
                    "SELECT courier.drop_task({}); and so on for each of them.",
                    names::quote_literal(first)
                )),
        );
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
        let next = match PREVIOUS_UTILITY {
            Some(previous) => previous,
            None => raw::standard_ProcessUtility,
        };
        next(statement, query, read_only_tree, context, params, environment, destination, completion);
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
        let next = match PREVIOUS_UTILITY {
            Some(previous) => previous,
            None => raw::standard_ProcessUtility,
        };
        next(statement, query, context, params, environment, destination, completion);
    }
}

/// # Safety
/// `statement` is a utility statement's parse tree.
unsafe fn before_utility(statement: *mut pg_sys::Node) {
    // SAFETY: by contract; the tag says which structure it is.
    unsafe {
        if !statement.is_null() && (*statement).type_ == pg_sys::NodeTag::T_DropdbStmt {
            check_drop_database(statement.cast::<pg_sys::DropdbStmt>());
        }
    }
}

/// # Safety
/// `statement` is a DROP DATABASE.
#[pg_guard]
unsafe extern "C-unwind" fn check_drop_database(statement: *mut pg_sys::DropdbStmt) {
    // SAFETY: by contract.
    unsafe {
        let name = (*statement).dbname;
        let database = pg_sys::get_database_oid(name, true);
        // Whoever may not drop it hears that from the server, and no names of tasks from us.
        if database == pg_sys::InvalidOid || !compat::owns_database(database) {
            return;
        }
        let tasks = active_tasks(database);
        if !tasks.is_empty() {
            report::raise(&drop_database_error(&crate::pg::rel::text(name), &tasks));
        }
    }
}

fn drop_database_error(database: &str, tasks: &[String]) -> Error {
    let list = tasks.join(", ");
    Error::new(sqlstate::OBJECT_IN_USE, format!("database \"{database}\" is the source of running pg_courier tasks"))
        .detail(format!("Running: {list}."))
        .hint(format!(
            "Connect to the database and run for each of them, here the first: SELECT courier.drop_task({first}); or \
             SELECT courier.pause({first});",
            first = names::quote_literal(tasks.first().map_or("", String::as_str))
        ))
}

/// Tasks whose slot in this database is in use now.
fn active_tasks(database: pg_sys::Oid) -> Vec<String> {
    let mut tasks = Vec::new();
    if database == pg_sys::InvalidOid {
        return tasks;
    }
    // SAFETY: the array lives in shared memory and has max_replication_slots entries; names and pids of slots in use
    // are stable enough for a message, the server checks again under its own locks.
    unsafe {
        let control = pg_sys::ReplicationSlotCtl;
        if control.is_null() {
            return tasks;
        }
        for index in 0..pg_sys::max_replication_slots as usize {
            let slot = (*control).replication_slots.as_ptr().add(index);
            let ours = (*slot).in_use && (*slot).active_pid != 0 && (*slot).data.database == database;
            if ours && CStr::from_ptr((*slot).data.plugin.data.as_ptr()).to_bytes() == logical::PLUGIN.as_bytes() {
                let name = crate::pg::rel::text((*slot).data.name.data.as_ptr());
                tasks.push(name.strip_prefix("courier_").unwrap_or(&name).to_owned());
            }
        }
    }
    tasks
}

/// Event trigger before statements that can drop the extension. It does nothing, but to be called it loads the library, and
/// with it the hook that does: without `shared_preload_libraries` a session may have come without.
#[pg_extern(sql = false)]
fn guard_drop_extension(_fcinfo: pg_sys::FunctionCallInfo) {}
