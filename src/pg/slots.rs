//! Replication slots in shared memory, for a process without a database.

use pgrx::pg_sys;

use super::compat;

const PLUGIN: &[u8] = b"pg_courier";

/// Databases that have a slot of ours which nobody reads and which keeps at least so many bytes of WAL.
pub fn databases_keeping(bytes: u64) -> Vec<u32> {
    let now = compat::insert_lsn().0;
    let mut databases = Vec::new();
    // SAFETY: the array is in shared memory, of this fixed length, since before this process started. Fields are read
    // without the slots' locks: one that changes meanwhile makes us look once too often or a minute later, no more.
    unsafe {
        let control = pg_sys::ReplicationSlotCtl;
        if control.is_null() {
            return databases;
        }
        let slots = (*control).replication_slots.as_ptr();
        for index in 0..pg_sys::max_replication_slots.max(0) as usize {
            let slot = slots.add(index);
            let data = &(*slot).data;
            let name: Vec<u8> = data.plugin.data.iter().map(|c| *c as u8).take_while(|c| *c != 0).collect();
            let kept = now.saturating_sub(data.restart_lsn);
            if (*slot).in_use && is_unread(slot) && name == PLUGIN && data.restart_lsn != 0 && kept >= bytes {
                databases.push(data.database.to_u32());
            }
        }
    }
    databases.sort_unstable();
    databases.dedup();
    databases
}

/// # Safety
/// `slot` is an element of the server's array.
unsafe fn is_unread(slot: *const pg_sys::ReplicationSlot) -> bool {
    // SAFETY: by contract.
    unsafe { (*slot).active_pid == 0 }
}
