//! The statements of a command, run on the destination inside the group's transaction.

use std::time::Duration;

use super::aside::Divided;
use super::done::{Done, NotTaken};
use super::{Command, Work};
use crate::destination::Destination;
use crate::error::{Error, Origin, Remedy, Result, sqlstate};
use crate::logicalrep::TableName;
use crate::pg::{bgworker, latch};
use crate::schema::aside::Leftover;
use crate::schema::deparse::postgres::Emptying;
use crate::schema::{Item, Kind, SchemaSql};

const LOCK_NOT_AVAILABLE: &str = "55P03";
const DEADLOCK_DETECTED: &str = "40P01";
const DEPENDENT_OBJECTS_STILL_EXIST: &str = "2BP01";
/// A table, function or other object that is not there.
const UNDEFINED: [&str; 3] = ["42P01", "42883", "42704"];
/// Nobody there waits behind us for longer.
const PATIENCE: &str = "2s";
/// Between two attempts.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Runs what is not there yet; what was run.
pub(super) fn run(destination: &mut Destination, work: &Work<'_>) -> Result<Done> {
    let divided = work.divided;
    if divided.items.is_empty()
        && divided.detaches.is_empty()
        && work.emptyings.is_empty()
        && divided.leftovers.is_empty()
        && divided.way.is_empty()
    {
        return Ok(Done::default());
    }
    let mut pause = FIRST_PAUSE;
    loop {
        destination.begin_definitions(PATIENCE)?;
        match attempt(destination, divided, work.emptyings, &divided.items) {
            Ok(done) => {
                destination.end_definitions()?;
                (work.on_wait)(None);
                return Ok(done);
            }
            Err(Refused { statement, error, .. }) if is_busy(&error) => {
                destination.undo_definitions()?;
                if destination.cancel_aside(work.task_id, &statement)? {
                    // It rests for longer than we wait for its locks.
                    continue;
                }
                (work.on_wait)(Some(&destination.who_locks(&statement)?));
                bgworker::report_activity(&format!("waiting for locks on the destination: {statement}"));
                latch::wait_for(pause);
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            Err(refused) => {
                (work.on_wait)(None);
                return Err(explain(work.command, refused));
            }
        }
    }
}

/// Runs what a person wants in place of a command.
pub(super) fn run_by_hand(destination: &mut Destination, work: &Work<'_>, statement: &str) -> Result<Vec<String>> {
    let command = work.command;
    let mut said =
        attempt(destination, work.divided, work.emptyings, &[]).map_err(|refused| explain(command, refused))?.said;
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
    attempt(destination, &Divided::default(), &[], items).map(drop).map_err(refused)
}

/// What the destination has refused.
struct Refused {
    statement: SchemaSql,
    about: String,
    error: Error,
}

impl Refused {
    fn about(item: &Item, error: Error) -> Refused {
        Refused { statement: item.statement.clone(), about: format!("{} {}", item.kind, item.object), error }
    }
}

/// One pass over the statements of a command.
struct Attempt<'a> {
    destination: &'a mut Destination,
    done: Done,
    /// What something else still needs, that may go later.
    postponed: Vec<(&'a Item, Refused)>,
}

fn attempt(
    destination: &mut Destination,
    divided: &Divided,
    emptyings: &[Emptying],
    items: &[Item],
) -> std::result::Result<Done, Refused> {
    let mut attempt = Attempt { destination, done: Done::default(), postponed: Vec::new() };
    divided.detaches.iter().try_for_each(|item| attempt.item(item))?;
    divided.leftovers.iter().try_for_each(|leftover| attempt.remove(leftover))?;
    divided.way.iter().try_for_each(|item| attempt.item(item))?;
    emptyings.iter().try_for_each(|of| attempt.empty(of))?;
    // No function brings another one along, and no view does, so many are asked for at once.
    let is_alone = |kind: Kind| matches!(kind, Kind::Routine | Kind::LateRoutine | Kind::View);
    for some in items.chunk_by(|a, b| a.kind == b.kind && is_alone(a.kind)) {
        attempt.items(some)?;
    }
    attempt.end()
}

impl<'a> Attempt<'a> {
    fn remove(&mut self, leftover: &Leftover) -> std::result::Result<(), Refused> {
        let about = "index that was not built to its end".to_owned();
        self.say(&leftover.drop).map_err(|error| Refused { statement: leftover.drop.clone(), about, error })
    }

    fn empty(&mut self, of: &Emptying) -> std::result::Result<(), Refused> {
        let about = || format!("rows of {}", of.table);
        let refused = |error| Refused { statement: of.truncate.clone(), about: about(), error };
        let is_referenced = self.destination.ask_whether(std::iter::once(&of.is_referenced)).map_err(refused)?;
        let is_referenced = is_referenced.first() == Some(&true);
        if is_referenced && !self.destination.replica_role {
            // Foreign keys would take rows of other tables along.
            return Err(refused(self.destination.replica_role_error()));
        }
        let statement = if is_referenced { &of.delete } else { &of.truncate };
        self.say(statement).map_err(|error| Refused { statement: statement.clone(), about: about(), error })
    }

    fn say(&mut self, statement: &SchemaSql) -> Result<()> {
        self.done.said.push(statement.to_string());
        self.destination.define(statement)
    }

    fn item(&mut self, item: &'a Item) -> std::result::Result<(), Refused> {
        self.items(std::slice::from_ref(item))
    }

    fn items(&mut self, items: &'a [Item]) -> std::result::Result<(), Refused> {
        const AT_ONCE: usize = 100;
        for some in items.chunks(AT_ONCE) {
            let Some(first) = some.first() else { break };
            let there = self.destination.ask_whether(some.iter().map(|item| &item.present_sql));
            let there = there.map_err(|error| Refused::about(first, error))?;
            if some.len() > 1 && !there.contains(&true) && self.make_all(some)? {
                continue;
            }
            some.iter().zip(there).try_for_each(|(item, is_there)| self.make(item, is_there))?;
        }
        Ok(())
    }

    /// All of them, or none where one fails and that will not pass.
    fn make_all(&mut self, items: &'a [Item]) -> std::result::Result<bool, Refused> {
        let Some(first) = items.first() else { return Ok(true) };
        let of_first = |error| Refused::about(first, error);
        self.destination.begin_step().map_err(of_first)?;
        match self.destination.define_all(items.iter().map(|item| &item.statement)).map_err(of_first)? {
            None => {
                self.done.said.extend(items.iter().map(|item| item.statement.to_string()));
                self.destination.end_step().map_err(of_first)?;
                self.again()?;
                Ok(true)
            }
            Some((_, error)) if is_final(&error) => {
                self.destination.undo_step().map_err(of_first)?;
                Ok(false)
            }
            Some((at, error)) => Err(Refused::about(items.get(at).unwrap_or(first), error)),
        }
    }

    fn make(&mut self, item: &'a Item, is_there: bool) -> std::result::Result<(), Refused> {
        let refused = |error| Refused::about(item, error);
        if is_there {
            return is_the_same(self.destination, item).map_err(refused);
        }
        // Nothing else is undone by itself.
        if !item.kind.can_wait() && !item.kind.is_drop() && self.done.not_taken.is_empty() {
            return self.say(&item.statement).map_err(refused);
        }
        match self.step(item).map_err(refused)? {
            None => self.again(),
            Some(error) if item.kind.is_drop() && error.sqlstate() == DEPENDENT_OBJECTS_STILL_EXIST => {
                self.postponed.push((item, refused(error)));
                Ok(())
            }
            Some(error) if item.kind.can_wait() => {
                self.done.not_taken.push(NotTaken { kind: item.kind, object: item.object.clone(), error });
                Ok(())
            }
            // What is said about something that was not taken.
            Some(error) if UNDEFINED.contains(&error.sqlstate()) && self.done.has_not_taken(item) => Ok(()),
            Some(error) => Err(refused(error)),
        }
    }

    /// Runs a statement; the error that it has failed with, if nothing is left of it.
    fn step(&mut self, item: &Item) -> Result<Option<Error>> {
        let statement = &item.statement;
        self.destination.begin_step()?;
        let outcome = match item.kind.is_drop() {
            true => self.destination.define_plainly(statement),
            false => self.destination.define(statement),
        };
        match outcome {
            Ok(()) => {
                self.done.said.push(statement.to_string());
                self.destination.end_step()?;
                Ok(None)
            }
            Err(error) if is_final(&error) => {
                self.destination.undo_step()?;
                Ok(Some(error))
            }
            Err(error) => Err(error),
        }
    }

    fn end(self) -> std::result::Result<Done, Refused> {
        let Attempt { mut done, postponed, .. } = self;
        for (item, refused) in postponed {
            if !item.kind.may_stay() {
                return Err(refused);
            }
            done.not_taken.push(NotTaken { kind: item.kind, object: item.object.clone(), error: refused.error });
        }
        Ok(done)
    }

    /// What could not go yet may go now.
    fn again(&mut self) -> std::result::Result<(), Refused> {
        let mut waiting = std::mem::take(&mut self.postponed);
        while let Some((item, refused)) = waiting.pop() {
            match self.step(item) {
                Ok(None) => {
                    waiting.append(&mut self.postponed);
                }
                Ok(Some(_)) => self.postponed.push((item, refused)),
                Err(error) => return Err(Refused { error, ..refused }),
            }
        }
        Ok(())
    }
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

/// What may pass is tried again with everything.
fn is_final(error: &Error) -> bool {
    error.is_from(Origin::Destination) && error.remedy() == Remedy::Stop
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
