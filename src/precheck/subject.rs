//! What is checked: a task, or one that does not exist yet; with the facts that the questions need.

use std::collections::HashSet;

use serde::Serialize;
use serde_json::json;

use crate::catalog::select::SelectedTables;
use crate::catalog::{DdlPolicy, Scope, Stage, Task};
use crate::error::Result;
use crate::guc;
use crate::logicalrep::names;
use crate::pg::{encoding, spi, wake, xact};
use crate::schema::captured::Trust;
use crate::source::{self, Source};

pub struct Subject {
    /// The task, if it exists: its id and uuid.
    pub task: Option<(i32, String)>,
    pub slot_name: String,
    pub owner: u32,
    pub server: u32,
    pub scope: Scope,
    pub ddl: DdlPolicy,
    /// The task's name, if it exists.
    pub name: Option<String>,
    /// Roles whose code is created, besides superusers.
    pub trusted_roles: HashSet<u32>,
    /// Has it begun? Then the destination's tables and the slot are its own.
    pub begun: bool,
}

impl Subject {
    pub fn of(task: &Task) -> Subject {
        Subject {
            task: Some((task.id, task.uuid.clone())),
            slot_name: names::slot_name(&task.name),
            owner: task.owner,
            server: task.server,
            scope: task.scope.clone(),
            ddl: task.ddl,
            name: Some(task.name.clone()),
            trusted_roles: task.trust().roles,
            begun: task.stage > Stage::Created,
        }
    }

    /// Are commands of the source applied?
    pub fn applies_commands(&self) -> bool {
        self.ddl == DdlPolicy::Replicate && self.scope.incremental
    }

    pub fn trust(&self) -> Trust {
        let task_id = self.task.as_ref().map(|(_, uuid)| uuid.clone()).unwrap_or_default();
        Trust { task_id, roles: self.trusted_roles.clone() }
    }

    pub fn source(&self) -> Box<dyn Source> {
        source::with_slot(&self.slot_name, self.owner)
    }

    /// The facts as JSON: the first parameter of every question.
    pub fn facts(&self, selection: &SelectedTables) -> Result<Facts> {
        let asks = xact::user_id().to_string();
        let row = spi::as_extension(|| {
            let sql = include_str!("../../sql/query/precheck/subject.sql");
            spi::query_one(sql, &[Some(&self.slot_name), Some(&asks)])
        })?;
        let bytes: i64 = selection.tables.iter().map(|t| t.bytes).sum();
        Ok(Facts(json!({
            "slot_name": self.slot_name,
            "slot_there": row.bool("slot_there")?,
            "uuid": self.task.as_ref().map(|(_, uuid)| uuid),
            "owner": self.owner,
            // A task that has begun owns its tables on the destination: they are there, and filled.
            "schema_sync": self.scope.schema_sync && !self.begun,
            "full_copy": self.scope.full_copy && !self.begun,
            "incremental": self.scope.incremental,
            "commands": self.applies_commands(),
            "tables": selection.tables.len(),
            "bytes": bytes,
            "preloaded": wake::is_preloaded(),
            "sync_workers": guc::sync_workers(),
            "wal_rate": row.parse::<f64>("wal_rate")?,
            "wal_free": row.parse::<i64>("wal_free")?,
            "wal_total": row.parse::<i64>("wal_total")?,
            "data_free": row.parse::<i64>("data_free")?,
            "data_total": row.parse::<i64>("data_total")?,
            "source_version": row.parse::<i32>("source_version")?,
            "encoding": encoding::database(),
            "lc_collate": row.text("datcollate")?,
            "lc_ctype": row.text("datctype")?,
            "libraries": row.opt("libraries"),
            "disk_free_warning": guc::disk_free_warning(),
            "long_transaction": guc::long_transaction(),
            "xid_age_warning": guc::xid_age_warning(),
            "retained_wal_warning": guc::retained_wal_warning(),
        })))
    }
}

/// A JSON object that grows with what is learned.
pub struct Facts(serde_json::Value);

impl Facts {
    pub fn learn(&mut self, name: &str, value: impl Serialize) {
        self.0[name] = json!(value);
    }

    pub fn text(&self) -> String {
        self.0.to_string()
    }

    pub fn source_version(&self) -> i32 {
        self.0["source_version"].as_i64().and_then(|v| i32::try_from(v).ok()).unwrap_or_default()
    }
}
