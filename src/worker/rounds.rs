//! The loop of an apply worker: a step of the stream, a look at the destination, a rest when both are through.
//!
//! The slot is confirmed only up to what the destination's progress row has durably. When nothing waits and nothing is on
//! its way, the row is moved to where WAL has been read, now and then: what lies between concerned other tables.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use crate::apply::applier::{Applier, Round};
use crate::error::{Error, Result, sqlstate};
use crate::failpoint;
use crate::logicalrep::Lsn;
use crate::pg::dsm::Segment;
use crate::pg::{bgworker, xact};
use crate::source::{ChangeStream, RoundEnd};
use crate::task::status::TaskStatus;

/// The slot is confirmed at most this often; each time may write its state file.
const CONFIRM_EVERY: Duration = Duration::from_millis(500);

pub struct Rounds {
    status: Rc<Segment<TaskStatus>>,
    applier: Rc<RefCell<Applier>>,
    last_confirm: Instant,
    rate: Rate,
}

impl Rounds {
    pub fn new(status: Rc<Segment<TaskStatus>>, applier: Rc<RefCell<Applier>>) -> Rounds {
        Rounds { status, applier, last_confirm: Instant::now(), rate: Rate::new() }
    }

    /// Ends by an error.
    pub fn run(&mut self, stream: &mut dyn ChangeStream) -> Result<()> {
        bgworker::report_activity("applying changes");
        loop {
            let before = xact::now();
            let step = stream.step()?;
            xact::check_for_interrupts();
            failpoint::hit("apply_before_send")?;
            let caught_up = step == RoundEnd::CaughtUp;
            let position = stream.position();
            self.status.received_lsn.store(position.0, Relaxed);
            let wanted = Lsn(self.status.durable_wanted.load(Relaxed));
            let is_held = failpoint::is_armed("apply_never_durable");
            self.applier.borrow_mut().tick(Round { position, caught_up, wanted, is_held })?;
            self.publish(position, caught_up.then_some(before));
            self.confirm(stream)?;
            if caught_up {
                self.rest(stream)?;
            }
        }
    }

    /// Tells the others where the stream is, and with `caught_up_at` that it has met all WAL there was at that time.
    fn publish(&mut self, position: Lsn, caught_up_at: Option<i64>) {
        let (is_idle, durable) = {
            let applier = self.applier.borrow();
            (applier.is_idle(), applier.durable())
        };
        let mut moved = self.status.durable_lsn.swap(durable.0, Relaxed) != durable.0;
        if is_idle {
            if let Some(time) = caught_up_at {
                self.status.current_at.store(time, Relaxed);
            }
            moved |= self.status.applied_lsn.fetch_max(position.0, Relaxed) < position.0;
        }
        if moved {
            self.status.announce();
        }
        self.rate.update(&self.status);
        let wanted = Lsn(self.status.durable_wanted.load(Relaxed));
        if caught_up_at.is_some() && durable >= wanted && self.status.caught_up.swap(1, Relaxed) == 0 {
            self.status.supervisor.nudge();
        }
    }

    /// The slot never passes the progress row: a row behind the slot tells that the destination has lost something.
    fn confirm(&mut self, stream: &mut dyn ChangeStream) -> Result<()> {
        let durable = self.applier.borrow().durable();
        if durable > stream.confirmed() && self.last_confirm.elapsed() >= CONFIRM_EVERY {
            failpoint::hit("apply_after_destination_commit")?;
            stream.confirm(durable)?;
            assert!(stream.confirmed() <= durable, "the slot stays behind what is durable");
            self.status.confirmed_lsn.store(stream.confirmed().0, Relaxed);
            self.last_confirm = Instant::now();
        }
        Ok(())
    }

    /// Waits for WAL, for the destination, or for a nudge.
    fn rest(&mut self, stream: &mut dyn ChangeStream) -> Result<()> {
        if !self.status.supervisor.is_alive() {
            return Err(Error::new(sqlstate::OBJECT_IN_USE, "the supervisor of the task is gone"));
        }
        let (mut sockets, patience) = {
            let mut applier = self.applier.borrow_mut();
            (applier.watches()?, applier.patience())
        };
        stream.wait(&mut sockets, patience);
        Ok(())
    }
}

/// Rates over full seconds.
struct Rate {
    since: Instant,
    changes: u64,
    bytes: u64,
}

impl Rate {
    fn new() -> Rate {
        Rate { since: Instant::now(), changes: 0, bytes: 0 }
    }

    fn update(&mut self, status: &TaskStatus) {
        let elapsed = self.since.elapsed();
        if elapsed < Duration::from_secs(1) {
            return;
        }
        let (changes, bytes) = (status.changes.load(Relaxed), status.bytes.load(Relaxed));
        let per_second = |delta: u64| (delta as f64 / elapsed.as_secs_f64()).round() as u64;
        status.changes_per_second.store(per_second(changes.saturating_sub(self.changes)), Relaxed);
        status.bytes_per_second.store(per_second(bytes.saturating_sub(self.bytes)), Relaxed);
        status.rated_at.store(xact::now(), Relaxed);
        *self = Rate { since: Instant::now(), changes, bytes };
    }
}
