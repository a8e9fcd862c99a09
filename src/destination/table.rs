//! A table as the destination has it: what decides how its rows have to be written there.
//!
//! It may be partitioned where the source's is plain; a column may have another type, which binary COPY would take for
//! its own; a constraint may be deferrable, and is then checked by a trigger that the replica role keeps quiet; a
//! domain may have a constraint that old values need not meet. All of it may change while a task runs. What has to be
//! exact is therefore asked again under the lock that a change would need, see [`Table::before_copy`]; the rest shows by
//! an error, after which a new worker asks anew.

use std::collections::HashMap;

use super::{Connection, Destination};
use crate::error::{Error, Result};
use crate::logicalrep::array::text_array;
use crate::logicalrep::names::{quote_ident, quote_literal};
use crate::logicalrep::{Column, ColumnFormat};

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// There is none of this name.
    #[default]
    Missing,
    Plain,
    Partitioned,
    /// A view, a foreign table.
    Other,
}

#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Qualified and quoted.
    pub name: String,
    pub kind: Kind,
    /// Has it triggers that fire for replicated rows too?
    pub has_replica_triggers: bool,
    /// Its rows, as the statistics there have them; 0 if they have nothing.
    pub rows: u64,
    columns: HashMap<String, There>,
    /// All columns with their types in one text, and whether it has such triggers: what `courier_columns` says.
    signature: String,
    pub deferrable: Vec<Deferrable>,
}

#[derive(Clone, Debug)]
struct There {
    /// OID of the type below all domains.
    base: u32,
    is_enum: bool,
    /// The column's type, if it is a domain with a constraint that is not valid, or has such a domain in it.
    lenient: Option<String>,
}

/// A table whose rows nobody would read one after the other to find a thousand of them.
const LARGE: u64 = 10_000;

/// A unique or exclusion constraint that the server checks by a trigger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deferrable {
    pub name: String,
    /// The names of its columns, for an exclusion constraint each with its operator; `None` when it has an expression.
    pub columns: Option<Vec<(String, String)>>,
    pub is_exclusion: bool,
    pub nulls_are_equal: bool,
    pub is_partial: bool,
}

/// Does a trigger of the table fire for replicated rows too?
macro_rules! has_replica_triggers {
    ($table:literal) => {
        concat!(
            "EXISTS (SELECT FROM pg_catalog.pg_trigger AS t WHERE t.tgrelid OPERATOR(pg_catalog.=) ",
            $table,
            " AND t.tgenabled IN ('A', 'R'))"
        )
    };
}

/// Makes what [`Table::before_copy`] calls, once for a session: are columns and types of a table, in one text, still these, and
/// does somebody there see its rows come?
pub(super) const PREPARE_CHECK: &str = concat!(
    "PREPARE courier_columns(pg_catalog.oid, pg_catalog.text) AS SELECT 1 / ( \
       ((SELECT COALESCE(pg_catalog.string_agg(a.attname || ' ' || a.atttypid::pg_catalog.text, ',' ORDER BY a.attnum), '') \
         FROM pg_catalog.pg_attribute AS a WHERE a.attrelid OPERATOR(pg_catalog.=) $1 AND a.attnum > 0 AND NOT a.attisdropped) \
        || CASE WHEN ",
    has_replica_triggers!("$1"),
    " THEN ' triggers' ELSE '' END) OPERATOR(pg_catalog.=) $2)::pg_catalog.int4"
);

/// For each column of each table: what the table is, the column and its type, and whether there is more to ask about the
/// two. $1: names of tables. A new session knows nothing of the catalogs yet, so this is as plain as it can be.
const TABLES: &str = concat!(
    "SELECT n.name, c.relkind, CASE WHEN c.relkind = 'r' AND c.reltuples > 0 THEN c.reltuples::pg_catalog.int8 ELSE 0 END AS rows, ",
    has_replica_triggers!("c.oid"),
    " AS has_replica_triggers, EXISTS (SELECT FROM pg_catalog.pg_constraint AS k WHERE k.conrelid = c.oid AND k.condeferrable \
         AND k.contype IN ('p', 'u', 'x')) AS has_deferrable, \
       a.attname, a.atttypid, t.typtype = 'e' AS is_enum, t.typtype IN ('d', 'c') OR e.typtype IN ('d', 'c') AS has_domain \
     FROM pg_catalog.unnest($1::pg_catalog.text[]) AS n(name) \
     JOIN pg_catalog.pg_class AS c ON c.oid = pg_catalog.to_regclass(n.name) \
     LEFT JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
     LEFT JOIN pg_catalog.pg_type AS t ON t.oid = a.atttypid \
     LEFT JOIN pg_catalog.pg_type AS e ON e.oid = t.typelem \
     ORDER BY c.oid, a.attnum"
);

/// What is in the types of columns: the type below all domains, and whether a constraint on the way is not valid. $1: names
/// of tables.
const TYPES: &str = "WITH RECURSIVE w AS MATERIALIZED ( \
       SELECT n AS name, pg_catalog.to_regclass(n)::pg_catalog.oid AS oid FROM pg_catalog.unnest($1::pg_catalog.text[]) AS n), \
     of_column AS ( \
       SELECT w.oid, w.name, a.attname, a.attnum, a.atttypid AS type, 0 AS depth \
       FROM w JOIN pg_catalog.pg_attribute AS a ON a.attrelid = w.oid AND a.attnum > 0 AND NOT a.attisdropped \
       UNION ALL \
       SELECT c.oid, c.name, c.attname, c.attnum, t.typbasetype, c.depth + 1 FROM of_column AS c \
       JOIN pg_catalog.pg_type AS t ON t.oid = c.type WHERE t.typtype = 'd'), \
     within AS ( \
       SELECT c.oid, c.attnum, c.type FROM of_column AS c \
       UNION \
       SELECT w.oid, w.attnum, p.type FROM within AS w JOIN pg_catalog.pg_type AS t ON t.oid = w.type \
       CROSS JOIN LATERAL (SELECT t.typelem AS type WHERE t.typelem <> 0 UNION ALL SELECT t.typbasetype WHERE t.typbasetype <> 0 \
         UNION ALL SELECT a.atttypid FROM pg_catalog.pg_attribute AS a WHERE a.attrelid = t.typrelid AND a.attnum > 0 \
           AND NOT a.attisdropped AND t.typrelid <> 0) AS p), \
     lenient AS MATERIALIZED ( \
       SELECT d.oid, d.attnum FROM within AS d \
       JOIN pg_catalog.pg_constraint AS k ON k.contypid = d.type AND NOT k.convalidated AND d.type <> 0) \
     SELECT c.name, c.attname, t.oid, t.typtype = 'e' AS is_enum, \
       CASE WHEN EXISTS (SELECT FROM lenient AS l WHERE l.oid = c.oid AND l.attnum = c.attnum) THEN \
         (SELECT pg_catalog.format('%I.%I', n.nspname, d.typname) FROM of_column AS o \
          JOIN pg_catalog.pg_type AS d ON d.oid = o.type JOIN pg_catalog.pg_namespace AS n ON n.oid = d.typnamespace \
          WHERE o.oid = c.oid AND o.attnum = c.attnum AND o.depth = 0) END AS lenient \
     FROM of_column AS c JOIN pg_catalog.pg_type AS t ON t.oid = c.type AND t.typtype <> 'd'";

/// Constraints that a trigger checks. $1: names of tables.
const CONSTRAINTS: &str = "SELECT n.name, k.conname, \
       CASE WHEN i.indexprs IS NULL THEN (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(a.attname, \
           CASE WHEN k.contype = 'x' THEN pg_catalog.format('OPERATOR(%I.%s)', s.nspname, p.oprname) ELSE '' END) \
           ORDER BY c.at) \
         FROM pg_catalog.unnest(k.conkey) WITH ORDINALITY AS c(number, at) \
         JOIN pg_catalog.pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = c.number \
         LEFT JOIN pg_catalog.pg_operator AS p ON p.oid = k.conexclop[c.at] \
         LEFT JOIN pg_catalog.pg_namespace AS s ON s.oid = p.oprnamespace) END AS columns, \
       k.contype = 'x' AS is_exclusion, pg_catalog.to_jsonb(i.*) ->> 'indnullsnotdistinct' AS nulls_are_equal, \
       i.indpred IS NOT NULL AS is_partial \
     FROM pg_catalog.unnest($1::pg_catalog.text[]) AS n(name) \
     JOIN pg_catalog.pg_constraint AS k ON k.conrelid = pg_catalog.to_regclass(n.name) AND k.condeferrable \
       AND k.contype IN ('p', 'u', 'x') \
     JOIN pg_catalog.pg_index AS i ON i.indexrelid = k.conindid";

/// The columns of a unique index. $1: the name of the table, $2: that of the index.
const UNIQUE_INDEX: &str = "SELECT a.attname FROM pg_catalog.pg_index i \
     JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
     CROSS JOIN LATERAL pg_catalog.generate_series(0, i.indnkeyatts - 1) AS k(n) \
     LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[k.n] \
     WHERE i.indrelid = pg_catalog.to_regclass($1) AND c.relname = $2 AND i.indisunique \
     AND i.indexprs IS NULL AND i.indpred IS NULL ORDER BY k.n";

impl Destination {
    /// The definitions of tables, by their qualified names. One that is not there is in the answer, as missing.
    pub fn tables(&mut self, names: &[String]) -> Result<HashMap<String, Table>> {
        read(&mut self.connection, names)
    }

    /// The definition of one table.
    pub fn table(&mut self, name: &str) -> Result<Table> {
        let mut tables = read(&mut self.connection, &[name.to_owned()])?;
        tables.remove(name).ok_or_else(|| Error::internal("a table that was asked for is not in the answer"))
    }

    /// The columns of a unique index of the table; none if it has an expression or a condition. (An empty name stands
    /// for a column that has gone.)
    pub fn columns_of_unique_index(&mut self, table: &str, index: &str) -> Result<Vec<String>> {
        let rows = self.connection.query(UNIQUE_INDEX, &[Some(table), Some(index)])?;
        Ok(rows.iter().map(|row| row.opt_string(0).unwrap_or_default()).collect())
    }
}

fn read(connection: &mut Connection, names: &[String]) -> Result<HashMap<String, Table>> {
    let named = |name: &String| (name.clone(), Table { name: name.clone(), ..Table::default() });
    let mut tables: HashMap<String, Table> = names.iter().map(named).collect();
    // Tables of which the rest has to be asked.
    let (mut typed, mut constrained) = (Vec::new(), Vec::new());
    for row in connection.query_kept(TABLES, &[Some(&text_array(names))])? {
        let name = row.text("name")?;
        let Some(table) = tables.get_mut(name) else { continue };
        if table.kind == Kind::Missing {
            table.kind = match row.text("relkind")? {
                "r" => Kind::Plain,
                "p" => Kind::Partitioned,
                _ => Kind::Other,
            };
            table.rows = row.parse("rows")?;
            table.has_replica_triggers = row.bool("has_replica_triggers")?;
            if row.bool("has_deferrable")? {
                constrained.push(name.to_owned());
            }
        }
        let Some(column) = row.opt_string("attname") else { continue };
        let there = There { base: row.parse("atttypid")?, is_enum: row.bool("is_enum")?, lenient: None };
        table.signature += &format!("{}{column} {}", if table.signature.is_empty() { "" } else { "," }, there.base);
        table.columns.insert(column, there);
        if row.opt("has_domain") == Some("t") && typed.last().is_none_or(|last| last != name) {
            typed.push(name.to_owned());
        }
    }
    for table in tables.values_mut().filter(|table| table.has_replica_triggers) {
        table.signature += " triggers";
    }
    if !typed.is_empty() {
        read_types(connection, &typed, &mut tables)?;
    }
    if !constrained.is_empty() {
        read_constraints(connection, &constrained, &mut tables)?;
    }
    Ok(tables)
}

fn read_types(connection: &mut Connection, names: &[String], tables: &mut HashMap<String, Table>) -> Result<()> {
    for row in connection.query(TYPES, &[Some(&text_array(names))])? {
        let Some(table) = tables.get_mut(row.text("name")?) else { continue };
        let lenient = row.opt_string("lenient");
        let there = There { base: row.parse("oid")?, is_enum: row.bool("is_enum")?, lenient };
        table.columns.insert(row.string("attname")?, there);
    }
    Ok(())
}

fn read_constraints(connection: &mut Connection, names: &[String], tables: &mut HashMap<String, Table>) -> Result<()> {
    for row in connection.query(CONSTRAINTS, &[Some(&text_array(names))])? {
        let Some(table) = tables.get_mut(row.text("name")?) else { continue };
        table.deferrable.push(Deferrable {
            name: row.string("conname")?,
            columns: row.opt("columns").map(columns_of).transpose()?,
            is_exclusion: row.bool("is_exclusion")?,
            nulls_are_equal: row.opt("nulls_are_equal") == Some("true"),
            is_partial: row.bool("is_partial")?,
        });
    }
    Ok(())
}

fn columns_of(list: &str) -> Result<Vec<(String, String)>> {
    serde_json::from_str(list)
        .map_err(|error| Error::internal(format!("the destination describes a constraint unlike JSON: {error}")))
}

impl Table {
    /// What stands before the name where only the table's own rows are meant. The rows of a partitioned table are those
    /// of its partitions.
    pub fn only(&self) -> &'static str {
        if self.kind == Kind::Partitioned { "" } else { "ONLY " }
    }

    /// The same with another number of rows.
    pub fn with_rows(&self, rows: u64) -> Table {
        Table { rows, ..self.clone() }
    }

    /// Do the statistics call it large, also after `deleted` rows have gone?
    pub fn is_large(&self, deleted: u64) -> bool {
        self.rows.saturating_sub(deleted) >= LARGE
    }

    /// Would binary COPY take the fields, as the stream has them, for what they are?
    pub fn takes_copy_of(&self, columns: &[Column]) -> bool {
        let agrees = |column: &Column| {
            self.columns.get(&column.name).is_some_and(|there| match column.format {
                ColumnFormat::Binary { element, .. } => element == there.base,
                ColumnFormat::Label { .. } => there.is_enum,
                ColumnFormat::Text { .. } => false,
            })
        };
        matches!(self.kind, Kind::Plain | Kind::Partitioned) && columns.iter().all(agrees)
    }

    /// The type of a column below all domains, and whether it is an enum; `None` if there is no such column.
    pub fn base_type(&self, column: &str) -> Option<(u32, bool)> {
        self.columns.get(column).map(|there| (there.base, there.is_enum))
    }

    /// The type of a column, if old values need not meet the constraints of a domain in it.
    pub fn lenient_type(&self, column: &str) -> Option<&str> {
        self.columns.get(column)?.lenient.as_deref()
    }

    /// Statements for the transaction of a COPY, before it: the columns are still what they were, no trigger has come
    /// that sees in which order rows do, and it stays so to its end. "Division by zero" if not.
    pub(super) fn before_copy(&self) -> String {
        let Table { name, signature, .. } = self;
        let (regclass, signature) = (quote_literal(name), quote_literal(signature));
        format!(
            "LOCK TABLE ONLY {name} IN ROW EXCLUSIVE MODE; \
             EXECUTE courier_columns({regclass}::pg_catalog.regclass::pg_catalog.oid, {signature})"
        )
    }
}

impl Deferrable {
    /// A query that returns a row if the constraint is broken anywhere in the table; `None` if that cannot be asked.
    pub(super) fn search(&self, table: &str) -> Option<String> {
        let columns = self.columns.as_ref().filter(|_| !self.is_partial)?;
        let names: Vec<String> = columns.iter().map(|(name, _)| quote_ident(name)).collect();
        if self.is_exclusion {
            let excludes =
                |((_, operator), name): (&(String, String), &String)| format!("a.{name} {operator} b.{name}");
            let conditions: Vec<String> = columns.iter().zip(&names).map(excludes).collect();
            return Some(format!(
                "SELECT 1 FROM {table} AS a JOIN {table} AS b ON {} \
                 WHERE a.tableoid <> b.tableoid OR a.ctid <> b.ctid LIMIT 1",
                conditions.join(" AND ")
            ));
        }
        let are_there: Vec<String> = names.iter().map(|name| format!("{name} IS NOT NULL")).collect();
        let condition = if self.nulls_are_equal { "true".to_owned() } else { are_there.join(" AND ") };
        Some(format!(
            "SELECT 1 FROM {table} WHERE {condition} GROUP BY {} HAVING pg_catalog.count(*) > 1 LIMIT 1",
            names.join(", ")
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logicalrep::Operator;

    fn table(kind: Kind, base: u32) -> Table {
        let columns = HashMap::from([("id".to_owned(), There { base, is_enum: false, lenient: None })]);
        Table { name: "\"s\".\"t\"".into(), kind, columns, signature: "id 23".into(), ..Table::default() }
    }

    fn column(element: u32) -> Column {
        let format = ColumnFormat::Binary { element, array: 0 };
        Column {
            name: "id".into(),
            source: "id".into(),
            format,
            equality: Operator::equals(),
            by_element: true,
            identity_always: false,
        }
    }

    #[test]
    fn only_tables_with_the_very_types_take_copy() {
        assert!(table(Kind::Plain, 23).takes_copy_of(&[column(23)]));
        assert!(table(Kind::Partitioned, 23).takes_copy_of(&[column(23)]));
        assert!(!table(Kind::Plain, 700).takes_copy_of(&[column(23)]), "of the same width, and no integer");
        assert!(!table(Kind::Other, 23).takes_copy_of(&[column(23)]));
        assert!(!Table::default().takes_copy_of(&[column(23)]));
    }

    #[test]
    fn the_rows_of_a_partitioned_table_are_elsewhere() {
        assert_eq!(table(Kind::Plain, 23).only(), "ONLY ");
        assert_eq!(table(Kind::Partitioned, 23).only(), "");
    }

    #[test]
    fn broken_constraints_are_searched_for() {
        let mut constraint = Deferrable {
            name: "t_key".into(),
            columns: columns_of(r#"[["a", ""], ["b", ""]]"#).ok(),
            is_exclusion: false,
            nulls_are_equal: false,
            is_partial: false,
        };
        let sql = constraint.search("t").unwrap();
        assert!(sql.contains("WHERE \"a\" IS NOT NULL AND \"b\" IS NOT NULL GROUP BY \"a\", \"b\" HAVING"), "{sql}");
        constraint.columns = None;
        assert_eq!(constraint.search("t"), None);
    }
}
