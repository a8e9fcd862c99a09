//! Answers to statements that a running task would otherwise make hang or fail obscurely.

use std::ffi::CStr;

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::error::{Error, sqlstate};
use crate::pg::{logical, report, spi};

static mut PREVIOUS_UTILITY: pg_sys::ProcessUtility_hook_type = None;

/// From `_PG_init` while preloading.
pub fn install() {
    // SAFETY: in the postmaster, before other processes start; the hook is chained.
    unsafe {
        PREVIOUS_UTILITY = pg_sys::ProcessUtility_hook;
        pg_sys::ProcessUtility_hook = Some(utility);
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
            "Connect to the database and run SELECT courier.drop_task('{}'); or courier.pause(...) for each of them.",
            tasks.first().map_or("", String::as_str)
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

/// Event trigger on DROP EXTENSION: refuses to drop this one while it has tasks, which would leave slots behind.
#[pg_extern(sql = false)]
fn guard_drop_extension(fcinfo: pg_sys::FunctionCallInfo) {
    // SAFETY: called by the event trigger machinery, which passes its data as the call's context.
    let names_us = unsafe {
        let data = (*fcinfo).context.cast::<pg_sys::EventTriggerData>();
        !data.is_null()
            && (*data.cast::<pg_sys::Node>()).type_ == pg_sys::NodeTag::T_EventTriggerData
            && names_extension((*data).parsetree)
    };
    if !names_us {
        return;
    }
    let tasks = spi::as_extension(|| spi::query("SELECT name FROM courier.task ORDER BY name", &[]));
    let tasks: Vec<String> = report::unwrap(tasks).iter().filter_map(|r| r.opt_string(0)).collect();
    if !tasks.is_empty() {
        report::raise(
            &Error::new(sqlstate::OBJECT_IN_USE, "cannot drop extension pg_courier while it has tasks")
                .detail(format!("Tasks: {}.", tasks.join(", ")))
                .hint(format!("SELECT courier.drop_task('{}'); and so on for each of them.", tasks[0])),
        );
    }
}

/// # Safety
/// `tree` is the parse tree of a DROP statement.
unsafe fn names_extension(tree: *mut pg_sys::Node) -> bool {
    // SAFETY: by contract; for DROP EXTENSION the list holds string nodes.
    unsafe {
        if tree.is_null() || (*tree).type_ != pg_sys::NodeTag::T_DropStmt {
            return false;
        }
        let statement = tree.cast::<pg_sys::DropStmt>();
        if (*statement).removeType != pg_sys::ObjectType::OBJECT_EXTENSION || (*statement).objects.is_null() {
            return false;
        }
        let list = (*statement).objects;
        (0..(*list).length as usize).any(|index| {
            let node = (*(*list).elements.add(index)).ptr_value;
            string_value(node) == b"pg_courier"
        })
    }
}

/// # Safety
/// `node` is a string node, whose C string lives as long as the parse tree.
unsafe fn string_value<'a>(node: *mut std::ffi::c_void) -> &'a [u8] {
    // SAFETY: by contract.
    unsafe {
        #[cfg(any(feature = "pg13", feature = "pg14"))]
        return CStr::from_ptr((*node.cast::<pg_sys::Value>()).val.str_).to_bytes();
        #[cfg(not(any(feature = "pg13", feature = "pg14")))]
        CStr::from_ptr((*node.cast::<pg_sys::String>()).sval).to_bytes()
    }
}
