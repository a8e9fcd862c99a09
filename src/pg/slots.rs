//! Replication slots in shared memory, for a process without a database.

use std::ffi::CStr;

use pgrx::pg_sys;

use super::compat;

/// Databases that have a slot of this plugin which nobody reads and which keeps at least so many bytes of WAL.
pub fn databases_keeping(plugin: &str, bytes: u64) -> Vec<u32> {
    let now = compat::insert_lsn().0;
    let keeps = |slot: &Seen| !slot.is_read && slot.restart_lsn != 0 && now.saturating_sub(slot.restart_lsn) >= bytes;
    let mut databases: Vec<u32> = of_plugin(plugin).into_iter().filter(keeps).map(|slot| slot.database).collect();
    databases.sort_unstable();
    databases.dedup();
    databases
}

/// Names of the slots of this plugin in the database that somebody reads now.
pub fn in_use(database: u32, plugin: &str) -> Vec<String> {
    let slots = of_plugin(plugin).into_iter();
    slots.filter(|slot| slot.database == database && slot.is_read).map(|slot| slot.name).collect()
}

/// A slot as it was at one look.
struct Seen {
    name: String,
    database: u32,
    restart_lsn: u64,
    is_read: bool,
}

fn of_plugin(plugin: &str) -> Vec<Seen> {
    let mut seen = Vec::new();
    // SAFETY: the array is in shared memory, of this fixed length, since before this process started. Fields are read
    // without the slots' locks: one that changes meanwhile makes us look once too often or a minute later, no more. Names of
    // slots are ASCII.
    unsafe {
        let control = pg_sys::ReplicationSlotCtl;
        if control.is_null() {
            return seen;
        }
        let slots = (*control).replication_slots.as_ptr();
        for index in 0..pg_sys::max_replication_slots.max(0) as usize {
            let slot = slots.add(index);
            let data = &(*slot).data;
            if !(*slot).in_use || CStr::from_ptr(data.plugin.data.as_ptr()).to_bytes() != plugin.as_bytes() {
                continue;
            }
            seen.push(Seen {
                name: CStr::from_ptr(data.name.data.as_ptr()).to_string_lossy().into_owned(),
                database: data.database.to_u32(),
                restart_lsn: data.restart_lsn,
                is_read: (*slot).active_pid != 0,
            });
        }
    }
    seen
}
