//! Creating, starting, pausing and dropping tasks.

use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use pgrx::prelude::*;

use super::{identity, precheck};
use crate::catalog::select::Candidate;
use crate::catalog::{ConflictPolicy, Scope, Stage, Task, Wanted, connection, locks, to_json, version};
use crate::decode::context;
use crate::destination::Purpose;
use crate::error::{Error, Result, sqlstate};
use crate::guc;
use crate::logicalrep::TableName;
use crate::logicalrep::names;
use crate::logicalrep::words::counted;
use crate::pg::dsm::Segment;
use crate::pg::latch::Process;
use crate::pg::text::Text;
use crate::pg::{latch, report, spi, wake, xact};
use crate::worker::claimant::Claimant;
use crate::worker::status::TaskStatus;
use crate::worker::{Endpoint, failpoint, supervisor};

/// Workers end within a moment; a destination that does not let go of a connection cannot hold them.
const STOP_WITHIN: Duration = Duration::from_secs(20);

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn create_task(
    name: Option<Text>,
    server: Option<Text>,
    include: Option<Vec<Option<Text>>>,
    exclude: Option<Vec<Option<Text>>>,
    schema_sync: Option<bool>,
    full_copy: Option<bool>,
    incremental: Option<bool>,
    conflict: Option<Text>,
    forward_origins: Option<bool>,
) -> i32 {
    let create = || {
        let new = NewTask {
            name: &given("name", name)?,
            server: &given("server", server)?,
            scope: given_scope(include, exclude, schema_sync, full_copy, incremental)?,
            conflict: ConflictPolicy::given(&given("conflict", conflict)?)?,
            forward_origins: given("forward_origins", forward_origins)?,
        };
        new.create()
    };
    report::unwrap(create())
}

pub(super) fn given<T>(argument: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::new(sqlstate::NULL_VALUE_NOT_ALLOWED, format!("{argument} must not be null")))
}

/// The task of a call that changes it.
pub(super) fn given_task(task: Option<Text>) -> Result<Task> {
    locked(&given("task", task)?)
}

pub(super) fn given_scope(
    include: Option<Vec<Option<Text>>>,
    exclude: Option<Vec<Option<Text>>>,
    schema_sync: Option<bool>,
    full_copy: Option<bool>,
    incremental: Option<bool>,
) -> Result<Scope> {
    Ok(Scope {
        include: all_given("include", include)?,
        exclude: all_given("exclude", exclude)?,
        schema_sync: given("schema_sync", schema_sync)?,
        full_copy: given("full_copy", full_copy)?,
        incremental: given("incremental", incremental)?,
    })
}

pub(super) fn all_given(argument: &str, list: Option<Vec<Option<Text>>>) -> Result<Vec<String>> {
    let pattern = |pattern| given(&format!("a pattern of {argument}"), pattern).map(Text::into_string);
    given(argument, list)?.into_iter().map(pattern).collect()
}

struct NewTask<'a> {
    name: &'a str,
    server: &'a str,
    scope: Scope,
    conflict: ConflictPolicy,
    forward_origins: bool,
}

impl NewTask<'_> {
    fn create(&self) -> Result<i32> {
        refuse_on_standby()?;
        version::check()?;
        names::check_task_name(self.name)?;
        self.scope.check()?;
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
                 conflict, forward_origins) \
                 VALUES ($1, $2::oid, $3::oid, ARRAY(SELECT json_array_elements_text($4::json)), \
                 ARRAY(SELECT json_array_elements_text($5::json)), $6::bool, $7::bool, $8::bool, $9, $10::bool)",
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
                ],
            )
        })?;
        Ok(selection.tables.len() as i32)
    }

    fn check_free_name(&self) -> Result<()> {
        let duplicate = |message: String, hint: &str| Err(Error::new(sqlstate::DUPLICATE_OBJECT, message).hint(hint));
        let slot = names::slot_name(self.name);
        let row = spi::as_extension(|| {
            spi::query_one(
                "SELECT EXISTS (SELECT FROM courier.task WHERE name = $1), \
                 (SELECT COALESCE(database, 'the whole cluster') FROM pg_replication_slots WHERE slot_name = $2)",
                &[Some(self.name), Some(&slot)],
            )
        })?;
        if row.bool(0)? {
            return duplicate(
                format!("task \"{}\" already exists", self.name),
                "Choose another name, or drop the task with courier.drop_task().",
            );
        }
        if let Some(database) = row.opt(1) {
            return duplicate(
                format!("replication slot \"{slot}\" already exists (database: {database})"),
                "Slot names are shared by all databases of the cluster; choose another task name.",
            );
        }
        Ok(())
    }
}

/// The task, locked against other changes until the end of the transaction.
pub(super) fn locked(name: &str) -> Result<Task> {
    refuse_on_standby()?;
    let task = Task::for_role(name, xact::user_id())?;
    locks::lock_task(task.id);
    // As it is now: another transaction may have held the lock.
    Task::for_role(name, xact::user_id())
}

/// A standby knows the tasks of its primary and can do nothing for them.
pub(super) fn refuse_on_standby() -> Result<()> {
    if !xact::is_in_recovery() {
        return Ok(());
    }
    Err(Error::new(sqlstate::READ_ONLY_SQL_TRANSACTION, "tasks cannot be used on a standby")
        .detail("They run on the primary of this server; the views show what it has recorded.")
        .hint("SELECT sender_host, sender_port FROM pg_stat_wal_receiver; -- the primary: call it there"))
}

#[pg_extern(sql = false)]
fn start(task: Option<Text>) {
    report::unwrap(given_task(task).and_then(|task| run(&task)));
}

#[pg_extern(sql = false)]
fn resume(task: Option<Text>) {
    report::unwrap(given_task(task).and_then(|task| {
        if task.wanted == Wanted::Created {
            return Err(Error::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("task \"{}\" has not been started", task.name),
            )
            .hint(format!("SELECT courier.start('{}');", task.name)));
        }
        run(&task)
    }));
}

pub(super) fn run(task: &Task) -> Result<()> {
    match task.wanted {
        Wanted::Running if !task.failed => {
            if supervisor_is_alive(task) {
                report::notice(&format!("task \"{}\" is already running", task.name));
                return Ok(());
            }
            report::notice(&format!("none of the processes of task \"{}\" ran: it is started again", task.name));
        }
        Wanted::Finished => {
            return Err(Error::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("task \"{}\" is finished", task.name),
            )
            .hint("Drop it and create a new one to copy again."));
        }
        _ => {}
    }
    connection::parameters(task.owner, task.server)?;
    if task.incremental {
        check_wal_level()?;
    }
    if task.stage == Stage::Created {
        precheck::require_passed(task)?;
        fix_tables(task)?;
    }
    task.update(
        "wanted = $2, failed = false, starts = 0, retry_at = NULL, last_error = NULL, last_error_detail = NULL, \
         last_error_hint = NULL, last_error_sqlstate = NULL, last_error_at = NULL, \
         last_error_lsn = NULL, reached = false, asked_at = now(), started_at = COALESCE(started_at, now())",
        &[Some(Wanted::Running.as_str())],
    )?;
    // Who resumes a task whose slot keeps too much wants it to catch up: the WAL guard has said what it has to say.
    if let Some(allowed) = guc::max_retained_wal() {
        spi::as_extension(|| {
            spi::execute(
                "INSERT INTO courier.wal_guard AS g (task_id, level) SELECT $1::int, 'limit' FROM pg_catalog.pg_replication_slots s \
                 WHERE s.slot_name = $2 AND s.plugin = 'pg_courier' AND s.database = pg_catalog.current_database() \
                 AND pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), s.restart_lsn) >= $3::pg_catalog.int8 \
                 ON CONFLICT (task_id) DO UPDATE SET level = 'limit'",
                &[Some(&task.id.to_string()), Some(&names::slot_name(&task.name)), Some(&allowed.to_string())],
            )
        })?;
    }
    if !wake::is_preloaded() {
        report::notice(
            "pg_courier is not in shared_preload_libraries: the task will have to be resumed after a restart of the server",
        );
    }
    supervisor::start(task.id, &task.name)
}

fn check_wal_level() -> Result<()> {
    let level = xact::config(c"wal_level").unwrap_or_default();
    if level == "logical" {
        return Ok(());
    }
    Err(Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, "wal_level must be logical for an incremental task")
        .detail(format!("It is {level}."))
        .hint("ALTER SYSTEM SET wal_level = logical; then restart the server."))
}

/// Decides on the first start which tables the task has.
fn fix_tables(task: &Task) -> Result<()> {
    let selection = task.selection()?;
    check_readable(task, &selection.tables)?;
    let without = |t: &&Candidate| !t.has_identity;
    let unidentified: Vec<String> = selection.tables.iter().filter(without).map(Candidate::shown).collect();
    if task.incremental && !unidentified.is_empty() {
        report::warning(&format!(
            "only INSERT and TRUNCATE can be applied to {}: no primary key and no other replica identity",
            unidentified.join(", ")
        ));
    }
    let column = |f: &dyn Fn(&Candidate) -> String| to_json(&selection.tables.iter().map(f).collect::<Vec<String>>());
    let oids = column(&|t| t.oid.to_string())?;
    let names = column(&|t| t.qualified_name())?;
    let kinds = column(&|t| t.kind.to_string())?;
    let rows = column(&|t| t.rows.to_string())?;
    let bytes = column(&|t| t.bytes.to_string())?;
    let id = task.id.to_string();
    spi::as_extension(|| {
        spi::execute("DELETE FROM courier.task_table WHERE task_id = $1::int", &[Some(&id)])?;
        spi::execute(
            // What is not to be copied is complete as it is.
            "INSERT INTO courier.task_table (task_id, relid, table_name, kind, total_rows, total_bytes, state) \
             SELECT $1::int, u.a::oid, u.b, u.c, u.d::bigint, u.e::bigint, \
             CASE WHEN $7::bool THEN 'init' ELSE 'ready' END FROM ROWS FROM ( \
             json_array_elements_text($2::json), json_array_elements_text($3::json), \
             json_array_elements_text($4::json), json_array_elements_text($5::json), \
             json_array_elements_text($6::json)) AS u(a, b, c, d, e)",
            &[
                Some(&id),
                Some(&oids),
                Some(&names),
                Some(&kinds),
                Some(&rows),
                Some(&bytes),
                Some(if task.full_copy { "t" } else { "f" }),
            ],
        )
    })?;
    note_triggers(task)
}

/// Do tables of the task have triggers or foreign keys, which have to keep quiet on the destination?
pub(super) fn note_triggers(task: &Task) -> Result<()> {
    task.update(
        "needs_replica_role = EXISTS (SELECT FROM courier.task_table t \
         JOIN pg_trigger g ON g.tgrelid = t.relid WHERE t.task_id = $1::int AND g.tgenabled IN ('O', 'A'))",
        &[],
    )
}

/// The copy reads whole tables for the owner of the task.
pub(super) fn check_readable(task: &Task, tables: &[Candidate]) -> Result<()> {
    let oids: Vec<String> = tables.iter().filter(|t| t.kind == 'r').map(|t| t.oid.to_string()).collect();
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT format('%I.%I', n.nspname, c.relname) FROM unnest($2::oid[]) AS u(oid) \
             JOIN pg_class c ON c.oid = u.oid JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE NOT has_table_privilege($1::oid, c.oid, 'SELECT') \
                OR NOT has_schema_privilege($1::oid, n.oid, 'USAGE') ORDER BY 1",
            &[Some(&task.owner.to_string()), Some(&format!("{{{}}}", oids.join(",")))],
        )
    })?;
    if rows.is_empty() {
        return Ok(());
    }
    let denied: Vec<&str> = rows.iter().filter_map(|row| row.opt(0)).collect();
    let owner = names::quote_ident(&task.owner_name);
    Err(Error::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("role {owner} may not read {} of the selected tables", denied.len()),
    )
    .detail(denied.join(", "))
    .hint(format!("GRANT SELECT ON {} TO {owner}; and USAGE on their schemas.", denied.join(", "))))
}

#[pg_extern(sql = false)]
fn pause(task: Option<Text>) {
    report::unwrap(given_task(task).and_then(|task| {
        match task.wanted {
            Wanted::Running if task.failed => {
                let error = Error::new(
                    sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                    format!("task \"{}\" does not run: it has failed", task.name),
                )
                .detail(format!(
                    "{}. Its slot keeps WAL until it goes on or is dropped.",
                    task.last_error.clone().unwrap_or_default()
                ))
                .hint(format!("SELECT courier.resume('{}'); after the repair.", task.name));
                return Err(error);
            }
            Wanted::Running => {}
            Wanted::Paused => {
                report::notice(&format!("task \"{}\" is already paused", task.name));
                return Ok(());
            }
            other => {
                return Err(Error::new(
                    sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                    format!("task \"{}\" is not running", task.name),
                )
                .detail(format!("It is {}.", other.as_str())));
            }
        }
        task.update("wanted = $2", &[Some(Wanted::Paused.as_str())])?;
        let current_at = status_of(&task).and_then(|status| status.known_current());
        warn_of_lost_copies(&task)?;
        stop_processes(&task)?;
        task.note_current(current_at.as_deref())
    }));
}

/// A table is copied in one transaction: what is under way begins anew.
fn warn_of_lost_copies(task: &Task) -> Result<()> {
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT t.table_name, c.rows, pg_size_pretty(c.bytes) FROM courier.copy_status() c \
             JOIN courier.task_table t ON t.task_id = c.task_id AND t.relid = c.relid WHERE c.task_id = $1::int ORDER BY 1",
            &[Some(&task.id.to_string())],
        )
    })?;
    for row in &rows {
        report::warning(&format!(
            "the copy of {} ({}, {}) is given up; it begins anew at courier.resume()",
            TableName::shown_as(row.text(0)?),
            counted(row.parse::<i64>(1)?, "row"),
            row.text(2)?
        ));
    }
    Ok(())
}

fn status_of(task: &Task) -> Option<Segment<TaskStatus>> {
    Segment::<TaskStatus>::peek(task.segment).filter(|status| status.belongs_to(task.id))
}

fn supervisor_is_alive(task: &Task) -> bool {
    status_of(task).is_some_and(|status| status.supervisor.is_alive())
}

/// Ends all processes of the task and waits until they are gone. They come back if the transaction is rolled back.
fn stop_processes(task: &Task) -> Result<()> {
    if supervisor_is_alive(task) {
        let (id, name) = (task.id, task.name.clone());
        xact::after_rollback(move || {
            if let Err(error) = supervisor::start(id, &name) {
                report::log(&error, "pg_courier cannot start the task again whose stop was rolled back");
            }
        });
    }
    let deadline = Instant::now() + STOP_WITHIN;
    loop {
        let Some(status) = status_of(task) else { return Ok(()) };
        let pids: Vec<i32> = status.processes().filter_map(Process::pid).collect();
        if pids.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            return Err(Error::new(sqlstate::OBJECT_IN_USE, format!("could not stop task \"{}\"", task.name))
                .detail(format!("Still running: {pids:?}."))
                .hint("Try again; look at these processes in pg_stat_activity."));
        }
        status.stopping.store(1, Relaxed);
        status.processes().for_each(Process::terminate);
        latch::wait(Some(Duration::from_millis(10)));
    }
}

#[pg_extern(sql = false)]
fn drop_task(task: Option<Text>, restore_replica_identity: Option<bool>) {
    report::unwrap(given_task(task).and_then(|task| {
        let restore_replica_identity = given("restore_replica_identity", restore_replica_identity)?;
        stop_processes(&task)?;
        failpoint::hit("drop_task_after_stop")?;
        if restore_replica_identity {
            identity::restore(&task)?;
        }
        let slot = own_slot(&task)?;
        // Asked while the slot is there.
        let leaving = (task.wanted != Wanted::Created).then(|| {
            let claimant = Claimant::of(&task)?;
            claimant.check_source(&task)?;
            Ok((claimant, Endpoint::of(&task)?))
        });
        spi::as_extension(|| {
            let id = task.id.to_string();
            spi::execute("DELETE FROM courier.rewritten_table WHERE task_id = $1::int", &[Some(&id)])?;
            spi::execute("DELETE FROM courier.task WHERE id = $1::int", &[Some(&id)])
        })?;
        // No rollback brings back a slot, or rows on another server.
        xact::before_commit("cannot prepare a transaction that drops a task of pg_courier", move || {
            slot.map_or(Ok(()), |slot| context::drop_slot(&slot))?;
            if let Some(leaving) = leaving {
                forget_on_destination(&task, leaving);
            }
            Ok(())
        });
        Ok(())
    }));
}

#[pg_extern(sql = false)]
fn adopt(task: Option<Text>) {
    report::unwrap(given_task(task).and_then(|task| adopt_task(&task)));
}

/// This server, or this destination, is the right one, says a person. Whoever wrote before is shut out.
fn adopt_task(task: &Task) -> Result<()> {
    let name = names::quote_literal(&task.name);
    let refused = |message: String| Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, message);
    if task.wanted == Wanted::Created {
        return Err(refused(format!("task \"{}\" has not been started", task.name))
            .hint(format!("SELECT courier.start({name});")));
    }
    if task.wanted == Wanted::Running && !task.failed && supervisor_is_alive(task) {
        return Err(refused(format!("task \"{}\" is running", task.name))
            .detail("Only a task that was refused has something to adopt.")
            .hint(format!("SELECT courier.pause({name}); first, if it really has to be.")));
    }
    let claimant = Claimant::of(task)?;
    if task.incremental && task.slot_lsn.is_valid() && !claimant.has_slot() {
        return Err(refused(format!("replication slot \"{}\" is not in this database", names::slot_name(&task.name)))
            .detail("Without it the changes since the last one on the destination are not to be had here: this is a copy without the slot.")
            .hint(format!(
                "SELECT courier.drop_task({name}); removes the task here; the destination stays as it is."
            )));
    }
    let leases =
        spi::as_extension(|| spi::query_one("SELECT pg_catalog.gen_random_uuid(), pg_catalog.gen_random_uuid()", &[]))?;
    let (lease, next) = (leases.text(0)?, leases.text(1)?);
    let mut destination = Endpoint::of(task)?.open(Purpose::Control)?;
    let others = destination.adopt(&claimant.claim(task), lease)?;
    let destination_id = destination.database_id()?;
    task.update(
        "lease = $2::uuid, next_lease = $3::uuid, source_id = $4, destination_id = $5",
        &[Some(lease), Some(next), Some(&claimant.source_id), destination_id.as_deref()],
    )?;
    spi::as_extension(|| {
        spi::query(
            "SELECT courier.record_event($1, $2::oid, 'adopted', format('%s made this server the one that writes for the task', session_user), \
             'Another one had written for it up to ' || $3 || '.')",
            &[Some(&task.name), Some(&task.owner.to_string()), others.map(|end| end.to_string()).as_deref()],
        )
    })?;
    if let Some(end) = others {
        // Nobody can tell where two servers of one origin parted, and positions after that mean something else on each.
        report::warning(&format!(
            "another server wrote last for task {name}, up to {end}: if both were written to since one was copied, what the other one \
             sent stays on the destination, and what was committed here up to {end} may not be sent; once the task has caught up, \
             SELECT * FROM courier.verify({name}); says which tables differ"
        ));
    }
    if task.wanted == Wanted::Running { run(task) } else { Ok(()) }
}

/// A destination that is gone for good must not keep a slot, and with it WAL, on the source: its rows stay then.
fn forget_on_destination(task: &Task, leaving: Result<(Claimant, Endpoint)>) {
    let outcome =
        leaving.and_then(|(claimant, endpoint)| endpoint.open(Purpose::Control)?.forget_task(&claimant.claim(task)));
    let Err(error) = outcome else { return };
    let tables = ["progress", "table_progress", "marks", "conflicts", "writer"];
    let remove =
        tables.map(|table| format!("DELETE FROM courier_applied.{table} WHERE task_id = '{}';", task.uuid)).join(" ");
    if error.sqlstate() == sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE {
        // A copy of the server that writes there.
        let detail = error.detail_text().unwrap_or_default();
        report::warning(&format!(
            "nothing was removed on the destination: {}. {detail} Only if nobody else is to run the task any more, remove its rows there: {remove}",
            error.message()
        ));
        return;
    }
    report::warning(&format!(
        "the task's rows in schema courier_applied of the destination stay: {}; if no other server (of which this one may be a copy) \
         runs the task, remove them there later: {remove}",
        error.message()
    ));
}

/// The task's slot, if it is there and of this database.
fn own_slot(task: &Task) -> Result<Option<String>> {
    let slot = names::slot_name(&task.name);
    let ours = spi::as_extension(|| {
        spi::query_opt(
            "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND plugin = 'pg_courier' \
             AND database = current_database()",
            &[Some(&slot)],
        )
    })?;
    Ok(ours.map(|_| slot))
}
