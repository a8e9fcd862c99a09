//! What the owner of the task may do on the source.

use super::Concerns::{All, Incremental};
use super::Item;

pub const ITEMS: &[Item] = &[
    Item::failed("user_mapping", "rights", All, "The owner may use the server and has a user mapping on it."),
    Item::failed(
        "owner_replication",
        "rights",
        Incremental,
        "The owner has attribute REPLICATION, or is a superuser: decoding sees every column of the tables.",
    ),
    Item::failed("source_schema_usage", "rights", All, "The owner has USAGE on the schemas of the tables."),
    Item::failed("source_table_select", "rights", All, "The owner has SELECT on every table."),
    Item::failed(
        "source_row_security",
        "rights",
        All,
        "No policy hides rows from the owner: a copy that silently lacks rows is no copy.",
    ),
];
