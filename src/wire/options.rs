//! The options that a reader gives at START_REPLICATION or to `pg_logical_slot_get_changes`.
//!
//! Each is one [`Setting`]: its name and what it does. A format lists those that it knows; any other is an error with the
//! SQLSTATE that the server's own plugins use.

use super::ali_options::parse_unsigned;
use super::{FORMATS, Format};
use crate::error::{Error, Result, sqlstate};

/// What the options have come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    pub include_xids: bool,
    pub include_timestamp: bool,
    /// Leaves out BEGIN and COMMIT of transactions with nothing in between.
    pub skip_empty_xacts: bool,
    /// Messages are to be ASCII: the database's encoding is another than UTF-8, or none.
    pub ascii_only: bool,
}

/// What checking an option's value needs to know of the database.
pub struct Database<'a> {
    pub encoding: &'a str,
    /// Is that a name of the database's encoding?
    pub is_encoding: &'a dyn Fn(&str) -> bool,
}

impl Database<'_> {
    fn is_utf8(&self) -> bool {
        self.encoding == "UTF8"
    }
}

pub struct Setting {
    name: &'static str,
    apply: fn(&mut Settings, Given<'_>, &Database<'_>) -> Result<()>,
}

/// An option as the reader gave it.
#[derive(Clone, Copy)]
struct Given<'a> {
    name: &'a str,
    value: Option<&'a str>,
}

pub const INCLUDE_XIDS: Setting = Setting {
    name: "include-xids",
    apply: |settings, given, _| given.boolean().map(|value| settings.include_xids = value),
};

pub const INCLUDE_TIMESTAMP: Setting = Setting {
    name: "include-timestamp",
    apply: |settings, given, _| given.boolean().map(|value| settings.include_timestamp = value),
};

pub const SKIP_EMPTY_XACTS: Setting = Setting {
    name: "skip-empty-xacts",
    apply: |settings, given, _| given.boolean().map(|value| settings.skip_empty_xacts = value),
};

/// Changes nothing so far; readers of ali_decoding tell theirs.
pub const VERSION: Setting = Setting {
    name: "version",
    apply: |_, given, _| match parse_unsigned(given.text()?.as_bytes()) {
        Some(_) => Ok(()),
        None => Err(given.refuse().detail("It is an unsigned integer of 32 bits.")),
    },
};

/// What the reader expects; nothing is converted.
pub const ENCODING: Setting = Setting {
    name: "encoding",
    apply: |_, given, database| match (database.is_encoding)(given.text()?) {
        true => Ok(()),
        false => Err(given.refuse().detail(format!(
            "The database's encoding is \"{}\", and this format converts nothing.",
            database.encoding
        ))),
    },
};

impl<'a> Given<'a> {
    fn text(self) -> Result<&'a str> {
        let missing = || invalid(format!("option \"{}\" of pg_courier needs a value", self.name));
        self.value.ok_or_else(missing)
    }

    /// Without a value it is on.
    fn boolean(self) -> Result<bool> {
        let Some(value) = self.value else { return Ok(true) };
        parse_boolean(value).ok_or_else(|| self.refuse().detail("It is a boolean: on or off."))
    }

    fn refuse(self) -> Error {
        invalid(format!("option \"{}\" of pg_courier cannot be \"{}\"", self.name, self.value.unwrap_or_default()))
    }
}

fn invalid(message: String) -> Error {
    Error::new(sqlstate::INVALID_PARAMETER_VALUE, message)
}

/// The words that the server takes for a boolean setting, and every beginning that only one of them has.
fn parse_boolean(text: &str) -> Option<bool> {
    const WORDS: [(&str, usize, bool); 8] = [
        ("true", 1, true),
        ("false", 1, false),
        ("yes", 1, true),
        ("no", 1, false),
        ("on", 2, true),
        ("off", 2, false),
        ("1", 1, true),
        ("0", 1, false),
    ];
    let given = text.to_ascii_lowercase();
    let fits = |word: &str, shortest: usize| given.len() >= shortest && word.starts_with(&given);
    WORDS.iter().find(|(word, shortest, _)| fits(word, *shortest)).map(|(_, _, value)| *value)
}

/// The format that the options name, and what they make of it; `None` when they name no format.
pub fn choose(
    given: &[(String, Option<String>)],
    database: &Database<'_>,
) -> Result<Option<(&'static Format, Settings)>> {
    const FORMAT: &str = "format";
    let Some((_, name)) = given.iter().rev().find(|(name, _)| name == FORMAT) else { return Ok(None) };
    let name = Given { name: FORMAT, value: name.as_deref() };
    let wanted = name.text()?;
    let format = FORMATS.into_iter().find(|format| format.name == wanted).ok_or_else(|| {
        name.refuse().hint(format!("The formats are {}.", list(FORMATS.iter().map(|format| format.name))))
    })?;
    let mut settings = Settings { ascii_only: !database.is_utf8(), ..format.defaults };
    for (name, value) in given.iter().filter(|(name, _)| name != FORMAT) {
        let setting = format.options.iter().find(|setting| setting.name == name).ok_or_else(|| {
            invalid(format!("option \"{name}\" is unknown to format \"{}\" of pg_courier", format.name))
                .hint(format!("Its options are {}.", list(format.options.iter().map(|setting| setting.name))))
        })?;
        (setting.apply)(&mut settings, Given { name, value: value.as_deref() }, database)?;
    }
    Ok(Some((format, settings)))
}

fn list(names: impl Iterator<Item = &'static str>) -> String {
    names.map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(given: &[(&str, Option<&str>)], encoding: &str) -> Result<Option<(&'static Format, Settings)>> {
        let given: Vec<(String, Option<String>)> =
            given.iter().map(|(name, value)| ((*name).to_owned(), value.map(str::to_owned))).collect();
        let is_encoding = |name: &str| name.eq_ignore_ascii_case(encoding);
        choose(&given, &Database { encoding, is_encoding: &is_encoding })
    }

    fn settings(given: &[(&str, Option<&str>)]) -> Settings {
        chosen(given, "UTF8").expect("good options").expect("a format").1
    }

    fn refused(given: &[(&str, Option<&str>)]) -> Error {
        chosen(given, "UTF8").map(|_| ()).expect_err("bad options")
    }

    #[test]
    fn a_format_is_found_by_its_name() {
        for format in FORMATS {
            let (found, _) = chosen(&[("format", Some(format.name))], "UTF8").unwrap().unwrap();
            assert_eq!(found.name, format.name);
        }
        assert!(chosen(&[], "UTF8").unwrap().is_none());
        assert!(chosen(&[("include-xids", Some("on"))], "UTF8").unwrap().is_none());
        let error = refused(&[("format", Some("xml"))]);
        assert_eq!(error.sqlstate(), "22023");
        assert_eq!(error.hint_text(), Some("The formats are \"ali\", \"json\", \"text\"."));
        assert_eq!(refused(&[("format", None)]).message(), "option \"format\" of pg_courier needs a value");
    }

    #[test]
    fn booleans_are_read_as_the_server_reads_them() {
        for (text, value) in [
            ("on", Some(true)),
            ("OFF", Some(false)),
            ("of", Some(false)),
            ("t", Some(true)),
            ("fal", Some(false)),
            ("Yes", Some(true)),
            ("n", Some(false)),
            ("1", Some(true)),
            ("0", Some(false)),
            ("o", None),
            ("", None),
            ("truely", None),
            ("2", None),
        ] {
            assert_eq!(parse_boolean(text), value, "{text}");
        }
    }

    #[test]
    fn the_last_of_an_option_given_twice_holds() {
        let json = ("format", Some("json"));
        assert!(settings(&[json]).include_xids);
        assert!(!settings(&[json, ("include-xids", Some("off"))]).include_xids);
        assert!(settings(&[("include-xids", Some("off")), json, ("include-xids", None)]).include_xids);
        assert!(settings(&[json, ("skip-empty-xacts", Some("1"))]).skip_empty_xacts);
        assert!(settings(&[("format", Some("xml")), json]).include_timestamp);
    }

    #[test]
    fn what_a_format_does_not_know_is_refused() {
        let error = refused(&[("format", Some("ali")), ("include-xids", Some("on"))]);
        assert_eq!(error.sqlstate(), "22023");
        assert_eq!(error.message(), "option \"include-xids\" is unknown to format \"ali\" of pg_courier");
        assert_eq!(error.hint_text(), Some("Its options are \"version\", \"encoding\"."));
        assert_eq!(refused(&[("format", Some("json")), ("version", Some("1"))]).sqlstate(), "22023");
        assert_eq!(refused(&[("format", Some("json")), ("include-xids", Some("maybe"))]).sqlstate(), "22023");
    }

    #[test]
    fn readers_of_ali_tell_version_and_encoding() {
        let ali = ("format", Some("ali"));
        assert!(chosen(&[ali, ("version", Some("0x1")), ("encoding", Some("utf8"))], "UTF8").is_ok());
        for bad in [("version", Some("-1")), ("version", None), ("encoding", Some("LATIN1")), ("encoding", None)] {
            assert_eq!(refused(&[ali, bad]).sqlstate(), "22023", "{bad:?}");
        }
    }

    #[test]
    fn only_utf8_goes_out_as_it_is() {
        let ascii_only = |encoding| chosen(&[("format", Some("json"))], encoding).unwrap().unwrap().1.ascii_only;
        assert!(!ascii_only("UTF8"));
        assert!(ascii_only("LATIN1"));
        assert!(ascii_only("SQL_ASCII"));
    }
}
