//! `courier.create_task()`, `start`, `pause`, `resume`, `drop_task`, `adopt`, `alter_task`, `add_table`, `skip_change`.

use pgrx::prelude::*;

use super::arguments::{all_given, given, given_scope, given_task};
use crate::catalog::{ConflictPolicy, DdlPolicy};
use crate::logicalrep::Lsn;
use crate::pg::report;
use crate::pg::text::Text;
use crate::task::create::NewTask;
use crate::task::options::{self, Changes};
use crate::task::{adopt, code, commands, drop, policies, skip, start, stop, tables};

#[pg_extern(sql = false)]
#[allow(clippy::too_many_arguments)]
fn new_task(
    name: Option<Text>,
    server: Option<Text>,
    include: Option<Vec<Option<Text>>>,
    exclude: Option<Vec<Option<Text>>>,
    schema_sync: Option<bool>,
    full_copy: Option<bool>,
    incremental: Option<bool>,
    conflict: Option<Text>,
    forward_origins: Option<bool>,
    ddl: Option<Text>,
) -> i32 {
    let create = || {
        let new = NewTask {
            name: &given("name", name)?,
            server: &given("server", server)?,
            scope: given_scope(include, exclude, schema_sync, full_copy, incremental)?,
            conflict: ConflictPolicy::given(&given("conflict", conflict)?)?,
            forward_origins: given("forward_origins", forward_origins)?,
            ddl: ddl.map(|text| DdlPolicy::given(&text)).transpose()?,
        };
        new.create()
    };
    report::unwrap(create())
}

#[pg_extern(sql = false)]
fn start(task: Option<Text>) {
    report::unwrap(given_task(task).and_then(|task| start::run(&task)));
}

#[pg_extern(sql = false)]
fn resume(task: Option<Text>) {
    report::unwrap(given_task(task).and_then(|task| start::resume(&task)));
}

#[pg_extern(sql = false)]
fn pause(task: Option<Text>) {
    report::unwrap(given_task(task).and_then(|task| stop::pause(&task)));
}

#[pg_extern(sql = false)]
fn drop_task(task: Option<Text>, restore_replica_identity: Option<bool>) {
    report::unwrap(
        given_task(task)
            .and_then(|task| drop::drop_task(task, given("restore_replica_identity", restore_replica_identity)?)),
    );
}

#[pg_extern(sql = false)]
fn adopt(task: Option<Text>) {
    report::unwrap(given_task(task).and_then(|task| adopt::adopt(&task)));
}

#[pg_extern(sql = false)]
fn alter_options(
    task: Option<Text>,
    conflict: Option<Text>,
    forward_origins: Option<bool>,
    exclude: Option<Vec<Option<Text>>>,
    ddl: Option<Text>,
) {
    let alter = || {
        let task = given_task(task)?;
        let conflict = conflict.map(|text| ConflictPolicy::given(&text)).transpose()?;
        let exclude = exclude.map(|patterns| all_given("exclude", Some(patterns))).transpose()?;
        let ddl = ddl.map(|text| DdlPolicy::given(&text)).transpose()?;
        options::alter(&task, Changes { conflict, forward_origins, exclude, ddl })
    };
    report::unwrap(alter())
}

#[pg_extern(sql = false)]
fn add_table(task: Option<Text>, table: Option<pg_sys::Oid>) {
    report::unwrap(given_task(task).and_then(|task| tables::add(&task, given("table", table)?.to_u32())));
}

#[pg_extern(sql = false)]
fn ddl_skip(task: Option<Text>, id: Option<i64>) {
    report::unwrap(given_task(task).and_then(|task| commands::decide(&task, given("id", id)?, None)));
}

#[pg_extern(sql = false)]
fn ddl_replace(task: Option<Text>, id: Option<i64>, statement: Option<Text>) {
    let decide = || {
        let task = given_task(task)?;
        commands::decide(&task, given("id", id)?, Some(&given("statement", statement)?))
    };
    report::unwrap(decide());
}

#[pg_extern(sql = false)]
fn approve_ddl(task: Option<Text>, id: Option<i64>) {
    report::unwrap(given_task(task).and_then(|task| code::approve(&task, given("id", id)?)));
}

#[pg_extern(sql = false)]
fn trust_role(task: Option<Text>, role: Option<Text>) {
    report::unwrap(given_task(task).and_then(|task| code::trust(&task, &given("role", role)?)));
}

#[pg_extern(sql = false)]
fn distrust_role(task: Option<Text>, role: Option<Text>) {
    report::unwrap(given_task(task).and_then(|task| code::distrust(&task, &given("role", role)?)));
}

#[pg_extern(sql = false)]
fn set_ddl_policy(task: Option<Text>, kind: Option<Text>, policy: Option<Text>, pattern: Option<Text>) {
    let set = || {
        let task = given_task(task)?;
        policies::set(&task, &given("kind", kind)?, &given("policy", policy)?, &given("pattern", pattern)?)
    };
    report::unwrap(set());
}

#[pg_extern(sql = false)]
fn skip_change_at(task: Option<Text>, lsn: Option<Lsn>) {
    report::unwrap(given_task(task).and_then(|task| skip::skip(&task, given("lsn", lsn)?)));
}
