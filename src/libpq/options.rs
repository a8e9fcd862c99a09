//! Which connection options exist, asked from libpq itself, so that a newer libpq's options work at once.

use std::ffi::CString;

use super::connection::text;

/// Is this a libpq keyword, and does it hold something secret (libpq marks those with `*`)?
pub fn known_option(keyword: &str) -> Option<OptionKind> {
    // SAFETY: PQconndefaults returns null or an array that ends with a null keyword; it is freed below.
    unsafe {
        let options = pq_sys::PQconndefaults();
        if options.is_null() {
            return None;
        }
        let mut found = None;
        let mut option = options;
        while !(*option).keyword.is_null() {
            if text((*option).keyword) == keyword {
                let display = if (*option).dispchar.is_null() { String::new() } else { text((*option).dispchar) };
                found = Some(if display.starts_with('D') {
                    OptionKind::Debug
                } else if display.starts_with('*') {
                    OptionKind::Secret
                } else {
                    OptionKind::Plain
                });
                break;
            }
            option = option.add(1);
        }
        pq_sys::PQconninfoFree(options);
        found
    }
}

/// Where a connection string leads: its parameters that are no secrets and lead to none, and the names of the others. None if it cannot be read.
pub fn without_secrets(connection: &str) -> Option<(String, Vec<String>)> {
    const OPEN: [&str; 10] = [
        "host",
        "hostaddr",
        "port",
        "dbname",
        "user",
        "application_name",
        "sslmode",
        "connect_timeout",
        "target_session_attrs",
        "channel_binding",
    ];
    let connection = CString::new(connection).ok()?;
    // What it says of a string that it cannot read may have parts of it: nobody asks.
    // SAFETY: the string ends with a zero; PQconninfoParse returns null or an array that ends with a null keyword; it is freed below.
    unsafe {
        let options = pq_sys::PQconninfoParse(connection.as_ptr(), std::ptr::null_mut());
        if options.is_null() {
            return None;
        }
        let (mut kept, mut withheld) = (Vec::new(), Vec::new());
        let mut option = options;
        while !(*option).keyword.is_null() {
            let keyword = text((*option).keyword);
            if !(*option).val.is_null() {
                if OPEN.contains(&keyword.as_str()) {
                    let value = text((*option).val).replace('\\', r"\\").replace('\'', r"\'");
                    kept.push(format!("{keyword}='{value}'"));
                } else {
                    withheld.push(keyword);
                }
            }
            option = option.add(1);
        }
        pq_sys::PQconninfoFree(options);
        Some((kept.join(" "), withheld))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptionKind {
    Plain,
    Secret,
    /// For libpq's own developers; not offered.
    Debug,
}

#[cfg(test)]
mod tests {
    use super::without_secrets;

    #[test]
    fn a_connection_goes_without_what_is_secret() {
        let of = |text: &str| without_secrets(text).map(|(kept, withheld)| (kept, withheld.join(",")));
        let some = |kept: &str, withheld: &str| Some((kept.to_owned(), withheld.to_owned()));
        assert_eq!(
            of(r"host=a password='it\'s' dbname='o\'x' passfile=/f sslkey=/k"),
            some(r"dbname='o\'x' host='a'", "password,passfile,sslkey")
        );
        assert_eq!(
            of("postgresql://me:geheim@h:5/d?sslpassword=x"),
            some("user='me' dbname='d' host='h' port='5'", "password,sslpassword")
        );
        assert_eq!((of("password=geheim x"), of("")), (None, some("", "")));
    }
}
