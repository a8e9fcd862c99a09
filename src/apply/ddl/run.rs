//! The statements of a command, run on the destination inside the group's transaction.

use std::time::{Duration, Instant};

use super::Command;
use crate::destination::Destination;
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::TableName;
use crate::pg::{bgworker, latch};
use crate::schema::deparse::postgres::Emptying;
use crate::schema::{Item, Kind, SchemaSql};

const LOCK_NOT_AVAILABLE: &str = "55P03";
const DEADLOCK_DETECTED: &str = "40P01";
/// Nobody there waits behind us for longer.
const PATIENCE: &str = "2s";
/// Between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Runs what is not there yet; what was run.
pub(super) fn run(
    destination: &mut Destination,
    command: &Command,
    emptyings: &[Emptying],
    items: &[Item],
) -> Result<Vec<String>> {
    if items.is_empty() && emptyings.is_empty() {
        return Ok(Vec::new());
    }
    let mut pause = FIRST_PAUSE;
    let since = Instant::now();
    loop {
        destination.begin_definitions(PATIENCE)?;
        match attempt(destination, emptyings, items) {
            Ok(statements) => {
                destination.end_definitions()?;
                return Ok(statements);
            }
            Err(Refused { statement, error, .. }) if is_busy(&error) => {
                destination.undo_definitions()?;
                let blockers = destination.who_locks(&statement)?;
                bgworker::report_activity(&format!(
                    "waiting for a lock on the destination for {} s, held by {blockers}: {statement}",
                    since.elapsed().as_secs()
                ));
                latch::wait_for(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(refused) => return Err(explain(command, refused)),
        }
    }
}

/// Runs what a person wants in place of a command.
pub(super) fn run_by_hand(
    destination: &mut Destination,
    command: &Command,
    emptyings: &[Emptying],
    statement: &str,
) -> Result<Vec<String>> {
    let mut said = attempt(destination, emptyings, &[]).map_err(|refused| explain(command, refused))?;
    destination.run_by_hand(statement).map_err(|error| {
        error.context(format!("While running in place of command {} of courier.ddl: {statement}", command.id)).or_hint(
            "SELECT courier.ddl_replace() with another statement, or courier.ddl_skip(); see SELECT * FROM courier.ddl WHERE state = 'failed';",
        )
    })?;
    said.push(statement.to_owned());
    Ok(said)
}

/// The same where nobody else is at work on the tables.
pub(super) fn run_once(destination: &mut Destination, items: &[Item]) -> Result<()> {
    let refused = |Refused { statement, about, error }: Refused| {
        error.context(format!("{about}: {statement}")).or_hint(
            "Remove the cause on the destination, or do it there yourself, then SELECT courier.resume({task}); what is there counts as done.",
        )
    };
    attempt(destination, &[], items).map(drop).map_err(refused)
}

/// What the destination has refused.
struct Refused {
    statement: SchemaSql,
    about: String,
    error: Error,
}

fn attempt(
    destination: &mut Destination,
    emptyings: &[Emptying],
    items: &[Item],
) -> std::result::Result<Vec<String>, Refused> {
    let mut said = Vec::new();
    let mut run = |destination: &mut Destination, about: String, statement: &SchemaSql| {
        let outcome = destination.define(statement);
        said.push(statement.to_string());
        outcome.map_err(|error| Refused { statement: statement.clone(), about, error })
    };
    for of in emptyings {
        let about = || format!("rows of {}", of.table);
        let refused = |error| Refused { statement: of.truncate.clone(), about: about(), error };
        let is_referenced = destination.ask_whether(std::iter::once(&of.is_referenced)).map_err(refused)?;
        let is_referenced = is_referenced.first() == Some(&true);
        if is_referenced && !destination.replica_role {
            // Foreign keys would take rows of other tables along.
            return Err(refused(destination.replica_role_error()));
        }
        let statement = if is_referenced { &of.delete } else { &of.truncate };
        run(destination, about(), statement)?;
    }
    for item in items {
        let about = || format!("{} {}", item.kind, item.object);
        let is_there = destination.ask_whether(std::iter::once(&item.present_sql));
        let is_there =
            is_there.map_err(|error| Refused { statement: item.statement.clone(), about: about(), error })?;
        match is_there.first() {
            Some(true) => is_the_same(destination, item).map_err(|error| Refused {
                statement: item.statement.clone(),
                about: about(),
                error,
            })?,
            _ => run(destination, about(), &item.statement)?,
        }
    }
    Ok(said)
}

/// A name that belongs to something else is no reason to go on.
fn is_the_same(destination: &mut Destination, item: &Item) -> Result<()> {
    if item.kind == Kind::Table
        && let Some(name) = TableName::parse(&item.object)
        && destination.has_rows(&name)?
    {
        // One that somebody has made beforehand is taken, as long as nothing is in it.
        let message = format!("table {} is on the destination already, with rows", item.object);
        return Err(Error::new("42P07", message)
            .origin(Origin::Destination)
            .detail("They would mix with those of the new table."));
    }
    let Some(sql) = &item.differs_sql else { return Ok(()) };
    let rows = destination.ask_definition(sql)?;
    let Some(difference) = rows.first().and_then(|row| row.opt_string(0)) else { return Ok(()) };
    let message = format!("{} {} is on the destination already, and another one", item.kind, item.object);
    Err(Error::new(sqlstate::DUPLICATE_OBJECT, message)
        .origin(Origin::Destination)
        .detail(format!("The name is taken: {difference}.")))
}

fn is_busy(error: &Error) -> bool {
    [LOCK_NOT_AVAILABLE, DEADLOCK_DETECTED].contains(&error.sqlstate())
}

/// What the destination advises comes first; that one can go on in another way is what only we know.
fn explain(command: &Command, Refused { statement, about, error }: Refused) -> Error {
    let first = error.hint_text().unwrap_or(
        "Remove the cause on the destination, or do it there yourself, then SELECT courier.resume({task}); what is there counts as done.",
    );
    let hint = format!(
        "{first} To go on without it: SELECT courier.ddl_skip({{task}}, {}); courier.ddl_replace() runs another statement in its place.",
        command.id
    );
    error
        .context(format!("While applying {} (command {} of courier.ddl) on the destination.", command.tag, command.id))
        .context(format!("{about}: {statement}"))
        .hint(hint)
}
