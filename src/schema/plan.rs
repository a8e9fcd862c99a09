//! Steps in their order, as text: what is shown to users, and what runs on the destination.

use super::deparse::postgres::{Postgres, name_of};
use super::deparse::{Printed, SchemaSql};
use super::diff::{Action, Step, Subject, diff};
use super::image::Image;
use super::kind::Kind;
use super::order::Order;
use super::scope::Dependency;

/// One statement, with the questions that go with it.
#[derive(Clone, Debug)]
pub struct Item {
    pub kind: Kind,
    pub object: String,
    pub statement: SchemaSql,
    /// A query that is true when the statement is not needed (any more).
    pub present_sql: SchemaSql,
    /// Asked when the object is there: null, or how it differs.
    pub differs_sql: Option<SchemaSql>,
    /// The table whose index or key it is, where those of other tables can be made at the same time.
    pub indexed: Option<u32>,
}

/// What creates an image where nothing is, in the order in which it can run; among equals by kind and name, so that it reads the same each
/// time.
pub fn create(image: &Image, dependencies: &[Dependency], major: u32) -> Vec<Item> {
    let order = Order::of(image, dependencies);
    let mut image = image.clone();
    order.rank_objects(&mut image);
    let nothing = Image::default();
    let difference = diff(&nothing, &image, major);
    assert!(difference.unsaid.is_empty(), "what is new is created whole");
    in_order(&order.place(&image, difference.steps), major)
}

pub fn in_order(steps: &[Step], major: u32) -> Vec<Item> {
    let printer = Postgres { major };
    let mut items: Vec<(Place, Item)> = steps
        .iter()
        .map(|step| {
            let Printed { object, statement, present_sql, differs_sql } = printer.print(step);
            let item = Item { kind: step.kind, object, statement, present_sql, differs_sql, indexed: indexed(step) };
            (Place::of(step, &item), item)
        })
        .collect();
    items.sort_by(|(place, a), (other, b)| place.cmp(other).then_with(|| a.statement.cmp(&b.statement)));
    items.into_iter().map(|(_, item)| item).collect()
}

/// Keys and indexes of a partition tree have an order among them.
fn indexed(step: &Step) -> Option<u32> {
    let (Action::AddConstraint { table, .. } | Action::CreateIndex { table, .. }) = &step.action else { return None };
    let is_index = matches!(
        step.kind,
        Kind::PrimaryKey | Kind::UniqueConstraint | Kind::UniqueIndex | Kind::ExclusionConstraint | Kind::Index
    );
    let is_alone = !table.is_partitioned && !table.is_partition;
    (is_index && is_alone).then_some(table.oid)
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    phase: u16,
    level: i64,
    kind: &'static str,
    object: String,
    is_second: bool,
}

impl Place {
    fn of(step: &Step, item: &Item) -> Place {
        // What is revoked from everybody goes behind the routine.
        let (kind, object, is_second) = match &step.action {
            Action::RevokePublic { subject } if step.kind.is_of_the_one_before() => {
                let kind = if matches!(subject, Subject::Plain(_)) { Kind::Plain } else { Kind::Routine };
                (kind, name_of(subject), true)
            }
            _ => (item.kind, item.object.clone(), false),
        };
        Place { phase: step.kind.phase(), level: step.level, kind: kind.as_str(), object, is_second }
    }
}
