//! Waiting on the process latch, alone or together with a socket. Every wait ends for signals and postmaster death.

use std::time::Duration;

use pgrx::pg_sys;

use super::xact;
use crate::libpq::Interest;

/// Waits for a nudge (the latch), or until the time is over. `None` waits without limit.
pub fn wait(timeout: Option<Duration>) {
    wait_socket(-1, Interest::default(), timeout);
}

/// Waits for the socket, a nudge or the time; says what the socket is ready for. Runs the process's interrupts, so it
/// does not return when the process shall end.
pub fn wait_socket(socket: i32, interest: Interest, timeout: Option<Duration>) -> Interest {
    let mut events = pg_sys::WL_LATCH_SET | pg_sys::WL_EXIT_ON_PM_DEATH;
    if socket >= 0 && interest.read {
        events |= pg_sys::WL_SOCKET_READABLE;
    }
    if socket >= 0 && interest.write {
        events |= pg_sys::WL_SOCKET_WRITEABLE;
    }
    let milliseconds = match timeout {
        None => -1,
        // Rounded up, so that a short rest is a wait and not a spin.
        Some(timeout) => timeout.as_micros().div_ceil(1000).min(i32::MAX as u128) as i64,
    };
    if timeout.is_some() {
        events |= pg_sys::WL_TIMEOUT;
    }
    // SAFETY: MyLatch is this process's own latch; the socket belongs to a live connection or is -1.
    let happened = unsafe {
        pg_sys::WaitLatchOrSocket(pg_sys::MyLatch, events as i32, socket, milliseconds, pg_sys::PG_WAIT_EXTENSION)
    } as u32;
    if happened & pg_sys::WL_LATCH_SET != 0 {
        // SAFETY: as above.
        unsafe { pg_sys::ResetLatch(pg_sys::MyLatch) };
    }
    xact::check_for_interrupts();
    Interest { read: happened & pg_sys::WL_SOCKET_READABLE != 0, write: happened & pg_sys::WL_SOCKET_WRITEABLE != 0 }
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
