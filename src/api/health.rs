//! `courier.health_check()` and `courier.threshold()`. What is looked at is in `sql/health.sql`.

use pgrx::prelude::*;

use super::arguments::given;
use crate::error::{Error, sqlstate};
use crate::guc;
use crate::pg::text::Text;
use crate::pg::{report, wake};
use crate::worker::health::check;

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
