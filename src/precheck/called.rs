//! Functions that rows have to call on the destination, where they are created as they are, and may not find what their bodies name.

use std::fmt::Write;

use super::items::Concerns;
use super::{Check, foreign};
use crate::catalog::code_schemas;
use crate::destination::Destination;
use crate::destination::code_path::{self, CodeSchema};
use crate::error::{Error, Result};
use crate::logicalrep::names::shown;
use crate::pg::{spi, xact};

/// From 17 on an index is built with the server's own schema only (commit 2af07e2f74).
const BUILDS_PLAINLY: i32 = 170_000;

impl Check<'_> {
    /// The server can say of a body in SQL whether it finds all names, as a session of the task there would; of one in another language
    /// nobody knows before it runs.
    pub(super) fn called_functions(&mut self, session: &mut Destination) -> Result<()> {
        let search = code_schemas::of_database(self.subject.trusted_roles.iter().copied().chain([self.subject.owner]))?;
        let there = session.code_schemas(&search)?;
        self.queries.1 += 1;
        let open: Vec<&CodeSchema> = there.iter().filter(|schema| schema.open_to.is_some()).collect();
        // What is not there yet the task creates, and then it is its own.
        let mut schemas = search.schemas;
        schemas.retain(|name| open.iter().all(|schema| schema.name != *name));
        self.facts.learn("code_schemas", schemas.as_slice());
        self.code_schemas.clone_from(&schemas);
        if !self.concerns(Concerns::SchemaSync) {
            return Ok(());
        }
        let path = code_path::path(schemas.iter().map(String::as_str));
        let sql = include_str!("../../sql/query/precheck/called.sql");
        let rows = spi::as_role(xact::user_id(), || spi::query(sql, &[Some(&self.oids)]))?;
        self.queries.0 += 1;
        for row in &rows {
            let is_trusted =
                row.bool("rolsuper")? || self.subject.trusted_roles.contains(&row.parse::<u32>("role_oid")?);
            if !is_trusted {
                continue;
            }
            let is_plain = row.bool("is_indexed")? && session.server_version() >= BUILDS_PLAINLY;
            let path = if is_plain { code_path::PLAIN } else { &path };
            let schema = row.text("schema")?;
            let (status, mut why) = match row.bool("is_sql")?.then(|| parsed(row.text("oid")?, path)) {
                Some(Ok(())) => continue,
                Some(Err(error)) => (Some("failed"), format!("it does not find what its body names ({error})")),
                None if !is_plain && schemas.iter().any(|name| name == schema) => continue,
                None => (
                    None,
                    "if its body names tables or functions without their schema, copy and stream fail".to_owned(),
                ),
            };
            if is_plain {
                why.push_str(". From 17 on indexes are built with search_path = pg_catalog");
            } else if let Some(CodeSchema { name, open_to: Some(role) }) = open.first() {
                let name = shown(name);
                let role = if role == "PUBLIC" { role.clone() } else { shown(&foreign::line(role)) };
                // Writing into a string does not fail.
                let _ = write!(
                    why,
                    ". Nothing is looked for in schema {name} there, since {role} could put something into it that runs with the rights of \
                     the task's user (REVOKE CREATE ON SCHEMA {name} FROM {role}; -- on the destination)",
                );
            }
            let detail = format!("{}. It has no SET search_path: {why}.", row.text("called")?);
            self.add("search_path", status, Some(row.string("name")?), Some(detail))?;
            self.let_decide(row.opt_string("fix"));
        }
        Ok(())
    }
}

/// Reads a body with these schemas to look into. Nothing of it runs.
fn parsed(oid: &str, path: &str) -> Result<()> {
    let path = std::ffi::CString::new(path).map_err(|error| Error::internal(error.to_string()))?;
    let settings = [(c"check_function_bodies".into(), c"on".into()), (c"search_path".into(), path)];
    let validate = || spi::query("SELECT pg_catalog.fmgr_sql_validator($1::pg_catalog.oid)", &[Some(oid)]);
    xact::attempt(|| spi::as_extension_with(&settings, validate)).map(drop)
}
