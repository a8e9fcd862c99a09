//! Sequences: their options and whose they are. Their values are no part of an image.

use std::borrow::Cow;

use super::names::RELATIONS;
use super::{Action, Comparison, SequenceChange, Subject, pairs};
use crate::schema::image::{Column, Owner, Sequence, Table};
use crate::schema::kind::Kind;

impl<'a> Comparison<'a> {
    pub(super) fn sequences(&mut self) {
        for (old, new) in pairs(&self.before.sequences, &self.after.sequences, |s| s.oid) {
            match (old, new) {
                (None, Some(new)) => {
                    self.step(Kind::Sequence, 0, Action::CreateSequence(new));
                    self.own(new);
                }
                (Some(old), None) => {
                    if old.owner.as_ref().is_some_and(|owner| self.goes(owner)) {
                        // The server takes it along, if nothing else has it as a default until later.
                        if !self.is_used(old) {
                            continue;
                        }
                        self.free(old);
                    }
                    let name = self.renames.leave(old.oid, RELATIONS, &old.name, Subject::Sequence);
                    self.step(Kind::DropNeeded, -1_000_000, Action::Drop(Subject::Sequence(Cow::Owned(name))));
                }
                (Some(old), Some(new)) => self.alter_sequence(old, new),
                (None, None) => {}
            }
        }
    }

    fn own(&mut self, sequence: &'a Sequence) {
        if let Some(owner) = &sequence.owner {
            self.step(Kind::SequenceOwnedBy, 0, Action::OwnSequence { sequence, owner });
        }
    }

    /// Before its column goes, which would take it along.
    fn free(&mut self, sequence: &'a Sequence) {
        let change = SequenceChange::Free;
        self.step(Kind::SequenceFree, 0, Action::AlterSequence { sequence, change });
    }

    fn alter_sequence(&mut self, old: &'a Sequence, new: &'a Sequence) {
        match (&old.owner, &new.owner) {
            // It goes where its table goes.
            (Some(owner), Some(_)) => {
                let names = (old.name.name.as_str(), new.name.name.as_str());
                self.renames.follow(new.oid, (&old.name.schema, &new.name.schema), names, Subject::Sequence);
                if self.goes(owner) {
                    self.free(old);
                }
                let now = self.owner_now(owner);
                if now.as_ref().unwrap_or(owner) != new.owner.as_ref().unwrap_or(owner) {
                    self.own(new);
                }
            }
            (owner, _) => {
                if owner.is_some() {
                    self.free(old);
                }
                self.renames.go(new.oid, RELATIONS, &old.name, &new.name, Subject::Sequence);
                self.own(new);
            }
        }
        self.sequence_options(old, new);
        if old.unlogged != new.unlogged {
            let change = SequenceChange::Persistence;
            self.step(Kind::SequencePersistence, 0, Action::AlterSequence { sequence: new, change });
        }
    }

    /// Of one that an identity column has, too.
    pub(super) fn sequence_options(&mut self, old: &'a Sequence, new: &'a Sequence) {
        let options = |s: &Sequence| (s.type_oid, s.start, s.increment, s.min, s.max, s.cache, s.cycle);
        if options(old) != options(new) {
            // Where the destination's value is nobody knows; in narrower bounds it has no place.
            let restart = new.min > old.min || new.max < old.max;
            let change = SequenceChange::Options { restart };
            self.step(Kind::SequenceChange, 0, Action::AlterSequence { sequence: new, change });
        }
    }

    /// Is it in the default of a table that stays?
    fn is_used(&self, sequence: &Sequence) -> bool {
        let name = sequence.name.shown();
        let staying = self.before.tables.iter().filter(|table| self.table_now(table).is_some());
        let mut defaults = staying.flat_map(|table| {
            let is_own = move |c: &&Column| {
                sequence.owner.as_ref().is_some_and(|owner| table.name == owner.table && c.name == owner.column)
            };
            table.columns.iter().filter(move |c| !is_own(c)).filter_map(|c| c.expression.as_deref())
        });
        defaults.any(|default| default.contains(&name))
    }

    fn owner_before(&self, owner: &Owner) -> Option<(&'a Table, &'a Column)> {
        let table = self.before.tables.iter().find(|table| table.name == owner.table)?;
        Some((table, table.columns.iter().find(|column| column.name == owner.column)?))
    }

    fn table_now(&self, old: &Table) -> Option<&'a Table> {
        self.after.tables.iter().find(|table| table.oid == old.oid)
    }

    /// Is the column of an owner dropped?
    fn goes(&self, owner: &Owner) -> bool {
        let is_gone = |(table, column): (&Table, &Column)| {
            self.table_now(table).is_none_or(|table| table.column(column.attnum).is_none())
        };
        self.owner_before(owner).is_some_and(is_gone)
    }

    /// What the column of an owner is called now.
    fn owner_now(&self, owner: &Owner) -> Option<Owner> {
        let (table, column) = self.owner_before(owner)?;
        let table = self.table_now(table)?;
        let column = table.column(column.attnum)?.name.clone();
        Some(Owner { table: table.name.clone(), column })
    }
}
