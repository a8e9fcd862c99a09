//! From a foreign server and a user mapping to connection parameters.

use crate::error::{Error, Result, sqlstate};
use crate::libpq::Parameters;
use crate::logicalrep::Row;
use crate::logicalrep::names::quote_ident;
use crate::pg::spi;

/// The parameters with which `role` reaches `server`. Only for a role with USAGE on the server.
pub fn parameters(role: u32, server: u32) -> Result<Parameters> {
    let (role_text, server_text) = (role.to_string(), server.to_string());
    let (role_param, server_param) = (Some(role_text.as_str()), Some(server_text.as_str()));
    spi::as_extension(|| {
        let row = spi::query_opt(
            "SELECT s.srvname, has_server_privilege($1::oid, s.oid, 'USAGE') AS may_use, w.fdwname = 'pg_courier' AS is_ours, \
             pg_get_userbyid($1::oid) AS role, (SELECT max(m.umuser) FROM pg_user_mapping m WHERE m.umserver = s.oid \
             AND m.umuser IN ($1::oid, 0)) AS mapped \
             FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = s.srvfdw WHERE s.oid = $2::oid",
            &[role_param, server_param],
        )?
        .ok_or_else(|| {
            Error::new(sqlstate::UNDEFINED_OBJECT, "the server of the task does not exist any more")
                .hint("Drop the task and create it with another server.")
        })?;
        let (name, user) = (row.text("srvname")?, row.text("role")?);
        check_server(&row, name, user)?;
        let Some(mapped) = row.opt("mapped") else { return Err(no_mapping(name, user)) };
        let options = spi::query(
            "SELECT o.option_name, o.option_value FROM pg_foreign_server s, pg_options_to_table(s.srvoptions) o \
             WHERE s.oid = $2::oid \
             UNION ALL \
             SELECT o.option_name, o.option_value FROM (SELECT m.umoptions FROM pg_user_mapping m \
               WHERE m.umserver = $2::oid AND m.umuser IN ($1::oid, 0) ORDER BY m.umuser DESC LIMIT 1) m, \
             pg_options_to_table(m.umoptions) o",
            &[role_param, server_param],
        )?;
        let options = options.iter().map(|option| Ok((option.text(0)?, option.opt(1).unwrap_or_default())));
        of_options(name, (mapped != "0").then_some(user), options)
    })
}

fn check_server(row: &Row, name: &str, user: &str) -> Result<()> {
    if !row.bool("may_use")? {
        let message = format!("permission denied for server \"{name}\"");
        return Err(Error::new(sqlstate::INSUFFICIENT_PRIVILEGE, message).hint(format!(
            "GRANT USAGE ON FOREIGN SERVER {} TO {};",
            quote_ident(name),
            quote_ident(user)
        )));
    }
    if !row.bool("is_ours")? {
        let message = format!("server \"{name}\" does not use foreign-data wrapper pg_courier");
        return Err(Error::new(sqlstate::INVALID_PARAMETER_VALUE, message)
            .hint("SELECT srvname FROM pg_foreign_server WHERE srvfdw = (SELECT oid FROM pg_foreign_data_wrapper WHERE fdwname = 'pg_courier');"));
    }
    Ok(())
}

fn no_mapping(server: &str, user: &str) -> Error {
    Error::new(sqlstate::UNDEFINED_OBJECT, format!("no user mapping for \"{user}\" on \"{server}\"")).hint(format!(
        "CREATE USER MAPPING FOR {} SERVER {} OPTIONS (user '...', password '...');",
        quote_ident(user),
        quote_ident(server)
    ))
}

/// What the options of a server and of a user mapping come to, which have none in common.
fn of_options<'a>(
    server: &str,
    mapped: Option<&str>,
    options: impl Iterator<Item = Result<(&'a str, &'a str)>>,
) -> Result<Parameters> {
    let mut parameters = Parameters::of(server, mapped);
    // A dead network is noticed within a minute, unless the server's options say otherwise.
    for (keyword, value) in [("tcp_user_timeout", "60000"), ("keepalives_idle", "30"), ("keepalives_interval", "10")] {
        parameters.set(keyword, value);
    }
    for option in options {
        let (keyword, value) = option?;
        parameters.set(keyword, value);
    }
    // Otherwise libpq would look for a local socket where its builder thought that there might be one.
    if ["host", "hostaddr", "service"].iter().all(|keyword| parameters.get(keyword).is_none()) {
        return Err(Error::new(
            sqlstate::INVALID_PARAMETER_VALUE,
            format!("server \"{server}\" does not say where the destination is"),
        )
        .hint(parameters.alter_server("host", "...")));
    }
    Ok(parameters)
}

pub fn name_of(server: u32) -> Result<String> {
    let sql = "SELECT srvname FROM pg_foreign_server WHERE oid = $1::oid";
    spi::as_extension(|| spi::query_one(sql, &[Some(&server.to_string())]))?.string(0)
}

/// The OID of a server by name, with an answer for the usual mistakes.
pub fn server_by_name(name: &str) -> Result<u32> {
    let row =
        spi::as_extension(|| spi::query_opt("SELECT oid FROM pg_foreign_server WHERE srvname = $1", &[Some(name)]))?;
    let row = row.ok_or_else(|| {
        Error::new(sqlstate::UNDEFINED_OBJECT, format!("server \"{name}\" does not exist"))
            .hint(format!(
                "CREATE SERVER {} FOREIGN DATA WRAPPER pg_courier OPTIONS (host 'db.example.com', port '5432', dbname 'postgres'); with \
                 the destination's own.",
                quote_ident(name)
            ))
    })?;
    row.parse(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(options: &[(&'static str, &'static str)]) -> Result<Parameters> {
        of_options("dr", Some("low"), options.iter().copied().map(Ok))
    }

    #[test]
    fn a_dead_network_is_noticed_unless_the_server_says_otherwise() {
        let given = parameters(&[("host", "h"), ("keepalives_idle", "99"), ("password", "S3kr1t")]).expect("complete");
        for (keyword, value) in
            [("host", "h"), ("tcp_user_timeout", "60000"), ("keepalives_idle", "99"), ("keepalives_interval", "10")]
        {
            assert_eq!(given.get(keyword), Some(value), "{keyword}");
        }
    }

    #[test]
    fn a_destination_is_somewhere() {
        for keyword in ["host", "hostaddr", "service"] {
            assert!(parameters(&[(keyword, "h")]).is_ok(), "{keyword}");
        }
        for (options, verb) in
            [(&[("password", "S3kr1t")][..], "ADD"), (&[("password", "S3kr1t"), ("host", "")], "SET")]
        {
            let error = parameters(options).err().expect("refused");
            let hint = format!("ALTER SERVER \"dr\" OPTIONS ({verb} host '...');");
            assert_eq!((error.sqlstate(), error.hint_text()), ("22023", Some(hint.as_str())));
            assert!(!format!("{error:?}").contains("S3kr1t"));
        }
    }
}
