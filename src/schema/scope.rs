//! Which objects tables need, in which order, and which parts of them cannot be created: decided from dependencies as the server records them.
//!
//! A part of a table (a default, an index, a trigger) that depends on what the task does not create (a function of a user, an unselected
//! table) is *blocked*, unless the destination has that thing. What the tables and their unblocked parts need is *reached*: types,
//! collations, sequences, extensions. Tables and types get levels: a higher one needs something of a lower one.

use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::image::Class;

/// Catalog and oid of an object.
pub type Object = (Class, u32);

/// What `pg_class.relkind` says about a relation that is referred to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RelationKind {
    Table,
    Sequence,
    /// A view or a materialized view.
    View,
    /// A foreign table: no task creates one.
    Other,
}

/// What `pg_type.typtype` says, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TypeKind {
    /// Made of functions in C.
    Base,
    Made,
}

/// A part depends on something that a user or an extension made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    pub part: Object,
    /// The table of the part; none for one of a type.
    pub table: Option<u32>,
    /// Recorded at the table itself, not at a part of it.
    pub at_table: bool,
    /// The domain of a constraint.
    pub domain: Option<u32>,
    pub is_check: bool,
    /// What an expression or a definition mentions; else what the part belongs to.
    pub is_normal: bool,
    pub on: Object,
    /// The element, where `on` is an array type.
    pub element: Option<u32>,
    /// The range, where it is a multirange.
    pub range: Option<u32>,
    /// The relation, where it is one with rows or the row type of one (or an array of those).
    pub relation: Option<u32>,
    pub relation_kind: Option<RelationKind>,
    pub type_kind: Option<TypeKind>,
    /// The extension that brings it.
    pub extension: Option<u32>,
}

/// Why a part is not created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// As the server records it.
    pub by: Object,
    /// The thing itself: the view of a row type, the element of an array.
    pub cause: Object,
}

#[derive(Clone, Debug, Default)]
pub struct Scope {
    pub blocked: HashMap<Object, Blocked>,
    /// What parts wait for, whether the destination has it or not.
    pub causes: HashSet<Object>,
    /// With array types, and those that an extension brings: candidates.
    pub types: Vec<u32>,
    pub collations: Vec<u32>,
    pub sequences: Vec<u32>,
    pub extensions: HashSet<u32>,
    levels: HashMap<Object, i64>,
}

impl Scope {
    /// `available` are causes that the destination has: what waits for them is not blocked.
    ///
    /// `tables` are the relations that are created: views with them.
    pub fn of(tables: &[u32], dependencies: &[Dependency], available: &[Object]) -> Scope {
        let selected: HashSet<u32> = tables.iter().copied().collect();
        let mut scope = Scope::default();
        scope.block(&selected, dependencies, available);
        scope.reach(dependencies, &[]);
        scope.rank(&selected, dependencies);
        scope
    }

    /// In which nothing is blocked: what the tables and further types need, whoever has it.
    pub fn whole(tables: &[u32], types: &[u32], dependencies: &[Dependency]) -> Scope {
        let selected: HashSet<u32> = tables.iter().copied().collect();
        let mut scope = Scope::default();
        scope.block(&selected, dependencies, &[]);
        scope.blocked.clear();
        scope.reach(dependencies, types);
        scope.rank(&selected, dependencies);
        scope
    }

    pub fn is_blocked(&self, class: Class, oid: u32) -> bool {
        self.blocked.contains_key(&(class, oid))
    }

    /// Creation order of a table or a type.
    pub fn level(&self, class: Class, oid: u32) -> i64 {
        self.levels.get(&(class, oid)).copied().unwrap_or_default()
    }

    fn block(&mut self, selected: &HashSet<u32>, dependencies: &[Dependency], available: &[Object]) {
        let available: HashSet<Object> = available.iter().copied().collect();
        for dependency in dependencies.iter().filter(|d| d.blocks(selected)) {
            let blocked = Blocked { by: dependency.on, cause: dependency.cause() };
            self.causes.insert(blocked.cause);
            if available.contains(&blocked.cause) {
                continue;
            }
            let first = self.blocked.entry(dependency.part).or_insert(blocked);
            if rank_of_cause(blocked.by) < rank_of_cause(first.by) {
                *first = blocked;
            }
        }
    }

    /// Everything that the tables and their unblocked parts need. What blocks is followed only to the extension that brings it; tables are
    /// not followed, for the selected ones are where all this begins.
    fn reach(&mut self, dependencies: &[Dependency], types: &[u32]) {
        let mut by_part: HashMap<Object, Vec<&Dependency>> = HashMap::new();
        let mut constraints: HashMap<u32, Vec<Object>> = HashMap::new();
        for dependency in dependencies {
            by_part.entry(dependency.part).or_default().push(dependency);
            if let Some(domain) = dependency.domain {
                constraints.entry(domain).or_default().push(dependency.part);
            }
        }
        let is_start = |d: &&Dependency| {
            let is_table = d.table.is_some_and(|table| d.part == (Class::Relation, table));
            let is_code = d.part.0.is_code();
            (d.table.is_some() || is_code) && (is_table || !self.blocked.contains_key(&d.part))
        };
        let start: HashSet<Object> = dependencies.iter().filter(is_start).map(|d| d.part).collect();
        let mut waiting: Vec<Object> = start.iter().copied().collect();
        waiting.extend(types.iter().map(|oid| (Class::Type, *oid)));
        let mut seen: HashSet<Object> = waiting.iter().copied().collect();
        while let Some(object) = waiting.pop() {
            for dependency in by_part.get(&object).into_iter().flatten() {
                let extension = dependency.extension.filter(|extension| self.extensions.insert(*extension));
                // It may require others.
                waiting.extend(extension.map(|oid| (Class::Extension, oid)).filter(|object| seen.insert(*object)));
                if dependency.is_followed() && seen.insert(dependency.on) {
                    waiting.push(dependency.on);
                }
            }
            if object.0 == Class::Type {
                let of_domain = constraints.get(&object.1).into_iter().flatten();
                let open = of_domain.filter(|part| !self.blocked.contains_key(part));
                waiting.extend(open.filter(|part| seen.insert(**part)));
            }
        }
        let mut found: Vec<Object> = seen.difference(&start).copied().collect();
        found.sort_unstable();
        for (class, oid) in found {
            match class {
                Class::Type => self.types.push(oid),
                Class::Collation => self.collations.push(oid),
                Class::Relation => self.sequences.push(oid),
                _ => {}
            }
        }
    }

    /// The level is the length of the longest path of dependencies between tables and types, of what is written inside CREATE TABLE or
    /// CREATE TYPE (defaults and checks included). A circle ends somewhere: its statements fail, and say why.
    fn rank(&mut self, selected: &HashSet<u32>, dependencies: &[Dependency]) {
        const LONGEST: usize = 100;
        let types: HashSet<u32> = self.types.iter().copied().collect();
        let is_node = |object: &Object| match object.0 {
            Class::Relation => selected.contains(&object.1),
            Class::Type => types.contains(&object.1),
            class => class.is_code(),
        };
        let mut edges: Vec<(Object, Object)> = dependencies.iter().filter_map(Dependency::edge).collect();
        edges.retain(|(from, to)| from != to && is_node(from) && is_node(to));
        for _ in 0..LONGEST {
            let mut is_stable = true;
            for (from, to) in &edges {
                let level = self.level(to.0, to.1) + 1;
                if self.level(from.0, from.1) < level {
                    self.levels.insert(*from, level);
                    is_stable = false;
                }
            }
            if is_stable {
                break;
            }
        }
    }
}

impl Dependency {
    /// An extension cannot be created without another one.
    pub fn between_extensions(extension: u32, required: u32) -> Dependency {
        Dependency {
            part: (Class::Extension, extension),
            table: None,
            at_table: false,
            domain: None,
            is_check: false,
            is_normal: true,
            on: (Class::Extension, required),
            element: None,
            range: None,
            relation: None,
            relation_kind: None,
            type_kind: None,
            extension: Some(required),
        }
    }

    /// Is it one on what is not satisfied on the destination unless it is built in or comes with an extension? Inheritance is a normal
    /// dependency between tables and blocks nothing: an unselected parent only makes the inherited columns local ones.
    fn blocks(&self, selected: &HashSet<u32>) -> bool {
        let is_inheritance = self.on.0 == Class::Relation && self.at_table;
        let is_unselected = self.relation.is_some_and(|relation| !selected.contains(&relation)) && !is_inheritance;
        self.is_normal
            && self.extension.is_none()
            && (is_blocking(self.on.0) || self.type_kind == Some(TypeKind::Base) || is_unselected)
    }

    /// The view that is needed, or whose rows are, where no extension brings it.
    pub fn view(&self) -> Option<u32> {
        let is_view = self.extension.is_none() && self.relation_kind == Some(RelationKind::View);
        self.relation.filter(|_| is_view)
    }

    /// The function, operator or the like that is needed, where no extension brings it.
    pub fn code(&self) -> Option<Object> {
        (self.extension.is_none() && self.on.0.is_code()).then_some(self.on)
    }

    fn cause(&self) -> Object {
        match (self.relation, self.element) {
            (Some(relation), _) => (Class::Relation, relation),
            (None, Some(element)) => (self.on.0, element),
            (None, None) => self.on,
        }
    }

    fn is_followed(&self) -> bool {
        match self.on.0 {
            Class::Relation => self.relation_kind == Some(RelationKind::Sequence),
            class => !is_blocking(class),
        }
    }

    /// From a table or a type to one of the two, if this is about what is written inside its statement. An array stands for its element, a
    /// multirange for its range, a table's row type for the table.
    pub fn edge(&self) -> Option<(Object, Object)> {
        let at_table = self.table.is_some_and(|table| self.part.1 == table && self.part.0 == Class::Relation);
        let is_inside = matches!(self.part.0, Class::Type | Class::AttributeDefault)
            || self.part.0.is_code()
            || at_table
            || self.is_check;
        // What an extension brings is there before.
        if !is_inside || self.extension.is_some() {
            return None;
        }
        let from = match (self.table, self.domain) {
            (Some(table), _) => (Class::Relation, table),
            (None, Some(domain)) => (Class::Type, domain),
            (None, None) => self.part,
        };
        let is_made = matches!(self.relation_kind, Some(RelationKind::Table | RelationKind::View));
        let table = self.relation.filter(|_| is_made);
        let to = match (self.on.0, table) {
            (class, _) if class.is_code() => self.on,
            (Class::Relation | Class::Type, Some(table)) => (Class::Relation, table),
            (Class::Type, None) => (Class::Type, self.element.or(self.range).unwrap_or(self.on.1)),
            _ => return None,
        };
        Some((from, to))
    }
}

/// Catalogs of what no task creates.
fn is_blocking(class: Class) -> bool {
    use Class::*;
    match class {
        Proc | Operator | OperatorClass | OperatorFamily | AccessMethod | Language => true,
        SearchConfiguration | SearchDictionary | SearchParser | SearchTemplate | Cast | Conversion => true,
        Type | Relation | AttributeDefault | Constraint | Namespace | Trigger | Extension | Policy | Statistics
        | Collation | Rewrite => false,
    }
}

/// What no other form of the object could do without comes first: a domain lives without a default, not without its base type.
fn rank_of_cause(by: Object) -> (bool, bool, Object) {
    (by.0 != Class::Type, by.0 != Class::OperatorClass, by)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::samples::needs;

    const TABLE: Object = (Class::Relation, 1);
    const DEFAULT: Object = (Class::AttributeDefault, 10);
    const FUNCTION: Object = (Class::Proc, 20);
    const ENUM: Object = (Class::Type, 30);
    const DOMAIN: Object = (Class::Type, 31);

    #[test]
    fn a_default_that_calls_a_function_is_blocked_until_the_function_is_there() {
        let dependencies = [needs(DEFAULT, Some(1), FUNCTION)];
        let scope = Scope::of(&[1], &dependencies, &[]);
        assert_eq!(scope.blocked[&DEFAULT], Blocked { by: FUNCTION, cause: FUNCTION });
        let scope = Scope::of(&[1], &dependencies, &[FUNCTION]);
        assert!(!scope.is_blocked(DEFAULT.0, DEFAULT.1));
        assert_eq!(scope.causes, HashSet::from([FUNCTION]), "still asked for");
    }

    #[test]
    fn a_function_of_an_extension_brings_the_extension() {
        let mut on = needs(DEFAULT, Some(1), FUNCTION);
        on.extension = Some(99);
        let scope = Scope::of(&[1], &[on], &[]);
        assert!(scope.blocked.is_empty());
        assert_eq!(scope.extensions, HashSet::from([99]));
    }

    #[test]
    fn an_extension_brings_those_that_it_requires() {
        let mut on = needs(DEFAULT, Some(1), FUNCTION);
        on.extension = Some(99);
        let required = [Dependency::between_extensions(99, 98), Dependency::between_extensions(98, 97)];
        let other = Dependency::between_extensions(96, 95);
        let dependencies: Vec<Dependency> = required.into_iter().chain([on, other]).collect();
        assert_eq!(Scope::of(&[1], &dependencies, &[]).extensions, HashSet::from([97, 98, 99]));
    }

    #[test]
    fn types_are_found_through_types_and_ordered() {
        let mut array = needs(DOMAIN, None, (Class::Type, 40));
        array.element = Some(ENUM.1);
        let dependencies = [needs(TABLE, Some(1), DOMAIN), array, needs((Class::Type, 40), None, ENUM)];
        let scope = Scope::of(&[1], &dependencies, &[]);
        assert_eq!(scope.types, [30, 31, 40]);
        let level = |(class, oid): Object| scope.level(class, oid);
        assert_eq!((level(ENUM), level(DOMAIN), level(TABLE)), (0, 1, 2));
    }

    #[test]
    fn what_a_blocked_part_needs_is_not_created() {
        let sequence = Dependency {
            relation: None,
            relation_kind: Some(RelationKind::Sequence),
            ..needs(DEFAULT, Some(1), (Class::Relation, 50))
        };
        assert_eq!(Scope::of(&[1], std::slice::from_ref(&sequence), &[]).sequences, [50]);
        let blocked = [sequence, needs(DEFAULT, Some(1), FUNCTION)];
        assert!(Scope::of(&[1], &blocked, &[]).sequences.is_empty());
    }

    #[test]
    fn tables_that_are_not_selected() {
        let to = |part, at: bool| Dependency {
            relation: Some(2),
            relation_kind: Some(RelationKind::Table),
            at_table: at,
            ..needs(part, Some(1), (Class::Relation, 2))
        };
        let key = (Class::Constraint, 60);
        assert!(Scope::of(&[1], &[to(key, false)], &[]).is_blocked(key.0, key.1), "a foreign key");
        assert!(!Scope::of(&[1, 2], &[to(key, false)], &[]).is_blocked(key.0, key.1), "both are selected");
        assert!(Scope::of(&[1], &[to(TABLE, true)], &[]).blocked.is_empty(), "a parent");
        let scope = Scope::of(&[1, 2], &[to(TABLE, true)], &[]);
        assert_eq!((scope.level(TABLE.0, 1), scope.level(TABLE.0, 2)), (1, 0), "after its parent");
    }

    #[test]
    fn what_nothing_else_could_replace_is_named_first() {
        let base = Dependency { type_kind: Some(TypeKind::Base), ..needs(DOMAIN, None, (Class::Type, 70)) };
        let scope = Scope::of(&[1], &[needs(DOMAIN, None, FUNCTION), base], &[]);
        assert_eq!(scope.blocked[&DOMAIN].by, (Class::Type, 70));
    }

    #[test]
    fn a_circle_ends() {
        let other = (Class::Relation, 2);
        let to = |part: Object, table, relation| Dependency {
            relation: Some(relation),
            relation_kind: Some(RelationKind::Table),
            ..needs(part, Some(table), (Class::Type, 80))
        };
        let scope = Scope::of(&[1, 2], &[to(TABLE, 1, 2), to(other, 2, 1)], &[]);
        assert!(scope.level(TABLE.0, 1) > 0);
    }
}
