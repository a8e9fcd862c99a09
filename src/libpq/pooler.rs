//! Is the session on the destination ours alone?
//!
//! A connection pooler in transaction (or statement) mode gives every transaction another server session. What we set
//! would stay behind in sessions of other clients: triggers and foreign keys off, another search_path. And nothing
//! that a task keeps in its session would be there for it. So it is found out before anything is set.
//!
//! A pooler makes up the process number that it gives a client for canceling: it is not that of the server process.
//! Then a second connection shows which kind of pooler it is: while both are open, one that keeps a session for each
//! client gives each always the same server process, and never both the same one.

use std::time::Duration;

use super::{Connection, Parameters, WaitFn};
use crate::error::{Error, Origin, Result, sqlstate};

/// Process and its start, of the server session that a transaction ran in.
type Place = (i32, i64);

/// Transactions of each connection; a busy pool deals its sessions in any order.
const ROUNDS: usize = 4;

/// How long a session is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Refuses a connection whose transactions run in sessions that others use as well.
pub fn refuse_shared(connection: &mut Connection, parameters: &Parameters, wait: WaitFn) -> Result<()> {
    let rows = connection.exec("SELECT pg_catalog.pg_backend_pid()")?;
    let pid: i32 = rows.first().map_or(Ok(0), |row| row.parse(0))?;
    if pid == connection.backend_pid() {
        return Ok(());
    }
    connection.discard_at_end();
    let mut second = Connection::open(parameters, wait)?;
    second.discard_at_end();
    let (mut firsts, mut seconds) = (Vec::new(), Vec::new());
    let outcome = watch(connection, &mut second, &mut firsts, &mut seconds);
    match outcome {
        Ok(()) if !is_shared(&firsts, &seconds) => Ok(()),
        Ok(()) => Err(refusal(parameters, "Two transactions of one connection met different server processes.")),
        // Statement mode: no transaction can be begun, and who tries is shown the door.
        Err(error) => match error.detail_text().unwrap_or_else(|| error.message().to_owned()) {
            text if text.contains("pooling mode") => Err(refusal(parameters, text.lines().next().unwrap_or_default())),
            _ => Err(error),
        },
    }
}

fn watch(
    first: &mut Connection,
    second: &mut Connection,
    firsts: &mut Vec<Place>,
    seconds: &mut Vec<Place>,
) -> Result<()> {
    for _ in 0..ROUNDS {
        // The one's session is free when the other begins, and then it is not.
        firsts.push(begin(first)?.ok_or_else(no_answer)?);
        first.exec("COMMIT")?;
        match begin(second)? {
            Some(place) => seconds.push(place),
            // The pool is exhausted while the first session rests, so that one is not for everybody.
            None => return Ok(()),
        }
        if is_shared(firsts, seconds) {
            break;
        }
        firsts.push(begin(first)?.ok_or_else(no_answer)?);
        second.exec("COMMIT")?;
        first.exec("COMMIT")?;
    }
    Ok(())
}

fn no_answer() -> Error {
    Error::connection("the connection pooler before the destination has no session for us")
}

/// Begins a transaction and tells where it runs; `None` when that takes too long.
fn begin(connection: &mut Connection) -> Result<Option<Place>> {
    if connection.exec_within("BEGIN", PATIENCE)?.is_none() {
        return Ok(None);
    }
    let rows = connection.exec(
        "SELECT s.pid, pg_catalog.date_part('epoch', s.backend_start)::bigint \
         FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) AS s",
    )?;
    let row = rows.first().ok_or_else(|| Error::internal("the destination answered with no row"))?;
    Ok(Some((row.parse(0)?, row.parse(1)?)))
}

fn is_shared(firsts: &[Place], seconds: &[Place]) -> bool {
    let changes = |places: &[Place]| places.windows(2).any(|pair| pair[0] != pair[1]);
    changes(firsts) || changes(seconds) || firsts.iter().any(|place| seconds.contains(place))
}

fn refusal(parameters: &Parameters, seen: &str) -> Error {
    Error::new(sqlstate::FEATURE_NOT_SUPPORTED, "cannot work through a connection pooler that shares its sessions")
        .origin(Origin::Connection)
        .detail(format!(
            "Tried {}: {seen} What a task sets for its session would reach other clients of the pool.",
            parameters.describe()
        ))
        .hint(format!(
            "Connect to the PostgreSQL server itself, or to a pool in session mode: {}",
            parameters.alter_server("port", "5432")
        ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_of_ones_own_stays_the_same_and_meets_nobody() {
        let (a, b) = ((1, 10), (2, 10));
        assert!(!is_shared(&[a, a, a], &[b, b]));
        assert!(!is_shared(&[a], &[]), "no second session to be had");
        assert!(is_shared(&[a, b], &[]), "the first wanders");
        assert!(is_shared(&[a, a], &[b, (3, 10)]), "the second wanders");
        assert!(is_shared(&[a, a], &[a]), "both in one");
        assert!(is_shared(&[(1, 10), (1, 11)], &[]), "the same number, another process");
    }
}
