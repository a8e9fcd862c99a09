//! What a step does, with the parts of the images that it is about. Names are those that are right when the step runs: the former ones in
//! steps before the renames, the new ones after.

use std::borrow::Cow;

use super::Subject;
use super::table::{ColumnDefinition, Element};
use crate::schema::image::{
    Attribute, Collation, Column, Constraint, DomainConstraint, Extension, Grant, Identity, Index, IndexStatistics,
    Name, Owner, Plain, Policy, Routine, Rule, Schema, Sequence, Statistics, StorageOption, Table, Trigger, Type, View,
};

#[derive(Clone, Debug)]
pub enum Action<'a> {
    CreateSchema(&'a Schema),
    CreateExtension {
        extension: &'a Extension,
        any_version: bool,
    },
    /// To the source's version, where the destination has it.
    UpdateExtension(&'a Extension),
    CreateCollation(&'a Collation),
    CreateType(&'a Type),
    AlterType {
        of: &'a Type,
        change: TypeChange<'a>,
    },
    AddDomainConstraint {
        domain: &'a Type,
        constraint: &'a DomainConstraint,
    },
    AlterDomain {
        domain: &'a Type,
        change: DomainChange<'a>,
    },
    CreateSequence(&'a Sequence),
    AlterSequence {
        sequence: &'a Sequence,
        change: SequenceChange,
    },
    OwnSequence {
        sequence: &'a Sequence,
        owner: &'a Owner,
    },
    /// The sequence of an identity column is made with the column, and of its type: this gives it its own.
    BoundSequence(&'a Sequence),
    CreateTable {
        table: &'a Table,
        elements: Vec<Element<'a>>,
        parents: Vec<&'a Name>,
    },
    AlterTable {
        table: &'a Table,
        change: TableChange,
    },
    AddColumn {
        table: &'a Table,
        definition: ColumnDefinition<'a>,
    },
    AlterColumn {
        table: &'a Table,
        column: &'a Column,
        change: ColumnChange<'a>,
    },
    /// A partition, or a child whose columns keep their order.
    AttachTable {
        table: &'a Table,
        parent: &'a Table,
    },
    /// From a parent under its former name. One that is to have another bound there stays when it has it.
    DetachTable {
        table: &'a Table,
        parent: &'a Name,
        bound: Option<&'a str>,
    },
    AddConstraint {
        table: &'a Table,
        constraint: &'a Constraint,
    },
    /// A key of an index that is there already, and gets the name of the key.
    UseIndex {
        table: &'a Table,
        constraint: &'a Constraint,
        index: &'a Index,
    },
    AlterConstraint {
        table: &'a Table,
        constraint: &'a Constraint,
        change: ConstraintChange,
    },
    IdentifyReplica {
        table: &'a Table,
        index: Option<&'a Index>,
    },
    CreateIndex {
        table: &'a Table,
        index: &'a Index,
    },
    AttachIndex {
        table: &'a Table,
        index: &'a Index,
        parent: Name,
    },
    /// Where another index is there, and under this one of the parent; not where `subject` has the name no more.
    RenameBeside {
        subject: Subject<'a>,
        to: Cow<'a, str>,
        other: Subject<'a>,
        parent: Option<Name>,
    },
    AlterIndex {
        table: &'a Table,
        index: &'a Index,
        change: IndexChange<'a>,
    },
    SetIndexStatistics {
        table: &'a Table,
        index: &'a Index,
        statistics: &'a IndexStatistics,
    },
    Cluster {
        table: &'a Table,
        index: &'a Index,
    },
    Uncluster {
        table: &'a Table,
    },
    CreateStatistics {
        table: &'a Table,
        statistics: &'a Statistics,
    },
    SetStatisticsTarget {
        statistics: &'a Statistics,
        target: i32,
    },
    CreateTrigger {
        table: &'a Table,
        trigger: &'a Trigger,
    },
    /// By one of the same name.
    ReplaceTrigger {
        table: &'a Table,
        trigger: &'a Trigger,
    },
    SetTrigger {
        table: &'a Table,
        trigger: &'a Trigger,
    },
    /// FORCE is a setting of its own.
    SecureRows {
        table: &'a Table,
        force: bool,
        on: bool,
    },
    SetPersistence {
        table: &'a Table,
    },
    SetOptions {
        table: &'a Table,
        options: Vec<&'a StorageOption>,
    },
    ResetOptions {
        table: &'a Table,
        options: Vec<&'a StorageOption>,
    },
    /// Or replaces the one of this name.
    CreateRoutine(&'a Routine),
    /// A plain one replaces the one of this name.
    CreateView(&'a View),
    CreatePlain(&'a Plain),
    /// What the server cannot alter is made anew.
    ReplacePlain(&'a Plain),
    /// What needs it stays.
    AlterPlain {
        before: Box<Plain>,
        plain: &'a Plain,
    },
    /// Where nothing has the name; a materialized view without its rows.
    MakeRoutine(&'a Routine),
    MakeView(&'a View),
    /// A materialized view gets its first rows.
    FillView(&'a View),
    /// A materialized view gets the rows of now.
    RefreshView(&'a View),
    CreateRule {
        table: &'a Table,
        rule: &'a Rule,
    },
    SetRule {
        table: &'a Table,
        rule: &'a Rule,
    },
    CreatePolicy {
        table: &'a Table,
        policy: &'a Policy,
    },
    AlterPolicy {
        table: &'a Table,
        policy: &'a Policy,
    },
    Comment {
        subject: Subject<'a>,
        text: Option<&'a str>,
    },
    Grant {
        subject: Subject<'a>,
        grant: Grant,
    },
    TakeBack {
        subject: Subject<'a>,
        grant: Grant,
    },
    RevokePublic {
        subject: Subject<'a>,
    },
    GrantPublic {
        subject: Subject<'a>,
    },
    Drop(Subject<'a>),
    /// A part of a parent that its children keep.
    DropOnly(Subject<'a>),
    /// A constraint, index, trigger or statistics, unless its definition there is this one.
    DropUnless {
        subject: Subject<'a>,
        definition: &'a str,
    },
    Rename {
        subject: Subject<'a>,
        to: Cow<'a, str>,
        way: Way,
    },
    SetSchema {
        subject: Subject<'a>,
        to: Cow<'a, str>,
        way: Way,
    },
}

/// What tells whether something has got another name.
#[derive(Clone, Debug, Default)]
pub struct Way {
    /// The name at the end, where this is the beginning of the way there.
    pub end: Option<Name>,
    /// Nobody has the former name afterwards: what still has it has not gone, whoever may have the new one.
    pub vacates: bool,
}

#[derive(Clone, Debug)]
pub enum ColumnChange<'a> {
    /// Cast through text, where no other cast is known.
    Type {
        by_text: bool,
    },
    /// Of a new column: whatever default it has there is the one.
    FirstDefault(&'a str),
    Default(Option<&'a str>),
    /// One that could not be cast when the type changes.
    ForgetDefault,
    DropExpression,
    /// 17.
    SetExpression(&'a str),
    NotNull(bool),
    AddIdentity {
        identity: &'a Identity,
        sequence: &'a Sequence,
    },
    SetIdentity {
        always: bool,
    },
    DropIdentity,
    Storage,
    Statistics,
    Options,
    /// By name.
    ResetOptions(Vec<&'a str>),
    Compression,
}

#[derive(Clone, Debug)]
pub enum TypeChange<'a> {
    /// Of an enum; the first goes before the one that follows it, the others after the one that they follow.
    AddValue {
        label: &'a str,
        before: bool,
        neighbour: Option<&'a str>,
    },
    RenameValue {
        from: Cow<'a, str>,
        to: Cow<'a, str>,
    },
    AddAttribute {
        attribute: &'a Attribute,
        cascade: bool,
    },
    AlterAttribute {
        attribute: &'a Attribute,
        cascade: bool,
    },
    /// The type has its former name.
    DropAttribute {
        name: &'a str,
        cascade: bool,
    },
    RenameAttribute {
        from: Cow<'a, str>,
        to: Cow<'a, str>,
        cascade: bool,
    },
}

#[derive(Clone, Copy, Debug)]
pub enum DomainChange<'a> {
    Default(Option<&'a str>),
    NotNull(bool),
    Validate(&'a DomainConstraint),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SequenceChange {
    /// All options. One whose value may be outside of the new bounds starts anew: what it is there comes at the end anyway.
    Options {
        restart: bool,
    },
    Persistence,
    /// No column's any more; the sequence has its former name.
    Free,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableChange {
    AccessMethod,
    OfType,
    /// The table has its new name.
    NotOfType,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConstraintChange {
    Validate,
    Defer,
    /// 18.
    Enforce(bool),
    /// 18: of a NOT NULL.
    Inherit(bool),
    /// Declared here, too, and not only by a parent.
    Declare,
}

#[derive(Clone, Debug)]
pub enum IndexChange<'a> {
    Options,
    /// By name.
    ResetOptions(Vec<&'a str>),
    ResetStatistics(&'a IndexStatistics),
}
