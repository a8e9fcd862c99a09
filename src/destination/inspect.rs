//! What prechecks ask before anything is created. A query of `sql/query/destination/` answers for many items and for all tables
//! at once; facts of the source come along as JSON.

use super::Destination;
use crate::error::Result;
use crate::logicalrep::Row;

/// Tables whose rows are looked for by one statement.
const AT_ONCE: usize = 500;

impl Destination {
    /// Before PostgreSQL 13 the questions cannot be asked.
    /// As `server_version_num` has it.
    pub fn server_version(&self) -> i32 {
        self.connection.server_version()
    }

    pub fn is_too_old(&self) -> bool {
        self.connection.server_version() < 130_000
    }

    pub fn uses_tls(&self) -> bool {
        self.connection.uses_tls()
    }

    /// The questions are long and have few rows: compiling them would take longer than running them.
    pub fn without_jit(&mut self) -> Result<()> {
        self.connection.exec("SET jit = off").map(drop)
    }

    pub fn current_user(&mut self) -> Result<String> {
        let rows = self.connection.exec("SELECT current_user")?;
        rows.first().map_or(Ok(String::new()), |row| row.string(0))
    }

    pub fn is_superuser(&mut self) -> Result<bool> {
        let rows =
            self.connection.exec("SELECT r.rolsuper FROM pg_catalog.pg_roles r WHERE r.rolname = current_user")?;
        rows.first().map_or(Ok(false), |row| row.bool(0))
    }

    /// Findings about the server, the database and the user. Both are JSON: the subject, the schemas of the tables.
    pub fn findings_of_server(&mut self, subject: &str, schemas: &str) -> Result<Vec<Row>> {
        let sql = include_str!("../../sql/query/destination/server.sql");
        self.connection.query(sql, &[Some(subject), Some(schemas)])
    }

    /// Findings about the tables that are there already, or should be.
    pub fn findings_of_tables(&mut self, subject: &str, tables: &str) -> Result<Vec<Row>> {
        let sql = include_str!("../../sql/query/destination/tables.sql");
        self.connection.query(sql, &[Some(subject), Some(tables)])
    }

    /// Findings about other tasks that write into the tables. Only where [`Self::may_read_progress`].
    pub fn findings_of_writers(&mut self, subject: &str, tables: &str) -> Result<Vec<Row>> {
        let sql = include_str!("../../sql/query/destination/writers.sql");
        self.connection.query(sql, &[Some(subject), Some(tables)])
    }

    /// Are there helper tables that this user may read? Whether they are what they seem, [`Self::problems_of_helper_schema`] says.
    pub fn may_read_progress(&mut self) -> Result<bool> {
        let rows = self.connection.exec(
            "SELECT COALESCE((SELECT bool_and(has_table_privilege(c.oid, 'SELECT') AND has_schema_privilege(n.oid, 'USAGE')) \
             FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = 'courier_applied' AND c.relname IN ('progress', 'table_progress') HAVING count(*) = 2), false)",
        )?;
        rows.first().map_or(Ok(false), |row| row.bool(0))
    }

    /// Those of the tables (JSON) that may have rows, by their numbers in the list, from 0 on, and whether they are partitioned.
    pub fn maybe_filled(&mut self, tables: &str) -> Result<Vec<(usize, bool)>> {
        let rows = self.connection.query(include_str!("../../sql/query/destination/filled.sql"), &[Some(tables)])?;
        let answer = |row: &Row| Ok((row.parse::<usize>(0)?.checked_sub(1), row.bool(1)?));
        let answers = rows.iter().map(answer).collect::<Result<Vec<_>>>()?;
        Ok(answers.into_iter().filter_map(|(number, is_partitioned)| Some((number?, is_partitioned))).collect())
    }

    /// Which of these tables, qualified and quoted, have rows? One row each is asked for. Returns the names, and counts its
    /// questions.
    pub fn filled<'a>(&mut self, tables: &'a [(String, bool)]) -> Result<(Vec<&'a str>, usize)> {
        let (mut filled, mut asked) = (Vec::new(), 0);
        for tables in tables.chunks(AT_ONCE) {
            let parts: Vec<String> = tables
                .iter()
                .enumerate()
                .map(|(n, (name, is_partitioned))| {
                    let only = if *is_partitioned { "" } else { "ONLY " };
                    format!("SELECT {n} WHERE EXISTS (SELECT FROM {only}{name})")
                })
                .collect();
            let rows = self.connection.exec(&parts.join(" UNION ALL "))?;
            asked += 1;
            for row in &rows {
                filled.extend(tables.get(row.parse::<usize>(0)?).map(|(name, _)| name.as_str()));
            }
        }
        Ok((filled, asked))
    }

    /// What default privileges of the user give away: schema, kind, grantee, privilege and owner.
    pub fn default_privileges(&mut self) -> Result<Vec<Row>> {
        self.connection.exec(include_str!("../../sql/query/destination/default_privileges.sql"))
    }

    /// Which of these roles are there? `names` is a JSON array.
    pub fn roles(&mut self, names: &str) -> Result<Vec<String>> {
        let rows = self.connection.query(
            "SELECT r.rolname FROM pg_catalog.pg_roles r \
             WHERE r.rolname IN (SELECT e.value FROM pg_catalog.json_array_elements_text($1::json) AS e(value))",
            &[Some(names)],
        )?;
        rows.iter().map(|row| row.string(0)).collect()
    }

    /// Which of these relations are missing? `names` is a JSON array of [schema, name]; the answer, places in it.
    pub fn missing_relations(&mut self, names: &str) -> Result<Vec<usize>> {
        let rows = self.connection.query(
            "SELECT e.n - 1 FROM pg_catalog.json_array_elements($1::pg_catalog.json) WITH ORDINALITY AS e(value, n) \
             WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c \
                                 JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace \
                                WHERE n.nspname OPERATOR(pg_catalog.=) (e.value OPERATOR(pg_catalog.->>) 0) \
                                  AND c.relname OPERATOR(pg_catalog.=) (e.value OPERATOR(pg_catalog.->>) 1))",
            &[Some(names)],
        )?;
        rows.iter().map(|row| row.parse(0)).collect()
    }

    /// Which of these sequences are missing? `names` is a JSON array of [schema, name]; the answer, places in it.
    pub fn missing_sequences(&mut self, names: &str) -> Result<Vec<usize>> {
        let rows = self.connection.query(
            "SELECT e.n - 1 FROM pg_catalog.json_array_elements($1::json) WITH ORDINALITY AS e(value, n) \
             WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                                WHERE n.nspname = e.value ->> 0 AND c.relname = e.value ->> 1 AND c.relkind = 'S')",
            &[Some(names)],
        )?;
        rows.iter().map(|row| row.parse(0)).collect()
    }
}
