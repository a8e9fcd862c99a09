//! Differences of images, as statements.

mod code;
mod columns;
mod names;
mod notes;
mod parts;
mod tables;
mod twins;
mod types;

use super::{Options, diff, diff_with};
use crate::schema::image::{
    Attribute, Class, Collation, Column, Constraint, ConstraintKind, Domain, DomainConstraint, EnumLabel, Extension,
    Firing, Generated, Grant, Identity, Image, Index, IndexStatistics, Name, Owner, Parent, Privileges, Provider,
    ReplicaIdentity, Schema, Storage, StorageOption, Table, Type, TypeForm,
};
use crate::schema::plan;
use crate::schema::samples::{
    child, column, constraint, domain, image, index, policy, sequence, statistics, table, trigger,
};

const MAJOR: u32 = 15;

fn statements(before: &Image, after: &Image) -> Vec<String> {
    let items = plan::in_order(&diff(before, after, MAJOR).steps, MAJOR);
    items.into_iter().map(|item| item.statement.to_string()).collect()
}

/// What is said between two images; everything is.
#[track_caller]
fn assert_between(before: &Image, after: &Image, major: u32, expected: &[&str]) {
    let difference = diff(before, after, major);
    let items = plan::in_order(&difference.steps, major);
    let said: Vec<String> = items.iter().map(|item| item.statement.to_string()).collect();
    assert_eq!(said, expected);
    assert!(difference.unsaid.is_empty(), "{:?}", difference.unsaid);
}

/// There and back again.
#[track_caller]
fn assert_both_ways(change: impl FnOnce(&mut Image), there: &[&str], back: &[&str]) {
    let (before, mut after) = (image(), image());
    change(&mut after);
    assert_between(&before, &after, MAJOR, there);
    assert_between(&after, &before, MAJOR, back);
}

/// What a change of the sample is, as statements; everything about it is said.
#[track_caller]
fn assert_said(change: impl FnOnce(&mut Image), expected: &[&str]) {
    let (before, mut after) = (image(), image());
    change(&mut after);
    assert_eq!(statements(&before, &after), expected);
    let unsaid = diff(&before, &after, MAJOR).unsaid;
    assert!(unsaid.is_empty(), "{unsaid:?}");
}

/// The same for table `s.t`.
#[track_caller]
fn assert_altered(change: impl FnOnce(&mut Table), expected: &[&str]) {
    assert_said(|image| change(&mut image.tables[0]), expected);
}

/// A change that no step says is named.
#[track_caller]
fn assert_unsaid(change: impl FnOnce(&mut Image), expected: &str) {
    let (before, mut after) = (image(), image());
    change(&mut after);
    let unsaid = diff(&before, &after, MAJOR).unsaid;
    assert_eq!(format!("{unsaid:?}"), expected);
}

#[test]
fn equal_images_differ_in_nothing() {
    assert_said(|_| (), &[]);
}

/// What no server can do either.
#[test]
fn what_no_step_says_is_named() {
    let column = "[Column(Name { schema: \"s\", name: \"t\" }, \"id\")]";
    let generated = |i: &mut Image| i.tables[0].columns[0].generated = Some(Generated::Stored);
    assert_unsaid(generated, column);
    let policy = |i: &mut Image| i.tables[0].policies[0].using = None;
    assert_unsaid(policy, "[Policy(Name { schema: \"s\", name: \"t\" }, \"all_rows\")]");
    assert_unsaid(|i| i.tables[0].is_partitioned = true, "[Table(Name { schema: \"s\", name: \"t\" })]");
}
