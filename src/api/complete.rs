//! `courier.complete_destination()`.

use pgrx::prelude::*;

use super::arguments::{all_given, given, seen_task};
use crate::error::Result;
use crate::pg::report;
use crate::pg::text::Text;
use crate::task::complete::{Completion, CompletionOptions, complete};

#[pg_extern(sql = false)]
fn complete_destination(
    task: Option<Text>,
    dry_run: Option<bool>,
    roles: Option<bool>,
    kinds: Option<Vec<Option<Text>>>,
) -> TableIterator<
    'static,
    (name!(kind, Text), name!(object, Text), name!(state, Text), name!(statement, Text), name!(detail, Option<Text>)),
> {
    let lines = || -> Result<Vec<Completion>> {
        let options = CompletionOptions {
            dry_run: given("dry_run", dry_run)?,
            roles: given("roles", roles)?,
            kinds: kinds.map_or(Ok(Vec::new()), |kinds| all_given("kinds", Some(kinds)))?,
        };
        complete(&seen_task(task)?, &options)
    };
    TableIterator::new(report::unwrap(lines()).into_iter().map(|line| {
        (
            line.kind.into(),
            line.object.into(),
            line.state.as_str().to_owned().into(),
            line.statement.into(),
            line.detail.map(Text::from),
        )
    }))
}
