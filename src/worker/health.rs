//! The health check that the extension itself runs: `courier.health_interval`.
//!
//! The supervisors of a database and the scouts of the launcher all ask when it is time; whoever comes first does it. So it
//! goes on while all tasks are paused or failed, and while the launcher is away.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::guc;
use crate::pg::{report, spi, xact};

/// SQLSTATE class 01: a warning in the server log.
const WARNING: &str = "01000";

/// A supervisor's clock.
pub struct HealthCheck(Instant);

impl HealthCheck {
    pub fn from_now() -> HealthCheck {
        HealthCheck(Instant::now())
    }

    pub fn due_in(&self) -> Duration {
        guc::health_interval().map_or(Duration::MAX, |interval| interval.saturating_sub(self.0.elapsed()))
    }

    pub fn run_now_and_then(&mut self) {
        if self.due_in().is_zero() {
            self.0 = Instant::now();
            run();
        }
    }
}

/// Trouble with it is no trouble of the task. That it did not run shows in `courier.health()`.
fn run() {
    if let Err(error) = report::catch(|| xact::in_transaction(check_when_due)) {
        xact::abort();
        report::log_warning(&error, "pg_courier could not run its health check");
    }
}

/// The scout's: false where there is nothing to watch.
pub fn run_where_there_are_tasks() -> Result<bool> {
    xact::set_config(c"lock_timeout", "10s")?;
    let (has_tasks, can_check) = xact::in_transaction(|| {
        spi::as_extension(|| {
            let there = spi::query_one(
                "SELECT to_regclass('courier.task') IS NOT NULL, \
                 to_regprocedure('courier.claim_health_check(integer)') IS NOT NULL",
                &[],
            )?;
            let has_tasks =
                there.bool(0)? && spi::query_one("SELECT EXISTS (SELECT FROM courier.task)", &[])?.bool(0)?;
            Ok((has_tasks, there.bool(1)?))
        })
    })?;
    // An extension that was not updated yet has no such check.
    if has_tasks && can_check {
        run();
    }
    Ok(has_tasks)
}

/// The health check that the extension itself runs, if it is time for it: some process of every database that has tasks
/// asks once in `courier.health_interval`. Inside a transaction.
fn check_when_due() -> Result<()> {
    let Some(interval) = guc::health_interval() else { return Ok(()) };
    let seconds = interval.as_secs().to_string();
    let is_due = spi::as_extension(|| spi::query_one("SELECT courier.claim_health_check($1::int)", &[Some(&seconds)]))?
        .bool(0)?;
    if is_due && !xact::is_in_recovery() {
        check(Some("pg_courier"))?;
    }
    Ok(())
}

/// `by`: who asks, if it is not the session's role.
pub fn check(by: Option<&str>) -> Result<String> {
    if xact::is_in_recovery() {
        return Ok("skipped".to_owned());
    }
    spi::as_extension(|| {
        spi::execute(
            "INSERT INTO courier.health_run AS r (singleton, ran_by) VALUES (true, COALESCE($1, session_user)) \
             ON CONFLICT (singleton) DO UPDATE SET ran_at = clock_timestamp(), ran_by = excluded.ran_by",
            &[by],
        )
    })?;
    let worst = check_and_record()?;
    spi::as_extension(|| spi::execute("UPDATE courier.health_run SET worst = $1", &[Some(&worst)]))?;
    Ok(worst)
}

fn check_and_record() -> Result<String> {
    let found = spi::as_role(xact::user_id(), || {
        spi::query_one(
            "SELECT COALESCE(json_agg(h), '[]'), CASE WHEN bool_or(h.status = 'critical') THEN 'critical' \
             WHEN bool_or(h.status IN ('warning', 'unknown')) THEN 'warning' ELSE 'ok' END FROM courier.health() h",
            &[],
        )
    })?;
    let changes = spi::as_extension(|| {
        spi::query(
            "SELECT change, item, task, status, detail, hint FROM courier.record_alerts($1::json)",
            &[found.opt(0)],
        )
    })?;
    for change in &changes {
        let task = change.opt("task").map(|task| format!(" of task \"{task}\"")).unwrap_or_default();
        let message = format!(
            "alert {}: check {}{task} is {}",
            change.text("change")?,
            change.text("item")?,
            change.text("status")?
        );
        let mut error = Error::new(WARNING, message);
        if let Some(detail) = change.opt("detail") {
            error = error.detail(detail);
        }
        if let Some(hint) = change.opt("hint") {
            error = error.hint(hint);
        }
        if change.text("change")? == "cleared" {
            report::log(&error, "pg_courier");
        } else {
            report::log_warning(&error, "pg_courier");
        }
    }
    found.string(1)
}
