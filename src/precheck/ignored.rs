//! Findings that somebody has decided to live with: `courier.precheck_ignored`.

use std::collections::HashMap;

use super::{Finding, Status};
use crate::catalog::Task;
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names::quote_literal;
use crate::pg::{spi, xact};

/// Marks what is ignored for the task.
pub fn apply(task: i32, findings: &mut [Finding]) -> Result<()> {
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT item, format('Ignored by %s on %s: %s', ignored_by, ignored_at::date, reason) \
             FROM courier.precheck_ignored WHERE task_id = $1::int",
            &[Some(&task.to_string())],
        )
    })?;
    let reasons =
        rows.iter().map(|row| Ok((row.string(0)?, row.string(1)?))).collect::<Result<HashMap<String, String>>>()?;
    for finding in findings.iter_mut().filter(|f| f.status < Status::Ignored && f.item.ignorable) {
        if let Some(reason) = reasons.get(finding.item.id) {
            finding.status = Status::Ignored;
            finding.detail =
                Some(format!("{} {reason}", finding.detail.as_deref().unwrap_or_default()).trim().to_owned());
        }
    }
    Ok(())
}

/// Remembers who ignores an item and why; without a reason the item counts again.
pub fn set(task: &Task, item: &str, reason: Option<&str>) -> Result<()> {
    let name = quote_literal(&task.name);
    let known = super::find(item).ok_or_else(|| {
        Error::new(sqlstate::UNDEFINED_OBJECT, format!("precheck item \"{item}\" does not exist"))
            .hint(format!("SELECT DISTINCT item FROM courier.precheck({name}); lists the items."))
    })?;
    if !known.ignorable {
        return Err(Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("precheck item \"{item}\" cannot be ignored"),
        )
        .detail("The task would fail, or lose rows.")
        .hint(format!("SELECT object, fix FROM courier.precheck({name}) WHERE item = '{item}'; shows what helps.")));
    }
    let task = task.id.to_string();
    let Some(reason) = reason.map(str::trim) else {
        let sql = "DELETE FROM courier.precheck_ignored WHERE task_id = $1::int AND item = $2";
        return spi::as_extension(|| spi::execute(sql, &[Some(&task), Some(item)])).map(|_| ());
    };
    if reason.is_empty() {
        return Err(Error::new(sqlstate::INVALID_PARAMETER_VALUE, "the reason is empty")
            .hint("Say why the finding does no harm; whoever reads it later will want to know."));
    }
    let role = xact::user_id().to_string();
    spi::as_extension(|| {
        spi::execute(
            "INSERT INTO courier.precheck_ignored (task_id, item, reason, ignored_by) \
             VALUES ($1::int, $2, $3, pg_get_userbyid($4::oid)) \
             ON CONFLICT (task_id, item) DO UPDATE SET reason = excluded.reason, ignored_by = excluded.ignored_by, ignored_at = now()",
            &[Some(&task), Some(item), Some(reason), Some(&role)],
        )
    })
    .map(|_| ())
}
