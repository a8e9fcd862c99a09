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
    "krbsrvname",
    "gsslib",
    "gssdelegation",
];
/// Set by the workers themselves.
const RESERVED: [&str; 5] =
    ["client_encoding", "application_name", "fallback_application_name", "options", "replication"];

/// Options that have a few values. The libpq that is built in has no GSSAPI, so encryption by it cannot be required.
const CHOICES: [(&str, &[&str]); 15] = [
    ("sslmode", &["disable", "allow", "prefer", "require", "verify-ca", "verify-full"]),
    ("sslnegotiation", &["postgres", "direct"]),
    ("sslcertmode", &["disable", "allow", "require"]),
    ("sslcompression", SWITCH),
    ("sslsni", SWITCH),
    ("keepalives", SWITCH),
    ("gssdelegation", SWITCH),
    ("gssencmode", &["disable", "prefer"]),
    ("channel_binding", &["disable", "prefer", "require"]),
    ("target_session_attrs", &["any", "read-write", "read-only", "primary", "standby", "prefer-standby"]),
    ("load_balance_hosts", &["disable", "random"]),
    ("min_protocol_version", &["3.0", "3.2", "latest"]),
    ("max_protocol_version", &["3.0", "3.2", "latest"]),
    ("ssl_min_protocol_version", TLS),
    ("ssl_max_protocol_version", TLS),
];
const SWITCH: &[&str] = &["0", "1"];
const TLS: &[&str] = &["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

const AUTHENTICATION: [&str; 7] = ["password", "md5", "gss", "sspi", "scram-sha-256", "oauth", "none"];

/// Seconds, milliseconds, a number of packets.
const NUMBERS: [&str; 5] =
    ["connect_timeout", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout"];

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
        check_value(keyword, value)?;
    }
    Ok(())
}

/// What libpq would find out at every attempt to connect.
fn check_value(keyword: &str, value: &str) -> Result<()> {
    let invalid = || Error::new(sqlstate::INVALID_PARAMETER_VALUE, format!("invalid {keyword} \"{value}\""));
    let all = |is_valid: fn(&str) -> bool| value.split(',').all(is_valid);
    if let Some((_, choices)) = CHOICES.iter().find(|(name, _)| *name == keyword)
        && !choices.iter().any(|choice| choice == &value)
    {
        return Err(invalid().hint(format!("Values are {}.", choices.join(", "))));
    }
    if NUMBERS.contains(&keyword) && !value.trim().parse::<i32>().is_ok_and(|number| number >= 0) {
        return Err(invalid().hint("The value is a whole number."));
    }
    match keyword {
        "port" if !all(|p| p.trim().is_empty() || p.trim().parse::<u16>().is_ok_and(|p| p > 0)) => Err(invalid()),
        "hostaddr" if !all(|a| a.is_empty() || a.parse::<std::net::IpAddr>().is_ok()) => {
            Err(invalid().hint("The value is an IP address; names are for option host."))
        }
        "require_auth" if !are_methods(value) => Err(invalid().hint(format!(
            "The value is a list of some of {}, or of such with ! in front of each, without spaces.",
            AUTHENTICATION.join(",")
        ))),
        _ => Ok(()),
    }
}

/// Each once, and all of them admitted or all of them not.
fn are_methods(value: &str) -> bool {
    let methods: Vec<&str> = value.split(',').collect();
    let is_first = |at: usize| !methods[..at].contains(&methods[at]);
    let excludes = |method: &str| method.starts_with('!');
    methods.iter().enumerate().all(|(at, method)| {
        AUTHENTICATION.contains(&method.strip_prefix('!').unwrap_or(method))
            && is_first(at)
            && excludes(method) == excludes(methods[0])
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Server,
    UserMapping,
}

fn place_of(keyword: &str) -> Option<Place> {
    // The libpq that is built in cannot log in by OAuth.
    if RESERVED.contains(&keyword) || keyword.starts_with("oauth_") {
        return None;
    }
    match (known_option(keyword)?, keyword) {
        (OptionKind::Debug, _) => None,
        (OptionKind::Secret, _) | (_, "user" | "sslcert" | "sslkey" | "passfile") => Some(Place::UserMapping),
        (OptionKind::Plain, _) => Some(Place::Server),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::libpq::properties;

    #[test]
    fn values_are_checked_before_anybody_connects() {
        for (keyword, value) in [
            ("sslmode", "verify-full"),
            ("port", "5432,5433"),
            ("connect_timeout", " 10 "),
            ("hostaddr", "10.0.0.1,::1"),
            ("require_auth", "!none,!gss"),
            ("ssl_min_protocol_version", "TLSv1.3"),
            ("host", "anything"),
        ] {
            assert!(check_value(keyword, value).is_ok(), "{keyword} {value}");
        }
        for (keyword, value) in [
            ("sslmode", "bogus"),
            ("sslmode", ""),
            ("gssencmode", "require"),
            ("port", "0"),
            ("connect_timeout", "-1"),
            ("tcp_user_timeout", "1 min"),
            ("hostaddr", "localhost"),
            ("hostaddr", "10.0.0.1, ::1"),
            ("require_auth", "scram"),
            ("require_auth", "md5,!gss"),
            ("require_auth", "md5, gss"),
            ("require_auth", "md5,md5"),
        ] {
            let error = check_value(keyword, value).expect_err(keyword);
            assert_eq!(error.sqlstate(), "22023", "{keyword} {value}");
        }
    }

    /// What is admitted here is nothing that libpq refuses at each attempt.
    #[test]
    fn libpq_takes_what_is_admitted() {
        let mut values: Vec<&str> = CHOICES.iter().flat_map(|(_, choices)| choices.iter().copied()).collect();
        values.extend(AUTHENTICATION);
        values.extend(["bogus", "", "-1", " 7 ", "7 s", "99999999999", "1.5", "Require"]);
        let keywords: Vec<&str> = CHOICES.iter().map(|(keyword, _)| *keyword).chain(["require_auth"]).collect();
        crate::chance::many(500, |chance| {
            let keyword = *chance.one_of(&keywords);
            let list: Vec<&str> = (0..=chance.below(3)).map(|_| *chance.one_of(&values)).collect();
            let value = if keyword == "require_auth" {
                list.join(*chance.one_of(&[",", ",!", ", "]))
            } else {
                list[0].to_owned()
            };
            if check_value(keyword, &value).is_ok() {
                assert_eq!(properties::complaint(keyword, &value), None, "{keyword} {value}");
            }
        });
    }

    #[test]
    fn a_secret_belongs_to_the_user_mapping_and_is_in_no_error() {
        for keyword in properties::keywords() {
            let is_secret = known_option(keyword) == Some(OptionKind::Secret);
            assert!(!is_secret || !matches!(place_of(keyword), Some(Place::Server)), "{keyword}");
            let told = check_value(keyword, "S3kr1t").err().map(|error| error.to_string()).unwrap_or_default();
            assert!(!is_secret || !told.contains("S3kr1t"), "{told}");
        }
    }
}
