//! Both sides alike: the same definitions, by pg_dump, and the same rows.

use std::collections::BTreeSet;

use pg_courier_tests::compare::compare_table;
use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Cluster, Dump, Pair, Privileges};

use crate::common::TASK;

/// What is not alike in schemas that begin with a name.
pub fn difference(pair: &Pair, prefix: &str) -> Option<String> {
    definitions(pair, prefix).or_else(|| rows(pair, prefix, &tables(&pair.source, prefix)))
}

/// The same for rows of tables that both sides have.
pub fn difference_in_rows(pair: &Pair, prefix: &str) -> Option<String> {
    let there = tables(&pair.destination, prefix);
    let both = tables(&pair.source, prefix).intersection(&there).cloned().collect();
    rows(pair, prefix, &both)
}

/// Waits until the stream has passed, and what was left aside is done, then compares schema `public`.
#[track_caller]
pub fn assert_equal(pair: &Pair) {
    pair.caught_up(DATABASE, TASK);
    pair.source.wait_until(
        DATABASE,
        "nothing is left aside",
        "NOT EXISTS (SELECT FROM courier.ddl WHERE state = 'aside')",
    );
    if let Some(difference) = difference(pair, "public") {
        panic!("{difference}\n{}\n{}", pair.source.describe(DATABASE), pair.destination.log_tail(30));
    }
}

fn definitions(pair: &Pair, prefix: &str) -> Option<String> {
    let pattern = format!("{prefix}*");
    let dump = |cluster: &Cluster| Dump::of((cluster, DATABASE), &pattern, Privileges::Dumped);
    let (ours, theirs) = std::thread::scope(|scope| {
        let ours = scope.spawn(|| dump(&pair.source));
        let theirs = dump(&pair.destination);
        (ours.join().expect("pg_dump ends"), theirs)
    });
    ours.difference(&theirs).map(|difference| format!("the schemas differ\n{difference}"))
}

fn rows(pair: &Pair, prefix: &str, tables: &BTreeSet<String>) -> Option<String> {
    let there = self::tables(&pair.destination, prefix);
    let (source, destination) = ((&pair.source, DATABASE), (&pair.destination, DATABASE));
    let mut problems = String::new();
    for table in tables {
        if !there.contains(table) {
            problems += &format!("table {table} is not there\n");
            continue;
        }
        let difference = compare_table(source, destination, table, table);
        if difference.count > 0 {
            problems += &difference.to_string();
        }
    }
    (!problems.is_empty()).then_some(problems)
}

/// What has rows that are in the WAL.
fn tables(cluster: &Cluster, prefix: &str) -> BTreeSet<String> {
    let query = format!(
        "SELECT format('%I.%I', nspname, relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
         WHERE nspname LIKE {} AND relkind IN ('r', 'p', 'm') AND relpersistence = 'p'",
        literal(&format!("{prefix}%"))
    );
    cluster.rows(DATABASE, &query).into_iter().flatten().flatten().collect()
}
