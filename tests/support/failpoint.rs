//! Named places in the extension where a test lets something happen (build feature
//! `failpoints`): `kill` the process with SIGKILL, raise an `error`, or `wait` there.
//!
//! The setting goes to a file that postgresql.conf includes, not through SQL: it must be
//! possible to take it back while the server is still recovering from the last kill.

use std::fs;

use crate::cluster::Cluster;
use crate::wait;

/// The GUC that the extension reads.
const SETTING: &str = "courier.failpoints";

impl Cluster {
    /// Arms failpoints, for example `apply_before_send:kill`. Replaces those armed before.
    pub fn arm(&self, failpoints: &str) {
        self.write_failpoints(&format!("{SETTING} = '{failpoints}'\n"));
    }

    pub fn disarm(&self) {
        self.write_failpoints("");
    }

    /// Waits until a process waits at this failpoint.
    #[track_caller]
    pub fn wait_at(&self, failpoint: &str) {
        self.wait_until(
            "postgres",
            &format!("somebody waits at failpoint {failpoint}"),
            &format!("EXISTS (SELECT FROM pg_stat_activity WHERE query = 'waiting at failpoint {failpoint}')"),
        );
    }

    /// Arms a failpoint that kills, waits until it has killed `times` more times, disarms it,
    /// and waits until the server accepts connections again.
    #[track_caller]
    pub fn die_at(&self, failpoint: &str, times: usize) {
        let before = self.kills();
        self.arm(&format!("{failpoint}:kill"));
        wait::until(
            &format!("failpoint {failpoint} kills {times} times"),
            wait::DEADLINE,
            || (self.kills() >= before + times).then_some(()),
            || self.log_tail(80),
        );
        self.disarm();
        self.wait_until_accepting();
    }

    /// Processes of this server that ended by SIGKILL.
    pub fn kills(&self) -> usize {
        self.log_count("was terminated by signal 9")
    }

    pub(crate) fn write_failpoints(&self, content: &str) {
        let path = self.data_directory().join("failpoints.conf");
        let fresh = path.with_extension("new");
        fs::write(&fresh, content).expect("data directory is writable");
        crate::account::account().own(&fresh).expect("root may give files away");
        // In one step: the server must not read half a file.
        fs::rename(&fresh, &path).expect("same directory");
        self.reload();
    }
}
