//! Partitions that leave aside, when a command comes before they have left: they leave at once then, before anything else of the command.
//! Their item has the words that are right until now, and the difference of the images, by which they have left, nothing to say of it.

use std::collections::HashSet;

use super::decide::Decided;
use crate::destination::Destination;
use crate::destination::aside::Pending;
use crate::destination::detach::Attachment;
use crate::error::Result;
use crate::schema::aside::{Aside, LatePart, LateParts, Statement, There};
use crate::schema::image::Table;
use crate::schema::{Item, Kind, SchemaSql};

/// Does an item have to be done before what becomes of these tables? A partition as well before another one comes under its parent.
pub(super) fn is_before(item: &Pending, changed: &HashSet<u32>, parents: &HashSet<u32>) -> bool {
    let is_near = |table: &u32| changed.contains(table) || item.aside.detach.is_some() && parents.contains(table);
    item.aside.tables.iter().any(is_near)
}

/// Of those that change.
pub(super) fn parents(decided: &Decided, changed: &HashSet<u32>) -> HashSet<u32> {
    let tables = decided.before.tables.iter().chain(&decided.after.tables);
    let parents = |table: &Table| table.parents.iter().map(|parent| parent.oid).collect::<Vec<_>>();
    tables.filter(|table| changed.contains(&table.oid)).flat_map(parents).collect()
}

/// The statements with which it leaves in this transaction; `parts` gets what of its new state does not come with them.
pub(super) fn at_once(destination: &mut Destination, item: &Pending, parts: &mut LateParts) -> Result<Vec<Item>> {
    let Some((detach, first)) = item.aside.detach.as_ref().zip(item.aside.first.as_ref()) else {
        return Ok(Vec::new());
    };
    let statement = match destination.attachment(detach)? {
        Attachment::Gone => None,
        Attachment::Leaving => Some(&detach.finalize),
        Attachment::Attached { .. } => {
            parts.extend(detach.constraints.iter().map(|oid| (LatePart::ForeignKey(*oid), There::Nothing)));
            Some(&detach.at_once)
        }
    };
    let leaves = statement.map(|sql| step(&item.aside, sql, first));
    let also = detach.also.iter().map(|of| step(&item.aside, &of.sql, of));
    Ok(leaves.into_iter().chain(also).collect())
}

fn step(aside: &Aside, statement: &SchemaSql, asked: &Statement) -> Item {
    Item {
        kind: Kind::Detach,
        object: aside.object.trim_start_matches("detach ").to_owned(),
        statement: statement.clone(),
        present_sql: asked.present.clone(),
        differs_sql: asked.differs.clone(),
        indexed: None,
    }
}

/// Of one table the server lets one partition after another leave.
pub(super) fn wait_for_others(aside: &mut Aside, pending: &[Pending]) {
    let is_beside = |item: &&Pending| item.is_wanted() && item.aside.detach.is_some() && item.part() != aside.part;
    let shares = |item: &&Pending| item.aside.tables.intersection(&aside.tables).next().is_some();
    aside.waits_for = pending.iter().rev().filter(is_beside).find(shares).map(Pending::part);
}
