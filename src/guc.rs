//! Every setting of the extension, in one place.

use std::ffi::CString;
use std::time::Duration;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};

/// Tablesync workers a task may have; one place is kept for the worker that holds a snapshot.
pub const MAX_SYNC_WORKERS: usize = 16;

static CONNECTION_RETRY_TIME: GucSetting<i32> = GucSetting::<i32>::new(720);
static OTHER_RETRY_TIME: GucSetting<i32> = GucSetting::<i32>::new(10);
static SYNC_WORKERS: GucSetting<i32> = GucSetting::<i32>::new(2);
static SEQUENCE_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(10);
static FAILPOINTS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

pub fn define() {
    GucRegistry::define_int_guc(
        c"courier.connection_retry_time",
        c"How long a task tries to reach a lost destination before it fails.",
        c"In minutes; the pauses between two attempts grow to one minute.",
        &CONNECTION_RETRY_TIME,
        10,
        1440,
        GucContext::Sighup,
        GucFlags::UNIT_MIN,
    );
    GucRegistry::define_int_guc(
        c"courier.other_retry_time",
        c"How long a task tries again after passing errors such as deadlocks, timeouts or a full disk.",
        c"In minutes; keep it below courier.connection_retry_time.",
        &OTHER_RETRY_TIME,
        1,
        1440,
        GucContext::Sighup,
        GucFlags::UNIT_MIN,
    );
    GucRegistry::define_int_guc(
        c"courier.max_sync_workers_per_task",
        c"How many tables of a task are copied at the same time.",
        c"Each takes a background worker and a connection to the destination.",
        &SYNC_WORKERS,
        1,
        MAX_SYNC_WORKERS as i32 - 1,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"courier.sequence_interval",
        c"How often sequence values are brought to the destination.",
        c"In seconds; wait_for brings them as well.",
        &SEQUENCE_INTERVAL,
        1,
        3600,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    if cfg!(feature = "failpoints") {
        GucRegistry::define_string_guc(
            c"courier.failpoints",
            c"Places where workers fail on purpose; for tests.",
            c"A list of name:action; actions are kill, error and wait.",
            &FAILPOINTS,
            GucContext::Sighup,
            GucFlags::NO_SHOW_ALL,
        );
    }
}

const MINUTE: u64 = 60;

pub fn connection_retry_time() -> Duration {
    Duration::from_secs(CONNECTION_RETRY_TIME.get().max(1) as u64 * MINUTE)
}

/// Never longer than the time for lost connections.
pub fn other_retry_time() -> Duration {
    Duration::from_secs(OTHER_RETRY_TIME.get().max(1) as u64 * MINUTE).min(connection_retry_time())
}

pub fn sync_workers() -> u32 {
    SYNC_WORKERS.get().max(1) as u32
}

pub fn sequence_interval() -> Duration {
    Duration::from_secs(SEQUENCE_INTERVAL.get().max(1) as u64)
}

#[cfg(feature = "failpoints")]
pub fn failpoints() -> String {
    FAILPOINTS.get().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}
