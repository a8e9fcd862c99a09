//! Which form the values of a type travel in.

use pgrx::pg_sys;

use crate::logicalrep::Operator;
use crate::pg::rel::text;

/// OIDs below are given out by initdb's catalogs and are the same on every server.
const FIRST_UNPINNED_OBJECT: u32 = 10_000;

/// Is the binary form of this base type the same on every server, and is it a plain value (no array, no row)?
///
/// # Safety
/// Where catalogs can be read.
pub(crate) unsafe fn travels_binary(base: pg_sys::Oid) -> bool {
    // reg* types are OIDs that mean something else elsewhere; xml carries an encoding; aclitem has no binary form.
    const TEXT_ONLY: [u32; 14] = [24, 2202, 2203, 2204, 2205, 2206, 3734, 3769, 4089, 4096, 4191, 142, 1033, 194];
    let oid = base.to_u32();
    if oid >= FIRST_UNPINNED_OBJECT || TEXT_ONLY.contains(&oid) {
        return false;
    }
    // SAFETY: by contract.
    unsafe {
        let kind = pg_sys::get_typtype(base) as u8;
        let plain = matches!(kind, b'b' | b'r' | b'm') && !is_array(base);
        plain && has_send(base) && pg_sys::get_array_type(base) != pg_sys::InvalidOid
    }
}

/// Has the type a binary form, out and in?
///
/// # Safety
/// Where catalogs can be read.
unsafe fn has_send(base: pg_sys::Oid) -> bool {
    // SAFETY: by contract; the cached tuple is released after the look.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::TYPEOID as i32, pg_sys::Datum::from(base));
        if tuple.is_null() {
            return false;
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_type>();
        let has = (*form).typsend != pg_sys::InvalidOid && (*form).typreceive != pg_sys::InvalidOid;
        pg_sys::ReleaseSysCache(tuple);
        has
    }
}

/// Types beyond [`travels_binary`] whose binary form COPY can carry: enums (sent as labels) and arrays of those types.
///
/// # Safety
/// Where catalogs can be read.
pub(crate) unsafe fn copies_binary(base: pg_sys::Oid) -> bool {
    // SAFETY: by contract.
    unsafe {
        // An array carries its element's OID, so the element must be a type that every server has.
        is_enum(base)
            || is_array(base) && base.to_u32() < FIRST_UNPINNED_OBJECT && travels_binary(pg_sys::get_element_type(base))
    }
}

/// # Safety
/// Where catalogs can be read.
pub(crate) unsafe fn is_enum(base: pg_sys::Oid) -> bool {
    // SAFETY: by contract.
    unsafe { pg_sys::get_typtype(base) as u8 == b'e' }
}

/// # Safety
/// Where catalogs can be read.
pub(crate) unsafe fn is_array(base: pg_sys::Oid) -> bool {
    // SAFETY: by contract.
    unsafe { pg_sys::get_element_type(base) != pg_sys::InvalidOid }
}

/// # Safety
/// Where catalogs can be read.
pub(crate) unsafe fn type_name(oid: pg_sys::Oid) -> String {
    // "Typmod given" makes it "bit" and "bpchar" in quotes; without, the names would mean a length of 1.
    let flags = (pg_sys::FORMAT_TYPE_FORCE_QUALIFY | pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN) as u16;
    // SAFETY: by contract; returns a palloc'd C string.
    unsafe { text(pg_sys::format_type_extended(oid, -1, flags)) }
}

/// The equality that the type's default index uses, with its schema.
///
/// # Safety
/// Where catalogs can be read.
pub(crate) unsafe fn equality(base: pg_sys::Oid) -> Operator {
    if base.to_u32() < FIRST_UNPINNED_OBJECT {
        return Operator::equals();
    }
    // SAFETY: by contract; the tuple is released after its fields were copied.
    unsafe {
        let entry = pg_sys::lookup_type_cache(base, pg_sys::TYPECACHE_EQ_OPR as i32);
        let operator = (*entry).eq_opr;
        if operator == pg_sys::InvalidOid {
            return Operator::equals();
        }
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::OPEROID as i32, pg_sys::Datum::from(operator));
        if tuple.is_null() {
            return Operator::equals();
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_operator>();
        let schema = text(pg_sys::get_namespace_name((*form).oprnamespace));
        let name = text((*form).oprname.data.as_ptr());
        pg_sys::ReleaseSysCache(tuple);
        Operator { schema, name }
    }
}
