//! Whose marks count: the rows of the helper tables that say where a transaction came from.
//!
//! A transaction that a task of pg_courier applies here begins with a change of one of its helper tables
//! (`courier_applied`), with the name of the source in it. A task that reads it leaves out what came from its own
//! destination. So a mark hides changes from replication, and it must not be enough to give a table that name: a mark
//! counts if the owner of the table may play the replica anyway, which is what it takes to hide changes by the server's own
//! means. That is a superuser, a role with REPLICATION, or (from 15 on) one that may set `session_replication_role`.
//!
//! Who may do so is asked as of now, not as of the transaction: otherwise a grant would come too late for what is in the WAL.
//! A mark of anybody else is an error, as both answers could be wrong. To believe it could lose changes; not to believe it
//! sends them back where they came from, where they multiply. Once the table is dropped the changes are sent.

use std::collections::{HashMap, HashSet};

use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names::quote_ident;
use crate::logicalrep::{HELPER_SCHEMA, Lsn};

/// A row of a helper table: a task of pg_courier says that it applied the transaction here.
#[derive(Clone, Copy, Debug)]
pub struct Mark<'a> {
    pub table: u32,
    /// The owner of the table, on whose word it depends whether this is true.
    pub owner: u32,
    /// The database that the changes came from, as text.
    pub source: &'a [u8],
}

pub struct Marks {
    /// Roles whose marks count.
    pub trusted: HashSet<u32>,
    /// The helper tables that are there, with their owners.
    pub tables: HashMap<u32, TableOwner>,
    /// What is said here was so when WAL ended here.
    pub as_of: Lsn,
    /// Can the right to be a replica be granted by itself? It can from 15 on.
    pub has_parameter_privileges: bool,
}

#[derive(Clone, Debug)]
pub struct TableOwner {
    pub oid: u32,
    pub name: String,
}

/// What a mark is worth.
#[derive(Debug, PartialEq, Eq)]
enum Worth {
    Counts,
    /// Its table has been dropped since, and its owner was nobody to believe.
    Nothing,
    /// This role would have to be one to believe.
    Doubtful(String),
    /// The table or the role is newer than what is known.
    Unknown,
}

impl Marks {
    /// Does this mark count, in a transaction that committed at `commit_lsn`?
    pub fn believe(&self, mark: &Mark<'_>, commit_lsn: Lsn) -> Result<bool> {
        match self.worth(mark.owner, mark.table, commit_lsn) {
            Worth::Counts => Ok(true),
            Worth::Nothing => Ok(false),
            Worth::Unknown => Err(Error::new(
                sqlstate::OBJECT_IN_USE,
                format!("the tables of schema \"{HELPER_SCHEMA}\" are newer than what the apply worker knows of them"),
            )
            .detail("It starts again and looks at them.")),
            Worth::Doubtful(owner) => Err(doubt(&owner, self.has_parameter_privileges)),
        }
    }

    fn worth(&self, owner: u32, table: u32, commit_lsn: Lsn) -> Worth {
        if self.trusted.contains(&owner) {
            Worth::Counts
        } else if commit_lsn >= self.as_of {
            Worth::Unknown
        } else {
            self.tables.get(&table).map_or(Worth::Nothing, |owner| Worth::Doubtful(owner.name.clone()))
        }
    }

    /// Owners of helper tables whose marks would be errors.
    pub fn doubtful_owners(&self) -> Vec<&str> {
        let doubtful = self.tables.values().filter(|owner| !self.trusted.contains(&owner.oid));
        let mut names: Vec<&str> = doubtful.map(|owner| owner.name.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        names
    }
}

/// The statement that makes a role one whose marks count.
pub fn grant_to(role: &str, has_parameter_privileges: bool) -> String {
    let role = quote_ident(role);
    if has_parameter_privileges {
        format!("GRANT SET ON PARAMETER session_replication_role TO {role};")
    } else {
        format!("ALTER ROLE {role} REPLICATION;")
    }
}

fn doubt(owner: &str, has_parameter_privileges: bool) -> Error {
    let (role, grant) = (quote_ident(owner), grant_to(owner, has_parameter_privileges));
    Error::new(
        sqlstate::INSUFFICIENT_PRIVILEGE,
        format!("role {role} may not say that a transaction came from another server"),
    )
    .detail(format!(
        "The transaction has a row in a table of schema \"{HELPER_SCHEMA}\", which belongs to {role}, that says it was \
         applied here by pg_courier and is not to be sent. That is believed only of a superuser, and of a role with the \
         right to be a replica."
    ))
    .hint(format!(
        "If a task of another server writes here as {role}: {grant} If not, DROP SCHEMA {HELPER_SCHEMA} CASCADE; sends what \
         was to be hidden. Then SELECT courier.resume({{task}});"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks() -> Marks {
        Marks {
            trusted: [10, 20].into(),
            tables: [(500, TableOwner { oid: 30, name: "app".to_owned() })].into(),
            as_of: Lsn(1000),
            has_parameter_privileges: true,
        }
    }

    #[test]
    fn the_owner_decides_at_any_time_and_whatever_became_of_the_table() {
        for (table, lsn) in [(500, 900), (500, 1100), (501, 900), (501, 1100)] {
            assert_eq!(marks().worth(20, table, Lsn(lsn)), Worth::Counts);
        }
    }

    #[test]
    fn somebody_else_is_doubtful_as_long_as_the_table_is_there() {
        assert_eq!(marks().worth(30, 500, Lsn(900)), Worth::Doubtful("app".to_owned()));
        assert_eq!(marks().worth(30, 501, Lsn(900)), Worth::Nothing);
    }

    #[test]
    fn what_is_newer_is_looked_at_again() {
        assert_eq!(marks().worth(30, 501, Lsn(1000)), Worth::Unknown);
        assert_eq!(marks().worth(30, 500, Lsn(1100)), Worth::Unknown);
    }
}
