//! A partition that has left on the source without keeping a reader waiting, and is to leave so on the destination.
//!
//! Until that is done the destination has the partition as it was before, attached. Whatever else the command has changed of it (the server
//! leaves a check in place of the bound) follows when it has left.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Aside, LatePart, Statement, late_parts};
use crate::schema::deparse::SchemaSql;
use crate::schema::deparse::postgres::{self, concurrently_detached};
use crate::schema::diff::{Action, diff};
use crate::schema::image::{Column, Image, Table};
use crate::schema::kind::Kind;
use crate::schema::plan;

/// How a partition leaves, whatever state it is found in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Detach {
    /// No row where it has left; then whether it has begun to, and whether it can without keeping readers waiting.
    pub state: SchemaSql,
    pub at_once: SchemaSql,
    /// Ends what has begun.
    pub finalize: SchemaSql,
    /// What the server does by itself to one that leaves, where it does.
    pub also: Vec<Statement>,
    /// Constraints of the source that come with it: the server makes them itself only if it is done concurrently.
    pub constraints: Vec<u32>,
}

/// What the destination has in the meantime, and what is left to do: for those of the partitions to which nothing else has happened.
pub fn leaves(
    before: &Image,
    after: &Image,
    leaving: &[u32],
    waiting: &BTreeSet<LatePart>,
    major: u32,
) -> (Image, Vec<Aside>) {
    let mut meanwhile = after.clone();
    let mut asides = Vec::new();
    for oid in leaving {
        let Some((former, aside)) = leave(before, after, *oid, waiting, major) else { continue };
        put_back(&mut meanwhile, &former);
        asides.push(aside);
    }
    (meanwhile, asides)
}

fn put_back(image: &mut Image, former: &[&Table]) {
    for table in &mut image.tables {
        if let Some(former) = former.iter().find(|former| former.oid == table.oid) {
            table.clone_from(former);
        }
    }
}

/// With its own partitions, which get the check as well.
fn leave<'a>(
    before: &'a Image,
    after: &Image,
    oid: u32,
    waiting: &BTreeSet<LatePart>,
    major: u32,
) -> Option<(Vec<&'a Table>, Aside)> {
    let members: Vec<&Table> = subtree(after, oid);
    let former = |table: &&Table| before.tables.iter().find(|former| former.oid == table.oid);
    let formers: Vec<&Table> = members.iter().map(former).collect::<Option<_>>()?;
    let is_same = |(former, table): (&&Table, &&Table)| former.parents == table.parents && has_same_rows(former, table);
    let (former, table) = (formers.first()?, members.first()?);
    let is_busy = formers.iter().any(|table| late_parts(table).any(|part| waiting.contains(&part)));
    let leaves_alone = formers.iter().zip(&members).skip(1).all(is_same);
    if is_busy || !leaves_alone || !only_leaves(former, table) {
        return None;
    }
    let mut attached = after.clone();
    put_back(&mut attached, &formers);
    let difference = diff(&attached, after, major);
    if !difference.unsaid.is_empty() {
        return None;
    }
    let items = plan::in_order(&difference.steps, major);
    let leaving = items.iter().find(|item| item.kind == Kind::Detach)?;
    let above = former.parents.first()?.oid;
    let parent = attached.tables.iter().find(|table| table.oid == above)?;
    let mut aside = Aside::of(LatePart::Detach(oid), oid, format!("{} {}", leaving.kind, leaving.object));
    aside.tables.extend(members.iter().map(|table| table.oid).chain([parent.oid]));
    aside.first = Some(Statement { sql: concurrently_detached(&leaving.statement), ..Statement::from(leaving) });
    let added = difference.steps.iter().filter_map(|step| match &step.action {
        Action::AddConstraint { constraint, .. } if is_added(step.kind) => Some(constraint.oid),
        _ => None,
    });
    let mut detach = Detach {
        state: postgres::attachment(former, &parent.name),
        at_once: leaving.statement.clone(),
        finalize: postgres::finalized(&leaving.statement),
        also: Vec::new(),
        constraints: added.collect(),
    };
    for item in items.iter().filter(|item| item.kind != Kind::Detach) {
        let list = if is_added(item.kind) { &mut aside.then } else { &mut detach.also };
        list.push(Statement::from(item));
    }
    aside.detach = Some(detach);
    Some((formers, aside))
}

/// In place of the bound.
fn is_added(kind: Kind) -> bool {
    matches!(kind, Kind::Check | Kind::NotNull)
}

fn only_leaves(former: &Table, table: &Table) -> bool {
    former.is_partition
        && former.parents.len() == 1
        && !table.is_partition
        && table.parents.is_empty()
        && has_same_rows(former, table)
}

/// Whatever comes in the stream fits both.
fn has_same_rows(former: &Table, table: &Table) -> bool {
    let column = |of: &Column| {
        (of.attnum, of.name.clone(), of.type_name.clone(), of.collation.clone(), of.not_null, of.generated, of.fed)
    };
    let columns = |table: &Table| table.columns.iter().map(column).collect::<Vec<_>>();
    (&former.name, columns(former)) == (&table.name, columns(table))
}

/// The table first.
fn subtree(image: &Image, oid: u32) -> Vec<&Table> {
    let mut members: Vec<&Table> = image.tables.iter().filter(|table| table.oid == oid).collect();
    let mut at = 0;
    while let Some(parent) = members.get(at).map(|table| table.oid) {
        let is_child = |table: &&Table| table.parents.iter().any(|of| of.oid == parent);
        let children: Vec<&Table> = image.tables.iter().filter(is_child).collect();
        members.extend(
            children.into_iter().filter(|child| members.iter().all(|known| known.oid != child.oid)).collect::<Vec<_>>(),
        );
        at += 1;
    }
    members
}
