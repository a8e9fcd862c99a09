//! What this server says of itself when it asks for a task's row on the destination; see `claim.rs`.

use super::instance::Instance;
use super::{Claim, Destination, Endpoint, THIS_DATABASE};
use crate::catalog::{Stage, Task};
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::{Lsn, names};
use crate::pg::spi;
use crate::source::Source;

pub struct Claimant {
    pub source: String,
    pub source_id: String,
    instance: Instance,
    confirmed: Option<Lsn>,
    has_synced_slot: bool,
    this_database: String,
}

impl Claimant {
    /// Inside a transaction. The task may turn out to be of another database, see [`Claimant::check_source`].
    pub fn of(task: &Task, source: &mut dyn Source) -> Result<Claimant> {
        let slot = source.slot()?.filter(|slot| task.incremental && slot.is_ours);
        let identity = source.identity()?;
        spi::as_extension(|| {
            Ok(Claimant {
                source: identity.shown,
                source_id: identity.id,
                instance: Instance::here()?,
                confirmed: slot.as_ref().map(|slot| slot.confirmed),
                has_synced_slot: slot.is_some_and(|slot| slot.is_synced),
                this_database: spi::query_one(THIS_DATABASE, &[])?.string(0)?,
            })
        })
    }

    pub fn has_slot(&self) -> bool {
        self.confirmed.is_some()
    }

    pub fn claim<'a>(&'a self, task: &'a Task) -> Claim<'a> {
        Claim {
            task_id: &task.uuid,
            task: &task.name,
            source: &self.source,
            source_id: &self.source_id,
            instance: &self.instance,
            lease: task.lease.as_deref(),
            next_lease: task.next_lease.as_deref(),
            confirmed: self.confirmed,
            has_synced_slot: self.has_synced_slot,
        }
    }

    /// A task that came with `CREATE DATABASE ... TEMPLATE` belongs to the database it was started in, and so do its slot
    /// and its rows on the destination.
    pub fn check_source(&self, task: &Task) -> Result<()> {
        let Some(known) = task.source_id.as_deref().filter(|known| *known != self.source_id) else { return Ok(()) };
        let name = names::quote_literal(&task.name);
        Err(Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("task \"{}\" belongs to another database", task.name),
        )
        .detail(format!(
            "It was started in database {known} (system identifier and OID); this is {}, a copy of it or an upgraded one.",
            self.source_id
        ))
        .hint(format!(
            "In a copy: SELECT courier.drop_task({name}); removes the task here and nothing on the destination. After pg_upgrade, or \
             if the other one is gone: SELECT courier.adopt({name});"
        )))
    }

    /// The destination must not be the source, and not another database than before. Returns its identity, where its
    /// server tells.
    pub fn check_destination(
        &self,
        task: &Task,
        endpoint: &Endpoint,
        destination: &mut Destination,
    ) -> Result<Option<String>> {
        if destination.is_same_database(&self.this_database)? {
            return Err(Error::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("the destination of task \"{}\" is the source itself", task.name),
            )
            .origin(Origin::Destination)
            .detail("Every change would be applied to the table that it comes from.")
            .hint(format!(
                "Give the server host, port and dbname of another database: {} Then SELECT courier.resume({{task}});",
                endpoint.redirect()
            )));
        }
        let id = destination.database_id()?;
        let known = task.destination_id.as_deref().filter(|_| task.stage > Stage::Created);
        match (known, id.as_deref()) {
            (Some(known), Some(id)) if known != id => {
                let name = names::quote_literal(&task.name);
                Err(Error::new(
                    sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                    format!("the destination of task \"{}\" is another database than before", task.name),
                )
                .origin(Origin::Destination)
                .detail(format!("It was {known} (system identifier and OID), and is {id} now."))
                .hint(format!(
                    "If the server leads to the wrong database, correct its host, port or dbname: {} Then SELECT courier.resume({name}); \
                     If it is the same one, upgraded or moved: SELECT courier.adopt({name});",
                    endpoint.redirect()
                )))
            }
            _ => Ok(id),
        }
    }
}
