//! Why an attempt to connect failed.
//!
//! libpq keeps no fields for that, only a text. The server's part of it comes with its SQLSTATE, because the
//! verbosity asks for it, in any language; libpq's own part is always English, as it is built without translations.

use super::Parameters;
use crate::error::{Error, Origin, sqlstate};
use crate::logicalrep::names::{quote_ident, quote_literal};

/// What the text of a failed attempt says.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    /// The server's, if a server answered.
    state: Option<String>,
    text: String,
}

/// Reads libpq's text: an attempt for each host, and for each of encrypted and not. A wrong password counts before
/// everything else, the rest as the last attempt says it.
fn read(message: &str) -> Refusal {
    let mut text = Vec::new();
    let mut states: Vec<&str> = Vec::new();
    for line in message.trim().lines() {
        // Where in the server's source code it was said.
        if line.starts_with("LOCATION:  ") {
            continue;
        }
        match sqlstate_in(line) {
            Some((before, state, after)) => {
                states.push(state);
                text.push(format!("{before}{after}"));
            }
            None => {
                if line.starts_with("connection to server ") {
                    states.push("");
                }
                text.push(line.to_owned());
            }
        }
    }
    let state = states.iter().find(|state| **state == "28P01").or_else(|| states.last()).filter(|s| !s.is_empty());
    Refusal { state: state.map(|&state| state.to_owned()), text: text.join("\n") }
}

/// `<severity>:  <SQLSTATE>: <message>`, whatever the severity is called.
fn sqlstate_in(line: &str) -> Option<(&str, &str, &str)> {
    line.match_indices(":  ").find_map(|(at, _)| {
        let (before, rest) = line.split_at(at + 3);
        let (state, after) = rest.split_once(": ")?;
        let is_state = state.len() == 5 && state.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase());
        is_state.then_some((before, state, after))
    })
}

pub(super) fn error(parameters: &Parameters, message: &str, password_missing: bool) -> Error {
    let Refusal { state, text } = read(message);
    let has = |needle: &str| text.contains(needle);
    let (state, hint) = match state.as_deref() {
        Some("28P01") => ("28P01".to_owned(), wrong_password(parameters)),
        // One SQLSTATE for several reasons; the text is for people.
        Some(state @ "28000") => (state.to_owned(), admission(parameters, has)),
        Some(state @ "3D000") => (
            state.to_owned(),
            format!(
                "On the destination: CREATE DATABASE {}; or name another one here: {}",
                database(parameters),
                parameters.alter_server("dbname", "...")
            ),
        ),
        Some(state @ "42501") => (
            state.to_owned(),
            format!("On the destination: GRANT CONNECT ON DATABASE {} TO {};", database(parameters), user(parameters)),
        ),
        Some(state) => {
            (state.to_owned(), "The destination answers, and refuses: its words are in the detail.".to_owned())
        }
        None if password_missing => ("28P01".to_owned(), wrong_password(parameters)),
        None if has("authentication method requirement") => {
            return not_asked(parameters, &format!(" ({text})"));
        }
        None if is_option(&text) => (
            sqlstate::INVALID_PARAMETER_VALUE.to_owned(),
            "Correct the option of the server or user mapping.".to_owned(),
        ),
        None if is_tls(&text) => {
            ("28000".to_owned(), "Check sslmode and the certificate options of the server.".to_owned())
        }
        None => (
            sqlstate::UNABLE_TO_CONNECT.to_owned(),
            "Check host, port and firewall, and that the server accepts connections.".to_owned(),
        ),
    };
    Error::new(&state, "could not connect to the destination")
        .origin(Origin::Connection)
        .detail(format!("Tried {}: {text}", parameters.describe()))
        .hint(hint)
}

fn wrong_password(parameters: &Parameters) -> String {
    format!(
        "Set the right password: {} A task that runs tries again by itself, for courier.connection_retry_time.",
        parameters.alter_mapping("password", "...")
    )
}

fn admission(parameters: &Parameters, has: impl Fn(&str) -> bool) -> String {
    if has("pg_hba.conf") {
        "Add a line for this source to pg_hba.conf of the destination and reload it.".to_owned()
    } else if has("role \"") && has("does not exist") {
        let name = quote_literal(parameters.get("user").unwrap_or_default());
        format!(
            "SELECT courier.account_sql('destination', {name}); prints what makes the role, to run on the destination. Or name \
             another one here: {}",
            parameters.alter_mapping("user", "...")
        )
    } else {
        format!(
            "The role has to exist on the destination and may log in (ALTER ROLE {} LOGIN;), and its pg_hba.conf has to admit this source.",
            user(parameters)
        )
    }
}

/// As libpq fills in what the options leave out.
fn user(parameters: &Parameters) -> String {
    quote_ident(parameters.get("user").unwrap_or("postgres"))
}

fn database(parameters: &Parameters) -> String {
    let name = parameters.get("dbname").or_else(|| parameters.get("user"));
    quote_ident(name.unwrap_or("postgres"))
}

/// The options do not fit together, or one has a value that nothing makes right. No server has been asked.
fn is_option(text: &str) -> bool {
    let complaints = [
        "could not match ",
        " cannot be mixed with ",
        " is specified more than once",
        "weak sslmode ",
        "\" is greater than \"max_protocol_version\"",
        " is not supported (check OpenSSL version)",
    ];
    text.starts_with("invalid ")
        || text.contains("invalid value for parameter")
        || !text.contains("connection to server ") && complaints.iter().any(|complaint| text.contains(complaint))
}

/// TLS does not come about, and waiting does not help. A connection that breaks in the middle of it is no such thing.
fn is_tls(text: &str) -> bool {
    [
        "certificate",
        "does not support SSL",
        "SSL is not enabled",
        "wrong version number",
        "unsupported protocol",
        "no protocols available",
        "alert ",
        "channel binding",
    ]
    .iter()
    .any(|needle| text.contains(needle))
}

/// The destination lets the user in without asking for the password of the user mapping.
pub(super) fn not_asked(parameters: &Parameters, text: &str) -> Error {
    Error::new(sqlstate::PASSWORD_REQUIRED, "a password is required")
        .origin(Origin::Source)
        .detail(format!(
            "Tried {}: the destination did not ask for the password of the user mapping{text}.",
            parameters.describe()
        ))
        .hint("Let pg_hba.conf of the destination ask for a password (scram-sha-256), or let a superuser own the task.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Remedy;

    fn refusal(message: &str) -> Error {
        error(&Parameters::of("dr", None), message, false)
    }

    #[test]
    fn the_sqlstate_counts_in_every_language() {
        for (message, state, remedy) in [
            (
                "connection to server at \"h\", port 1 failed: FATAL:  28P01: password authentication failed for user \"u\"\n\
                 LOCATION:  auth_failed, auth.c:326\n",
                "28P01",
                Remedy::RetryConnection,
            ),
            (
                "connection failed: FATAL:  28P01: Passwort-Authentifizierung fehlgeschlagen",
                "28P01",
                Remedy::RetryConnection,
            ),
            ("connection failed: 致命错误:  3D000: 数据库 \"x\" 不存在", "3D000", Remedy::Stop),
            ("connection failed: ВАЖНО:  28000: роль \"u\" не существует", "28000", Remedy::Stop),
            ("connection failed: FATAL:  42501: droit refusé pour la base", "42501", Remedy::Stop),
            ("connection failed: FATAL:  57P03: the database system is starting up", "57P03", Remedy::RetryConnection),
            ("connection failed: FATAL:  53300: sorry, too many clients already", "53300", Remedy::RetryConnection),
            ("connection to server at \"h\" failed: Connection refused", "08001", Remedy::RetryConnection),
            ("connection to server at \"h\" failed: server closed the connection", "08001", Remedy::RetryConnection),
            ("connection failed: SSL error: unexpected eof while reading", "08001", Remedy::RetryConnection),
            ("connection failed: SSL error: certificate verify failed", "28000", Remedy::Stop),
            ("invalid sslmode value: \"bogus\"", "22023", Remedy::Stop),
            ("could not match 3 port numbers to 1 hosts", "22023", Remedy::Stop),
            ("require_auth method \"md5\" is specified more than once", "22023", Remedy::Stop),
        ] {
            let error = refusal(message);
            assert_eq!((error.sqlstate(), error.remedy()), (state, remedy), "{message}");
        }
    }

    #[test]
    fn hints_name_database_and_role() {
        let mut parameters = Parameters::of("dr", None);
        parameters.set("user", "it's");
        for (message, hint) in [
            ("connection failed: FATAL:  3D000: database \"it's\" does not exist", "CREATE DATABASE \"it's\";"),
            ("connection failed: FATAL:  42501: permission denied", "GRANT CONNECT ON DATABASE \"it's\" TO \"it's\";"),
            (
                "connection failed: FATAL:  28000: role \"it's\" does not exist",
                "SELECT courier.account_sql('destination', 'it''s');",
            ),
            ("connection failed: FATAL:  28000: role \"it's\" is not permitted", "ALTER ROLE \"it's\" LOGIN;"),
        ] {
            let error = error(&parameters, message, false);
            assert!(error.hint_text().is_some_and(|text| text.contains(hint)), "{error}: {:?}", error.hint_text());
        }
    }

    #[test]
    fn the_text_is_as_it_was() {
        let read = read("a: FATAL:  28P01: wrong: 12345: x\nDETAIL:  d\nLOCATION:  f, a.c:1\n");
        assert_eq!(read.state.as_deref(), Some("28P01"));
        assert_eq!(read.text, "a: FATAL:  wrong: 12345: x\nDETAIL:  d");
    }

    #[test]
    fn a_wrong_password_counts_before_the_attempt_without_encryption() {
        let both = "connection to server at \"h\" failed: FATAL:  28P01: wrong password\n\
                    connection to server at \"h\" failed: FATAL:  28000: no pg_hba.conf entry, no encryption";
        assert_eq!(refusal(both).sqlstate(), "28P01");
        let hosts = "connection to server at \"a\" failed: FATAL:  3D000: no database\n\
                     connection to server at \"b\" failed: Connection refused";
        assert_eq!(refusal(hosts).sqlstate(), "08001");
    }

    #[test]
    fn a_server_that_does_not_ask_is_told_from_one_that_refuses() {
        let error = refusal(
            "authentication method requirement \"scram-sha-256\" failed: server did not complete authentication",
        );
        assert_eq!((error.sqlstate(), error.remedy()), ("2F003", Remedy::Stop));
    }
}
