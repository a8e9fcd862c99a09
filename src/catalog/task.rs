//! `courier.task`: what a user asked for, and how far it has come.

use std::ops::Deref;

use super::{ConflictPolicy, DdlPolicy, Scope, Stage, Wanted, version};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::{Lsn, Row};
use crate::pg::encoding::storable;
use crate::pg::{report, spi};
use crate::schema::captured::Trust;

#[derive(Clone, Debug)]
pub struct Task {
    pub id: i32,
    /// Names the task on the destination.
    pub uuid: String,
    pub name: String,
    pub owner: u32,
    pub owner_name: String,
    pub server: u32,
    pub scope: Scope,
    pub wanted: Wanted,
    pub failed: bool,
    pub stage: Stage,
    pub slot_lsn: Lsn,
    /// Are transactions that the slot may miss gone?
    pub older_gone: bool,
    pub segment: u32,
    pub needs_replica_role: bool,
    pub conflict: ConflictPolicy,
    pub ddl: DdlPolicy,
    /// Roles whose code is created on the destination, besides the owner and superusers.
    pub trusted_roles: Vec<u32>,
    /// Commands are applied since a moment ago; those of before that left no word are to be over first.
    pub capture_due: bool,
    /// The change that `courier.skip_change` leaves out.
    pub skip_lsn: Lsn,
    /// Are changes sent on that came here by replication?
    pub forward_origins: bool,
    pub last_error: Option<String>,
    pub last_error_hint: Option<String>,
    /// The change at which it stopped.
    pub last_error_lsn: Lsn,
    /// Do errors keep it from getting further?
    pub in_trouble: bool,
    /// The database that the task was made in, see [`crate::destination::Destination::database_id`].
    pub source_id: Option<String>,
    /// The destination's database, where its server tells.
    pub destination_id: Option<String>,
    /// What the destination's row has to have, or the next one; see `destination/claim.rs`.
    pub lease: Option<String>,
    pub next_lease: Option<String>,
}

/// A task is asked all over what it is about.
impl Deref for Task {
    type Target = Scope;

    fn deref(&self) -> &Scope {
        &self.scope
    }
}

const COLUMNS: &str = "t.id, t.uuid, t.name, t.owner, pg_get_userbyid(t.owner) AS owner_name, t.server, \
     to_json(t.include) AS include, to_json(t.exclude) AS exclude, t.schema_sync, t.full_copy, t.incremental, t.wanted, t.failed, \
     t.stage, t.slot_lsn, t.older_gone, COALESCE(t.segment, 0) AS segment, t.needs_replica_role, t.last_error, t.last_error_hint, \
     t.conflict, t.ddl, t.capture_due, to_json(t.trusted_roles) AS trusted_roles, t.skip_lsn, t.forward_origins, t.last_error_lsn, t.trouble_since IS NOT NULL AS in_trouble, \
     t.source_id, t.destination_id, t.lease, t.next_lease";

impl Task {
    fn from_row(row: &Row) -> Result<Task> {
        Ok(Task {
            id: row.parse("id")?,
            uuid: row.string("uuid")?,
            name: row.string("name")?,
            owner: row.parse("owner")?,
            owner_name: row.string("owner_name")?,
            server: row.parse("server")?,
            scope: Scope {
                include: list(row.text("include")?)?,
                exclude: list(row.text("exclude")?)?,
                schema_sync: row.bool("schema_sync")?,
                full_copy: row.bool("full_copy")?,
                incremental: row.bool("incremental")?,
            },
            wanted: Wanted::parse(row.text("wanted")?)?,
            failed: row.bool("failed")?,
            stage: Stage::parse(row.text("stage")?)?,
            slot_lsn: row.lsn("slot_lsn")?,
            older_gone: row.bool("older_gone")?,
            segment: row.parse::<i64>("segment")? as u32,
            needs_replica_role: row.bool("needs_replica_role")?,
            last_error: row.opt_string("last_error"),
            last_error_hint: row.opt_string("last_error_hint"),
            conflict: ConflictPolicy::parse(row.text("conflict")?)?,
            ddl: DdlPolicy::parse(row.text("ddl")?)?,
            trusted_roles: oids(row.text("trusted_roles")?)?,
            capture_due: row.bool("capture_due")?,
            skip_lsn: row.lsn("skip_lsn")?,
            forward_origins: row.bool("forward_origins")?,
            last_error_lsn: row.lsn("last_error_lsn")?,
            in_trouble: row.bool("in_trouble")?,
            source_id: row.opt_string("source_id"),
            destination_id: row.opt_string("destination_id"),
            lease: row.opt_string("lease"),
            next_lease: row.opt_string("next_lease"),
        })
    }

    /// Whose code it creates.
    pub fn trust(&self) -> Trust {
        let roles = self.trusted_roles.iter().copied().chain([self.owner]).collect();
        Trust { task_id: self.uuid.clone(), roles }
    }

    pub fn by_id(id: i32) -> Result<Task> {
        Task::find_by_id(id)?.ok_or_else(|| Error::new(sqlstate::UNDEFINED_OBJECT, format!("task {id} is gone")))
    }

    pub fn find_by_id(id: i32) -> Result<Option<Task>> {
        let sql = format!("SELECT {COLUMNS} FROM courier.task t WHERE t.id = $1::int");
        let row = spi::as_extension(|| spi::query_opt(&sql, &[Some(&id.to_string())]))?;
        row.as_ref().map(Task::from_row).transpose()
    }

    pub fn by_name(name: &str) -> Result<Task> {
        version::check()?;
        let sql = format!("SELECT {COLUMNS} FROM courier.task t WHERE t.name = $1");
        let row = spi::as_extension(|| spi::query_opt(&sql, &[Some(name)]))?;
        let row = row.ok_or_else(|| {
            Error::new(sqlstate::UNDEFINED_OBJECT, format!("task \"{name}\" does not exist"))
                .hint("SELECT task FROM courier.tasks; lists the tasks of this database.")
        })?;
        Task::from_row(&row)
    }

    /// The task, if `role` may use it: its owner, a member of the owner, a superuser.
    pub fn for_role(name: &str, role: u32) -> Result<Task> {
        let task = Task::by_name(name)?;
        let allowed = spi::as_extension(|| {
            spi::query_one(
                "SELECT pg_has_role($1::oid, $2::oid, 'USAGE')",
                &[Some(&role.to_string()), Some(&task.owner.to_string())],
            )
        })?
        .bool(0)?;
        if allowed {
            return Ok(task);
        }
        Err(Error::new(sqlstate::INSUFFICIENT_PRIVILEGE, format!("must be owner of task \"{name}\""))
            .detail(format!("It belongs to role \"{}\".", task.owner_name)))
    }

    /// Sets columns of the task's row; `assignments` uses `$2` and on for `values`.
    pub fn update(&self, assignments: &str, values: &[Option<&str>]) -> Result<()> {
        let id = self.id.to_string();
        let sql = format!("UPDATE courier.task SET {assignments} WHERE id = $1::int");
        let params: Vec<Option<&str>> = std::iter::once(Some(id.as_str())).chain(values.iter().copied()).collect();
        spi::as_extension(|| spi::execute(&sql, &params)).map(|_| ())
    }

    pub fn set_stage(&self, stage: Stage) -> Result<()> {
        self.update("stage = $2, stage_at = now()", &[Some(stage.as_str())])
    }

    pub fn record_error(&self, error: &Error, failed: bool, retry_seconds: Option<u64>) -> Result<()> {
        let retry = retry_seconds.map(|s| s.to_string());
        self.update(
            "last_error = $2, last_error_detail = $3, last_error_hint = $4, last_error_sqlstate = $5, \
             last_error_at = clock_timestamp(), failed = $6::bool, \
             retry_at = clock_timestamp() + $7::int * interval '1 s', last_error_lsn = $8::pg_lsn, \
             trouble_since = COALESCE(trouble_since, clock_timestamp())",
            &[
                // The destination may speak a language that this database has no letters for.
                Some(&storable(error.message())),
                error.detail_text().as_deref().map(storable).as_deref(),
                error.hint_text().map(storable).as_deref(),
                Some(error.sqlstate()),
                Some(if failed { "t" } else { "f" }),
                retry.as_deref(),
                Some(error.lsn_value()).filter(|lsn| lsn.is_valid()).map(|lsn| lsn.to_string()).as_deref(),
            ],
        )
    }

    /// Counts a start of the supervisor; starts long ago do not count.
    pub fn count_start(&self) -> Result<i64> {
        let row = spi::as_extension(|| {
            spi::query_one(
                "UPDATE courier.task SET starts = CASE WHEN starts_at > now() - interval '10 min' THEN starts + 1 ELSE 1 END, \
                 starts_at = now() WHERE id = $1::int RETURNING starts",
                &[Some(&self.id.to_string())],
            )
        })?;
        row.parse(0)
    }

    /// The lease that the destination's row has, and the one it gets.
    pub fn leases(&self) -> Result<[String; 2]> {
        match (&self.lease, &self.next_lease) {
            (Some(lease), Some(next)) => Ok([lease.clone(), next.clone()]),
            _ => Err(Error::internal(format!("task \"{}\" has not claimed its destination", self.name))),
        }
    }

    /// Before the first claim: the lease that the destination's row gets. The task is this database's from now on.
    pub fn draw_lease(&self) -> Result<()> {
        self.update(
            "lease = pg_catalog.gen_random_uuid(), source_id = COALESCE(source_id, \
             (SELECT c.system_identifier || '.' || d.oid FROM pg_catalog.pg_control_system() c, pg_catalog.pg_database d \
              WHERE d.datname = pg_catalog.current_database()))",
            &[],
        )
    }

    /// The row was found with this lease. When that is the next one already, another is drawn.
    pub fn note_lease(&self, found: &str) -> Result<()> {
        self.update(
            "next_lease = CASE WHEN next_lease IS NULL OR next_lease = $2::uuid THEN pg_catalog.gen_random_uuid() ELSE next_lease END, \
             lease = $2::uuid",
            &[Some(found)],
        )
    }

    /// Are commands of the source applied, and is known what has been?
    pub fn has_model(&self) -> bool {
        self.ddl == DdlPolicy::Replicate && self.incremental
    }

    /// The command that it has stopped at; 0 for none.
    pub fn note_command(&self, id: i64) -> Result<()> {
        self.update("command_under_way = NULLIF($2::bigint, 0)", &[Some(&id.to_string())])
    }

    pub fn forget_starts(&self) -> Result<()> {
        self.update("starts = 0", &[])
    }

    /// The destination has answered since the task was started or resumed.
    pub fn note_reached(&self) -> Result<()> {
        self.update("reached = true", &[])
    }

    /// It gets further again. The last error is history; what was to be done about it is not any more, unless it is of the kind that is
    /// never tried again: then it is a remark of a task that goes on.
    pub fn note_recovered(&self) -> Result<()> {
        self.update(
            "reached = true, retry_at = NULL, trouble_since = NULL, \
             last_error_hint = CASE WHEN last_error_sqlstate = $2 THEN last_error_hint END",
            &[Some(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE)],
        )
    }

    /// What the destination is known to have, kept for the time when no process says so; microseconds since 2000.
    pub fn note_current(&self, current_at: Option<&str>) -> Result<()> {
        let Some(time) = current_at else { return Ok(()) };
        self.update(
            "current_at = timestamptz '2000-01-01 00:00+00' + $2::bigint * interval '1 microsecond'",
            &[Some(time)],
        )
    }

    pub fn clear_retry(&self) -> Result<()> {
        self.update("retry_at = NULL", &[])
    }
}

fn list(json: &str) -> Result<Vec<String>> {
    serde_json::from_str(json).map_err(|e| Error::internal(format!("invalid pattern list: {e}")))
}

/// OIDs are strings in JSON.
fn oids(json: &str) -> Result<Vec<u32>> {
    let parse = |oid: &String| oid.parse().map_err(|_| Error::internal(format!("invalid oid \"{oid}\"")));
    list(json)?.iter().map(parse).collect()
}

/// The list as JSON, for a text parameter.
pub fn to_json(list: &[String]) -> Result<String> {
    serde_json::to_string(list).map_err(|e| Error::internal(format!("invalid pattern list: {e}")))
}

impl Task {
    /// Something to look at: a warning, so that those who watch logs see it.
    pub fn log(&self, error: &Error, what: &str) {
        report::log_warning(error, &format!("pg_courier task \"{}\" {what}", self.name));
    }

    /// A row of `courier.events`.
    pub fn record_event(&self, kind: &str, message: &str, detail: Option<&str>) -> Result<()> {
        spi::as_extension(|| {
            spi::query(
                "SELECT courier.record_event($1, $2::oid, $3, $4, $5)",
                &[Some(&self.name), Some(&self.owner.to_string()), Some(kind), Some(&storable(message)), detail],
            )
        })
        .map(drop)
    }

    /// What goes well.
    pub fn log_line(&self, text: &str) {
        report::log_line(&format!("pg_courier task \"{}\": {text}", self.name));
    }
}

#[cfg(test)]
impl Task {
    /// One that has just been created, for the tests of others.
    pub fn sample() -> Task {
        let values =
            [("wanted", "created"), ("stage", "created"), ("conflict", "error"), ("ddl", "ignore"), ("name", "shop")];
        let texts = [
            ("include", "[]"),
            ("exclude", "[]"),
            ("trusted_roles", "[]"),
            ("id", "1"),
            ("owner", "10"),
            ("server", "16384"),
            ("segment", "0"),
        ];
        let lsns = ["slot_lsn", "skip_lsn", "last_error_lsn"];
        let known = |name: &str| values.iter().chain(&texts).find(|(known, _)| *known == name).map(|(_, value)| *value);
        let names: Vec<String> = column_names();
        let value = |name: &String| match known(name) {
            _ if lsns.contains(&name.as_str()) => None,
            Some(value) => Some(value.to_owned()),
            None => Some("t".to_owned()),
        };
        let row = Row::new(names.iter().map(value).collect(), names.into());
        Task::from_row(&row).unwrap_or_else(|error| panic!("{error}"))
    }
}

/// As the server would name them.
#[cfg(test)]
fn column_names() -> Vec<String> {
    let last_word = |column: &str| column.rsplit([' ', '.']).next().unwrap_or_default().to_owned();
    let commas = COLUMNS.replace(", 0)", ")");
    commas.split(", ").map(|column| last_word(column.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_column_is_asked_for_under_the_name_that_it_is_read_by() {
        let task = Task::sample();
        assert_eq!((task.name.as_str(), task.owner, task.segment), ("shop", 10, 0));
        assert_eq!((task.stage, task.wanted), (Stage::Created, Wanted::Created));
    }
}
