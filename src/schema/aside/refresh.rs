//! Materialized views that get their rows aside. One that is new is made without rows, and filled then.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Aside, LatePart};
use crate::logicalrep::quote::quote_qualified;
use crate::schema::deparse::SchemaSql;
use crate::schema::deparse::postgres;
use crate::schema::diff::{Action, Step};
use crate::schema::image::{Image, View, ViewForm};

/// How a view gets rows, whatever state it is found in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    /// Quoted.
    pub name: String,
    /// Can it be done while readers go on: has it rows, and a key by which to compare them?
    pub goes_concurrently: SchemaSql,
    pub concurrently: SchemaSql,
    pub plainly: SchemaSql,
}

/// Views that a command gives rows to: those that it makes, and those of which it says so.
pub fn filled<'a>(steps: &[Step<'a>], refreshed: &'a [View]) -> Vec<&'a View> {
    let made = steps.iter().filter_map(|step| match &step.action {
        Action::CreateView(view) => Some(*view),
        _ => None,
    });
    let mut known = BTreeSet::new();
    made.chain(refreshed).filter(|view| view.is_populated() && known.insert(view.oid())).collect()
}

/// The image in which new ones of the views have no rows yet.
pub fn unfilled(mut image: Image, before: &Image, views: &BTreeSet<u32>) -> Image {
    let is_new = |view: &View| before.views.iter().all(|old| old.oid() != view.oid() || old.blocked);
    for view in image.views.iter_mut().filter(|view| views.contains(&view.oid()) && is_new(view)) {
        view.form = ViewForm::Materialized { populated: false };
    }
    image
}

/// `waits_for`: what it reads, and is to have rows before.
pub fn refresh(view: &View, waits_for: Option<LatePart>) -> Aside {
    let name = view.name();
    let mut aside = Aside::of(LatePart::Refresh(view.oid()), view.oid(), format!("refresh {}", name.shown()));
    aside.waits_for = waits_for;
    aside.refresh = Some(Refresh {
        name: quote_qualified(&name.schema, &name.name),
        goes_concurrently: postgres::refreshes_concurrently(name),
        concurrently: postgres::refreshed(name, true),
        plainly: postgres::refreshed(name, false),
    });
    aside
}
