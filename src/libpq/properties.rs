//! What holds for any options of a server and a user mapping, and for whatever a refusal says.

use std::ffi::{CStr, CString, c_char};
use std::ptr;
use std::sync::LazyLock;

use super::connection::text;
use super::{Connection, OptionKind, Parameters, known_option, refusal};
use crate::chance::Chance;
use crate::error::Error;

/// Stands in every secret.
const SECRET: &str = "S3kr1t";
/// libpq refuses this before it looks for a host, so nobody is connected to.
const NO_SUCH_SESSION: (&str, &str) = ("target_session_attrs", "nowhere");
/// These make libpq read files.
const FILES: [&str; 3] = ["service", "servicefile", "passfile"];
const LETTERS: &str = "aB0 ='\"\\,:;!-@%\tü";

/// libpq has each option as it is set here, whatever is in it: no value is taken apart, or for several.
pub fn connection_options(chance: &mut Chance) {
    let keywords = keywords();
    let mut parameters = Parameters::of("dr", None);
    for _ in 0..chance.below(8) {
        let keyword = chance.one_of(keywords).as_str();
        if !FILES.contains(&keyword) {
            parameters.set(keyword, &value(keyword, chance));
        }
    }
    // What reads as a whole list of options, too.
    let databases = ["postgres://h/d", "host=h dbname=d", "a b", "'", "\\"];
    parameters.set("dbname", databases[chance.below(databases.len())]);
    parameters.set(NO_SUCH_SESSION.0, NO_SUCH_SESSION.1);
    let taken = taken(&parameters);
    for keyword in keywords {
        if let Some(set) = parameters.get(keyword) {
            let taken = taken.iter().find(|(taken, _)| taken == keyword).map(|(_, value)| value.as_str());
            assert_eq!(taken, Some(set), "{keyword}");
        }
    }
}

/// No secret is in an error or a description, whatever is wrong with the options.
pub fn connection_errors(chance: &mut Chance) {
    let keywords = keywords();
    let mut parameters = Parameters::of(&chance.text(LETTERS, 5), Some(&chance.text(LETTERS, 5)));
    for _ in 0..chance.below(5) {
        let keyword = chance.one_of(keywords).as_str();
        parameters.set(keyword, &value(keyword, chance));
    }
    if chance.below(20) == 0 {
        parameters.set(&chance.text(LETTERS, 5), "\0");
    }
    FILES.iter().for_each(|keyword| parameters.set(keyword, ""));
    // A directory that is not there, or nothing at all.
    parameters.set("hostaddr", "");
    parameters.set("host", "/nowhere/at all");
    if chance.yes() {
        parameters.set(NO_SUCH_SESSION.0, NO_SUCH_SESSION.1);
    }
    assert!(!parameters.describe().contains(SECRET));
    match Connection::open(&parameters, |_, _| ()) {
        Ok(_) => assert!(parameters.describe().is_empty(), "connected to nowhere"),
        Err(error) => keeps_secrets(&error),
    }
}

/// An ordinary role gets nothing that it did not bring, and no other way to log in than the server's options admit.
pub fn ordinary_roles(chance: &mut Chance) {
    let keywords = keywords();
    let mut parameters = Parameters::of("dr", Some("low"));
    for _ in 0..chance.below(4) {
        let keyword = chance.one_of(keywords).as_str();
        parameters.set(keyword, &value(keyword, chance));
    }
    let methods = ["password", "md5", "scram-sha-256", "gss", "sspi", "oauth", "none", ""];
    let not = if chance.yes() { "!" } else { "" };
    let named: Vec<String> = (0..chance.below(4)).map(|_| format!("{not}{}", chance.one_of(&methods))).collect();
    for (keyword, value) in [("user", "u"), ("password", SECRET), ("require_auth", named.join(", ").as_str())] {
        if chance.below(5) > 0 {
            parameters.set(keyword, value);
        }
    }
    let own = match parameters.for_ordinary_role() {
        Ok(own) => own,
        Err(error) => {
            assert_eq!(error.sqlstate(), "2F003");
            return keeps_secrets(&error);
        }
    };
    let admitted = |method: &str| {
        let named = parameters.get("require_auth").unwrap_or_default();
        let mut list = named.split(',').map(str::trim).filter(|name| !name.is_empty()).peekable();
        match list.peek().map(|first| first.starts_with('!')) {
            None => true,
            Some(true) => list.all(|name| name.strip_prefix('!') != Some(method)),
            Some(false) => list.any(|name| name == method),
        }
    };
    let left: Vec<&str> = own.get("require_auth").unwrap_or_default().split(',').collect();
    assert!(left.iter().all(|method| ["password", "md5", "scram-sha-256"].contains(method) && admitted(method)));
    assert!(own.get("user").is_some() && own.get("password").is_some() && own.get("gssencmode") == Some("disable"));
    assert!(
        own.get("passfile").is_some() && (own.get("sslcert").is_some() || own.get("sslcertmode") == Some("disable"))
    );
    for keyword in
        keywords.iter().filter(|k| !["require_auth", "gssencmode", "passfile", "sslcertmode"].contains(&k.as_str()))
    {
        assert_eq!(own.get(keyword), parameters.get(keyword));
    }
}

/// Whatever a failed attempt says there is a SQLSTATE and a hint, and the text is not lost.
pub fn refusals(chance: &mut Chance) {
    let mut parameters = Parameters::of("dr", None);
    parameters.set("password", SECRET);
    parameters.set("user", &chance.text(LETTERS, 5));
    let pieces = [
        "connection to server at \"h\" failed: ",
        "FATAL:  ",
        "28P01: ",
        "28000: ",
        "3D000: ",
        "42501: ",
        "ПАНИКА:  ",
        "\n",
        "LOCATION:  ",
        ":  ",
        ": ",
        "certificate",
        "pg_hba.conf",
        "role \"",
        "does not exist",
        "invalid ",
    ];
    let mut message = String::new();
    for _ in 0..chance.below(9) {
        match chance.below(4) {
            0 => message.push_str(&chance.text("aA0: \n\r\u{2028}ü", 6)),
            _ => message.push_str(pieces[chance.below(pieces.len())]),
        }
    }
    let error = refusal::error(&parameters, &message, chance.yes());
    assert!(error.sqlstate().len() == 5 && error.hint_text().is_some(), "{message:?}");
    let detail = error.detail_text().unwrap_or_default();
    for line in message.trim().lines().filter(|line| !line.contains(":  ")) {
        assert!(detail.contains(line), "{message:?}: {detail:?}");
    }
    keeps_secrets(&error);
}

fn keeps_secrets(error: &Error) {
    let text = format!("{error} {error:?} {:?} {:?}", error.detail_text(), error.hint_text());
    assert!(!text.contains(SECRET), "{text}");
}

/// What libpq says about options before it connects to anybody, if anything is wrong with them.
pub fn complaint(keyword: &str, value: &str) -> Option<String> {
    let mut parameters = Parameters::of("dr", None);
    // With these each value of another option fits.
    for (keyword, value) in [("host", "/nowhere"), ("sslmode", "verify-full"), ("ssl_min_protocol_version", "TLSv1")] {
        parameters.set(keyword, value);
    }
    parameters.set(keyword, value);
    let error = Connection::open(&parameters, |_, _| ()).err()?;
    (error.sqlstate() == "22023").then(|| error.detail_text().unwrap_or_default())
}

/// The names of all options that libpq has, without those of its own developers.
pub fn keywords() -> &'static [String] {
    static KEYWORDS: LazyLock<Vec<String>> = LazyLock::new(|| {
        // SAFETY: null, or an array for `values`, which frees it.
        let all = unsafe { values(pq_sys::PQconndefaults()) };
        all.into_iter().map(|(keyword, _)| keyword).filter(|k| known_option(k) != Some(OptionKind::Debug)).collect()
    });
    &KEYWORDS
}

fn value(keyword: &str, chance: &mut Chance) -> String {
    let any = chance.text(LETTERS, 8);
    if known_option(keyword) == Some(OptionKind::Secret) { format!("{any}{SECRET}{any}") } else { any }
}

/// The options as libpq has them after it has taken them.
fn taken(parameters: &Parameters) -> Vec<(String, String)> {
    let Ok((keywords, values_given)) = parameters.to_c() else { return Vec::new() };
    let pointers =
        |list: &[CString]| -> Vec<*const c_char> { list.iter().map(|c| c.as_ptr()).chain([ptr::null()]).collect() };
    let (keywords, given) = (pointers(&keywords), pointers(&values_given));
    // SAFETY: both arrays end with a null pointer and outlive the call; the connection object is finished once, at the
    // end, and what it says of itself is null or an array for `values`.
    unsafe {
        let conn = pq_sys::PQconnectStartParams(keywords.as_ptr(), given.as_ptr(), 0);
        let taken = values(pq_sys::PQconninfo(conn));
        let message = CStr::from_ptr(pq_sys::PQerrorMessage(conn)).to_string_lossy().into_owned();
        pq_sys::PQfinish(conn);
        assert!(!message.contains("connection to server"), "{message}");
        taken
    }
}

/// Copies a list of options.
///
/// # Safety
/// `options` must be null or an array as `PQconndefaults` returns it, which nobody else uses or frees.
unsafe fn values(options: *mut pq_sys::_PQconninfoOption) -> Vec<(String, String)> {
    let mut list = Vec::new();
    // SAFETY: by contract the array ends with a null keyword and is freed here.
    unsafe {
        let mut option = options;
        while !option.is_null() && !(*option).keyword.is_null() {
            let value = if (*option).val.is_null() { String::new() } else { text((*option).val) };
            list.push((text((*option).keyword), value));
            option = option.add(1);
        }
        pq_sys::PQconninfoFree(options);
    }
    list
}

#[cfg(test)]
mod tests {
    use crate::chance::many;

    #[test]
    fn libpq_takes_options_of_chance_as_they_are() {
        many(200, super::connection_options);
    }

    #[test]
    fn options_of_chance_leave_no_secret_in_an_error() {
        many(200, super::connection_errors);
        many(1000, super::refusals);
    }

    #[test]
    fn an_ordinary_role_with_options_of_chance_gets_nothing_else() {
        many(300, super::ordinary_roles);
    }
}
