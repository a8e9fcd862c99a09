//! The WAL of this server, decoded in this process.

use std::time::Duration;

use super::super::{ChangeStream, RoundEnd};
use crate::decode::ChangeSink;
use crate::decode::context::{self, Decoding};
use crate::error::Result;
use crate::libpq::Watch;
use crate::logicalrep::Lsn;
use crate::pg::wake::Sleeper;

/// WAL records of a step: between two looks at the destination.
const RECORDS: usize = 2000;

pub struct WalStream {
    decoding: Decoding,
    sleeper: Sleeper,
}

impl WalStream {
    pub fn begin(slot: &str, from: Lsn, sink: Box<dyn ChangeSink>) -> Result<WalStream> {
        context::allow_own_plugin()?;
        Ok(WalStream { decoding: Decoding::open(slot, from, sink)?, sleeper: Sleeper::register() })
    }
}

impl ChangeStream for WalStream {
    fn step(&mut self) -> Result<RoundEnd> {
        self.decoding.step(RECORDS)
    }

    fn position(&self) -> Lsn {
        self.decoding.position()
    }

    fn confirm(&mut self, lsn: Lsn) -> Result<()> {
        self.decoding.confirm(lsn)
    }

    fn confirmed(&self) -> Lsn {
        self.decoding.confirmed()
    }

    fn wait(&mut self, sockets: &mut [Watch], limit: Duration) {
        self.sleeper.sleep(self.decoding.position(), sockets, limit);
    }
}
