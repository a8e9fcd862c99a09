//! Every setting of the extension, in one place.

use std::ffi::CString;
use std::time::Duration;

use pgrx::guc::{GucContext, GucFlags, GucRegistry, GucSetting};

/// Tablesync workers a task may have; one place is kept for the worker that holds a snapshot, or does things aside.
pub const MAX_SYNC_WORKERS: usize = 16;

static CONNECTION_RETRY_TIME: GucSetting<i32> = GucSetting::<i32>::new(720);
static OTHER_RETRY_TIME: GucSetting<i32> = GucSetting::<i32>::new(10);
static SYNC_WORKERS: GucSetting<i32> = GucSetting::<i32>::new(2);
static SEQUENCE_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(10);
static DDL_AUDIT_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(600);
static HEARTBEAT_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(10);
static HEALTH_INTERVAL: GucSetting<i32> = GucSetting::<i32>::new(60);
static MAX_RETAINED_WAL: GucSetting<i32> = GucSetting::<i32>::new(-1);
static MAX_RETAINED_WAL_POLICY: GucSetting<WalPolicy> = GucSetting::<WalPolicy>::new(WalPolicy::Warn);
static RETAINED_WAL_WARNING: GucSetting<i32> = GucSetting::<i32>::new(1024);
static RETAINED_WAL_CRITICAL: GucSetting<i32> = GucSetting::<i32>::new(10 * 1024);
static LAG_WARNING: GucSetting<i32> = GucSetting::<i32>::new(60);
static LAG_CRITICAL: GucSetting<i32> = GucSetting::<i32>::new(600);
static DISK_FREE_WARNING: GucSetting<i32> = GucSetting::<i32>::new(20);
static DISK_FREE_CRITICAL: GucSetting<i32> = GucSetting::<i32>::new(10);
static DISK_FULL_WARNING: GucSetting<i32> = GucSetting::<i32>::new(1440);
static LONG_TRANSACTION: GucSetting<i32> = GucSetting::<i32>::new(300);
static XID_AGE_WARNING: GucSetting<i32> = GucSetting::<i32>::new(1_000_000_000);
static DDL_LOCK_ALERT: GucSetting<i32> = GucSetting::<i32>::new(10);
static EVENTS_KEPT: GucSetting<i32> = GucSetting::<i32>::new(10_000);
static ON_CAPTURE_ERROR: GucSetting<OnCaptureError> = GucSetting::<OnCaptureError>::new(OnCaptureError::Warn);
static DDL_INLINE_LIMIT: GucSetting<i32> = GucSetting::<i32>::new(256);
static FAILPOINTS: GucSetting<Option<CString>> = GucSetting::<Option<CString>>::new(None);

/// What happens when a task's slot keeps more WAL than `courier.max_retained_wal`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, pgrx::PostgresGucEnum)]
pub enum WalPolicy {
    /// An event, a line in the server log, an alert.
    #[name = c"warn"]
    Warn,
    /// The task is paused as well, with its slot.
    #[name = c"pause"]
    Pause,
    /// The slot is dropped: the source lives, the task has to be created anew.
    #[name = c"drop"]
    Drop,
}

/// What happens to a command whose effect could not be written into `courier.ddl_log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, pgrx::PostgresGucEnum)]
pub enum OnCaptureError {
    /// It stands; tasks that follow such commands stop when they meet what they were not told of.
    #[name = c"warn"]
    Warn,
    /// It fails with the error.
    #[name = c"fail"]
    Fail,
}

pub fn define() {
    GucRegistry::define_int_guc(
        c"courier.connection_retry_time",
        c"How long a task tries to reach a lost destination with pauses that grow to one minute.",
        c"In minutes; then a task that follows changes tries every five minutes, and one that only copies fails.",
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
        c"How many tables of a task are copied at the same time, and how many sessions build their keys and indexes.",
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
    GucRegistry::define_int_guc(
        c"courier.ddl_audit_interval",
        c"How often a task that follows commands looks for what has changed without one.",
        c"In seconds; 0 leaves it to courier.sweep().",
        &DDL_AUDIT_INTERVAL,
        0,
        86_400,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_enum_guc(
        c"courier.on_capture_error",
        c"What happens to a command whose effect could not be written into courier.ddl_log.",
        c"warn (it stands, and tasks stop where they meet it) or fail (it fails).",
        &ON_CAPTURE_ERROR,
        GucContext::Suset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"courier.ddl_inline_limit",
        c"Indexes and validations of tables that are larger than this on the destination, and materialized views that read more, do not hold up the stream.",
        c"In megabytes; another session does that, CONCURRENTLY where it can, as it does DETACH PARTITION CONCURRENTLY of any table. 0: whatever their size; -1: none, each is waited for.",
        &DDL_INLINE_LIMIT,
        -1,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_MB,
    );
    define_health();
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

/// `None` when tasks do not look by themselves.
pub fn ddl_audit_interval() -> Option<Duration> {
    let seconds = DDL_AUDIT_INTERVAL.get();
    (seconds > 0).then(|| Duration::from_secs(seconds as u64))
}

/// In bytes: what is larger is done aside; none where nothing is.
pub fn ddl_inline_limit() -> Option<i64> {
    match DDL_INLINE_LIMIT.get() {
        ..0 => None,
        // An empty table, too.
        0 => Some(-1),
        megabytes => Some(i64::from(megabytes) << 20),
    }
}

pub fn on_capture_error() -> OnCaptureError {
    ON_CAPTURE_ERROR.get()
}

/// Heartbeat, WAL guard, thresholds.
fn define_health() {
    GucRegistry::define_int_guc(
        c"courier.heartbeat_interval",
        c"How often a task writes its row of courier.heartbeat, to measure the delay and to move an idle slot.",
        c"In seconds; 0 switches it off.",
        &HEARTBEAT_INTERVAL,
        0,
        3600,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"courier.health_interval",
        c"How often the extension itself runs courier.health_check() in every database that has tasks.",
        c"In seconds; 0 leaves it to pg_cron or another scheduler.",
        &HEALTH_INTERVAL,
        0,
        3600,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"courier.max_retained_wal",
        c"WAL that a task's slot may keep before courier.max_retained_wal_policy acts.",
        c"In megabytes; -1 is no limit.",
        &MAX_RETAINED_WAL,
        -1,
        i32::MAX,
        GucContext::Sighup,
        GucFlags::UNIT_MB,
    );
    GucRegistry::define_int_guc(
        c"courier.retained_wal_warning",
        c"WAL kept by a slot that is a warning for courier.health().",
        c"In megabytes.",
        &RETAINED_WAL_WARNING,
        1,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_MB,
    );
    GucRegistry::define_int_guc(
        c"courier.retained_wal_critical",
        c"WAL kept by a slot that is critical for courier.health().",
        c"In megabytes.",
        &RETAINED_WAL_CRITICAL,
        1,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_MB,
    );
    GucRegistry::define_int_guc(
        c"courier.lag_warning",
        c"Delay of a destination that is a warning for courier.health().",
        c"In seconds.",
        &LAG_WARNING,
        1,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"courier.lag_critical",
        c"Delay of a destination that is critical for courier.health().",
        c"In seconds.",
        &LAG_CRITICAL,
        1,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"courier.disk_free_warning",
        c"Free space of a disk of the source below which it is a warning.",
        c"In percent of the disk.",
        &DISK_FREE_WARNING,
        0,
        100,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"courier.disk_free_critical",
        c"Free space of a disk of the source below which it is critical.",
        c"In percent of the disk.",
        &DISK_FREE_CRITICAL,
        0,
        100,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"courier.disk_full_warning",
        c"A slot that stands still is a warning if the disk would be full within this time.",
        c"In minutes, at the average rate of WAL.",
        &DISK_FULL_WARNING,
        1,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_MIN,
    );
    GucRegistry::define_int_guc(
        c"courier.long_transaction",
        c"A transaction open for longer is a warning.",
        c"In seconds.",
        &LONG_TRANSACTION,
        1,
        i32::MAX,
        GucContext::Userset,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"courier.xid_age_warning",
        c"Age of the database's oldest unfrozen transaction that is a warning.",
        c"In transactions.",
        &XID_AGE_WARNING,
        1000,
        2_000_000_000,
        GucContext::Userset,
        GucFlags::default(),
    );
    GucRegistry::define_int_guc(
        c"courier.ddl_lock_alert",
        c"A command that waits longer for locks on the destination is a warning, and an event.",
        c"In seconds.",
        &DDL_LOCK_ALERT,
        0,
        86_400,
        GucContext::Sighup,
        GucFlags::UNIT_S,
    );
    GucRegistry::define_int_guc(
        c"courier.events_kept",
        c"How many rows courier.events and courier.alerts keep.",
        c"The oldest go first.",
        &EVENTS_KEPT,
        100,
        1_000_000,
        GucContext::Sighup,
        GucFlags::default(),
    );
    GucRegistry::define_enum_guc(
        c"courier.max_retained_wal_policy",
        c"What happens when a task's slot keeps more WAL than courier.max_retained_wal.",
        c"warn, pause (the slot stays), or drop (the slot goes, and the task has to be created anew).",
        &MAX_RETAINED_WAL_POLICY,
        GucContext::Sighup,
        GucFlags::default(),
    );
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

/// `None` when heartbeats are off.
pub fn heartbeat_interval() -> Option<Duration> {
    let seconds = HEARTBEAT_INTERVAL.get();
    (seconds > 0).then(|| Duration::from_secs(seconds as u64))
}

/// `None` when the extension runs no health check by itself.
pub fn health_interval() -> Option<Duration> {
    let seconds = HEALTH_INTERVAL.get();
    (seconds > 0).then(|| Duration::from_secs(seconds as u64))
}

/// In bytes; `None` when there is no limit.
pub fn max_retained_wal() -> Option<u64> {
    u64::try_from(MAX_RETAINED_WAL.get()).ok().map(|megabytes| megabytes << 20)
}

pub fn ddl_lock_alert() -> Duration {
    Duration::from_secs(DDL_LOCK_ALERT.get().max(0) as u64)
}

/// In megabytes.
pub fn retained_wal_warning() -> i32 {
    RETAINED_WAL_WARNING.get()
}

/// In percent.
pub fn disk_free_warning() -> i32 {
    DISK_FREE_WARNING.get()
}

/// In seconds.
pub fn long_transaction() -> i32 {
    LONG_TRANSACTION.get()
}

pub fn xid_age_warning() -> i32 {
    XID_AGE_WARNING.get()
}

/// The thresholds of `courier.health()` by the names of their settings.
pub fn thresholds() -> [(&'static str, i32); 11] {
    [
        ("health_interval", HEALTH_INTERVAL.get()),
        ("max_retained_wal", MAX_RETAINED_WAL.get()),
        ("retained_wal_warning", RETAINED_WAL_WARNING.get()),
        ("retained_wal_critical", RETAINED_WAL_CRITICAL.get()),
        ("lag_warning", LAG_WARNING.get()),
        ("lag_critical", LAG_CRITICAL.get()),
        ("disk_free_warning", DISK_FREE_WARNING.get()),
        ("disk_free_critical", DISK_FREE_CRITICAL.get()),
        ("disk_full_warning", DISK_FULL_WARNING.get()),
        ("ddl_lock_alert", DDL_LOCK_ALERT.get()),
        ("long_transaction", LONG_TRANSACTION.get()),
    ]
}

#[cfg(feature = "failpoints")]
pub fn failpoints() -> String {
    FAILPOINTS.get().map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}
