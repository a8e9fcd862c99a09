//! Rows of extensions' configuration tables: what of them can be written, and writing it. The extension has put rows of its own there.

use super::Destination;
use crate::catalog::configuration::{ConfigurationColumn, ConfigurationTable};
use crate::error::{Error, Result};
use crate::logicalrep::Row;
use crate::logicalrep::array::nullable_text_array;
use crate::logicalrep::names::quote_ident;

/// What the destination has of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableThere {
    /// The extension is not there either.
    WithoutExtension {
        /// Will the tables be the user's when it is created?
        is_of_user: bool,
    },
    /// Another version of the extension has another table.
    Another,
    NotPermitted,
    Writable,
}

impl Destination {
    /// In the order of the list.
    pub fn configuration_tables<'a>(
        &mut self,
        wanted: &'a [ConfigurationTable],
    ) -> Result<Vec<(&'a ConfigurationTable, TableThere)>> {
        let list: Vec<_> = wanted
            .iter()
            .map(|table| {
                let columns: Vec<&str> = table.columns.iter().map(ConfigurationColumn::name).collect();
                serde_json::json!({
                    "extension": table.extension_name, "schema": table.name.schema, "name": table.name.name, "columns": columns,
                })
            })
            .collect();
        let list = serde_json::to_string(&list).map_err(|e| Error::internal(format!("invalid list of names: {e}")))?;
        let sql = include_str!("../../sql/query/destination/configuration_tables.sql");
        let rows = self.connection.query(sql, &[Some(&list)])?;
        let there = |row: &Row| {
            let table = wanted.get(row.parse::<usize>("number")?);
            let there = if !row.bool("has_extension")? {
                TableThere::WithoutExtension { is_of_user: row.bool("is_of_user")? }
            } else if !row.bool("is_there")? || !row.bool("has_columns")? {
                TableThere::Another
            } else if row.bool("may_write")? {
                TableThere::Writable
            } else {
                TableThere::NotPermitted
            };
            Ok(table.map(|table| (table, there)))
        };
        rows.iter().map(there).filter_map(Result::transpose).collect()
    }

    /// Writes rows that are not there yet, or others there under the same key.
    pub fn put_configuration_rows(&mut self, table: &ConfigurationTable, rows: &[Row]) -> Result<()> {
        const AT_ONCE: usize = 1000;
        let sql = put_sql(table);
        self.in_transaction(|destination| {
            for some in rows.chunks(AT_ONCE) {
                let values: Vec<String> = (0..table.columns.len())
                    .map(|at| nullable_text_array(some.iter().map(|row| row.opt(at))))
                    .collect();
                let values: Vec<Option<&str>> = values.iter().map(|value| Some(value.as_str())).collect();
                destination.connection.execute(&sql, &values)?;
            }
            Ok(())
        })
    }
}

fn put_sql(table: &ConfigurationTable) -> String {
    let list = |of: &dyn Fn(usize, &ConfigurationColumn) -> String| {
        table.columns.iter().enumerate().map(|(at, column)| of(at, column)).collect::<Vec<_>>().join(", ")
    };
    let name = table.name.qualified();
    let columns = list(&|_, column| quote_ident(column.name()));
    let parameters = list(&|at, _| format!("pg_catalog.unnest(${}::pg_catalog.text[])", at + 1));
    let places = list(&|at, _| format!("c{at}"));
    let values = list(&|at, column| format!("r.c{at}::{}", column.type_name()));
    let there = list(&|_, column| format!("t.{}", quote_ident(column.name())));
    let insert = format!(
        "INSERT INTO {name} AS t ({columns}) OVERRIDING SYSTEM VALUE SELECT {values} FROM ROWS FROM ({parameters}) AS r({places})"
    );
    let key: Vec<String> = table.columns.iter().filter(|of| of.is_key()).map(|of| quote_ident(of.name())).collect();
    if key.is_empty() {
        let same = format!("ROW({there})::pg_catalog.text OPERATOR(pg_catalog.=) ROW({values})::pg_catalog.text");
        return format!("{insert} WHERE NOT EXISTS (SELECT FROM {name} AS t WHERE {same})");
    }
    let set: Vec<String> = table
        .columns
        .iter()
        .filter(|column| !column.is_key() && !column.is_set_once())
        .map(|column| format!("{0} = EXCLUDED.{0}", quote_ident(column.name())))
        .collect();
    if set.is_empty() {
        return format!("{insert} ON CONFLICT ({}) DO NOTHING", key.join(", "));
    }
    let given = list(&|_, column| format!("EXCLUDED.{}", quote_ident(column.name())));
    format!(
        "{insert} ON CONFLICT ({}) DO UPDATE SET {} WHERE ROW({there})::pg_catalog.text OPERATOR(pg_catalog.<>) ROW({given})::pg_catalog.text",
        key.join(", "),
        set.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(columns: &[(&str, bool, bool)]) -> ConfigurationTable {
        let column = |(name, once, key): &(&str, bool, bool)| {
            ConfigurationColumn((*name).to_owned(), "integer".to_owned(), *once, *key)
        };
        ConfigurationTable::sample("s", "T", columns.iter().map(column).collect())
    }

    #[test]
    fn rows_are_written_once() {
        let insert = "INSERT INTO \"s\".\"T\" AS t (\"a\", \"b\") OVERRIDING SYSTEM VALUE SELECT r.c0::integer, r.c1::integer \
                      FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) AS r(c0, c1)";
        let of = |columns: &[_]| put_sql(&table(columns)).strip_prefix(insert).map(str::to_owned).expect("the same");
        assert_eq!(of(&[("a", false, true), ("b", true, false)]), " ON CONFLICT (\"a\") DO NOTHING");
        assert_eq!(
            of(&[("a", false, true), ("b", false, false)]),
            " ON CONFLICT (\"a\") DO UPDATE SET \"b\" = EXCLUDED.\"b\" WHERE ROW(t.\"a\", t.\"b\")::pg_catalog.text \
             OPERATOR(pg_catalog.<>) ROW(EXCLUDED.\"a\", EXCLUDED.\"b\")::pg_catalog.text"
        );
        assert_eq!(
            of(&[("a", false, false), ("b", false, false)]),
            " WHERE NOT EXISTS (SELECT FROM \"s\".\"T\" AS t WHERE ROW(t.\"a\", t.\"b\")::pg_catalog.text \
             OPERATOR(pg_catalog.=) ROW(r.c0::integer, r.c1::integer)::pg_catalog.text)"
        );
    }
}
