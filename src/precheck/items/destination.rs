//! The way to the destination, its server, and its tables.

use super::Concerns::{All, CopyIntoExisting, ExistingTables, Incremental, SchemaSync};
use super::Item;

/// The steps of `courier.test_connection()`.
pub const CONNECTION: &[Item] = &[
    Item::failed("destination_resolve", "connectivity", All, "The host name of the server resolves."),
    Item::failed("destination_connect", "connectivity", All, "The destination answers."),
    Item::failed("destination_tls", "connectivity", All, "TLS works as the options of the server ask for."),
    Item::failed("destination_login", "connectivity", All, "The destination accepts user and password."),
    Item::failed(
        "destination_database",
        "connectivity",
        All,
        "The database exists, and accepts writes: a primary, not a standby or a read-only instance.",
    ),
];

pub const SERVER: &[Item] = &[
    Item::failed(
        "destination_version",
        "destination",
        All,
        "The destination has the same or a later major version: an older one may not know a type or a clause.",
    )
    .or_ignore(),
    Item::failed(
        "destination_encoding",
        "destination",
        All,
        "The destination's encoding can hold the source's text: the same one, or UTF8.",
    )
    .or_ignore(),
    Item::warning("destination_locale", "destination", All, "Both databases sort and fold text the same way."),
    Item::failed(
        "destination_create",
        "destination",
        All,
        "The user may create what is missing: schema `courier`, and the schemas of the tables with schema_sync.",
    ),
    Item::failed(
        "destination_schema",
        "destination",
        All,
        "The user has USAGE on the schemas that are there, and CREATE with schema_sync.",
    ),
    Item::failed(
        "destination_extensions",
        "destination",
        All,
        "Extensions that the tables' types and indexes need are there, or the user can create them. Another version is a warning.",
    ),
    Item::failed(
        "destination_connections",
        "destination",
        All,
        "Free connections: one for the supervisor, one for changes, one for each table copied at the same time.",
    ),
    Item::warning(
        "destination_locks",
        "destination",
        SchemaSync,
        "The lock table holds the locks of creating all tables in one transaction (`max_locks_per_transaction`).",
    ),
    Item::warning(
        "destination_size",
        "destination",
        All,
        "How much will come. SQL cannot ask a server for its free disk space: compare the figure yourself.",
    ),
    Item::warning(
        "destination_other_task",
        "destination",
        All,
        "No other task writes into the same tables. Several sources in one table is legal if their keys do not meet.",
    ),
];

pub const TABLES: &[Item] = &[
    Item::failed(
        "destination_replica_role",
        "destination tables",
        Incremental,
        "The user may set `session_replication_role`, which keeps triggers and foreign keys quiet; only tables with either need it.",
    ),
    Item::failed(
        "destination_tables_exist",
        "destination tables",
        SchemaSync,
        "No relation of the same name is there: the task creates its tables and does not take over strange ones.",
    ),
    Item::failed(
        "destination_tables_missing",
        "destination tables",
        ExistingTables,
        "Without schema_sync every table is there.",
    ),
    Item::failed(
        "destination_not_empty",
        "destination tables",
        CopyIntoExisting,
        "The tables are empty: a copy would mix with rows that are there.",
    ),
    Item::failed(
        "destination_columns",
        "destination tables",
        ExistingTables,
        "The tables have all columns, and no others that must be filled.",
    ),
    Item::warning("destination_column_types", "destination tables", ExistingTables, "The columns have the same types."),
    Item::failed(
        "generated_columns",
        "destination tables",
        ExistingTables,
        "A column that is generated on the destination only cannot be written.",
    ),
    Item::failed(
        "destination_types",
        "destination tables",
        ExistingTables,
        "The destination knows the types of the columns.",
    ),
    Item::failed(
        "destination_collations",
        "destination tables",
        All,
        "The destination knows the collations of the columns; those of the operating system come with its locales.",
    ),
    Item::warning(
        "destination_keys",
        "destination tables",
        ExistingTables,
        "A unique index covers the key by which rows are found.",
    ),
    Item::warning(
        "destination_triggers",
        "destination tables",
        ExistingTables,
        "No trigger is enabled ALWAYS or REPLICA: it would act on replicated changes.",
    ),
    Item::warning("destination_rules", "destination tables", ExistingTables, "No rule changes what is written."),
    Item::failed(
        "destination_table_privileges",
        "destination tables",
        ExistingTables,
        "The user may write the tables: SELECT, INSERT, UPDATE, DELETE, TRUNCATE.",
    ),
    Item::failed(
        "destination_row_security",
        "destination tables",
        ExistingTables,
        "No row security on the tables hides rows from the user.",
    ),
];
