//! Indexes and keys of several tables at the same time, each by a session of its own; those of one table in their order.

use std::collections::{HashMap, HashSet, VecDeque};

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
    /// Tables on which nothing takes long: all that is to be built on one is said at once.
    small: HashSet<u32>,
}

impl<'a> Crew<'a> {
    /// `most`: how many sessions in all. `small`: tables on which nothing takes long.
    pub fn new(
        first: &'a mut Destination,
        most: usize,
        small: HashSet<u32>,
        open: impl FnMut() -> Result<Option<Destination>> + 'a,
    ) -> Crew<'a> {
        Crew { first, others: Vec::new(), open: Box::new(open), most, small }
    }

    /// After an error the sessions are of no use any more: some of them may be at work.
    pub(super) fn build(
        &mut self,
        items: &[&Item],
        there: IfThere,
        note: &mut impl FnMut(Note<'_>) -> Result<()>,
    ) -> Result<()> {
        let mut waiting = by_table(items);
        self.grow(waiting.len())?;
        let mut at_work: Vec<VecDeque<&Item>> = vec![VecDeque::new(); self.others.len() + 1];
        let mut doubtful = Vec::new();
        loop {
            for (place, work) in at_work.iter_mut().enumerate().filter(|(_, work)| work.is_empty()) {
                let Some(table) = waiting.pop_front() else { break };
                self.begin(place, &table, note)?;
                *work = table;
            }
            if at_work.iter().all(VecDeque::is_empty) {
                break;
            }
            self.wait(&at_work)?;
            for (place, work) in at_work.iter_mut().enumerate().filter(|(_, work)| !work.is_empty()) {
                while let Some(outcome) = self.session(place).next_outcome()? {
                    let Some(item) = work.pop_front() else { break };
                    match outcome {
                        Err(error) if is_there_already(&error) => doubtful.push((item, error)),
                        outcome => outcome.map_err(|error| explained(item, error))?,
                    }
                    let is_last = work.is_empty() || !self.is_small(item);
                    if is_last {
                        self.session(place).end_series()?;
                        if !work.is_empty() {
                            self.begin(place, work, note)?;
                        }
                        break;
                    }
                    work.front().map_or(Ok(()), |next| note(Note::Building(next)))?;
                }
            }
        }
        // Somebody made it.
        for (item, error) in doubtful {
            if !is_present(self.first, item, there)? {
                return Err(explained(item, error));
            }
        }
        Ok(())
    }

    /// Nobody can take back what the destination has been told: where it takes long, that is one thing.
    fn begin(
        &mut self,
        place: usize,
        table: &VecDeque<&Item>,
        note: &mut impl FnMut(Note<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(first) = table.front() else { return Ok(()) };
        note(Note::Building(first))?;
        let count = if self.is_small(first) { table.len() } else { 1 };
        self.session(place).begin_series(table.iter().take(count).map(|item| &item.statement))
    }

    fn is_small(&self, item: &Item) -> bool {
        item.indexed.is_some_and(|table| self.small.contains(&table))
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

    fn wait(&mut self, at_work: &[VecDeque<&Item>]) -> Result<()> {
        let sessions = std::iter::once(&mut *self.first).chain(&mut self.others).zip(at_work);
        Destination::wait_for_any(sessions.filter(|(_, work)| !work.is_empty()).map(|(session, _)| session))
    }
}

/// What is to be built on each table, in its order.
fn by_table<'a>(items: &[&'a Item]) -> VecDeque<VecDeque<&'a Item>> {
    let mut tables: VecDeque<VecDeque<&Item>> = VecDeque::new();
    let mut places = HashMap::new();
    for item in items {
        let place = *places.entry(item.indexed).or_insert(tables.len());
        match tables.get_mut(place) {
            Some(table) => table.push_back(item),
            None => tables.push_back(VecDeque::from([*item])),
        }
    }
    tables
}
