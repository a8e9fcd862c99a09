//! All findings together, and the gate that `courier.start()` passes.

use std::collections::HashMap;

use super::{Finding, Report, Status, Subject};
use crate::catalog::Task;
use crate::catalog::schema::{self, Extent};
use crate::error::{Error, Result, sqlstate};
use crate::pg::report;
use crate::schema::Section;

/// All findings, with the statements that create what is missing.
pub fn run(subject: &Subject) -> Result<Vec<Finding>> {
    let Report { mut findings, tables, queries } = super::run(subject)?;
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
        .filter(|item| item.kind.section() == Section::PreData)
        .map(|item| (item.object.as_str(), item.statement.as_str()))
        .collect();
    for finding in findings.iter_mut().filter(|f| is_missing(f)) {
        let statement = finding.object.as_deref().and_then(|object| statements.get(object));
        finding.fix = statement.map(|s| format!("{}; -- on the destination", s.trim_end_matches(';')));
    }
    Ok(())
}

/// Refuses to start a task while a check fails that nobody has decided to ignore.
pub fn require_passed(task: &Task) -> Result<()> {
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
