//! Errors, as the server reports them (`utils/elog.h`).
//!
//! Raising one does not return: the server jumps to its handler. See the rules in the module above.

use core::ffi::{CStr, c_char, c_int};
use core::fmt;
use core::mem::transmute;

use super::settings;
use super::symbols::{self, abort, errcode, errdetail, errfinish, errhint, errmsg, errstart};
use crate::layout::Layout;

pub const INVALID_PARAMETER_VALUE: &[u8; 5] = b"22023";
pub const FEATURE_NOT_SUPPORTED: &[u8; 5] = b"0A000";
pub const INTERNAL_ERROR: &[u8; 5] = b"XX000";

/// ERROR in versions later than those of the table; it has not changed since 14.
const ERROR_OF_LATER_VERSIONS: c_int = 21;

type Errstart12 = unsafe extern "C-unwind" fn(c_int, *const c_char, c_int, *const c_char, *const c_char) -> bool;
type Errfinish12 = unsafe extern "C-unwind" fn(c_int, ...);
type Errstart13 = unsafe extern "C-unwind" fn(c_int, *const c_char) -> bool;
type Errfinish13 = unsafe extern "C-unwind" fn(*const c_char, c_int, *const c_char);

/// An error in the making. Texts are `printf` formats whose `%s` are the arguments, in order.
pub struct Report<'a> {
    sqlstate: &'static [u8; 5],
    message: &'static CStr,
    arguments: [*const c_char; 2],
    detail: Option<&'a CStr>,
    hint: Option<&'a CStr>,
}

impl<'a> Report<'a> {
    pub fn new(sqlstate: &'static [u8; 5], message: &'static CStr) -> Self {
        Report { sqlstate, message, arguments: [c"".as_ptr(); 2], detail: None, hint: None }
    }

    /// What the message's `%s` stand for.
    pub fn arguments(mut self, first: &'a CStr, second: &'a CStr) -> Self {
        self.arguments = [first.as_ptr(), second.as_ptr()];
        self
    }

    pub fn detail(mut self, detail: &'a CStr) -> Self {
        self.detail = Some(detail);
        self
    }

    pub fn hint(mut self, hint: &'a CStr) -> Self {
        self.hint = Some(hint);
        self
    }

    /// `ereport(ERROR, ...)`.
    pub fn raise(self) -> ! {
        const FILE: *const c_char = c"ali_decoding".as_ptr();
        // The argument lists changed in the version that removed elog_finish.
        let up_to_12 = symbols::exists(c"elog_finish");
        let level =
            Layout::of(settings::server_version_num()).map_or(ERROR_OF_LATER_VERSIONS, |layout| layout.error.into());
        let [first, second] = self.arguments;
        // SAFETY: both names have one of the two types, as decided above. The formats are ours and take at
        // most the two strings that they get; detail and hint go through "%s". errfinish does not return
        // for an error.
        unsafe {
            if up_to_12 {
                transmute::<unsafe extern "C-unwind" fn(), Errstart12>(errstart)(
                    level,
                    FILE,
                    0,
                    FILE,
                    core::ptr::null(),
                );
            } else {
                transmute::<unsafe extern "C-unwind" fn(), Errstart13>(errstart)(level, core::ptr::null());
            }
            errcode(pack(self.sqlstate));
            errmsg(self.message.as_ptr(), first, second);
            if let Some(detail) = self.detail {
                errdetail(c"%s".as_ptr(), detail.as_ptr());
            }
            if let Some(hint) = self.hint {
                errhint(c"%s".as_ptr(), hint.as_ptr());
            }
            if up_to_12 {
                transmute::<unsafe extern "C-unwind" fn(), Errfinish12>(errfinish)(0);
            } else {
                transmute::<unsafe extern "C-unwind" fn(), Errfinish13>(errfinish)(FILE, 0, FILE);
            }
            abort()
        }
    }
}

/// The server keeps an SQLSTATE as five groups of six bits.
fn pack(sqlstate: &[u8; 5]) -> c_int {
    sqlstate.iter().rev().fold(0, |packed, character| (packed << 6) + c_int::from(character.wrapping_sub(b'0') & 0x3f))
}

/// A message of limited length without an allocator; what does not fit is left out.
pub struct Message {
    text: [u8; Message::LIMIT],
    length: usize,
}

impl Message {
    const LIMIT: usize = 400;

    pub fn new() -> Message {
        Message { text: [0; Message::LIMIT], length: 0 }
    }

    pub fn as_c_str(&self) -> &CStr {
        // The last byte is never written, so there is always a NUL.
        CStr::from_bytes_until_nul(&self.text).unwrap_or(c"")
    }
}

impl fmt::Write for Message {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let room = self.text.len() - 1 - self.length;
        let taken = text.len().min(room);
        self.text[self.length..self.length + taken].copy_from_slice(&text.as_bytes()[..taken]);
        self.length += taken;
        Ok(())
    }
}

/// A panic of ours: a bug, but no reason to take the server down.
pub fn raise_panic(message: &Message) -> ! {
    Report::new(INTERNAL_ERROR, c"ali_decoding failed: %s")
        .arguments(message.as_c_str(), c"")
        .hint(c"This is a bug in ali_decoding. Please report it with the server's version and the table's definition.")
        .raise()
}
