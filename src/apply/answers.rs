//! The destination's answers: they come in the order of what was sent, and decide what is applied.

use super::applier::{Applier, BYTES_IN_FLIGHT, Kind, Lane, Sent};
use super::there::explain_probe;
use crate::destination::dialect::Dialect;
use crate::destination::{is_fenced, taken_over};
use crate::error::{Error, Origin, Remedy, Result, sqlstate};
use crate::libpq::Event;
use crate::logicalrep::names::quote_ident;
use crate::logicalrep::{Lsn, Relation};

impl Applier {
    /// Waits while too much is on its way.
    pub(super) fn throttle(&mut self) -> Result<()> {
        self.read_answers()?;
        while self.bytes_in_flight > BYTES_IN_FLIGHT {
            self.ask_for_answers()?;
            self.wait_for_answers()?;
        }
        Ok(())
    }

    /// An open group has no sync yet; without this the destination would keep its answers.
    pub(super) fn ask_for_answers(&mut self) -> Result<()> {
        if matches!(self.sent.back(), Some(Sent::Command { .. })) {
            self.destination.send_flush_request()?;
        }
        Ok(())
    }

    pub(super) fn wait_for_answers(&mut self) -> Result<()> {
        match self.second.working() {
            Some(second) => self.destination.wait_for_either(second)?,
            None => self.destination.wait_for_answers()?,
        }
        self.take_events()
    }

    pub(super) fn read_answers(&mut self) -> Result<()> {
        if self.destination.is_waiting() {
            self.destination.flush()?;
        }
        self.destination.consume()?;
        if let Some(second) = self.second.working() {
            second.flush()?;
            second.consume()?;
        }
        self.take_events()
    }

    /// Takes what has been answered, group by group in the order they were sent.
    pub(super) fn take_events(&mut self) -> Result<()> {
        loop {
            let more = match self.groups.front().map(|group| group.lane) {
                Some(Lane::Second) => self.take_events_of_second()?,
                _ => self.take_events_of_first()?,
            };
            if !more {
                return Ok(());
            }
        }
    }

    /// True when the group that was waited for has ended, so that it is the next one's turn.
    fn take_events_of_second(&mut self) -> Result<bool> {
        let Some(second) = self.second.working() else {
            return Err(Error::internal("a group was sent to a session that is gone"));
        };
        let Some(event) = second.next_event()? else { return Ok(false) };
        let table = self.second.table.take();
        match event {
            Event::Done(Some(Ok(_))) => self.committed(),
            Event::Done(Some(Err(error))) => return Err(self.explain(error, table.as_deref(), Some(Kind::Insert))),
            event => {
                return Err(Error::internal("the destination's answers are out of step")
                    .detail(format!("{event:?} came as the answer to a COPY.")));
            }
        }
        Ok(true)
    }

    fn take_events_of_first(&mut self) -> Result<bool> {
        while let Some(event) = self.destination.next_event()? {
            match (event, self.sent.pop_front()) {
                (Event::Done(outcome), Some(Sent::Command { bytes, table, kind })) => {
                    self.bytes_in_flight -= bytes;
                    if let Some(Err(error)) = outcome {
                        let error = self.explain(error, table.as_deref(), kind);
                        self.attempt.fail(error)?;
                    }
                }
                (Event::Done(outcome), Some(Sent::Prepare { table, kind })) => {
                    if let Some(Err(error)) = outcome {
                        let error = self.explain(error, Some(&table), Some(kind));
                        self.attempt.fail_to_prepare(error)?;
                    }
                }
                (Event::Synced, Some(Sent::Sync)) => self.committed(),
                (Event::Done(outcome), Some(Sent::CopyGroup { table } | Sent::CopyEnd { table }))
                    if matches!(outcome, None | Some(Err(_))) =>
                {
                    let error = outcome.and_then(std::result::Result::err);
                    let error = error.unwrap_or_else(|| Error::internal("the destination skipped a COPY"));
                    return Err(self.explain(error, Some(&table), Some(Kind::Insert)));
                }
                (Event::Done(_), Some(Sent::CopyGroup { .. })) => {
                    self.committed();
                    return Ok(true);
                }
                (Event::Done(_), Some(Sent::CopyEnd { .. })) => {}
                // The destination ends the session, whatever was on its way.
                (Event::Done(Some(Err(error))), _) => return Err(error),
                (event, sent) => {
                    return Err(Error::internal("the destination's answers are out of step")
                        .detail(format!("{event:?} came as the answer to {sent:?}.")));
                }
            }
        }
        Ok(false)
    }

    pub(super) fn committed(&mut self) {
        if let Some(group) = self.groups.pop_front() {
            self.progress.commit(group.applied.end_lsn, group.durable);
            (self.on_applied)(&group.applied);
        }
    }

    /// Adds to a destination error what only we know.
    pub(super) fn explain(&self, error: Error, table: Option<&Relation>, kind: Option<Kind>) -> Error {
        if is_fenced(&error) {
            return taken_over();
        }
        let error = match (table, kind) {
            (Some(table), Some(kind)) => {
                describe_conflict(error, table, kind, self.destination.dialect(), &self.destination.user())
            }
            // The supervisor looks again, and says what that means.
            (_, _) if error.sqlstate() == sqlstate::DIVISION_BY_ZERO => {
                Error::new(sqlstate::OBJECT_IN_USE, "the task's row in courier_applied.progress is gone")
                    .origin(Origin::Destination)
            }
            (_, _) => error,
        };
        let merged = !self.is_serial_group();
        if merged && error.remedy() == Remedy::Stop { error.replay_serially() } else { error }
    }

    pub(super) fn is_serial_group(&self) -> bool {
        let end = self.failing_end();
        end.is_valid() && end <= self.plan.serial_until
    }

    /// End of the group whose command was answered last, for the serial replay.
    pub fn failing_end(&self) -> Lsn {
        self.groups.front().map_or(self.current.end_lsn, |g| g.applied.end_lsn)
    }

    /// Waits until everything that was sent is answered.
    pub(super) fn settle(&mut self) -> Result<()> {
        self.ask_for_answers()?;
        while !self.sent.is_empty() || self.second.is_busy() {
            self.wait_for_answers()?;
        }
        Ok(())
    }
}

/// What a function or operator that does not exist usually means.
const SEARCH_PATH: &str = "If an index, a check or a trigger of the table calls it: the task's sessions have search_path = pg_catalog, so let \
     the calling function say where it looks. SELECT detail, fix FROM courier.precheck({task}) WHERE item = 'destination_search_path'; has \
     these functions, what calls them, and the statement for the destination. If a type is another one than on the source, alter the \
     column. Then SELECT courier.resume({task});";

fn describe_conflict(error: Error, table: &Relation, kind: Kind, dialect: &dyn Dialect, user: &str) -> Error {
    if kind == Kind::Probe {
        return explain_probe(error, table, dialect);
    }
    let name = table.shown_there();
    if error.sqlstate() == sqlstate::DIVISION_BY_ZERO && kind == Kind::Insert {
        return Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("table {name} has changed on the destination"),
        )
        .origin(Origin::Destination)
        .detail(
            "Its columns are others now, or a trigger that fires for replicated rows was made or dropped. Rows were about to be sent as was \
             right before; nothing of this transaction has been applied.",
        )
        .hint("The task goes on with SELECT courier.resume({task});");
    }
    if error.sqlstate() == sqlstate::DIVISION_BY_ZERO && kind != Kind::Insert {
        let verb = if kind == Kind::Update || kind == Kind::Replace { "update" } else { "delete" };
        return Error::new(sqlstate::NO_DATA_FOUND, format!("the row to {verb} in {name} is not on the destination"))
            .origin(Origin::Destination)
            .detail("No row there has the key of the source's change, or more than one has.")
            .hint(
                "Find out who else writes to the destination and put the row in place there (the detail has its key), then SELECT \
                 courier.resume({task}); goes on. SELECT courier.skip_change({task}, {lsn}); leaves the change out for good.",
            );
    }
    const REFERENCED: &str = "0A000";
    if kind == Kind::Truncate && error.sqlstate() == REFERENCED {
        return error.context(format!("Destination table: {name}.")).hint(
            "Drop the foreign key that refers to the table on the destination, then SELECT courier.resume({task}); goes on. \
             SELECT courier.skip_change({task}, {lsn}); leaves the TRUNCATE out for good: its rows stay there.",
        );
    }
    if let Some(hint) = table.hint_for_names(error.sqlstate()) {
        return error.hint(hint).context(format!("Destination table: {name}."));
    }
    let hint = match error.sqlstate() {
        "23505" => {
            "The row is already on the destination. Remove it there, then SELECT courier.resume({task}); goes on. \
             SELECT courier.skip_change({task}, {lsn}); leaves the change out for good."
        }
        "42P01" => "Create the table on the destination as it is on the source, then SELECT courier.resume({task});",
        // The server's own hint speaks of casts.
        "42883" => {
            return error.hint(SEARCH_PATH).context(format!("Destination table: {name}."));
        }
        "42703" | "42804" => {
            "Alter the table on the destination as it was altered on the source, then SELECT courier.resume({task});"
        }
        // The server's own hint is to give the security up.
        "42501" if is_row_security(&error) => {
            let user = quote_ident(user);
            let hint = format!(
                "Row security hides rows from the user. On the destination, as superuser: ALTER ROLE {user} BYPASSRLS; Then here: SELECT \
                 courier.resume({{task}});"
            );
            return error.hint(hint).context(format!("Destination table: {name}."));
        }
        "42501" => "Grant the user of the user mapping what it lacks, then SELECT courier.resume({task});",
        // Deadlock, timeout, full disk: nobody has to resume the task.
        _ if error.remedy() != Remedy::Stop => "The task tries again by itself.",
        _ => "Remove the cause on the destination, then SELECT courier.resume({task});",
    };
    error.or_hint(hint).context(format!("Destination table: {name}."))
}

/// Of the reasons for this SQLSTATE, by where in the server it was said: what it says may be in any language.
fn is_row_security(error: &Error) -> bool {
    matches!(error.routine_name(), Some("check_enable_rls" | "ExecWithCheckOptions"))
}
