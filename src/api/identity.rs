//! What `courier.replica_identity()` and its kin ask of the extension. The work itself is in `sql/replica_identity.sql`.

use pgrx::prelude::*;

use super::arguments::seen_task;
use crate::pg::report;
use crate::pg::text::Text;
use crate::task::identity;

#[pg_extern(sql = false)]
fn task_relations(task: Option<Text>) -> SetOfIterator<'static, pg_sys::Oid> {
    let oids = report::unwrap(seen_task(task).and_then(|task| identity::relations(&task)));
    SetOfIterator::new(oids.into_iter().map(pg_sys::Oid::from))
}

#[pg_extern(sql = false)]
fn remember_identity(task: Text, relation: pg_sys::Oid) {
    report::unwrap(seen_task(Some(task)).and_then(|task| identity::remember(&task, relation.to_u32())));
}

#[pg_extern(sql = false)]
fn tasks_naming(relation: pg_sys::Oid) -> SetOfIterator<'static, i32> {
    SetOfIterator::new(report::unwrap(identity::naming(relation.to_u32())))
}
