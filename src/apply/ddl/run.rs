//! The statements of a command, run on the destination inside the group's transaction.

use std::time::{Duration, Instant};

use super::Command;
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::pg::{bgworker, latch};
use crate::schema::Item;

const LOCK_NOT_AVAILABLE: &str = "55P03";
const DEADLOCK_DETECTED: &str = "40P01";
/// Nobody there waits behind us for longer.
const PATIENCE: &str = "2s";
/// Between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Runs what is not there yet; what was run.
pub(super) fn run(destination: &mut Destination, command: &Command, items: &[Item]) -> Result<Vec<String>> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    let mut pause = FIRST_PAUSE;
    let since = Instant::now();
    loop {
        destination.begin_definitions(PATIENCE)?;
        match attempt(destination, items) {
            Ok(statements) => {
                destination.end_definitions()?;
                return Ok(statements);
            }
            Err((item, error)) if is_busy(&error) => {
                destination.undo_definitions()?;
                let blockers = destination.who_locks(&item.statement)?;
                bgworker::report_activity(&format!(
                    "{} {}: waiting for a lock on the destination for {} s; held by {blockers}",
                    item.kind,
                    item.object,
                    since.elapsed().as_secs()
                ));
                latch::wait_for(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err((item, error)) => return Err(explain(error, command, item)),
        }
    }
}

fn attempt<'a>(
    destination: &mut Destination,
    items: &'a [Item],
) -> std::result::Result<Vec<String>, (&'a Item, Error)> {
    let mut said = Vec::new();
    for item in items {
        let is_there = destination.ask_whether(std::iter::once(&item.present_sql)).map_err(|error| (item, error))?;
        if is_there.first() == Some(&true) {
            continue;
        }
        destination.define(&item.statement).map_err(|error| (item, error))?;
        said.push(item.statement.to_string());
    }
    Ok(said)
}

fn is_busy(error: &Error) -> bool {
    [LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED].contains(&error.sqlstate())
}

fn explain(error: Error, command: &Command, item: &Item) -> Error {
    error
        .context(format!("While applying {} (command {} of courier.ddl) on the destination.", command.tag, command.id))
        .context(format!("{} {}: {}", item.kind, item.object, item.statement))
        .or_hint(format!(
            "Remove the cause on the destination, or do it there yourself, then SELECT courier.resume({{task}}); what is there counts as \
             done. Another statement in its place: SELECT courier.ddl_replace({{task}}, {id}, 'ALTER ...'); without it: SELECT \
             courier.ddl_skip({{task}}, {id});",
            id = command.id
        ))
}
