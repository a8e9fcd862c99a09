//! `courier.health_check()` and `courier.threshold()`. What is looked at is in `sql/health.sql`.

use pgrx::prelude::*;

use super::tasks::given;
use crate::error::{Error, Result, sqlstate};
use crate::guc;
use crate::pg::text::Text;
use crate::pg::{report, spi, xact};

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
fn health_check() -> Text {
    report::unwrap(check()).into()
}

fn check() -> Result<String> {
    let found = spi::as_role(xact::user_id(), || {
        spi::query_one(
            "SELECT COALESCE(json_agg(h), '[]'), CASE WHEN bool_or(h.status = 'critical') THEN 'critical' \
             WHEN bool_or(h.status = 'warning') THEN 'warning' ELSE 'ok' END FROM courier.health() h",
            &[],
        )
    })?;
    let changes = spi::as_extension(|| {
        spi::query(
            "SELECT change, \"check\", task, status, detail, hint FROM courier.record_alerts($1::json)",
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
        report::log(&error, "pg_courier");
    }
    found.string(1)
}
