//! Rows that commands of their transaction are about, see `definitions`: kept, played, or told of.

use std::rc::Rc;

use crate::apply::applier::Applier;
use crate::apply::definitions::{Awaited, RowsAnew};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::{Change, Relation, Transaction};
use crate::schema::captured::{Captured, Rewrite};
use crate::schema::image::Table;
use crate::transform::Route;

impl Applier {
    #[cold]
    pub(in crate::apply) fn awaits(
        &mut self,
        transaction: &Transaction,
        relation: &Rc<Relation>,
        change: Change<'_>,
    ) -> Result<()> {
        self.definitions.awaits(relation, transaction.change_lsn, change)
    }

    /// The table is there now: its rows follow.
    pub(super) fn play_awaited(&mut self, transaction: &Transaction, table: u32) -> Result<()> {
        let Some(Awaited { relation, rows }) = self.definitions.take(table) else { return Ok(()) };
        let route = Rc::new(Route::identity(relation.route.source.clone()));
        let there = Rc::new(Relation { route, ..(*relation).clone() });
        rows.play(|_, lsn, change| {
            let transaction = Transaction { change_lsn: lsn, ..*transaction };
            self.change(&transaction, &there, change)
        })
    }

    pub(super) fn way_of_rows(
        &mut self,
        rewrite: Rewrite,
        captured: &Captured,
        before: impl Fn(u32) -> Option<Table>,
    ) -> RowsAnew {
        self.definitions.decide(rewrite, &captured.image.tables, before)
    }

    pub(super) fn command_ends(&mut self) {
        self.definitions.forget_ways();
    }

    /// The transaction is complete.
    pub(in crate::apply) fn definitions_end(&mut self, transaction: &Transaction) -> Result<()> {
        while let Some(relation) = self.definitions.first_awaited().cloned() {
            let Some(capture) = self.captures.take(&relation) else { return Err(uncaptured(&relation)) };
            // The table comes into reach with its rows, these among them.
            self.definitions.take(relation.oid);
            self.apply_later(transaction, &capture)?;
        }
        if self.stands_alone {
            self.definitions.end();
            self.selection.transaction_ends();
        }
        Ok(())
    }
}

fn uncaptured(relation: &Relation) -> Error {
    let name = relation.shown();
    Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("rows were written to table {name}, and no command says where it comes from"),
    )
    .detail("The event triggers of pg_courier did not fire when it was created, attached, renamed or made logged. Nothing of this transaction has been applied.")
    .hint(crate::select::ways_out::not_followed_hint_of_any(&relation.route.source))
}
