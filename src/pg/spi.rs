//! SQL on the source: statements with text parameters, rows as text.
//!
//! Every statement runs with `search_path = pg_catalog, pg_temp`, whatever role, database or caller set, and as the
//! role it is meant for: [`as_role`] for work on behalf of a role, [`as_extension`] for the tables of this
//! extension, which nobody else may write.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::rc::Rc;

use pgrx::pg_sys;

use crate::error::{Error, Result};
use crate::logicalrep::Row;
use crate::logicalrep::names::quote_literal;
use crate::pg::{encoding, report};

/// Runs `f` with the rights of `role`.
pub fn as_role<R>(role: u32, f: impl FnOnce() -> Result<R>) -> Result<R> {
    // A restricted operation cannot change the session's state behind our back.
    let flags = pg_sys::SECURITY_LOCAL_USERID_CHANGE | pg_sys::SECURITY_RESTRICTED_OPERATION;
    with_identity(role, flags as i32, SAFE, f)
}

/// Runs `f` with the rights of the superuser the cluster was made with, who can write this extension's tables.
pub fn as_extension<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    let settings = [SAFE[0], SAFE[1], (c"jit", c"off")];
    with_identity(pg_sys::BOOTSTRAP_SUPERUSERID, pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32, settings, f)
}

/// The same with further settings, for who runs often.
pub fn as_extension_with<R>(settings: &[(CString, CString)], f: impl FnOnce() -> Result<R>) -> Result<R> {
    let all = SAFE.into_iter().chain(settings.iter().map(|(name, value)| (name.as_c_str(), value.as_c_str())));
    with_identity(pg_sys::BOOTSTRAP_SUPERUSERID, pg_sys::SECURITY_LOCAL_USERID_CHANGE as i32, all, f)
}

type Setting<'a> = (&'a CStr, &'a CStr);

/// Whatever the caller's are: names that mean one thing, and strings in which backslashes are letters. Questions to the catalogs, which
/// touch each row once, are also slower with code made for them.
const SAFE: [Setting<'static>; 2] = [(c"search_path", c"pg_catalog, pg_temp"), (c"standard_conforming_strings", c"on")];

/// Settings until [`as_role`] or [`as_extension`] around it ends.
pub fn set_meanwhile<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<()> {
    let set = |(name, value)| format!("pg_catalog.set_config({}, {}, true)", quote_literal(name), quote_literal(value));
    let set: Vec<String> = settings.into_iter().map(set).collect();
    query(&format!("SELECT {}", set.join(", ")), &[]).map(drop)
}

fn with_identity<'a, R>(
    role: u32,
    flags: i32,
    settings: impl IntoIterator<Item = Setting<'a>>,
    f: impl FnOnce() -> Result<R>,
) -> Result<R> {
    let (mut saved_role, mut saved_flags) = (pg_sys::InvalidOid, 0);
    // SAFETY: inside a transaction; the identity and the settings are put back below, or by the abort of the
    // transaction when `f` leaves by an error.
    let nest_level = unsafe {
        pg_sys::GetUserIdAndSecContext(&mut saved_role, &mut saved_flags);
        pg_sys::SetUserIdAndSecContext(role.into(), saved_flags | flags);
        let nest_level = pg_sys::NewGUCNestLevel();
        for (name, value) in settings {
            pg_sys::set_config_option(
                name.as_ptr(),
                value.as_ptr(),
                pg_sys::GucContext::PGC_USERSET,
                pg_sys::GucSource::PGC_S_SESSION,
                pg_sys::GucAction::GUC_ACTION_SAVE,
                true,
                0,
                false,
            );
        }
        nest_level
    };
    let value = f();
    // SAFETY: pairs with the calls above.
    unsafe {
        pg_sys::AtEOXact_GUC(false, nest_level);
        pg_sys::SetUserIdAndSecContext(saved_role, saved_flags);
    }
    value
}

thread_local! {
    static READS_LATEST: Cell<bool> = const { Cell::new(false) };
    static KEEPS_PLANS: Cell<bool> = const { Cell::new(false) };
    /// By where the statement stands in the program.
    static PLANS: RefCell<HashMap<(*const u8, usize), pg_sys::SPIPlanPtr>> = RefCell::default();
}

/// Runs `f`, whose fixed statements ([`query_fixed`]) are planned once in the life of this process, for any parameters, with the settings
/// of this moment.
pub fn with_kept_plans<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    struct Until(bool);
    impl Drop for Until {
        fn drop(&mut self) {
            KEEPS_PLANS.set(self.0);
        }
    }
    let until = Until(KEEPS_PLANS.replace(true));
    let value = f();
    drop(until);
    value
}

/// Runs `f` with an active snapshot, where there may be none: after a command that is several transactions.
pub fn with_snapshot<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    // SAFETY: inside a transaction; popped below, or by the abort of the transaction when `f` leaves by an error of the server.
    unsafe {
        let is_missing = !pg_sys::ActiveSnapshotSet();
        if is_missing {
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        }
        let value = f();
        if is_missing {
            pg_sys::PopActiveSnapshot();
        }
        value
    }
}

/// Runs `f`, whose statements only read, on what is committed now, even in a transaction that sees the world as it was when it
/// began (REPEATABLE READ).
pub fn with_latest_snapshot<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    struct Until;
    impl Drop for Until {
        fn drop(&mut self) {
            READS_LATEST.set(false);
        }
    }
    // SAFETY: inside a transaction; popped below, or by the abort of the transaction when `f` leaves by an error. Texts of definitions
    // come from the server's caches, which it brings up to date where it takes a new lock only.
    unsafe {
        pg_sys::AcceptInvalidationMessages();
        pg_sys::PushActiveSnapshot(pg_sys::GetLatestSnapshot());
    }
    READS_LATEST.set(true);
    let until = Until;
    let value = f()?;
    drop(until);
    // SAFETY: pairs with the call above.
    unsafe { pg_sys::PopActiveSnapshot() };
    Ok(value)
}

/// Runs one statement and returns its rows. Parameters are text; cast them in the statement.
pub fn query(sql: &str, params: &[Option<&str>]) -> Result<Vec<Row>> {
    run(sql, params).map(|(rows, _)| rows)
}

/// Runs one statement and returns how many rows it touched.
pub fn execute(sql: &str, params: &[Option<&str>]) -> Result<u64> {
    run(sql, params).map(|(_, count)| count)
}

/// The first row, if there is one.
pub fn query_opt(sql: &str, params: &[Option<&str>]) -> Result<Option<Row>> {
    Ok(query(sql, params)?.into_iter().next())
}

/// The one row a query must return.
pub fn query_one(sql: &str, params: &[Option<&str>]) -> Result<Row> {
    query_opt(sql, params)?.ok_or_else(|| Error::internal("a catalog query returned no row"))
}

/// The same as `query` for a statement that stands in the program, so that its plan can be kept.
pub fn query_fixed(sql: &'static str, params: &[Option<&str>]) -> Result<Vec<Row>> {
    if !KEEPS_PLANS.get() {
        return query(sql, params);
    }
    let place = (sql.as_ptr(), sql.len());
    let plan = PLANS.with_borrow(|plans| plans.get(&place).copied());
    let plan = match plan {
        Some(plan) => plan,
        None => {
            let plan = keep_plan(sql, params.len())?;
            PLANS.with_borrow_mut(|plans| plans.insert(place, plan));
            plan
        }
    };
    run_with(params, |values, nulls, _| {
        // SAFETY: the plan is kept, with as many parameters as its first caller gave.
        unsafe { pg_sys::SPI_execute_plan(plan, values.as_mut_ptr(), nulls.as_ptr(), READS_LATEST.get(), 0) }
    })
    .map(|(rows, _)| rows)
}

/// One plan for any parameters: what is asked by oid is found by index, whatever the statistics say today.
fn keep_plan(sql: &str, parameters: usize) -> Result<pg_sys::SPIPlanPtr> {
    report::catch(|| {
        let sql = encoding::to_server(sql)?;
        let mut types = vec![pg_sys::TEXTOID; parameters];
        // SAFETY: inside a transaction; the plan leaves the memory of this call when it is kept.
        unsafe {
            pg_sys::SPI_connect();
            let options = pg_sys::CURSOR_OPT_GENERIC_PLAN as i32;
            let plan = pg_sys::SPI_prepare_cursor(sql.as_ptr(), parameters as i32, types.as_mut_ptr(), options);
            if plan.is_null() || pg_sys::SPI_keepplan(plan) != 0 {
                return Err(Error::internal("a catalog query could not be prepared"));
            }
            pg_sys::SPI_finish();
            Ok(plan)
        }
    })
}

fn run(sql: &str, params: &[Option<&str>]) -> Result<(Vec<Row>, u64)> {
    check_transaction()?;
    let sql = report::catch(|| encoding::to_server(sql))?;
    // SAFETY: arrays have one element for each parameter. A statement that only reads takes the active snapshot, and no new one.
    run_with(params, |values, nulls, types| unsafe {
        pg_sys::SPI_execute_with_args(
            sql.as_ptr(),
            types.len() as i32,
            types.as_mut_ptr(),
            values.as_mut_ptr(),
            nulls.as_ptr(),
            READS_LATEST.get(),
            0,
        )
    })
}

fn run_with(
    params: &[Option<&str>],
    execute: impl FnOnce(&mut [pg_sys::Datum], &[std::ffi::c_char], &mut [pg_sys::Oid]) -> i32,
) -> Result<(Vec<Row>, u64)> {
    check_transaction()?;
    report::catch(|| {
        let texts = params.iter().map(|p| p.map(encoding::to_server).transpose()).collect::<Result<Vec<_>>>()?;
        // SAFETY: inside a transaction with an active snapshot. SPI's memory is freed by SPI_finish; everything kept
        // is copied before. Arrays have one element for each parameter.
        unsafe {
            pg_sys::SPI_connect();
            let mut types = vec![pg_sys::TEXTOID; texts.len()];
            let mut values: Vec<pg_sys::Datum> = Vec::with_capacity(texts.len());
            let mut nulls: Vec<std::ffi::c_char> = Vec::with_capacity(texts.len());
            for text in &texts {
                let null = text.is_none();
                values.push(text.as_ref().map_or(pg_sys::Datum::from(0), |text| {
                    pg_sys::Datum::from(pg_sys::cstring_to_text(text.as_ptr()))
                }));
                nulls.push(if null { b'n' } else { b' ' } as std::ffi::c_char);
            }
            let code = execute(&mut values, &nulls, &mut types);
            if code < 0 {
                return Err(Error::internal(format!("a catalog query failed with SPI code {code}")));
            }
            let count = pg_sys::SPI_processed;
            let rows = rows_of(pg_sys::SPI_tuptable, count);
            pg_sys::SPI_finish();
            Ok((rows, count))
        }
    })
}

fn check_transaction() -> Result<()> {
    // SAFETY: plain read. Without a transaction the first catalog lookup would crash the server.
    match unsafe { pg_sys::IsTransactionState() } {
        true => Ok(()),
        false => Err(Error::internal("SQL outside a transaction")),
    }
}

/// # Safety
/// `table` is null, or has so many rows.
unsafe fn rows_of(table: *mut pg_sys::SPITupleTable, count: u64) -> Vec<Row> {
    if table.is_null() {
        return Vec::new();
    }
    // SAFETY: by contract; a descriptor has as many columns as it says.
    unsafe {
        let desc = (*table).tupdesc;
        let columns = (*desc).natts;
        let names: Rc<[String]> = (1..=columns).map(|column| name(desc, column)).collect();
        let values = |tuple| (1..=columns).map(|column| value(tuple, desc, column)).collect();
        (0..count as usize).map(|index| Row::new(values(*(*table).vals.add(index)), names.clone())).collect()
    }
}

/// # Safety
/// `desc` has `column`.
unsafe fn name(desc: pg_sys::TupleDesc, column: i32) -> String {
    // SAFETY: by contract; the C string is copied.
    unsafe {
        let name = pg_sys::SPI_fname(desc, column);
        if name.is_null() { String::new() } else { encoding::to_utf8(name) }
    }
}

/// # Safety
/// `tuple` belongs to `desc`, which has `column`.
unsafe fn value(tuple: pg_sys::HeapTuple, desc: pg_sys::TupleDesc, column: i32) -> Option<String> {
    // SAFETY: by contract; the C string is copied.
    unsafe {
        let text = pg_sys::SPI_getvalue(tuple, desc, column);
        (!text.is_null()).then(|| encoding::to_utf8(text))
    }
}
