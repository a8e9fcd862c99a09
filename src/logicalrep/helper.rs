//! The names of the tables that a task keeps on its destination, for whoever meets them there: a server may be the
//! destination of one task and the source of another. All statements about them are made in `destination`.

/// The helper schema.
pub const HELPER_SCHEMA: &str = "courier_applied";

/// The helper tables with which each transaction begins that a task applies. Anybody may give a table such a name: the
/// selection judges by the owner.
pub const MARKS: [&str; 3] = ["courier_applied.progress", "courier_applied.table_progress", "courier_applied.marks"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_in_the_helper_schema() {
        assert!(MARKS.iter().all(|name| name.split_once('.').is_some_and(|(schema, _)| schema == HELPER_SCHEMA)));
    }
}
