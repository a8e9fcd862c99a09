//! The way to the destination, its server, and its tables.

use super::Concerns::{All, Commands, CopyIntoExisting, ExistingTables, Incremental, SchemaSync};
use super::{Category, Item};

const CONNECTIVITY: Category = Category("connectivity");
const DESTINATION: Category = Category("destination");
const DESTINATION_TABLES: Category = Category("destination tables");

/// The steps of `courier.test_connection()`.
pub const CONNECTION: &[Item] = &[
    CONNECTIVITY.failed("destination_resolve", All, "The host name of the server resolves."),
    CONNECTIVITY.failed("destination_connect", All, "The destination answers."),
    CONNECTIVITY.failed("destination_tls", All, "TLS works as the options of the server ask for."),
    CONNECTIVITY.failed("destination_login", All, "The destination accepts user and password."),
    CONNECTIVITY.failed(
        "destination_session",
        All,
        "The connection has a session of its own. A pooler in transaction or statement mode between shares sessions: what a task \
         sets for its own (triggers off, another search_path) would reach other clients of the pool.",
    ),
    CONNECTIVITY.failed(
        "destination_database",
        All,
        "The database exists, and accepts writes: a primary, not a standby or a read-only instance.",
    ),
];

pub const SERVER: &[Item] = &[
    DESTINATION.failed(
        "destination_version",
        All,
        "The destination has the same or a later major version: an older one may not know a type or a clause.",
    )
    .or_ignore(),
    DESTINATION.failed(
        "destination_encoding",
        All,
        "The destination's encoding can hold the source's text: the same one, or UTF8.",
    )
    .or_ignore(),
    DESTINATION.warning("destination_locale", All, "Both databases sort and fold text the same way."),
    DESTINATION.failed(
        "destination_create",
        All,
        "The user may create what is missing: the schema of the task's own tables there, and the schemas of the tables with schema_sync.",
    ),
    DESTINATION.failed(
        "destination_schema",
        All,
        "The user has USAGE on the schemas that are there, and CREATE with schema_sync.",
    ),
    DESTINATION.failed(
        "destination_powers",
        All,
        "The user there is no superuser and no member of `pg_execute_server_program`, `pg_write_server_files` or \
         `pg_read_server_files`. Whoever owns a table decides what constraints, defaults, indexes, policies and triggers do, and they run \
         with that user's rights; where commands are applied, also what they write later. A warning when only superusers and the owner of the task own the tables.",
    )
    .or_ignore(),
    DESTINATION.failed(
        "destination_extensions",
        All,
        "Extensions that the task needs are there, in the same schema, or the user can create them. Another version is a warning, and so is \
         one that is not to be had, where nothing that is created is known to need it: it comes because a pattern names all of its schema, \
         and is left out; or one that is not there and whose foreign-data wrapper servers use.",
    ),
    DESTINATION.warning(
        "destination_extension_rows",
        All,
        "Rows that users have put into tables of extensions, as `pg_dump` takes them along, can be read here and written there. Those by \
         which an extension acts on this server, like the jobs of pg_cron, do not travel.",
    ),
    DESTINATION.failed(
        "destination_connections",
        All,
        "Free connections: one for the supervisor, one for changes, one for each table copied at the same time.",
    ),
    DESTINATION.failed(
        "destination_names",
        SchemaSync,
        "No name that the task needs belongs to something else there: a type with other labels, a sequence with another increment, \
         an index of another table. What is there and the same counts as created.",
    ),
    DESTINATION.failed(
        "cannot_create",
        SchemaSync,
        "Every table can be created: a column, a partition key or a type may need something that the task does not create and the \
         destination does not have (a function, a text search configuration, a view). Make it there, or leave the table out.",
    ),
    DESTINATION.failed(
        "destination_roles",
        SchemaSync,
        "Roles that row security policies name exist there: without a policy a table could show what the source hides.",
    ),
    DESTINATION.warning(
        "destination_grantees",
        SchemaSync,
        "Roles that may do something with the objects exist there: what is granted to others is left out, and nothing gives it to them later.",
    ),
    DESTINATION.failed(
        "row_security",
        SchemaSync,
        "Every policy can be created. Where a restrictive one cannot, the task creates no permissive one either: with row security \
         enabled nobody but the owner sees rows. Ignore the item if that is what you want.",
    )
    .or_ignore(),
    DESTINATION.failed(
        "destination_default_privileges",
        SchemaSync,
        "Default privileges of the user do not open what the task creates (tables, views, sequences, routines, types, schemas) to roles that may not use it on the source.",
    )
    .or_ignore(),
    DESTINATION.warning(
        "destination_locks",
        SchemaSync,
        "The lock table holds the locks of creating a hundred tables in one transaction (`max_locks_per_transaction`).",
    ),
    DESTINATION.warning(
        "destination_size",
        All,
        "How much will come. SQL cannot ask a server for its free disk space: compare the figure yourself.",
    ),
    DESTINATION.failed(
        "destination_is_source",
        All,
        "The destination is another database than the source: otherwise each change would be applied to the table that it comes from.",
    ),
    DESTINATION.failed(
        "destination_helper_schema",
        All,
        "The schema of the task's own tables there, if there is one, belongs to the user or a superuser, nobody has put code on its tables, and it is not of a later pg_courier.",
    ),
    DESTINATION.failed(
        "destination_same_source",
        All,
        "No other task of this database writes the same tables there: every change would be applied twice.",
    ),
    DESTINATION.warning(
        "destination_marks",
        Incremental,
        "If the destination has the extension too: the user may be a replica, so that a task there believes which changes came from \
         here. Otherwise a task that faces this one stops.",
    ),
    DESTINATION.warning(
        "destination_other_task",
        All,
        "No other task writes into the same tables. Several sources in one table is legal if their keys do not meet.",
    ),
];

pub const TABLES: &[Item] = &[
    DESTINATION_TABLES.failed(
        "destination_replica_role",
        Incremental,
        "The user may set `session_replication_role`, which keeps triggers and foreign keys quiet; only tables with either need it.",
    ),
    DESTINATION_TABLES.failed(
        "destination_tables_exist",
        SchemaSync,
        "No relation of the same name is there: the task creates its tables and does not take over strange ones.",
    ),
    DESTINATION_TABLES.failed(
        "destination_tables_missing",
        ExistingTables,
        "Without schema_sync every table is there.",
    ),
    DESTINATION_TABLES.failed(
        "destination_not_empty",
        CopyIntoExisting,
        "The tables are empty: a copy would mix with rows that are there.",
    ),
    DESTINATION_TABLES.failed(
        "destination_columns",
        ExistingTables,
        "The tables have all columns, and no others that must be filled.",
    ),
    DESTINATION_TABLES.warning("destination_column_types", ExistingTables, "The columns have the same types."),
    DESTINATION_TABLES.failed(
        "generated_columns",
        ExistingTables,
        "A column that is generated on the destination only cannot be written.",
    ),
    DESTINATION_TABLES.failed("destination_types", ExistingTables, "The destination knows the types of the columns."),
    DESTINATION_TABLES.failed(
        "destination_collations",
        All,
        "The destination knows the collations of the columns; those of the operating system come with its locales.",
    ),
    DESTINATION_TABLES.warning(
        "destination_keys",
        ExistingTables,
        "A unique index covers the key by which rows are found.",
    ),
    DESTINATION_TABLES.warning(
        "destination_triggers",
        All,
        "No trigger is enabled ALWAYS or REPLICA: it would act on replicated changes. With schema_sync such triggers are created so that \
         they do not.",
    ),
    DESTINATION_TABLES.warning(
        "destination_search_path",
        ExistingTables,
        "Functions that checks, generated columns, indexes and domains of the tables call have `SET search_path`, or are in a schema that \
         sessions of the task look into: one of the search_path of the source database in which nobody else may create there. Elsewhere a \
         body that names tables or functions without a schema does not find them.",
    ),
    DESTINATION_TABLES.warning("destination_rules", ExistingTables, "No rule changes what is written."),
    DESTINATION_TABLES.failed(
        "destination_table_privileges",
        ExistingTables,
        "The user may write the tables: SELECT, INSERT, UPDATE, DELETE, TRUNCATE.",
    ),
    DESTINATION_TABLES.failed(
        "destination_ddl_rights",
        Commands,
        "The user may do what commands of the source ask for: create schemas, create in the schemas of the tables, alter the tables and \
         the types that are there, which takes their owner or a member of it.",
    )
    .or_ignore(),
    DESTINATION_TABLES.warning(
        "destination_event_triggers",
        Commands,
        "No event trigger of the destination fires for commands that the task applies there: one that refuses them stops the task, \
         one that changes what they made makes both sides differ.",
    ),
    DESTINATION_TABLES.failed(
        "destination_row_security",
        All,
        "No row security on the tables hides rows from the user.",
    ),
];
