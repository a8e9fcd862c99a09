//! Questions to the destination's catalogs and about what is in its tables, each with an answer that has a type.

use super::Destination;
use crate::error::{Error, Result};
use crate::logicalrep::array::oid_array;
use crate::logicalrep::{Row, TableName};
use crate::schema::diff::{RELATIONS, STATISTICS, TYPES};
use crate::schema::image::Name;

/// A sequence's new value.
pub struct SequenceTo<'a> {
    /// Qualified and quoted.
    pub name: &'a str,
    pub value: i64,
    pub is_called: bool,
    pub may_go_back: bool,
    /// Does it count downwards?
    pub descends: bool,
    /// Is it an error when it is not there?
    pub is_needed: bool,
}

/// What a login has come to, for people to read.
pub struct Account {
    pub version: String,
    pub user: String,
    pub database: String,
    pub is_standby: bool,
    pub is_read_only: bool,
    pub may_create: bool,
    /// May a superuser grant the replica role? From 15 on.
    pub role_is_granted: bool,
    /// Is there a schema `public` in which the user may not make tables?
    pub is_kept_out_of_public: bool,
}

impl Destination {
    /// The OIDs and names of tables, by OID or by name.
    pub fn tables_called(&mut self, oids: &[u32], names: &[&TableName]) -> Result<Vec<(u32, TableName)>> {
        let names: Vec<[&str; 2]> = names.iter().map(|name| [name.schema.as_str(), name.name.as_str()]).collect();
        let names =
            serde_json::to_string(&names).map_err(|e| Error::internal(format!("invalid list of names: {e}")))?;
        let rows = self.connection.query(
            "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
             WHERE c.relkind IN ('r', 'p') AND (c.oid OPERATOR(pg_catalog.=) ANY ($1::pg_catalog.oid[]) \
                OR (n.nspname, c.relname) IN (SELECT (j.item OPERATOR(pg_catalog.->>) 0)::pg_catalog.name, \
                                                     (j.item OPERATOR(pg_catalog.->>) 1)::pg_catalog.name \
                                                FROM pg_catalog.json_array_elements($2::pg_catalog.json) AS j(item)))",
            &[Some(&oid_array(oids.iter().copied())), Some(&names)],
        )?;
        rows.iter()
            .map(|row| {
                Ok((row.parse("oid")?, TableName { schema: row.string("nspname")?, name: row.string("relname")? }))
            })
            .collect()
    }

    /// Is there a table of this name, partitioned or not?
    pub fn has_table(&mut self, name: &TableName) -> Result<bool> {
        let rows = self.connection.query(
            "SELECT c.relkind FROM pg_catalog.pg_class c \
             JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
             WHERE n.nspname OPERATOR(pg_catalog.=) $1 AND c.relname OPERATOR(pg_catalog.=) $2",
            &[Some(&name.schema), Some(&name.name)],
        )?;
        Ok(rows.first().is_some_and(|row| matches!(row.opt(0), Some("r" | "p"))))
    }

    /// The names of a table, its indexes, owned sequences and extended statistics, and among what they are so; none where there is no such
    /// table.
    pub fn names_of_table(&mut self, table: &Name) -> Result<Vec<(u8, Name)>> {
        let rows = self.connection.query(
            "WITH t AS (SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
               WHERE n.nspname OPERATOR(pg_catalog.=) $1 AND c.relname OPERATOR(pg_catalog.=) $2 \
               AND c.relkind OPERATOR(pg_catalog.=) ANY ('{r,p}'::\"char\"[])), \
             parts AS (SELECT t.oid FROM t UNION ALL \
               SELECT i.indexrelid FROM t JOIN pg_catalog.pg_index i ON i.indrelid OPERATOR(pg_catalog.=) t.oid UNION ALL \
               SELECT d.objid FROM t JOIN pg_catalog.pg_depend d ON d.refobjid OPERATOR(pg_catalog.=) t.oid \
                 WHERE d.refclassid OPERATOR(pg_catalog.=) 1259 AND d.classid OPERATOR(pg_catalog.=) 1259 \
                 AND d.refobjsubid OPERATOR(pg_catalog.>) 0 AND d.deptype OPERATOR(pg_catalog.=) ANY ('{a,i}'::\"char\"[])) \
             SELECT false AS is_statistics, n.nspname, c.relname AS name FROM parts p \
               JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) p.oid \
               JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace UNION ALL \
             SELECT true, n.nspname, s.stxname FROM t JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid OPERATOR(pg_catalog.=) t.oid \
               JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) s.stxnamespace",
            &[Some(&table.schema), Some(&table.name)],
        )?;
        let named = |row: &Row| {
            let space = if row.bool("is_statistics")? { STATISTICS } else { RELATIONS | TYPES };
            Ok((space, Name::new(row.string("nspname")?, row.string("name")?)))
        };
        rows.iter().map(named).collect()
    }

    /// Has the table rows of its own?
    pub fn has_rows(&mut self, name: &TableName) -> Result<bool> {
        let rows = self.connection.query(&format!("SELECT 1 FROM ONLY {} LIMIT 1", name.qualified()), &[])?;
        Ok(!rows.is_empty())
    }

    /// Sets a sequence; false when one that is not needed is not there, or not the user's. Unless it may go back, it stays as it is
    /// where it is ahead: somebody may draw numbers there already.
    pub fn set_sequence(&mut self, to: &SequenceTo<'_>) -> Result<bool> {
        let behind = match (to.may_go_back, if to.descends { "<" } else { ">" }) {
            (true, _) => "true".to_owned(),
            (false, step) => format!(
                "NOT COALESCE(pg_catalog.pg_sequence_last_value(c.oid::pg_catalog.regclass) OPERATOR(pg_catalog.{step}=) \
                 $2::pg_catalog.int8, false)"
            ),
        };
        let sql = if to.is_needed {
            format!(
                "SELECT CASE WHEN {behind} THEN pg_catalog.setval($1::pg_catalog.regclass, $2::pg_catalog.int8, $3::pg_catalog.bool) \
                 ELSE 0 END FROM (SELECT $1::pg_catalog.regclass AS oid) AS c"
            )
        } else {
            format!(
                "SELECT (SELECT CASE WHEN {behind} THEN pg_catalog.setval(c.oid::pg_catalog.regclass, $2::pg_catalog.int8, \
                 $3::pg_catalog.bool) ELSE 0 END FROM pg_catalog.pg_class c WHERE c.oid = pg_catalog.to_regclass($1) \
                 AND c.relkind = 'S' AND pg_catalog.has_table_privilege(c.oid, 'UPDATE'))"
            )
        };
        let is_called = if to.is_called { "t" } else { "f" };
        let rows = self.connection.query(&sql, &[Some(to.name), Some(&to.value.to_string()), Some(is_called)])?;
        Ok(rows.first().is_none_or(|row| row.opt(0).is_some()))
    }

    /// The tasks that write here, by their uuids.
    pub fn writers(&mut self) -> Result<Vec<String>> {
        let rows = self.connection.exec("SELECT task_id FROM courier_applied.progress")?;
        rows.iter().map(|row| row.string(0)).collect()
    }

    /// What the login has come to.
    pub fn account(&mut self) -> Result<Account> {
        let rows = self.connection.exec(
            "SELECT current_setting('server_version') AS version, session_user AS login, current_database() AS database, \
             pg_is_in_recovery() AS is_standby, current_setting('transaction_read_only') = 'on' AS is_read_only, \
             has_database_privilege(current_database(), 'CREATE') AS may_create, \
             current_setting('server_version_num')::int >= 150000 AS role_is_granted, \
             (SELECT NOT has_schema_privilege(n.oid, 'USAGE') OR NOT has_schema_privilege(n.oid, 'CREATE') FROM pg_namespace n WHERE n.nspname = 'public') IS TRUE \
             AS is_kept_out_of_public",
        )?;
        let row = rows.first().ok_or_else(|| Error::internal("the destination answered with no row"))?;
        Ok(Account {
            version: row.string("version")?,
            user: row.string("login")?,
            database: row.string("database")?,
            is_standby: row.bool("is_standby")?,
            is_read_only: row.bool("is_read_only")?,
            may_create: row.bool("may_create")?,
            role_is_granted: row.bool("role_is_granted")?,
            is_kept_out_of_public: row.bool("is_kept_out_of_public")?,
        })
    }

    /// The name of the database's encoding.
    pub fn encoding(&mut self) -> Result<Option<String>> {
        let rows = self.connection.exec("SELECT pg_catalog.getdatabaseencoding()")?;
        Ok(rows.first().and_then(|row| row.opt_string(0)))
    }
}
