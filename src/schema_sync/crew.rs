//! Indexes and keys of several tables at the same time, each by a session of its own; those of one table in their order.

use std::collections::HashSet;

use super::{IfThere, Note, explained, is_present, is_there_already};
use crate::destination::Destination;
use crate::error::Result;
use crate::schema::Item;

/// The session that the rest is done in, and others, which are opened when there is something for them.
pub struct Crew<'a> {
    pub first: &'a mut Destination,
    others: Vec<Destination>,
    /// None where the destination gives no more of them.
    open: Box<dyn FnMut() -> Result<Option<Destination>> + 'a>,
    most: usize,
}

impl<'a> Crew<'a> {
    /// `most`: how many sessions in all.
    pub fn new(
        first: &'a mut Destination,
        most: usize,
        open: impl FnMut() -> Result<Option<Destination>> + 'a,
    ) -> Crew<'a> {
        Crew { first, others: Vec::new(), open: Box::new(open), most }
    }

    /// After an error the sessions are of no use any more: some of them may be at work.
    pub(super) fn build(
        &mut self,
        items: &[&Item],
        there: IfThere,
        note: &mut impl FnMut(Note<'_>) -> Result<()>,
    ) -> Result<()> {
        let tables: HashSet<Option<u32>> = items.iter().map(|item| item.indexed).collect();
        self.grow(tables.len())?;
        let mut waiting = items.to_vec();
        let mut at_work: Vec<Option<&Item>> = vec![None; self.others.len() + 1];
        loop {
            for place in 0..at_work.len() {
                if at_work[place].is_some() {
                    continue;
                }
                let is_free = |item: &&Item| !at_work.iter().flatten().any(|other| other.indexed == item.indexed);
                let Some(next) = waiting.iter().position(is_free) else { break };
                let item = waiting.remove(next);
                note(Note::Building(item))?;
                self.session(place).begin_define(&item.statement)?;
                at_work[place] = Some(item);
            }
            if at_work.iter().all(Option::is_none) {
                return Ok(());
            }
            self.wait(&at_work)?;
            for (place, work) in at_work.iter_mut().enumerate() {
                let Some(item) = *work else { continue };
                let Some(outcome) = self.session(place).ended() else { continue };
                *work = None;
                match outcome {
                    // Somebody made it.
                    Err(error) if is_there_already(&error) && is_present(self.session(place), item, there)? => {}
                    outcome => outcome.map_err(|error| explained(item, error))?,
                }
            }
        }
    }

    fn session(&mut self, place: usize) -> &mut Destination {
        match place.checked_sub(1) {
            Some(other) => &mut self.others[other],
            None => self.first,
        }
    }

    fn grow(&mut self, tables: usize) -> Result<()> {
        while self.others.len() + 1 < self.most.min(tables) {
            match (self.open)()? {
                Some(session) => self.others.push(session),
                None => self.most = self.others.len() + 1,
            }
        }
        Ok(())
    }

    fn wait(&mut self, at_work: &[Option<&Item>]) -> Result<()> {
        let sessions = std::iter::once(&mut *self.first).chain(&mut self.others).zip(at_work);
        Destination::wait_for_any(sessions.filter(|(_, work)| work.is_some()).map(|(session, _)| session))
    }
}
