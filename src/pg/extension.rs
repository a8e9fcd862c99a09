//! `commands/extension.h`: the script of CREATE EXTENSION or ALTER EXTENSION that is running.

use pgrx::pg_sys;

use crate::error::Result;

/// Runs `f` as if no script were running. What is created then does not belong to the extension, and what is granted is not part
/// of its initial privileges (`pg_init_privs`), which pg_dump leaves out.
pub fn outside_of_script<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    struct Until(bool);
    impl Drop for Until {
        fn drop(&mut self) {
            // SAFETY: a flag of this process, which is single-threaded.
            unsafe { pg_sys::creating_extension = self.0 };
        }
    }
    // SAFETY: as above.
    let until = Until(unsafe { pg_sys::creating_extension });
    // SAFETY: as above.
    unsafe { pg_sys::creating_extension = false };
    let value = f();
    drop(until);
    value
}

/// Is a script running? What it makes belongs to its extension.
pub fn script_runs() -> bool {
    // SAFETY: a flag of this process, which is single-threaded.
    unsafe { pg_sys::creating_extension }
}
