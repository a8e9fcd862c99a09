//! `courier.precheck()`, `courier.ignore_precheck()`, and the gate that `courier.start()` passes.

use std::collections::HashMap;

use pgrx::prelude::*;

use super::tasks::{given, given_scope};
use crate::catalog::schema::{self, Extent};
use crate::catalog::{Scope, Task, connection};
use crate::error::{Error, Result, sqlstate};
use crate::pg::text::Text;
use crate::pg::{report, xact};
use crate::precheck::{self, Finding, Item, Outcome, Severity, Status, Subject, ignored};

/// A function that returns what `courier.precheck` returns. (pgrx wants to read the columns in the signature itself.)
macro_rules! returns_findings {
    (fn $name:ident($($argument:ident: $type:ty),* $(,)?) $body:block) => {
        #[pg_extern(sql = false)]
        #[allow(clippy::type_complexity)]
        fn $name($($argument: $type),*) -> TableIterator<
            'static,
            (
                name!(category, Text),
                name!(item, Text),
                name!(severity, Text),
                name!(status, Text),
                name!(object, Option<Text>),
                name!(detail, Option<Text>),
                name!(fix, Option<Text>),
                name!(ignorable, bool),
                name!(place, Option<Text>),
            ),
        > {
            let findings: Result<Vec<Finding>> = $body;
            TableIterator::new(report::unwrap(findings).into_iter().map(columns))
        }
    };
}

returns_findings! {
    fn precheck_task(task: Option<Text>) {
        given("task", task).and_then(|task| Task::for_role(&task, xact::user_id())).and_then(|task| run(&Subject::of(&task)))
    }
}

returns_findings! {
    fn precheck_server(
        server: Option<Text>,
        include: Option<Vec<Option<Text>>>,
        exclude: Option<Vec<Option<Text>>>,
        schema_sync: Option<bool>,
        full_copy: Option<bool>,
        incremental: Option<bool>,
    ) {
        subject(server, given_scope(include, exclude, schema_sync, full_copy, incremental))
            .and_then(|subject| run(&subject))
    }
}

/// A task that does not exist yet.
fn subject(server: Option<Text>, scope: Result<Scope>) -> Result<Subject> {
    Ok(Subject {
        task: None,
        slot_name: String::new(),
        owner: xact::user_id(),
        server: connection::server_by_name(&given("server", server)?)?,
        scope: scope?,
        begun: false,
    })
}

type Columns = (Text, Text, Text, Text, Option<Text>, Option<Text>, Option<Text>, bool, Option<Text>);

fn columns(finding: Finding) -> Columns {
    let Finding { item, status, object, detail, fix, place } = finding;
    let text = |text: Option<String>| text.map(Text::from);
    (
        item.category.into(),
        item.id.into(),
        severity(item),
        status.as_str().into(),
        text(object),
        text(detail),
        text(fix),
        item.ignorable,
        text(place),
    )
}

fn severity(item: &Item) -> Text {
    if item.severity == Severity::Failed { "failed".into() } else { "warning".into() }
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity)]
fn precheck_items() -> TableIterator<
    'static,
    (name!(category, Text), name!(item, Text), name!(severity, Text), name!(ignorable, bool), name!(about, Text)),
> {
    TableIterator::new(
        precheck::all()
            .map(|item| (item.category.into(), item.id.into(), severity(item), item.ignorable, item.about.into())),
    )
}

fn run(subject: &Subject) -> Result<Vec<Finding>> {
    let Outcome { mut findings, tables, queries } = precheck::run(subject)?;
    pgrx::debug1!(
        "precheck of {} tables: {} queries on the source, {} on the destination",
        tables.len(),
        queries.0,
        queries.1
    );
    write_missing_statements(&mut findings, &tables)?;
    Ok(findings)
}

/// What the destination lacks, the schema generator can write.
fn write_missing_statements(findings: &mut [Finding], tables: &[u32]) -> Result<()> {
    const MISSING: [&str; 3] = ["destination_tables_missing", "destination_types", "destination_collations"];
    let is_missing =
        |f: &Finding| f.fix.is_none() && MISSING.contains(&f.item.id) && f.place.as_deref() == Some("destination");
    if !findings.iter().any(is_missing) {
        return Ok(());
    }
    let items = schema::statements(&Extent::tables(tables))?;
    let statements: HashMap<&str, &str> = items
        .iter()
        .filter(|item| item.section == "pre-data")
        .map(|item| (item.object.as_str(), item.statement.as_str()))
        .collect();
    for finding in findings.iter_mut().filter(|f| is_missing(f)) {
        let statement = finding.object.as_deref().and_then(|object| statements.get(object));
        finding.fix = statement.map(|s| format!("{}; -- on the destination", s.trim_end_matches(';')));
    }
    Ok(())
}

#[pg_extern(sql = false)]
fn ignore_precheck(task: Option<Text>, item: Option<Text>, reason: Option<Text>) {
    let ignore = || {
        let task = Task::for_role(&given("task", task)?, xact::user_id())?;
        ignored::set(&task, &given("item", item)?, reason.as_deref())
    };
    report::unwrap(ignore());
}

/// Refuses to start a task while a check fails that nobody has decided to ignore.
pub(super) fn require_passed(task: &Task) -> Result<()> {
    const SHOWN: usize = 10;
    let findings = run(&Subject::of(task))?;
    let failed: Vec<&Finding> = findings.iter().filter(|f| f.status == Status::Failed).collect();
    let Some(first) = failed.first() else {
        let warnings = findings.iter().filter(|f| f.status == Status::Warning);
        warnings.for_each(|finding| report::warning(&describe(finding)));
        return Ok(());
    };
    let mut lines: Vec<String> = failed.iter().take(SHOWN).map(|finding| describe(finding)).collect();
    if failed.len() > SHOWN {
        lines.push(format!("and {} more", failed.len() - SHOWN));
    }
    let list =
        format!("SELECT item, object, detail, fix FROM courier.precheck('{}') WHERE status = 'failed';", task.name);
    let hint = match &first.fix {
        Some(fix) if failed.len() == 1 => format!("{fix}\nAll findings: {list}"),
        _ => list,
    };
    Err(Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("task \"{}\" cannot start: {}", task.name, counted(failed.len())),
    )
    .detail(lines.join("\n"))
    .hint(hint))
}

fn counted(failed: usize) -> String {
    if failed == 1 { "a precheck failed".to_owned() } else { format!("{failed} prechecks failed") }
}

fn describe(finding: &Finding) -> String {
    let object = finding.object.as_ref().map(|object| format!(" ({object})")).unwrap_or_default();
    format!("{}{object}: {}", finding.item.id, finding.detail.as_deref().unwrap_or_default())
}
