//! The question that goes with a statement: is it needed (any more)? True is: it is not.

use super::{is_reset, subject};
use crate::logicalrep::array::text_array;
use crate::logicalrep::names::quote_literal;
use crate::schema::diff::{Action, ColumnChange, Subject};
use crate::schema::image::{
    Column, Compression, Grant, Index, Name, ReplicaIdentity, Sequence, Storage, StorageOption, Table,
};

pub(super) fn query(action: &Action) -> String {
    match action {
        Action::CreateExtension { extension, any_version: false } => format!(
            "{} OR NOT EXISTS (SELECT FROM pg_catalog.pg_available_extension_versions v WHERE v.name = {} AND v.version = {})",
            exists(&Subject::Extension(&extension.name), None),
            quote_literal(&extension.name),
            quote_literal(&extension.version)
        ),
        Action::Drop(subject) => format!("SELECT NOT EXISTS (SELECT FROM {})", subject::row(subject)),
        // When one of the roles is missing there, the statement cannot run and is skipped.
        Action::Grant { subject, grant } => {
            let question = exists(subject, Some(&granted(subject, grant)));
            let Some(role) = &grant.grantee else { return question };
            format!(
                "SELECT (SELECT pg_catalog.count(*) FROM pg_catalog.pg_roles WHERE rolname = ANY ({})) < 1 OR {}",
                quote_literal(&text_array([role.as_str()])),
                question.trim_start_matches("SELECT ")
            )
        }
        _ => {
            let (subject, condition) = place(action);
            exists(&subject, condition.as_deref())
        }
    }
}

fn exists(subject: &Subject, condition: Option<&str>) -> String {
    let condition = condition.map(|condition| format!(" AND ({condition})")).unwrap_or_default();
    format!("SELECT EXISTS (SELECT FROM {}{condition})", subject::row(subject))
}

/// The row to look for, and what has to be true of it.
fn place<'a>(action: &'a Action<'a>) -> (Subject<'a>, Option<String>) {
    let is = |condition: &str| Some(condition.to_owned());
    match action {
        Action::CreateSchema(schema) => (Subject::Schema(&schema.name), None),
        Action::CreateExtension { extension, .. } => (Subject::Extension(&extension.name), None),
        Action::CreateCollation(collation) => (Subject::Collation(collation.name.cow()), None),
        Action::CreateType(of) => (Subject::Type(of.name.cow()), None),
        Action::AddDomainConstraint { domain, constraint } => {
            (Subject::DomainConstraint(&domain.name, &constraint.name), None)
        }
        Action::CreateSequence(sequence) => (Subject::Sequence(sequence.name.cow()), is("o.relkind = 'S'")),
        Action::OwnSequence { sequence, owner } => {
            (Subject::Sequence(sequence.name.cow()), Some(owned_by(&owner.table, &owner.column)))
        }
        Action::BoundSequence(sequence) => (Subject::Sequence(sequence.name.cow()), Some(bounded(sequence))),
        Action::CreateTable { table, .. } => (Subject::Table(table.name.cow()), is("o.relkind IN ('r', 'p')")),
        Action::AddColumn { table, definition } => (Subject::Column(&table.name, &definition.column.name), None),
        Action::AlterColumn { table, column, change } => {
            (Subject::Column(&table.name, &column.name), Some(changed(column, change)))
        }
        Action::AttachTable { table, parent } => (Subject::Table(table.name.cow()), Some(is_child_of(&parent.name))),
        Action::DetachTable { table, parent } => {
            (Subject::Table(table.name.cow()), Some(format!("NOT {}", is_child_of(parent))))
        }
        Action::AddConstraint { table, constraint } => (Subject::Constraint(&table.name, &constraint.name), None),
        Action::IdentifyReplica { table, index } => (Subject::Table(table.name.cow()), Some(identified(table, *index))),
        Action::CreateIndex { table, index } => {
            (Subject::index(&table.name, &index.name), is("o.relkind IN ('i', 'I')"))
        }
        Action::AttachIndex { table, index, parent } => {
            (Subject::index(&table.name, &index.name), Some(is_child_of(parent)))
        }
        Action::Cluster { table, index } => (
            Subject::index(&table.name, &index.name),
            is("EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indexrelid = o.oid AND i.indisclustered)"),
        ),
        // A column of an index has a row like one of a table; the index is where it is looked for.
        Action::SetIndexStatistics { table, index, statistics } => (
            Subject::index(&table.name, &index.name),
            Some(format!(
                "EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = o.oid AND a.attname = {} AND a.attstattarget = {})",
                quote_literal(&statistics.attname),
                statistics.target
            )),
        ),
        Action::CreateStatistics { statistics, .. } => (Subject::Statistics(statistics.name.cow()), None),
        Action::SetStatisticsTarget { statistics, target } => {
            (Subject::Statistics(statistics.name.cow()), Some(format!("o.stxstattarget = {target}")))
        }
        Action::CreateTrigger { table, trigger } => (Subject::Trigger(&table.name, &trigger.name), None),
        Action::SetTrigger { table, trigger } => (
            Subject::Trigger(&table.name, &trigger.name),
            Some(format!("o.tgenabled = '{}'", super::parts::firing_code(trigger.firing))),
        ),
        Action::SecureRows { table, force, on } => {
            let column = if *force { "o.relforcerowsecurity" } else { "o.relrowsecurity" };
            let not = if *on { "" } else { "NOT " };
            (Subject::Table(table.name.cow()), Some(format!("{not}{column}")))
        }
        Action::SetPersistence { table } => {
            let code = if table.unlogged { 'u' } else { 'p' };
            (Subject::Table(table.name.cow()), Some(format!("o.relpersistence = '{code}'")))
        }
        Action::SetOptions { table, options } => (
            Subject::Table(table.name.cow()),
            Some(each_option(options, "", |option| {
                format!("x.option = {}", quote_literal(&format!("{}={}", option.name, option.value)))
            })),
        ),
        Action::ResetOptions { table, options } => (
            Subject::Table(table.name.cow()),
            Some(each_option(options, "NOT ", |option| {
                format!("pg_catalog.split_part(x.option, '=', 1) = {}", quote_literal(&option.name))
            })),
        ),
        Action::CreatePolicy { table, policy } => (Subject::Policy(&table.name, &policy.name), None),
        Action::Comment { subject, text } => (subject.clone(), Some(commented(subject, *text))),
        Action::Grant { subject, grant } => (subject.clone(), Some(granted(subject, grant))),
        Action::TakeBack { subject, grant } => (
            subject.clone(),
            Some(format!(
                "NOT ({}::pg_catalog.text[] OPERATOR(pg_catalog.&&) {})",
                quote_literal(&text_array(grant.privileges.iter().map(String::as_str))),
                privileges_of(subject, grant)
            )),
        ),
        Action::RevokePublic { subject } => (
            subject.clone(),
            is(
                "NOT EXISTS (SELECT FROM pg_catalog.aclexplode(COALESCE(o.typacl, pg_catalog.acldefault('T', o.typowner))) AS x WHERE x.grantee = 0)",
            ),
        ),
        Action::Drop(subject) => (subject.clone(), None),
        Action::Rename { subject, to } => (subject.clone().renamed(to), None),
        Action::SetSchema { subject, to } => (subject.clone().moved(to), None),
    }
}

/// Whether a table, or what it keeps beside it, has an option of each kind, or has not.
fn each_option(options: &[&StorageOption], not: &str, which: impl Fn(&StorageOption) -> String) -> String {
    let question = |option: &&StorageOption| {
        let relation = if option.of_toast { "o.reltoastrelid" } else { "o.oid" };
        format!(
            "{not}EXISTS (SELECT FROM pg_catalog.pg_class r CROSS JOIN LATERAL pg_catalog.unnest(r.reloptions) AS x(option) \
             WHERE r.oid = {relation} AND {})",
            which(option)
        )
    };
    options.iter().map(question).collect::<Vec<_>>().join(" AND ")
}

fn is_child_of(parent: &Name) -> String {
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhparent JOIN pg_catalog.pg_namespace pn \
         ON pn.oid = p.relnamespace WHERE i.inhrelid = o.oid AND pn.nspname = {} AND p.relname = {})",
        quote_literal(&parent.schema),
        quote_literal(&parent.name)
    )
}

fn owned_by(table: &Name, column: &str) -> String {
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_class t ON t.oid = d.refobjid JOIN pg_catalog.pg_namespace tn \
         ON tn.oid = t.relnamespace JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid \
         WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = o.oid AND d.deptype = 'a' \
         AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND tn.nspname = {} AND t.relname = {} AND a.attname = {})",
        quote_literal(&table.schema),
        quote_literal(&table.name),
        quote_literal(column)
    )
}

fn bounded(sequence: &Sequence) -> String {
    format!(
        "EXISTS (SELECT FROM pg_catalog.pg_sequence q WHERE q.seqrelid = o.oid AND q.seqtypid = {} AND q.seqmin = {} AND q.seqmax = {} \
         AND q.seqstart = {})",
        sequence.type_oid, sequence.min, sequence.max, sequence.start
    )
}

fn identified(table: &Table, index: Option<&Index>) -> String {
    let code = match (table.replica_identity, index) {
        (_, Some(index)) => {
            return format!(
                "EXISTS (SELECT FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class ic ON ic.oid = i.indexrelid \
                 WHERE i.indrelid = o.oid AND i.indisreplident AND ic.relname = {})",
                quote_literal(&index.name)
            );
        }
        (ReplicaIdentity::Full, None) => 'f',
        (ReplicaIdentity::Nothing, None) => 'n',
        (ReplicaIdentity::Default | ReplicaIdentity::Index, None) => 'd',
    };
    format!("o.relreplident = '{code}'")
}

fn changed(column: &Column, change: &ColumnChange) -> String {
    let not = if is_reset(change) { "NOT " } else { "" };
    match change {
        ColumnChange::Type => {
            format!("pg_catalog.format_type(o.atttypid, o.atttypmod) = {}", quote_literal(&column.type_name))
        }
        ColumnChange::Default(_) => format!("{not}o.atthasdef"),
        ColumnChange::NotNull(_) => format!("{not}o.attnotnull"),
        ColumnChange::Storage => {
            let code = match column.storage {
                Some(Storage::Plain) => 'p',
                Some(Storage::External) => 'e',
                Some(Storage::Main) => 'm',
                Some(Storage::Extended) | None => 'x',
            };
            format!("o.attstorage = '{code}'")
        }
        ColumnChange::Statistics => match column.statistics {
            Some(target) => format!("o.attstattarget = {target}"),
            None => "COALESCE(o.attstattarget, -1) < 0".to_owned(),
        },
        ColumnChange::Options => {
            let options: Vec<String> = column.options.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let list = text_array(options.iter().map(String::as_str));
            format!("o.attoptions OPERATOR(pg_catalog.@>) {}::pg_catalog.text[]", quote_literal(&list))
        }
        ColumnChange::ResetOptions(names) => format!(
            "NOT EXISTS (SELECT FROM pg_catalog.unnest(o.attoptions) AS x(option) WHERE pg_catalog.split_part(x.option, '=', 1) = ANY ({}::pg_catalog.text[]))",
            quote_literal(&text_array(names.iter().copied()))
        ),
        ColumnChange::Compression => {
            let code = if column.compression == Some(Compression::Pglz) { 'p' } else { 'l' };
            format!("o.attcompression = '{code}'")
        }
    }
}

fn commented(subject: &Subject, text: Option<&str>) -> String {
    let description = match subject {
        Subject::Column(..) => "pg_catalog.col_description(o.attrelid, o.attnum)".to_owned(),
        _ => format!("pg_catalog.obj_description(o.oid, '{}')", subject::catalog(subject)),
    };
    match text {
        Some(text) => format!("{description} = {}", quote_literal(text)),
        None => format!("{description} IS NULL"),
    }
}

fn granted(subject: &Subject, grant: &Grant) -> String {
    format!(
        "{}::pg_catalog.text[] OPERATOR(pg_catalog.<@) {}",
        quote_literal(&text_array(grant.privileges.iter().map(String::as_str))),
        privileges_of(subject, grant)
    )
}

/// What the role may do there.
fn privileges_of(subject: &Subject, grant: &Grant) -> String {
    let list = match subject {
        Subject::Column(..) => "o.attacl".to_owned(),
        Subject::Schema(_) => default_list("nsp", 'n'),
        Subject::Type(_) | Subject::Domain(_) => default_list("typ", 'T'),
        Subject::Sequence(_) => default_list("rel", 's'),
        _ => default_list("rel", 'r'),
    };
    let grantee = match &grant.grantee {
        None => "x.grantee = 0".to_owned(),
        Some(role) => format!("r.rolname = {}", quote_literal(role)),
    };
    format!(
        "ARRAY(SELECT x.privilege_type FROM pg_catalog.aclexplode({list}) AS x \
         LEFT JOIN pg_catalog.pg_roles r ON r.oid = x.grantee WHERE {grantee}{})",
        if grant.with_option { " AND x.is_grantable" } else { "" }
    )
}

fn default_list(prefix: &str, kind: char) -> String {
    format!("COALESCE(o.{prefix}acl, pg_catalog.acldefault('{kind}', o.{prefix}owner))")
}
