//! What was taken out of open transactions, and how much memory that leaves.

use pgrx::pg_sys;

use crate::error::{Error, Result};
use crate::logicalrep::{FastMap, Spool};
use crate::pg::{compat, disk};

/// Open transactions with a spool; each has an open file.
pub(super) const MOST: usize = 64;
/// Pieces of a transaction whose rows are sent ahead: small, as the destination works on one while the next is decoded.
const AHEAD: usize = 4 << 20;

#[derive(Default)]
pub(super) struct Spools {
    pub(super) by_xid: FastMap<u32, TakenEarly>,
    /// `logical_decoding_work_mem` in bytes.
    limit: usize,
    /// From so many bytes in memory on another look is worth it.
    pub(super) next_look: usize,
    /// The transaction whose rows the sink takes before the commit.
    pub(super) ahead: Option<u32>,
}

/// What was taken out of a transaction.
pub(super) struct TakenEarly {
    /// With its xid this names the transaction: xids are used again.
    pub(super) first_lsn: u64,
    /// None as long as all changes were of tables that nobody wants.
    pub(super) spool: Option<(Spool, ExternalFile)>,
    /// What the changes were in the server's memory.
    pub(super) bytes: u64,
}

impl Spools {
    /// The setting may change between two steps of decoding.
    pub(super) fn read_limit(&mut self) {
        // SAFETY: plain read of a setting.
        self.limit = unsafe { pg_sys::logical_decoding_work_mem } as usize * 1024;
    }

    pub(super) fn pressure(&self) -> usize {
        if self.ahead.is_some() { self.most().min(AHEAD) } else { self.most() }
    }

    pub(super) fn most(&self) -> usize {
        self.limit / 4 * 3
    }

    /// A sixteenth of the limit: smaller transactions are not worth a file, smaller growth not another look.
    pub(super) fn share(&self) -> usize {
        self.limit / 16
    }

    /// Is there something to do, after a record? Asked after each.
    ///
    /// # Safety
    /// The record was processed last, into `buffer`.
    #[inline]
    pub(super) unsafe fn are_due(
        &mut self,
        record: *const pg_sys::XLogRecord,
        buffer: *const pg_sys::ReorderBuffer,
    ) -> bool {
        // SAFETY: by contract.
        let (size, manager) = unsafe { ((*buffer).size, u32::from((*record).xl_rmid)) };
        if size < self.pressure() {
            self.next_look = self.pressure();
        } else if size >= self.next_look && compat::SUBTRANSACTIONS_ARE_KNOWN {
            return true;
        }
        !self.by_xid.is_empty() && (manager == pg_sys::RmgrIds::RM_XACT_ID || manager == pg_sys::RmgrIds::RM_STANDBY_ID)
    }
}

impl TakenEarly {
    pub(super) fn written(&self) -> u64 {
        self.spool.as_ref().map_or(0, |(spool, _)| spool.written())
    }

    pub(super) fn open(&mut self) -> Result<&mut Spool> {
        if self.spool.is_none() {
            self.spool = Some((Spool::create(&disk::temporary_directory())?, ExternalFile::count()));
        }
        self.spool.as_mut().map(|(spool, _)| spool).ok_or_else(|| Error::internal("a spool is missing"))
    }
}

/// An open file in the server's count of those that it does not manage: it keeps fewer of its own open then.
pub(super) struct ExternalFile;

impl ExternalFile {
    fn count() -> ExternalFile {
        // SAFETY: counts, and may close files that the server opens again when it needs them.
        unsafe { pg_sys::ReserveExternalFD() };
        ExternalFile
    }
}

impl Drop for ExternalFile {
    fn drop(&mut self) {
        // SAFETY: counted before.
        unsafe { pg_sys::ReleaseExternalFD() }
    }
}
