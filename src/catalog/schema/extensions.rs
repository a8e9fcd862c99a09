//! Extensions: those that bring something which is needed, and those whose schema the patterns of a task name as a whole, for what is written
//! in a text may need them and no catalog says so. Each comes with those that it requires.

use std::collections::{HashMap, HashSet};

use super::facts::{self, ask, list, number};
use crate::catalog::scope as task;
use crate::error::Result;
use crate::logicalrep::Row;
use crate::schema::image::{Class, Extension};
use crate::schema::scope::{Dependency, Object};

/// Extensions of the database with those that each requires, but for what every database has and pg_courier itself.
struct All {
    rows: Vec<Row>,
    requires: HashMap<u32, Vec<u32>>,
}

impl All {
    fn read() -> Result<All> {
        let rows = ask(include_str!("../../../sql/query/schema/extensions.sql"), &[])?;
        let mut requires: HashMap<u32, Vec<u32>> = HashMap::new();
        for row in &rows {
            let required = list(row, "requires")?;
            let required = required.iter().map(|value| number(value, "requires")).collect::<Result<_>>()?;
            requires.insert(row.parse("oid")?, required);
        }
        Ok(All { rows, requires })
    }
}

/// These and what they require; each after what it requires.
pub fn load(wanted: &HashSet<u32>) -> Result<Vec<Extension>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let All { rows, requires } = All::read()?;
    let needed = with_required(wanted, &requires);
    let mut found = Vec::new();
    for row in &rows {
        let oid = row.parse("oid")?;
        if needed.contains(&oid) {
            found.push(Extension {
                oid,
                level: height(oid, &requires, 0),
                name: row.string("extname")?,
                schema: row.string("nspname")?,
                version: row.string("extversion")?,
            });
        }
    }
    Ok(found)
}

/// Which of these require which.
pub fn requirements(extensions: &[Extension]) -> Result<Vec<Dependency>> {
    if extensions.is_empty() {
        return Ok(Vec::new());
    }
    let requires = All::read()?.requires;
    let of_one = |extension: &Extension| {
        let oid = extension.oid;
        requires.get(&oid).into_iter().flatten().map(move |required| Dependency::between_extensions(oid, *required))
    };
    Ok(extensions.iter().flat_map(of_one).collect())
}

/// Those in a schema that the patterns of a task name as a whole. What belongs to the server's own schemas is none of its objects.
pub fn named(scope: &task::Scope) -> Result<Vec<Object>> {
    let is_covered = scope.covers_schema()?;
    let All { rows, requires } = facts::at_one_moment(All::read)?;
    let is_users = |schema: &str| !schema.starts_with("pg_") && schema != "information_schema";
    let mut wanted = HashSet::new();
    for row in &rows {
        let schema = row.text("nspname")?;
        if is_users(schema) && is_covered(schema) {
            wanted.insert(row.parse("oid")?);
        }
    }
    let mut named: Vec<Object> =
        with_required(&wanted, &requires).into_iter().map(|oid| (Class::Extension, oid)).collect();
    named.sort_unstable();
    Ok(named)
}

/// Those that cannot be created without one of `missing`, and these.
pub fn with_requiring(missing: &HashSet<u32>) -> Result<HashSet<u32>> {
    let requires = facts::at_one_moment(All::read)?.requires;
    Ok(requiring(missing, &requires))
}

fn requiring(missing: &HashSet<u32>, requires: &HashMap<u32, Vec<u32>>) -> HashSet<u32> {
    let is_without = |oid: u32| !with_required(&HashSet::from([oid]), requires).is_disjoint(missing);
    requires.keys().copied().filter(|oid| is_without(*oid)).collect()
}

fn with_required(wanted: &HashSet<u32>, requires: &HashMap<u32, Vec<u32>>) -> HashSet<u32> {
    let mut all = wanted.clone();
    let mut waiting: Vec<u32> = wanted.iter().copied().collect();
    while let Some(oid) = waiting.pop() {
        let required = requires.get(&oid).into_iter().flatten();
        waiting.extend(required.filter(|oid| all.insert(**oid)));
    }
    all
}

/// How many extensions have to be there first, one after the other. (They form no circles; the server sees to that.)
fn height(oid: u32, requires: &HashMap<u32, Vec<u32>>, depth: i64) -> i64 {
    const DEEPEST: i64 = 100;
    let required = requires.get(&oid).into_iter().flatten().filter(|oid| requires.contains_key(oid));
    if depth == DEEPEST {
        return 0;
    }
    required.map(|oid| height(*oid, requires, depth + 1) + 1).max().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_come_after_what_they_require() {
        let requires = HashMap::from([(1, vec![2, 3]), (2, vec![3]), (3, vec![]), (4, vec![])]);
        assert_eq!(with_required(&HashSet::from([1]), &requires), HashSet::from([1, 2, 3]));
        assert_eq!(requiring(&HashSet::from([2]), &requires), HashSet::from([1, 2]));
        assert_eq!([1, 2, 3].map(|oid| height(oid, &requires, 0)), [2, 1, 0]);
        // plpgsql is no extension of the list.
        assert_eq!(height(5, &HashMap::from([(5, vec![99])]), 0), 0);
    }
}
