//! Tables of an image: first by themselves, then with what is in them.

use std::collections::HashMap;

use super::facts::{ask, letter, name, number, opt_letter, opt_name, opt_parse, options, parts, string, strings};
use crate::error::Result;
use crate::logicalrep::Row;
use crate::logicalrep::array::oid_array;
use crate::schema::image::{
    Class, Column, Compression, Constraint, ConstraintKind, Firing, Generated, Identity, Index, IndexStatistics,
    Parent, Policy, PolicyCommand, ReplicaIdentity, Statistics, Storage, StorageOption, Table, Trigger,
};
use crate::schema::scope::Scope;

/// Which kinds of parts some relations may have: of others nothing is asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Parts {
    pub indexes: bool,
    pub statistics: bool,
    pub policies: bool,
    pub triggers: bool,
    pub rules: bool,
    pub parents: bool,
    /// Columns that are younger than rows.
    pub missing: bool,
}

impl Parts {
    /// Of these relations and of others.
    pub fn and(self, others: Parts) -> Parts {
        Parts {
            indexes: self.indexes || others.indexes,
            statistics: self.statistics || others.statistics,
            policies: self.policies || others.policies,
            triggers: self.triggers || others.triggers,
            rules: self.rules || others.rules,
            parents: self.parents || others.parents,
            missing: self.missing || others.missing,
        }
    }
}

/// Those of the relations that are tables and views of a user, by oid, and what is in them, to be filled.
pub fn tables_and_views(relations: &[u32], kinds: &str) -> Result<[(Vec<Table>, Parts); 2]> {
    let oids = oid_array(relations.iter().copied());
    let mut found: [(Vec<Table>, Parts); 2] = Default::default();
    for row in &ask(include_str!("../../../sql/query/schema/relations.sql"), &[&oids, kinds])? {
        let [of_tables, of_views] = &mut found;
        let (list, parts) = if row.bool("is_view")? { of_views } else { of_tables };
        list.push(table(row)?);
        *parts = parts.and(Parts {
            indexes: row.bool("has_indexes")?,
            statistics: row.bool("has_statistics")?,
            policies: row.bool("has_policies")?,
            triggers: row.bool("has_triggers")?,
            rules: row.bool("has_rules")?,
            parents: row.bool("has_parents")?,
            missing: row.bool("has_missing")?,
        });
    }
    Ok(found)
}

/// Fills tables that are in the order of their oids.
pub fn fill(tables: &mut [Table], scope: &Scope, parts: Parts) -> Result<()> {
    debug_assert!(tables.is_sorted_by_key(|table| table.oid));
    let oids = oid_array(tables.iter().map(|table| table.oid));
    for table in tables.iter_mut() {
        table.level = scope.level(Class::Relation, table.oid);
    }
    columns(tables, scope, &oids)?;
    if parts.parents {
        parents(tables, &oids)?;
    }
    if parts.indexes {
        let rows = ask(include_str!("../../../sql/query/schema/indexes.sql"), &[&oids])?;
        each(tables, &rows, "indrelid", |table| &mut table.indexes, |row| index(row, scope))?;
    }
    if parts.statistics {
        let rows = ask(include_str!("../../../sql/query/schema/statistics.sql"), &[&oids])?;
        each(tables, &rows, "stxrelid", |table| &mut table.statistics, |row| statistics(row, scope))?;
    }
    if parts.policies {
        policies(tables, scope, &oids)?;
    }
    if parts.triggers {
        triggers(tables, scope, &oids)?;
    }
    Ok(())
}

/// With the constraints.
fn columns(tables: &mut [Table], scope: &Scope, oids: &str) -> Result<()> {
    let rows = ask(include_str!("../../../sql/query/schema/columns.sql"), &[oids])?;
    each(tables, &rows, "attrelid", |table| &mut table.columns, |row| column(row, scope))?;
    let rows = ask(include_str!("../../../sql/query/schema/constraints.sql"), &[oids])?;
    each(tables, &rows, "conrelid", |table| &mut table.constraints, |row| constraint(row, scope))
}

/// Also those that are not in the image.
fn parents(tables: &mut [Table], oids: &str) -> Result<()> {
    let rows = ask(include_str!("../../../sql/query/capture/parents.sql"), &[oids])?;
    let parent = |row: &Row| Ok(Parent { oid: row.parse("inhparent")?, position: row.parse("inhseqno")? });
    each(tables, &rows, "inhrelid", |table| &mut table.parents, parent)
}

fn policies(tables: &mut [Table], scope: &Scope, oids: &str) -> Result<()> {
    let rows = ask(include_str!("../../../sql/query/schema/policies.sql"), &[oids])?;
    each(tables, &rows, "polrelid", |table| &mut table.policies, |row| policy(row, scope))
}

fn triggers(tables: &mut [Table], scope: &Scope, oids: &str) -> Result<()> {
    let rows = ask(include_str!("../../../sql/query/schema/triggers.sql"), &[oids])?;
    let made = |row: &Row| trigger(row, scope, opt_parse::<u32>(row, "parent_table")?.is_some());
    each(tables, &rows, "tgrelid", |table| &mut table.triggers, made)
}

/// Puts each row into a list of its table.
pub fn each<T>(
    tables: &mut [Table],
    rows: &[Row],
    column: &str,
    list: impl Fn(&mut Table) -> &mut Vec<T>,
    made: impl Fn(&Row) -> Result<T>,
) -> Result<()> {
    let places: HashMap<u32, usize> = tables.iter().enumerate().map(|(at, table)| (table.oid, at)).collect();
    for row in rows {
        if let Some(at) = places.get(&row.parse::<u32>(column)?) {
            list(&mut tables[*at]).push(made(row)?);
        }
    }
    Ok(())
}

fn table(row: &Row) -> Result<Table> {
    let identity = letter(row, "relreplident", |code| {
        Some(match code {
            'd' => ReplicaIdentity::Default,
            'f' => ReplicaIdentity::Full,
            'n' => ReplicaIdentity::Nothing,
            'i' => ReplicaIdentity::Index,
            _ => return None,
        })
    })?;
    let own = options(row, "reloptions")?.into_iter().map(|option| (false, option));
    let of_toast = options(row, "toast_options")?.into_iter().map(|option| (true, option));
    Ok(Table {
        oid: row.parse("oid")?,
        level: 0,
        name: name(row, "nspname", "relname")?,
        is_partitioned: row.bool("is_partitioned")?,
        is_partition: row.bool("relispartition")?,
        unlogged: row.bool("is_unlogged")?,
        of_type: row.opt_string("of_type"),
        access_method: row.opt_string("amname"),
        partition_key: row.opt_string("partkey"),
        bound: row.opt_string("partbound"),
        parents: Vec::new(),
        options: own.chain(of_toast).map(|(of_toast, (name, value))| StorageOption { of_toast, name, value }).collect(),
        replica_identity: identity,
        row_security: row.bool("relrowsecurity")?,
        force_row_security: row.bool("relforcerowsecurity")?,
        columns: Vec::new(),
        constraints: Vec::new(),
        indexes: Vec::new(),
        statistics: Vec::new(),
        triggers: Vec::new(),
        policies: Vec::new(),
        rules: Vec::new(),
    })
}

fn column(row: &Row, scope: &Scope) -> Result<Column> {
    let generated = opt_letter(row, "attgenerated", |code| match code {
        's' => Some(Generated::Stored),
        'v' => Some(Generated::Virtual),
        _ => None,
    })?;
    let default: Option<u32> = opt_parse(row, "attrdef")?;
    let is_blocked = default.is_some_and(|oid| scope.is_blocked(Class::AttributeDefault, oid));
    let identity = opt_letter(row, "attidentity", |code| match code {
        'a' => Some(Identity { always: true, sequence: None }),
        'd' => Some(Identity { always: false, sequence: None }),
        _ => None,
    })?;
    let storage = opt_letter(row, "attstorage", |code| match code {
        'p' => Some(Storage::Plain),
        'e' => Some(Storage::External),
        'm' => Some(Storage::Main),
        'x' => Some(Storage::Extended),
        _ => None,
    })?;
    let compression = opt_letter(row, "attcompression", |code| match code {
        'p' => Some(Compression::Pglz),
        'l' => Some(Compression::Lz4),
        _ => None,
    })?;
    Ok(Column {
        attnum: row.parse("attnum")?,
        name: row.string("attname")?,
        type_oid: row.parse("atttypid")?,
        type_name: row.string("type_name")?,
        collation: opt_name(row, "collation_schema", "collname"),
        not_null: row.bool("attnotnull")?,
        is_local: row.bool("attislocal")?,
        expression: row.opt_string("expression").filter(|_| generated.is_some() || !is_blocked),
        default_oid: default,
        generated,
        fed: false,
        missing: None,
        identity,
        storage,
        statistics: opt_parse(row, "attstattarget")?,
        options: column_options(row)?,
        compression,
    })
}

/// `pg_attver` is a note that some minor versions leave there for themselves; nobody may set it.
fn column_options(row: &Row) -> Result<Vec<(String, String)>> {
    Ok(options(row, "attoptions")?.into_iter().filter(|(name, _)| name != "pg_attver").collect())
}

fn constraint(row: &Row, scope: &Scope) -> Result<Constraint> {
    let kind = letter(row, "contype", |code| {
        Some(match code {
            'p' => ConstraintKind::PrimaryKey,
            'u' => ConstraintKind::Unique,
            'x' => ConstraintKind::Exclusion,
            'c' => ConstraintKind::Check,
            'n' => ConstraintKind::NotNull,
            'f' => ConstraintKind::ForeignKey,
            _ => return None,
        })
    })?;
    let oid = row.parse("oid")?;
    let columns = super::facts::list(row, "conkey")?;
    Ok(Constraint {
        oid,
        name: row.string("conname")?,
        kind,
        definition: row.string("definition")?,
        columns: columns.iter().map(|value| number(value, "conkey")).collect::<Result<_>>()?,
        validated: row.bool("convalidated")?,
        is_local: row.bool("conislocal")?,
        inherit_count: row.parse("coninhcount")?,
        no_inherit: row.bool("connoinherit")?,
        deferrable: row.bool("condeferrable")?,
        deferred: row.bool("condeferred")?,
        index: opt_parse(row, "conindid")?,
        parent_table: opt_parse(row, "parent_table")?,
        blocked: scope.is_blocked(Class::Constraint, oid),
    })
}

fn index(row: &Row, scope: &Scope) -> Result<Index> {
    let oid = row.parse("indexrelid")?;
    let targets = super::facts::list(row, "statistics")?.iter().map(index_statistics).collect::<Result<_>>()?;
    Ok(Index {
        oid,
        name: row.string("relname")?,
        constraint: opt_parse(row, "conoid")?,
        definition: row.opt_string("definition"),
        unique: row.bool("indisunique")?,
        usable: row.bool("is_usable")?,
        clustered: row.bool("indisclustered")?,
        is_replica_identity: row.bool("indisreplident")?,
        parent: opt_parse(row, "inhparent")?,
        options: options(row, "reloptions")?,
        statistics: targets,
        blocked: scope.is_blocked(Class::Relation, oid),
    })
}

fn index_statistics(value: &serde_json::Value) -> Result<IndexStatistics> {
    const COLUMN: &str = "statistics";
    let [attnum, attname, target] = parts::<3>(value, COLUMN)?;
    Ok(IndexStatistics {
        attnum: number(attnum, COLUMN)?,
        attname: string(attname, COLUMN)?,
        target: number(target, COLUMN)?,
    })
}

fn statistics(row: &Row, scope: &Scope) -> Result<Statistics> {
    let oid = row.parse("oid")?;
    Ok(Statistics {
        oid,
        name: name(row, "nspname", "stxname")?,
        definition: row.string("definition")?,
        target: opt_parse(row, "stxstattarget")?,
        blocked: scope.is_blocked(Class::Statistics, oid),
    })
}

fn trigger(row: &Row, scope: &Scope, is_inherited: bool) -> Result<Trigger> {
    let oid = row.parse("oid")?;
    let inherited = opt_letter(row, "parent_enabled", firing)?;
    Ok(Trigger {
        oid,
        name: row.string("tgname")?,
        definition: row.string("definition")?,
        firing: letter(row, "tgenabled", firing)?,
        inherited: inherited.filter(|_| is_inherited),
        blocked: scope.is_blocked(Class::Trigger, oid),
    })
}

pub fn firing(code: char) -> Option<Firing> {
    match code {
        'O' | 'A' => Some(Firing::Enabled),
        'D' | 'R' => Some(Firing::Disabled),
        _ => None,
    }
}

fn policy(row: &Row, scope: &Scope) -> Result<Policy> {
    let command = letter(row, "polcmd", |code| {
        Some(match code {
            '*' => PolicyCommand::All,
            'r' => PolicyCommand::Select,
            'a' => PolicyCommand::Insert,
            'w' => PolicyCommand::Update,
            'd' => PolicyCommand::Delete,
            _ => return None,
        })
    })?;
    let oid = row.parse("oid")?;
    Ok(Policy {
        oid,
        name: row.string("polname")?,
        permissive: row.bool("polpermissive")?,
        command,
        to_public: row.bool("to_public")?,
        roles: strings(row, "roles")?,
        using: row.opt_string("polqual"),
        check: row.opt_string("polwithcheck"),
        blocked: scope.is_blocked(Class::Policy, oid),
    })
}
