//! What is asked of the source, with the rights of the caller.

use super::{Check, minors};
use crate::catalog::select::SelectedTables;
use crate::catalog::{Task, coverage, marks};
use crate::error::Result;
use crate::logicalrep::names::{shown, shown_qualified};
use crate::logicalrep::{HELPER_SCHEMA, Row};
use crate::pg::{spi, xact};

impl Check<'_> {
    pub(super) fn source(&mut self, selection: &SelectedTables) -> Result<()> {
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
        self.leftovers()?;
        self.untrusted_owners()?;
        self.left_out(selection)
    }

    fn marks(&mut self) -> Result<()> {
        for owner in marks::read(self.subject.source().as_mut())?.doubtful_owners() {
            let detail = format!(
                "Tables of schema \"{HELPER_SCHEMA}\" belong to it; it may not say that a transaction came from another server."
            );
            self.add("source_marks", None, Some(shown(owner)), Some(detail))?;
            // Only somebody who knows whether a task writes here under this name can tell.
            self.let_decide(Some(format!("{} -- if it applies changes of pg_courier here", marks::grant_to(owner))));
        }
        Ok(())
    }

    /// What the patterns name, against what the task follows.
    pub(super) fn coverage(&mut self, task: &Task) -> Result<()> {
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

    fn left_out(&mut self, selection: &SelectedTables) -> Result<()> {
        for (table, reason) in selection.omitted.iter().filter(|(table, _)| table.is_unlogged) {
            self.add("left_out", None, Some(table.shown()), Some(format!("It is an {reason}.")))?;
            // It rewrites the table under a lock, and somebody wanted it to be unlogged.
            self.let_decide(Some(format!("ALTER TABLE {} SET LOGGED;", table.shown())));
        }
        let rows =
            spi::as_role(xact::user_id(), || spi::query(include_str!("../../sql/query/precheck/left_out.sql"), &[]))?;
        self.queries.0 += 1;
        let named = self.subject.scope.named()?;
        for row in &rows {
            let (schema, name) = (row.text("nspname")?, row.text("relname")?);
            let is_foreign = row.text("relkind")? == "f";
            if named(schema, name) && (is_foreign || !self.subject.scope.schema_sync) {
                let detail = match (is_foreign, row.opt("partition_of")) {
                    (false, _) => "It is a materialized view.".to_owned(),
                    (true, None) => "It is a foreign table: it comes with courier.complete_destination(), its rows stay where they are.".to_owned(),
                    (true, Some(parent)) => format!(
                        "It is a foreign table, a partition of {parent}: it comes with courier.complete_destination(), its rows stay where they \
                         are. Until then rows of its bounds have no partition on the destination."
                    ),
                };
                self.add("left_out", None, Some(shown_qualified(schema, name)), Some(detail))?;
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

    fn take_from_source(&mut self, row: &Row) -> Result<()> {
        self.add(row.text("item")?, row.opt("status"), row.opt_string("object"), row.opt_string("detail"))?;
        self.fix_last(row.opt_string("fix"), row.opt_string("place"));
        Ok(())
    }
}
