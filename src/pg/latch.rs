//! Waiting on the process latch, alone or together with sockets. Every wait ends for signals and postmaster death.

use std::ffi::c_long;
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use pgrx::pg_sys;

use super::{compat, xact};
use crate::error::Result;
use crate::libpq::{Readiness, Watch};

/// Waits for a nudge (the latch), or until the time is over. `None` waits without limit.
pub fn wait(timeout: Option<Duration>) {
    wait_sockets(&mut [], timeout);
}

/// Waits the whole time, whatever nudges.
pub fn wait_for(time: Duration) {
    let deadline = Instant::now() + time;
    while let Some(left) = deadline.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) {
        wait(Some(left));
    }
}

/// Waits for one of the sockets, a nudge or the time; notes what the sockets are ready for. Runs the process's
/// interrupts, so it does not return when the process shall end.
pub fn wait_sockets(watches: &mut [Watch], timeout: Option<Duration>) {
    // Rounded up, so that a short rest is a wait and not a spin.
    let milliseconds = timeout.map(|timeout| timeout.as_micros().div_ceil(1000).min(i32::MAX as u128) as c_long);
    let nudged = if watches.len() > 1 { wait_several(watches, milliseconds) } else { wait_one(watches, milliseconds) };
    if nudged {
        // SAFETY: MyLatch is this process's own latch.
        unsafe { pg_sys::ResetLatch(pg_sys::MyLatch) };
    }
    xact::check_for_interrupts();
}

fn events_of(interest: Readiness) -> u32 {
    let event = |wanted, event| if wanted { event } else { 0 };
    event(interest.read, pg_sys::WL_SOCKET_READABLE) | event(interest.write, pg_sys::WL_SOCKET_WRITEABLE)
}

fn interest_of(events: u32) -> Readiness {
    Readiness { read: events & pg_sys::WL_SOCKET_READABLE != 0, write: events & pg_sys::WL_SOCKET_WRITEABLE != 0 }
}

fn wait_one(watches: &mut [Watch], milliseconds: Option<c_long>) -> bool {
    let mut events = pg_sys::WL_LATCH_SET | pg_sys::WL_EXIT_ON_PM_DEATH;
    let socket = watches.first().map_or(-1, |watch| watch.socket);
    if let Some(watch) = watches.first() {
        events |= events_of(watch.interest);
    }
    if milliseconds.is_some() {
        events |= pg_sys::WL_TIMEOUT;
    }
    let milliseconds = milliseconds.unwrap_or(-1);
    // SAFETY: MyLatch is this process's own latch; the socket belongs to a live connection or is -1.
    let happened = unsafe {
        pg_sys::WaitLatchOrSocket(pg_sys::MyLatch, events as i32, socket, milliseconds, pg_sys::PG_WAIT_EXTENSION)
    } as u32;
    if let Some(watch) = watches.first_mut() {
        watch.ready = interest_of(happened);
    }
    happened & pg_sys::WL_LATCH_SET != 0
}

fn wait_several(watches: &mut [Watch], milliseconds: Option<c_long>) -> bool {
    /// More than that are found ready by the next wait.
    const EVENTS: usize = 4;
    let mut nudged = false;
    // SAFETY: the set is freed before this returns. Nothing is registered for it that could fail but the lack of
    // memory or descriptors, and that ends the worker. The latch is this process's own, the sockets belong to live connections.
    unsafe {
        let set = compat::create_wait_set(watches.len() + 2);
        let null = std::ptr::null_mut();
        pg_sys::AddWaitEventToSet(set, pg_sys::WL_LATCH_SET, -1, pg_sys::MyLatch, null);
        pg_sys::AddWaitEventToSet(set, pg_sys::WL_EXIT_ON_PM_DEATH, -1, null.cast(), null);
        for watch in &*watches {
            pg_sys::AddWaitEventToSet(set, events_of(watch.interest), watch.socket, null.cast(), null);
        }
        let mut happened: [pg_sys::WaitEvent; EVENTS] = std::mem::zeroed();
        let timeout = milliseconds.unwrap_or(-1);
        let count =
            pg_sys::WaitEventSetWait(set, timeout, happened.as_mut_ptr(), EVENTS as i32, pg_sys::PG_WAIT_EXTENSION);
        pg_sys::FreeWaitEventSet(set);
        for event in happened.iter().take(count.max(0) as usize) {
            nudged |= event.events & pg_sys::WL_LATCH_SET != 0;
            if let Some(watch) = watches.iter_mut().find(|watch| event.fd >= 0 && watch.socket == event.fd) {
                watch.ready = interest_of(event.events);
            }
        }
    }
    nudged
}

/// Is there a process with this id connected to the server?
pub fn is_alive(pid: i32) -> bool {
    // SAFETY: only compared with null.
    pid > 0 && unsafe { !pg_sys::BackendPidGetProc(pid).is_null() }
}

/// Lets others share the locks of this process, as the leader of parallel workers does.
pub fn share_locks() {
    // SAFETY: this process belongs to no other group; harmless when it leads one.
    unsafe { pg_sys::BecomeLockGroupLeader() };
}

/// A process of this server, as others find it in shared memory; empty while it is all zeros.
///
/// A process id alone may be given to somebody else after its owner has ended. So it counts only together with the
/// owner's place among the server's processes, and background workers have places that no client's session ever gets.
#[repr(C)]
pub struct Process {
    pid: AtomicI32,
    place: AtomicUsize,
}

impl Process {
    /// Makes it this process. [`bgworker::before_exit`](super::bgworker::before_exit) is where it says goodbye.
    pub fn enter(&self) {
        // SAFETY: plain read of this process's own entry.
        self.place.store(unsafe { pg_sys::MyProc } as usize, SeqCst);
        self.pid.store(xact::process_id(), SeqCst);
    }

    /// Empties it, if it is this process.
    pub fn leave(&self) {
        let _ = self.pid.compare_exchange(xact::process_id(), 0, SeqCst, SeqCst);
    }

    /// Null unless it runs.
    fn entry(&self) -> *mut pg_sys::PGPROC {
        let (pid, place) = (self.pid.load(SeqCst), self.place.load(SeqCst));
        // SAFETY: BackendPidGetProc returns null or an entry in shared memory, which stays mapped and where it is.
        let entry = if pid > 0 { unsafe { pg_sys::BackendPidGetProc(pid) } } else { std::ptr::null_mut() };
        if entry as usize == place { entry } else { std::ptr::null_mut() }
    }

    pub fn is_alive(&self) -> bool {
        !self.entry().is_null()
    }

    /// Its id, while it runs.
    pub fn pid(&self) -> Option<i32> {
        let pid = self.pid.load(SeqCst);
        self.is_alive().then_some(pid)
    }

    /// Lets this process share the locks of that one, which has called [`share_locks`]: it does not wait for them, nor behind others who
    /// do, and the deadlock detector takes both for one. For a process that holds no locks yet; `false` when the other is gone.
    pub fn share_locks_of(&self) -> Result<bool> {
        // A process that follows another one cannot lead parallel workers of its own.
        xact::set_config(c"max_parallel_workers_per_gather", "0")?;
        let entry = self.entry();
        // SAFETY: the entry stays mapped, and the server compares the id under a lock: it may have ended meanwhile. This process
        // is not that one and belongs to no group.
        Ok(!entry.is_null() && unsafe { pg_sys::BecomeLockGroupMember(entry, self.pid.load(SeqCst)) })
    }

    /// Nudges it; nothing happens when it is gone.
    pub fn nudge(&self) {
        let entry = self.entry();
        if !entry.is_null() {
            // SAFETY: the entry stays mapped. Setting the latch of a process that has just ended and been replaced
            // wakes a stranger once, which is harmless.
            unsafe { pg_sys::SetLatch(&raw mut (*entry).procLatch) };
        }
    }

    /// Asks it to end, as `pg_terminate_backend` does.
    pub fn terminate(&self) {
        if let Some(pid) = self.pid() {
            // SAFETY: plain signal to a process that this server started.
            unsafe { libc::kill(pid, libc::SIGTERM) };
        }
    }
}
