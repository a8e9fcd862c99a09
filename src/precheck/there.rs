//! What is asked of the destination, with the rights of the mapped user. Facts of the source travel there as JSON and are
//! compared there; what comes back is for people to read.

use super::items::{self, Concerns, find};
use super::{Check, Finding, Status, connection, foreign};
use crate::catalog::connection as mapping;
use crate::catalog::select::SelectedTables;
use crate::destination::{Destination, HelperProblem, THIS_DATABASE};
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::array::text_array;
use crate::logicalrep::names::{quote_ident, quote_literal};
use crate::logicalrep::{HELPER_SCHEMA, Row};
use crate::pg::{spi, xact};

impl Check<'_> {
    pub(super) fn destination(&mut self, selection: &SelectedTables) -> Result<()> {
        let parameters = match mapping::parameters(self.subject.owner, self.subject.server) {
            Ok(parameters) => parameters,
            Err(error) => {
                self.add("user_mapping", None, None, Some(error.message().to_owned()))?;
                self.let_decide(error.hint_text().map(str::to_owned));
                return Ok(());
            }
        };
        let tried = connection::try_connection(&parameters, !xact::is_superuser(self.subject.owner))?;
        tried.steps.into_iter().try_for_each(|step| self.take_step(step))?;
        match tried.session {
            Some(mut session) => self.ask_destination(selection, &mut session, tried.may_be_replica),
            None => Ok(()),
        }
    }

    /// A step of the way there.
    fn take_step(&mut self, step: connection::ConnectionStep) -> Result<()> {
        // Asked more closely by the queries.
        if step.step == "privileges" {
            return Ok(());
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
        Ok(())
    }

    fn ask_destination(
        &mut self,
        selection: &SelectedTables,
        session: &mut Destination,
        may_be_replica: bool,
    ) -> Result<()> {
        let (tables, extensions) = self.learn_from_source()?;
        self.facts.learn("may_be_replica", may_be_replica);
        if session.is_too_old() {
            for item in items::all().filter(|item| item.category.starts_with("destination")) {
                self.skipped.insert(item.id, "The destination is older than PostgreSQL 13.".to_owned());
            }
            return self.add("destination_version", None, None, Some("It is older than PostgreSQL 13.".to_owned()));
        }
        self.called_functions(session)?;
        let facts = self.facts.text();
        let schemas = schemas(&tables)?;
        session.without_jit()?;
        if session.is_same_database(&self.this_database()?)? {
            let detail = "The server leads back to the database that the tables are in.".to_owned();
            self.add("destination_is_source", None, None, Some(detail))?;
        }
        let destination_id = session.database_id()?;
        let problems = session.problems_of_helper_schema()?;
        let mut rows = session.findings_of_server(&facts, &schemas)?;
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
        problems.into_iter().try_for_each(|problem| self.helper_schema_has(problem))?;
        self.ask_same_source(destination_id.as_deref(), &writers)?;
        rows.iter().try_for_each(|row| self.take_from_destination(row))?;
        let user = session.current_user()?;
        let left_out = self.ask_extensions(selection, session, &extensions)?;
        self.ask_extension_rows(selection, session, &user)?;
        self.ask_schema(selection, session, &left_out, &quote_ident(&foreign::line(&user)))?;
        if self.concerns(Concerns::CopyIntoExisting) { self.ask_empty(session, &tables) } else { Ok(()) }
    }

    /// What the destination is compared with: the tables and the extensions of the source, as JSON.
    fn learn_from_source(&mut self) -> Result<(String, String)> {
        let row = spi::as_role(xact::user_id(), || {
            let owner = self.subject.owner.to_string();
            let sql = include_str!("../../sql/query/precheck/source_facts.sql");
            spi::query_one(sql, &[Some(&self.oids), Some(&owner)])
        })?;
        self.queries.0 += 1;
        self.facts.learn("needs_replica_role", row.bool("needs_replica_role")?);
        self.facts.learn("trusted_owners", row.bool("trusted_owners")?);
        Ok((row.string("tables")?, row.string("extensions")?))
    }

    fn helper_schema_has(&mut self, HelperProblem { detail, fix }: HelperProblem) -> Result<()> {
        self.add("destination_helper_schema", None, Some(HELPER_SCHEMA.to_owned()), Some(detail))?;
        self.let_decide(fix.map(str::to_owned));
        Ok(())
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
        let writers = text_array(writers);
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
        // The planner looks into functions of indexes.
        let (filled, asked) = session.with_code_path(&self.code_schemas, |session| session.filled(&tables))?;
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

    /// The destination answers about itself and nothing else. Its words are for people to read: nothing of them runs here.
    pub(super) fn take_from_destination(&mut self, row: &Row) -> Result<()> {
        let id = row.text("item")?;
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
        let line = |column: &str| row.opt(column).map(foreign::line);
        self.add(id, row.opt("status"), line("object"), line("detail"))?;
        self.fix_last(row.opt("fix").map(foreign::statement), Some(foreign::place(row.opt("place")).to_owned()));
        Ok(())
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
