//! The selected tables on the source, and what hangs on them.

use super::Concerns::{All, Incremental};
use super::Item;

pub const ITEMS: &[Item] = &[
    Item::warning(
        "replica_identity",
        "tables",
        Incremental,
        "Every table has a replica identity. Without one only INSERT and TRUNCATE can be applied; the first UPDATE or DELETE stops the \
         task. See `courier.replica_identity()`.",
    ),
    Item::warning(
        "unsuitable_index",
        "tables",
        Incremental,
        "Unique indexes that look like a key but cannot be one: deferrable, partial, on an expression, or with a column that may be null.",
    ),
    Item::warning(
        "replica_identity_full",
        "tables",
        Incremental,
        "Tables with REPLICA IDENTITY FULL that have a key: FULL costs WAL on each UPDATE and DELETE.",
    ),
    Item::warning(
        "no_equality",
        "tables",
        Incremental,
        "Tables whose rows are found by all columns while a type has no equality operator (json, xml, point): it is compared as text.",
    ),
    Item::warning(
        "left_out",
        "objects",
        All,
        "What the patterns name and no task can carry: unlogged and temporary tables (not in the WAL), foreign tables, \
         materialized views.",
    ),
    Item::warning("foreign_keys", "objects", All, "Both sides of each foreign key are covered."),
    Item::warning(
        "loose_sequences",
        "objects",
        All,
        "Sequences of the covered schemas that belong to no covered table.",
    ),
    Item::warning("sequence_end", "objects", All, "Sequences that have used more than 80 % of their values."),
    Item::warning("inheritance", "objects", All, "Parents and children of an inheritance tree are covered together."),
    Item::warning("partitions", "objects", All, "Every partition of a covered partitioned table is covered."),
    Item::warning("large_objects", "objects", All, "Large objects are not carried."),
    Item::warning(
        "names_by_case",
        "objects",
        All,
        "Names that differ only by case: legal, and a trap for every tool that folds names.",
    ),
    Item::warning(
        "long_names",
        "objects",
        All,
        "Names that grow over 63 bytes when they are converted to UTF-8: the destination would cut them.",
    ),
    Item::warning(
        "collation_version",
        "objects",
        All,
        "Collations made with another version of their library: unique indexes of the source may already hold duplicates.",
    ),
];
