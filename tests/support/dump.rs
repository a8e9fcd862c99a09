//! What two databases are, as `pg_dump -s` says it: statements without those that a dump has for itself, each with the number of its
//! appearances, as their order may differ.

use std::collections::BTreeMap;
use std::fmt;

use crate::compare::Side;
use crate::majors;

/// Whether grants are part of it. Owners never are: all that a task creates belongs to its login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Privileges {
    LeftOut,
    Dumped,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dump(BTreeMap<String, usize>);

impl Dump {
    /// Of the schemas that match a pattern of pg_dump.
    pub fn of((cluster, database): Side, schemas: &str, privileges: Privileges) -> Dump {
        let mut program = cluster.program("pg_dump", database);
        program.args(["-s", "--no-owner", "-n", schemas]);
        if privileges == Privileges::LeftOut {
            program.arg("--no-privileges");
        }
        let output = program.output().expect("pg_dump runs");
        let errors = String::from_utf8_lossy(&output.stderr);
        if errors.contains("no matching schemas were found") {
            return Dump::default();
        }
        assert!(output.status.success(), "{errors}");
        Dump::read(&String::from_utf8_lossy(&output.stdout))
    }

    fn read(text: &str) -> Dump {
        let lines = text.lines().filter(|line| !line.starts_with("--") && !line.starts_with('\\') && !line.is_empty());
        let joined = lines.collect::<Vec<_>>().join("\n");
        let mut statements = BTreeMap::new();
        for statement in joined.split(";\n").map(str::trim) {
            let setting = statement.starts_with("SET ") || statement.starts_with("SELECT pg_catalog.set_config");
            // Kept by some minors for themselves; a pg_dump of another major does not know that.
            let internal = statement.contains(" SET (pg_attver=");
            if setting || internal {
                continue;
            }
            for statement in majors::common(statement.trim_end_matches(';')) {
                if !statement.is_empty() {
                    *statements.entry(statement).or_default() += 1;
                }
            }
        }
        Dump(statements)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What only one of them has; `None` when they are equal.
    pub fn difference(&self, other: &Dump) -> Option<DumpDifference> {
        let only = |a: &Dump, b: &Dump| -> Vec<String> {
            a.0.iter().filter(|(s, n)| b.0.get(*s) != Some(n)).map(|(s, _)| s.clone()).collect()
        };
        let difference = DumpDifference { only_source: only(self, other), only_destination: only(other, self) };
        (self != other).then_some(difference)
    }
}

/// Statements of one dump that the other lacks, or has another number of times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DumpDifference {
    pub only_source: Vec<String>,
    pub only_destination: Vec<String>,
}

impl fmt::Display for DumpDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for statement in &self.only_source {
            writeln!(f, "  only on the source:      {statement}")?;
        }
        for statement in &self.only_destination {
            writeln!(f, "  only on the destination: {statement}")?;
        }
        Ok(())
    }
}
