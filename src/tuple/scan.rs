//! Reading a table under the transaction's snapshot, straight into COPY format.

use pgrx::pg_sys;

use super::describe::Described;
use super::encode::{Datums, EncodeFor};
use super::memory::Scratch;
use crate::error::Result;
use crate::logicalrep::relation::{COPY_HEADER, COPY_TRAILER};
use crate::pg::rel::OpenTable;
use crate::pg::{encoding, guard, report, xact};

/// COPY data goes out in pieces of about this size.
const PIECE: usize = 64 * 1024;

/// Scans the whole table; calls `send` with the COPY bytes so far, in binary or text format, and the
/// rows in them. Returns the rows.
pub fn copy_table(
    table: &OpenTable,
    described: &mut Described,
    binary: bool,
    mut send: impl FnMut(&[u8], u64) -> Result<()>,
) -> Result<u64> {
    // SAFETY: the copy ends before the transaction whose snapshot it reads under.
    let scratch = unsafe { Scratch::new(pg_sys::TopTransactionContext, c"pg_courier row encoding") };
    let mut rows = 0u64;
    report::catch(|| {
        // SAFETY: the relation is open; the active snapshot is the transaction's; slot and scan are released below, or
        // by the abort after an error.
        unsafe {
            let relation = table.relation();
            let slot = pg_sys::table_slot_create(relation, std::ptr::null_mut());
            let scan = pg_sys::table_beginscan(relation, pg_sys::GetActiveSnapshot(), 0, std::ptr::null_mut());
            let mut piece = Piece { scan, slot, scratch, buffer: Vec::with_capacity(2 * PIECE), rows: 0, ended: false };
            if binary {
                piece.buffer.extend_from_slice(COPY_HEADER);
            }
            while !piece.ended {
                guard::guarded(|| piece.fill(described, relation, binary));
                if binary && piece.ended {
                    piece.buffer.extend_from_slice(&COPY_TRAILER);
                }
                rows += piece.rows;
                send(&piece.buffer, piece.rows)?;
                piece.clear();
                xact::check_for_interrupts();
            }
            pg_sys::table_endscan(scan);
            pg_sys::ExecDropSingleTupleTableSlot(slot);
        }
        Ok(rows)
    })
}

/// A message of COPY data, as it fills.
struct Piece {
    scan: pg_sys::TableScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
    scratch: Scratch,
    buffer: Vec<u8>,
    rows: u64,
    /// Has the scan come to the end of the table? It must not be asked again: it would begin anew.
    ended: bool,
}

impl Piece {
    fn clear(&mut self) {
        self.buffer.clear();
        self.buffer.shrink_to(16 * PIECE);
        self.rows = 0;
    }

    /// Reads rows until there are enough for a message.
    ///
    /// # Safety
    /// The scan is one of `relation`, which is described. Inside a guard.
    unsafe fn fill(&mut self, described: &mut Described, relation: pg_sys::Relation, binary: bool) {
        unsafe extern "C-unwind" {
            fn slot_getsomeattrs_int(slot: *mut pg_sys::TupleTableSlot, natts: std::ffi::c_int);
        }
        // SAFETY: by contract.
        unsafe {
            let natts = (*(*relation).rd_att).natts as usize;
            let next = (*(*relation).rd_tableam).scan_getnextslot;
            let slot = self.slot;
            while self.buffer.len() < PIECE {
                let found = next.is_some_and(|next| next(self.scan, pg_sys::ScanDirection::ForwardScanDirection, slot));
                if !found {
                    self.ended = true;
                    return;
                }
                if ((*slot).tts_nvalid as usize) < natts {
                    slot_getsomeattrs_int(slot, natts as std::ffi::c_int);
                }
                let row = Datums {
                    values: std::slice::from_raw_parts((*slot).tts_values, natts),
                    nulls: std::slice::from_raw_parts((*slot).tts_isnull, natts),
                };
                self.scratch.run(|| {
                    if binary {
                        let fields = described.relation.columns.len() as i16;
                        self.buffer.extend_from_slice(&fields.to_be_bytes());
                        described.encode(row, None, EncodeFor::Copy, &mut self.buffer);
                    } else {
                        described.append_text_line(row, &mut self.buffer);
                    }
                });
                self.rows += 1;
            }
        }
    }
}

impl Described {
    /// Appends the row as a line of COPY's text format.
    ///
    /// # Safety
    /// The row is one of this table; where catalogs can be read.
    unsafe fn append_text_line(&mut self, Datums { values, nulls }: Datums<'_>, out: &mut Vec<u8>) {
        for (position, attribute) in self.attributes.iter().enumerate() {
            if position > 0 {
                out.push(b'\t');
            }
            if nulls[attribute.index] {
                out.extend_from_slice(b"\\N");
                continue;
            }
            // SAFETY: by contract; the output function's result is a palloc'd C string in the scratch context.
            unsafe {
                let (mut function, mut varlena) = (pg_sys::InvalidOid, false);
                let declared = (*crate::pg::compat::tuple_desc_attr(self.desc.0, attribute.index)).atttypid;
                pg_sys::getTypeOutputInfo(declared, &mut function, &mut varlena);
                let text = pg_sys::OidOutputFunctionCall(function, values[attribute.index]);
                escape(encoding::sent_bytes(text), out);
            }
        }
        out.push(b'\n');
    }
}

/// Escapes what has a meaning in COPY's text format.
fn escape(text: &[u8], out: &mut Vec<u8>) {
    for byte in text {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            byte => out.push(*byte),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copy_text_escapes_separators_and_backslashes() {
        let mut out = Vec::new();
        escape(b"a\tb\\c\nd\re", &mut out);
        assert_eq!(out, b"a\\tb\\\\c\\nd\\re");
    }
}
