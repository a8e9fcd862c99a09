//! A panic is a bug, but must not cost the cluster: it becomes an ERROR of the running statement.
//!
//! The shipped library is built with `panic = "abort"` and without the standard library. There the panic
//! handler raises the server's error itself; it may jump away over the panicking frames because no frame
//! of this crate has anything to drop. A development build, which the workspace compiles with unwinding,
//! catches the panic at the border instead.

use core::fmt::Write as _;

use crate::server::error::{Message, raise_panic};

/// Runs a callback's body.
#[cfg(panic = "abort")]
#[inline(always)]
pub fn guarded<T>(body: impl FnOnce() -> T) -> T {
    body()
}

#[cfg(panic = "abort")]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    let mut message = Message::new();
    let _ = write!(message, "{}", info.message());
    if let Some(location) = info.location() {
        let _ = write!(message, " at {location}");
    }
    raise_panic(&message)
}

// Tables of the core library's own code name the function that would look for handlers if a panic unwound.
// None does, but the name has to lead somewhere. Hidden: other libraries in the process have theirs.
#[cfg(panic = "abort")]
core::arch::global_asm!(".hidden rust_eh_personality", ".globl rust_eh_personality", "rust_eh_personality:", "ret",);

#[cfg(panic = "unwind")]
pub fn guarded<T>(body: impl FnOnce() -> T) -> T {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    let payload = match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => return value,
        Err(payload) => payload,
    };
    let mut message = Message::new();
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<std::string::String>().map(|text| text.as_str()));
    let _ = message.write_str(text.unwrap_or("panic"));
    // Before the jump: nothing may be left to drop.
    drop(payload);
    raise_panic(&message)
}
