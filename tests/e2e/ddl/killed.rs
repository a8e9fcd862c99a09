//! The stories that matter most, with the apply worker killed in the middle: between a command's statements and the commit on the
//! destination, and between that commit and its being noted. Nothing is done twice, nothing is left out.

use super::case::Case;
use super::harness::{Accident, tell};
use super::{code, columns, indexes, partitions, scope, sessions, tables, types};

fn cases() -> Vec<Case> {
    let all = [
        columns::added(),
        columns::changed(),
        tables::made(),
        tables::dropped(),
        scope::cases(),
        partitions::cases(),
        indexes::cases(),
        types::cases(),
        sessions::cases(),
        code::code(),
    ];
    all.into_iter().flatten().filter(|case| case.killed).collect()
}

#[test]
fn killed_before_the_commit_there() {
    tell(cases(), Accident::KilledAt("apply_after_ddl"));
}

#[test]
fn killed_after_the_commit_there() {
    tell(cases(), Accident::KilledAt("apply_after_ddl_commit"));
}
