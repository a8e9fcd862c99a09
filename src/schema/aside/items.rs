//! Items of the queue: statements with their questions, in the words of the image that the command has left.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Detach, LatePart, LateParts, Refresh, There, nothing_of, without};
use crate::schema::deparse::SchemaSql;
use crate::schema::deparse::postgres::{self, concurrently};
use crate::schema::diff::{Action, Step, Subject, diff};
use crate::schema::image::{Image, Name, Table};
use crate::schema::plan::{self, Item};

/// One of the queue, for one part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    pub part: LatePart,
    pub table: u32,
    /// All that its statements name: who changes one of these has to look at it.
    pub tables: BTreeSet<u32>,
    pub object: String,
    pub waits_for: Option<LatePart>,
    /// Runs by itself, if it is not there.
    pub first: Option<Statement>,
    /// Run in the transaction that ends the item, so that nothing is half done.
    pub then: Vec<Statement>,
    pub leftover: Option<Leftover>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detach: Option<Detach>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refresh: Option<Refresh>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    pub sql: SchemaSql,
    /// True when it is not needed.
    pub present: SchemaSql,
    /// Null, or how what is there differs.
    pub differs: Option<SchemaSql>,
}

/// What a build that was interrupted leaves behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// No row without an index of that name on that table; then whether it is valid.
    pub is_valid: SchemaSql,
    pub drop: SchemaSql,
    pub drop_concurrently: SchemaSql,
}

impl Aside {
    pub(super) fn of(part: LatePart, table: u32, object: String) -> Aside {
        Aside {
            part,
            table,
            tables: BTreeSet::from([table]),
            object,
            waits_for: None,
            first: None,
            then: Vec::new(),
            leftover: None,
            detach: None,
            refresh: None,
        }
    }

    /// What is said there, in this order.
    pub fn statements(&self) -> impl Iterator<Item = &str> {
        let also = self.detach.iter().flat_map(|detach| &detach.also);
        let refresh = self.refresh.iter().map(|refresh| refresh.plainly.as_str());
        let others = self.first.iter().chain(also).chain(&self.then).map(|statement| statement.sql.as_str());
        refresh.chain(others)
    }
}

impl From<&Item> for Statement {
    fn from(item: &Item) -> Statement {
        Statement { sql: item.statement.clone(), present: item.present_sql.clone(), differs: item.differs_sql.clone() }
    }
}

/// The way from an image without these parts to the image, in the order in which it can be gone. An error names what nobody knows how to
/// bring there later.
pub fn items(after: &Image, parts: &BTreeSet<LatePart>, major: u32) -> Result<Vec<Aside>, String> {
    let of = |keep: &dyn Fn(&LatePart) -> Option<There>| -> LateParts {
        parts.iter().filter_map(|part| Some((*part, keep(part)?))).collect()
    };
    let nothing = without(after, &nothing_of(parts));
    let indexes = without(after, &of(&|part| Some(if is_index(part) { There::Bare } else { There::Nothing })));
    let all = without(after, &of(&|part| matches!(part, LatePart::Validation(_)).then_some(There::Nothing)));
    let mut queue = Queue { after, parts, major, items: BTreeMap::new() };
    for (from, to) in [(&nothing, &indexes), (&indexes, &all), (&all, after)] {
        let difference = diff(from, to, major);
        if let Some(subject) = difference.unsaid.first() {
            return Err(postgres::shown_subject(subject));
        }
        let mut steps = difference.steps;
        steps.sort_by_key(|step| (step.kind.phase(), step.level));
        steps.iter().try_for_each(|step| queue.take(step))?;
    }
    Ok(queue.items.into_values().collect())
}

fn is_index(part: &LatePart) -> bool {
    matches!(part, LatePart::Index(_))
}

struct Queue<'a> {
    after: &'a Image,
    parts: &'a BTreeSet<LatePart>,
    major: u32,
    items: BTreeMap<LatePart, Aside>,
}

impl Queue<'_> {
    fn take(&mut self, step: &Step) -> Result<(), String> {
        let Some(item) = plan::in_order(std::slice::from_ref(step), self.major).pop() else { return Ok(()) };
        let part = self.part_of(&step.action).ok_or_else(|| format!("{} {}", item.kind, item.object))?;
        let object = format!("{} {}", item.kind, item.object);
        match &step.action {
            Action::CreateIndex { table, index } => {
                let mut aside = Aside::of(part, table.oid, object);
                let statement = Statement { sql: concurrently(&item.statement), ..Statement::from(&item) };
                aside.first = Some(statement);
                aside.leftover = Some(postgres::leftover(table, index));
                self.items.insert(part, aside);
            }
            Action::AddConstraint { table, constraint } => {
                let mut aside = Aside::of(part, table.oid, object);
                aside.tables.extend(constraint.index.and_then(|index| self.table_of_index(index)));
                aside.waits_for = constraint.index.map(LatePart::Index);
                aside.then.push(Statement::from(&item));
                self.items.insert(part, aside);
            }
            Action::AlterConstraint { table, constraint, .. } => {
                let mut aside = Aside::of(part, table.oid, object);
                aside.waits_for = Some(LatePart::ForeignKey(constraint.oid));
                aside.first = Some(Statement::from(&item));
                self.items.insert(part, aside);
            }
            action => {
                let Some(aside) = self.items.get_mut(&part) else { return Err(object) };
                if let Action::AttachIndex { table, .. } = action {
                    aside.tables.extend(table.parents.iter().map(|parent| parent.oid));
                }
                aside.then.push(Statement::from(&item));
            }
        }
        Ok(())
    }

    fn part_of(&self, action: &Action) -> Option<LatePart> {
        let part = match action {
            Action::CreateIndex { index, .. }
            | Action::AttachIndex { index, .. }
            | Action::SetIndexStatistics { index, .. }
            | Action::Cluster { index, .. }
            | Action::UseIndex { index, .. }
            | Action::IdentifyReplica { index: Some(index), .. } => LatePart::Index(index.oid),
            Action::AddConstraint { constraint, .. } => LatePart::ForeignKey(constraint.oid),
            Action::AlterConstraint { constraint, .. } => LatePart::Validation(constraint.oid),
            Action::Comment { subject: Subject::Index(name), .. } => self.index_named(name)?,
            Action::Comment { subject: Subject::Constraint(table, name), .. } => self.constraint_named(table, name)?,
            _ => return None,
        };
        self.parts.contains(&part).then_some(part)
    }

    fn index_named(&self, name: &Name) -> Option<LatePart> {
        let tables = self.after.tables.iter().filter(|table| table.name.schema == name.schema);
        let mut indexes = tables.flat_map(|table| &table.indexes);
        indexes.find(|index| index.name == name.name).map(|index| LatePart::Index(index.oid))
    }

    /// What the constraint waits with.
    fn constraint_named(&self, table: &Name, name: &str) -> Option<LatePart> {
        let table = self.after.tables.iter().find(|of| of.name == *table)?;
        let constraint = table.constraints.iter().find(|k| k.name == name)?;
        let of_key = LatePart::ForeignKey(constraint.oid);
        if self.parts.contains(&of_key) { Some(of_key) } else { constraint.index.map(LatePart::Index) }
    }

    fn table_of_index(&self, index: u32) -> Option<u32> {
        let has_it = |table: &&Table| table.index(index).is_some();
        self.after.tables.iter().find(has_it).map(|table| table.oid)
    }
}
