//! Where a session of this database finds what is named without a schema.

use crate::error::Result;
use crate::logicalrep::HELPER_SCHEMA;
use crate::pg::{spi, xact};

/// `search_path` as a session of the database's owner has it: settings of role and database, as `ALTER ROLE` and `ALTER DATABASE` write
/// them down, before those of the server's files. Which of the first four is taken, the server decides by the same order
/// (`process_settings`).
const SETTING: &str = "SELECT d.datdba, COALESCE( \
       (SELECT pg_catalog.substr(c.setting, 13) FROM pg_catalog.pg_db_role_setting s, pg_catalog.unnest(s.setconfig) AS c(setting) \
         WHERE c.setting LIKE 'search\\_path=%' AND s.setdatabase IN (0, d.oid) AND s.setrole IN (0, d.datdba) \
         ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1), \
       (SELECT f.setting FROM pg_catalog.pg_file_settings f WHERE f.name = 'search_path' AND f.applied ORDER BY f.seqno DESC LIMIT 1), \
       '\"$user\", public') AS setting \
     FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";

/// Where code of users is looked for, and whose may be found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CodeSearch {
    /// Schemas, in their order; without those of the system and of this extension.
    pub schemas: Vec<String>,
    /// Names of roles whose code runs on the destination anyway.
    pub trusted: Vec<String>,
}

/// The search of such a session.
pub fn of_database(trusted: impl IntoIterator<Item = u32>) -> Result<CodeSearch> {
    let trusted = trusted.into_iter().map(xact::role_name).collect();
    Ok(CodeSearch { schemas: schemas()?, trusted })
}

fn schemas() -> Result<Vec<String>> {
    let row = spi::as_extension(|| spi::query_one(SETTING, &[]))?;
    let setting = row.string("setting")?;
    spi::as_role(row.parse("datdba")?, || {
        spi::set_meanwhile([("search_path", setting.as_str())])?;
        let sql = "SELECT s.name FROM pg_catalog.unnest(pg_catalog.current_schemas(false)) WITH ORDINALITY AS s(name, at) \
                   WHERE s.name NOT LIKE 'pg\\_%' AND s.name NOT IN ('information_schema', 'courier', $1) ORDER BY s.at";
        spi::query(sql, &[Some(HELPER_SCHEMA)])?.iter().map(|row| row.string(0)).collect()
    })
}
