//! The selected tables on the source, and what hangs on them.

use super::Concerns::{All, Commands, Incremental, SchemaSync};
use super::{Category, Item};

const TABLES: Category = Category("tables");
const OBJECTS: Category = Category("objects");

pub const ITEMS: &[Item] = &[
    TABLES.warning(
        "replica_identity",
        Incremental,
        "Every table has a replica identity. Without one only INSERT and TRUNCATE can be applied; the first UPDATE or DELETE stops the \
         task. See `courier.replica_identity()`.",
    ),
    TABLES.warning(
        "unsuitable_index",
        Incremental,
        "Unique indexes that look like a key but cannot be one: deferrable, partial, on an expression, or with a column that may be null or is generated.",
    ),
    TABLES.warning(
        "replica_identity_full",
        Incremental,
        "Tables with REPLICA IDENTITY FULL that have a key: FULL costs WAL on each UPDATE and DELETE.",
    ),
    TABLES.warning(
        "no_equality",
        Incremental,
        "Tables whose rows are found by all columns while a type has no equality operator (json, xml, point): it is compared as text.",
    ),
    OBJECTS.warning(
        "left_out",
        All,
        "What no task carries: unlogged and temporary tables (not in the WAL), foreign tables; and, of the covered schemas and the \
         database, views and functions that cannot be created or that no pattern names, owners, and whatever else is not created. \
         `courier.plan()` lists all of it.",
    ),
    OBJECTS.warning(
        "leftovers",
        All,
        "Nothing is left of other replication tools: tables of Alibaba Cloud DTS (`dts_ddl_command`, `dts_postgres_heartbeat` and others in \
         schema `public`) and AWS DMS (`awsdms_ddl_audit`), and the event triggers that fill them. Patterns with wildcards leave such tables \
         out; one that names a table of your own exactly takes it.",
    ),
    OBJECTS.warning(
        "ddl_untrusted_owners",
        Commands,
        "Functions, views and rules of the covered names belong to superusers, to the owner of the task, or to roles that it trusts: on the \
         destination they run with the rights of the user there. Those of others are held when a command makes or changes them, until \
         `courier.approve_ddl()`.",
    ),
    OBJECTS.failed(
        "coverage",
        Incremental,
        "A task that has started follows what its patterns name: nothing was added since, renamed, dropped, or made unlogged. See \
         `courier.coverage()`.",
    ),
    OBJECTS.warning("foreign_keys", All, "Both sides of each foreign key are covered."),
    OBJECTS.warning(
        "loose_sequences",
        All,
        "Sequences that no column owns travel when a pattern names them, as `public.*` names all of a schema. The others stay behind.",
    ),
    OBJECTS.warning(
        "reg_columns",
        All,
        "Columns of types like `regclass` and `regproc`: their values travel as names, and a name that the destination does not know \
         stops the task. A failure where a value of a table of up to 64 MB names what is not there when the rows are copied, like a view.",
    ),
    OBJECTS.warning(
        "search_path",
        SchemaSync,
        "Functions that checks, generated columns, indexes and domains of the tables call find what their bodies name, or have `SET \
         search_path`: they are created on the destination as they are. Sessions of the task look there where a session of the database's \
         owner does on the source (its search_path), but for schemas in which others may create; indexes are built \
         with the server's own schema from 17 on. Of a body in SQL the server knows whether it finds all: then it is a failure.",
    ),
    OBJECTS.warning("sequence_end", All, "Sequences that have used more than 80 % of their values."),
    OBJECTS.warning("inheritance", All, "Parents and children of an inheritance tree are covered together."),
    OBJECTS.warning("partitions", All, "Every partition of a covered partitioned table is covered."),
    OBJECTS.warning("large_objects", All, "Large objects are in no stream: courier.copy_large_objects() copies them when it is called."),
    OBJECTS.warning(
        "names_by_case",
        All,
        "Names that differ only by case: legal, and a trap for every tool that folds names.",
    ),
    OBJECTS.warning(
        "long_names",
        All,
        "Names that grow over 63 bytes when they are converted to UTF-8: the destination would cut them.",
    ),
    OBJECTS.warning(
        "collation_version",
        All,
        "Collations made with another version of their library: unique indexes of the source may already hold duplicates.",
    ),
];
