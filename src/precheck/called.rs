//! Functions that rows have to call on the destination, where they are created as they are, and may not find what their bodies name.

use super::Check;
use super::items::Concerns;
use crate::error::Result;
use crate::pg::{spi, xact};

impl Check<'_> {
    /// The server can say of a body in SQL whether it finds all names, as a session of the task there would; of one in another language
    /// nobody knows before it runs.
    pub(super) fn called_functions(&mut self) -> Result<()> {
        if !self.concerns(Concerns::SchemaSync) {
            return Ok(());
        }
        let sql = include_str!("../../sql/query/precheck/called.sql");
        let rows = spi::as_role(xact::user_id(), || spi::query(sql, &[Some(&self.oids)]))?;
        self.queries.0 += 1;
        for row in &rows {
            let is_trusted =
                row.bool("rolsuper")? || self.subject.trusted_roles.contains(&row.parse::<u32>("role_oid")?);
            if !is_trusted {
                continue;
            }
            let (status, why) = match row.bool("is_sql")?.then(|| parsed(row.text("oid")?)) {
                Some(Ok(())) => continue,
                Some(Err(error)) => (Some("failed"), format!("it does not find what its body names ({error})")),
                None => (
                    None,
                    "if its body names tables or functions without their schema, copy and stream fail".to_owned(),
                ),
            };
            let detail = format!("{}. It has no SET search_path: {why}.", row.text("called")?);
            self.add("search_path", status, Some(row.string("name")?), Some(detail))?;
            self.let_decide(row.opt_string("fix"));
        }
        Ok(())
    }
}

/// Reads a body with nothing but the server's own schema to look into. Nothing of it runs.
fn parsed(oid: &str) -> Result<()> {
    let settings = [(c"check_function_bodies".into(), c"on".into())];
    let validate = || spi::query("SELECT pg_catalog.fmgr_sql_validator($1::pg_catalog.oid)", &[Some(oid)]);
    xact::attempt(|| spi::as_extension_with(&settings, validate)).map(drop)
}
