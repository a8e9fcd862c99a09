//! What is found, item by item: each has at least one line, and those that nobody could look at say why.

use std::collections::HashMap;

use super::Check;
use super::items::{self, Concerns, Item, Severity, find};
use crate::error::{Error, Result};

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
    pub(super) fn plain(item: &'static Item, status: Status, detail: Option<String>) -> Finding {
        Finding { item, status, object: None, detail, fix: None, place: None }
    }
}

impl Check<'_> {
    pub(super) fn add(
        &mut self,
        id: &str,
        status: Option<&str>,
        object: Option<String>,
        detail: Option<String>,
    ) -> Result<()> {
        let item = find(id).ok_or_else(|| Error::internal(format!("no precheck item \"{id}\"")))?;
        let status = match (status, item.severity) {
            (Some("ok"), _) => Status::Ok,
            (Some("failed"), _) | (None, Severity::Failed) => Status::Failed,
            _ => Status::Warning,
        };
        self.findings.push(Finding { object, ..Finding::plain(item, status, detail) });
        Ok(())
    }

    /// The finding that was added last has this way out.
    pub(super) fn fix_last(&mut self, fix: Option<String>, place: Option<String>) {
        if let Some(finding) = self.findings.last_mut() {
            (finding.fix, finding.place) = (fix, place);
        }
    }

    /// The finding that was added last has this way out, for a person to decide.
    pub(super) fn let_decide(&mut self, fix: Option<String>) {
        self.fix_last(fix, Some("person".to_owned()));
    }

    pub(super) fn concerns(&self, concerns: Concerns) -> bool {
        self.concerns_when(concerns, self.subject.begun)
    }

    /// With `begun`: once the task creates and copies its tables.
    fn concerns_when(&self, concerns: Concerns, begun: bool) -> bool {
        let scope = &self.subject.scope;
        match concerns {
            Concerns::All => true,
            Concerns::Incremental => scope.incremental,
            Concerns::Commands => self.subject.applies_commands(),
            Concerns::SchemaSync => scope.schema_sync && !begun,
            Concerns::ExistingTables => !scope.schema_sync || begun,
            Concerns::CopyIntoExisting => !scope.schema_sync && scope.full_copy && !begun,
        }
    }

    /// Every item gets at least one row, in the order of the items.
    pub(super) fn complete(&mut self) -> Vec<Finding> {
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
