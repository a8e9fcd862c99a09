//! `courier.ddl_policy`: what a task does about commands on things of a kind, where that is not what it does about all others.

use super::DdlPolicy;
use crate::error::{Error, Result, sqlstate};
use crate::pg::{rel, spi};
use crate::schema::governed::{Governed, KindPolicy};

/// One of them; `pattern` is of names of tables, views and functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRow {
    pub kind: Governed,
    pub pattern: String,
    pub policy: KindPolicy,
}

pub fn of_task(task: i32) -> Result<Vec<PolicyRow>> {
    let sql = "SELECT kind, pattern, policy FROM courier.ddl_policy WHERE task_id = $1::int ORDER BY kind, pattern";
    let rows = spi::as_extension(|| spi::query(sql, &[Some(&task.to_string())]))?;
    rows.iter()
        .map(|row| {
            let (kind, policy) = (row.text("kind")?, row.text("policy")?);
            let unknown = || {
                Error::new(
                    sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                    format!("courier.ddl_policy has \"{kind}\" and \"{policy}\", which this version of pg_courier does not know"),
                )
            };
            Ok(PolicyRow {
                kind: Governed::parse(kind).ok_or_else(unknown)?,
                pattern: row.string("pattern")?,
                policy: KindPolicy::parse(policy).ok_or_else(unknown)?,
            })
        })
        .collect()
}

/// `replicate` is what there is without a row.
pub fn set(task: i32, PolicyRow { kind, pattern, policy }: &PolicyRow) -> Result<()> {
    let parameters = [task.to_string(), kind.as_str().to_owned(), pattern.clone(), policy.as_str().to_owned()];
    let parameters = parameters.each_ref().map(|parameter| Some(parameter.as_str()));
    spi::as_extension(|| {
        spi::execute(
            "INSERT INTO courier.ddl_policy (task_id, kind, pattern, policy) VALUES ($1::int, $2, $3, $4) \
             ON CONFLICT (task_id, kind, pattern) DO UPDATE SET policy = excluded.policy",
            &parameters,
        )
    })
    .map(drop)
}

/// Does any task refuse commands on things of some kind?
pub fn is_any_refused() -> bool {
    rel::has_row(c"courier", c"ddl_policy", c"policy", |word| word == DdlPolicy::Refuse.as_str())
}
