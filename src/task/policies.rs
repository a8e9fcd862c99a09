//! `courier.set_ddl_policy()`: what a task does about commands on things of a kind.

use super::restarted;
use crate::catalog::Task;
use crate::catalog::ddl_policies::{self, PolicyRow};
use crate::error::{Error, Result, sqlstate};
use crate::schema::governed::{Governed, KindPolicy};
use crate::select::pattern::Pattern;

pub fn set(task: &Task, kind: &str, policy: &str, pattern: &str) -> Result<()> {
    let unknown = |what: &str, word: &str, known: Vec<&str>| {
        Error::new(sqlstate::INVALID_PARAMETER_VALUE, format!("unknown {what} \"{word}\""))
            .hint(format!("Known are {}.", known.join(", ")))
    };
    let kind = Governed::parse(kind)
        .ok_or_else(|| unknown("kind", kind, Governed::WORDS.iter().map(|(_, word)| *word).collect()))?;
    let policy = KindPolicy::parse(policy)
        .ok_or_else(|| unknown("policy", policy, KindPolicy::WORDS.iter().map(|(_, word)| *word).collect()))?;
    if !kind.can_be_left() && matches!(policy, KindPolicy::Hold | KindPolicy::Ignore) {
        return Err(Error::new(
            sqlstate::INVALID_PARAMETER_VALUE,
            format!("commands on things of kind '{}' cannot be left out", kind.as_str()),
        )
        .detail("Rows of the stream would not fit the tables of the destination.")
        .hint("Known are replicate, stop and refuse. A table that is to be left alone: SELECT courier.alter_task(task, exclude => '{schema.table}');"));
    }
    Pattern::parse(pattern)?;
    restarted(task, || ddl_policies::set(task.id, &PolicyRow { kind, pattern: pattern.to_owned(), policy }))
}
