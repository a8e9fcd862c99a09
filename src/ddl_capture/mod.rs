//! Whatever changes the definition of an object on the source leaves a row in `courier.ddl_log`, in the transaction that did it: what is
//! there now. The stream takes the row along, at its place among the changes of rows.
//!
//! ```text
//! CREATE, ALTER, GRANT, COMMENT ... -> ddl_command_end: objects they name, and others that only the server's own structures name
//! DROP, ALTER ... DROP              -> sql_drop: what is gone, and what has lost a part
//! ALTER TABLE that writes rows anew -> table_rewrite: before those rows, with the definition that they have
//! ```
//!
//! It runs in everybody's sessions, so it does nothing where no task wants to know, little for temporary tables, and never breaks the
//! command: whatever fails leaves a row without an image, and a warning (`courier.on_capture_error`). The roles of the sessions have no
//! right to the table; the rows are written with those of the extension. The catalogs are read under a snapshot of now, also in a
//! transaction that sees the data as they were, and nothing is ever updated, so no transaction fails for what another one did.

pub mod by_hand;
mod effects;
mod refuse;
mod row;
pub mod sweep;
mod tags;

use std::cell::Cell;

use self::effects::Effects;
use self::row::{About, Depth, Lateness, Noted, Ready};
use crate::catalog::ddl_log;
use crate::catalog::schema::again;
use crate::catalog::schema::command::TouchedObject;
use crate::error::{Error, Result, sqlstate};
use crate::guc::{self, OnCaptureError};
use crate::pg::event_trigger::{self, Fired, FiringPoint};
use crate::pg::{extension, hooks, rel, report, spi, xact};
use crate::schema::captured::Rewrite;
use crate::schema::image::Class;

/// Called by the event triggers. An error is the command's.
pub fn on_event(event: &Fired) -> Result<()> {
    // Members of an extension come with it; of the extension itself is told when its script has ended.
    if extension::script_runs() || !tags::has_rows(&event.tag) || event.is_temporary() || !ddl_log::is_wanted() {
        return Ok(());
    }
    let about = match spi::with_snapshot(|| about(event)) {
        Ok(Some(about)) => about,
        Ok(None) => return Ok(()),
        Err(error) => return failed(&Noted::of(event, About::Unknown), error),
    };
    // Its replica identity is what a task sees to itself.
    if let About::Effects(effects) = &about
        && !event.only_sets_identity()
    {
        spi::with_snapshot(|| refuse::check(&event.tag, effects))?;
    }
    record(&Noted::of(event, about))
}

/// In a subtransaction, which has a number of its own when it writes. A transaction of more of them than fit into shared memory slows
/// everybody down who meets its rows: for one that runs so many commands the catalogs are read in subtransactions, and the rows written
/// without, so that an error then is the command's.
fn record(noted: &Noted) -> Result<()> {
    const IN_SUBTRANSACTIONS: u32 = 30;
    let write = |ready: Option<Ready>| match ready {
        Some(ready) => spi::with_snapshot(|| row::write(ready)).map(drop),
        None => Ok(()),
    };
    if count_in_transaction() < IN_SUBTRANSACTIONS {
        let told = in_turn(noted, |read| again(|| xact::attempt(|| spi::with_snapshot(read).and_then(write))));
        return told.or_else(|error| failed(noted, error));
    }
    match in_turn(noted, |read| again(|| xact::attempt(|| spi::with_snapshot(read)))) {
        Ok(ready) => write(ready),
        Err(error) => failed(noted, error),
    }
}

/// Locks of others are not waited for where that can be helped: a GRANT that would wait behind somebody's ALTER TABLE, or die in a deadlock
/// with it, did neither before. What cannot be read without is told later, by the sweep.
fn in_turn<R>(noted: &Noted, attempt: impl Fn(&dyn Fn() -> Result<Option<Ready>>) -> Result<R>) -> Result<R> {
    let is_locked =
        |outcome: &Result<R>| outcome.as_ref().is_err_and(|error| error.sqlstate() == sqlstate::LOCK_NOT_AVAILABLE);
    let mut outcome = attempt(&|| row::read(noted, Depth::All));
    if is_locked(&outcome) {
        outcome = attempt(&|| row::read(noted, Depth::Themselves));
    }
    let lateness = noted.lateness();
    if is_locked(&outcome) && lateness == Lateness::AfterAWhile {
        outcome = attempt(&|| row::read(noted, Depth::AWhile));
    }
    match is_locked(&outcome) {
        true if lateness == Lateness::Never => attempt(&|| row::read(noted, Depth::Patient)),
        true => attempt(&|| row::read_late(noted).map(Some)),
        false => outcome,
    }
}

/// How many events this transaction has had before.
fn count_in_transaction() -> u32 {
    thread_local! {
        static COUNT: Cell<(u32, u32)> = const { Cell::new((0, 0)) };
    }
    let (transaction, _) = xact::here();
    let (counted, count) = COUNT.get();
    let before = if counted == transaction && transaction != 0 { count } else { 0 };
    COUNT.set((transaction, before.saturating_add(1)));
    before
}

/// From `_PG_init`, in every process that loads the library.
pub fn install() {
    hooks::after_explain_made(on_explained);
}

/// `EXPLAIN ANALYZE CREATE TABLE AS` has made a table.
fn on_explained(table: u32) -> Result<()> {
    if extension::script_runs() || rel::is_temporary(table) || !ddl_log::is_wanted() {
        return Ok(());
    }
    let class = Class::Relation.oid();
    let object = TouchedObject { class, oid: table, is_alone: false };
    let effects = Effects { objects: vec![object], made: [(class, table)].into(), is_any: true, ..Effects::default() };
    record(&Noted::by_hand("CREATE TABLE AS", About::Effects(effects)))
}

/// Nothing for most temporary tables: for them there is not even a subtransaction, which costs the more the more tables a transaction has
/// made.
fn about(event: &Fired) -> Result<Option<About>> {
    let effects = match event.point {
        FiringPoint::CommandEnd => Effects { are_renamed: event.renames(), ..effects::after_commands()? },
        FiringPoint::Drop => effects::after_drop()?,
        FiringPoint::Rewrite => {
            let (table, reason) = event_trigger::rewritten()?;
            return Ok((!rel::is_temporary(table)).then_some(About::Rewrite(Rewrite {
                table,
                reason,
                by_expression: event.has_using(),
            })));
        }
    };
    Ok(effects.is_any.then_some(About::Effects(effects)))
}

/// The command has done what it did; whether it stands is a matter of the setting. A cancelled statement is cancelled.
fn failed(noted: &Noted, error: Error) -> Result<()> {
    let is_cancelled = error.sqlstate() == sqlstate::QUERY_CANCELED;
    if is_cancelled || guc::on_capture_error() == OnCaptureError::Fail {
        return Err(error);
    }
    let minimal = xact::attempt(|| spi::with_snapshot(|| row::read_without_image(noted).and_then(row::write)));
    let tag = &noted.tag;
    report::warning(&match minimal {
        Ok(_) => format!("pg_courier could not read what {tag} has made: {}", error.message()),
        Err(second) => format!("pg_courier could not record {tag}: {}; {}", error.message(), second.message()),
    });
    Ok(())
}
