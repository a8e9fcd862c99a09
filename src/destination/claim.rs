//! Whose is the task's row? Asked by everything that writes to the destination, before it does.
//!
//! Two things have to be right. The **instance** (`instance.rs`): the server that wrote last is this one. And the **lease**:
//! the row has a random value that this server knows. It draws the next one beforehand, writes it down on its own side, and the
//! apply worker that takes the row over puts it there; so the row always has the value that was current or the next one. A copy
//! of the server knows both, but as soon as one of the two has gone on, the other is refused, whatever it looks like.
//! `courier.adopt()` puts a new lease and this server's instance there: a person has decided.

use std::collections::HashMap;

use super::Destination;
use super::helper_schema::TABLES;
use super::instance::{Instance, Likeness, Seat, judge};
use crate::catalog::tables::TaskTable;
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::Lsn;
use crate::logicalrep::names::quote_literal;
use crate::logicalrep::words::counted;

/// Who asks.
pub struct Claim<'a> {
    pub task_id: &'a str,
    pub task: &'a str,
    /// The source database, for people and for programs ([`super::DATABASE_ID`]).
    pub source: &'a str,
    pub source_id: &'a str,
    pub instance: &'a Instance,
    pub lease: Option<&'a str>,
    /// None before the first claim: then the row may be one of 0.1.0, which had no leases.
    pub next_lease: Option<&'a str>,
    /// What the slot has confirmed, if there is a slot. The row is never behind it.
    pub confirmed: Option<Lsn>,
    /// Did the slot come here by synchronization from a primary?
    pub has_synced_slot: bool,
}

/// What becomes of a claim to a row that is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// Nothing was copied or streamed yet: it may be made, starting here.
    Make(Lsn),
    /// Nothing was copied or streamed yet, but where it starts is not known.
    Leave,
    /// Nobody knows what is applied.
    Fail,
}

/// The row as it is.
struct Found {
    end_lsn: Lsn,
    lease: Option<String>,
    instance: Option<String>,
    address: Option<String>,
    source: String,
    updated_at: String,
    /// How this session reaches the destination.
    my_address: Option<String>,
}

impl Destination {
    /// Makes sure that the task's row is there and this server's to write. Returns the lease it has; `None` if there is no
    /// row yet.
    pub fn claim(&mut self, claim: &Claim<'_>, missing: Missing) -> Result<Option<String>> {
        self.under_helper_lock(|destination| {
            destination.create_helper_tables()?;
            let Some(found) = destination.find(claim.task_id)? else { return destination.missing(claim, missing) };
            claim.check(&found)?;
            destination.note_writer(claim, &found)?;
            if found.lease.is_none() {
                // A slot of 0.1.0 may be ahead of the row, when only other tables had changes.
                destination.connection.execute(
                    "UPDATE courier_applied.progress SET lease = $2::uuid, end_lsn = GREATEST(end_lsn, $3::pg_lsn) \
                     WHERE task_id = $1::uuid",
                    &[Some(claim.task_id), claim.lease, Some(&claim.confirmed.unwrap_or(Lsn::INVALID).to_string())],
                )?;
            }
            Ok(found.lease.or_else(|| claim.lease.map(str::to_owned)))
        })
    }

    fn missing(&mut self, claim: &Claim<'_>, missing: Missing) -> Result<Option<String>> {
        let start = match missing {
            Missing::Make(start) => start,
            Missing::Leave => return Ok(None),
            Missing::Fail => return Err(missing_row(claim.task)),
        };
        self.connection.execute(
            "INSERT INTO courier_applied.progress (task_id, task, source, end_lsn, source_id, lease) \
             VALUES ($1::uuid, $2, $3, $4::pg_lsn, $5, $6::uuid)",
            &[
                Some(claim.task_id),
                Some(claim.task),
                Some(claim.source),
                Some(&start.to_string()),
                Some(claim.source_id),
                claim.lease,
            ],
        )?;
        let address = self.my_address()?;
        self.write_writer(claim, address.as_deref())?;
        Ok(claim.lease.map(str::to_owned))
    }

    /// The row, locked: a batch still under way is waited for.
    fn find(&mut self, task_id: &str) -> Result<Option<Found>> {
        let rows = self.connection.query(
            "SELECT p.end_lsn, p.lease, w.instance, w.address, p.source, \
             pg_catalog.to_char(p.updated_at, 'YYYY-MM-DD HH24:MI:SS TZ') AS updated_at, \
             pg_catalog.host(pg_catalog.inet_client_addr()) AS my_address \
             FROM courier_applied.progress p LEFT JOIN courier_applied.writer w ON w.task_id = p.task_id \
             WHERE p.task_id = $1::uuid FOR UPDATE OF p",
            &[Some(task_id)],
        )?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(Found {
            end_lsn: row.lsn("end_lsn")?,
            lease: row.opt_string("lease"),
            instance: row.opt_string("instance"),
            address: row.opt_string("address"),
            source: row.string("source")?,
            updated_at: row.opt_string("updated_at").unwrap_or_default(),
            my_address: row.opt_string("my_address"),
        }))
    }

    fn my_address(&mut self) -> Result<Option<String>> {
        let rows = self.connection.exec("SELECT pg_catalog.host(pg_catalog.inet_client_addr())")?;
        Ok(rows.first().and_then(|row| row.opt_string(0)))
    }

    fn note_writer(&mut self, claim: &Claim<'_>, found: &Found) -> Result<()> {
        let is_noted =
            found.instance.as_deref() == Some(&claim.instance.to_text()?) && found.address == found.my_address;
        if is_noted { Ok(()) } else { self.write_writer(claim, found.my_address.as_deref()) }
    }

    fn write_writer(&mut self, claim: &Claim<'_>, address: Option<&str>) -> Result<()> {
        self.connection.execute(
            "INSERT INTO courier_applied.writer AS w (task_id, instance, address) VALUES ($1::uuid, $2, $3) \
             ON CONFLICT (task_id) DO UPDATE SET instance = excluded.instance, address = excluded.address, since = pg_catalog.now()",
            &[Some(claim.task_id), Some(&claim.instance.to_text()?), address],
        )?;
        Ok(())
    }

    /// Is this still the server that writes? For what the row itself does not fence.
    pub fn check_writer(&mut self, claim: &Claim<'_>) -> Result<()> {
        let there = self.connection.exec("SELECT pg_catalog.to_regclass('courier_applied.writer') IS NOT NULL")?;
        if !there.first().map_or(Ok(false), |row| row.bool(0))? {
            // Tables of 0.1.0.
            return if claim.next_lease.is_none() { Ok(()) } else { Err(missing_row(claim.task)) };
        }
        let rows = self.connection.query(
            "SELECT w.instance FROM courier_applied.writer w WHERE w.task_id = $1::uuid",
            &[Some(claim.task_id)],
        )?;
        match rows.first() {
            Some(row) if Instance::parse(row.text(0)?).as_ref() == Some(claim.instance) => Ok(()),
            None if claim.next_lease.is_none() => Ok(()),
            _ => Err(taken_over()),
        }
    }

    /// Are the copies that the source remembers the ones that are here?
    pub fn check_copies(&mut self, task_id: &str, task: &str, copies: &[TaskTable]) -> Result<()> {
        let rows = self.connection.query(
            "SELECT relid, snapshot FROM courier_applied.table_progress WHERE task_id = $1::uuid",
            &[Some(task_id)],
        )?;
        let mut here = HashMap::new();
        for row in &rows {
            here.insert(row.parse::<u32>(0)?, row.string(1)?);
        }
        let is_lost = |copy: &&TaskTable| here.get(&copy.relid) != copy.snapshot.as_ref();
        let lost: Vec<&TaskTable> = copies.iter().filter(is_lost).collect();
        if lost.is_empty() {
            return Ok(());
        }
        // The source has not heard yet that these are to be copied again.
        let waiting = self.entering(task_id)?;
        let lost: Vec<&TaskTable> = lost.into_iter().filter(|copy| !waiting.contains(&copy.relid)).collect();
        let Some(first) = lost.first().map(|copy| copy.shown()) else { return Ok(()) };
        let name = quote_literal(task);
        Err(Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("the destination of task \"{task}\" has lost copies of tables"),
        )
        .origin(Origin::Destination)
        .detail(format!(
            "Copied there, and not known to table courier_applied.table_progress any more: {}, the first of them {first}. The destination \
             was put back to an earlier state.",
            counted(lost.len() as u64, "table")
        ))
        .hint(format!(
            "Bring the destination back to a state that has them, then SELECT courier.resume({name}); or copy anew: \
             SELECT courier.drop_task({name}); empty its tables on the destination, create it with schema_sync => false, start it."
        )))
    }

    /// A person has decided that this server goes on with the task: whoever wrote before is shut out. `lease` is what the row
    /// gets. Returns up to where another server wrote, if another one did.
    pub fn adopt(&mut self, claim: &Claim<'_>, lease: &str) -> Result<Option<Lsn>> {
        self.under_helper_lock(|destination| {
            destination.create_helper_tables()?;
            let found = destination.find(claim.task_id)?.ok_or_else(|| missing_row(claim.task))?;
            claim.check_not_behind(&found)?;
            let others = claim.check_owner(&found).is_err().then_some(found.end_lsn);
            destination.write_writer(claim, found.my_address.as_deref())?;
            destination.connection.execute(
                "UPDATE courier_applied.progress SET epoch = epoch + 1, writer = epoch + 1, lease = $2::uuid, source = $3, \
                 source_id = $4 WHERE task_id = $1::uuid",
                &[Some(claim.task_id), Some(lease), Some(claim.source), Some(claim.source_id)],
            )?;
            Ok(others)
        })
    }

    /// Removes the task's rows, if they are this server's. The last task to leave removes the helper tables, and the schema
    /// if nothing else is in it.
    pub fn forget_task(&mut self, claim: &Claim<'_>) -> Result<()> {
        const LOCK_NOT_AVAILABLE: &str = "55P03";
        let mut outcome = self.forget_rows(claim);
        if outcome.as_ref().is_err_and(|error| error.sqlstate() == LOCK_NOT_AVAILABLE) {
            // A session that the task left behind, still at work on a long statement.
            self.end_abandoned_sessions()?;
            outcome = self.forget_rows(claim);
        }
        if !outcome? {
            return Ok(());
        }
        // Not with the rows: someone else may own the tables or the schema, and then they stay.
        let dropped = self.under_helper_lock(|destination| {
            let connection = &mut destination.connection;
            connection
                .exec("LOCK TABLE courier_applied.progress, courier_applied.table_progress IN ACCESS EXCLUSIVE MODE")?;
            if connection.query(ANY_ROW, &[])?.is_empty() {
                let tables = TABLES.map(|table| format!("courier_applied.{table}"));
                connection.exec(&format!("DROP TABLE {}", tables.join(", ")))?;
                connection.exec("DROP SCHEMA courier_applied")?;
            }
            Ok(())
        });
        drop(dropped);
        Ok(())
    }

    /// True when no task is left.
    fn forget_rows(&mut self, claim: &Claim<'_>) -> Result<bool> {
        self.under_helper_lock(|destination| {
            if !destination.has_helper_tables()? {
                return Ok(false);
            }
            destination.create_helper_tables()?;
            if let Some(found) = destination.find(claim.task_id)? {
                claim.check_owner(&found)?;
            }
            destination.abandon_items(claim.task_id)?;
            let connection = &mut destination.connection;
            for table in TABLES {
                let sql = format!("DELETE FROM courier_applied.{table} WHERE task_id = $1::uuid");
                connection.execute(&sql, &[Some(claim.task_id)])?;
            }
            Ok(connection.query(ANY_ROW, &[])?.is_empty())
        })
    }

    /// Ends older sessions of this task from this address: none of its workers runs any more.
    fn end_abandoned_sessions(&mut self) -> Result<()> {
        self.connection.exec(
            "SELECT pg_catalog.pg_terminate_backend(a.pid) FROM pg_catalog.pg_stat_activity a, pg_catalog.pg_stat_activity me \
             WHERE me.pid = pg_catalog.pg_backend_pid() AND a.pid <> me.pid AND a.datid = me.datid \
             AND a.usesysid = me.usesysid AND a.application_name = me.application_name \
             AND a.client_addr IS NOT DISTINCT FROM me.client_addr AND a.backend_start < me.backend_start",
        )?;
        Ok(())
    }
}

const ANY_ROW: &str =
    "SELECT 1 FROM courier_applied.progress UNION ALL SELECT 1 FROM courier_applied.table_progress LIMIT 1";

impl Claim<'_> {
    fn knows(&self, lease: &str) -> bool {
        [self.lease, self.next_lease].contains(&Some(lease))
    }

    fn check(&self, found: &Found) -> Result<()> {
        self.check_owner(found)?;
        if found.lease.is_some() { self.check_not_behind(found) } else { Ok(()) }
    }

    fn check_owner(&self, found: &Found) -> Result<()> {
        let Some(lease) = &found.lease else {
            return match self.next_lease {
                None => Ok(()),
                Some(_) => Err(self.stranger(
                    found,
                    None,
                    "Its row there is older than this version of pg_courier, from a backup perhaps.",
                )),
            };
        };
        let Some(instance) = found.instance.as_deref().and_then(Instance::parse) else {
            return Err(self.stranger(found, None, "Which server wrote there last cannot be read."));
        };
        let recorded = Seat { instance, address: found.address.clone() };
        let seat = Seat { instance: self.instance.clone(), address: found.my_address.clone() };
        if let Likeness::Other(why) = judge(&recorded, &seat, self.has_synced_slot) {
            return Err(self.stranger(
                found,
                Some(&recorded),
                &format!("This server is not the one that wrote there last: {why}."),
            ));
        }
        if !self.knows(lease) {
            // An older lease of this server's looks the same; the position tells it from the other cases most of the time.
            let why = if self.check_not_behind(found).is_ok() {
                "A copy of this server, or the one that this is a copy of, has written there since."
            } else {
                "The destination was put back to an earlier state and lacks changes that the slot has confirmed, or a copy of this \
                 server, or the one that this is a copy of, has written there since."
            };
            return Err(self.stranger(found, Some(&recorded), why));
        }
        Ok(())
    }

    /// The slot follows the row; a row that is behind it has lost what the slot will not send again.
    fn check_not_behind(&self, found: &Found) -> Result<()> {
        match self.confirmed {
            Some(confirmed) if found.end_lsn < confirmed => Err(behind(self.task, found.end_lsn, confirmed)),
            _ => Ok(()),
        }
    }

    fn stranger(&self, found: &Found, recorded: Option<&Seat>, why: &str) -> Error {
        let name = quote_literal(self.task);
        let unknown = || "unknown".to_owned();
        let writer = recorded.map_or(String::new(), |seat| {
            let Seat { instance, address } = seat;
            format!(
                ", host {}, data directory {}, address {}",
                instance.host.clone().unwrap_or_else(unknown),
                instance.data_directory,
                address.clone().unwrap_or_else(|| "none (a Unix socket)".to_owned())
            )
        });
        Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("the destination of task \"{}\" belongs to another server", self.task),
        )
        .origin(Origin::Destination)
        .detail(format!("{why} Written last {} by {}{writer}.", found.updated_at, found.source))
        .hint(format!(
            "If this server is a copy (of a data directory, a volume, a backup), leave the original's destination alone: \
             SELECT courier.drop_task({name}); removes the task here and nothing there. Only if the other server is gone, or \
             shall stop: SELECT courier.adopt({name});"
        ))
    }
}

/// The row is behind what the slot has confirmed.
pub fn behind(task: &str, end_lsn: Lsn, confirmed: Lsn) -> Error {
    let name = quote_literal(task);
    Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("the destination of task \"{task}\" lacks changes that its slot will not send again"),
    )
    .origin(Origin::Destination)
    .detail(format!(
        "The destination has everything up to {end_lsn}, the slot was confirmed up to {confirmed}. Either the destination has lost \
         what it had (a restored backup, a failover to a standby that was behind), or somebody advanced the slot."
    ))
    .hint(format!(
        "Bring the destination back to a state that has them, then SELECT courier.resume({name}); or copy anew: \
         SELECT courier.drop_task({name}); empty its tables on the destination, create it with schema_sync => false, start it."
    ))
}

fn missing_row(task: &str) -> Error {
    let name = quote_literal(task);
    Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, "the destination has no progress row of this task")
        .origin(Origin::Destination)
        .detail(
            "Table courier_applied.progress on the destination says what has been applied; the row is gone, or this is another \
             database than before. Without it nobody knows what is applied.",
        )
        .hint(format!(
            "If the server leads to the wrong database, correct it (ALTER SERVER), then SELECT courier.resume({name}); otherwise it \
             cannot go on: SELECT courier.drop_task({name}); and create it anew."
        ))
}

/// Another server has put its lease there. The supervisor looks again, and says which.
pub fn taken_over() -> Error {
    Error::new(sqlstate::OBJECT_IN_USE, "another server writes for this task on the destination")
        .origin(Origin::Destination)
        .hint("The task asks the destination which one, and stops.")
}
