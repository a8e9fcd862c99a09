//! The applier as the decoder's sink for rows of transactions that have not committed, see `ahead`.

use std::rc::Rc;

use super::ahead::{Ahead, GIVES_WAY};
use super::applier::Applier;
use super::collect::group::Mode;
use super::collect::route::Agreement;
use super::flights::Lane;
use super::session::Verb;
use super::writer::MarkLane;
use crate::decode::EarlySink;
use crate::destination::dialect::Sql;
use crate::error::{Error, Result};
use crate::logicalrep::{Relation, Transaction};
use crate::pg::xact;
use crate::transform::Operation;

/// Rows of large transactions go ahead of their commit where that can be had.
impl EarlySink for Applier {
    /// A piece of a transaction that has not committed is about to be encoded, nothing but inserts into `table` if that is
    /// given. Shall its rows be sent ahead?
    fn wants(&mut self, early: &Transaction, table: Option<&Rc<Relation>>, is_first: bool) -> Result<bool> {
        self.writer.lanes.tend_ahead();
        match (self.writer.lanes.second.ahead(), table) {
            (Some(ahead), _) if !ahead.is_of(early.xid) => return Ok(false),
            (Some(ahead), Some(table)) if ahead.table().generation == table.generation => {}
            (None, Some(table)) if is_first && self.suits_ahead(early, table) => {}
            _ => {
                self.forgets(early.xid);
                return Ok(false);
            }
        }
        self.apply_all()?;
        match table {
            Some(table) if self.writer.lanes.second.ahead().is_none() && is_first => {
                self.start_ahead(early.xid, table.clone())
            }
            _ => Ok(self.writer.lanes.second.ahead().is_some()),
        }
    }

    #[inline]
    fn row(&mut self, row: &[u8]) -> Result<()> {
        let Some(ahead) = self.writer.lanes.second.ahead_mut() else { return Ok(()) };
        let outcome = ahead.add(row);
        if outcome.is_err() { self.writer.lanes.judge_ahead(outcome) } else { Ok(()) }
    }

    fn piece_ends(&mut self) -> Result<()> {
        let Some(ahead) = self.writer.lanes.second.ahead_mut() else { return Ok(()) };
        let outcome = ahead.send();
        self.writer.lanes.judge_ahead(outcome)
    }

    /// The transaction has ended otherwise, or is no longer what it seemed.
    fn forgets(&mut self, xid: u32) {
        let second = &mut self.writer.lanes.second;
        if second.ahead().is_some_and(|ahead| ahead.is_of(xid)) {
            second.close();
        }
    }

    /// The transaction has committed, and nothing follows but inserts into the table in this slot, if that is given. Are
    /// the rows that came before already sent?
    fn has_all(&mut self, transaction: &Transaction, slot: Option<usize>) -> Result<bool> {
        let second = &mut self.writer.lanes.second;
        let Some(ahead) = second.ahead().filter(|ahead| ahead.is_of(transaction.xid)) else { return Ok(false) };
        if slot.is_some_and(|slot| slot != ahead.table().slot) {
            second.close();
            return Ok(false);
        }
        self.apply_all()?;
        let second = &mut self.writer.lanes.second;
        let Some((rows, bytes)) = second.ahead_mut().and_then(Ahead::adopt) else { return Ok(false) };
        self.enter(transaction);
        self.writer.group.count(rows, bytes);
        Ok(true)
    }
}

impl Applier {
    /// Applies everything that has committed, and waits for it; what was sent ahead may have to give way to it.
    fn apply_all(&mut self) -> Result<()> {
        if !self.writer.group.is_empty() {
            self.close_group(false)?;
        }
        self.writer.lanes.settle()?;
        self.writer.lanes.tend_ahead();
        Ok(())
    }

    fn suits_ahead(&self, early: &Transaction, table: &Relation) -> bool {
        // A worker that starts reads again what came before; part of that has been applied.
        early.commit_lsn >= self.writer.lanes.flights.chain()
            && self.writer.may_overlap()
            && table.fits_copy()
            && table.takes(Operation::Insert)
            && self.selection.wants(table.oid, early)
    }

    fn start_ahead(&mut self, xid: u32, table: Rc<Relation>) -> Result<bool> {
        assert!(!self.writer.group.is_open(), "rows go ahead of their commit behind whole groups only");
        if self.writer.agrees(&table)? != Agreement::Plain {
            return Ok(false);
        }
        let dialect = self.writer.dialect();
        let (copy, mark) = (self.writer.copy_of(&table)?, self.writer.mark(MarkLane::Ahead));
        let lanes = &mut self.writer.lanes;
        let Some(session) = lanes.second.take() else { return Ok(false) };
        let sql = Sql::all([Some(dialect.begin()), Some(dialect.commit_durably()), Some(mark), Some(copy)]);
        let Some((ahead, held)) = Ahead::begin(session, &sql, xid, table) else {
            lanes.second.avoid();
            return Ok(false);
        };
        lanes.first.on_stall(GIVES_WAY, Box::new(move || held.close()));
        lanes.second.put_ahead(ahead);
        Ok(true)
    }

    /// Commits what was sent ahead, on the destination as on the source.
    pub(super) fn commit_ahead(&mut self) -> Result<()> {
        assert_eq!(self.mode(), Mode::Adopted);
        assert!(!self.writer.group.is_open(), "its fence is the progress that it ends with");
        self.writer.group.applied.sent_at = xact::now();
        let group = self.writer.group.applied;
        let (progress, commit) = (self.writer.advance(&group), self.writer.dialect().commit());
        let lanes = &mut self.writer.lanes;
        let Some(ahead) = lanes.second.ahead_mut() else {
            return Err(Error::internal("rows that were sent ahead are gone"));
        };
        let table = ahead.table().clone();
        let outcome = ahead.commit(&progress, &commit);
        outcome.map_err(|error| lanes.explain(error, Some((&table, Verb::Insert))))?;
        lanes.second.keep_adopted();
        lanes.flights.sent(self.writer.group.end(), true, Lane::Second);
        lanes.committed(Lane::Second);
        Ok(())
    }
}
