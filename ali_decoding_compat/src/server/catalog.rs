//! Relations, attributes and types as the decoding server sees them at the change's place in history.

use core::ffi::c_char;

use super::memory::Context;
use super::symbols::{
    self, FmgrInfo, OutputFunctionCall, RelationClose, RelationGetIndexList, RelationIdGetRelation, fmgr_info_cxt,
    format_type_be, get_namespace_name, getTypeOutputInfo, list_free, quote_identifier,
};
use super::{Datum, Oid, bytes, field};
use crate::layout::{ATTRIBUTE_ATTNAME, ATTRIBUTE_ATTTYPID, INT2VECTOR_VALUES, Layout, NONE, TUPDESC_NATTS};

/// A `Relation` that the server keeps open.
#[derive(Clone, Copy)]
pub struct Relation {
    pointer: *const u8,
    layout: &'static Layout,
}

impl Relation {
    /// # Safety
    /// `pointer` is an open relation of a server with this layout, for as long as the value is used.
    pub unsafe fn from_raw(pointer: *const u8, layout: &'static Layout) -> Relation {
        Relation { pointer, layout }
    }

    #[inline]
    pub fn id(&self) -> Oid {
        // SAFETY: an open relation, see `from_raw`.
        unsafe { field(self.pointer, self.layout.relation_id as usize) }
    }

    pub fn name(&self) -> &[u8] {
        // SAFETY: an open relation has its row of pg_class, whose name is a C string in place.
        unsafe { bytes(self.class().add(self.layout.class_relname as usize).cast()) }
    }

    /// None if the schema is gone, which the server rules out while the relation is there.
    pub fn schema(&self) -> Option<&[u8]> {
        // SAFETY: as above; the server returns a C string in the current context, or null.
        unsafe {
            let name = get_namespace_name(field(self.class(), self.layout.class_relnamespace as usize));
            (!name.is_null()).then(|| bytes(name))
        }
    }

    /// The row of pg_class.
    ///
    /// # Safety
    /// The relation is open, as `from_raw` demands.
    unsafe fn class(&self) -> *const u8 {
        // SAFETY: see above.
        unsafe { field(self.pointer, self.layout.relation_rel as usize) }
    }

    #[inline]
    pub fn descriptor(&self) -> TupleDescriptor {
        TupleDescriptor {
            // SAFETY: an open relation has a descriptor.
            pointer: unsafe { field(self.pointer, self.layout.relation_att as usize) },
            layout: self.layout,
        }
    }

    /// Gives the key columns' attribute numbers of the replica identity index to `each`, in order.
    /// Returns false, having given none, if the relation has no such index.
    pub fn replica_identity(&self, mut each: impl FnMut(i16)) -> bool {
        let layout = self.layout;
        // SAFETY: the relation is open; asking for its indexes makes the server find the identity one.
        // The index stays open while its row of pg_index is read, and a server without it answers null.
        // The closure owns nothing that would need dropping if the server raised an error.
        unsafe {
            list_free(RelationGetIndexList(self.pointer.cast_mut().cast()));
            let identity: Oid = field(self.pointer, layout.relation_replidindex as usize);
            if identity == 0 {
                return false;
            }
            let index = RelationIdGetRelation(identity);
            if index.is_null() {
                return false;
            }
            let row: *const u8 = field(index.cast(), layout.relation_index as usize);
            let columns: i16 = field(row, layout.index_keys as usize);
            let numbers = layout.index_indkey as usize + INT2VECTOR_VALUES;
            for i in 0..columns.max(0) as usize {
                each(field(row, numbers + i * size_of::<i16>()));
            }
            RelationClose(index);
        }
        true
    }
}

/// A `TupleDesc`.
#[derive(Clone, Copy)]
pub struct TupleDescriptor {
    pointer: *const u8,
    layout: &'static Layout,
}

impl TupleDescriptor {
    #[inline]
    pub fn attributes(&self) -> usize {
        // SAFETY: a relation's descriptor, see `Relation::descriptor`.
        let attributes: i32 = unsafe { field(self.pointer, TUPDESC_NATTS) };
        attributes.max(0) as usize
    }

    /// The attribute at a position from 0.
    pub fn attribute(&self, position: usize) -> Option<Attribute> {
        if position >= self.attributes() {
            return None;
        }
        let layout = self.layout;
        let size = layout.attribute_size as usize;
        // SAFETY: the descriptor has that many attributes, kept in one of three ways.
        let pointer = unsafe {
            if layout.tupdesc_compact_attrs != NONE {
                let compact = self.attributes() * layout.compact_attribute_size as usize;
                self.pointer.add(layout.tupdesc_compact_attrs as usize + compact + position * size)
            } else if layout.major < 1100 {
                let array: *const *const u8 = field(self.pointer, layout.tupdesc_attrs as usize);
                array.add(position).read()
            } else {
                self.pointer.add(layout.tupdesc_attrs as usize + position * size)
            }
        };
        Some(Attribute { pointer, layout })
    }

    /// For the server's functions.
    #[inline]
    pub fn as_ptr(&self) -> *const u8 {
        self.pointer
    }
}

/// A row of `pg_attribute` in a descriptor.
#[derive(Clone, Copy)]
pub struct Attribute {
    pointer: *const u8,
    layout: &'static Layout,
}

impl Attribute {
    fn name_ptr(&self) -> *const c_char {
        // SAFETY: an attribute of a descriptor; its name is in place.
        unsafe { self.pointer.add(ATTRIBUTE_ATTNAME).cast() }
    }

    pub fn name(&self) -> &[u8] {
        // SAFETY: the name is a C string.
        unsafe { bytes(self.name_ptr()) }
    }

    /// With quotes where SQL needs them.
    pub fn quoted_name(&self) -> &[u8] {
        // SAFETY: the server returns the name itself or a C string in the current context.
        unsafe { bytes(quote_identifier(self.name_ptr())) }
    }

    pub fn is_dropped(&self) -> bool {
        // SAFETY: an attribute of a descriptor; the server writes 0 or 1.
        unsafe { field::<u8>(self.pointer, self.layout.attribute_attisdropped as usize) != 0 }
    }

    /// Whether its values have a length of their own and may be kept out of line.
    pub fn is_varlena(&self) -> bool {
        // SAFETY: an attribute of a descriptor.
        unsafe { field::<i16>(self.pointer, self.layout.attribute_attlen as usize) == -1 }
    }

    /// 0 if it is dropped.
    pub fn type_id(&self) -> Oid {
        // SAFETY: an attribute of a descriptor.
        unsafe { field(self.pointer, ATTRIBUTE_ATTTYPID) }
    }

    /// As the server prints it without a modifier; with the schema if the search path does not lead to it.
    pub fn type_name(&self) -> &[u8] {
        // SAFETY: the server returns a C string in the current context for any number.
        unsafe { bytes(format_type_be(self.type_id())) }
    }
}

/// A type's output function, looked up and ready to be called again and again.
pub struct OutputFunction(FmgrInfo);

impl OutputFunction {
    /// Made in `context`; what the function remembers between calls goes there too.
    pub fn lookup(type_id: Oid, context: Context) -> *mut OutputFunction {
        let output: *mut OutputFunction = context.alloc_zero(size_of::<OutputFunction>()).cast();
        let (mut function, mut is_varlena) = (0, false);
        // SAFETY: the memory is ours and large enough for what the server writes there.
        unsafe {
            getTypeOutputInfo(type_id, &raw mut function, &raw mut is_varlena);
            fmgr_info_cxt(function, &raw mut (*output).0, context.as_ptr());
        }
        output
    }

    /// The value's text, in the current context.
    ///
    /// # Safety
    /// `output` came from `lookup` and its context has not been reset; `value` is of that type, not NULL.
    #[inline]
    pub unsafe fn call<'a>(output: *mut OutputFunction, value: Datum) -> &'a [u8] {
        // SAFETY: the caller's promise.
        unsafe { bytes(OutputFunctionCall(&raw mut (*output).0, value)) }
    }
}

/// Whether a value of variable length is only a reference to out-of-line storage on disk: in a decoded row
/// that means the change did not touch it.
///
/// # Safety
/// `value` is of a type of variable length, not NULL.
#[inline]
pub unsafe fn is_kept_out_of_line(value: Datum) -> bool {
    const EXTERNAL: u8 = 0x01;
    const ON_DISK: u8 = 18;
    let head = value as *const u8;
    // SAFETY: the first byte says whether a second one, the tag, follows.
    unsafe { *head == EXTERNAL && *head.add(1) == ON_DISK }
}

/// Takes a row apart into values and nulls, both as long as the descriptor.
///
/// # Safety
/// `tuple` is a row of the relation that `descriptor` belongs to, and both arrays are long enough.
#[inline]
pub unsafe fn deform(tuple: *const u8, descriptor: &TupleDescriptor, values: *mut Datum, nulls: *mut bool) {
    // SAFETY: the caller's promise.
    unsafe { symbols::heap_deform_tuple(tuple, descriptor.as_ptr(), values, nulls) }
}
