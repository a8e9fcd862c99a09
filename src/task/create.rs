//! `courier.create_task()`: describes a task. Nothing happens before it is started.

use super::refuse_on_standby;
use crate::catalog::{ConflictPolicy, DdlPolicy, Scope, connection, to_json, version};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names;
use crate::pg::{report, spi, xact};
use crate::source;

/// What a user asks for.
pub struct NewTask<'a> {
    pub name: &'a str,
    pub server: &'a str,
    pub scope: Scope,
    pub conflict: ConflictPolicy,
    pub forward_origins: bool,
    /// What nobody says is decided by the rest.
    pub ddl: Option<DdlPolicy>,
}

impl NewTask<'_> {
    /// Returns the number of tables that it covers now.
    pub fn create(&self) -> Result<i32> {
        refuse_on_standby()?;
        version::check()?;
        names::check_task_name(self.name)?;
        self.scope.check()?;
        let ddl = self.ddl();
        check_policies(ddl, self.conflict)?;
        let owner = xact::user_id();
        let server = connection::server_by_name(self.server)?;
        connection::parameters(owner, server)?;
        self.check_free_name()?;
        let selection = self.scope.selection()?;
        for pattern in &selection.idle_patterns {
            report::notice(&format!("pattern '{pattern}' matches no table"));
        }
        let flag = |on: bool| Some(if on { "t" } else { "f" });
        let (include, exclude) = (to_json(&self.scope.include)?, to_json(&self.scope.exclude)?);
        spi::as_extension(|| {
            spi::execute(
                "INSERT INTO courier.task (name, owner, server, include, exclude, schema_sync, full_copy, incremental, \
                 conflict, forward_origins, ddl) \
                 VALUES ($1, $2::oid, $3::oid, ARRAY(SELECT json_array_elements_text($4::json)), \
                 ARRAY(SELECT json_array_elements_text($5::json)), $6::bool, $7::bool, $8::bool, $9, $10::bool, $11)",
                &[
                    Some(self.name),
                    Some(&owner.to_string()),
                    Some(&server.to_string()),
                    Some(&include),
                    Some(&exclude),
                    flag(self.scope.schema_sync),
                    flag(self.scope.full_copy),
                    flag(self.scope.incremental),
                    Some(self.conflict.as_str()),
                    flag(self.forward_origins),
                    Some(ddl.as_str()),
                ],
            )
        })?;
        Ok(selection.tables.len() as i32)
    }

    /// Commands are carried over wherever that can be done.
    fn ddl(&self) -> DdlPolicy {
        let policy = self.ddl.unwrap_or(DdlPolicy::of_new(self.scope.incremental, self.conflict));
        if self.ddl.is_none() && self.scope.incremental && policy == DdlPolicy::Ignore {
            report::notice(&format!(
                "with conflict => '{}' commands that change definitions are not carried over (ddl => 'ignore')",
                self.conflict.as_str()
            ));
        }
        policy
    }

    fn check_free_name(&self) -> Result<()> {
        let duplicate = |message: String, hint: &str| Err(Error::new(sqlstate::DUPLICATE_OBJECT, message).hint(hint));
        let row = spi::as_extension(|| {
            spi::query_one("SELECT EXISTS (SELECT FROM courier.task WHERE name = $1)", &[Some(self.name)])
        })?;
        if row.bool(0)? {
            return duplicate(
                format!("task \"{}\" already exists", self.name),
                "Choose another name, or drop the task with courier.drop_task().",
            );
        }
        let slot = names::slot_name(self.name);
        if let Some(state) = source::with_slot(&slot, xact::user_id()).slot()? {
            let database = state.database.as_deref().unwrap_or("the whole cluster");
            return duplicate(
                format!("replication slot \"{slot}\" already exists (database: {database})"),
                "Slot names are shared by all databases of the cluster; choose another task name.",
            );
        }
        Ok(())
    }
}

/// A table that the source has written anew is emptied on the destination: what is there has to be the task's own.
pub fn check_policies(ddl: DdlPolicy, conflict: ConflictPolicy) -> Result<()> {
    if ddl != DdlPolicy::Replicate || conflict == ConflictPolicy::Error {
        return Ok(());
    }
    Err(Error::new(
        sqlstate::FEATURE_NOT_SUPPORTED,
        format!("ddl => 'replicate' and conflict => '{}' do not go together", conflict.as_str()),
    )
    .detail("ALTER TABLE may send all rows of a table anew, into an empty table; rows that only the destination has would go.")
    .hint("Leave conflict at 'error' (the default), or say ddl => 'ignore' or 'stop' in the same call."))
}
