//! Prechecks: whether a task will work, asked before anything is created.
//!
//! ```text
//!   Subject (a task, or server + patterns) -> facts -> questions on the source (SPI, rights of the caller)
//!                                                  \-> questions on the destination (rights of the mapped user)
//!   answers (item, status, object, detail, fix, place) -> with the items' definitions -> Findings, the worst first
//! ```
//! A question is a file of `sql/query/precheck/`. Each answers for many items and for all tables at once, so the number of
//! queries does not depend on the number of tables. What an item is stands in [`items`], once.

pub mod connection;
#[cfg(test)]
mod docs;
mod foreign;
pub mod ignored;
mod items;
mod minors;
mod schema;
mod subject;

use std::collections::HashMap;

use items::Concerns;
pub use items::{Item, Severity, all, find};
use subject::Facts;
pub use subject::Subject;

use crate::catalog::connection as mapping;
use crate::catalog::select::{self, Selection};
use crate::catalog::{Task, coverage, marks};
use crate::destination::{Destination, THIS_DATABASE};
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::Row;
use crate::logicalrep::names::{quote_ident, quote_literal, shown, shown_qualified};
use crate::pg::{spi, xact};

/// How an item stands, in the order in which findings are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    Failed,
    Warning,
    Ignored,
    Skipped,
    Ok,
}

impl Status {
    pub fn as_str(self) -> &'static str {
        match self {
            Status::Failed => "failed",
            Status::Warning => "warning",
            Status::Ignored => "ignored",
            Status::Skipped => "skipped",
            Status::Ok => "ok",
        }
    }
}

pub struct Finding {
    pub item: &'static Item,
    pub status: Status,
    pub object: Option<String>,
    pub detail: Option<String>,
    /// SQL that runs as printed.
    pub fix: Option<String>,
    /// Where it runs: `source`, `destination`; `reload` or `restart` (ALTER SYSTEM); `person` if someone has to decide.
    pub place: Option<String>,
}

impl Finding {
    fn plain(item: &'static Item, status: Status, detail: Option<String>) -> Finding {
        Finding { item, status, object: None, detail, fix: None, place: None }
    }
}

pub struct Outcome {
    pub findings: Vec<Finding>,
    /// The selected tables.
    pub tables: Vec<u32>,
    /// Queries asked on the source, and on the destination.
    pub queries: (usize, usize),
}

/// Asks everything. An error is one of the checks themselves, not a finding.
pub fn run(subject: &Subject) -> Result<Outcome> {
    spi::as_role(xact::user_id(), || {
        // The queries are long, and run once: compiling them takes longer than running them.
        spi::query("SELECT pg_catalog.set_config('jit', 'off', true)", &[])?;
        ask(subject)
    })
}

fn ask(subject: &Subject) -> Result<Outcome> {
    // What a task follows was decided when it started.
    let begun = subject.task.as_ref().filter(|_| subject.begun).map(|(task, _)| *task);
    let selection = match begun {
        Some(task) => select::of_task(task)?,
        None => subject.scope.selection()?,
    };
    let facts = subject.facts(&selection)?;
    let tables: Vec<u32> = selection.tables.iter().map(|t| t.oid).collect();
    let list: Vec<String> = tables.iter().map(u32::to_string).collect();
    let mut check = Check {
        subject,
        facts,
        oids: format!("{{{}}}", list.join(",")),
        findings: Vec::new(),
        skipped: HashMap::new(),
        queries: (2, 0),
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
    Ok(Outcome { findings, tables, queries })
}

struct Check<'a> {
    subject: &'a Subject,
    facts: Facts,
    oids: String,
    findings: Vec<Finding>,
    /// Items that could not be looked at, with the reason.
    skipped: HashMap<&'static str, String>,
    queries: (usize, usize),
}

impl Check<'_> {
    // ---- source -------------------------------------------------------------------------------------------------

    fn source(&mut self, selection: &Selection) -> Result<()> {
        self.versions()?;
        self.ask_source(include_str!("../../sql/query/precheck/server.sql"))?;
        let may_read_rules = spi::query_one(
            "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_hba_file_rules', 'SELECT') \
             AND pg_catalog.has_function_privilege('pg_catalog.pg_hba_file_rules()', 'EXECUTE')",
            &[],
        )?;
        self.queries.0 += 1;
        if may_read_rules.bool(0)? {
            self.ask_source(include_str!("../../sql/query/precheck/hba.sql"))?;
        } else {
            self.skipped.insert("hba_rules", "You may not read pg_hba_file_rules.".to_owned());
        }
        self.ask_source(include_str!("../../sql/query/precheck/account.sql"))?;
        self.ask_source(include_str!("../../sql/query/precheck/tables.sql"))?;
        self.marks()?;
        self.left_out(selection)
    }

    fn marks(&mut self) -> Result<()> {
        for owner in marks::read()?.doubtful_owners() {
            let detail = "Tables of schema \"courier_applied\" belong to it; it may not say that a transaction came from \
                          another server.";
            self.add("source_marks", None, Some(shown(owner)), Some(detail.to_owned()))?;
            if let Some(finding) = self.findings.last_mut() {
                // Only somebody who knows whether a task writes here under this name can tell.
                finding.fix = Some(format!("{} -- if it applies changes of pg_courier here", marks::grant_to(owner)));
                finding.place = Some("person".to_owned());
            }
        }
        Ok(())
    }

    /// What the patterns name, against what the task follows.
    fn coverage(&mut self, task: &Task) -> Result<()> {
        let gaps = coverage::gaps(task)?;
        for gap in &gaps {
            let detail = format!("{} {}", gap.detail(), gap.hint(task, &gaps));
            self.add("coverage", None, Some(gap.table().shown()), Some(detail))?;
        }
        Ok(())
    }

    fn versions(&mut self) -> Result<()> {
        let version = self.facts.source_version();
        if !minors::is_supported(version) {
            let detail = format!("It is PostgreSQL {}.", version / 10_000);
            self.add("source_version", None, None, Some(detail))?;
        }
        if let Some(fault) = minors::fault(version) {
            self.add("minor_version", None, None, Some(fault))?;
        }
        Ok(())
    }

    fn left_out(&mut self, selection: &Selection) -> Result<()> {
        for (table, reason) in selection.omitted.iter().filter(|(table, _)| table.refused.is_some()) {
            self.add("left_out", None, Some(table.shown()), Some(format!("It is an {reason}.")))?;
            if table.refused.is_some_and(|reason| reason.starts_with("unlogged"))
                && let Some(finding) = self.findings.last_mut()
            {
                // It rewrites the table under a lock, and somebody wanted it to be unlogged.
                finding.fix = Some(format!("ALTER TABLE {} SET LOGGED;", table.shown()));
                finding.place = Some("person".to_owned());
            }
        }
        let rows =
            spi::as_role(xact::user_id(), || spi::query(include_str!("../../sql/query/precheck/left_out.sql"), &[]))?;
        self.queries.0 += 1;
        let named = self.subject.scope.named()?;
        for row in &rows {
            let (schema, name) = (row.text(0)?, row.text(1)?);
            if named(schema, name) {
                let kind = if row.text(2)? == "f" { "a foreign table" } else { "a materialized view" };
                self.add("left_out", None, Some(shown_qualified(schema, name)), Some(format!("It is {kind}.")))?;
            }
        }
        self.objects_left_out(selection)?;
        self.loose_sequences()
    }

    fn ask_source(&mut self, sql: &str) -> Result<()> {
        let facts = self.facts.text();
        let rows = spi::as_role(xact::user_id(), || spi::query(sql, &[Some(&facts), Some(&self.oids)]))?;
        self.queries.0 += 1;
        rows.iter().try_for_each(|row| self.take_from_source(row))
    }

    // ---- destination --------------------------------------------------------------------------------------------

    fn destination(&mut self, selection: &Selection) -> Result<()> {
        let parameters = match mapping::parameters(self.subject.owner, self.subject.server) {
            Ok(parameters) => parameters,
            Err(error) => {
                self.add("user_mapping", None, None, Some(error.message().to_owned()))?;
                if let Some(finding) = self.findings.last_mut() {
                    finding.fix = error.hint_text().map(str::to_owned);
                    finding.place = Some("person".to_owned());
                }
                return Ok(());
            }
        };
        let tried = connection::try_connection(&parameters, !xact::is_superuser(self.subject.owner))?;
        for step in tried.steps {
            // Asked more closely by the queries.
            if step.step == "privileges" {
                continue;
            }
            let id = format!("destination_{}", step.step);
            let item = find(&id).ok_or_else(|| Error::internal(format!("no precheck item \"{id}\"")))?;
            let status = match step.status {
                "failed" => Status::Failed,
                "skipped" => Status::Skipped,
                _ => Status::Ok,
            };
            // The hint is advice, not SQL.
            let detail = match step.hint.filter(|_| status == Status::Failed) {
                Some(hint) => format!("{} {hint}", step.detail),
                None => step.detail,
            };
            let finding = Finding::plain(item, status, Some(detail));
            self.findings.push(finding);
        }
        match tried.session {
            Some(mut session) => self.ask_destination(selection, &mut session, tried.may_be_replica),
            None => Ok(()),
        }
    }

    fn ask_destination(
        &mut self,
        selection: &Selection,
        session: &mut Destination,
        may_be_replica: bool,
    ) -> Result<()> {
        let row = spi::as_role(xact::user_id(), || {
            let owner = self.subject.owner.to_string();
            let sql = include_str!("../../sql/query/precheck/source_facts.sql");
            spi::query_one(sql, &[Some(&self.oids), Some(&owner)])
        })?;
        self.queries.0 += 1;
        let (tables, extensions) = (row.string(0)?, row.string(1)?);
        self.facts.learn("needs_replica_role", row.bool(2)?);
        self.facts.learn("may_be_replica", may_be_replica);
        self.facts.learn("trusted_owners", row.bool(3)?);
        if session.is_too_old() {
            for item in items::all().filter(|item| item.category.starts_with("destination")) {
                self.skipped.insert(item.id, "The destination is older than PostgreSQL 13.".to_owned());
            }
            return self.add("destination_version", None, None, Some("It is older than PostgreSQL 13.".to_owned()));
        }
        let facts = self.facts.text();
        let schemas = schemas(&tables)?;
        session.without_jit()?;
        if session.is_same_database(&self.this_database()?)? {
            let detail = "The server leads back to the database that the tables are in.".to_owned();
            self.add("destination_is_source", None, None, Some(detail))?;
        }
        let destination_id = session.database_id()?;
        let problems = session.problems_of_helper_schema()?;
        let mut rows = session.findings_of_server(&facts, &extensions, &schemas)?;
        rows.extend(session.findings_of_tables(&facts, &tables)?);
        let may_read_progress = session.may_read_progress()?;
        self.queries.1 += 6;
        let mut writers = Vec::new();
        // What is not ours is not read either: a view runs code.
        if problems.is_empty() && may_read_progress {
            rows.extend(session.findings_of_writers(&facts, &tables)?);
            writers = session.writers()?;
            self.queries.1 += 2;
        }
        for problem in problems {
            self.add("destination_helper_schema", None, Some("courier_applied".to_owned()), Some(problem))?;
            if let Some(finding) = self.findings.last_mut() {
                let fix =
                    "DROP SCHEMA courier_applied CASCADE; -- on the destination, as a superuser, if no task needs it";
                (finding.fix, finding.place) = (Some(fix.to_owned()), Some("person".to_owned()));
            }
        }
        self.ask_same_source(destination_id.as_deref(), &writers)?;
        rows.iter().try_for_each(|row| self.take_from_destination(row))?;
        let user = session.current_user()?;
        self.ask_schema(selection, session, &quote_ident(&foreign::line(&user)))?;
        if self.concerns(Concerns::CopyIntoExisting) { self.ask_empty(session, &tables) } else { Ok(()) }
    }

    fn this_database(&mut self) -> Result<String> {
        self.queries.0 += 1;
        spi::query_one(THIS_DATABASE, &[])?.string(0)
    }

    /// Other tasks of this database with the same tables: through the same server, into the same database as far as its
    /// server tells, or with a row in it.
    fn ask_same_source(&mut self, destination_id: Option<&str>, writers: &[String]) -> Result<()> {
        let task = self.subject.task.as_ref().map_or(0, |(id, _)| *id).to_string();
        let (caller, server) = (xact::user_id().to_string(), self.subject.server.to_string());
        let writers = format!("{{{}}}", writers.join(","));
        let rows = spi::as_extension(|| {
            spi::query(
                include_str!("../../sql/query/precheck/same_source.sql"),
                &[Some(&task), Some(&self.oids), Some(&server), destination_id, Some(&writers), Some(&caller)],
            )
        })?;
        self.queries.0 += 1;
        for row in &rows {
            let detail = match row.opt(1) {
                Some(name) => format!("Task {name} writes it there already; every change would be applied twice."),
                None => {
                    "A task of another role writes it there already; every change would be applied twice.".to_owned()
                }
            };
            self.add("destination_same_source", None, row.opt_string(0), Some(detail))?;
        }
        Ok(())
    }

    /// Tables without pages are empty; of the others one row each is asked for, many tables in a query.
    fn ask_empty(&mut self, session: &mut Destination, tables: &str) -> Result<()> {
        let maybe = session.maybe_filled(tables)?;
        let all = names_of(tables)?;
        self.queries.0 += 1;
        let named = |(number, is_partitioned): (usize, bool)| Some((all.get(number)?.clone(), is_partitioned));
        let tables: Vec<(String, bool)> = maybe.into_iter().filter_map(named).collect();
        let (filled, asked) = session.filled(&tables)?;
        self.queries.1 += 1 + asked;
        for table in filled {
            let detail = "It has rows on the destination; the copy would mix with them.".to_owned();
            self.add("destination_not_empty", None, Some(table.to_owned()), Some(detail))?;
            if let Some(finding) = self.findings.last_mut() {
                let fix =
                    format!("TRUNCATE {table}; -- on the destination; or create the task with full_copy => false");
                (finding.fix, finding.place) = (Some(fix), Some("person".to_owned()));
            }
        }
        Ok(())
    }

    // ---- findings -----------------------------------------------------------------------------------------------

    fn take_from_source(&mut self, row: &Row) -> Result<()> {
        self.add(row.text(0)?, row.opt(1), row.opt_string(2), row.opt_string(3))?;
        if let Some(finding) = self.findings.last_mut() {
            (finding.fix, finding.place) = (row.opt_string(4), row.opt_string(5));
        }
        Ok(())
    }

    /// The destination answers about itself and nothing else. Its words are for people to read: nothing of them runs here.
    fn take_from_destination(&mut self, row: &Row) -> Result<()> {
        let id = row.text(0)?;
        if !find(id).is_some_and(|item| item.category.starts_with("destination")) {
            return Err(Error::new(
                sqlstate::DATA_CORRUPTED,
                "the destination answered with what it was not asked for",
            )
            .origin(Origin::Destination)
            .detail(format!("Item \"{}\" is none that it is asked about.", foreign::line(id)))
            .hint(format!(
                "Find out who answers there: SELECT * FROM courier.test_connection({}); shows where the way goes.",
                quote_literal(&mapping::name_of(self.subject.server)?)
            )));
        }
        let line = |column| row.opt(column).map(foreign::line);
        self.add(id, row.opt(1), line(2), line(3))?;
        if let Some(finding) = self.findings.last_mut() {
            finding.fix = row.opt(4).map(foreign::statement);
            finding.place = Some(foreign::place(row.opt(5)).to_owned());
        }
        Ok(())
    }

    fn add(&mut self, id: &str, status: Option<&str>, object: Option<String>, detail: Option<String>) -> Result<()> {
        let item = find(id).ok_or_else(|| Error::internal(format!("no precheck item \"{id}\"")))?;
        let status = match (status, item.severity) {
            (Some("ok"), _) => Status::Ok,
            (Some("failed"), _) | (None, Severity::Failed) => Status::Failed,
            _ => Status::Warning,
        };
        self.findings.push(Finding { object, ..Finding::plain(item, status, detail) });
        Ok(())
    }

    fn concerns(&self, concerns: Concerns) -> bool {
        self.concerns_when(concerns, self.subject.begun)
    }

    /// With `begun`: once the task creates and copies its tables.
    fn concerns_when(&self, concerns: Concerns, begun: bool) -> bool {
        let scope = &self.subject.scope;
        match concerns {
            Concerns::All => true,
            Concerns::Incremental => scope.incremental,
            Concerns::SchemaSync => scope.schema_sync && !begun,
            Concerns::ExistingTables => !scope.schema_sync || begun,
            Concerns::CopyIntoExisting => !scope.schema_sync && scope.full_copy && !begun,
        }
    }

    /// Every item gets at least one row, in the order of the items.
    fn complete(&mut self) -> Vec<Finding> {
        let mut by_item: HashMap<&'static str, Vec<Finding>> = HashMap::new();
        for finding in self.findings.drain(..) {
            by_item.entry(finding.item.id).or_default().push(finding);
        }
        let reached = by_item.get("destination_database").is_some_and(|f| f.iter().all(|f| f.status == Status::Ok));
        let mut complete = Vec::new();
        for item in items::all() {
            match by_item.remove(item.id) {
                Some(findings) => complete.extend(findings),
                None => complete.push(self.silent(item, reached)),
            }
        }
        complete
    }

    /// No query named the item: all is well, or nobody looked.
    fn silent(&self, item: &'static Item, reached: bool) -> Finding {
        let skipped = |reason: &str| Finding::plain(item, Status::Skipped, Some(reason.to_owned()));
        let on_destination = item.category == "connectivity" || item.category.starts_with("destination");
        match self.skipped.get(item.id) {
            Some(reason) => skipped(reason),
            None if on_destination && !reached => skipped("The destination was not reached."),
            None if !self.concerns(item.concerns) => {
                let once = self.subject.begun && self.concerns_when(item.concerns, false);
                skipped(if once {
                    "The task has started: this was asked before it created and copied its tables."
                } else {
                    "It does not concern a task with these options."
                })
            }
            None => Finding::plain(item, Status::Ok, None),
        }
    }
}

/// The tables of the list, quoted as everywhere else.
fn names_of(tables: &str) -> Result<Vec<String>> {
    let sql = "SELECT pg_catalog.format('%I.%I', t.x ->> 'schema', t.x ->> 'name') \
               FROM pg_catalog.json_array_elements($1::json) WITH ORDINALITY AS t(x, n) ORDER BY t.n";
    let rows = spi::as_role(xact::user_id(), || spi::query(sql, &[Some(tables)]))?;
    rows.iter().map(|row| row.string(0)).collect()
}

fn invalid_list(error: serde_json::Error) -> Error {
    Error::internal(format!("invalid list of tables: {error}"))
}

fn schemas(tables: &str) -> Result<String> {
    let tables: Vec<serde_json::Value> = serde_json::from_str(tables).map_err(invalid_list)?;
    let mut schemas: Vec<&str> = tables.iter().filter_map(|t| t["schema"].as_str()).collect();
    schemas.sort_unstable();
    schemas.dedup();
    serde_json::to_string(&schemas).map_err(invalid_list)
}
