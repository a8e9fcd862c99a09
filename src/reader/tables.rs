//! What readers' messages need to know of tables, remembered from one change to the next.
//!
//! An entry goes stale when the table changes, and all do when types, schemas or roles change or the search path does,
//! because a type's printed name may then be another one. Output functions are kept by type; what they remember between
//! calls lies in a memory context of the cache, which is emptied when everything is forgotten.

use std::collections::HashMap;
use std::ffi::{CStr, CString};
use std::rc::Rc;

use pgrx::pg_sys;

use crate::pg::invalidation::Stale;
use crate::pg::{compat, encoding, invalidation};
use crate::wire::{Column, Encoding, Identity, Kind, Name, Prepared, Table, Writer};

/// Tables remembered at once; a few kB each.
const MOST_TABLES: usize = 4096;

pub(super) type OutputFunction = *mut pg_sys::FmgrInfo;

/// A table, and how to print its values.
pub(super) struct PrintedTable {
    pub table: Table,
    pub prepared: Prepared,
    pub columns: Vec<ColumnOutput>,
}

/// How to print one column's values.
#[derive(Clone, Copy)]
pub(super) struct ColumnOutput {
    /// Null for a dropped column.
    pub function: OutputFunction,
    pub is_varlena: bool,
}

pub(super) struct Cache {
    context: pg_sys::MemoryContext,
    encoding: Encoding,
    search_path: CString,
    entries: HashMap<u32, Rc<PrintedTable>>,
    functions: HashMap<pg_sys::Oid, OutputFunction>,
}

impl Cache {
    /// # Safety
    /// `context` is the cache's own and lives as long as it is used.
    pub unsafe fn new(context: pg_sys::MemoryContext, encoding: Encoding) -> Cache {
        invalidation::register();
        Cache { context, encoding, search_path: CString::default(), entries: HashMap::new(), functions: HashMap::new() }
    }

    /// # Safety
    /// `relation` is open, inside a callback.
    pub unsafe fn entry(&mut self, relation: pg_sys::Relation, writer: &dyn Writer) -> Rc<PrintedTable> {
        self.refresh();
        // SAFETY: by contract.
        let (oid, natts) = unsafe { ((*relation).rd_id.to_u32(), (*(*relation).rd_att).natts as usize) };
        // A second look at what no message can have missed, for it is cheap.
        if let Some(known) = self.entries.get(&oid).filter(|known| known.columns.len() == natts) {
            return known.clone();
        }
        if self.entries.len() >= MOST_TABLES {
            self.clear();
        }
        // SAFETY: by contract.
        let entry = Rc::new(unsafe { self.build(relation, writer) });
        self.entries.insert(oid, entry.clone());
        entry
    }

    fn refresh(&mut self) {
        let mut all = false;
        let entries = &mut self.entries;
        invalidation::drain(|what| match what {
            Stale::Table(oid) => drop(entries.remove(&oid)),
            Stale::Type(_) | Stale::All => all = true,
        });
        // SAFETY: the setting's variable is a C string.
        let search_path = unsafe { CStr::from_ptr(pg_sys::namespace_search_path) };
        if all || search_path != self.search_path.as_c_str() {
            self.search_path = search_path.to_owned();
            self.clear();
        }
    }

    fn clear(&mut self) {
        self.entries.clear();
        self.functions.clear();
        // SAFETY: the cache's own context; nothing points into it any more.
        unsafe { pg_sys::MemoryContextReset(self.context) };
    }

    /// # Safety
    /// As for `entry`.
    unsafe fn build(&mut self, relation: pg_sys::Relation, writer: &dyn Writer) -> PrintedTable {
        // SAFETY: by contract; indexes stay below natts, and the schema is there while the relation is open.
        unsafe {
            let form = (*relation).rd_rel;
            let desc = (*relation).rd_att;
            let attributes = (0..(*desc).natts as usize).map(|index| compat::tuple_desc_attr(desc, index));
            let (columns, outputs) = attributes.map(|attribute| self.column(attribute)).unzip();
            let table = Table {
                schema: self.name(pg_sys::get_namespace_name((*form).relnamespace)),
                name: self.name((*form).relname.data.as_ptr()),
                columns,
                identity: identity(relation),
            };
            PrintedTable { prepared: writer.prepare(&table), table, columns: outputs }
        }
    }

    /// # Safety
    /// `attribute` belongs to an open relation.
    unsafe fn column(&mut self, attribute: *const pg_sys::FormData_pg_attribute) -> (Option<Column>, ColumnOutput) {
        // SAFETY: by contract; type lookups read catalogs.
        unsafe {
            if (*attribute).attisdropped {
                return (None, ColumnOutput { function: std::ptr::null_mut(), is_varlena: false });
            }
            let declared = (*attribute).atttypid;
            let base = pg_sys::getBaseType(declared);
            let column = Column {
                name: self.name((*attribute).attname.data.as_ptr()),
                type_name: self.text(pg_sys::format_type_be(declared)),
                kind: kind(base),
                is_domain: base != declared,
                is_virtual: (*attribute).attgenerated as u8 == b'v',
            };
            let output = ColumnOutput { function: self.function(declared), is_varlena: (*attribute).attlen == -1 };
            (Some(column), output)
        }
    }

    /// # Safety
    /// Where catalogs can be read.
    unsafe fn function(&mut self, type_id: pg_sys::Oid) -> OutputFunction {
        if let Some(known) = self.functions.get(&type_id) {
            return *known;
        }
        let (mut function, mut is_varlena) = (pg_sys::InvalidOid, false);
        // SAFETY: by contract; the memory is large enough for what the server writes there.
        let info = unsafe {
            let info =
                pg_sys::MemoryContextAllocZero(self.context, size_of::<pg_sys::FmgrInfo>()).cast::<pg_sys::FmgrInfo>();
            pg_sys::getTypeOutputInfo(type_id, &mut function, &mut is_varlena);
            pg_sys::fmgr_info_cxt(function, info, self.context);
            info
        };
        self.functions.insert(type_id, info);
        info
    }

    /// # Safety
    /// `pointer` is null or a C string; where catalogs can be read.
    unsafe fn name(&self, pointer: *const std::ffi::c_char) -> Name {
        if pointer.is_null() {
            return Name::default();
        }
        // SAFETY: by contract; the server returns its argument or a C string in the current context.
        unsafe { Name { plain: self.text(pointer), quoted: self.text(pg_sys::quote_identifier(pointer)) } }
    }

    /// # Safety
    /// `pointer` is a C string; where catalogs can be read.
    unsafe fn text(&self, pointer: *const std::ffi::c_char) -> Vec<u8> {
        // SAFETY: by contract.
        unsafe { encoding::wire_bytes(pointer, self.encoding).to_vec() }
    }
}

fn kind(base: pg_sys::Oid) -> Kind {
    match base {
        pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::OIDOID => Kind::Integer,
        pg_sys::INT8OID => Kind::Bigint,
        pg_sys::FLOAT4OID | pg_sys::FLOAT8OID => Kind::Float,
        pg_sys::NUMERICOID => Kind::Numeric,
        pg_sys::BOOLOID => Kind::Boolean,
        pg_sys::BITOID | pg_sys::VARBITOID => Kind::Bits,
        _ => Kind::Other,
    }
}

/// The replica identity, its index's columns in their order there.
///
/// # Safety
/// As for `Cache::entry`.
unsafe fn identity(relation: pg_sys::Relation) -> Identity {
    // SAFETY: by contract. The index stays open while its row of pg_index is read; a missing one is null.
    unsafe {
        if (*(*relation).rd_rel).relreplident as u8 == b'f' {
            return Identity::FullRow;
        }
        let oid = pg_sys::RelationGetReplicaIndex(relation);
        if oid == pg_sys::InvalidOid {
            return Identity::Nothing;
        }
        let index = pg_sys::RelationIdGetRelation(oid);
        if index.is_null() {
            return Identity::Nothing;
        }
        let row = (*index).rd_index;
        let numbers = (*row).indkey.values.as_slice((*row).indnkeyatts.max(0) as usize);
        // Numbers count from 1; an index on a system column cannot be an identity here.
        let positions = numbers.iter().filter_map(|number| usize::try_from(*number).ok()?.checked_sub(1)).collect();
        pg_sys::RelationClose(index);
        Identity::Key(positions)
    }
}
