//! What a change needs to know of its relation, remembered from one change to the next.
//!
//! An entry holds the relation's part of a message as finished bytes, and its columns' output functions.
//! It goes stale when the relation changes (columns, name, schema, replica identity), and all entries do
//! when types, schemas or roles change or the search path does, because then a type's printed name may be
//! another one. The server says so by invalidation messages, which arrive in the order of the history
//! that is decoded; they are read before each change, never in the middle of one.
//!
//! Memory: entries live in a context of the cache's own. An entry that goes stale is freed, its output
//! functions stay for other relations. When everything is forgotten, or there are too many entries, the
//! whole context is reset.

use core::mem::MaybeUninit;
use core::{ptr, slice};

use crate::server::catalog::{OutputFunction, Relation};
use crate::server::invalidation::{News, Reader};
use crate::server::logical::Output;
use crate::server::memory::{self, Context};
use crate::server::{Oid, settings};
use crate::wire;

/// Relations in the cache at once. A few kB each: enough for any active set, small enough for a walsender.
const MOST_RELATIONS: usize = 4096;

/// How to write one attribute's value.
#[derive(Clone, Copy)]
pub struct Column {
    /// Null for a dropped attribute, which is written as NULL.
    pub output: *mut OutputFunction,
    pub is_varlena: bool,
}

/// One relation. The three slices lie behind it in the same piece of memory.
#[derive(Clone, Copy)]
pub struct Entry {
    relation: *const u8,
    relation_length: usize,
    key: *const u8,
    key_length: usize,
    columns: *const Column,
    attributes: usize,
}

impl Entry {
    /// The relation up to the key block.
    #[inline]
    pub fn relation(&self) -> &[u8] {
        // SAFETY: set by `Cache::build`, which made the memory.
        unsafe { slice::from_raw_parts(self.relation, self.relation_length) }
    }

    /// The key block of UPDATE and DELETE.
    #[inline]
    pub fn key(&self) -> &[u8] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts(self.key, self.key_length) }
    }

    #[inline]
    pub fn columns(&self) -> &[Column] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts(self.columns, self.attributes) }
    }
}

pub struct Cache {
    context: Context,
    reader: Reader,
    search_path: &'static [u8],
    relations: Map<Entry>,
    outputs: Map<OutputFunction>,
    /// The relation of the change before, which is most often that of the next.
    last: (Oid, *const Entry),
}

impl Cache {
    /// `context` is the cache's own: it will be reset.
    pub fn new(context: Context) -> Cache {
        let mut cache = Cache {
            context,
            reader: Reader::new(),
            search_path: b"",
            relations: Map::empty(),
            outputs: Map::empty(),
            last: (0, ptr::null()),
        };
        cache.clear();
        cache
    }

    /// Forgets what the server says is out of date. Called before each change.
    #[inline]
    pub fn refresh(&mut self) {
        match self.reader.news() {
            News::Nothing if settings::search_path() == self.search_path => {}
            News::Relations { from, to } if settings::search_path() == self.search_path => {
                let mut note = from;
                while note != to {
                    self.forget(Reader::relation(note));
                    note = note.wrapping_add(1);
                }
            }
            _ => self.clear(),
        }
    }

    /// The entry of an open relation, built in the current context if there is none. Valid until the next
    /// [`refresh`](Self::refresh).
    #[inline]
    pub fn entry(&mut self, relation: &Relation) -> &'static Entry {
        let id = relation.id();
        let known = if self.last.0 == id { self.last.1 } else { self.relations.get(id).cast_const() };
        // SAFETY: entries stay where they are until a refresh frees them and forgets their address.
        if let Some(entry) = unsafe { known.as_ref() } {
            // A second look at what no message can have missed, for it is cheap.
            if entry.attributes == relation.descriptor().attributes() {
                self.last = (id, known);
                return entry;
            }
            self.forget(id);
        }
        self.build(id, relation)
    }

    fn forget(&mut self, id: Oid) {
        if self.last.0 == id {
            self.last = (0, ptr::null());
        }
        let entry = self.relations.remove(id);
        if !entry.is_null() {
            // SAFETY: made by `build` and known to nobody else.
            unsafe { memory::free(entry.cast()) };
        }
    }

    fn clear(&mut self) {
        self.last = (0, ptr::null());
        self.context.reset();
        self.relations = Map::new(self.context);
        self.outputs = Map::new(self.context);
        let path = settings::search_path();
        let copy = self.context.alloc(path.len() + 1);
        // SAFETY: new memory of that size, in a context that outlives the reference: `clear` replaces it.
        self.search_path = unsafe {
            ptr::copy_nonoverlapping(path.as_ptr(), copy, path.len());
            slice::from_raw_parts(copy, path.len())
        };
    }

    #[cold]
    fn build(&mut self, id: Oid, relation: &Relation) -> &'static Entry {
        if self.relations.used >= MOST_RELATIONS {
            self.clear();
        }
        let mut memory = MaybeUninit::uninit();
        let mut bytes = Output::scratch(&mut memory);
        let descriptor = relation.descriptor();
        let attributes = descriptor.attributes();

        wire::relation(&mut bytes, relation.schema().unwrap_or(b""), relation.name(), attributes as u16);
        for attribute in (0..attributes).filter_map(|position| descriptor.attribute(position)) {
            if attribute.is_dropped() {
                wire::dropped_attribute(&mut bytes);
            } else {
                wire::attribute(&mut bytes, attribute.quoted_name(), attribute.type_name());
            }
        }
        let relation_length = bytes.len();
        write_key(&mut bytes, relation);
        let key_length = bytes.len() - relation_length;

        let columns_offset = size_of::<Entry>();
        let bytes_offset = columns_offset + attributes * size_of::<Column>();
        let chunk = self.context.alloc(bytes_offset + bytes.len());
        // SAFETY: the new memory has room for the entry, the columns and the bytes, one behind the other;
        // the first two have the alignment of a pointer, which every allocation has.
        let entry = unsafe {
            let columns = chunk.add(columns_offset).cast::<Column>();
            for position in 0..attributes {
                columns.add(position).write(Column { output: ptr::null_mut(), is_varlena: false });
                if let Some(attribute) = descriptor.attribute(position).filter(|attribute| !attribute.is_dropped()) {
                    columns
                        .add(position)
                        .write(Column { output: self.output(attribute.type_id()), is_varlena: attribute.is_varlena() });
                }
            }
            let copy = chunk.add(bytes_offset);
            ptr::copy_nonoverlapping(bytes.written().as_ptr(), copy, bytes.len());
            let entry = chunk.cast::<Entry>();
            entry.write(Entry {
                relation: copy,
                relation_length,
                key: copy.add(relation_length),
                key_length,
                columns,
                attributes,
            });
            entry
        };
        self.relations.insert(id, entry, self.context);
        self.last = (id, entry);
        // SAFETY: just written.
        unsafe { &*entry }
    }

    fn output(&mut self, type_id: Oid) -> *mut OutputFunction {
        let known = self.outputs.get(type_id);
        if !known.is_null() {
            return known;
        }
        let output = OutputFunction::lookup(type_id, self.context);
        self.outputs.insert(type_id, output, self.context);
        output
    }
}

/// The identity index may be on the system column oid, which a reader cannot see: it is left out.
fn write_key(bytes: &mut Output, relation: &Relation) {
    let descriptor = relation.descriptor();
    let column = |number: i16| {
        usize::try_from(number).ok().filter(|number| *number > 0).and_then(|number| descriptor.attribute(number - 1))
    };
    let mut columns = 0;
    if !relation.replica_identity(|number| columns += u16::from(column(number).is_some())) {
        wire::no_key(bytes);
        return;
    }
    wire::key(bytes, columns);
    relation.replica_identity(|number| {
        if let Some(attribute) = column(number) {
            wire::string(bytes, attribute.name());
        }
    });
}

/// Numbers of objects to addresses: open addressing, no more than half full. A removed number keeps its
/// place with a null address, to be used again when the object comes back.
struct Map<T> {
    slots: *mut (Oid, *mut T),
    capacity: usize,
    used: usize,
}

impl<T> Map<T> {
    const FIRST_CAPACITY: usize = 64;

    fn empty() -> Map<T> {
        Map { slots: ptr::null_mut(), capacity: 0, used: 0 }
    }

    fn new(context: Context) -> Map<T> {
        Map::with_capacity(Self::FIRST_CAPACITY, context)
    }

    /// `capacity` is a power of two.
    fn with_capacity(capacity: usize, context: Context) -> Map<T> {
        Map { slots: context.alloc_zero(capacity * size_of::<(Oid, *mut T)>()).cast(), capacity, used: 0 }
    }

    /// The number's place, or the free one where it would go.
    #[inline]
    fn slot(&self, id: Oid) -> *mut (Oid, *mut T) {
        let mut position = id.wrapping_mul(0x9e37_79b1) as usize >> 7;
        loop {
            // SAFETY: the table has `capacity` slots, and a free one to stop at.
            unsafe {
                let slot = self.slots.add(position & (self.capacity - 1));
                if (*slot).0 == id || (*slot).0 == 0 {
                    return slot;
                }
            }
            position += 1;
        }
    }

    #[inline]
    fn get(&self, id: Oid) -> *mut T {
        // SAFETY: a slot of the table; a free one has null.
        unsafe { (*self.slot(id)).1 }
    }

    fn remove(&mut self, id: Oid) -> *mut T {
        // SAFETY: as above.
        unsafe { ptr::replace(&raw mut (*self.slot(id)).1, ptr::null_mut()) }
    }

    fn insert(&mut self, id: Oid, value: *mut T, context: Context) {
        if self.used * 2 >= self.capacity {
            self.grow(context);
        }
        let slot = self.slot(id);
        // SAFETY: as above.
        unsafe {
            self.used += usize::from((*slot).0 == 0);
            *slot = (id, value);
        }
    }

    fn grow(&mut self, context: Context) {
        let mut larger = Map::with_capacity(self.capacity * 2, context);
        for position in 0..self.capacity {
            // SAFETY: a slot of the old table.
            let (id, value) = unsafe { *self.slots.add(position) };
            if id != 0 && !value.is_null() {
                larger.insert(id, value, context);
            }
        }
        // SAFETY: made by `with_capacity`, and replaced here.
        unsafe { memory::free(self.slots.cast()) };
        *self = larger;
    }
}
