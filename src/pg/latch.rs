//! Waiting on the process latch, alone or together with sockets. Every wait ends for signals and postmaster death.

use std::ffi::c_long;
use std::time::Duration;

use pgrx::pg_sys;

use super::{compat, xact};
use crate::libpq::{Interest, Watch};

/// Waits for a nudge (the latch), or until the time is over. `None` waits without limit.
pub fn wait(timeout: Option<Duration>) {
    wait_sockets(&mut [], timeout);
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

fn events_of(interest: Interest) -> u32 {
    let event = |wanted, event| if wanted { event } else { 0 };
    event(interest.read, pg_sys::WL_SOCKET_READABLE) | event(interest.write, pg_sys::WL_SOCKET_WRITEABLE)
}

fn interest_of(events: u32) -> Interest {
    Interest { read: events & pg_sys::WL_SOCKET_READABLE != 0, write: events & pg_sys::WL_SOCKET_WRITEABLE != 0 }
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

/// Nudges another process of this server; nothing happens when it is gone.
pub fn nudge(pid: i32) {
    if pid <= 0 {
        return;
    }
    // SAFETY: BackendPidGetProc returns null or a PGPROC in shared memory, which stays mapped; setting the latch of a
    // process that has just ended and been replaced wakes a stranger once, which is harmless.
    unsafe {
        let process = pg_sys::BackendPidGetProc(pid);
        if !process.is_null() {
            pg_sys::SetLatch(&raw mut (*process).procLatch);
        }
    }
}

/// Is there a process with this id connected to the server?
pub fn is_alive(pid: i32) -> bool {
    // SAFETY: as in `nudge`; only compared with null.
    pid > 0 && unsafe { !pg_sys::BackendPidGetProc(pid).is_null() }
}

/// Asks a process of this server to end, as `pg_terminate_backend` does.
pub fn terminate(pid: i32) {
    if is_alive(pid) {
        // SAFETY: plain signal to a process that this server started.
        unsafe { libc::kill(pid, libc::SIGTERM) };
    }
}
