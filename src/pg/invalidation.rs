//! Which tables' definitions may have changed, as the server tells it (`utils/inval.h`).
//!
//! The callbacks may come at any time and cannot be taken back, so they only take notes; whoever remembers definitions
//! reads the notes before it uses one ([`drain`]). A process decodes one slot at a time, so there is one reader.

use std::cell::{Cell, RefCell};

use pgrx::pg_sys;

thread_local! {
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
    /// What has changed since the last look.
    static STALE: RefCell<Vec<Stale>> = const { RefCell::new(Vec::new()) };
    /// Tables whose row in pg_class may have changed since the last look of another kind (`take_changed`).
    static CHANGED: RefCell<Changed> = const { RefCell::new(Changed::All) };
}

/// Something whose definition may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stale {
    Table(u32),
    /// By the hash of its OID in the type cache. Every CREATE TABLE, of a temporary table too, makes types.
    Type(u32),
    All,
}

/// Which tables may have changed.
pub(crate) enum Changed {
    All,
    These(Vec<u32>),
}

/// Asks the server to tell this process, once and for all.
pub(crate) fn register() {
    if REGISTERED.replace(true) {
        return;
    }
    use pg_sys::SysCacheIdentifier::{AUTHOID, NAMESPACEOID, TYPEOID};
    let none = pg_sys::Datum::from(0);
    // SAFETY: registered once in this process; the callbacks only note what they are told.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), none);
        // A renamed type changes casts and names of types, a renamed schema or role the way types are printed.
        pg_sys::CacheRegisterSyscacheCallback(TYPEOID as i32, Some(type_changed), none);
        for cache in [NAMESPACEOID, AUTHOID] {
            pg_sys::CacheRegisterSyscacheCallback(cache as i32, Some(catalog_changed), none);
        }
    }
}

/// Hands over what has changed since the last call.
pub(crate) fn drain(mut forget: impl FnMut(Stale)) {
    STALE.with_borrow_mut(|stale| stale.drain(..).for_each(&mut forget));
}

/// Has any table changed since `take_changed`?
pub(crate) fn has_changed() -> bool {
    CHANGED.with_borrow(|changed| !matches!(changed, Changed::These(tables) if tables.is_empty()))
}

/// Forgets those of them that do not matter. Is any left?
pub(crate) fn keep_changed(matters: impl Fn(u32) -> bool) -> bool {
    CHANGED.with_borrow_mut(|changed| match changed {
        Changed::All => true,
        Changed::These(tables) => {
            tables.retain(|table| matters(*table));
            !tables.is_empty()
        }
    })
}

/// Hands a table over at the next call of `take_changed` once more.
pub(crate) fn look_again(table: u32) {
    CHANGED.with_borrow_mut(|changed| {
        if let Changed::These(tables) = changed {
            tables.push(table);
        }
    });
}

/// The tables that may have changed since the last call; all of them at the first.
pub(crate) fn take_changed() -> Changed {
    CHANGED.replace(Changed::These(Vec::new()))
}

unsafe extern "C-unwind" fn relation_changed(_arg: pg_sys::Datum, oid: pg_sys::Oid) {
    let table = (oid != pg_sys::InvalidOid).then(|| oid.to_u32());
    note(table.map_or(Stale::All, Stale::Table));
    CHANGED.with(|changed| {
        let Ok(mut changed) = changed.try_borrow_mut() else { return };
        match (&mut *changed, table) {
            (Changed::These(tables), Some(table)) if tables.len() < MANY => tables.push(table),
            (changed, _) => *changed = Changed::All,
        }
    });
}

unsafe extern "C-unwind" fn type_changed(_arg: pg_sys::Datum, _cache: i32, hash: u32) {
    // 0 is the whole cache.
    note(if hash == 0 { Stale::All } else { Stale::Type(hash) });
}

unsafe extern "C-unwind" fn catalog_changed(_arg: pg_sys::Datum, _cache: i32, _hash: u32) {
    note(Stale::All);
}

/// More than so many are all.
const MANY: usize = 1000;

fn note(what: Stale) {
    STALE.with(|stale| {
        // The list is only borrowed while it is drained, where no catalog is touched.
        if let Ok(mut stale) = stale.try_borrow_mut() {
            if what == Stale::All || stale.len() >= MANY {
                stale.clear();
                stale.push(Stale::All);
            } else if stale.first() != Some(&Stale::All) && !stale.contains(&what) {
                stale.push(what);
            }
        }
    });
}
