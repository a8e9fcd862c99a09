//! The validator of foreign-data wrapper `pg_courier`: servers and user mappings hold libpq options.

use pgrx::prelude::*;

use crate::error::{Error, Result, sqlstate};
use crate::libpq::{OptionKind, known_option};
use crate::pg::text::Text;
use crate::pg::{report, xact};

/// Options that make the server read files or run things as its operating system user: for superusers.
const SUPERUSER_ONLY: [&str; 9] = [
    "passfile",
    "service",
    "servicefile",
    "sslcert",
    "sslkey",
    "sslkeylogfile",
    "oauth_ca_file",
    "krbsrvname",
    "gssdelegation",
];
/// Set by the workers themselves.
const RESERVED: [&str; 5] =
    ["client_encoding", "application_name", "fallback_application_name", "options", "replication"];

#[pg_extern(sql = false)]
fn validator(options: Vec<Option<Text>>, catalog: pg_sys::Oid) {
    report::unwrap(validate(&options, catalog.to_u32()));
}

fn validate(options: &[Option<Text>], catalog: u32) -> Result<()> {
    let on_user_mapping = catalog == pg_sys::UserMappingRelationId.to_u32();
    let on_server = catalog == pg_sys::ForeignServerRelationId.to_u32();
    for option in options.iter().flatten() {
        let (keyword, value) = option.split_once('=').unwrap_or((option, ""));
        let place = place_of(keyword);
        let fits = match place {
            Some(Place::UserMapping) => on_user_mapping,
            Some(Place::Server) => on_server,
            None => false,
        };
        if !fits {
            let hint = match place {
                Some(Place::UserMapping) => format!("Option \"{keyword}\" belongs to the user mapping."),
                Some(Place::Server) => format!("Option \"{keyword}\" belongs to the server."),
                None => "Servers take libpq options such as host, port, dbname, sslmode and sslrootcert, user \
                         mappings take user and password."
                    .to_owned(),
            };
            return Err(Error::new("HV00D", format!("invalid option \"{keyword}\"")).hint(hint));
        }
        if SUPERUSER_ONLY.contains(&keyword) && !xact::is_superuser(xact::user_id()) {
            return Err(Error::new(
                sqlstate::INSUFFICIENT_PRIVILEGE,
                format!("permission denied to set option \"{keyword}\""),
            )
            .detail("It makes the server use files or identities of its operating system user.")
            .hint("Let a superuser set it."));
        }
        if keyword == "port" && !value.split(',').all(|p| p.is_empty() || p.parse::<u16>().is_ok_and(|p| p > 0)) {
            return Err(Error::new(sqlstate::INVALID_PARAMETER_VALUE, format!("invalid port \"{value}\"")));
        }
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Server,
    UserMapping,
}

fn place_of(keyword: &str) -> Option<Place> {
    if RESERVED.contains(&keyword) {
        return None;
    }
    match (known_option(keyword)?, keyword) {
        (OptionKind::Debug, _) => None,
        (OptionKind::Secret, _) | (_, "user" | "sslcert" | "sslkey" | "passfile") => Some(Place::UserMapping),
        (OptionKind::Plain, _) => Some(Place::Server),
    }
}
