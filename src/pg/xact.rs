//! Transactions, interrupts, and the small facts about the session.

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::time::Duration;

use pgrx::pg_sys;

use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::Lsn;
use crate::pg::{bgworker, encoding, report};

/// Serves pending interrupts; ends the process when it was asked to stop.
pub fn check_for_interrupts() {
    bgworker::leave_if_asked();
    // SAFETY: called outside critical sections only.
    unsafe {
        if pg_sys::InterruptPending != 0 {
            pg_sys::ProcessInterrupts();
        }
        if pg_sys::ConfigReloadPending != 0 {
            pg_sys::ConfigReloadPending = 0;
            pg_sys::ProcessConfigFile(pg_sys::GucContext::PGC_SIGHUP);
        }
    }
}

/// How long this session waits for a lock before it looks for a deadlock.
pub fn deadlock_timeout() -> Duration {
    // SAFETY: a setting, read by the thread of the server.
    let ms = unsafe { pg_sys::DeadlockTimeout };
    Duration::from_millis(ms.try_into().unwrap_or(1000))
}

/// Runs `f` in a transaction of its own with an active snapshot. An error aborts the transaction.
/// For background workers; a backend is inside its own transaction already.
pub fn in_transaction<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    let outcome = report::catch(|| {
        // SAFETY: called outside a transaction by a process connected to a database.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
        }
        let value = f()?;
        // SAFETY: pairs with the calls above.
        unsafe {
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
        }
        Ok(value)
    });
    if outcome.is_err() {
        abort();
    }
    outcome
}

/// Runs `f` in a subtransaction: after an error the transaction goes on as if `f` had not been called.
pub fn attempt<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    // SAFETY: inside a transaction of the caller. Memory context and resource owner are put back, as the server's own
    // callers do; releasing and rolling back both end the subtransaction that begins here.
    unsafe {
        let (context, owner) = (pg_sys::CurrentMemoryContext, pg_sys::CurrentResourceOwner);
        pg_sys::BeginInternalSubTransaction(std::ptr::null());
        pg_sys::MemoryContextSwitchTo(context);
        let outcome = report::catch(f);
        match outcome {
            Ok(_) => pg_sys::ReleaseCurrentSubTransaction(),
            Err(_) => pg_sys::RollbackAndReleaseCurrentSubTransaction(),
        }
        pg_sys::MemoryContextSwitchTo(context);
        pg_sys::CurrentResourceOwner = owner;
        outcome
    }
}

/// What this transaction has done so far is seen by what it does next.
pub fn make_visible() {
    // SAFETY: inside a transaction.
    unsafe { pg_sys::CommandCounterIncrement() };
}

/// Gives the transaction its number, if it has none: a snapshot that is taken now is one of after its beginning.
pub fn assign_number() {
    // SAFETY: inside a transaction that may write.
    unsafe { pg_sys::GetTopTransactionId() };
}

/// Which part of which transaction this is: what is written now goes with it when it is rolled back.
pub fn here() -> (u32, u32) {
    // SAFETY: inside a transaction.
    unsafe { (pg_sys::GetTopTransactionIdIfAny().into_inner(), pg_sys::GetCurrentSubTransactionId()) }
}

/// The role whose rights are in force.
pub fn user_name() -> String {
    role_name(user_id())
}

/// Empty if there is none.
pub fn role_name(oid: u32) -> String {
    // SAFETY: inside a transaction.
    unsafe {
        let name = pg_sys::GetUserNameFromId(oid.into(), true);
        if name.is_null() { String::new() } else { encoding::to_utf8(name) }
    }
}

/// Ends a transaction that failed; harmless when there is none.
pub fn abort() {
    // SAFETY: AbortCurrentTransaction accepts every state; TopMemoryContext always exists.
    unsafe {
        pg_sys::AbortCurrentTransaction();
        pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
    }
}

/// A read-only transaction whose one snapshot stays the same, for copying. Ends with the guard.
pub struct RepeatableRead(());

impl RepeatableRead {
    /// Locks `tables` against being rewritten or truncated, and only then takes the snapshot: neither is undone for a
    /// snapshot that is older, it would see an empty table. With `exported` the snapshot is the one that another process
    /// keeps under this name.
    pub fn begin(tables: &[u32], exported: Option<&str>) -> Result<RepeatableRead> {
        let lock = || {
            for table in tables {
                // SAFETY: inside a transaction. Waiting takes no snapshot; a table that is gone is found out by who opens it.
                unsafe { pg_sys::LockRelationOid((*table).into(), pg_sys::AccessShareLock as i32) }
            }
        };
        RepeatableRead::begin_at(exported, lock).map(|(transaction, ())| transaction)
    }

    fn begin_at<R>(exported: Option<&str>, lock: impl FnOnce() -> R) -> Result<(RepeatableRead, R)> {
        let exported = exported.map(CString::new).transpose().map_err(|_| Error::internal("invalid snapshot name"))?;
        // SAFETY: called outside a transaction; isolation is set, and the snapshot imported, before the first is taken.
        unsafe {
            pg_sys::SetCurrentStatementStartTimestamp();
            pg_sys::StartTransactionCommand();
            pg_sys::XactIsoLevel = pg_sys::XACT_REPEATABLE_READ as i32;
            pg_sys::XactReadOnly = true;
            let locked = lock();
            if let Some(name) = exported {
                pg_sys::ImportSnapshot(name.as_ptr());
            }
            pg_sys::PushActiveSnapshot(pg_sys::GetTransactionSnapshot());
            Ok((RepeatableRead(()), locked))
        }
    }

    /// The same with those of the tables that nobody keeps from it; returns which they are.
    pub fn begin_with_free(tables: &[u32]) -> Result<(RepeatableRead, Vec<u32>)> {
        RepeatableRead::begin_at(None, || {
            let is_free = |table: &u32| {
                // SAFETY: inside a transaction; it takes no snapshot.
                unsafe { pg_sys::ConditionalLockRelationOid((*table).into(), pg_sys::AccessShareLock as i32) }
            };
            tables.iter().copied().filter(is_free).collect()
        })
    }

    /// Ends the transaction. Without this call the transaction is left to the error path, which aborts it.
    pub fn end(self) {
        // SAFETY: pairs with `begin`.
        unsafe {
            pg_sys::PopActiveSnapshot();
            pg_sys::CommitTransactionCommand();
        }
    }
}

/// What waits for the end of the present transaction.
enum Waiting {
    /// With the message for who would prepare the transaction.
    BeforeCommit(Box<dyn FnOnce() -> Result<()>>, &'static str),
    AfterRollback(Box<dyn FnOnce()>),
}

thread_local! {
    /// Each with the (sub)transaction that it shares its fate with.
    static WAITING: RefCell<Vec<(pg_sys::SubTransactionId, Waiting)>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` when the present transaction is about to commit, not if what has been done since is rolled back: for what no
/// rollback brings back. No SQL in it; its error rolls the transaction back. Such a transaction cannot be prepared:
/// `refusal` says so.
pub fn before_commit(refusal: &'static str, f: impl FnOnce() -> Result<()> + 'static) {
    wait_for_end(Waiting::BeforeCommit(Box::new(f), refusal));
}

/// Runs `f` if what has been done since is rolled back, with the transaction or to a savepoint. No SQL in it.
pub fn after_rollback(f: impl FnOnce() + 'static) {
    wait_for_end(Waiting::AfterRollback(Box::new(f)));
}

fn wait_for_end(what: Waiting) {
    static REGISTERED: std::sync::Once = std::sync::Once::new();
    // SAFETY: in a session's own process; the callbacks stay registered for its life.
    REGISTERED.call_once(|| unsafe {
        pg_sys::RegisterXactCallback(Some(at_transaction_end), std::ptr::null_mut());
        pg_sys::RegisterSubXactCallback(Some(at_subtransaction_end), std::ptr::null_mut());
    });
    // SAFETY: inside a transaction.
    let now = unsafe { pg_sys::GetCurrentSubTransactionId() };
    WAITING.with_borrow_mut(|waiting| waiting.push((now, what)));
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_transaction_end(event: pg_sys::XactEvent::Type, _arg: *mut std::ffi::c_void) {
    use pg_sys::XactEvent::{XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PRE_COMMIT, XACT_EVENT_PRE_PREPARE};
    let is_irrevocable = |(_, what): &(_, Waiting)| matches!(what, Waiting::BeforeCommit(..));
    match event {
        XACT_EVENT_PRE_COMMIT => {
            let due = WAITING.with_borrow_mut(|waiting| {
                let (due, rest) = std::mem::take(waiting).into_iter().partition(is_irrevocable);
                *waiting = rest;
                due as Vec<_>
            });
            for (_, what) in due {
                if let Waiting::BeforeCommit(f, _) = what {
                    report::unwrap(f());
                }
            }
        }
        XACT_EVENT_PRE_PREPARE => {
            let refusal = WAITING.with_borrow(|waiting| waiting.iter().find_map(|(_, what)| what.refusal()));
            if let Some(refusal) = refusal {
                report::raise(&Error::new("0A000", refusal));
            }
        }
        XACT_EVENT_ABORT => WAITING.take().into_iter().for_each(|(_, what)| what.rolled_back()),
        XACT_EVENT_COMMIT => drop(WAITING.take()),
        _ => {}
    }
}

#[pgrx::pg_guard]
unsafe extern "C-unwind" fn at_subtransaction_end(
    event: pg_sys::SubXactEvent::Type,
    ended: pg_sys::SubTransactionId,
    parent: pg_sys::SubTransactionId,
    _arg: *mut std::ffi::c_void,
) {
    use pg_sys::SubXactEvent::{SUBXACT_EVENT_ABORT_SUB, SUBXACT_EVENT_COMMIT_SUB};
    match event {
        SUBXACT_EVENT_COMMIT_SUB => WAITING.with_borrow_mut(|waiting| {
            waiting.iter_mut().filter(|(of, _)| *of == ended).for_each(|(of, _)| *of = parent);
        }),
        SUBXACT_EVENT_ABORT_SUB => {
            let (over, rest) = WAITING.take().into_iter().partition::<Vec<_>, _>(|(of, _)| *of == ended);
            WAITING.set(rest);
            over.into_iter().for_each(|(_, what)| what.rolled_back());
        }
        _ => {}
    }
}

impl Waiting {
    /// Why the transaction cannot be prepared.
    fn refusal(&self) -> Option<&'static str> {
        match self {
            Waiting::BeforeCommit(_, refusal) => Some(refusal),
            Waiting::AfterRollback(_) => None,
        }
    }

    fn rolled_back(self) {
        if let Waiting::AfterRollback(f) = self {
            f();
        }
    }
}

/// Waits until a transaction has left the list of running ones, at once when it has.
pub fn wait_for_transaction(xid: u32) {
    // SAFETY: inside a transaction, as a heavyweight lock needs one; no tuple is named.
    unsafe {
        pg_sys::XactLockTableWait(
            xid.into_transaction_id(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            pg_sys::XLTW_Oper::XLTW_None,
        );
    }
}

trait IntoTransactionId {
    fn into_transaction_id(self) -> pg_sys::TransactionId;
}

impl IntoTransactionId for u32 {
    fn into_transaction_id(self) -> pg_sys::TransactionId {
        self.into()
    }
}

/// Locks of this library live in the space of advisory locks, under classes that the callers choose.
fn lock_tag(class: u32, key: i32) -> pg_sys::LOCKTAG {
    pg_sys::LOCKTAG {
        locktag_field1: database_id(),
        locktag_field2: class,
        locktag_field3: key as u32,
        locktag_field4: 3,
        locktag_type: pg_sys::LockTagType::LOCKTAG_ADVISORY as u8,
        locktag_lockmethodid: pg_sys::USER_LOCKMETHOD as u8,
    }
}

/// Takes an exclusive lock for the life of this process; false when another one has it.
pub fn try_lock_for_life(class: u32, key: i32) -> bool {
    // SAFETY: a session-level lock on a plain tag; freed by the server when the process ends.
    unsafe {
        let outcome = pg_sys::LockAcquire(&lock_tag(class, key), pg_sys::ExclusiveLock as i32, true, true);
        outcome != pg_sys::LockAcquireResult::LOCKACQUIRE_NOT_AVAIL
    }
}

/// Takes an exclusive lock until this transaction ends; waits for who has it.
pub fn lock_for_transaction(class: u32, key: i32) {
    // SAFETY: inside a transaction; a transaction-level lock on a plain tag.
    unsafe {
        pg_sys::LockAcquire(&lock_tag(class, key), pg_sys::ExclusiveLock as i32, false, false);
    }
}

/// Sets a configuration parameter for this process, as the process's own choice.
pub fn set_config(name: &CStr, value: &str) -> Result<()> {
    let value = CString::new(value)
        .map_err(|_| Error::new(sqlstate::INVALID_PARAMETER_VALUE, "a setting contains a zero byte"))?;
    // SAFETY: both are C strings; the server copies the value.
    unsafe {
        pg_sys::SetConfigOption(
            name.as_ptr(),
            value.as_ptr(),
            pg_sys::GucContext::PGC_SUSET,
            pg_sys::GucSource::PGC_S_SESSION,
        );
    }
    Ok(())
}

/// Makes this process's send functions write UTF-8.
pub fn send_utf8() -> Result<()> {
    if encoding::passes_unchanged() {
        return Ok(());
    }
    // The conversion is looked up in the catalogs.
    in_transaction(|| set_config(c"client_encoding", "UTF8"))
}

/// A setting's value; `None` when this server does not know it.
pub fn config(name: &CStr) -> Option<String> {
    // SAFETY: the returned string belongs to the server and is copied.
    unsafe {
        let value = pg_sys::GetConfigOption(name.as_ptr(), true, false);
        (!value.is_null()).then(|| CStr::from_ptr(value).to_string_lossy().into_owned())
    }
}

pub fn database_id() -> u32 {
    // SAFETY: set once at connection.
    unsafe { pg_sys::MyDatabaseId.to_u32() }
}

pub fn process_id() -> i32 {
    // SAFETY: set once at process start.
    unsafe { pg_sys::MyProcPid }
}

/// Is a transaction block open, or one implied by several statements in one message? Then nothing here may commit.
pub fn is_block() -> bool {
    // SAFETY: plain read.
    unsafe { pg_sys::IsTransactionBlock() }
}

pub fn user_id() -> u32 {
    // SAFETY: plain read.
    unsafe { pg_sys::GetUserId().to_u32() }
}

pub fn is_superuser(role: u32) -> bool {
    // SAFETY: a catalog lookup inside a transaction.
    unsafe { pg_sys::superuser_arg(role.into()) }
}

pub fn system_identifier() -> u64 {
    // SAFETY: plain read of the control file's copy.
    unsafe { pg_sys::GetSystemIdentifier() }
}

/// Is this server a standby?
pub fn is_in_recovery() -> bool {
    // SAFETY: no preconditions.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// Microseconds since 2000-01-01, by the clock that the server has its timestamps from.
pub fn now() -> i64 {
    const BEGINNING: i64 = 946_684_800_000_000;
    let since_1970 = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since_1970.map_or(0, |time| time.as_micros() as i64) - BEGINNING
}

/// Writes a WAL record that changes nothing and makes it durable: a stream that has passed it has seen everything that
/// was committed before. `prefix` is for who reads the WAL. Returns its end.
pub fn write_mark(prefix: &CStr) -> Lsn {
    // SAFETY: a non-transactional message needs no transaction of ours; the buffers are static.
    unsafe {
        let lsn = log_logical_message(prefix);
        pg_sys::XLogFlush(lsn);
        Lsn(lsn)
    }
}

mod undeclared {
    use pgrx::pg_sys;
    use std::ffi::c_char;

    // Exported by the server, but in a header that the bindings leave out.
    unsafe extern "C-unwind" {
        #[cfg(not(any(feature = "pg17", feature = "pg18")))]
        pub fn LogLogicalMessage(
            prefix: *const c_char,
            message: *const c_char,
            size: usize,
            transactional: bool,
        ) -> pg_sys::XLogRecPtr;
        #[cfg(any(feature = "pg17", feature = "pg18"))]
        pub fn LogLogicalMessage(
            prefix: *const c_char,
            message: *const c_char,
            size: usize,
            transactional: bool,
            flush: bool,
        ) -> pg_sys::XLogRecPtr;
    }
}

/// # Safety
/// Inside a process that may write WAL.
unsafe fn log_logical_message(prefix: &CStr) -> pg_sys::XLogRecPtr {
    // SAFETY: the guard turns a server error into a panic; pointers are valid for the call.
    unsafe {
        pg_sys::ffi::pg_guard_ffi_boundary(|| {
            #[cfg(not(any(feature = "pg17", feature = "pg18")))]
            return undeclared::LogLogicalMessage(prefix.as_ptr(), c"".as_ptr(), 0, false);
            #[cfg(any(feature = "pg17", feature = "pg18"))]
            return undeclared::LogLogicalMessage(prefix.as_ptr(), c"".as_ptr(), 0, false, false);
        })
    }
}
