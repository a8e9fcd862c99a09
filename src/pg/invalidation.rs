//! Which tables' definitions may have changed, as the server tells it (`utils/inval.h`).
//!
//! The callbacks may come at any time and cannot be taken back, so they only take notes; whoever remembers definitions
//! reads the notes before it uses one ([`drain`]). A process decodes one slot at a time, so there is one reader.

use std::cell::{Cell, RefCell};

use pgrx::pg_sys;

thread_local! {
    static REGISTERED: Cell<bool> = const { Cell::new(false) };
    /// Tables whose definition may have changed since the last look; `None` among them means all.
    static STALE: RefCell<Vec<Option<u32>>> = const { RefCell::new(Vec::new()) };
}

/// Asks the server to tell this process, once and for all.
pub(super) fn register() {
    if REGISTERED.replace(true) {
        return;
    }
    use pg_sys::SysCacheIdentifier::{AUTHOID, NAMESPACEOID, TYPEOID};
    let none = pg_sys::Datum::from(0);
    // SAFETY: registered once in this process; the callbacks only note what they are told.
    unsafe {
        pg_sys::CacheRegisterRelcacheCallback(Some(relation_changed), none);
        // A renamed type changes casts and names of types, a renamed schema or role the way types are printed.
        for cache in [TYPEOID, NAMESPACEOID, AUTHOID] {
            pg_sys::CacheRegisterSyscacheCallback(cache as i32, Some(catalog_changed), none);
        }
    }
}

/// Hands over what has changed since the last call: a table, or with `None` everything.
pub(super) fn drain(mut forget: impl FnMut(Option<u32>)) {
    STALE.with_borrow_mut(|stale| stale.drain(..).for_each(&mut forget));
}

unsafe extern "C-unwind" fn relation_changed(_arg: pg_sys::Datum, oid: pg_sys::Oid) {
    note((oid != pg_sys::InvalidOid).then(|| oid.to_u32()));
}

unsafe extern "C-unwind" fn catalog_changed(_arg: pg_sys::Datum, _cache: i32, _hash: u32) {
    note(None);
}

fn note(table: Option<u32>) {
    const MANY: usize = 1000;
    STALE.with(|stale| {
        // The list is only borrowed while it is drained, where no catalog is touched.
        if let Ok(mut stale) = stale.try_borrow_mut() {
            if table.is_none() || stale.len() >= MANY {
                stale.clear();
                stale.push(None);
            } else if stale.first() != Some(&None) {
                stale.push(table);
            }
        }
    });
}
