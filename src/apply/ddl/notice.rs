//! Which tables the stream follows, as commands change it, and as the model says when a worker starts.

use std::rc::Rc;

use super::decide::Decided;
use crate::destination::ModelTable;
use crate::logicalrep::{CopySnapshot, Lsn, TableName};
use crate::schema::image::{Class, Table};
use crate::schema::model::Standing;
use crate::select::coverage::{Coverage, Followed};
use crate::select::interest::Interest;
use crate::transform::Route;

/// What was decided about tables.
pub(super) fn note(coverage: &mut Coverage, decided: &Decided) {
    for (oid, name, is_partitioned) in &decided.follow {
        if *is_partitioned {
            if !coverage.patterns.parents.contains(oid) {
                coverage.patterns.parents.push(*oid);
            }
            continue;
        }
        // One that had left comes back with all its rows.
        let known = coverage.followed.get(oid).map(|known| known.interest.clone());
        let interest = known.filter(Interest::is_any).unwrap_or(Interest::Everything);
        let table = decided.after.tables.iter().find(|table| table.oid == *oid);
        let route = Rc::new(Route::identity(name.clone()).feeding(table.map(Table::fed).unwrap_or_default()));
        coverage.followed.insert(*oid, Followed { route, now: Some(name.clone()), interest });
    }
    for (oid, name) in &decided.enter {
        // What the transaction goes on to write there is in the copy.
        coverage.leave(*oid, name.clone());
    }
    for oid in &decided.unfollow {
        coverage.followed.remove(oid);
        coverage.patterns.parents.retain(|parent| parent != oid);
        // One that is still there has left.
        if let Some((Some(schema), name)) = decided.store.get(&(Class::Relation, *oid)).map(|left| left.kept.name()) {
            coverage.leave(*oid, TableName::new(schema, name));
        }
    }
}

/// What the stream meets is judged by what has been applied, at any position. True when a table waits for its copy.
pub(super) fn adopt(coverage: &mut Coverage, tables: &[ModelTable]) -> bool {
    let mut lacks_copy = false;
    let is_followed = |table: &&ModelTable| table.standing.has_rows() && !coverage.patterns.exclude(&table.name);
    let (followed, left): (Vec<&ModelTable>, Vec<&ModelTable>) = tables.iter().partition(is_followed);
    coverage.start = CopySnapshot::nothing(Lsn::INVALID);
    coverage.missing.clear();
    coverage.joins = true;
    coverage.patterns.parents = followed.iter().filter(|table| table.is_partitioned).map(|table| table.oid).collect();
    let mut before = std::mem::take(&mut coverage.followed);
    for table in followed.into_iter().filter(|table| !table.is_partitioned) {
        let known = before.remove(&table.oid);
        // Before it is copied it gets its definition, and with that it is followed.
        lacks_copy |= table.standing == Standing::Entering;
        let interest = known.map_or(Interest::Everything, |known| known.interest);
        let route = Rc::new(Route::identity(table.name.clone()).feeding(table.fed.clone()));
        coverage.followed.insert(table.oid, Followed { route, now: Some(table.name.clone()), interest });
    }
    left.into_iter().for_each(|table| coverage.leave(table.oid, table.name.clone()));
    lacks_copy
}
