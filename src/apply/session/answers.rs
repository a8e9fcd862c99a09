//! What the destination answers: in the order of what was sent there.

use std::time::Duration;

use super::{Sent, Session};
use crate::error::{Error, Remedy, Result};
use crate::libpq::{PipelineEvent, Watch};

/// What an answer was about.
#[derive(Debug)]
pub enum Answer {
    /// Something inside of a group.
    Done,
    /// The group's end: it is committed.
    Committed,
    /// It failed, or in a COPY that was not even begun, was skipped.
    Refused { error: Error, sent: Sent },
}

impl Session {
    /// The next answer that has fully arrived; `None` when one has to wait.
    pub fn next_answer(&mut self) -> Result<Option<Answer>> {
        let Some(event) = self.destination.next_event()? else { return Ok(None) };
        let sent = self.sent.pop_front();
        if let Some(Sent::Command { bytes, .. }) = &sent {
            assert!(*bytes <= self.bytes_in_flight, "what is answered was on its way");
            self.bytes_in_flight -= bytes;
        }
        judge(event, sent).map(Some)
    }

    /// An open group has no sync yet; without this the destination would keep its answers.
    pub fn ask_for_answers(&mut self) -> Result<()> {
        if matches!(self.sent.back(), Some(Sent::Command { .. })) {
            self.destination.send_flush_request()?;
        }
        Ok(())
    }

    /// Sends what the socket takes.
    pub fn flush(&mut self) -> Result<()> {
        self.destination.flush().map(drop)
    }

    /// What to wait for next.
    pub fn watch(&mut self) -> Result<Watch> {
        self.destination.watch()
    }

    /// Waits until there is something to read or more to send.
    pub fn wait(&mut self) -> Result<()> {
        self.destination.wait_for_answers()
    }

    /// The same for two sessions, whichever is ready first.
    pub fn wait_for_either(&mut self, other: &mut Session) -> Result<()> {
        self.destination.wait_for_either(&mut other.destination)
    }

    /// A wait for answers must not last longer than this without `act`.
    pub fn on_stall(&mut self, after: Duration, act: Box<dyn FnOnce()>) {
        self.destination.on_stall(after, act);
    }

    /// Reads what has arrived, after sending what the socket takes.
    pub fn read(&mut self) -> Result<()> {
        if self.destination.is_waiting() {
            self.destination.flush()?;
        }
        self.destination.consume()
    }
}

fn judge(event: PipelineEvent, sent: Option<Sent>) -> Result<Answer> {
    match (event, sent) {
        (PipelineEvent::Done(Some(Err(error))), Some(sent @ (Sent::Command { .. } | Sent::Prepare { .. }))) => {
            Ok(Answer::Refused { error, sent })
        }
        // Skipped, after an error that has come before.
        (PipelineEvent::Done(_), Some(Sent::Command { .. } | Sent::Prepare { .. })) => Ok(Answer::Done),
        (PipelineEvent::Synced, Some(Sent::GroupEnd)) => Ok(Answer::Committed),
        (PipelineEvent::Synced, Some(Sent::Sync)) => Ok(Answer::Done),
        (PipelineEvent::Done(Some(Ok(_))), Some(Sent::CopyGroup { .. })) => Ok(Answer::Committed),
        (PipelineEvent::Done(Some(Ok(_))), Some(Sent::CopyEnd { .. })) => Ok(Answer::Done),
        (PipelineEvent::Done(outcome), Some(sent @ (Sent::CopyGroup { .. } | Sent::CopyEnd { .. }))) => {
            let error = outcome.and_then(std::result::Result::err);
            let error = error.unwrap_or_else(|| Error::internal("the destination skipped a COPY"));
            Ok(Answer::Refused { error, sent })
        }
        // The destination ends the session, whatever was on its way.
        (PipelineEvent::Done(Some(Err(error))), _) => Err(error),
        (event, sent) => Err(Error::internal("the destination's answers are out of step")
            .detail(format!("{event:?} came as the answer to {sent:?}."))),
    }
}

/// A change being tried: its error is kept instead of ending the worker.
#[derive(Default)]
pub struct Attempt {
    under_way: bool,
    error: Option<Error>,
    /// Was it the statement itself that the destination refused? Then it is not prepared there.
    not_prepared: bool,
}

/// What a try has come to.
#[derive(Debug)]
pub struct TryOutcome {
    pub error: Option<Error>,
    pub not_prepared: bool,
}

impl Attempt {
    pub fn begin(&mut self) {
        assert!(!self.under_way, "one change is tried at a time");
        *self = Attempt { under_way: true, ..Attempt::default() };
    }

    pub fn end(&mut self) -> TryOutcome {
        assert!(self.under_way, "a try ends that did not begin");
        let Attempt { error, not_prepared, .. } = std::mem::take(self);
        TryOutcome { error, not_prepared }
    }

    /// Something was refused; an error if nobody tries.
    pub fn fail(&mut self, error: Error, not_prepared: bool) -> Result<()> {
        // What passes by itself is not a conflict: deadlock, timeout, lost connection.
        if !self.under_way || error.remedy() != Remedy::Stop {
            return Err(error);
        }
        self.not_prepared |= not_prepared;
        self.error.get_or_insert(error);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::super::Verb;
    use super::*;
    use crate::error::Origin;

    fn table() -> Rc<crate::logicalrep::Relation> {
        Rc::new(crate::destination::fixture::relation())
    }

    fn command() -> Sent {
        Sent::Command { bytes: 0, table: None, verb: None }
    }

    fn refusal(sqlstate: &str) -> Error {
        Error::new(sqlstate, "refused").origin(Origin::Destination)
    }

    #[test]
    fn an_answer_is_about_what_was_sent() {
        let prepare = || Sent::Prepare { table: table(), verb: Verb::Insert };
        let group = || Sent::CopyGroup { table: table() };
        let failed = || PipelineEvent::Done(Some(Err(refusal("23505"))));
        for (event, sent, expected) in [
            (PipelineEvent::Done(Some(Ok(1))), Some(command()), "Done"),
            (PipelineEvent::Done(None), Some(command()), "Done"),
            (failed(), Some(command()), "Refused"),
            (failed(), Some(prepare()), "Refused"),
            (PipelineEvent::Synced, Some(Sent::GroupEnd), "Committed"),
            (PipelineEvent::Synced, Some(Sent::Sync), "Done"),
            (PipelineEvent::Done(Some(Ok(1))), Some(group()), "Committed"),
            (PipelineEvent::Done(Some(Ok(1))), Some(Sent::CopyEnd { table: table() }), "Done"),
            (failed(), Some(group()), "Refused"),
            // A COPY must not be skipped in silence.
            (PipelineEvent::Done(None), Some(group()), "Refused"),
            (PipelineEvent::Done(None), Some(Sent::CopyEnd { table: table() }), "Refused"),
            // The session ends.
            (failed(), None, "Err"),
            (failed(), Some(Sent::GroupEnd), "Err"),
            // Out of step.
            (PipelineEvent::Synced, Some(command()), "Err"),
            (PipelineEvent::Synced, Some(group()), "Err"),
            (PipelineEvent::Synced, None, "Err"),
            (PipelineEvent::Done(Some(Ok(1))), Some(Sent::GroupEnd), "Err"),
            (PipelineEvent::Done(Some(Ok(1))), None, "Err"),
        ] {
            let shown = format!("{event:?} {sent:?}");
            let answer = match judge(event, sent) {
                Ok(Answer::Done) => "Done",
                Ok(Answer::Committed) => "Committed",
                Ok(Answer::Refused { .. }) => "Refused",
                Err(_) => "Err",
            };
            assert_eq!(answer, expected, "{shown}");
        }
    }

    #[test]
    fn a_try_keeps_the_first_error_that_trying_again_does_not_help() {
        let mut attempt = Attempt::default();
        assert!(attempt.fail(refusal("23505"), false).is_err());
        attempt.begin();
        assert!(attempt.fail(refusal("40P01"), false).is_err());
        assert!(attempt.fail(refusal("23505"), false).is_ok());
        assert!(attempt.fail(refusal("23514"), true).is_ok());
        let TryOutcome { error, not_prepared } = attempt.end();
        assert_eq!(error.map(|error| error.sqlstate().to_owned()).as_deref(), Some("23505"));
        assert!(not_prepared);
        assert!(attempt.fail(refusal("23505"), false).is_err());
    }
}
