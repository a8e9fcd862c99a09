//! The list of what was decided about conflicts: view `courier.conflicts` and `courier.clear_conflicts()`.

use pgrx::prelude::*;

use super::arguments::{given, seen_task};
use crate::catalog::Task;
use crate::error::Error;
use crate::pg::text::Text;
use crate::pg::{report, timestamp, xact};
use crate::task::conflicts;

/// Rows of the destination's `courier_applied.conflicts` as JSON. Other tasks have rows to show when a destination is out of
/// reach, so that is a row as well: no rows would read as no conflicts.
#[pg_extern(sql = false)]
fn conflict_rows(task: Text) -> Vec<Text> {
    report::unwrap(Task::for_role(&task, xact::user_id()).map(|task| {
        let rows = conflicts::read(&task).unwrap_or_else(|error| vec![not_known(&error)]);
        rows.into_iter().map(Text::from).collect()
    }))
}

fn not_known(error: &Error) -> String {
    let message = format!("the destination could not be asked: {}", error.message());
    serde_json::json!({ "decision": "not known", "sqlstate": error.sqlstate(), "message": message }).to_string()
}

#[pg_extern(sql = false)]
fn clear_conflicts_before(task: Option<Text>, before: Option<TimestampWithTimeZone>) -> i64 {
    let clear = || conflicts::clear(&seen_task(task)?, &timestamp::to_text(given("before", before)?));
    report::unwrap(clear())
}
