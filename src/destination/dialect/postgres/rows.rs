//! The SQL that applies changes: one statement for many rows, rows as arrays.
//!
//! Each column is one array parameter, unnested on the destination. A statement that must find rows checks that it
//! found as many as it was given: `1 / (count = expected)::int` raises "division by zero" inside the transaction, before
//! it can commit, without a round trip. Names are always qualified and quoted, operators carry their schema.

use super::super::{FoundTwice, Sql, Statement};
use crate::destination::full_copy::CopyFormat;
use crate::destination::table::{Deferrable, Kind, Table};
use crate::error::Error;
use crate::logicalrep::names::{quote_ident, quote_literal, shown};
use crate::logicalrep::{Column, ColumnFormat, Lsn, Operator, Relation};

/// What [`probe`] says before the values that are there twice.
const FOUND_TWICE: &str = "courier found twice: ";

const INT8: u32 = 20;
const INT8_ARRAY: u32 = 1016;

/// Collects array parameters and the columns they become.
pub(super) struct Unnested<'a> {
    pub(super) relation: &'a Relation,
    types: Vec<u32>,
    names: Vec<String>,
}

impl<'a> Unnested<'a> {
    pub(super) fn new(relation: &'a Relation) -> Unnested<'a> {
        Unnested { relation, types: Vec::new(), names: Vec::new() }
    }

    /// Adds a column under a prefix and its number; returns the expression of the column's own type.
    pub(super) fn add(&mut self, prefix: &str, column: usize) -> String {
        let name = format!("{prefix}{column}");
        let format = &self.relation.columns[column].format;
        self.types.push(format.array_type());
        let expression = cast(format, &format!("u.{name}"));
        self.names.push(name);
        expression
    }

    fn add_counts(&mut self) {
        self.types.push(INT8_ARRAY);
        self.names.push("n".to_owned());
    }

    /// `unnest($1, $2) AS u(c0, c1)`. Only this name without a schema takes several arrays, and then it is the server's own whatever
    /// the search_path is.
    pub(super) fn from(&self) -> String {
        let params: Vec<String> = (1..=self.types.len()).map(|n| format!("${n}")).collect();
        let own = if params.len() == 1 { "pg_catalog." } else { "" };
        format!("{own}unnest({}) AS u({})", params.join(", "), self.names.join(", "))
    }

    /// Ends the statement as it is.
    pub(super) fn whole(self, sql: String) -> Statement {
        Statement { sql: Sql::new(sql), types: self.types }
    }

    /// Ends the statement: with a count that must be met by the rows of the CTE `touched`.
    fn counted(mut self, body: String) -> Statement {
        let n = self.types.len() + 1;
        self.types.push(INT8);
        let check = format!("SELECT 1 / (pg_catalog.count(*) = ${n})::pg_catalog.int4 FROM touched");
        Statement { sql: Sql::new(format!("{body} {check}")), types: self.types }
    }
}

/// Inserts whole rows. Parameters: every column.
pub(super) fn insert(relation: &Relation) -> Statement {
    let mut source = Unnested::new(relation);
    let values: Vec<String> = (0..relation.columns.len()).map(|c| source.add("c", c)).collect();
    let sql = format!(
        "INSERT INTO {} ({}) OVERRIDING SYSTEM VALUE SELECT {} FROM {}",
        relation.target(),
        column_list(relation),
        values.join(", "),
        source.from()
    );
    source.whole(sql)
}

/// The value of a column that is in `source` already, to be set in a row `t` that is there. A domain's constraint that is
/// not valid may be broken by the value that is there, so a value that does not change must not be cast to the domain.
fn new_value(relation: &Relation, there: &Table, column: usize, value: String) -> String {
    let name = &relation.columns[column].name;
    match there.lenient_type(name) {
        Some(type_name) => {
            let name = quote_ident(name);
            format!(
                "CASE WHEN t.{name}::pg_catalog.text IS NOT DISTINCT FROM u.c{column}::pg_catalog.text THEN t.{name} \
                 ELSE {value}::{type_name} END"
            )
        }
        None => value,
    }
}

/// Inserts a row of a table without columns, or with generated ones only: there is nothing to unnest.
pub(super) fn insert_nothing(relation: &Relation) -> Sql {
    Sql::new(format!("INSERT INTO {} DEFAULT VALUES", relation.target()))
}

/// Updates `set` columns of the rows with the given keys. Parameters: key columns, `set` columns, the number of rows.
pub(super) fn update(relation: &Relation, there: &Table, set: &[usize]) -> Statement {
    let mut source = Unnested::new(relation);
    let condition = key_condition(&mut source, there);
    let mut assignments: Vec<String> = set
        .iter()
        .map(|c| {
            let value = source.add("c", *c);
            let value = new_value(relation, there, *c, value);
            format!("{} = {value}", quote_ident(&relation.columns[*c].name))
        })
        .collect();
    let (only, name, from) = (there.only(), relation.target(), source.from());
    if assignments.is_empty() {
        // Nothing changes: the row must still be there, and its update counts. Any column will do that may be set at all.
        let Some(column) = relation.columns.iter().find(|column| !column.identity_always) else {
            let body = format!(
                "WITH touched AS (SELECT 1 FROM {only}{name} AS t, {from} WHERE {condition} FOR NO KEY UPDATE OF t)"
            );
            return source.counted(body);
        };
        let column = quote_ident(&column.name);
        assignments.push(format!("{column} = t.{column}"));
    }
    let body = format!(
        "WITH touched AS (UPDATE {only}{name} AS t SET {} FROM {from} WHERE {condition} RETURNING 1)",
        assignments.join(", "),
    );
    source.counted(body)
}

/// Deletes the rows with the given keys. Parameters: key columns, the number of rows.
pub(super) fn delete(relation: &Relation, there: &Table) -> Statement {
    let mut source = Unnested::new(relation);
    let condition = key_condition(&mut source, there);
    let (only, name) = (there.only(), relation.target());
    let body = match relation.key[..] {
        // All keys in one look into the index.
        [key] if relation.columns[key].takes_array() => {
            let Column { name: column, equality, .. } = &relation.columns[key];
            let (column, equals) = (quote_ident(column), operator(equality));
            format!("WITH touched AS (DELETE FROM {only}{name} AS t WHERE t.{column} {equals} ANY ($1) RETURNING 1)")
        }
        _ => {
            let from = source.from();
            format!("WITH touched AS (DELETE FROM {only}{name} AS t USING {from} WHERE {condition} RETURNING 1)")
        }
    };
    source.counted(body)
}

/// Replaces rows by new ones, key included; columns in `kept` keep the old row's value. Parameters: old key columns, all
/// columns but the kept ones, the number of rows.
pub(super) fn replace(relation: &Relation, there: &Table, kept: &[usize]) -> Statement {
    let mut source = Unnested::new(relation);
    let condition = key_condition(&mut source, there);
    let mut returned = Vec::new();
    let mut selected = Vec::new();
    for column in 0..relation.columns.len() {
        if kept.contains(&column) {
            returned.push(format!("t.{} AS c{column}", quote_ident(&relation.columns[column].name)));
        } else {
            let value = source.add("c", column);
            let value = new_value(relation, there, column, value);
            returned.push(format!("{value} AS c{column}"));
        }
        selected.push(format!("d.c{column}"));
    }
    let body = format!(
        "WITH d AS (DELETE FROM {only}{name} AS t USING {from} WHERE {condition} RETURNING {returned}), \
         touched AS (INSERT INTO {name} ({columns}) OVERRIDING SYSTEM VALUE SELECT {selected} FROM d RETURNING 1)",
        only = there.only(),
        name = relation.target(),
        from = source.from(),
        returned = returned.join(", "),
        columns = column_list(relation),
        selected = selected.join(", "),
    );
    source.counted(body)
}

/// Deletes rows of a table without a key: for each given row, `n` of those equal to it. Rows are compared by their
/// text, which tells apart what `=` does not (1.0 and 1.00) and exists for types without `=` (json, point).
/// Parameters: every column, the counts, the number of rows in all.
pub(super) fn delete_by_row(relation: &Relation, there: &Table) -> Statement {
    let mut source = Unnested::new(relation);
    let given: Vec<String> = (0..relation.columns.len()).map(|c| source.add("c", c)).collect();
    source.add_counts();
    let stored: Vec<String> = relation.columns.iter().map(|c| format!("t.{}", quote_ident(&c.name))).collect();
    let (only, name) = (there.only(), relation.target());
    // A place is one in a table without partitions.
    let places = match there.kind {
        Kind::Partitioned => format!(
            "{name} AS t USING found WHERE t.tableoid OPERATOR(pg_catalog.=) found.part \
             AND t.ctid OPERATOR(pg_catalog.=) found.place AND found.i <= found.n"
        ),
        _ => format!("ONLY {name} AS t WHERE t.ctid = ANY (ARRAY(SELECT place FROM found WHERE i <= n))"),
    };
    let body = format!(
        "WITH wanted AS (SELECT ROW({given})::pg_catalog.text AS r, u.n FROM {from}), \
         found AS (SELECT t.tableoid AS part, t.ctid AS place, wanted.n AS n, \
         pg_catalog.row_number() OVER (PARTITION BY wanted.r) AS i \
         FROM {only}{name} AS t JOIN wanted ON ROW({stored})::pg_catalog.text OPERATOR(pg_catalog.=) wanted.r), \
         touched AS (DELETE FROM {places} RETURNING 1)",
        given = given.join(", "),
        stored = stored.join(", "),
        from = source.from(),
    );
    source.counted(body)
}

/// Looks for second rows with the given values of a deferrable constraint. Parameters: the columns, the LSNs.
pub(super) fn probe(relation: &Relation, there: &Table, constraint: &Deferrable, columns: &[usize]) -> Statement {
    let mut source = Unnested::new(relation);
    let operators = constraint.columns.iter().flatten();
    let (mut conditions, mut with_itself, mut shown) = (Vec::new(), Vec::new(), Vec::new());
    for (column, (name, operator)) in columns.iter().zip(operators) {
        let value = source.add("c", *column);
        let name = quote_ident(name);
        if constraint.is_exclusion {
            conditions.push(format!("t.{name} {operator} {value}"));
            with_itself.push(format!("{value} {operator} {value}"));
        } else {
            let equal = equals(&relation.columns[*column], &value, there);
            conditions.push(match constraint.nulls_are_equal {
                true => format!("({equal} OR t.{name} IS NULL AND u.c{column} IS NULL)"),
                false => equal,
            });
        }
        shown.push(format!("u.c{column}"));
    }
    source.add_counts();
    // The row itself is there, and counts if the operators find it.
    let own = match constraint.is_exclusion {
        true => format!("CASE WHEN {} THEN 1 ELSE 0 END", with_itself.join(" AND ")),
        false => "1".to_owned(),
    };
    let sql = format!(
        "SELECT (SELECT {} || u.n::pg_catalog.text || ' ' || {} || ' at ' || ROW({})::pg_catalog.text \
         FROM {} WHERE EXISTS (SELECT 1 FROM {}{} AS t WHERE {} OFFSET {own}) LIMIT 1)::pg_catalog.int4",
        quote_literal(FOUND_TWICE),
        quote_literal(&quote_ident(&constraint.name)),
        shown.join(", "),
        source.from(),
        there.only(),
        relation.target(),
        conditions.join(" AND "),
    );
    source.whole(sql)
}

/// What an error of [`probe`] has found.
pub(super) fn found_twice(error: &Error) -> Option<FoundTwice> {
    let (_, found) = error.message().split_once(FOUND_TWICE)?;
    let (lsn, found) = found.split_once(' ').unwrap_or(("", found));
    let (constraint, values) = found.rsplit_once(" at ").unwrap_or((found, ""));
    let lsn = lsn.parse::<i64>().map_or(Lsn::INVALID, |lsn| Lsn(lsn as u64));
    Some(FoundTwice { lsn, constraint: constraint.to_owned(), values: values.trim_end_matches('"').to_owned() })
}

pub(super) fn truncate(tables: &[(&Relation, &Table)], restart_sequences: bool) -> Sql {
    let name = |(relation, there): &(&Relation, &Table)| format!("{}{}", there.only(), relation.target());
    let names: Vec<String> = tables.iter().map(name).collect();
    let restart = if restart_sequences { " RESTART IDENTITY" } else { "" };
    Sql::new(format!("TRUNCATE {}{restart}", names.join(", ")))
}

pub(super) fn copy(relation: &Relation, there: &Table) -> Sql {
    let (check, name, columns) = (there.before_copy(), relation.target(), column_list(relation));
    Sql::new(format!("{check}; COPY {name} ({columns}) FROM STDIN (FORMAT binary)"))
}

pub(super) fn copy_table(relation: &Relation, CopyFormat { is_binary, freeze }: CopyFormat) -> Sql {
    let (name, columns) = (relation.target(), column_list(relation));
    let columns = if columns.is_empty() { String::new() } else { format!(" ({columns})") };
    let format = if is_binary { "binary" } else { "text" };
    let freeze = if freeze { ", FREEZE true" } else { "" };
    Sql::new(format!("COPY {name}{columns} FROM STDIN (FORMAT {format}{freeze})"))
}

/// An expression of the column's type, from a parameter.
pub(super) fn cast(format: &ColumnFormat, expression: &str) -> String {
    match format {
        ColumnFormat::Binary { .. } => expression.to_owned(),
        ColumnFormat::Text { type_name } | ColumnFormat::Label { type_name } => format!("{expression}::{type_name}"),
    }
}

fn operator(operator: &Operator) -> String {
    format!("OPERATOR({}.{})", shown(&operator.schema), operator.name)
}

fn column_list(relation: &Relation) -> String {
    relation.columns.iter().map(|column| quote_ident(&column.name)).collect::<Vec<_>>().join(", ")
}

fn key_condition(source: &mut Unnested<'_>, there: &Table) -> String {
    let relation = source.relation;
    let conditions: Vec<String> = relation
        .key
        .iter()
        .map(|column| {
            let value = source.add("k", *column);
            relation.columns.get(*column).map_or(value.clone(), |key| equals(key, &value, there))
        })
        .collect();
    conditions.join(" AND ")
}

/// Has row `t` this value? An equality with a value of the other side would let the planner turn the join round: where
/// its statistics call the table empty it would read the whole index once for each of our rows. It cannot order rows by
/// this form, so there is nothing but the look into the index. It costs a tenth more, and is not used where the statistics
/// know the table to be large.
pub(super) fn equals(column: &Column, value: &str, there: &Table) -> String {
    let name = quote_ident(&column.name);
    let equals = operator(&column.equality);
    match column.by_element && !there.is_large(0) {
        true => format!("t.{name} {equals} ANY (ARRAY[{value}])"),
        false => format!("t.{name} {equals} {value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::fixture::relation;

    #[test]
    fn text_columns_are_cast_back_and_names_are_quoted() {
        let statement = insert(&relation());
        assert_eq!(
            statement.sql.text(),
            "INSERT INTO \"public\".\"T 1\" (\"id\", \"mood\") OVERRIDING SYSTEM VALUE \
             SELECT u.c0, u.c1::public.mood FROM unnest($1, $2) AS u(c0, c1)"
        );
        assert_eq!(statement.types, [1016, 1009]);
    }

    #[test]
    fn an_update_checks_its_count_inside_the_transaction() {
        let there = Table::default();
        let statement = update(&relation(), &there, &[1]);
        assert_eq!(
            statement.sql.text(),
            "WITH touched AS (UPDATE ONLY \"public\".\"T 1\" AS t SET \"mood\" = u.c1::public.mood \
             FROM unnest($1, $2) AS u(k0, c1) WHERE t.\"id\" OPERATOR(pg_catalog.=) ANY (ARRAY[u.k0]) RETURNING 1) \
             SELECT 1 / (pg_catalog.count(*) = $3)::pg_catalog.int4 FROM touched"
        );
        assert_eq!(statement.types, [1016, 1009, 20]);
        assert!(update(&relation(), &there, &[]).sql.text().contains("SET \"id\" = t.\"id\""));
    }

    #[test]
    fn rows_are_found_by_what_fits_the_size_of_the_table() {
        let large = Table::default().with_rows(1_000_000);
        assert!(
            update(&relation(), &large, &[1]).sql.text().contains("t.\"id\" OPERATOR(pg_catalog.=) u.k0 RETURNING")
        );
        assert!(large.is_large(900_000) && !large.is_large(999_999) && !large.is_large(u64::MAX));
        // One look for all keys does not depend on it.
        for there in [&large, &Table::default()] {
            assert_eq!(
                delete(&relation(), there).sql.text(),
                "WITH touched AS (DELETE FROM ONLY \"public\".\"T 1\" AS t WHERE t.\"id\" OPERATOR(pg_catalog.=) ANY ($1) RETURNING 1) \
                 SELECT 1 / (pg_catalog.count(*) = $2)::pg_catalog.int4 FROM touched"
            );
        }
    }

    #[test]
    fn a_replaced_row_keeps_what_the_log_does_not_hold() {
        let statement = replace(&relation(), &Table::default(), &[1]);
        assert!(statement.sql.text().contains("RETURNING u.c0 AS c0, t.\"mood\" AS c1"));
        assert_eq!(statement.types, [1016, 1016, 20]);
    }
}
