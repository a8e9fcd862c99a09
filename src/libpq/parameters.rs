//! What a connection is made with: options of the foreign server and of the user mapping, and nothing else.
//!
//! libpq would take what is missing from the environment and from files of the operating system user. The environment it
//! does not get at all (`include/courier_libpq_config.h`); the files are a superuser's, see
//! [`Parameters::for_ordinary_role`].

use std::ffi::CString;
use std::fs;

use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names::quote_ident;

/// The ways to log in that ask for the password of the user mapping.
const PASSWORD_METHODS: [&str; 3] = ["password", "md5", "scram-sha-256"];

/// libpq keywords and values; the only place where a password lives, so it has no `Debug`.
#[derive(Clone, Default)]
pub struct Parameters {
    options: Vec<(String, String)>,
    /// The foreign server, and for whom the user mapping is (quoted, or PUBLIC): for hints.
    server: String,
    mapped: String,
}

impl Parameters {
    /// `mapped` is the role of the user mapping, `None` for PUBLIC's.
    pub fn of(server: &str, mapped: Option<&str>) -> Parameters {
        Parameters {
            options: Vec::new(),
            server: quote_ident(server),
            mapped: mapped.map_or_else(|| "PUBLIC".to_owned(), quote_ident),
        }
    }

    /// Sets a keyword; an earlier value gives way.
    pub fn set(&mut self, keyword: &str, value: &str) {
        self.options.retain(|(k, _)| k != keyword);
        self.options.push((keyword.to_owned(), value.to_owned()));
    }

    /// libpq takes an empty value for none.
    pub fn get(&self, keyword: &str) -> Option<&str> {
        self.options.iter().find(|(k, _)| k == keyword).map(|(_, v)| v.as_str()).filter(|v| !v.is_empty())
    }

    /// Where a connection goes, for messages: never the secret parts.
    pub fn describe(&self) -> String {
        let part = |keyword: &str, otherwise: &str| self.get(keyword).unwrap_or(otherwise).to_owned();
        let host = self.get("hostaddr").or_else(|| self.get("host")).unwrap_or("local socket");
        format!(
            "host \"{host}\", port {}, database \"{}\", user \"{}\"",
            part("port", "5432"),
            part("dbname", "(default)"),
            part("user", "(default)")
        )
    }

    /// The statement that gives an option of the server another value.
    pub fn alter_server(&self, keyword: &str, value: &str) -> String {
        let verb = if self.is_set(keyword) { "SET" } else { "ADD" };
        format!("ALTER SERVER {} OPTIONS ({verb} {keyword} '{value}');", self.server)
    }

    /// The same for an option of the user mapping.
    pub fn alter_mapping(&self, keyword: &str, value: &str) -> String {
        let verb = if self.is_set(keyword) { "SET" } else { "ADD" };
        format!("ALTER USER MAPPING FOR {} SERVER {} OPTIONS ({verb} {keyword} '{value}');", self.mapped, self.server)
    }

    fn is_set(&self, keyword: &str) -> bool {
        self.options.iter().any(|(k, _)| k == keyword)
    }

    /// The same connection for a role that is no superuser: it comes with the password of the user mapping, which the
    /// destination has to ask for, and with nothing that belongs to the operating system user of the server: no password
    /// file, no client certificate, no ticket, no name that a socket vouches for. A superuser may have put a
    /// certificate into the user mapping.
    pub fn for_ordinary_role(&self) -> Result<Parameters> {
        for (keyword, what) in [("user", "user"), ("password", "password")] {
            if self.get(keyword).is_none() {
                return Err(Error::new(sqlstate::PASSWORD_REQUIRED, format!("a {what} is required"))
                    .detail(format!(
                        "The user mapping has no {what}. Without it the connection would be made with what the server's \
                         operating system user has, which is for superusers."
                    ))
                    .hint(self.alter_mapping(keyword, "...")));
            }
        }
        let mut own = self.clone();
        let methods = password_methods(self.get("require_auth").unwrap_or_default());
        if methods.is_empty() {
            return Err(Error::new(sqlstate::PASSWORD_REQUIRED, "a password is required")
                .detail("Option \"require_auth\" of the server admits no way to log in that asks for one.")
                .hint(self.alter_server("require_auth", "scram-sha-256")));
        }
        own.set("require_auth", &methods.join(","));
        own.set("gssencmode", "disable");
        if self.get("passfile").is_none() {
            own.set("passfile", "/dev/null");
        }
        if self.get("sslcert").is_none() {
            own.set("sslcertmode", "disable");
        }
        Ok(own)
    }

    /// Files are read in one go: a pipe or a device would hold the process, and no signal would end that.
    pub fn check_files(&self) -> Result<()> {
        for keyword in ["sslrootcert", "sslcrl", "sslcert", "sslkey"] {
            let Some(path) = self.get(keyword).filter(|path| *path != "system") else { continue };
            if fs::metadata(path).is_ok_and(|file| !file.is_file()) {
                return Err(Error::new(
                    sqlstate::INVALID_PARAMETER_VALUE,
                    format!("option \"{keyword}\" does not name a regular file: \"{path}\""),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn to_c(&self) -> Result<(Vec<CString>, Vec<CString>)> {
        let c = |text: &str| {
            CString::new(text)
                .map_err(|_| Error::new(sqlstate::INVALID_PARAMETER_VALUE, "a connection option contains a zero byte"))
        };
        let keywords = self.options.iter().map(|(k, _)| c(k)).collect::<Result<_>>()?;
        let values = self.options.iter().map(|(_, v)| c(v)).collect::<Result<_>>()?;
        Ok((keywords, values))
    }
}

/// What is left of the ways that ask for a password under the server's own `require_auth`: a list of ways that are
/// admitted, or of ways that are not (`!way`).
fn password_methods(require_auth: &str) -> Vec<&'static str> {
    let named: Vec<&str> = require_auth.split(',').map(str::trim).filter(|method| !method.is_empty()).collect();
    let excluded = |method: &str| named.iter().any(|n| n.strip_prefix('!') == Some(method));
    let admits = |method: &str| match named.first() {
        None => true,
        Some(first) if first.starts_with('!') => !excluded(method),
        Some(_) => named.contains(&method),
    };
    PASSWORD_METHODS.into_iter().filter(|method| admits(method)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(options: &[(&str, &str)]) -> Parameters {
        let mut parameters = Parameters::of("dr", Some("low"));
        options.iter().for_each(|(keyword, value)| parameters.set(keyword, value));
        parameters
    }

    #[test]
    fn an_ordinary_role_brings_user_and_password() {
        for (options, missing) in [
            (&[("host", "h")][..], "user"),
            (&[("user", "u")], "password"),
            (&[("user", "u"), ("password", "")], "password"),
            (&[("user", "u"), ("passfile", "/x")], "password"),
        ] {
            let error = parameters(options).for_ordinary_role().err().expect("refused");
            assert_eq!(error.sqlstate(), "2F003");
            let verb = if options.iter().any(|(k, _)| *k == missing) { "SET" } else { "ADD" };
            let hint = format!("ALTER USER MAPPING FOR \"low\" SERVER \"dr\" OPTIONS ({verb} {missing} '...');");
            assert_eq!(error.hint_text(), Some(hint.as_str()));
        }
    }

    #[test]
    fn an_ordinary_role_uses_nothing_of_the_operating_system_user() {
        let own = parameters(&[("user", "u"), ("password", "p")]).for_ordinary_role().expect("complete");
        assert_eq!(own.get("require_auth"), Some("password,md5,scram-sha-256"));
        assert_eq!(own.get("gssencmode"), Some("disable"));
        assert_eq!(own.get("passfile"), Some("/dev/null"));
        assert_eq!(own.get("sslcertmode"), Some("disable"));
        // A superuser has put it into the user mapping.
        let given = [("user", "u"), ("password", "p"), ("sslcert", "/c"), ("sslkey", "/k")];
        let own = parameters(&given).for_ordinary_role().expect("complete");
        assert_eq!(own.get("sslcertmode"), None);
    }

    #[test]
    fn require_auth_is_never_widened() {
        for (given, left) in [
            ("", "password,md5,scram-sha-256"),
            ("scram-sha-256", "scram-sha-256"),
            ("none, scram-sha-256,gss", "scram-sha-256"),
            ("!password, !md5", "scram-sha-256"),
            ("!none", "password,md5,scram-sha-256"),
            ("none", ""),
            ("gss,oauth", ""),
        ] {
            assert_eq!(password_methods(given).join(","), left, "{given}");
        }
    }

    #[test]
    fn a_device_is_not_read_as_a_certificate() {
        let error = parameters(&[("sslrootcert", "/dev/zero")]).check_files().expect_err("refused");
        assert_eq!(error.sqlstate(), "22023");
        assert!(parameters(&[("sslrootcert", "system"), ("sslcrl", "/not/there")]).check_files().is_ok());
    }
}
