//! Named places where a test can make a worker die, fail or wait. Compiled in with feature `failpoints` only.
//!
//! `courier.failpoints = 'apply_after_destination_commit:kill'`; several with commas. Actions: `kill` (SIGKILL, as if
//! the kernel ran out of memory), `error`, `wait` (until the setting changes).

use crate::error::Result;

#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn hit(_name: &str) -> Result<()> {
    Ok(())
}

#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn is_armed(_name: &str) -> bool {
    false
}

/// Is it armed, with whatever action? For what goes wrong by being left out.
#[cfg(feature = "failpoints")]
pub fn is_armed(name: &str) -> bool {
    crate::guc::failpoints().split(',').any(|p| p.trim().split_once(':').is_some_and(|(armed, _)| armed == name))
}

#[cfg(feature = "failpoints")]
pub fn hit(name: &str) -> Result<()> {
    use crate::error::{Error, sqlstate};
    use crate::pg::{bgworker, latch, xact};

    let action = || -> Option<String> {
        let setting = crate::guc::failpoints();
        let (_, action) = setting.split(',').filter_map(|p| p.trim().split_once(':')).find(|(n, _)| *n == name)?;
        Some(action.to_owned())
    };
    match action().as_deref() {
        Some("kill") => bgworker::kill_self(),
        Some("error") => Err(Error::new(sqlstate::INTERNAL_ERROR, format!("failpoint {name}"))),
        Some("wait") => {
            bgworker::report_activity(&format!("waiting at failpoint {name}"));
            while action().as_deref() == Some("wait") {
                latch::wait(Some(std::time::Duration::from_millis(100)));
                xact::check_for_interrupts();
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
