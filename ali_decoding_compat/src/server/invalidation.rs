//! What the server tells us to forget (`utils/inval.h`).
//!
//! The callbacks may come at any time, also while an entry is being built, and outlive every decoding
//! context of the process. So they only count and take notes in static memory; the caches read the notes
//! before the next change ([`Reader::news`]).

use core::ffi::c_int;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};

use super::symbols::{CacheRegisterRelcacheCallback, CacheRegisterSyscacheCallback};
use super::{Datum, Oid};
use crate::layout::Layout;

/// Relations that fit the note pad. When more change between two changes of rows, all are forgotten.
const NOTES: usize = 64;

static REGISTERED: AtomicBool = AtomicBool::new(false);

/// Grows when everything has to be forgotten: a type, a schema or a role changed, any of which can change
/// how types are printed, or the server lost track itself.
static EVERYTHING: AtomicU32 = AtomicU32::new(0);

/// Relations noted so far; note `n` is at `n % NOTES`.
static NOTED: AtomicU32 = AtomicU32::new(0);
static RELATIONS: [AtomicU32; NOTES] = [const { AtomicU32::new(0) }; NOTES];

/// Registers the callbacks, once in a process: the server has few places and never gives one back.
pub fn register(layout: &Layout) {
    if REGISTERED.swap(true, Relaxed) {
        return;
    }
    // SAFETY: the callbacks have the types that the server calls, and this library is never unloaded.
    unsafe {
        CacheRegisterRelcacheCallback(relation_changed, 0);
        for cache in [layout.cache_typeoid, layout.cache_namespaceoid, layout.cache_authoid] {
            CacheRegisterSyscacheCallback(cache.into(), catalog_changed, 0);
        }
    }
}

unsafe extern "C-unwind" fn relation_changed(_argument: Datum, relation: Oid) {
    if relation == 0 {
        forget_everything();
        return;
    }
    let noted = NOTED.load(Relaxed);
    RELATIONS[noted as usize % NOTES].store(relation, Relaxed);
    NOTED.store(noted.wrapping_add(1), Relaxed);
}

unsafe extern "C-unwind" fn catalog_changed(_argument: Datum, _cache: c_int, _hash: u32) {
    forget_everything();
}

fn forget_everything() {
    EVERYTHING.store(EVERYTHING.load(Relaxed).wrapping_add(1), Relaxed);
}

/// What is to be forgotten since the last look.
pub enum News {
    Nothing,
    /// Relations, in the order of the notes; see [`Reader::relation`].
    Relations {
        from: u32,
        to: u32,
    },
    Everything,
}

/// How far one cache has read.
#[derive(Clone, Copy)]
pub struct Reader {
    everything: u32,
    noted: u32,
}

impl Reader {
    pub fn new() -> Reader {
        Reader { everything: EVERYTHING.load(Relaxed), noted: NOTED.load(Relaxed) }
    }

    #[inline]
    pub fn news(&mut self) -> News {
        let now = Reader::new();
        let before = core::mem::replace(self, now);
        let relations = now.noted.wrapping_sub(before.noted);
        if now.everything != before.everything || relations as usize > NOTES {
            News::Everything
        } else if relations > 0 {
            News::Relations { from: before.noted, to: now.noted }
        } else {
            News::Nothing
        }
    }

    pub fn relation(note: u32) -> Oid {
        RELATIONS[note as usize % NOTES].load(Relaxed)
    }
}
