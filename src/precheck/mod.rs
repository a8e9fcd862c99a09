//! Prechecks: whether a task will work, asked before anything is created.
//!
//! ```text
//!   Subject (a task, or server + patterns) -> facts -> questions on the source (SPI, rights of the caller)
//!                                                  \-> questions on the destination (rights of the mapped user)
//!   answers (item, status, object, detail, fix, place) -> with the items' definitions -> Findings, the worst first
//! ```
//! A question is a file of `sql/query/precheck/`. Each answers for many items and for all tables at once, so the number of
//! queries does not depend on the number of tables. What an item is stands in [`items`], once.

mod called;
pub mod connection;
#[cfg(test)]
mod docs;
mod extensions;
mod findings;
mod foreign;
pub mod gate;
pub mod ignored;
mod items;
mod leftovers;
mod minors;
mod named_values;
mod schema;
mod source;
mod subject;
mod there;
mod untrusted;

use std::cell::OnceCell;
use std::collections::HashMap;

pub use findings::{Finding, Status};
pub use items::{Item, Severity, all, find};
use subject::Facts;
pub use subject::Subject;

use crate::catalog::Task;
use crate::catalog::schema::Extent;
use crate::catalog::select;
use crate::error::Result;
use crate::logicalrep::array::oid_array;
use crate::pg::{spi, xact};

pub struct Report {
    pub findings: Vec<Finding>,
    /// The selected tables.
    pub tables: Vec<u32>,
    /// Queries asked on the source, and on the destination.
    pub queries: (usize, usize),
}

/// Asks everything. An error is one of the checks themselves, not a finding.
pub fn run(subject: &Subject) -> Result<Report> {
    spi::as_role(xact::user_id(), || {
        // The queries are long, and run once: compiling them takes longer than running them.
        spi::query("SELECT pg_catalog.set_config('jit', 'off', true)", &[])?;
        ask(subject)
    })
}

fn ask(subject: &Subject) -> Result<Report> {
    // What a task follows was decided when it started.
    let begun = subject.task.as_ref().filter(|_| subject.begun).map(|(task, _)| *task);
    let selection = match begun {
        Some(task) => select::of_task(task)?,
        None => subject.scope.selection()?,
    };
    let facts = subject.facts(&selection)?;
    let tables: Vec<u32> = selection.tables.iter().map(|t| t.oid).collect();
    let mut check = Check {
        subject,
        facts,
        oids: oid_array(tables.iter().copied()),
        findings: Vec::new(),
        skipped: HashMap::new(),
        code_schemas: Vec::new(),
        queries: (2, 0),
        extent: OnceCell::new(),
    };
    check.source(&selection)?;
    if let Some(task) = begun {
        check.coverage(&Task::by_id(task)?)?;
    }
    check.destination(&selection)?;
    let (mut findings, queries) = (check.complete(), check.queries);
    if let Some((task, _)) = &subject.task {
        ignored::apply(*task, &mut findings)?;
    }
    findings.sort_by_key(|finding| finding.status);
    Ok(Report { findings, tables, queries })
}

struct Check<'a> {
    subject: &'a Subject,
    facts: Facts,
    oids: String,
    findings: Vec<Finding>,
    /// Items that could not be looked at, with the reason.
    skipped: HashMap<&'static str, String>,
    /// Where code of users is looked for on the destination.
    code_schemas: Vec<String>,
    queries: (usize, usize),
    /// What schema_sync is to create, once it was asked for.
    extent: OnceCell<Extent>,
}
