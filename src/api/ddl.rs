//! What the event triggers of `sql/ddl.sql` call, and `courier.capture()`, `courier.capture_task()`, `courier.sweep()`.

use pgrx::prelude::*;

use super::arguments::{given, seen_task};
use crate::ddl_capture::{self, by_hand, sweep as sweeping};
use crate::error::{Error, sqlstate};
use crate::pg::text::Text;
use crate::pg::{event_trigger, report};
use crate::task::identity;

#[pg_extern(sql = false)]
fn capture_ddl(fcinfo: pg_sys::FunctionCallInfo) {
    let event = event_trigger::fired(fcinfo).ok_or_else(|| {
        Error::new(sqlstate::EVENT_TRIGGER_PROTOCOL_VIOLATED, "courier.capture_ddl() is called by event triggers only")
    });
    report::unwrap(event.and_then(|event| ddl_capture::on_event(&event)));
}

#[pg_extern(sql = false)]
fn capture(object: Option<Text>) {
    report::unwrap(given("object", object).and_then(|object| by_hand::object(&object)));
}

#[pg_extern(sql = false)]
fn capture_task(task: Option<Text>) -> i64 {
    let tables = seen_task(task).and_then(|task| identity::relations(&task));
    report::unwrap(tables.and_then(|tables| by_hand::tables(&tables)))
}

#[pg_extern(sql = false)]
fn sweep(task: Option<Text>) -> i64 {
    report::unwrap(seen_task(task).and_then(|task| sweeping::task(&task)))
}
