//! The one error type: SQLSTATE, message, detail, hint, context.
//!
//! Four parts with four jobs. The message says what failed (lower case, no full stop: "could not" if it may work
//! later, "cannot" if it never will), the detail gives facts, the hint gives the next step, the SQLSTATE is for
//! programs. Context (task, LSN, relation) is added once, where the stages meet. [`Error::remedy`] is the single place
//! that says which errors are tried again and which wait for a person.

use std::fmt;

use crate::logicalrep::Lsn;

pub type Result<T> = std::result::Result<T, Error>;

/// Where an error came from; it decides, together with the SQLSTATE, whether trying again can help.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Our own checks, or the source server.
    Source,
    /// The destination server answered with an error.
    Destination,
    /// The connection to the destination was not to be had, or was lost.
    Connection,
}

/// What the supervisor does about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Remedy {
    /// The destination is out of reach: again with growing pauses, for `courier.connection_retry_time`.
    RetryConnection = 1,
    /// Something passing (deadlock, timeout, shutdown): again, for `courier.other_retry_time`.
    RetryOther = 2,
    /// A merged batch broke a constraint: at once again, transaction by transaction, to find the row.
    ReplaySerially = 3,
    /// A person has to act; the task fails and says what to do.
    Stop = 4,
}

impl Remedy {
    pub fn from_u32(value: u32) -> Remedy {
        match value {
            1 => Remedy::RetryConnection,
            2 => Remedy::RetryOther,
            3 => Remedy::ReplaySerially,
            _ => Remedy::Stop,
        }
    }
}

#[derive(Debug)]
pub struct Error(Box<Parts>);

#[derive(Debug)]
struct Parts {
    origin: Origin,
    sqlstate: String,
    message: String,
    detail: Option<String>,
    hint: Option<String>,
    context: Vec<String>,
    serially: bool,
    constraint: Option<String>,
    routine: Option<String>,
    lsn: Lsn,
}

/// SQLSTATEs used in more than one place, under their names in the PostgreSQL manual, appendix A.
pub mod sqlstate {
    pub const CONNECTION_FAILURE: &str = "08006";
    pub const UNABLE_TO_CONNECT: &str = "08001";
    pub const FEATURE_NOT_SUPPORTED: &str = "0A000";
    pub const PASSWORD_REQUIRED: &str = "2F003";
    pub const INVALID_PARAMETER_VALUE: &str = "22023";
    pub const NULL_VALUE_NOT_ALLOWED: &str = "22004";
    pub const INVALID_NAME: &str = "42602";
    pub const UNDEFINED_OBJECT: &str = "42704";
    pub const DUPLICATE_OBJECT: &str = "42710";
    pub const WRONG_OBJECT_TYPE: &str = "42809";
    pub const UNDEFINED_TABLE: &str = "42P01";
    pub const INSUFFICIENT_PRIVILEGE: &str = "42501";
    pub const OBJECT_NOT_IN_PREREQUISITE_STATE: &str = "55000";
    pub const LOCK_NOT_AVAILABLE: &str = "55P03";
    pub const READ_ONLY_SQL_TRANSACTION: &str = "25006";
    pub const OBJECT_IN_USE: &str = "55006";
    pub const EVENT_TRIGGER_PROTOCOL_VIOLATED: &str = "39P03";
    pub const QUERY_CANCELED: &str = "57014";
    pub const DISK_FULL: &str = "53100";
    pub const CONFIGURATION_LIMIT_EXCEEDED: &str = "53400";
    pub const NO_DATA_FOUND: &str = "P0002";
    pub const IO_ERROR: &str = "58030";
    pub const DATA_CORRUPTED: &str = "XX001";
    pub const INTERNAL_ERROR: &str = "XX000";
    pub const CHARACTER_NOT_IN_REPERTOIRE: &str = "22021";
    pub const DIVISION_BY_ZERO: &str = "22012";
}

impl Error {
    pub fn new(sqlstate: &str, message: impl Into<String>) -> Error {
        Error(Box::new(Parts {
            origin: Origin::Source,
            sqlstate: sqlstate.to_owned(),
            message: message.into(),
            detail: None,
            hint: None,
            context: Vec::new(),
            serially: false,
            constraint: None,
            routine: None,
            lsn: Lsn::INVALID,
        }))
    }

    pub fn internal(message: impl Into<String>) -> Error {
        Error::new(sqlstate::INTERNAL_ERROR, message)
    }

    pub fn connection(message: impl Into<String>) -> Error {
        Error::new(sqlstate::CONNECTION_FAILURE, message).origin(Origin::Connection)
    }

    pub fn origin(mut self, origin: Origin) -> Error {
        self.0.origin = origin;
        self
    }

    pub fn is_from(&self, origin: Origin) -> bool {
        self.0.origin == origin
    }

    pub fn detail(mut self, detail: impl Into<String>) -> Error {
        self.0.detail = Some(detail.into());
        self
    }

    pub fn hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint = Some(hint.into());
        self
    }

    /// Gives a hint only where the server gave none.
    pub fn or_hint(mut self, hint: impl Into<String>) -> Error {
        self.0.hint.get_or_insert_with(|| hint.into());
        self
    }

    pub fn context(mut self, context: impl Into<String>) -> Error {
        self.0.context.push(context.into());
        self
    }

    /// The change of the source at which it happened; `courier.skip_change()` can leave it out.
    pub fn lsn(mut self, lsn: Lsn) -> Error {
        self.0.lsn = lsn;
        self
    }

    /// Invalid when no change is to blame.
    pub fn lsn_value(&self) -> Lsn {
        self.0.lsn
    }

    /// Completes a hint that was written where neither the task nor the change was known: `{task}` and `{lsn}` become what they stand
    /// for, so that what is printed runs. A sentence that skips a change goes when no change is to blame.
    pub fn addressed_to(mut self, task: &str) -> Error {
        let lsn = self.0.lsn;
        self.0.hint = self.0.hint.map(|hint| complete(&hint, task, lsn));
        self
    }

    /// The constraint or unique index that the destination named.
    pub fn constraint(mut self, name: Option<String>) -> Error {
        self.0.constraint = name;
        self
    }

    /// The function of the server's source that said it: one reason of several with one SQLSTATE, in any language.
    pub fn routine(mut self, name: Option<String>) -> Error {
        self.0.routine = name;
        self
    }

    pub fn routine_name(&self) -> Option<&str> {
        self.0.routine.as_deref()
    }

    pub fn constraint_name(&self) -> Option<&str> {
        self.0.constraint.as_deref()
    }

    /// Marks an error of a merged batch: its transactions are to be replayed one by one.
    pub fn replay_serially(mut self) -> Error {
        self.0.serially = true;
        self
    }

    pub fn sqlstate(&self) -> &str {
        &self.0.sqlstate
    }

    pub fn message(&self) -> &str {
        &self.0.message
    }

    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// Detail and context in one text, as `courier.tasks` shows it.
    pub fn detail_text(&self) -> Option<String> {
        let mut lines: Vec<&str> = self.0.detail.as_deref().into_iter().collect();
        lines.extend(self.0.context.iter().map(String::as_str));
        (!lines.is_empty()).then(|| lines.join("\n"))
    }

    /// Which errors retry, which wait for a person. Classes are those of the SQLSTATE.
    pub fn remedy(&self) -> Remedy {
        if self.0.serially {
            return Remedy::ReplaySerially;
        }
        let state = self.0.sqlstate.as_str();
        let class = state.get(..2).unwrap_or("");
        match (self.0.origin, class, state) {
            // The password has been changed on the destination, and the user mapping follows soon: the task finds it there.
            (Origin::Connection, _, "28P01") => Remedy::RetryConnection,
            // Unknown role or database, refused by pg_hba.conf: waiting does not help.
            (Origin::Connection, "28" | "3D", _) => Remedy::Stop,
            (Origin::Connection, "42", _) => Remedy::Stop,
            (Origin::Connection, "22" | "55" | "0A", _) => Remedy::Stop,
            (Origin::Connection, _, _) => Remedy::RetryConnection,
            (_, "08", _) => Remedy::RetryConnection,
            // Shutdown, crash, starting up, or an administrator who ended our session.
            (Origin::Destination, _, "57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25006") => {
                Remedy::RetryConnection
            }
            // Too many connections, out of memory, disk full, other limits of the moment.
            (_, "53", _) => Remedy::RetryOther,
            // Serialization failure, deadlock, lock not available, canceled by a timeout.
            (_, "40", _) | (_, _, "55P03" | "57014") => Remedy::RetryOther,
            // An operating system error or an object that is busy for the moment.
            (_, "58", _) | (_, _, "55006") => Remedy::RetryOther,
            _ => Remedy::Stop,
        }
    }
}

fn complete(hint: &str, task: &str, lsn: Lsn) -> String {
    let task = crate::logicalrep::quote::quote_literal(task);
    let hint = hint.replace("{task}", &task);
    if lsn.is_valid() {
        return hint.replace("{lsn}", &format!("'{lsn}'"));
    }
    let Some(at) = hint.find("{lsn}") else { return hint };
    let start = hint[..at].rfind(". ").map_or(0, |dot| dot + 2);
    let end = hint[at..].find(". ").map_or(hint.len(), |dot| at + dot + 2);
    format!("{}{}", &hint[..start], &hint[end..]).trim_end().to_owned()
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (SQLSTATE {})", self.0.message, self.0.sqlstate)
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lost_connection_and_a_changed_password_are_retried_and_an_unknown_role_is_not() {
        assert_eq!(Error::connection("gone").remedy(), Remedy::RetryConnection);
        let refused = |state| Error::new(state, "refused").origin(Origin::Connection).remedy();
        assert_eq!(refused("28P01"), Remedy::RetryConnection);
        assert_eq!(refused("28000"), Remedy::Stop);
    }

    #[test]
    fn a_constraint_violation_waits_for_a_person_unless_the_batch_was_merged() {
        let error = || Error::new("23505", "duplicate key").origin(Origin::Destination);
        assert_eq!(error().remedy(), Remedy::Stop);
        assert_eq!(error().replay_serially().remedy(), Remedy::ReplaySerially);
    }

    #[test]
    fn a_deadlock_and_a_full_disk_pass() {
        for state in ["40P01", "40001", "55P03", "57014", "53100"] {
            let error = Error::new(state, "x").origin(Origin::Destination);
            assert_eq!(error.remedy(), Remedy::RetryOther, "{state}");
        }
    }

    #[test]
    fn a_hint_names_the_task_and_the_change() {
        let error = |hint: &str| Error::internal("m").hint(hint);
        let whole = "Remove it, then SELECT courier.resume({task}); goes on. SELECT courier.skip_change({task}, {lsn}); leaves it out.";
        let named = error(whole).lsn(Lsn(0x10)).addressed_to("shop");
        assert_eq!(
            named.hint_text(),
            Some(
                "Remove it, then SELECT courier.resume('shop'); goes on. SELECT courier.skip_change('shop', '0/10'); leaves it out."
            )
        );
        let unknown = error(whole).addressed_to("shop");
        assert_eq!(unknown.hint_text(), Some("Remove it, then SELECT courier.resume('shop'); goes on."));
        assert_eq!(
            error("Nothing to fill in {here}.").addressed_to("shop").hint_text(),
            Some("Nothing to fill in {here}.")
        );
    }

    #[test]
    fn detail_keeps_context_lines_below_it() {
        let error = Error::new("XX000", "m").detail("d").context("c1").context("c2");
        assert_eq!(error.detail_text().as_deref(), Some("d\nc1\nc2"));
        assert_eq!(Error::internal("m").detail_text(), None);
    }
}
