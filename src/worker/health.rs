//! The health check that the extension itself runs: `courier.health_interval`.
//!
//! The supervisors of a database and the scouts of the launcher all ask when it is time; whoever comes first does it. So it
//! goes on while all tasks are paused or failed, and while the launcher is away.

use std::time::{Duration, Instant};

use crate::api::health;
use crate::error::Result;
use crate::guc;
use crate::pg::{report, spi, xact};

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
    if let Err(error) = report::catch(|| xact::in_transaction(health::check_when_due)) {
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
