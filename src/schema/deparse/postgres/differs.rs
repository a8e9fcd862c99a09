//! The question whether what has a name on the destination is the same thing: a row with null says yes, with text how it differs.
//!
//! Definitions are compared without what two servers may write differently, and by the destination itself: both go through the same
//! expressions there.

use super::causes::owner_check;
use super::objects::has_type;
use super::{Postgres, code, flag, subject};
use crate::logicalrep::array::text_array;
use crate::logicalrep::names::{quote_literal as literal, shown};
use crate::schema::diff::{Action, Step, Subject};
use crate::schema::image::{
    Collation, Column, Constraint, ConstraintKind, Domain, EnumLabel, Extension, Index, Name, Plain, Provider, Routine,
    Sequence, Statistics, Table, Type, TypeForm, View,
};
use crate::schema::kind::Kind;

const IS_THERE: &str = "pg_catalog.format('%s has this name there', pg_catalog.pg_describe_object('pg_catalog.pg_class'::pg_catalog.regclass, o.oid, 0))";

/// The row of a relation of any kind.
fn relation(name: &Name) -> String {
    subject::row(&Subject::Table(name.cow()))
}

/// A definition without parentheses, casts, spaces, and whether it was validated.
fn plain(expression: &str) -> String {
    format!(
        r#"pg_catalog.regexp_replace(pg_catalog.regexp_replace(pg_catalog.regexp_replace({expression}, ' NOT VALID$', ''), '[()]', '', 'g'), '::(character varying|double precision|bit varying|time(stamp)?[0-9]* with(out)? time zone|(("[^"]+"|[a-z0-9_$]+)\.)?("[^"]+"|[a-z0-9_$]+))([0-9]+(,[0-9]+)?)?(\[\])*|\s+', '', 'g')"#
    )
}

fn plain_text(text: Option<&str>) -> String {
    plain(&format!("{}::pg_catalog.text", text.map_or_else(|| "NULL".to_owned(), literal)))
}

impl Postgres {
    pub(super) fn differs(&self, step: &Step) -> Option<String> {
        match (&step.action, step.kind) {
            (Action::CreateSequence(sequence), _) => Some(sequence_differs(sequence)),
            (Action::CreateTable { table, .. }, _) => Some(type_has_name(&table.name)),
            (Action::AddColumn { table, definition }, _) => Some(column_differs(table, definition.column)),
            (Action::CreateIndex { table, index }, _) => Some(self.index_differs(table, index)),
            (Action::CreateStatistics { table, statistics }, _) => Some(self.statistics_differ(table, statistics)),
            (Action::CreateExtension { extension, any_version: true }, _) => Some(extension_differs(extension)),
            (Action::CreateCollation(collation), _) => Some(self.collation_differs(collation)),
            (Action::CreateType(of), _) => Some(self.type_differs(of)),
            (Action::MakeRoutine(routine), _) => Some(routine_differs(routine)),
            (Action::CreatePlain(plain), _) => Some(self.plain_differs(plain)),
            (Action::MakeView(view), _) => Some(self.view_differs(view)),
            (Action::AddConstraint { table, constraint }, kind) if kind != Kind::NotNull => {
                Some(self.constraint_differs(table, constraint))
            }
            _ => None,
        }
    }

    fn same_major(&self) -> String {
        format!("pg_catalog.current_setting('server_version_num')::pg_catalog.int4 / 10000 = {}", self.major)
    }

    pub(super) fn view_differs(&self, view: &View) -> String {
        view_differs(view, &self.same_major())
    }

    pub(super) fn plain_differs(&self, plain: &Plain) -> String {
        plain_differs(plain, &self.same_major())
    }

    pub(super) fn index_differs(&self, table: &Table, index: &Index) -> String {
        let unique = if index.unique { "it is not unique there" } else { "it is unique there" };
        let of_table = "pg_catalog.format('it is an index of table %I.%I there', tn.nspname, t.relname)";
        let definition = "pg_catalog.format('its definition there is: %s', pg_catalog.pg_get_indexdef(o.oid))";
        let from = relation(&Name::new(&table.name.schema, &index.name)).replacen(
            " WHERE ",
            " LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = o.oid LEFT JOIN pg_catalog.pg_class t ON t.oid = i.indrelid \
             LEFT JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace WHERE ",
            1,
        );
        format!(
            "SELECT CASE WHEN o.relkind NOT IN ('i', 'I') THEN {IS_THERE} \
             WHEN (t.relname, tn.nspname) IS DISTINCT FROM ({}::pg_catalog.name, {}::pg_catalog.name) THEN {of_table} \
             WHEN i.indisunique <> {} THEN '{unique}' WHEN {} AND {} <> {} THEN {definition} END FROM {from}",
            literal(&table.name.name),
            literal(&table.name.schema),
            literal(flag(index.unique)),
            self.same_major(),
            plain("pg_catalog.pg_get_indexdef(o.oid)"),
            plain_text(index.definition.as_deref()),
        )
    }

    pub(super) fn statistics_differ(&self, table: &Table, statistics: &Statistics) -> String {
        format!(
            "SELECT CASE WHEN (t.relname, tn.nspname) IS DISTINCT FROM ({}::pg_catalog.name, {}::pg_catalog.name) \
             THEN pg_catalog.format('they are of table %I.%I there', tn.nspname, t.relname) \
             WHEN {} AND {} <> {} THEN pg_catalog.format('its definition there is: %s', pg_catalog.pg_get_statisticsobjdef(o.oid)) END \
             FROM pg_catalog.pg_statistic_ext o JOIN pg_catalog.pg_namespace n ON n.oid = o.stxnamespace \
             JOIN pg_catalog.pg_class t ON t.oid = o.stxrelid JOIN pg_catalog.pg_namespace tn ON tn.oid = t.relnamespace \
             WHERE n.nspname = {} AND o.stxname = {}",
            literal(&table.name.name),
            literal(&table.name.schema),
            self.same_major(),
            plain("pg_catalog.pg_get_statisticsobjdef(o.oid)"),
            plain_text(Some(&statistics.definition)),
            literal(&statistics.name.schema),
            literal(&statistics.name.name),
        )
    }

    pub(super) fn collation_differs(&self, collation: &Collation) -> String {
        let provider = match collation.provider {
            Provider::Icu => "i",
            Provider::Builtin => "b",
            Provider::Libc => "c",
            Provider::Default => "d",
        };
        let locale = collation.locale.as_deref().or(collation.collate.as_deref());
        format!(
            "SELECT CASE WHEN o.collprovider <> '{provider}' OR o.collisdeterministic <> {} OR ({} AND COALESCE( \
             pg_catalog.to_jsonb(o) ->> 'colllocale', pg_catalog.to_jsonb(o) ->> 'colliculocale', o.collcollate) IS DISTINCT FROM {}) \
             THEN 'it has another provider or locale there' END FROM {} LIMIT 1",
            literal(flag(collation.deterministic)),
            self.same_major(),
            locale.map_or_else(|| "NULL".to_owned(), literal),
            subject::row(&Subject::Collation(collation.name.cow())),
        )
    }

    pub(super) fn type_differs(&self, of: &Type) -> String {
        let (code, question) = match &of.form {
            TypeForm::Enum { labels } => ('e', labels_differ(labels)),
            TypeForm::Composite { attributes, .. } => {
                let list: Vec<String> =
                    attributes.iter().map(|a| format!("{} {}", shown(&a.name), a.type_name)).collect();
                ('c', attributes_differ(&list.join(", ")))
            }
            TypeForm::Range(range) => (
                'r',
                format!(
                    "SELECT CASE WHEN pg_catalog.format_type(r.rngsubtype, NULL) <> {} OR oc.opcname <> {} \
                     THEN pg_catalog.format('it is a range of %s (%s) there', pg_catalog.format_type(r.rngsubtype, NULL), oc.opcname) END \
                     FROM pg_catalog.pg_range r JOIN pg_catalog.pg_opclass oc ON oc.oid = r.rngsubopc WHERE r.rngtypid = o.oid",
                    literal(&range.subtype),
                    literal(&range.operator_class.name)
                ),
            ),
            TypeForm::Domain(domain) => ('d', self.domain_differs(domain)),
        };
        format!(
            "SELECT CASE WHEN o.typtype <> '{code}' OR EXISTS (SELECT FROM pg_catalog.pg_class r WHERE r.oid = o.typrelid AND r.relkind <> 'c') \
             THEN 'something else has this name there' ELSE ({question}) END FROM {}",
            subject::row(&Subject::Type(of.name.cow()))
        )
    }

    /// Checks that were never validated come after the data.
    fn domain_differs(&self, domain: &Domain) -> String {
        let same_major = self.same_major();
        let checks = |all: bool| {
            let checks = domain.constraints.iter().filter(|k| k.is_check && !k.blocked && (all || k.validated));
            let list: Vec<String> = checks.map(|k| plain_text(Some(&k.definition))).collect();
            format!("ARRAY[{}]::pg_catalog.text[]", list.join(", "))
        };
        let base = "pg_catalog.format_type(o.typbasetype, o.typtypmod)";
        format!(
            "SELECT CASE WHEN {base} <> {} THEN pg_catalog.format('it is a domain over %s there', {base}) \
             WHEN o.typnotnull <> {} THEN '{}' \
             WHEN {same_major} AND {} IS DISTINCT FROM {} THEN pg_catalog.format('its default there is %s', COALESCE(o.typdefault, 'none')) \
             WHEN {same_major} AND NOT (v.checks OPERATOR(pg_catalog.@>) {} AND v.checks OPERATOR(pg_catalog.<@) {}) \
             THEN pg_catalog.format('its constraints there are: %s', COALESCE(v.list, 'none')) END FROM (SELECT \
             COALESCE(pg_catalog.array_agg({}), '{{}}'), pg_catalog.string_agg(pg_catalog.pg_get_constraintdef(k.oid), ', ') \
             FROM pg_catalog.pg_constraint k WHERE k.contypid = o.oid AND k.contype = 'c') AS v (checks, list)",
            literal(&domain.base),
            literal(flag(domain.not_null)),
            if domain.not_null { "it may be null there" } else { "it must not be null there" },
            plain("COALESCE(pg_catalog.pg_get_expr(o.typdefaultbin, 0), pg_catalog.quote_literal(o.typdefault))"),
            plain_text(domain.default.as_deref()),
            checks(false),
            checks(true),
            plain("pg_catalog.pg_get_constraintdef(k.oid)"),
        )
    }

    fn constraint_differs(&self, table: &Table, constraint: &Constraint) -> String {
        let code = match constraint.kind {
            ConstraintKind::PrimaryKey => 'p',
            ConstraintKind::Unique => 'u',
            ConstraintKind::Exclusion => 'x',
            ConstraintKind::ForeignKey => 'f',
            ConstraintKind::Check => 'c',
            ConstraintKind::NotNull => 'n',
        };
        format!(
            "SELECT CASE WHEN o.contype <> '{code}' OR {} AND {} <> {} \
             THEN pg_catalog.format('its definition there is: %s', pg_catalog.pg_get_constraintdef(o.oid)) END FROM {}",
            self.same_major(),
            plain("pg_catalog.pg_get_constraintdef(o.oid)"),
            plain_text(Some(&constraint.definition)),
            subject::row(&Subject::constraint(&table.name, &constraint.name)),
        )
    }
}

pub(super) fn sequence_differs(sequence: &Sequence) -> String {
    let from = relation(&sequence.name).replacen(
        " WHERE ",
        " LEFT JOIN pg_catalog.pg_sequence q ON q.seqrelid = o.oid WHERE ",
        1,
    );
    format!(
        "SELECT CASE WHEN o.relkind <> 'S' THEN {IS_THERE} \
         WHEN (q.seqtypid, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle) OPERATOR(pg_catalog.<>) \
         ROW({}::pg_catalog.oid, {}::pg_catalog.int8, {}::pg_catalog.int8, {}::pg_catalog.int8, {}::pg_catalog.bool) \
         THEN pg_catalog.format('it is AS %s INCREMENT BY %s MINVALUE %s MAXVALUE %s%s there', pg_catalog.format_type(q.seqtypid, NULL), \
         q.seqincrement, q.seqmin, q.seqmax, CASE WHEN q.seqcycle THEN ' CYCLE' END) END FROM {from}",
        sequence.type_oid,
        sequence.increment,
        sequence.min,
        sequence.max,
        literal(flag(sequence.cycle)),
    )
}

/// Made together with a table or a constraint: whatever has the name is in the way.
pub(super) fn something_has_name(name: &Name) -> String {
    format!("SELECT {IS_THERE} FROM {}", relation(name))
}

/// A table's row type has the table's name.
pub(super) fn type_has_name(name: &Name) -> String {
    format!(
        "SELECT 'a type has this name there' FROM {} AND o.typcategory <> 'A' AND (o.typrelid = 0 OR EXISTS (SELECT FROM pg_catalog.pg_class r \
         WHERE r.oid = o.typrelid AND r.relkind = 'c'))",
        subject::row(&Subject::Type(name.cow()))
    )
}

/// Another one may have the name, or somebody's who could change it.
pub(super) fn routine_differs(routine: &Routine) -> String {
    let row = subject::row(&Subject::routine(routine, routine.name.cow()));
    format!(
        "SELECT CASE WHEN NOT ({}) THEN pg_catalog.format('its definition there is: %s', \
         CASE WHEN o.prokind = 'a' THEN 'an aggregate' ELSE pg_catalog.pg_get_functiondef(o.oid) END) ELSE {} END FROM {row}",
        code::is_routine(routine).replacen(
            "pg_catalog.pg_get_functiondef(o.oid)",
            "CASE WHEN o.prokind <> 'a' THEN pg_catalog.pg_get_functiondef(o.oid) ELSE '' END",
            1
        ),
        owner_check("o.proowner"),
    )
}

/// Servers of two majors may write one query differently.
fn view_differs(view: &View, same_major: &str) -> String {
    let kind = if view.is_materialized() { 'm' } else { 'v' };
    format!(
        "SELECT CASE WHEN o.relkind <> '{kind}' THEN {IS_THERE} \
         WHEN {same_major} AND NOT ({}) THEN pg_catalog.format('its definition there is: %s', pg_catalog.pg_get_viewdef(o.oid)) ELSE {} END \
         FROM {}",
        code::is_view(view),
        owner_check("o.relowner"),
        subject::row(&Subject::Table(view.name().cow())),
    )
}

/// Which members of a family are its class's depends on the major.
fn plain_differs(plain: &Plain, same_major: &str) -> String {
    let same_major = if plain.kind.is_for_superusers() { format!("{same_major} AND ") } else { String::new() };
    format!(
        "SELECT CASE WHEN {same_major}o.definition <> {} THEN pg_catalog.format('its definition there is: %s', o.definition) END FROM {}",
        literal(&plain.definition),
        code::plain_row(plain)
    )
}

fn column_differs(table: &Table, column: &Column) -> String {
    format!(
        "SELECT CASE WHEN NOT ({}) THEN pg_catalog.format('its type there is %s, and not %s', \
         pg_catalog.format_type(o.atttypid, o.atttypmod), {}) END FROM {}",
        has_type(&column.type_name),
        literal(&column.type_name),
        subject::row(&Subject::column(&table.name, &column.name))
    )
}

pub(super) fn extension_differs(extension: &Extension) -> String {
    format!(
        "SELECT CASE WHEN n.nspname <> {} THEN pg_catalog.format('it is in schema %I there', n.nspname) END \
         FROM pg_catalog.pg_extension o JOIN pg_catalog.pg_namespace n ON n.oid = o.extnamespace WHERE o.extname = {}",
        literal(&extension.schema),
        literal(&extension.name)
    )
}

fn labels_differ(labels: &[EnumLabel]) -> String {
    format!(
        "SELECT CASE WHEN COALESCE(pg_catalog.array_agg(e.enumlabel::pg_catalog.text ORDER BY e.enumsortorder), '{{}}') IS DISTINCT FROM \
         {}::pg_catalog.text[] THEN pg_catalog.format('its labels there are: %s', pg_catalog.string_agg( \
         pg_catalog.quote_literal(e.enumlabel), ', ' ORDER BY e.enumsortorder)) END FROM pg_catalog.pg_enum e WHERE e.enumtypid = o.oid",
        literal(&text_array(labels.iter().map(|label| label.name.as_str())))
    )
}

fn attributes_differ(list: &str) -> String {
    format!(
        "SELECT CASE WHEN v.list IS DISTINCT FROM {} THEN pg_catalog.format('its attributes there are: %s', v.list) END FROM (SELECT \
         pg_catalog.string_agg(pg_catalog.format('%I %s', a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum) \
         FROM pg_catalog.pg_attribute a WHERE a.attrelid = o.typrelid AND a.attnum > 0 AND NOT a.attisdropped) AS v (list)",
        if list.is_empty() { "NULL".to_owned() } else { literal(list) }
    )
}
