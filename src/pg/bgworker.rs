//! Background workers: registering, starting, watching, and what each does first.

use std::cell::Cell;
use std::ffi::{CStr, c_char};
use std::path::Path;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use pgrx::pg_sys;

use crate::error::{Error, Result, sqlstate};
use crate::pg::{LIBRARY, compat};

/// Makes a function the entry point of a background worker, under the name by which the postmaster looks it up.
macro_rules! entry_point {
    ($name:ident, $main:path) => {
        #[pgrx::pg_guard]
        #[unsafe(no_mangle)]
        #[allow(unsafe_code)]
        pub extern "C-unwind" fn $name(_argument: pgrx::pg_sys::Datum) {
            $main()
        }
    };
}
pub(crate) use entry_point;

/// What a dynamic worker is to run.
pub struct Spec<'a> {
    /// Shown by `ps`, for example "replication worker: shop".
    pub name: &'a str,
    /// `backend_type` in `pg_stat_activity`.
    pub kind: &'a str,
    /// The exported function of this library.
    pub function: &'a str,
    /// Arrives at the worker by [`argument`].
    pub argument: &'a str,
    /// Seconds after which the postmaster starts it again when it ends by an error; `None` for never.
    pub restart_seconds: Option<i32>,
    /// Nudge this process when the worker starts and ends.
    pub notify: bool,
}

/// A started worker.
pub struct Handle(*mut pg_sys::BackgroundWorkerHandle);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Starting,
    Running(i32),
    Stopped,
}

impl Handle {
    pub fn state(&self) -> State {
        let mut pid = 0;
        // SAFETY: the handle came from RegisterDynamicBackgroundWorker and lives in TopMemoryContext.
        match unsafe { pg_sys::GetBackgroundWorkerPid(self.0, &mut pid) } {
            pg_sys::BgwHandleStatus::BGWH_STARTED => State::Running(pid),
            pg_sys::BgwHandleStatus::BGWH_NOT_YET_STARTED => State::Starting,
            _ => State::Stopped,
        }
    }

    pub fn is_stopped(&self) -> bool {
        self.state() == State::Stopped
    }

    /// Asks the worker to end.
    pub fn terminate(&self) {
        // SAFETY: as above.
        unsafe { pg_sys::TerminateBackgroundWorker(self.0) }
    }

    /// Waits until the worker has ended; needs `notify`.
    pub fn wait_for_shutdown(&self) {
        // SAFETY: as above.
        unsafe { pg_sys::WaitForBackgroundWorkerShutdown(self.0) };
    }
}

/// The static worker of the cluster; only while `shared_preload_libraries` is loaded.
pub fn register_launcher(name: &str, function: &str) {
    let spec = Spec { name, kind: name, function, argument: "", restart_seconds: Some(5), notify: false };
    let mut worker = fill(&spec);
    worker.bgw_start_time = pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished;
    // SAFETY: a complete description; the server copies it.
    unsafe { pg_sys::RegisterBackgroundWorker(&mut worker) }
}

pub fn start(spec: &Spec<'_>) -> Result<Handle> {
    let mut worker = fill(spec);
    let mut handle = ptr::null_mut();
    // SAFETY: the description is complete; the handle is allocated in a context that outlives the transaction.
    let registered = unsafe {
        let previous = pg_sys::MemoryContextSwitchTo(pg_sys::TopMemoryContext);
        let registered = pg_sys::RegisterDynamicBackgroundWorker(&mut worker, &mut handle);
        pg_sys::MemoryContextSwitchTo(previous);
        registered
    };
    if registered {
        return Ok(Handle(handle));
    }
    Err(Error::new(sqlstate::CONFIGURATION_LIMIT_EXCEEDED, format!("could not start \"{}\"", spec.name))
        .detail("All background worker slots of this server are in use.")
        .hint("Increase max_worker_processes (needs a restart), or stop what uses them."))
}

fn fill(spec: &Spec<'_>) -> pg_sys::BackgroundWorker {
    let mut worker = pg_sys::BackgroundWorker::default();
    copy_text(&mut worker.bgw_name, spec.name);
    copy_text(&mut worker.bgw_type, spec.kind);
    copy_text(&mut worker.bgw_library_name, LIBRARY);
    copy_text(&mut worker.bgw_function_name, spec.function);
    copy_text(&mut worker.bgw_extra, spec.argument);
    worker.bgw_flags = (pg_sys::BGWORKER_SHMEM_ACCESS | pg_sys::BGWORKER_BACKEND_DATABASE_CONNECTION) as i32;
    worker.bgw_start_time = pg_sys::BgWorkerStartTime::BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = spec.restart_seconds.unwrap_or(pg_sys::BGW_NEVER_RESTART);
    // SAFETY: plain read of this process's id.
    worker.bgw_notify_pid = if spec.notify { unsafe { pg_sys::MyProcPid } } else { 0 };
    worker
}

/// Copies text into a fixed C buffer, cut at a character boundary, always terminated.
fn copy_text(buffer: &mut [c_char], text: &str) {
    let mut length = text.len().min(buffer.len() - 1);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    for (to, from) in buffer.iter_mut().zip(text.bytes().take(length).chain([0])) {
        *to = from as c_char;
    }
}

/// Was this worker asked to end?
static ASKED_TO_END: AtomicBool = AtomicBool::new(false);

/// First thing in a worker: handlers for signals, so that a stop works wherever the worker waits.
///
/// SIGTERM does not do what it does in a client's session, where it is a FATAL error with a line in the log and exit
/// status 1, for which the postmaster would start such a worker again. It cancels what the server does for us, and the
/// worker ends in good order at its next look ([`leave_if_asked`]).
pub fn prepare_signals() {
    // SAFETY: called once at the start of a worker; the handlers only set flags and the latch.
    unsafe {
        compat::set_signal_handler(libc::SIGTERM, end);
        compat::set_signal_handler(libc::SIGHUP, raw::SignalHandlerForConfigReload);
        pg_sys::BackgroundWorkerUnblockSignals();
    }
}

unsafe extern "C-unwind" fn end(_signal: i32) {
    ASKED_TO_END.store(true, Ordering::SeqCst);
    // SAFETY: flags of the server that its own handlers set as well, and the latch of this process; errno is put back,
    // as the interrupted code may be about to read it.
    unsafe {
        let errno = libc::__errno_location();
        let before = *errno;
        pg_sys::InterruptPending = 1;
        pg_sys::QueryCancelPending = 1;
        raw::SetLatch(pg_sys::MyLatch);
        *errno = before;
    }
}

thread_local! {
    static STATUS_WHEN_ASKED: Cell<fn() -> i32> = const { Cell::new(|| 0) };
}

/// Decides on the exit status when the worker is asked to end; 0 unless this was called.
pub fn when_asked(status: fn() -> i32) {
    STATUS_WHEN_ASKED.set(status);
}

/// Ends this worker if it was asked to; others come back. Not in a critical section. An open transaction is aborted by the
/// server's exit callbacks.
pub fn leave_if_asked() {
    if ASKED_TO_END.load(Ordering::SeqCst) {
        exit(STATUS_WHEN_ASKED.get()());
    }
}

mod raw {
    // The bindings' versions are Rust functions and cannot be (in) handlers.
    unsafe extern "C-unwind" {
        pub fn SetLatch(latch: *mut pgrx::pg_sys::Latch);
        pub fn SignalHandlerForConfigReload(signal: i32);
    }
}

/// Connects this worker to a database as the bootstrap superuser; `None`: to the shared catalogs only. A worker whose
/// database is gone ends: to try would be a FATAL error, and the postmaster would have it tried again for ever. One that lets
/// nobody in any more, as before a switchover, lets our workers in: what it has shall arrive.
pub fn connect(database: Option<u32>) {
    if database.is_some_and(|database| !database_has_files(database)) {
        exit(0);
    }
    let database = database.map_or(pg_sys::InvalidOid, pg_sys::Oid::from);
    // SAFETY: called once, before any SQL.
    unsafe {
        pg_sys::BackgroundWorkerInitializeConnectionByOid(
            database,
            pg_sys::InvalidOid,
            pg_sys::BGWORKER_BYPASS_ALLOWCONN,
        )
    }
}

/// A database is a directory in one tablespace or another; the catalogs cannot be asked before there is a connection.
fn database_has_files(database: u32) -> bool {
    let version = |directory: &Path| directory.join(database.to_string()).join("PG_VERSION").exists();
    let children = |directory: &Path| {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect::<Vec<_>>()
    };
    // Relative to the data directory, where every process of the server is.
    version(Path::new("base"))
        || children(Path::new("pg_tblspc")).iter().flat_map(|space| children(space)).any(|of| version(&of))
}

/// The argument this worker was started with.
pub fn argument() -> String {
    // SAFETY: MyBgworkerEntry is set in every background worker; the buffer is terminated.
    unsafe {
        let extra = (*pg_sys::MyBgworkerEntry).bgw_extra.as_ptr();
        CStr::from_ptr(extra).to_string_lossy().into_owned()
    }
}

/// Ends this worker: 0 and it stays away, 1 and the postmaster may start it again.
pub fn exit(code: i32) -> ! {
    // SAFETY: runs the server's exit callbacks and does not return.
    unsafe { pg_sys::proc_exit(code) };
    // The bindings of 18 do not say so.
    #[allow(unreachable_code)]
    {
        unreachable!("proc_exit returned")
    }
}

/// Are we being loaded by `shared_preload_libraries`?
pub fn is_preloading() -> bool {
    // SAFETY: plain read.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// Shows in `pg_stat_activity` what this worker does.
pub fn report_activity(text: &str) {
    if let Ok(text) = std::ffi::CString::new(text) {
        // SAFETY: the server copies the text.
        unsafe { pg_sys::pgstat_report_activity(pg_sys::BackendState::STATE_RUNNING, text.as_ptr()) }
    }
}

/// Dies as if the kernel had killed the process.
#[cfg(feature = "failpoints")]
pub fn kill_self() -> ! {
    // SAFETY: a signal to ourselves; nothing runs after it.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGKILL);
        libc::_exit(1)
    }
}

/// Databases that accept connections; for the launcher, which is connected to none.
pub fn databases() -> Vec<u32> {
    let mut found = Vec::new();
    // SAFETY: a catalog scan inside its own transaction, as the server's own launchers do it; the form is read while
    // the scan holds the tuple.
    unsafe {
        pg_sys::StartTransactionCommand();
        let relation = pg_sys::table_open(pg_sys::DatabaseRelationId, pg_sys::AccessShareLock as i32);
        let scan = pg_sys::table_beginscan_catalog(relation, 0, ptr::null_mut());
        loop {
            let tuple = pg_sys::heap_getnext(scan, pg_sys::ScanDirection::ForwardScanDirection);
            if tuple.is_null() {
                break;
            }
            let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_database>();
            if (*form).datallowconn {
                found.push((*form).oid.to_u32());
            }
        }
        pg_sys::table_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        pg_sys::CommitTransactionCommand();
    }
    found
}

/// Runs `f` when this process ends, unless it is killed, before it lets go of shared memory. Once for a worker.
pub fn before_exit(f: impl Fn() + 'static) {
    thread_local! {
        static CALLBACK: Cell<Option<Box<dyn Fn()>>> = const { Cell::new(None) };
    }
    unsafe extern "C-unwind" fn call(_code: i32, _argument: pg_sys::Datum) {
        if let Some(f) = CALLBACK.take() {
            f();
        }
    }
    CALLBACK.set(Some(Box::new(f)));
    // SAFETY: registered once for a worker; the callback only writes to shared memory and sends signals.
    unsafe { pg_sys::before_shmem_exit(Some(call), pg_sys::Datum::from(0)) }
}

/// Rust backtraces do not belong into the errors users see, whatever the environment of the postmaster says.
pub fn forget_backtraces() {
    // SAFETY: while preloading, or in a backend: there is one thread.
    unsafe {
        std::env::remove_var("RUST_BACKTRACE");
        std::env::remove_var("RUST_LIB_BACKTRACE");
    }
}
