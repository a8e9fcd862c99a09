//! What the callbacks do for a sink: the reorder buffer's changes become [`Change`]s.

use std::rc::Rc;

use pgrx::pg_sys;

use super::rows::{ChangeShape, Rows, verb_of};
use super::sink::{ChangeSink, Event};
use super::spools::Spools;
use super::tables::Tables;
use super::txn::Commit;
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::relation::{Fields, Identity};
use crate::logicalrep::{Change, Lsn, Relation, Transaction};
use crate::pg::{compat, guard, invalidation, rel};
use crate::select::Selection;
use crate::select::marks::Mark;
use crate::tuple::encode::EncodeFor;

/// What the callbacks work with; the decoding context points to it.
pub struct Decoder {
    pub(super) sink: Box<dyn ChangeSink>,
    pub(super) selection: Rc<Selection>,
    pub(super) only_local: bool,
    pub(super) error: Option<Error>,
    pub(super) tables: Tables,
    pub(super) rows: Rows,
    pub(super) transaction: Transaction,
    /// Is the rest of the transaction left out?
    pub(super) left_out: bool,
    /// The plain commit record that the server is about to process.
    pub(super) commit: Option<Commit>,
    /// The tables of the changes of a transaction that is looked at.
    pub(super) found: Vec<usize>,
    /// Changes of large transactions that have not committed yet.
    pub(super) spools: Spools,
}

impl Decoder {
    pub(super) fn new(sink: Box<dyn ChangeSink>) -> Box<Decoder> {
        invalidation::register();
        let selection = sink.selection();
        Box::new(Decoder {
            only_local: selection.origins().only_local(),
            sink,
            error: None,
            tables: Tables::new(selection.clone()),
            selection,
            rows: Rows::new(),
            transaction: Transaction::default(),
            left_out: false,
            commit: None,
            found: Vec::new(),
            spools: Spools::default(),
        })
    }

    /// # Safety
    /// As for the callback `change`; the relation is a mark.
    unsafe fn read_mark(
        &mut self,
        table: usize,
        owner: u32,
        relation: pg_sys::Relation,
        change: *mut pg_sys::ReorderBufferChange,
    ) -> Result<()> {
        // SAFETY: by contract.
        unsafe {
            let (_, tuple) = compat::tuples(change);
            if tuple.is_null() {
                return Ok(());
            }
            let described = self.tables.describe(table, relation)?;
            let Rows { scratch, new, row, .. } = &mut self.rows;
            row.clear();
            guard::guarded(|| {
                new.take(tuple, described.desc.0);
                scratch.run(|| described.encode(new.row(), None, EncodeFor::Param, row));
            });
            let columns = described.relation.columns.iter();
            let source = columns.zip(Fields(row)).find(|(column, _)| column.source == "source_id");
            if let Some((_, field)) = source {
                let source = field.get(4..).unwrap_or_default();
                let mark = Mark { table: self.tables.at(table).oid, owner, source };
                let outcome = self.selection.leave_out(&self.transaction, &mark);
                self.left_out = outcome.map_err(|error| error.context(where_committed(&self.transaction)))?;
                self.transaction.is_echo = self.left_out && self.selection.origins().comes_from_destination(&mark);
            }
            Ok(())
        }
    }
}

impl Decoder {
    pub(super) fn begin(&mut self, transaction: Transaction) {
        self.transaction = transaction;
        self.left_out = false;
        self.tables.enter(&transaction);
    }

    /// Is nothing of a change wanted, whatever it is, as its transaction is left out? What became of commands is heard, also of those that
    /// the destination has run: its tables are others by them.
    ///
    /// # Safety
    /// The relation is open.
    pub(super) unsafe fn leaves_out(&self, relation: pg_sys::Relation) -> bool {
        // SAFETY: by contract.
        let is_command = || unsafe { (*relation).rd_id.to_u32() } == self.selection.own().commands;
        self.left_out && !(self.transaction.is_echo && is_command())
    }

    /// # Safety
    /// Inside the callback that begins the transaction.
    pub(super) unsafe fn check_changed(&mut self) -> Result<()> {
        if !invalidation::has_changed() {
            return Ok(());
        }
        // SAFETY: by contract.
        let checked = unsafe { self.tables.check_changed(&self.transaction) };
        checked.map_err(|error| error.context(where_committed(&self.transaction)))
    }

    /// # Safety
    /// The arguments of the callback.
    pub(super) unsafe fn change(
        &mut self,
        relation: pg_sys::Relation,
        change: *mut pg_sys::ReorderBufferChange,
    ) -> Result<()> {
        // SAFETY: by contract.
        unsafe {
            let table = self.tables.meet(relation, change).map_err(|error| {
                let (name, lsn) = (rel::table_name(relation), Lsn((*change).lsn));
                error
                    .context(format!("Source change: {} on {name}, LSN {lsn}.", verb_of(change)))
                    .context(where_committed(&self.transaction))
            })?;
            if self.wants(table) {
                self.tables.describe(table, relation)?;
                self.row_change(table, change)
            } else if let Some(owner) = self.tables.at(table).marked_by {
                self.read_mark(table, owner, relation, change)
            } else {
                Ok(())
            }
        }
    }

    /// # Safety
    /// The arguments of the callback.
    pub(super) unsafe fn truncate(
        &mut self,
        relations: &[pg_sys::Relation],
        change: *const pg_sys::ReorderBufferChange,
    ) -> Result<()> {
        // SAFETY: by contract; the change is a TRUNCATE.
        let (lsn, restart_sequences) = unsafe { (Lsn((*change).lsn), (*change).data.truncate.restart_seqs) };
        self.transaction.change_lsn = lsn;
        let in_context = |error: Error, names: &str, transaction: &Transaction| {
            let what = format!("Source change: TRUNCATE {names}, LSN {lsn}.");
            error.lsn(lsn).context(what).context(where_committed(transaction))
        };
        let mut wanted: Vec<Rc<Relation>> = Vec::new();
        for relation in relations {
            // SAFETY: by contract they are open.
            unsafe {
                // The list names a partitioned table and its partitions; only those hold rows.
                if (*(**relation).rd_rel).relkind as u8 != pg_sys::RELKIND_RELATION {
                    continue;
                }
                let met = self.tables.meet_table(*relation);
                let met = met.map_err(|error| in_context(error, &rel::table_name(*relation), &self.transaction))?;
                if self.wants(met) {
                    wanted.push(self.tables.describe(met, *relation)?.relation.clone());
                }
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let outcome = self.sink.event(&self.transaction, Event::Truncate { relations: &wanted, restart_sequences });
        outcome.map_err(|error| {
            let names: Vec<String> = wanted.iter().map(|relation| relation.shown()).collect();
            in_context(error, &names.join(", "), &self.transaction)
        })
    }

    pub(super) fn end(&mut self) -> Result<()> {
        let outcome = self.sink.event(&self.transaction, Event::Commit);
        outcome.map_err(|error| error.context(where_committed(&self.transaction)))
    }

    pub(super) fn wants(&self, table: usize) -> bool {
        self.tables.at(table).interest.includes(&self.transaction)
    }

    /// Encodes a change of a table that is described, and hands it to the sink.
    ///
    /// # Safety
    /// `change` is a row change of the table, inside a callback.
    pub(super) unsafe fn row_change(&mut self, table: usize, change: *mut pg_sys::ReorderBufferChange) -> Result<()> {
        let Decoder { sink, tables, rows, transaction, .. } = self;
        let described = tables.described(table).ok_or_else(|| Error::internal("a table's definition is missing"))?;
        // SAFETY: by contract; tuples belong to the relation's descriptor.
        unsafe {
            transaction.change_lsn = Lsn((*change).lsn);
            let shape = ChangeShape::of(&described.relation, change);
            if !shape.is_delete && !shape.has_new {
                return Err(Error::new(sqlstate::DATA_CORRUPTED, "a change without a new row was decoded"));
            }
            let mut encoded = Ok(());
            if shape.has_identity {
                guard::guarded(|| rows.encode(described, change, shape));
            } else {
                encoded = Err(missing_identity(&described.relation, shape.verb()));
            }
            let value = rows.change(shape);
            let event = Event::Change { relation: &described.relation, change: value };
            let outcome = encoded.and_then(|()| sink.event(transaction, event));
            outcome.map_err(|error| {
                let (old, new) = compat::tuples(change);
                let shown = rows.show_key(described, old, new, shape.is_insert);
                let (verb, name, lsn) = (shape.verb(), described.relation.shown(), Lsn((*change).lsn));
                error
                    .lsn(lsn)
                    .context(format!("Source change: {verb} on {name}, key {shown}, LSN {lsn}."))
                    .context(where_committed(transaction))
            })
        }
    }

    /// Has the change, of a table that is described, all that it takes to apply it?
    ///
    /// # Safety
    /// `change` is a row change of the table.
    pub(super) unsafe fn is_complete(&mut self, table: usize, change: *mut pg_sys::ReorderBufferChange) -> bool {
        let Some(described) = self.tables.described(table) else { return false };
        // SAFETY: by contract.
        unsafe { ChangeShape::of(&described.relation, change).is_complete() }
    }

    /// Hands a change of the spool to the sink.
    pub(super) fn spooled_change(&mut self, relation: &Rc<Relation>, lsn: Lsn, change: Change<'_>) -> Result<()> {
        self.transaction.change_lsn = lsn;
        if !self.wants(relation.slot) {
            return Ok(());
        }
        self.sink.event(&self.transaction, Event::Change { relation, change }).map_err(|error| {
            let verb = match change {
                Change::Insert { .. } => "INSERT",
                Change::Update { .. } => "UPDATE",
                Change::Delete { .. } => "DELETE",
            };
            let name = relation.shown();
            error
                .lsn(lsn)
                .context(format!("Source change: {verb} on {name}, LSN {lsn}."))
                .context(where_committed(&self.transaction))
        })
    }
}

/// Encodes a complete change of a table that is described.
///
/// # Safety
/// `change` is a complete row change of the table, where a historic snapshot is set.
pub(super) unsafe fn encode<'a>(
    tables: &'a mut Tables,
    rows: &'a mut Rows,
    table: usize,
    change: *mut pg_sys::ReorderBufferChange,
) -> Result<(&'a Rc<Relation>, Change<'a>)> {
    let described = tables.described(table).ok_or_else(|| Error::internal("a table's definition is missing"))?;
    // SAFETY: by contract.
    unsafe {
        let shape = ChangeShape::of(&described.relation, change);
        guard::guarded(|| rows.encode(described, change, shape));
        Ok((&described.relation, rows.change(shape)))
    }
}

pub(super) fn where_committed(transaction: &Transaction) -> String {
    format!("Source transaction {}, commit LSN {}.", transaction.xid, transaction.commit_lsn)
}

fn missing_identity(relation: &Relation, verb: &str) -> Error {
    let name = relation.shown();
    Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("cannot apply {verb} on {name}: the row has no replica identity"),
    )
    .detail(match relation.identity {
        Identity::Generated => "A column of its key is generated: the destination computes it, so the key does not travel.",
        _ => "The table has no primary key and no other replica identity, so the WAL does not say which row was meant.",
    })
    .hint(format!(
        "ALTER TABLE {name} REPLICA IDENTITY FULL; (or add a primary key of ordinary columns) helps from then on. This change cannot be \
         recovered from the WAL: drop the task, empty the table on the destination and create the task anew."
    ))
}
