//! Images for tests.

use super::image::{
    Class, Column, Constraint, ConstraintKind, Domain, Firing, Image, Index, Name, Parent, Policy, PolicyCommand,
    ReplicaIdentity, Schema, Sequence, Statistics, Table, Trigger, Type, TypeForm,
};
use super::scope::{Dependency, Object, TypeKind};

pub fn column(attnum: i16, name: &str, type_name: &str) -> Column {
    Column {
        attnum,
        name: name.to_owned(),
        type_oid: 25,
        type_name: type_name.to_owned(),
        collation: None,
        not_null: false,
        is_local: true,
        expression: None,
        default_oid: None,
        generated: None,
        fed: false,
        missing: None,
        identity: None,
        storage: None,
        statistics: None,
        options: Vec::new(),
        compression: None,
    }
}

/// `s.name` with columns `id integer NOT NULL`, `note text`.
pub fn table(oid: u32, name: &str) -> Table {
    Table {
        oid,
        level: 0,
        name: Name::new("s", name),
        is_partitioned: false,
        is_partition: false,
        unlogged: false,
        of_type: None,
        access_method: None,
        partition_key: None,
        bound: None,
        parents: Vec::new(),
        options: Vec::new(),
        replica_identity: ReplicaIdentity::Default,
        row_security: false,
        force_row_security: false,
        columns: vec![Column { not_null: true, ..column(1, "id", "integer") }, column(2, "note", "text")],
        constraints: Vec::new(),
        indexes: Vec::new(),
        statistics: Vec::new(),
        triggers: Vec::new(),
        policies: Vec::new(),
        rules: Vec::new(),
    }
}

pub fn child(oid: u32, name: &str, of: u32) -> Table {
    Table { parents: vec![Parent { oid: of, position: 1 }], level: 1, ..table(oid, name) }
}

pub fn constraint(oid: u32, name: &str, kind: ConstraintKind, definition: &str) -> Constraint {
    Constraint {
        oid,
        name: name.to_owned(),
        kind,
        definition: definition.to_owned(),
        columns: vec![1],
        validated: true,
        is_local: true,
        inherit_count: 0,
        no_inherit: false,
        deferrable: false,
        deferred: false,
        index: None,
        parent_table: None,
        blocked: false,
    }
}

pub fn index(oid: u32, name: &str, definition: &str) -> Index {
    Index {
        oid,
        name: name.to_owned(),
        constraint: None,
        definition: Some(definition.to_owned()),
        unique: false,
        usable: true,
        clustered: false,
        is_replica_identity: false,
        parent: None,
        options: Vec::new(),
        statistics: Vec::new(),
        blocked: false,
    }
}

pub fn trigger(oid: u32, name: &str) -> Trigger {
    let definition = format!("CREATE TRIGGER {name} BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION f()");
    Trigger { oid, name: name.to_owned(), definition, firing: Firing::Enabled, inherited: None, blocked: false }
}

pub fn policy(oid: u32, name: &str) -> Policy {
    Policy {
        oid,
        name: name.to_owned(),
        permissive: true,
        command: PolicyCommand::Select,
        to_public: true,
        roles: Vec::new(),
        using: Some("true".to_owned()),
        check: None,
        blocked: false,
    }
}

pub fn statistics(oid: u32, name: &str) -> Statistics {
    let definition = format!("CREATE STATISTICS s.{name} ON id, note FROM s.t");
    Statistics { oid, name: Name::new("s", name), definition, target: None, blocked: false }
}

pub fn sequence(oid: u32, name: &str) -> Sequence {
    Sequence {
        oid,
        name: Name::new("s", name),
        unlogged: false,
        type_oid: 20,
        type_name: "bigint".to_owned(),
        start: 1,
        increment: 1,
        min: 1,
        max: i64::MAX,
        cache: 1,
        cycle: false,
        owner: None,
        is_of_other: false,
    }
}

pub fn domain(oid: u32, name: &str) -> Type {
    let domain =
        Domain { base: "text".to_owned(), collation: None, not_null: false, default: None, constraints: Vec::new() };
    Type { oid, level: 0, name: Name::new("s", name), form: TypeForm::Domain(domain) }
}

/// Schema `s` with table `s.t` (10), which has an index, a constraint, a trigger, a policy and statistics; a sequence, a domain.
pub fn image() -> Image {
    let mut t = table(10, "t");
    t.indexes.push(index(11, "t_note", "CREATE INDEX t_note ON s.t USING btree (note)"));
    t.constraints.push(constraint(12, "positive", ConstraintKind::Check, "CHECK ((id > 0))"));
    t.triggers.push(trigger(13, "audit"));
    t.policies.push(policy(14, "all_rows"));
    t.statistics.push(statistics(15, "t_both"));
    Image {
        schemas: vec![Schema { oid: 2, name: "s".to_owned() }],
        types: vec![domain(30, "d")],
        sequences: vec![sequence(20, "q")],
        tables: vec![t],
        ..Image::default()
    }
}

/// A part that depends on something, at the table itself or at a part of it.
pub fn needs(part: Object, table: Option<u32>, on: Object) -> Dependency {
    Dependency {
        part,
        table,
        at_table: table.is_some_and(|table| part == (Class::Relation, table)),
        domain: None,
        is_check: false,
        is_normal: true,
        on,
        element: None,
        range: None,
        relation: None,
        relation_kind: None,
        type_kind: (on.0 == Class::Type).then_some(TypeKind::Made),
        extension: None,
    }
}
