//! Steps in their order, as text: what is shown to users, and what runs on the destination.

use super::deparse::postgres::Postgres;
use super::deparse::{Printed, SchemaSql};
use super::diff::{Step, diff};
use super::image::Image;
use super::kind::Kind;

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
}

/// What creates an image where nothing is, in the order in which it can run; among equals by kind and name, so that it reads the same each
/// time.
pub fn create(image: &Image, major: u32) -> Vec<Item> {
    let nothing = Image::default();
    let difference = diff(&nothing, image, major);
    assert!(difference.unsaid.is_empty(), "what is new is created whole");
    in_order(&difference.steps, major)
}

pub fn in_order(steps: &[Step], major: u32) -> Vec<Item> {
    let printer = Postgres { major };
    let mut items: Vec<(i64, Item)> = steps
        .iter()
        .map(|step| {
            let Printed { object, statement, present_sql, differs_sql } = printer.print(step);
            (step.level, Item { kind: step.kind, object, statement, present_sql, differs_sql })
        })
        .collect();
    items.sort_by(|(level, a), (other, b)| {
        let place = |level: i64, item: &Item| (item.kind.phase(), level);
        place(*level, a)
            .cmp(&place(*other, b))
            .then_with(|| a.kind.as_str().cmp(b.kind.as_str()))
            .then_with(|| (&a.object, &a.statement).cmp(&(&b.object, &b.statement)))
    });
    items.into_iter().map(|(_, item)| item).collect()
}
