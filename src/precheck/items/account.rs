//! What the owner of the task may do on the source.

use super::Concerns::{All, Incremental};
use super::{Category, Item};

const RIGHTS: Category = Category("rights");

pub const ITEMS: &[Item] = &[
    RIGHTS.failed("user_mapping", All, "The owner may use the server and has a user mapping on it."),
    RIGHTS.failed(
        "owner_replication",
        Incremental,
        "The owner has attribute REPLICATION, or is a superuser: decoding sees every column of the tables.",
    ),
    RIGHTS.failed("source_schema_usage", All, "The owner has USAGE on the schemas of the tables."),
    RIGHTS.failed("source_table_select", All, "The owner has SELECT on every table."),
    RIGHTS.failed(
        "source_row_security",
        All,
        "No policy hides rows from the owner: a copy that silently lacks rows is no copy.",
    ),
    RIGHTS.warning(
        "source_marks",
        Incremental,
        "Where other servers' tasks write into this database: their user there may be a replica, so that it is believed which changes \
         came from there. Otherwise the first transaction that came from this task's destination stops the task.",
    ),
];
