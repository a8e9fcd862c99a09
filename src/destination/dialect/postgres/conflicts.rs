//! Changes that were not applied as they are, written down in `courier_applied.conflicts` by the transaction that decided so.

use super::super::{ConflictRecord, Involved, RowsThere, Sql, Statement, Trial};
use super::rows::{Unnested, cast, equals};
use crate::logicalrep::Relation;
use crate::logicalrep::names::{quote_ident, quote_literal};

/// The columns that every row has, in the order of [`values`].
const COLUMNS: &str = "task_id, lsn, commit_lsn, relid, table_name, change, sqlstate, message, decision";

fn values(facts: &ConflictRecord<'_>) -> String {
    [
        format!("{}::pg_catalog.uuid", quote_literal(facts.task_id)),
        format!("'{}'::pg_catalog.pg_lsn", facts.lsn),
        format!("'{}'::pg_catalog.pg_lsn", facts.commit_lsn),
        facts.relation.oid.to_string(),
        quote_literal(&facts.relation.shown()),
        quote_literal(facts.change),
        quote_literal(facts.error.sqlstate()),
        quote_literal(facts.error.message()),
        quote_literal(facts.decision),
    ]
    .join(", ")
}

pub(super) fn record(facts: &ConflictRecord<'_>) -> Sql {
    Sql::new(format!("INSERT INTO courier_applied.conflicts ({COLUMNS}) VALUES ({})", values(facts)))
}

pub(super) fn record_rows(facts: &ConflictRecord<'_>, rows: &Involved<'_>) -> Statement {
    let relation = facts.relation;
    let mut source = Unnested::new(relation);
    let key_columns = relation.key.iter().filter(|_| rows.has_key);
    let key = add_all(&mut source, "k", key_columns);
    let row = add_all(&mut source, "c", rows.given.iter());
    let from = source.from();
    let sql = format!(
        "WITH found AS ({found}) INSERT INTO courier_applied.conflicts ({COLUMNS}, key, source_row, destination_row) \
         SELECT {facts}, {key}, {row}, found.row FROM {from} LEFT JOIN found ON true",
        found = found_rows(relation, rows, &from),
        facts = values(facts),
        key = as_json(&key),
        row = as_json(&row),
    );
    source.whole(sql)
}

/// The given columns under their names.
fn add_all<'a>(source: &mut Unnested<'_>, prefix: &str, columns: impl Iterator<Item = &'a usize>) -> Vec<String> {
    columns
        .map(|column| {
            let value = source.add(prefix, *column);
            format!("{value} AS {}", quote_ident(&source.relation.columns[*column].name))
        })
        .collect()
}

fn as_json(list: &[String]) -> String {
    match list {
        [] => "NULL::pg_catalog.jsonb".to_owned(),
        list => format!("(SELECT pg_catalog.to_jsonb(r.*) FROM (SELECT {}) AS r)", list.join(", ")),
    }
}

fn found_rows(relation: &Relation, rows: &Involved<'_>, from: &str) -> String {
    let conditions: Vec<String> = rows
        .by
        .iter()
        .map(|column| {
            let value = cast(&relation.columns[*column].format, &format!("u.c{column}"));
            equals(&relation.columns[*column], &value, rows.there)
        })
        .collect();
    let condition = conditions.join(" AND ");
    let table = format!("{}{}", rows.there.only(), relation.target());
    match rows.found {
        RowsThere::Nothing => "SELECT NULL::pg_catalog.jsonb AS row".to_owned(),
        RowsThere::Shown => {
            format!("SELECT pg_catalog.to_jsonb(t.*) AS row FROM {table} AS t, {from} WHERE {condition}")
        }
        RowsThere::Deleted => {
            format!("DELETE FROM {table} AS t USING {from} WHERE {condition} RETURNING pg_catalog.to_jsonb(t.*) AS row")
        }
    }
}

pub(super) fn trial(trial: Trial) -> Sql {
    Sql::new(match trial {
        Trial::Begins => "SAVEPOINT courier_change",
        Trial::Succeeds => "RELEASE SAVEPOINT courier_change",
        Trial::Fails => "ROLLBACK TO SAVEPOINT courier_change",
    })
}
