//! The source server: versions, settings, resources, activity.

use super::Concerns::{All, Commands, Incremental};
use super::{Category, Item};

const VERSION: Category = Category("version");
const SETTINGS: Category = Category("settings");
const WAL: Category = Category("wal");
const ACTIVITY: Category = Category("activity");

pub const ITEMS: &[Item] = &[
    VERSION.failed(
        "source_version",
        All,
        "The source is PostgreSQL 13 to 18: what the extension was written for.",
    )
    .or_ignore(),
    VERSION.warning(
        "minor_version",
        Incremental,
        "The minor version has the known fixes of logical decoding. Until 14.18, 15.13, 16.9 and 17.5 (May 2025) a table definition \
         changed by one transaction was not made known to others that were open at the same time, and their changes could be \
         decoded wrongly or left out; the first fix could run out of memory, which the releases of August 2025 \
         (14.19, 15.14, 16.10, 17.6) repaired. Source: the release notes of PostgreSQL, and commit 4909b38af0 with the one \
         of 2025-06-16 that follows it.",
    ),
    SETTINGS.failed("wal_level", Incremental, "`wal_level = logical`: without it the WAL lacks what decoding needs."),
    SETTINGS.failed(
        "max_replication_slots",
        Incremental,
        "A free replication slot. A task has one from start to drop, also while it is paused.",
    ),
    SETTINGS.warning(
        "max_wal_senders",
        Incremental,
        "WAL senders for standbys and backups. A task decodes inside the server and takes none; from PostgreSQL 16 on, with \
         `max_wal_senders = 0`, a commit is noticed within 100 ms instead of at once.",
    ),
    SETTINGS.failed(
        "max_worker_processes",
        All,
        "Background workers: a supervisor and an apply worker for each task, one for each table copied at the same time \
         (`courier.max_sync_workers_per_task`), and one for a moment. Too few for the first table is a failure, too \
         few for all is a warning.",
    ),
    SETTINGS.warning(
        "shared_preload_libraries",
        All,
        "`pg_courier` among the preloaded libraries: then tasks go on by themselves after a restart of the server.",
    ),
    WAL.warning(
        "wal_retention",
        Incremental,
        "Room for the WAL that a task keeps while it copies or stands still, in hours at the average rate of this server: 24 hours \
         for changes alone, 7 days with a full copy. The limit is `max_slot_wal_keep_size`, or the free space of `pg_wal`. \
         (`wal_keep_size` does not protect a slot.)",
    ),
    WAL.warning("disk_wal", All, "Free space where `pg_wal` is, against `courier.disk_free_warning`."),
    WAL.warning("disk_data", All, "Free space where the data directory is, against `courier.disk_free_warning`."),
    SETTINGS.warning(
        "logical_decoding_work_mem",
        Incremental,
        "At least 64 MB for the changes of running transactions before they go to disk.",
    ),
    SETTINGS.failed(
        "ddl_event_triggers",
        Commands,
        "The event triggers that capture commands exist and are enabled ALWAYS, and from PostgreSQL 17 on no setting switches event \
         triggers off, for the server, this database or a role. A command that is not captured stops the task at the first row that \
         does not fit any more.",
    )
    .or_ignore(),
    ACTIVITY.warning(
        "long_transactions",
        All,
        "No transaction is open for longer than `courier.long_transaction`: a new slot waits for it, and its WAL stays.",
    ),
    ACTIVITY.warning(
        "prepared_transactions",
        All,
        "No prepared transaction is left over: a new slot waits for it, and it holds back vacuum.",
    ),
    ACTIVITY.warning(
        "xid_age",
        All,
        "The distance to transaction ID wraparound, against `courier.xid_age_warning`: a slot holds back the vacuum of catalogs.",
    ),
    WAL.warning(
        "inactive_slots",
        All,
        "No slot that nobody reads keeps more WAL than `courier.retained_wal_warning`, or is lost.",
    ),
    WAL.warning(
        "standbys",
        Incremental,
        "Physical slots mean standbys. From PostgreSQL 17 on a standby with `sync_replication_slots` has a copy of a task's slot, and the task \
         goes on there after a failover; `synchronized_standby_slots` keeps the destination from being ahead of it. Before, the task has to \
         be created anew.",
    ),
    SETTINGS.warning(
        "hba_rules",
        All,
        "`pg_hba.conf` can be read by the server. A task needs no rule of its own on the source: it opens no connection there. \
         Only seen by roles that may read `pg_hba_file_rules`.",
    ),
    SETTINGS.warning(
        "health_check",
        All,
        "Something calls `courier.health_check()`: the extension every `courier.health_interval`, or a scheduler.",
    ),
];
