//! `courier.health_check()` and `courier.threshold()`. What is looked at is in `sql/health.sql`.

use pgrx::prelude::*;

use super::tasks::given;
use crate::error::{Error, Result, sqlstate};
use crate::guc;
use crate::pg::text::Text;
use crate::pg::{report, spi, wake, xact};

/// SQLSTATE class 01: a warning in the server log.
const WARNING: &str = "01000";

#[pg_extern(sql = false)]
fn threshold(name: Option<Text>) -> i32 {
    let name = report::unwrap(given("name", name));
    let found = guc::thresholds().into_iter().find(|(known, _)| **known == *name).map(|(_, value)| value);
    report::unwrap(found.ok_or_else(|| {
        Error::new(sqlstate::UNDEFINED_OBJECT, format!("threshold \"{}\" does not exist", &*name))
            .hint("SELECT name FROM pg_settings WHERE name LIKE 'courier.%'; lists the settings.")
    }))
}

#[pg_extern(sql = false)]
fn is_preloaded() -> bool {
    wake::is_preloaded()
}

#[pg_extern(sql = false)]
fn log_line(text: Text) {
    report::log_line(&text);
}

#[pg_extern(sql = false)]
fn health_check() -> Text {
    report::unwrap(check(None)).into()
}

/// The health check that the extension itself runs, if it is time for it: some process of every database that has tasks
/// asks once in `courier.health_interval`. Inside a transaction.
pub fn check_when_due() -> Result<()> {
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
fn check(by: Option<&str>) -> Result<String> {
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
        let task = change.opt(2).map(|task| format!(" of task \"{task}\"")).unwrap_or_default();
        let message = format!("alert {}: check {}{task} is {}", change.text(0)?, change.text(1)?, change.text(3)?);
        let mut error = Error::new(WARNING, message);
        if let Some(detail) = change.opt(4) {
            error = error.detail(detail);
        }
        if let Some(hint) = change.opt(5) {
            error = error.hint(hint);
        }
        if change.text(0)? == "cleared" {
            report::log(&error, "pg_courier");
        } else {
            report::log_warning(&error, "pg_courier");
        }
    }
    found.string(1)
}
