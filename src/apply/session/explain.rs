//! What a destination's error means for a task: its table, what a person has to do, and whether replaying one by one
//! would tell more.

use super::Verb;
use crate::destination::dialect::{Dialect, FoundTwice};
use crate::destination::{Destination, is_fenced, row_is_gone, taken_over};
use crate::error::{Error, Origin, Remedy, sqlstate};
use crate::logicalrep::Relation;
use crate::logicalrep::names::{quote_ident, quote_literal};

/// Adds to an error what only we know. `of` is what the failed statement was about, `was_serial` whether its change was
/// replayed one by one already.
pub fn explain(error: Error, of: Option<(&Relation, Verb)>, was_serial: bool, destination: &Destination) -> Error {
    if is_fenced(&error) {
        return taken_over();
    }
    let error = match of {
        Some((table, _)) if is_untold(&error) && destination.applies_commands => untold(error, table),
        Some((table, verb)) => of_table(error, table, verb, destination.dialect(), &destination.user()),
        // The supervisor looks again, and says what that means.
        None if error.sqlstate() == sqlstate::DIVISION_BY_ZERO => row_is_gone(),
        None => error,
    };
    retried(error, was_serial)
}

/// An error of merged changes may come from the merging, and names no row.
fn retried(error: Error, was_serial: bool) -> Error {
    if !was_serial && error.remedy() == Remedy::Stop { error.replay_serially() } else { error }
}

/// What a function or operator that does not exist usually means.
const SEARCH_PATH: &str = "If an index, a check or a trigger of the table calls it: the task's sessions look into pg_catalog and into those schemas \
     of the source database's search_path in which nobody else may create there, so let the calling function say where it looks. SELECT detail, fix FROM courier.precheck({task}) WHERE item = 'destination_search_path'; has \
     these functions, what calls them, and the statement for the destination. If a type is another one than on the source, alter the \
     column. Then SELECT courier.resume({task});";

fn of_table(error: Error, table: &Relation, verb: Verb, dialect: &dyn Dialect, user: &str) -> Error {
    const REFERENCED: &str = "0A000";
    if verb == Verb::Probe {
        return explain_probe(error, table, dialect);
    }
    if error.sqlstate() == sqlstate::DIVISION_BY_ZERO {
        return if verb == Verb::Insert { has_changed(table) } else { is_missing(table, verb) };
    }
    let context = format!("Destination table: {}.", table.shown_there());
    if verb == Verb::Truncate && error.sqlstate() == REFERENCED {
        return error.context(context).hint(
            "Drop the foreign key that refers to the table on the destination, then SELECT courier.resume({task}); goes on. \
             SELECT courier.skip_change({task}, {lsn}); leaves the TRUNCATE out for good: its rows stay there.",
        );
    }
    if let Some(hint) = table.hint_for_names(error.sqlstate()) {
        return error.hint(hint).context(context);
    }
    with_hint(error, user).context(context)
}

/// A column that the destination has not, or of another type.
fn is_untold(error: &Error) -> bool {
    matches!(error.sqlstate(), "42703" | "42804")
}

/// Where commands are applied, one that has changed the table left no word.
fn untold(error: Error, table: &Relation) -> Error {
    let capture = format!("SELECT courier.capture({});", quote_literal(&table.route.source.shown()));
    error.context(format!("Destination table: {}.", table.shown_there())).hint(format!(
        "{capture} tells how the table is now; then SELECT courier.resume({{task}}); Why its command was not captured: SELECT detail, hint FROM \
         courier.health() WHERE item = 'commands';"
    ))
}

fn has_changed(table: &Relation) -> Error {
    let name = table.shown_there();
    Error::new(sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE, format!("table {name} has changed on the destination"))
        .origin(Origin::Destination)
        .detail(
            "Its columns are others now, or a trigger that fires for replicated rows was made or dropped. Rows were about to be sent as was \
             right before; nothing of this transaction has been applied.",
        )
        .hint("The task goes on with SELECT courier.resume({task});")
}

fn is_missing(table: &Relation, verb: Verb) -> Error {
    let name = table.shown_there();
    let verb = if verb == Verb::Update || verb == Verb::Replace { "update" } else { "delete" };
    Error::new(sqlstate::NO_DATA_FOUND, format!("the row to {verb} in {name} is not on the destination"))
        .origin(Origin::Destination)
        .detail("No row there has the key of the source's change, or more than one has.")
        .hint(
            "Find out who else writes to the destination and put the row in place there (the detail has its key), then SELECT \
             courier.resume({task}); goes on. SELECT courier.skip_change({task}, {lsn}); leaves the change out for good.",
        )
}

fn with_hint(error: Error, user: &str) -> Error {
    let hint = match error.sqlstate() {
        "23505" => {
            "The row is already on the destination. Remove it there, then SELECT courier.resume({task}); goes on. \
             SELECT courier.skip_change({task}, {lsn}); leaves the change out for good."
        }
        "42P01" => "Create the table on the destination as it is on the source, then SELECT courier.resume({task});",
        // The server's own hint speaks of casts.
        "42883" => return error.hint(SEARCH_PATH),
        "42703" | "42804" => {
            "Alter the table on the destination as it was altered on the source, then SELECT courier.resume({task});"
        }
        // The server's own hint is to give the security up.
        "42501" if is_row_security(&error) => {
            let user = quote_ident(user);
            let hint = format!(
                "Row security hides rows from the user. On the destination, as superuser: ALTER ROLE {user} BYPASSRLS; Then here: SELECT \
                 courier.resume({{task}});"
            );
            return error.hint(hint);
        }
        "42501" => "Grant the user of the user mapping what it lacks, then SELECT courier.resume({task});",
        // Deadlock, timeout, full disk: nobody has to resume the task.
        _ if error.remedy() != Remedy::Stop => "The task tries again by itself.",
        _ => "Remove the cause on the destination, then SELECT courier.resume({task});",
    };
    error.or_hint(hint)
}

/// Of the reasons for this SQLSTATE, by where in the server it was said: what it says may be in any language.
fn is_row_security(error: &Error) -> bool {
    matches!(error.routine_name(), Some("check_enable_rls" | "ExecWithCheckOptions"))
}

/// The destination's error of a probe, as one of the constraint.
fn explain_probe(error: Error, table: &Relation, dialect: &dyn Dialect) -> Error {
    let Some(FoundTwice { lsn, constraint, values }) = dialect.found_twice(&error) else { return error };
    let name = table.shown_there();
    const UNIQUE_VIOLATION: &str = "23505";
    Error::new(UNIQUE_VIOLATION, format!("two rows of {name} on the destination break its deferrable constraint {constraint}"))
        .origin(Origin::Destination)
        .detail("Another row there has the values of the source's change already. The constraint is looked at before the commit.")
        .hint(
            "Remove that row on the destination, then SELECT courier.resume({task}); goes on. SELECT courier.skip_change({task}, {lsn}); leaves the \
             change out for good.",
        )
        .context(format!("Source change: values {values} of {name}, LSN {lsn}."))
        .lsn(lsn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::destination::dialect::POSTGRES;

    fn refusal(sqlstate: &str) -> Error {
        Error::new(sqlstate, "refused").origin(Origin::Destination)
    }

    #[test]
    fn an_error_says_what_a_person_has_to_do() {
        let table = crate::destination::fixture::relation();
        for (sqlstate, verb, expected, hint) in [
            ("22012", Verb::Insert, "55000", "courier.resume"),
            ("22012", Verb::Update, "P0002", "skip_change"),
            ("22012", Verb::Replace, "P0002", "skip_change"),
            ("22012", Verb::DeleteByRow, "P0002", "skip_change"),
            ("23505", Verb::Insert, "23505", "already on the destination"),
            ("0A000", Verb::Truncate, "0A000", "leaves the TRUNCATE out"),
            ("0A000", Verb::Insert, "0A000", "Remove the cause"),
            ("42P01", Verb::Insert, "42P01", "Create the table"),
            ("42883", Verb::Update, "42883", "search_path"),
            ("42703", Verb::Update, "42703", "Alter the table"),
            ("42501", Verb::Delete, "42501", "Grant the user"),
            ("40P01", Verb::Delete, "40P01", "tries again by itself"),
        ] {
            let error = of_table(refusal(sqlstate), &table, verb, &POSTGRES, "u");
            assert_eq!(error.sqlstate(), expected, "{sqlstate} {verb:?}");
            assert!(error.hint_text().is_some_and(|text| text.contains(hint)), "{sqlstate} {verb:?}: {error}");
        }
    }

    #[test]
    fn merged_changes_are_replayed_one_by_one_if_that_can_help() {
        for (sqlstate, was_serial, expected) in [
            ("23505", false, Remedy::ReplaySerially),
            ("23505", true, Remedy::Stop),
            // Deadlock: the same again.
            ("40P01", false, Remedy::RetryOther),
            ("40P01", true, Remedy::RetryOther),
        ] {
            assert_eq!(retried(refusal(sqlstate), was_serial).remedy(), expected, "{sqlstate} {was_serial}");
        }
    }
}
