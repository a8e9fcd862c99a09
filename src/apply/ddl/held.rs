//! Parts of tables that are left out, because they need what the destination has not, or nobody trusts: rows are applied without them,
//! and somebody is told.

use std::collections::HashSet;

use crate::logicalrep::names::shown;
use crate::schema::image::{Image, Table};

/// Those that the later image leaves out, and the earlier one did not know of.
pub(super) fn held(before: &Image, after: &Image) -> Vec<String> {
    let known: HashSet<(u32, &str, u32)> = before.tables.iter().flat_map(left_out).map(|part| part.key()).collect();
    let new = after.tables.iter().flat_map(left_out).filter(|part| !known.contains(&part.key()));
    new.map(|part| format!("{} {} on {}", part.what, shown(part.name), part.table.name.shown())).collect()
}

struct LeftOut<'a> {
    table: &'a Table,
    what: &'static str,
    name: &'a str,
    oid: u32,
}

impl<'a> LeftOut<'a> {
    fn key(&self) -> (u32, &'a str, u32) {
        (self.table.oid, self.what, self.oid)
    }
}

fn left_out(table: &Table) -> impl Iterator<Item = LeftOut<'_>> {
    let part = move |what, name, oid| LeftOut { table, what, name, oid };
    let constraints = table.constraints.iter().filter(|of| of.blocked);
    let indexes = table.indexes.iter().filter(|of| of.blocked && of.constraint.is_none());
    let triggers = table.triggers.iter().filter(|of| of.blocked);
    let policies = table.policies.iter().filter(|of| of.blocked);
    let statistics = table.statistics.iter().filter(|of| of.blocked);
    // A default that is left out is one that is not there, but known.
    let defaults = table.columns.iter().filter(|of| of.default_oid.is_some() && of.expression.is_none());
    constraints
        .map(move |of| part("constraint", of.name.as_str(), of.oid))
        .chain(indexes.map(move |of| part("index", of.name.as_str(), of.oid)))
        .chain(triggers.map(move |of| part("trigger", of.name.as_str(), of.oid)))
        .chain(policies.map(move |of| part("policy", of.name.as_str(), of.oid)))
        .chain(statistics.map(move |of| part("statistics", of.name.name.as_str(), of.oid)))
        .chain(defaults.map(move |of| part("default of column", of.name.as_str(), of.default_oid.unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::image::{Constraint, ConstraintKind};
    use crate::schema::samples::{constraint, table};

    #[test]
    fn what_is_left_out_anew_is_told_once() {
        let image = |blocked: &[u32]| {
            let key = |oid: &u32| Constraint {
                blocked: true,
                ..constraint(*oid, &format!("k{oid}"), ConstraintKind::ForeignKey, "FOREIGN KEY (id) REFERENCES z.z")
            };
            let table = Table { constraints: blocked.iter().map(key).collect(), ..table(1, "t") };
            Image { tables: vec![table], ..Image::default() }
        };
        assert_eq!(held(&image(&[]), &image(&[5])), ["constraint k5 on s.t"]);
        assert_eq!(held(&image(&[5]), &image(&[5, 6])), ["constraint k6 on s.t"]);
        assert!(held(&image(&[5]), &image(&[5])).is_empty());
    }
}
