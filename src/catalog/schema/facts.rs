//! Questions about the source's schema (`sql/query/schema`), and what their columns hold.

use serde_json::Value;

use crate::destination::data_settings;
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::Row;
use crate::logicalrep::array::oid_array;
use crate::pg::spi;
use crate::schema::image::{Class, Name};
use crate::schema::scope::Object;

/// All that is asked inside sees the catalogs as they are at one moment, whatever others create or drop meanwhile. With the rights of the
/// extension: what a task needs is said to everybody who may run it. Constants in definitions print as in the sessions on a destination,
/// which read them and which definitions there are compared with, whatever the caller's settings.
pub fn at_one_moment<R>(f: impl FnOnce() -> Result<R>) -> Result<R> {
    spi::as_extension(|| {
        spi::set_meanwhile(data_settings())?;
        spi::with_latest_snapshot(f)
    })
}

/// Another session may drop what is being read, if it is not of this command: an index of a partition, say. Under the next snapshot it is
/// gone.
pub fn again<R>(mut attempt: impl FnMut() -> Result<R>) -> Result<R> {
    const TIMES: u32 = 3;
    let mut times = 1;
    loop {
        match attempt() {
            Err(error) if times < TIMES && may_pass(&error) => times += 1,
            outcome => return outcome,
        }
    }
}

/// What the server or we find missing in the catalogs.
fn may_pass(error: &Error) -> bool {
    error.sqlstate() == sqlstate::INTERNAL_ERROR || error.sqlstate().starts_with("42")
}

/// Asks about objects, by oid.
pub fn ask(sql: &'static str, parameters: &[&str]) -> Result<Vec<Row>> {
    let parameters: Vec<Option<&str>> = parameters.iter().map(|p| Some(*p)).collect();
    spi::query_fixed(sql, &parameters)
}

/// Catalogs and oids, as two arrays.
pub fn address_arrays<'a>(objects: impl IntoIterator<Item = &'a Object>) -> [String; 2] {
    let (classes, oids): (Vec<u32>, Vec<u32>) = objects.into_iter().map(|(class, oid)| (class.oid(), *oid)).unzip();
    [oid_array(classes), oid_array(oids)]
}

/// A column with one letter, as the catalogs write kinds.
pub fn letter<T>(row: &Row, column: &str, meaning: impl Fn(char) -> Option<T>) -> Result<T> {
    let text = row.text(column)?;
    let mut letters = text.chars();
    match (letters.next().and_then(meaning), letters.next()) {
        (Some(value), None) => Ok(value),
        _ => Err(Error::internal(format!("unexpected value \"{text}\" in column \"{column}\" of a catalog query"))),
    }
}

/// The same, where it may be null.
pub fn opt_letter<T>(row: &Row, column: &str, meaning: impl Fn(char) -> Option<T>) -> Result<Option<T>> {
    row.opt(column).map(|_| letter(row, column, meaning)).transpose()
}

pub fn opt_parse<T: std::str::FromStr>(row: &Row, column: &str) -> Result<Option<T>> {
    row.opt(column).map(|_| row.parse(column)).transpose()
}

/// Schema and name, null together.
pub fn opt_name(row: &Row, schema: &str, name: &str) -> Option<Name> {
    Some(Name::new(row.opt(schema)?, row.opt(name)?))
}

pub fn name(row: &Row, schema: &str, name: &str) -> Result<Name> {
    Ok(Name::new(row.text(schema)?, row.text(name)?))
}

/// The catalog of an object; none for one in which nothing is that matters here.
pub fn class(row: &Row, column: &str) -> Result<Option<Class>> {
    row.parse(column).map(Class::of)
}

/// A list, empty where it is null.
pub fn list(row: &Row, column: &str) -> Result<Vec<Value>> {
    let Some(text) = row.opt(column) else { return Ok(Vec::new()) };
    serde_json::from_str(text).map_err(|e| Error::internal(format!("invalid list in column \"{column}\": {e}")))
}

pub fn strings(row: &Row, column: &str) -> Result<Vec<String>> {
    list(row, column)?.iter().map(|value| string(value, column)).collect()
}

pub fn string(value: &Value, column: &str) -> Result<String> {
    value.as_str().map(str::to_owned).ok_or_else(|| unexpected(value, column))
}

pub fn number<T: TryFrom<i64>>(value: &Value, column: &str) -> Result<T> {
    value.as_i64().and_then(|n| T::try_from(n).ok()).ok_or_else(|| unexpected(value, column))
}

/// The elements of a list inside a list.
pub fn parts<'a, const N: usize>(value: &'a Value, column: &str) -> Result<&'a [Value; N]> {
    value.as_array().and_then(|list| list.as_slice().try_into().ok()).ok_or_else(|| unexpected(value, column))
}

pub fn unexpected(value: &Value, column: &str) -> Error {
    Error::internal(format!("unexpected value {value} in column \"{column}\" of a catalog query"))
}

/// `name=value`, as the catalogs keep options.
pub fn options(row: &Row, column: &str) -> Result<Vec<(String, String)>> {
    let option = |text: String| match text.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (text, String::new()),
    };
    Ok(strings(row, column)?.into_iter().map(option).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(value: Option<&str>) -> Row {
        Row::new(vec![value.map(str::to_owned)], ["x".to_owned()].into())
    }

    #[test]
    fn letters_mean_what_is_known_and_nothing_else() {
        let meaning = |code| (code == 'd').then_some(1);
        assert_eq!(letter(&row(Some("d")), "x", meaning).ok(), Some(1));
        assert_eq!(opt_letter(&row(None), "x", meaning).ok(), Some(None));
        for unknown in ["q", "dd", ""] {
            let error = letter(&row(Some(unknown)), "x", meaning).err().map(|e| e.message().to_owned());
            assert_eq!(error, Some(format!("unexpected value \"{unknown}\" in column \"x\" of a catalog query")));
        }
    }

    #[test]
    fn options_are_cut_at_the_first_sign() {
        let list = options(&row(Some(r#"["fillfactor=70", "a=b=c", "alone"]"#)), "x").unwrap_or_default();
        let expected = [("fillfactor", "70"), ("a", "b=c"), ("alone", "")];
        assert_eq!(list, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert!(options(&row(None), "x").is_ok_and(|list| list.is_empty()));
        assert!(options(&row(Some("{")), "x").is_err());
    }

    #[test]
    fn lists_in_lists_have_a_fixed_length() {
        let value = serde_json::json!([1, "a"]);
        assert!(parts::<2>(&value, "x").is_ok_and(|[n, s]| number::<i16>(n, "x").is_ok() && string(s, "x").is_ok()));
        assert!(parts::<3>(&value, "x").is_err());
        assert!(number::<i16>(&serde_json::json!(40_000), "x").is_err(), "too large");
    }
}
