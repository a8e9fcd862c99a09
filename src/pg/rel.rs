//! Reading a table's definition from the relation cache, inside decoding or a plain transaction.

use std::ffi::c_char;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use pgrx::{PgList, pg_sys};

use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::coverage::{Interest, Names, Seen, TableName};
use crate::logicalrep::names::quote_ident;
use crate::logicalrep::relation::Identity;
use crate::logicalrep::{ChangeSink, Column, ColumnFormat, Relation};
use crate::pg::tuple::Encoder;
use crate::pg::{compat, encoding};

/// OIDs below are given out by initdb's catalogs and are the same on every server.
const FIRST_UNPINNED_OBJECT: u32 = 10_000;

/// A table with what it takes to encode its rows.
pub struct Described {
    pub relation: Rc<Relation>,
    /// For each travelling column: its place in the tuple and its encoder for parameters.
    pub(super) attributes: Vec<Attribute>,
    /// What takes its tuples apart.
    pub(super) desc: Descriptor,
    /// Is the whole old row logged?
    pub(super) is_full: bool,
    /// The types whose change makes this wrong, by the hashes under which the server tells of them.
    pub(super) types: Vec<u32>,
    /// What the descriptor and the encoders' functions keep. Last, as it goes after them.
    _memory: Memory,
}

/// Memory of the server that lives as long as one description: types' functions cache there what they like, and nobody else
/// knows what that is.
pub(super) struct Memory(pg_sys::MemoryContext);

impl Memory {
    fn new() -> Memory {
        const FIRST: usize = 1024;
        const LARGEST: usize = 1024 * 1024;
        // SAFETY: the parent lives as long as the process; the name is static.
        Memory(unsafe {
            let name = c"pg_courier table".as_ptr();
            pg_sys::AllocSetContextCreateInternal(pg_sys::TopMemoryContext, name, 0, FIRST, LARGEST)
        })
    }

    pub(super) fn context(&self) -> pg_sys::MemoryContext {
        self.0
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // While an error unwinds the process is about to end.
        if !std::thread::panicking() {
            // SAFETY: made by `new`; what lives in it belongs to the description that goes with it.
            unsafe { pg_sys::MemoryContextDelete(self.0) }
        }
    }
}

/// A tuple descriptor of our own, which outlives the relation cache's entry.
pub(super) struct Descriptor(pub(super) pg_sys::TupleDesc);

impl Descriptor {
    /// # Safety
    /// `desc` is live; the copy is not used after `memory`.
    unsafe fn copy(desc: pg_sys::TupleDesc, memory: &Memory) -> Descriptor {
        // SAFETY: by contract.
        unsafe {
            let before = pg_sys::MemoryContextSwitchTo(memory.context());
            let copy = pg_sys::CreateTupleDescCopyConstr(desc);
            pg_sys::MemoryContextSwitchTo(before);
            Descriptor(copy)
        }
    }
}

pub(super) struct Attribute {
    pub(super) index: usize,
    pub(super) is_varlena: bool,
    pub(super) param: Encoder,
    /// The type below all domains, and whether it is an enum.
    base: (u32, bool),
    /// The binary COPY encoder; `None` when the type has no binary form that travels.
    pub(super) copy: Option<Encoder>,
}

impl Described {
    /// Most invalidations change nothing that matters here: then prepared statements may stay.
    pub(super) fn keep_generation_of(mut self, known: &Described) -> Described {
        if self.relation.is_same_as(&known.relation) {
            self.relation = known.relation.clone();
        }
        self
    }

    /// Can COPY use the binary format for every column, into columns of these types? Types are given without their
    /// domains, with a mark for enums, which travel by label.
    pub fn copies_binary(&self, there: impl Fn(&str) -> Option<(u32, bool)>) -> bool {
        let agrees = |(oid, is_enum): (u32, bool), other: (u32, bool)| {
            if is_enum { other.1 } else { other.0 == oid }
        };
        self.attributes.iter().zip(&self.relation.columns).all(|(attribute, column)| {
            attribute.copy.is_some() && there(&column.name).is_some_and(|other| agrees(attribute.base, other))
        })
    }
}

/// A source table held open with a lock until the end of the transaction.
pub struct OpenTable(pub(super) pg_sys::Relation);

impl Drop for OpenTable {
    fn drop(&mut self) {
        // While an error unwinds the transaction's abort closes it.
        if !std::thread::panicking() {
            // SAFETY: opened by `open_table`, not used after this; the lock stays to the end of the transaction.
            unsafe { pg_sys::relation_close(self.0, pg_sys::NoLock as i32) }
        }
    }
}

/// Opens an ordinary table for reading; the lock lets everybody else read and write it.
pub fn open_table(oid: u32) -> Result<OpenTable> {
    // SAFETY: inside a transaction; null means that the table is gone.
    unsafe {
        let relation = pg_sys::try_relation_open(oid.into(), pg_sys::AccessShareLock as i32);
        if relation.is_null() {
            return Err(Error::new(sqlstate::UNDEFINED_TABLE, format!("the source table with OID {oid} is gone"))
                .hint("It was dropped after the task was created; drop the task and create it anew."));
        }
        Ok(OpenTable(relation))
    }
}

impl OpenTable {
    /// `name` is what it is called on the destination.
    pub fn describe(&self, name: Option<&TableName>) -> Result<Described> {
        // SAFETY: the relation is open and locked.
        unsafe { describe(self.0, 0, name) }
    }

    /// May `role` read all of it? Says why not.
    pub fn check_readable(&self, role: u32, role_name: &str) -> Result<()> {
        // SAFETY: the relation is open; both calls look up catalogs only.
        unsafe {
            let oid = (*self.0).rd_id;
            let denied = |what: &str, hint: String| {
                let name = table_name(self.0);
                Err(Error::new(sqlstate::INSUFFICIENT_PRIVILEGE, format!("{what} {name}")).hint(hint))
            };
            let acl = pg_sys::pg_class_aclcheck(oid, role.into(), pg_sys::ACL_SELECT as pg_sys::AclMode);
            if acl != pg_sys::AclResult::ACLCHECK_OK {
                let (table, role) = (table_name(self.0), quote_ident(role_name));
                let hint = format!("GRANT SELECT ON {table} TO {role}; Then SELECT courier.resume({{task}});");
                return denied("the owner of the task may not read", hint);
            }
            if pg_sys::check_enable_rls(oid, role.into(), true) == pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32 {
                let hint = "Row security would hide rows from the copy: let a role with BYPASSRLS own the task.";
                return denied("row security applies to the owner of the task on", hint.to_owned());
            }
            Ok(())
        }
    }
}

/// For messages.
///
/// # Safety
/// `relation` is open.
pub(super) unsafe fn table_name(relation: pg_sys::Relation) -> String {
    // SAFETY: by contract.
    unsafe { name_of(relation).shown() }
}

/// # Safety
/// `relation` is open.
unsafe fn name_of(relation: pg_sys::Relation) -> TableName {
    // SAFETY: by contract; names are C strings in fixed buffers or palloc'd.
    unsafe {
        let form = (*relation).rd_rel;
        let schema = text(pg_sys::get_namespace_name((*form).relnamespace));
        TableName { schema, name: text((*form).relname.data.as_ptr()) }
    }
}

/// Names as the catalogs show them where decoding is.
struct Catalog;

impl Names for Catalog {
    fn table(&self, oid: u32) -> Option<TableName> {
        // SAFETY: made by `interest` only, where catalogs can be read; null means that it is gone.
        unsafe {
            let name = pg_sys::get_rel_name(oid.into());
            let schema = pg_sys::get_namespace_name(pg_sys::get_rel_namespace(oid.into()));
            (!name.is_null() && !schema.is_null()).then(|| TableName { schema: text(schema), name: text(name) })
        }
    }

    fn has_schema(&self, name: &str) -> bool {
        let Ok(name) = encoding::to_server(name) else { return false };
        // SAFETY: as above; a C string.
        unsafe { pg_sys::get_namespace_oid(name.as_ptr(), true) != pg_sys::InvalidOid }
    }
}

/// What the sink wants of a table that rows were written to.
///
/// # Safety
/// `relation` is open, in a state where catalogs can be read.
pub(super) unsafe fn interest(relation: pg_sys::Relation, sink: &dyn ChangeSink, settled: bool) -> Result<Interest> {
    // SAFETY: by contract.
    unsafe {
        let id = (*relation).rd_id;
        let mut seen = Seen {
            oid: id.to_u32(),
            name: name_of(relation),
            ancestors: Vec::new(),
            is_users: true,
            catalog: &Catalog,
        };
        if !sink.follows(seen.oid) {
            let form = (*relation).rd_rel;
            seen.is_users = (*form).relkind as u8 == pg_sys::RELKIND_RELATION
                && pg_sys::getExtensionOfObject(pg_sys::RelationRelationId, id) == pg_sys::InvalidOid;
            if (*form).relispartition {
                let named = |oid: pg_sys::Oid| Catalog.table(oid.to_u32()).map(|name| (oid.to_u32(), name));
                seen.ancestors = compat::partition_ancestors(id).into_iter().filter_map(named).collect();
            }
        }
        sink.interest(&seen, settled)
    }
}

/// Is the table unlogged? Not if it is gone.
///
/// # Safety
/// Where catalogs can be read.
pub(super) unsafe fn is_unlogged(table: u32) -> bool {
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
/// `relation` is open, in a state where catalogs can be read. `name` is what it is called elsewhere.
pub(super) unsafe fn describe(relation: pg_sys::Relation, slot: usize, name: Option<&TableName>) -> Result<Described> {
    static GENERATION: AtomicU64 = AtomicU64::new(1);
    // SAFETY: by contract; attribute indexes stay below natts.
    unsafe {
        let form = (*relation).rd_rel;
        let desc = (*relation).rd_att;
        let natts = (*desc).natts as usize;
        let (mut identity, mut key_attributes) = identity(relation);
        let is_generated = |number: &i16| {
            let index = usize::try_from(*number - 1).unwrap_or(natts);
            index < natts && (*compat::tuple_desc_attr(desc, index)).attgenerated != 0
        };
        if key_attributes.iter().any(is_generated) {
            // The rest of the key is no key: several rows may have it.
            let is_full = (*form).relreplident == b'f' as c_char;
            identity = if is_full { Identity::FullRow } else { Identity::Generated };
            key_attributes.clear();
        }
        let mut columns = Vec::new();
        let mut attributes = Vec::new();
        let mut key = Vec::new();
        let mut types = Vec::new();
        let memory = Memory::new();
        for index in 0..natts {
            let attribute = compat::tuple_desc_attr(desc, index);
            if (*attribute).attisdropped || (*attribute).attgenerated != 0 {
                continue;
            }
            if key_attributes.contains(&(*attribute).attnum) {
                key.push(columns.len());
            }
            note_types((*attribute).atttypid, &mut types);
            let (column, described) = column(attribute, index, &memory)?;
            columns.push(column);
            attributes.push(described);
        }
        let TableName { schema, name } = name.cloned().unwrap_or_else(|| name_of(relation));
        let relation = Relation {
            oid: (*relation).rd_id.to_u32(),
            slot,
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            schema,
            name,
            columns,
            identity,
            key,
            has_one_unique_index: unique_indexes(relation) == 1,
        };
        Ok(Described {
            relation: Rc::new(relation),
            attributes,
            desc: Descriptor::copy(desc, &memory),
            is_full: (*form).relreplident == b'f' as c_char,
            types,
            _memory: memory,
        })
    }
}

/// A column's type, what it is a domain over, and what it is an array of.
///
/// # Safety
/// As for `describe`.
unsafe fn note_types(declared: pg_sys::Oid, types: &mut Vec<u32>) {
    // SAFETY: by contract; catalog lookups.
    unsafe {
        let base = pg_sys::getBaseType(declared);
        for oid in [declared, base, pg_sys::get_element_type(base)] {
            let none = pg_sys::Datum::from(0);
            let cache = pg_sys::SysCacheIdentifier::TYPEOID as i32;
            let hash = pg_sys::GetSysCacheHashValue(cache, pg_sys::Datum::from(oid), none, none, none);
            if oid != pg_sys::InvalidOid && !types.contains(&hash) {
                types.push(hash);
            }
        }
    }
}

/// How many indexes refuse rows because of others?
///
/// # Safety
/// As for `describe`.
unsafe fn unique_indexes(relation: pg_sys::Relation) -> usize {
    // SAFETY: by contract; each cached tuple is released after the look.
    let refuses = |index: pg_sys::Oid| unsafe {
        let cache = pg_sys::SysCacheIdentifier::INDEXRELID as i32;
        let tuple = pg_sys::SearchSysCache1(cache, pg_sys::Datum::from(index));
        if tuple.is_null() {
            return false;
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_index>();
        let refuses = (*form).indisunique || (*form).indisexclusion;
        pg_sys::ReleaseSysCache(tuple);
        refuses
    };
    // SAFETY: by contract; the list is a copy.
    let indexes = unsafe { PgList::<pg_sys::Oid>::from_pg(pg_sys::RelationGetIndexList(relation)) };
    indexes.iter_oid().filter(|index| refuses(*index)).count()
}

/// Which columns find a row. A FULL identity with a primary key uses the key: the old row holds it.
///
/// # Safety
/// As for `describe`.
unsafe fn identity(relation: pg_sys::Relation) -> (Identity, Vec<i16>) {
    // SAFETY: by contract.
    unsafe {
        let full = (*(*relation).rd_rel).relreplident == b'f' as c_char;
        let kind = if full {
            pg_sys::IndexAttrBitmapKind::INDEX_ATTR_BITMAP_PRIMARY_KEY
        } else {
            pg_sys::IndexAttrBitmapKind::INDEX_ATTR_BITMAP_IDENTITY_KEY
        };
        let bitmap = pg_sys::RelationGetIndexAttrBitmap(relation, kind);
        let mut key = Vec::new();
        let mut member = -1;
        loop {
            member = pg_sys::bms_next_member(bitmap, member);
            if member < 0 {
                break;
            }
            key.push((member + pg_sys::FirstLowInvalidHeapAttributeNumber) as i16);
        }
        if full && compat::primary_key_is_deferrable(relation) {
            // Keys of a deferrable constraint may pass through each other inside a transaction.
            key.clear();
        }
        match (key.is_empty(), full) {
            (false, _) => (Identity::Key, key),
            (true, true) => (Identity::FullRow, key),
            (true, false) => (Identity::Nothing, key),
        }
    }
}

/// # Safety
/// `attribute` belongs to an open relation.
unsafe fn column(
    attribute: *const pg_sys::FormData_pg_attribute,
    index: usize,
    memory: &Memory,
) -> Result<(Column, Attribute)> {
    // SAFETY: by contract; type lookups read catalogs.
    unsafe {
        let declared = (*attribute).atttypid;
        let base = pg_sys::getBaseType(declared);
        let (format, param) = if travels_binary(base) {
            let array = pg_sys::get_array_type(base).to_u32();
            (ColumnFormat::Binary { element: base.to_u32(), array }, Encoder::binary(base, memory))
        } else if is_enum(base) {
            (ColumnFormat::Label { cast: type_name(declared) }, Encoder::text(declared, memory))
        } else {
            (ColumnFormat::Text { cast: type_name(declared) }, Encoder::text(declared, memory))
        };
        let copy = if travels_binary(base) || copies_binary(base) { Some(Encoder::binary(base, memory)) } else { None };
        let column = Column {
            name: text((*attribute).attname.data.as_ptr()),
            format,
            equals: equality(base),
            // The server finds no operator between a domain over an enum and the elements of its array.
            by_element: !is_array(base) && (declared == base || !is_enum(base)),
            identity_always: (*attribute).attidentity == b'a' as c_char,
        };
        let is_varlena = (*attribute).attlen == -1;
        let base = (base.to_u32(), is_enum(base));
        Ok((column, Attribute { index, is_varlena, base, param, copy }))
    }
}

/// Is the binary form of this base type the same on every server, and is it a plain value (no array, no row)?
///
/// # Safety
/// Where catalogs can be read.
unsafe fn travels_binary(base: pg_sys::Oid) -> bool {
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
        plain && Encoder::has_send(base) && pg_sys::get_array_type(base) != pg_sys::InvalidOid
    }
}

/// Types beyond [`travels_binary`] whose binary form COPY can carry: enums (sent as labels) and arrays of those types.
///
/// # Safety
/// Where catalogs can be read.
unsafe fn copies_binary(base: pg_sys::Oid) -> bool {
    // SAFETY: by contract.
    unsafe {
        // An array carries its element's OID, so the element must be a type that every server has.
        is_enum(base)
            || is_array(base) && base.to_u32() < FIRST_UNPINNED_OBJECT && travels_binary(pg_sys::get_element_type(base))
    }
}

/// # Safety
/// Where catalogs can be read.
unsafe fn is_enum(base: pg_sys::Oid) -> bool {
    // SAFETY: by contract.
    unsafe { pg_sys::get_typtype(base) as u8 == b'e' }
}

/// # Safety
/// Where catalogs can be read.
unsafe fn is_array(base: pg_sys::Oid) -> bool {
    // SAFETY: by contract.
    unsafe { pg_sys::get_element_type(base) != pg_sys::InvalidOid }
}

/// # Safety
/// Where catalogs can be read.
unsafe fn type_name(oid: pg_sys::Oid) -> String {
    // "Typmod given" makes it "bit" and "bpchar" in quotes; without, the names would mean a length of 1.
    let flags = (pg_sys::FORMAT_TYPE_FORCE_QUALIFY | pg_sys::FORMAT_TYPE_TYPEMOD_GIVEN) as u16;
    // SAFETY: by contract; returns a palloc'd C string.
    unsafe { text(pg_sys::format_type_extended(oid, -1, flags)) }
}

/// The equality that the type's default index uses, with its schema.
///
/// # Safety
/// Where catalogs can be read.
unsafe fn equality(base: pg_sys::Oid) -> String {
    let builtin = || "OPERATOR(pg_catalog.=)".to_owned();
    if base.to_u32() < FIRST_UNPINNED_OBJECT {
        return builtin();
    }
    // SAFETY: by contract; the tuple is released after its fields were copied.
    unsafe {
        let entry = pg_sys::lookup_type_cache(base, pg_sys::TYPECACHE_EQ_OPR as i32);
        let operator = (*entry).eq_opr;
        if operator == pg_sys::InvalidOid {
            return builtin();
        }
        let tuple = pg_sys::SearchSysCache1(pg_sys::SysCacheIdentifier::OPEROID as i32, pg_sys::Datum::from(operator));
        if tuple.is_null() {
            return builtin();
        }
        let form = pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_operator>();
        let schema = text(pg_sys::get_namespace_name((*form).oprnamespace));
        let name = text((*form).oprname.data.as_ptr());
        pg_sys::ReleaseSysCache(tuple);
        format!("OPERATOR({}.{name})", crate::logicalrep::names::quote_ident(&schema))
    }
}

/// # Safety
/// `pointer` is null or a C string of the server; where catalogs can be read.
pub(super) unsafe fn text(pointer: *const c_char) -> String {
    // SAFETY: by contract.
    unsafe { crate::pg::encoding::to_utf8(pointer) }
}
