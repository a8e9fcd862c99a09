//! Whether the destination has what the source has: asked where a task that has left definitions to people takes them over.
//!
//! What rows need has to be there, and the same: tables, columns with their types, the types themselves. Indexes, constraints, triggers
//! and the like that are missing, or others, were left out by somebody; they are told of, and a later command on them finds out.

use std::collections::HashSet;

use crate::destination::Destination;
use crate::error::Result;
use crate::pg::compat;
use crate::schema::diff::{self, Action};
use crate::schema::image::{Image, Table};
use crate::schema::{Item, Kind, plan};

/// Questions asked in one statement.
const AT_ONCE: usize = 100;

/// What is missing on the destination, or another one, in words.
#[derive(Debug, Default)]
pub struct Differences {
    /// Rows need it.
    pub needed: Vec<String>,
    pub others: Vec<String>,
    /// Functions and views that are missing there.
    pub missing_code: HashSet<String>,
}

pub fn compare(destination: &mut Destination, image: &Image) -> Result<Differences> {
    let mut items = plan::create(image, &[], compat::MAJOR);
    items.extend(columns(image));
    let mut differences = Differences::default();
    let asked: Vec<(Item, bool)> =
        items.into_iter().filter_map(|item| is_needed(item.kind).map(|needed| (item, needed))).collect();
    for some in asked.chunks(AT_ONCE) {
        let there = destination.ask_whether(some.iter().map(|(item, _)| &item.present_sql))?;
        let questions = some.iter().zip(&there).enumerate().filter(|(_, (_, there))| **there);
        let questions = questions.filter_map(|(n, ((item, _), _))| Some((n, item.differs_sql.as_ref()?)));
        let answers = destination.ask_definitions(questions)?;
        for (n, ((item, needed), is_there)) in some.iter().zip(there).enumerate() {
            let differs = answers.iter().find(|(asked, _)| *asked == n).and_then(|(_, differs)| differs.as_deref());
            let what = match (is_there, differs) {
                (false, _) => {
                    if item.kind.is_code() {
                        differences.missing_code.insert(item.object.clone());
                    }
                    format!("{} {} is missing there", item.kind, item.object)
                }
                (true, Some(differs)) => format!("{} {}: {differs}", item.kind, item.object),
                (true, None) => continue,
            };
            if *needed { differences.needed.push(what) } else { differences.others.push(what) }
        }
    }
    Ok(differences)
}

/// Do rows need what is of this kind? None for what is not asked about.
fn is_needed(kind: Kind) -> Option<bool> {
    match kind {
        Kind::Schema | Kind::Extension | Kind::Collation | Kind::Type | Kind::Domain | Kind::Table | Kind::Column => {
            Some(true)
        }
        Kind::Sequence
        | Kind::PrimaryKey
        | Kind::UniqueConstraint
        | Kind::UniqueIndex
        | Kind::ExclusionConstraint
        | Kind::Index
        | Kind::Statistics
        | Kind::Check
        | Kind::ForeignKey
        | Kind::Trigger
        | Kind::Policy
        | Kind::Routine
        | Kind::LateRoutine
        | Kind::Plain
        | Kind::LatePlain
        | Kind::EarlyView
        | Kind::View
        | Kind::Rule => Some(false),
        _ => None,
    }
}

/// As if each column were added by itself: that has a question of its own.
fn columns(image: &Image) -> Vec<Item> {
    let bare = |table: &Table| Table {
        is_partition: false,
        of_type: None,
        bound: None,
        parents: Vec::new(),
        constraints: Vec::new(),
        indexes: Vec::new(),
        statistics: Vec::new(),
        triggers: Vec::new(),
        policies: Vec::new(),
        ..table.clone()
    };
    let mut after = Image { tables: image.tables.iter().map(bare).collect(), ..Image::default() };
    after.tables.iter_mut().flat_map(|table| &mut table.columns).for_each(|column| column.is_local = true);
    let mut before = after.clone();
    before.tables.iter_mut().for_each(|table| table.columns.clear());
    let mut steps = diff::diff(&before, &after, compat::MAJOR).steps;
    steps.retain(|step| matches!(step.action, Action::AddColumn { .. }));
    plan::in_order(&steps, compat::MAJOR)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::samples::{child, table};

    #[test]
    fn each_column_is_asked_about() {
        let image = Image { tables: vec![table(1, "t"), child(2, "c", 1)], ..Image::default() };
        let count: usize = image.tables.iter().map(|table| table.columns.len()).sum();
        let items = columns(&image);
        assert_eq!(items.len(), count);
        assert!(items.iter().all(|item| item.kind == Kind::Column && item.differs_sql.is_some()));
    }
}
