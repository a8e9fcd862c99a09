//! Reading a table's definition from the relation cache, inside decoding or a plain transaction.

use std::ffi::c_char;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use pgrx::{PgList, pg_sys};

use super::encoder::Encoder;
use super::memory::{Descriptor, Memory};
use super::types::{copies_binary, equality, is_array, is_enum, travels_binary, type_name};
use crate::error::Result;
use crate::logicalrep::relation::Identity;
use crate::logicalrep::{Column, ColumnFormat, Relation};
use crate::pg::compat;
use crate::pg::rel::{OpenTable, name_of, text};
use crate::transform::Route;

/// A table with what it takes to encode its rows.
pub struct Described {
    pub relation: Rc<Relation>,
    /// For each travelling column: its place in the tuple and its encoder for parameters.
    pub(crate) attributes: Vec<Attribute>,
    /// What takes its tuples apart.
    pub(crate) desc: Descriptor,
    /// Is the whole old row logged?
    pub(crate) is_full: bool,
    /// The types whose change makes this wrong, by the hashes under which the server tells of them.
    pub(crate) types: Vec<u32>,
    /// What the descriptor and the encoders' functions keep. Last, as it goes after them.
    _memory: Memory,
}

pub(crate) struct Attribute {
    pub(crate) index: usize,
    pub(crate) is_varlena: bool,
    pub(crate) param: Encoder,
    /// The type below all domains, and whether it is an enum.
    base: (u32, bool),
    /// The binary COPY encoder; `None` when the type has no binary form that travels.
    pub(crate) copy: Option<Encoder>,
}

impl Described {
    /// Most invalidations change nothing that matters here: then prepared statements may stay.
    pub(crate) fn keep_generation_of(mut self, known: &Described) -> Described {
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

/// A table held open, for rows that go this way.
pub fn describe_open(table: &OpenTable, route: &Rc<Route>) -> Result<Described> {
    // SAFETY: the relation is open and locked.
    unsafe { describe(table.relation(), 0, Some(route)) }
}

/// # Safety
/// `relation` is open, in a state where catalogs can be read. Without a route it is the same on both sides.
pub(crate) unsafe fn describe(relation: pg_sys::Relation, slot: usize, route: Option<&Rc<Route>>) -> Result<Described> {
    static GENERATION: AtomicU64 = AtomicU64::new(1);
    // SAFETY: by contract; attribute indexes stay below natts.
    unsafe {
        let form = (*relation).rd_rel;
        let desc = (*relation).rd_att;
        let route = route.cloned().unwrap_or_else(|| Rc::new(Route::identity(name_of(relation))));
        let natts = (*desc).natts as usize;
        let is_full = (*form).relreplident == b'f' as c_char;
        let (identity, key_attributes) = travelling(relation, identity(relation), &route, is_full);
        let mut columns = Vec::new();
        let mut attributes = Vec::new();
        let mut key = Vec::new();
        let mut types = Vec::new();
        let memory = Memory::new();
        for index in 0..natts {
            let attribute = compat::tuple_desc_attr(desc, index);
            if (*attribute).attisdropped {
                continue;
            }
            let source = text((*attribute).attname.data.as_ptr());
            if (*attribute).attgenerated != 0 && !route.feeds(&source) {
                continue;
            }
            let Some(target) = route.column(&source) else { continue };
            if key_attributes.contains(&(*attribute).attnum) {
                key.push(columns.len());
            }
            note_types((*attribute).atttypid, &mut types);
            let (column, described) = column(attribute, index, &memory, target.to_owned(), source)?;
            columns.push(column);
            attributes.push(described);
        }
        let relation = Relation {
            oid: (*relation).rd_id.to_u32(),
            slot,
            generation: GENERATION.fetch_add(1, Ordering::Relaxed),
            route,
            columns,
            identity,
            key,
            has_one_unique_index: unique_indexes(relation) == 1,
        };
        Ok(Described {
            relation: Rc::new(relation),
            attributes,
            desc: Descriptor::copy(desc, &memory),
            is_full,
            types,
            _memory: memory,
        })
    }
}

/// An identity with a column that does not travel is none.
///
/// # Safety
/// As for `describe`.
unsafe fn travelling(
    relation: pg_sys::Relation,
    (identity, key): (Identity, Vec<i16>),
    route: &Route,
    is_full: bool,
) -> (Identity, Vec<i16>) {
    // SAFETY: by contract; attribute indexes stay below natts.
    let stays = |number: &i16| unsafe {
        let (desc, natts) = ((*relation).rd_att, (*(*relation).rd_att).natts as usize);
        let index = usize::try_from(*number - 1).unwrap_or(natts);
        let attribute = (index < natts).then(|| compat::tuple_desc_attr(desc, index));
        attribute.is_some_and(|attribute| {
            let name = text((*attribute).attname.data.as_ptr());
            (*attribute).attgenerated != 0 && !route.feeds(&name) || route.column(&name).is_none()
        })
    };
    match (key.iter().any(stays), is_full) {
        (false, _) => (identity, key),
        // The rest of the key is no key: several rows may have it.
        (true, true) => (Identity::FullRow, Vec::new()),
        (true, false) => (Identity::Generated, Vec::new()),
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
    name: String,
    source: String,
) -> Result<(Column, Attribute)> {
    // SAFETY: by contract; type lookups read catalogs.
    unsafe {
        let declared = (*attribute).atttypid;
        let base = pg_sys::getBaseType(declared);
        let (format, param) = if travels_binary(base) {
            let array = pg_sys::get_array_type(base).to_u32();
            (ColumnFormat::Binary { element: base.to_u32(), array }, Encoder::binary(base, memory))
        } else if is_enum(base) {
            (ColumnFormat::Label { type_name: type_name(declared) }, Encoder::text(declared, memory))
        } else {
            (ColumnFormat::Text { type_name: type_name(declared) }, Encoder::text(declared, memory))
        };
        let copy = if travels_binary(base) || copies_binary(base) { Some(Encoder::binary(base, memory)) } else { None };
        let column = Column {
            name,
            source,
            format,
            equality: equality(base),
            // The server finds no operator between a domain over an enum and the elements of its array.
            by_element: !is_array(base) && (declared == base || !is_enum(base)),
            identity_always: (*attribute).attidentity == b'a' as c_char,
        };
        let is_varlena = (*attribute).attlen == -1;
        let base = (base.to_u32(), is_enum(base));
        Ok((column, Attribute { index, is_varlena, base, param, copy }))
    }
}
