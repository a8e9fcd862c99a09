//! How an apply worker learns that there is new WAL, without asking all the time.
//!
//! On 16 and later the server broadcasts a condition variable after each flush; the worker sleeps on it together with
//! its socket. Up to 15 there is nothing like it, so this library, loaded into every backend by
//! `shared_preload_libraries`, looks after each commit whether a worker of the same database sleeps, and sets its latch:
//! two atomic operations, nothing when nobody sleeps.
//!
//! One trap: with `synchronous_commit = off` that nudge comes before the WAL is flushed, and the WAL writer nudges
//! nobody. So while WAL is written but not flushed the sleep is short. A longer fallback covers what nudges nobody at
//! all: COMMIT PREPARED, commits of other libraries' processes, and a library that was not preloaded.

use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};
use std::time::Duration;

use pgrx::pg_sys;
use pgrx::prelude::*;

use crate::libpq::Watch;
use crate::logicalrep::Lsn;
use crate::pg::{LIBRARY_NAME, bgworker, compat, latch, xact};

const SLOTS: usize = 128;
/// Until the WAL writer has flushed what an asynchronous commit left behind.
const UNFLUSHED: Duration = Duration::from_millis(10);
/// The fallback: when commits nudge us, and when they cannot.
const NUDGED: Duration = Duration::from_millis(100);
const NOT_NUDGED: Duration = Duration::from_millis(20);

#[repr(C)]
struct Slot {
    /// The owner's process id; 0 when free.
    pid: AtomicU32,
    database: AtomicU32,
    sleeping: AtomicBool,
    latch: AtomicPtr<pg_sys::Latch>,
}

#[repr(C)]
struct Shared {
    slots: [Slot; SLOTS],
    /// Counts the calls of [`note_unstarted`].
    unstarted: AtomicU32,
}

/// Set in the postmaster, inherited by every process; null when not preloaded.
static SHARED: AtomicPtr<Shared> = AtomicPtr::new(std::ptr::null_mut());

fn shared() -> Option<&'static Shared> {
    // SAFETY: set by `startup` to a zero-initialized area of this size in the main shared memory segment.
    unsafe { SHARED.load(Ordering::Relaxed).as_ref() }
}

fn slots() -> &'static [Slot] {
    shared().map_or(&[], |shared| &shared.slots)
}

/// For a worker that has no other way to answer the one that started it: something is left to be started.
pub fn note_unstarted() {
    if let Some(shared) = shared() {
        shared.unstarted.fetch_add(1, Ordering::SeqCst);
    }
}

/// Changes with each call of [`note_unstarted`] in this server.
pub fn unstarted() -> u32 {
    shared().map_or(0, |shared| shared.unstarted.load(Ordering::SeqCst))
}

static mut PREVIOUS_STARTUP: pg_sys::shmem_startup_hook_type = None;
#[cfg(not(any(feature = "pg13", feature = "pg14")))]
static mut PREVIOUS_REQUEST: pg_sys::shmem_request_hook_type = None;

/// From `_PG_init` while preloading: asks for the memory and hooks into commits.
pub fn install() {
    // SAFETY: in the postmaster, before it starts other processes; hooks are chained.
    unsafe {
        PREVIOUS_STARTUP = pg_sys::shmem_startup_hook;
        pg_sys::shmem_startup_hook = Some(startup);
        #[cfg(any(feature = "pg13", feature = "pg14"))]
        pg_sys::RequestAddinShmemSpace(size_of::<Shared>());
        #[cfg(not(any(feature = "pg13", feature = "pg14")))]
        {
            PREVIOUS_REQUEST = pg_sys::shmem_request_hook;
            pg_sys::shmem_request_hook = Some(request);
        }
        pg_sys::RegisterXactCallback(Some(after_commit), std::ptr::null_mut());
    }
}

#[cfg(not(any(feature = "pg13", feature = "pg14")))]
#[pg_guard]
unsafe extern "C-unwind" fn request() {
    // SAFETY: called by the server at the right moment; the previous hook is chained.
    unsafe {
        if let Some(previous) = PREVIOUS_REQUEST {
            previous();
        }
        pg_sys::RequestAddinShmemSpace(size_of::<Shared>());
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn startup() {
    // SAFETY: called by the server with the main segment mapped; the area is zeroed when it is new.
    unsafe {
        if let Some(previous) = PREVIOUS_STARTUP {
            previous();
        }
        let mut found = false;
        let size = size_of::<Shared>();
        let area = pg_sys::ShmemInitStruct(LIBRARY_NAME.as_ptr(), size, &mut found);
        if !found {
            std::ptr::write_bytes(area.cast::<u8>(), 0, size);
        }
        SHARED.store(area.cast::<Shared>(), Ordering::Relaxed);
    }
}

/// After every commit of every backend: wakes the sleeping workers of this database.
unsafe extern "C-unwind" fn after_commit(event: pg_sys::XactEvent::Type, _arg: *mut std::ffi::c_void) {
    if event != pg_sys::XactEvent::XACT_EVENT_COMMIT {
        return;
    }
    let mut database = 0;
    for slot in slots() {
        if !slot.sleeping.load(Ordering::Acquire) {
            continue;
        }
        if database == 0 {
            database = xact::database_id();
        }
        if slot.database.load(Ordering::Relaxed) == database && slot.sleeping.swap(false, Ordering::AcqRel) {
            let latch = slot.latch.load(Ordering::Acquire);
            if !latch.is_null() {
                // SAFETY: the latch of a PGPROC in shared memory, which stays mapped for ever.
                unsafe { pg_sys::SetLatch(latch) };
            }
        }
    }
}

/// A worker's place among the sleepers.
pub struct Sleeper(Option<&'static Slot>);

impl Sleeper {
    pub fn register() -> Sleeper {
        let pid = xact::process_id() as u32;
        for slot in slots() {
            let owner = slot.pid.load(Ordering::Relaxed);
            let free = owner == 0 || !latch::is_alive(owner as i32);
            if free && slot.pid.compare_exchange(owner, pid, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                slot.sleeping.store(false, Ordering::Relaxed);
                slot.database.store(xact::database_id(), Ordering::Relaxed);
                // SAFETY: plain read of this process's latch pointer.
                slot.latch.store(unsafe { pg_sys::MyLatch }, Ordering::Release);
                return Sleeper(Some(slot));
            }
        }
        Sleeper(None)
    }

    /// Sleeps until there may be WAL behind `position`, a socket is ready, someone nudges, or `limit` is over.
    pub fn sleep(&self, position: Lsn, sockets: &mut [Watch], limit: Duration) {
        if let Some(slot) = self.0 {
            slot.sleeping.store(true, Ordering::SeqCst);
        }
        prepare_flush_wait();
        if compat::flush_lsn() <= position {
            latch::wait_sockets(sockets, Some(self.patience(position).min(limit)));
        }
        cancel_flush_wait();
        if let Some(slot) = self.0 {
            slot.sleeping.store(false, Ordering::Relaxed);
        }
    }

    fn patience(&self, position: Lsn) -> Duration {
        if !is_nudged_by_flush() && compat::insert_lsn() > position {
            UNFLUSHED
        } else if is_nudged_by_flush() || self.0.is_some() {
            NUDGED
        } else {
            NOT_NUDGED
        }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        if let Some(slot) = self.0 {
            slot.sleeping.store(false, Ordering::Relaxed);
            slot.pid.store(0, Ordering::Release);
        }
    }
}

#[cfg(any(feature = "pg13", feature = "pg14", feature = "pg15"))]
mod flush_wait {
    pub fn is_nudged_by_flush() -> bool {
        false
    }
    pub fn prepare_flush_wait() {}
    pub fn cancel_flush_wait() {}
}

#[cfg(not(any(feature = "pg13", feature = "pg14", feature = "pg15")))]
mod flush_wait {
    use pgrx::pg_sys;

    pub fn is_nudged_by_flush() -> bool {
        // SAFETY: plain reads; the walsender array exists only with max_wal_senders > 0.
        unsafe { pg_sys::max_wal_senders > 0 && !pg_sys::WalSndCtl.is_null() }
    }

    pub fn prepare_flush_wait() {
        if is_nudged_by_flush() {
            // SAFETY: the condition variable lives in shared memory.
            unsafe { pg_sys::ConditionVariablePrepareToSleep(&raw mut (*pg_sys::WalSndCtl).wal_flush_cv) }
        }
    }

    pub fn cancel_flush_wait() {
        if is_nudged_by_flush() {
            // SAFETY: pairs with `prepare_flush_wait`.
            unsafe {
                pg_sys::ConditionVariableCancelSleep();
            }
        }
    }
}

use flush_wait::{cancel_flush_wait, is_nudged_by_flush, prepare_flush_wait};

/// Was the library preloaded, so that it is there after a restart, and commits wake the workers?
pub fn is_preloaded() -> bool {
    !slots().is_empty() || bgworker::is_preloading()
}
