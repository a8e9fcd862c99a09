//! `courier.coverage()`: where a task that has started and what its patterns name have come apart.

use pgrx::prelude::*;

use super::arguments::given;
use crate::catalog::{Task, coverage};
use crate::error::Result;
use crate::pg::text::Text;
use crate::pg::{report, spi, xact};

#[pg_extern(sql = false)]
fn coverage(
    task: Option<Text>,
) -> TableIterator<'static, (name!(table_name, Text), name!(problem, Text), name!(detail, Text), name!(hint, Text))> {
    let rows = report::unwrap(given("task", task).and_then(|task| rows(&task)));
    TableIterator::new(
        rows.into_iter()
            .map(|[table, problem, detail, hint]| (table.into(), problem.into(), detail.into(), hint.into())),
    )
}

/// For whoever may use the task, and for those who watch the server: names of tables, no rows.
fn rows(name: &str) -> Result<Vec<[String; 4]>> {
    let watches = spi::query_one("SELECT pg_catalog.pg_has_role('pg_monitor', 'USAGE')", &[])?.bool(0)?;
    let task = if watches { Task::by_name(name)? } else { Task::for_role(name, xact::user_id())? };
    let gaps = coverage::gaps(&task)?;
    let row = |gap: &coverage::Gap| [gap.table().shown(), gap.kind().to_owned(), gap.detail(), gap.hint(&task, &gaps)];
    Ok(gaps.iter().map(row).collect())
}
