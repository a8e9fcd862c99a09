//! The server's version and settings (`utils/guc.h`).

use core::ffi::{CStr, c_char, c_int};
use core::mem::transmute;

use super::symbols::{self, GetConfigOption, extra_float_digits, namespace_search_path, set_config_option};
use crate::layout::{GUC_ACTION_SAVE, Layout, PGC_S_SESSION};
use crate::options;

/// 9.4 has one argument less. Both platforms let the callee ignore an argument too many: the caller, who
/// passed it, clears it away.
type SetConfigOption =
    unsafe extern "C-unwind" fn(*const c_char, *const c_char, c_int, c_int, c_int, bool, c_int, bool) -> c_int;

/// 90426 for 9.4.26, 150020 for 15.20; 0 if the server does not say.
///
/// Settings exist before any library is loaded, and the function that reads them has had these three
/// arguments since 9.1, so this works before the magic block is answered.
pub fn server_version_num() -> u32 {
    show(c"server_version_num").and_then(|text| options::parse_unsigned(text.to_bytes())).unwrap_or(0)
}

/// As the server prints it: "15.20 (Debian ...)".
pub fn server_version() -> &'static CStr {
    show(c"server_version").unwrap_or(c"of an unknown version")
}

/// The text is the server's and is overwritten by the next setting that is shown.
fn show(name: &CStr) -> Option<&'static CStr> {
    // SAFETY: the name is a C string; a missing setting gives null.
    let text = unsafe { GetConfigOption(name.as_ptr(), true, false) };
    // SAFETY: otherwise it is a C string that the caller uses at once.
    (!text.is_null()).then(|| unsafe { CStr::from_ptr(text) })
}

/// The setting that decides which types are printed with their schema.
#[inline]
pub fn search_path() -> &'static [u8] {
    // SAFETY: the setting's variable, a C string that is replaced only between our callbacks.
    unsafe { if namespace_search_path.is_null() { b"" } else { super::bytes(namespace_search_path) } }
}

/// Makes floats print with every digit until the transaction around the decoding ends, which is the
/// server's own and always ends with a rollback of settings.
pub fn print_floats_exactly(layout: &Layout) {
    // SAFETY: the setting's variable, an int in all versions.
    let digits = unsafe { extra_float_digits };
    // From 12 on every positive number means the shortest text that reads back as the same value.
    if digits == 3 || (layout.major >= 1200 && digits > 0) {
        return;
    }
    let (name, value) = (c"extra_float_digits".as_ptr(), c"3".as_ptr());
    let userset = layout.pgc_userset.into();
    // SAFETY: the type fits every version, see there; level 0 lets the server choose.
    unsafe {
        let set = transmute::<unsafe extern "C-unwind" fn(), SetConfigOption>(set_config_option);
        set(name, value, userset, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    }
}

/// The database's encoding, if `name` is another one or none at all.
pub fn differs_from_encoding(name: &CStr) -> Option<&'static CStr> {
    type ByName = unsafe extern "C-unwind" fn(*const c_char) -> c_int;
    // 17 and later keep the plain name for libpq.
    let names = [c"pg_char_to_encoding", c"pg_char_to_encoding_private"];
    // SAFETY: the function has had this type under both names.
    let by_name = names.into_iter().find_map(|name| unsafe { symbols::find::<ByName>(name) });
    // SAFETY: the server's answer is a static C string; `name` is one.
    unsafe {
        let ours = CStr::from_ptr(symbols::GetDatabaseEncodingName());
        let same = match by_name {
            Some(by_name) => by_name(name.as_ptr()) == symbols::GetDatabaseEncoding(),
            None => name.to_bytes().eq_ignore_ascii_case(ours.to_bytes()),
        };
        (!same).then_some(ours)
    }
}
