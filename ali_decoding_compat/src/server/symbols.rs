//! Symbols of the server that loads us.
//!
//! Those below have had the same name and arguments from 9.4 to 18 and stay undefined in the library: the
//! loader binds them to the server. Those that came, went or changed are looked up with [`find`].

use core::ffi::{CStr, c_char, c_int, c_void};
use core::mem::transmute_copy;

use super::{Datum, Oid};

/// A `StringInfoData`, whose layout is the same in all versions.
#[repr(C)]
pub struct StringInfoData {
    pub data: *mut u8,
    pub len: c_int,
    pub maxlen: c_int,
    pub cursor: c_int,
}

/// Room for an `FmgrInfo`, which is 48 bytes in all versions so far; we never look inside.
#[repr(C, align(8))]
pub struct FmgrInfo([u8; 128]);

pub type RelcacheCallback = unsafe extern "C-unwind" fn(Datum, Oid);
pub type SyscacheCallback = unsafe extern "C-unwind" fn(Datum, c_int, u32);

unsafe extern "C-unwind" {
    // utils/memutils.h, utils/palloc.h
    pub static mut CurrentMemoryContext: *mut c_void;
    pub fn MemoryContextAlloc(context: *mut c_void, size: usize) -> *mut c_void;
    pub fn MemoryContextAllocZero(context: *mut c_void, size: usize) -> *mut c_void;
    pub fn MemoryContextReset(context: *mut c_void);
    pub fn pfree(pointer: *mut c_void);

    // lib/stringinfo.h
    pub fn initStringInfo(string: *mut StringInfoData);
    pub fn enlargeStringInfo(string: *mut StringInfoData, needed: c_int);

    // utils/elog.h; errstart and errfinish changed their arguments in 13, see error.rs
    pub fn errstart();
    pub fn errfinish();
    pub fn errcode(sqlstate: c_int) -> c_int;
    pub fn errmsg(format: *const c_char, ...) -> c_int;
    pub fn errdetail(format: *const c_char, ...) -> c_int;
    pub fn errhint(format: *const c_char, ...) -> c_int;

    // utils/guc.h; set_config_option got an argument, see settings.rs
    pub static extra_float_digits: c_int;
    pub static namespace_search_path: *const c_char;
    pub fn GetConfigOption(name: *const c_char, missing_ok: bool, restrict: bool) -> *const c_char;
    pub fn set_config_option();

    // mb/pg_wchar.h
    pub fn GetDatabaseEncoding() -> c_int;
    pub fn GetDatabaseEncodingName() -> *const c_char;

    // replication/output_plugin.h
    pub fn OutputPluginPrepareWrite(context: *mut c_void, last: bool);
    pub fn OutputPluginWrite(context: *mut c_void, last: bool);

    // utils/relcache.h, nodes/pg_list.h
    pub fn RelationIdGetRelation(relation: Oid) -> *mut c_void;
    pub fn RelationClose(relation: *mut c_void);
    pub fn RelationGetIndexList(relation: *mut c_void) -> *mut c_void;
    pub fn list_free(list: *mut c_void);

    // utils/lsyscache.h, utils/builtins.h, access/htup_details.h
    pub fn get_namespace_name(namespace: Oid) -> *const c_char;
    pub fn format_type_be(type_oid: Oid) -> *const c_char;
    pub fn quote_identifier(name: *const c_char) -> *const c_char;
    pub fn getTypeOutputInfo(type_oid: Oid, function: *mut Oid, is_varlena: *mut bool);
    pub fn heap_deform_tuple(tuple: *const u8, descriptor: *const u8, values: *mut Datum, nulls: *mut bool);

    // fmgr.h
    pub fn fmgr_info_cxt(function: Oid, info: *mut FmgrInfo, context: *mut c_void);
    pub fn OutputFunctionCall(info: *mut FmgrInfo, value: Datum) -> *const c_char;

    // utils/inval.h
    pub fn CacheRegisterRelcacheCallback(callback: RelcacheCallback, argument: Datum);
    pub fn CacheRegisterSyscacheCallback(cache: c_int, callback: SyscacheCallback, argument: Datum);

    // The C library's, which the server has loaded.
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    pub fn abort() -> !;
}

/// Looks a function up in the server's own process.
///
/// # Safety
/// `F` is the type of a function pointer that fits the function of that name in the running server.
pub unsafe fn find<F: Copy>(name: &CStr) -> Option<F> {
    const { assert!(size_of::<F>() == size_of::<*mut c_void>()) };
    // SAFETY: a null handle means the default search order; the name is a C string.
    let address = unsafe { dlsym(core::ptr::null_mut(), name.as_ptr()) };
    // SAFETY: both are one address, and the caller vouches for the type.
    (!address.is_null()).then(|| unsafe { transmute_copy(&address) })
}

/// Whether the server has a symbol of that name.
pub fn exists(name: &CStr) -> bool {
    // SAFETY: a data pointer is never called.
    unsafe { find::<*const c_void>(name) }.is_some()
}
