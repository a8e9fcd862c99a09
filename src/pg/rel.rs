//! Tables in the relation cache: open ones, their names, who may read them.

use std::ffi::{CStr, c_char};

use pgrx::pg_sys;

use super::compat;
use crate::logicalrep::TableName;

/// A table held open with a lock until the end of the transaction.
pub struct OpenTable(pg_sys::Relation);

impl Drop for OpenTable {
    fn drop(&mut self) {
        // While an error unwinds the transaction's abort closes it.
        if !std::thread::panicking() {
            // SAFETY: opened by `open_table`, not used after this; the lock stays to the end of the transaction.
            unsafe { pg_sys::relation_close(self.0, pg_sys::NoLock as i32) }
        }
    }
}

/// Opens an ordinary table for reading, inside a transaction; the lock lets everybody else read and write it. `None` if
/// there is no such table any more.
pub fn open_table(oid: u32) -> Option<OpenTable> {
    // SAFETY: inside a transaction; null means that the table is gone.
    let relation = unsafe { pg_sys::try_relation_open(oid.into(), pg_sys::AccessShareLock as i32) };
    (!relation.is_null()).then(|| OpenTable(relation))
}

/// Why a role does not see all rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hidden {
    /// It lacks SELECT.
    NoPrivilege,
    /// Row security applies to it.
    RowSecurity,
}

impl OpenTable {
    /// The relation, as long as this lives.
    pub(crate) fn relation(&self) -> pg_sys::Relation {
        self.0
    }

    /// For messages.
    pub fn shown(&self) -> String {
        // SAFETY: the relation is open.
        unsafe { table_name(self.0) }
    }

    /// What hides rows of it from `role`, if anything does.
    pub fn hidden_from(&self, role: u32) -> Option<Hidden> {
        // SAFETY: the relation is open; both calls look up catalogs only.
        unsafe {
            let oid = (*self.0).rd_id;
            let acl = pg_sys::pg_class_aclcheck(oid, role.into(), pg_sys::ACL_SELECT as pg_sys::AclMode);
            if acl != pg_sys::AclResult::ACLCHECK_OK {
                return Some(Hidden::NoPrivilege);
            }
            let row_security = pg_sys::check_enable_rls(oid, role.into(), true);
            (row_security == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32).then_some(Hidden::RowSecurity)
        }
    }
}

/// Is it the table of this name that belongs to this extension?
pub fn is_table_of(table: u32, name: &CStr, extension: &CStr) -> bool {
    // SAFETY: inside a transaction; names are C strings or null.
    unsafe {
        let known = pg_sys::get_rel_name(table.into());
        if known.is_null() || CStr::from_ptr(known) != name {
            return false;
        }
        let owner = pg_sys::getExtensionOfObject(pg_sys::RelationRelationId, table.into());
        owner != pg_sys::InvalidOid && owner == pg_sys::get_extension_oid(extension.as_ptr(), true)
    }
}

/// Is it a table of one session only?
pub fn is_temporary(relation: u32) -> bool {
    // SAFETY: a catalog lookup inside a transaction.
    unsafe { pg_sys::get_rel_persistence(relation.into()) as u8 == pg_sys::RELPERSISTENCE_TEMP }
}

/// Is it a view, of either kind?
pub fn is_view(relation: u32) -> bool {
    // SAFETY: a catalog lookup inside a transaction.
    let kind = unsafe { pg_sys::get_rel_relkind(relation.into()) } as u8;
    kind == pg_sys::RELKIND_VIEW || kind == pg_sys::RELKIND_MATVIEW
}

/// Does this transaction hold a lock on it, of any kind? Then it waits for nobody who wants to read its definition.
pub fn is_held(relation: u32) -> bool {
    // SAFETY: inside a transaction; the entry of the cache is pinned while it is looked at, and null if the relation is gone.
    unsafe {
        let relation = pg_sys::RelationIdGetRelation(relation.into());
        if relation.is_null() {
            return false;
        }
        let held = pg_sys::CheckRelationLockedByMe(relation, pg_sys::AccessShareLock as i32, true);
        pg_sys::RelationClose(relation);
        held
    }
}

/// Has a small table a row, among those committed by now, whose text in `column` fits? Without SQL, for who asks often. No table has none.
pub fn has_row(schema: &CStr, table: &CStr, column: &CStr, fits: impl Fn(&str) -> bool) -> bool {
    // SAFETY: inside a transaction; the scan ends before the table is closed, and the text is copied.
    unsafe {
        let oid = pg_sys::get_relname_relid(table.as_ptr(), pg_sys::get_namespace_oid(schema.as_ptr(), true));
        let number = if oid == pg_sys::InvalidOid { 0 } else { pg_sys::get_attnum(oid, column.as_ptr()) };
        if number <= 0 {
            return false;
        }
        let relation = pg_sys::table_open(oid, pg_sys::AccessShareLock as i32);
        // No snapshot: that of catalogs, which is one of now.
        let scan = pg_sys::systable_beginscan(
            relation,
            pg_sys::InvalidOid,
            false,
            std::ptr::null_mut(),
            0,
            std::ptr::null_mut(),
        );
        let mut found = false;
        while !found {
            let tuple = pg_sys::systable_getnext(scan);
            if tuple.is_null() {
                break;
            }
            let mut is_null = false;
            let value = pg_sys::heap_getattr(tuple, number.into(), (*relation).rd_att, &mut is_null);
            found = !is_null && fits(&text(pg_sys::text_to_cstring(value.cast_mut_ptr())));
        }
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(relation, pg_sys::AccessShareLock as i32);
        found
    }
}

/// For messages.
///
/// # Safety
/// `relation` is open.
pub(crate) unsafe fn table_name(relation: pg_sys::Relation) -> String {
    // SAFETY: by contract.
    unsafe { name_of(relation).shown() }
}

/// # Safety
/// `relation` is open.
pub(crate) unsafe fn name_of(relation: pg_sys::Relation) -> TableName {
    // SAFETY: by contract; names are C strings in fixed buffers or palloc'd.
    unsafe {
        let form = (*relation).rd_rel;
        let schema = text(pg_sys::get_namespace_name((*form).relnamespace));
        TableName { schema, name: text((*form).relname.data.as_ptr()) }
    }
}

/// The names of its columns.
///
/// # Safety
/// `relation` is open.
pub(crate) unsafe fn columns_of(relation: pg_sys::Relation) -> Vec<String> {
    // SAFETY: by contract; names are C strings in fixed buffers.
    unsafe {
        let descriptor = (*relation).rd_att;
        let attribute = |index: i32| compat::tuple_desc_attr(descriptor, index as usize);
        let live = (0..(*descriptor).natts).map(attribute).filter(|attribute| !(**attribute).attisdropped);
        live.map(|attribute| text((*attribute).attname.data.as_ptr())).collect()
    }
}

/// Is the table unlogged? Not if it is gone.
///
/// # Safety
/// Where catalogs can be read.
pub(crate) unsafe fn is_unlogged(table: u32) -> bool {
    // SAFETY: by contract; the cached tuple is released after the look.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::RELOID as i32, pg_sys::Datum::from(table));
        if tuple.is_null() {
            return false;
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_class>();
        let unlogged = (*form).relpersistence as u8 == pg_sys::RELPERSISTENCE_UNLOGGED;
        pg_sys::ReleaseSysCache(tuple);
        unlogged
    }
}

/// # Safety
/// `pointer` is null or a C string of the server; where catalogs can be read.
pub(crate) unsafe fn text(pointer: *const c_char) -> String {
    // SAFETY: by contract.
    unsafe { crate::pg::encoding::to_utf8(pointer) }
}
