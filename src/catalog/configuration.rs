//! Configuration tables of extensions (`pg_extension_config_dump()`): tables that an extension makes and users put rows into, like
//! `spatial_ref_sys` of PostGIS. `pg_dump` takes along the rows that pass the extension's filter, and so does a task.
//!
//! They are not followed like tables of users. The script of the extension puts rows of its own into them on the destination, whose filter
//! the stream cannot ask, and an update of the extension changes them on both sides. So the rows that pass the filter are read whole, before
//! constraints of the tables are created, and again as often as sequences are, when somebody has written there. Rows that are deleted
//! later stay on the destination.

use std::collections::HashSet;

use serde::Deserialize;

use super::Scope;
use crate::error::{Error, Result};
use crate::logicalrep::array::{oid_array, text_array};
use crate::logicalrep::names::{quote_ident, shown};
use crate::logicalrep::{Row, TableName};
use crate::pg::{spi, xact};

/// Extensions whose rows tell this server what to do or where its own things are: jobs that would run twice, nodes, chunks, shards.
const OF_THIS_SERVER: &[&str] =
    &["pg_courier", "pg_cron", "pgagent", "pglogical", "spock", "bdr", "timescaledb", "citus"];

/// A column of a table, but for generated ones.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ConfigurationColumn(pub String, pub String, pub bool, pub bool);

impl ConfigurationColumn {
    pub fn name(&self) -> &str {
        &self.0
    }

    /// As the server writes it, with its schema.
    pub fn type_name(&self) -> &str {
        &self.1
    }

    /// `GENERATED ALWAYS AS IDENTITY`: nothing can set it but an INSERT.
    pub fn is_set_once(&self) -> bool {
        self.2
    }

    pub fn is_key(&self) -> bool {
        self.3
    }
}

#[derive(Clone, Debug)]
pub struct ConfigurationTable {
    pub oid: u32,
    pub extension: u32,
    pub extension_name: String,
    pub name: TableName,
    pub columns: Vec<ConfigurationColumn>,
    /// A sequence: it has a value, no rows.
    pub is_sequence: bool,
    /// `WHERE` and what follows, or nothing.
    filter: String,
    /// Rows that were written since statistics began; none where nobody counts.
    pub changes: Option<i64>,
    /// The first thing that keeps its rows back.
    pub why_not: Option<WhyNot>,
}

/// Why rows do not travel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhyNot {
    OfThisServer,
    /// The filter would run with the rights of the task's owner.
    FilterOf(String),
    Unreadable {
        owner: String,
    },
}

impl ConfigurationTable {
    /// For people.
    pub fn reason(&self) -> Option<String> {
        Some(match self.why_not.as_ref()? {
            WhyNot::OfThisServer => {
                "they tell this server what to do, and the destination is not to do the same".to_owned()
            }
            WhyNot::FilterOf(role) => format!(
                "which of them do, SQL of role {} decides, who is neither a superuser nor the owner of the task",
                shown(role)
            ),
            WhyNot::Unreadable { owner } => format!("role {} may not read all of them", shown(owner)),
        })
    }

    /// What would let them travel.
    pub fn fix(&self) -> Option<String> {
        let table = self.name.qualified();
        match self.why_not.as_ref()? {
            WhyNot::Unreadable { owner } => Some(format!("GRANT SELECT ON {table} TO {};", quote_ident(owner))),
            _ => None,
        }
    }

    /// The rows that pass the filter, of this table and no other that has got its name.
    pub fn query(&self) -> String {
        let columns: Vec<String> =
            self.columns.iter().map(|column| format!("r.{}", quote_ident(column.name()))).collect();
        // What the extension wrote may end with a comment.
        format!(
            "SELECT {} FROM (SELECT tableoid, * FROM ONLY {} {}\n) AS r WHERE r.tableoid OPERATOR(pg_catalog.=) {}::pg_catalog.oid",
            columns.join(", "),
            self.name.qualified(),
            self.filter,
            self.oid
        )
    }
}

/// Settings under which the rows are read, besides those of data: what a policy hides is an error.
pub const SETTINGS: [(&str, &str); 1] = [("row_security", "off")];

/// Those of extensions that the task's tables use, whose schema the patterns name as a whole, or that `wanted` names; sequences as well.
pub fn of(scope: &Scope, tables: &[u32], owner: u32, wanted: &HashSet<u32>) -> Result<Vec<ConfigurationTable>> {
    if !scope.full_copy {
        return Ok(Vec::new());
    }
    let is_covered = scope.covers_schema()?;
    let sql = include_str!("../../sql/query/schema/configuration_tables.sql");
    let owner_name = xact::role_name(owner);
    let parameters = [oid_array(tables.iter().copied()), owner.to_string()];
    let rows = spi::as_extension(|| spi::query(sql, &parameters.each_ref().map(|text| Some(text.as_str()))))?;
    let mut found = Vec::new();
    for row in &rows {
        let table = table(row, &owner_name)?;
        let schema = row.text("extension_schema")?;
        let is_named = !schema.starts_with("pg_") && is_covered(schema);
        if row.bool("is_used")? || is_named || wanted.contains(&table.extension) {
            found.push(table);
        }
    }
    Ok(found)
}

/// Is there any extension that has such tables, and rows that travel?
pub fn is_there_any() -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT FROM pg_catalog.pg_extension x WHERE x.extconfig IS NOT NULL \
               AND x.extname OPERATOR(pg_catalog.<>) ALL ($1::pg_catalog.text[]))";
    spi::as_extension(|| spi::query_one(sql, &[Some(&text_array(OF_THIS_SERVER))]))?.bool(0)
}

fn table(row: &Row, owner: &str) -> Result<ConfigurationTable> {
    let extension_name = row.string("extname")?;
    let filter = row.string("filter")?;
    let why_not = if OF_THIS_SERVER.contains(&extension_name.as_str()) {
        Some(WhyNot::OfThisServer)
    } else if !filter.trim().is_empty() && !row.bool("is_trusted")? {
        Some(WhyNot::FilterOf(row.string("owner")?))
    } else if !row.bool("may_read")? {
        Some(WhyNot::Unreadable { owner: owner.to_owned() })
    } else {
        None
    };
    let columns = serde_json::from_str(row.text("columns")?);
    Ok(ConfigurationTable {
        oid: row.parse("oid")?,
        extension: row.parse("extension")?,
        extension_name,
        name: TableName::new(row.text("nspname")?, row.text("relname")?),
        columns: columns.map_err(|error| Error::internal(format!("invalid list of columns: {error}")))?,
        is_sequence: row.bool("is_sequence")?,
        filter,
        changes: row
            .opt("changes")
            .map(str::parse)
            .transpose()
            .map_err(|_| Error::internal("changes are no number"))?,
        why_not,
    })
}

#[cfg(test)]
impl ConfigurationTable {
    pub fn sample(schema: &str, name: &str, columns: Vec<ConfigurationColumn>) -> ConfigurationTable {
        ConfigurationTable {
            oid: 1,
            extension: 2,
            extension_name: "x".to_owned(),
            name: TableName::new(schema, name),
            columns,
            is_sequence: false,
            filter: "WHERE true -- all".to_owned(),
            changes: None,
            why_not: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_ends_with_its_line() {
        let column = ConfigurationColumn("a".to_owned(), "integer".to_owned(), false, false);
        assert_eq!(
            ConfigurationTable::sample("s", "T", vec![column]).query(),
            "SELECT r.\"a\" FROM (SELECT tableoid, * FROM ONLY \"s\".\"T\" WHERE true -- all\n) AS r \
             WHERE r.tableoid OPERATOR(pg_catalog.=) 1::pg_catalog.oid"
        );
    }
}
