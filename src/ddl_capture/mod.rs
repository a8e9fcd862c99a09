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
mod row;
mod tags;

use self::row::{About, Noted};
use crate::catalog::ddl_log;
use crate::error::{Error, Result, sqlstate};
use crate::guc::{self, OnCaptureError};
use crate::pg::event_trigger::{self, Fired, FiringPoint};
use crate::pg::{extension, rel, report, spi, xact};
use crate::schema::captured::Rewrite;

/// Called by the event triggers. An error is the command's.
pub fn on_event(event: &Fired) -> Result<()> {
    // Members of an extension come with it; of the extension itself is told when its script has ended.
    if extension::script_runs() || !tags::has_rows(&event.tag) || !ddl_log::is_wanted() {
        return Ok(());
    }
    let about = match spi::with_snapshot(|| about(event)) {
        Ok(Some(about)) => about,
        Ok(None) => return Ok(()),
        Err(error) => return failed(&Noted::of(event, About::Unknown), error),
    };
    let noted = Noted::of(event, about);
    match xact::attempt(|| spi::with_snapshot(|| row::write(&noted))) {
        Err(error) => failed(&noted, error),
        Ok(_) => Ok(()),
    }
}

/// Nothing for most temporary tables: for them there is not even a subtransaction, which costs the more the more tables a transaction has
/// made.
fn about(event: &Fired) -> Result<Option<About>> {
    let effects = match event.point {
        FiringPoint::CommandEnd => effects::after_commands()?,
        FiringPoint::Drop => effects::after_drop()?,
        FiringPoint::Rewrite => {
            let (table, reason) = event_trigger::rewritten()?;
            return Ok((!rel::is_temporary(table)).then_some(About::Rewrite(Rewrite { table, reason })));
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
    let minimal = xact::attempt(|| spi::with_snapshot(|| row::write_without_image(noted)));
    let tag = &noted.tag;
    report::warning(&match minimal {
        Ok(()) => format!("pg_courier could not read what {tag} has made: {}", error.message()),
        Err(second) => format!("pg_courier could not record {tag}: {}; {}", error.message(), second.message()),
    });
    Ok(())
}
