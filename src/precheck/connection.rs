//! The way to a destination, step by step, each with what to do when it fails: `courier.test_connection()`, and the first
//! items of a precheck.

use std::net::ToSocketAddrs;

use super::foreign;
use crate::catalog::code_schemas::CodeSearch;
use crate::destination::{Destination, Purpose, SessionOptions};
use crate::error::{Error, Result};
use crate::libpq::Parameters;
use crate::logicalrep::names::quote_ident;
use crate::pg::{encoding, latch};

pub struct ConnectionStep {
    pub step: &'static str,
    pub status: &'static str,
    pub detail: String,
    pub hint: Option<String>,
}

impl ConnectionStep {
    fn new(step: &'static str, status: &'static str, detail: impl Into<String>) -> ConnectionStep {
        ConnectionStep { step, status, detail: detail.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> ConnectionStep {
        self.hint = Some(hint.into());
        self
    }
}

const STEPS: [&str; 7] = ["resolve", "connect", "tls", "login", "session", "database", "privileges"];

/// What the way to the destination is like, and the session at its end if there is one.
pub struct Tried {
    pub steps: Vec<ConnectionStep>,
    pub session: Option<Destination>,
    /// May the user set session_replication_role?
    pub may_be_replica: bool,
}

/// Goes the way with these parameters.
pub fn try_connection(parameters: &Parameters, password_required: bool) -> Result<Tried> {
    let mut steps = Vec::new();
    if password_required && let Err(error) = parameters.for_ordinary_role() {
        let detail = error.detail_text().unwrap_or_default();
        steps.push(ConnectionStep::new("login", "failed", detail).hint(error.hint_text().unwrap_or_default()));
        return Ok(Tried { steps: skip_rest(steps), session: None, may_be_replica: false });
    }
    let host = parameters.get("hostaddr").or_else(|| parameters.get("host")).unwrap_or("").to_owned();
    let port = parameters.get("port").and_then(|p| p.parse::<u16>().ok()).unwrap_or(5432);
    if host.is_empty() || host.starts_with('/') || host.contains(',') {
        steps.push(ConnectionStep::new("resolve", "skipped", "a local socket or a list of hosts"));
    } else {
        match (host.as_str(), port).to_socket_addrs() {
            Ok(addresses) => {
                let list: Vec<String> = addresses.map(|a| a.ip().to_string()).collect();
                steps.push(ConnectionStep::new("resolve", "ok", format!("{host} is {}", list.join(", "))));
            }
            Err(error) => {
                steps.push(
                    ConnectionStep::new("resolve", "failed", format!("{host}: {error}"))
                        .hint("Correct option host of the server, or the name service of this machine."),
                );
                return Ok(Tried { steps: skip_rest(steps), session: None, may_be_replica: false });
            }
        }
    }
    let session = SessionOptions {
        parameters,
        task: "connection test",
        code_search: &CodeSearch::default(),
        encoding: encoding::sent_as(),
        password_required,
    };
    match Destination::open(&session, Purpose::Control, latch::wait_sockets) {
        Ok(mut destination) => {
            let may_be_replica = check_session(&mut destination, &mut steps)?;
            Ok(Tried { steps, session: Some(destination), may_be_replica })
        }
        Err(error) => {
            steps.extend(failed_attempt(&error));
            Ok(Tried { steps: skip_rest(steps), session: None, may_be_replica: false })
        }
    }
}

/// Which step a refused attempt got to.
fn failed_attempt(error: &Error) -> Vec<ConnectionStep> {
    let detail = error.detail_text().unwrap_or_else(|| error.message().to_owned());
    let hint = error.hint_text().unwrap_or_default().to_owned();
    let ok = |step| ConnectionStep::new(step, "ok", "");
    let failed = |step| ConnectionStep::new(step, "failed", detail.clone()).hint(hint.clone());
    match error.sqlstate() {
        "28000" if detail.contains("SSL") || detail.contains("certificate") => vec![ok("connect"), failed("tls")],
        "28000" | "28P01" | "2F003" => vec![ok("connect"), ok("tls"), failed("login")],
        "0A000" => vec![ok("connect"), ok("tls"), ok("login"), failed("session")],
        "3D000" | "42501" => vec![ok("connect"), ok("tls"), ok("login"), ok("session"), failed("database")],
        _ => vec![failed("connect")],
    }
}

fn skip_rest(mut steps: Vec<ConnectionStep>) -> Vec<ConnectionStep> {
    for step in STEPS {
        if !steps.iter().any(|s| s.step == step) {
            steps.push(ConnectionStep::new(step, "skipped", "an earlier step failed"));
        }
    }
    steps
}

fn check_session(destination: &mut Destination, steps: &mut Vec<ConnectionStep>) -> Result<bool> {
    let account = destination.account()?;
    steps.push(ConnectionStep::new("connect", "ok", format!("PostgreSQL {}", foreign::line(&account.version))));
    let tls = if destination.uses_tls() { "encrypted" } else { "not encrypted" };
    let tls_step = ConnectionStep::new("tls", "ok", tls);
    steps.push(if destination.uses_tls() {
        tls_step
    } else {
        tls_step.hint("Set sslmode 'verify-full' and sslrootcert for a network you do not trust.")
    });
    steps.push(ConnectionStep::new("login", "ok", format!("as {}", quote_ident(&foreign::line(&account.user)))));
    steps.push(ConnectionStep::new("session", "ok", "its own, for as long as the connection lasts"));
    let database = quote_ident(&foreign::line(&account.database));
    steps.push(if account.is_standby || account.is_read_only {
        ConnectionStep::new("database", "failed", format!("{database} is read-only or a standby"))
            .hint("Connect to a primary server whose database accepts writes.")
    } else {
        ConnectionStep::new("database", "ok", database.clone())
    });
    let user = quote_ident(&foreign::line(&account.user));
    if !account.may_create {
        steps.push(
            ConnectionStep::new("privileges", "failed", format!("no CREATE on database {database}"))
                .hint(format!("GRANT CREATE ON DATABASE {database} TO {user}; -- on the destination")),
        );
        return Ok(false);
    }
    let replica = destination.become_replica();
    steps.push(if !replica {
        let step = ConnectionStep::new(
            "privileges",
            "warning",
            "may not set session_replication_role, which tables with foreign keys or triggers need",
        );
        if account.role_is_granted {
            step.hint(format!("GRANT SET ON PARAMETER session_replication_role TO {user}; -- on the destination"))
        } else {
            step.hint("Before PostgreSQL 15 only a superuser can set it.")
        }
    } else if account.is_kept_out_of_public {
        ConnectionStep::new(
            "privileges",
            "warning",
            "may not create tables in schema public, if the task has some there",
        )
        .hint(format!("GRANT USAGE, CREATE ON SCHEMA public TO {user}; -- on the destination"))
    } else {
        ConnectionStep::new("privileges", "ok", "may create objects and set session_replication_role")
    });
    Ok(replica)
}
