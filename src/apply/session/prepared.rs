//! The statements that a session has prepared: one for each shape, and not too many of them.
//!
//! The destination keeps a plan for each, and there is one for each combination of columns that large values were left
//! out of. This is the list; who takes a name off it has to say so to the destination.

use std::collections::HashMap;
use std::rc::Rc;

use super::Verb;

/// What prepared statements may weigh together: about 4 kB on the destination for each parameter, and as much as for this
/// many parameters for the statement itself. In all some 60 MB.
const WEIGHT_KEPT: usize = 16_000;
const STATEMENT_WEIGHT: usize = 4;

/// A definition, what is done, and the columns that it is done to.
pub type Shape = (u64, Verb, Vec<usize>);

struct Statement {
    number: u64,
    name: Rc<str>,
    /// When it was used last, in uses of all statements.
    used: u64,
    weight: usize,
}

#[derive(Default)]
pub struct Prepared {
    statements: HashMap<Shape, Statement>,
    made: u64,
    uses: u64,
    weight: usize,
}

impl Prepared {
    /// The statement of this shape, which is about to be used.
    pub fn find(&mut self, shape: &Shape) -> Option<Rc<str>> {
        self.uses += 1;
        let statement = self.statements.get_mut(shape)?;
        statement.used = self.uses;
        Some(statement.name.clone())
    }

    /// The name for a new one, which is not on the list before [`Self::add`].
    pub fn name(&mut self) -> Rc<str> {
        self.made += 1;
        format!("courier_{}", self.made).into()
    }

    /// A statement of the latest name is being prepared.
    pub fn add(&mut self, shape: Shape, name: &Rc<str>, parameters: usize) {
        let weight = STATEMENT_WEIGHT + parameters;
        let statement = Statement { number: self.made, name: name.clone(), used: self.uses, weight };
        let before = self.statements.insert(shape, statement);
        assert!(before.is_none(), "a statement is prepared once");
        self.weight += weight;
    }

    /// Makes room for one more: the names of those that have to go, the least used.
    pub fn make_room(&mut self, parameters: usize) -> Vec<Rc<str>> {
        if self.weight + STATEMENT_WEIGHT + parameters <= WEIGHT_KEPT {
            return Vec::new();
        }
        let mut by_use: Vec<(u64, Shape)> =
            self.statements.iter().map(|(shape, statement)| (statement.used, shape.clone())).collect();
        by_use.sort_unstable_by_key(|(used, _)| *used);
        by_use.truncate(self.statements.len().div_ceil(8));
        by_use.iter().filter_map(|(_, shape)| self.forget(shape)).collect()
    }

    /// Forgets what was prepared for a definition; the names of those that have to go.
    pub fn forget_generation(&mut self, generation: u64) -> Vec<Rc<str>> {
        let stale: Vec<Shape> = self.statements.keys().filter(|(g, _, _)| *g == generation).cloned().collect();
        stale.iter().filter_map(|shape| self.forget(shape)).collect()
    }

    fn forget(&mut self, shape: &Shape) -> Option<Rc<str>> {
        let statement = self.statements.remove(shape)?;
        self.weight -= statement.weight;
        Some(statement.name)
    }

    /// How many were made so far.
    pub fn made(&self) -> u64 {
        self.made
    }

    /// The destination has refused those that were made since; it does not have them.
    pub fn forget_since(&mut self, made: u64) {
        self.statements.retain(|_, statement| statement.number <= made);
        self.weight = self.statements.values().map(|statement| statement.weight).sum();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn add(prepared: &mut Prepared, generation: u64, parameters: usize) -> Rc<str> {
        let shape = (generation, Verb::Insert, vec![]);
        assert!(prepared.find(&shape).is_none());
        let name = prepared.name();
        prepared.add(shape, &name, parameters);
        name
    }

    #[test]
    fn a_shape_has_one_statement() {
        let mut prepared = Prepared::default();
        let name = add(&mut prepared, 1, 4);
        assert_eq!(&*name, "courier_1");
        assert_eq!(prepared.find(&(1, Verb::Insert, vec![])), Some(name));
        assert!(prepared.find(&(1, Verb::Update, vec![])).is_none());
        assert!(prepared.find(&(1, Verb::Insert, vec![2])).is_none());
    }

    #[test]
    fn the_least_used_make_room() {
        let mut prepared = Prepared::default();
        let names: Vec<Rc<str>> = (1..=8).map(|generation| add(&mut prepared, generation, 1996)).collect();
        assert!(prepared.find(&(1, Verb::Insert, vec![])).is_some());
        assert_eq!(prepared.make_room(1996), [names[1].clone()]);
        assert!(prepared.make_room(1996).is_empty());
    }

    #[test]
    fn a_definition_that_has_changed_takes_its_statements_along() {
        let mut prepared = Prepared::default();
        let name = add(&mut prepared, 1, 4);
        add(&mut prepared, 2, 4);
        assert_eq!(prepared.forget_generation(1), [name]);
        assert!(prepared.forget_generation(1).is_empty());
        assert_eq!(prepared.weight, 8);
    }

    #[test]
    fn what_was_refused_is_not_there() {
        let mut prepared = Prepared::default();
        add(&mut prepared, 1, 4);
        let made = prepared.made();
        add(&mut prepared, 2, 4);
        prepared.forget_since(made);
        assert!(prepared.find(&(1, Verb::Insert, vec![])).is_some());
        assert!(prepared.find(&(2, Verb::Insert, vec![])).is_none());
        assert_eq!(prepared.weight, 8);
    }
}
