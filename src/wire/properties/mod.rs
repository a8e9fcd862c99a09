//! What holds for any message: what a writer writes, a reader reads back. Whatever a reader asks for is chosen or refused.

mod read_ali;
mod read_json;
mod read_text;
mod sample;

use super::options::{Database, choose};
use super::time;
use crate::chance::Chance;

pub use read_ali::ali_changes;
pub use read_json::{json_changes, json_messages};
pub use read_text::text_changes;

/// Whatever options are given, there is a format, none, or an error that names what is wrong.
pub fn reader_options(chance: &mut Chance) {
    let names =
        ["format", "include-xids", "include-timestamp", "skip-empty-xacts", "version", "encoding", "nothing", ""];
    let values = ["json", "text", "ali", "on", "off", "true", "0", "maybe", "", "9999999999", "0x1F", "UTF8"];
    let given: Vec<(String, Option<String>)> = (0..chance.below(5))
        .map(|_| {
            let value = match chance.below(4) {
                0 => None,
                1 => Some(chance.text("onfaltrueyes0x19 ü", 6)),
                _ => Some((*chance.one_of(&values)).to_owned()),
            };
            ((*chance.one_of(&names)).to_owned(), value)
        })
        .collect();
    let encoding = ["UTF8", "LATIN1", "SQL_ASCII"][chance.below(3)];
    match choose(&given, &Database { encoding, is_encoding: &|name| name == encoding }) {
        Err(error) => {
            assert!(error.sqlstate() == "22023" && error.message().contains("pg_courier"), "{given:?}: {error}")
        }
        Ok(None) => assert!(given.iter().all(|(name, _)| name != "format"), "{given:?}"),
        Ok(Some((format, settings))) => {
            let named = given.iter().rev().find(|(name, _)| name == "format").and_then(|(_, value)| value.as_deref());
            assert_eq!(named, Some(format.name));
            assert_eq!(settings.ascii_only, encoding != "UTF8");
        }
    }
}

/// A moment is printed as what it is; of any other number there is an answer.
pub fn times(chance: &mut Chance) {
    let any = chance.integer();
    let _ = time::as_json(any);
    // The years 1 to 9999.
    let (first, last) = (-63_082_281_600_000_000, 252_455_616_000_000_000);
    let moment = first + any.rem_euclid(last - first);
    for (text, separator, zone) in [(time::as_server(moment), ' ', "+00"), (time::as_json(moment), 'T', "+00:00")] {
        assert_eq!(text.strip_suffix(zone).and_then(|text| moment_of(text, separator)), Some(moment), "{text}");
    }
}

/// By counting the days of each year and month.
fn moment_of(text: &str, separator: char) -> Option<i64> {
    let three = |text: &str, between| -> Option<[i64; 3]> {
        text.split(between).map(|part| part.parse().ok()).collect::<Option<Vec<i64>>>()?.try_into().ok()
    };
    let (date, clock) = text.split_once(separator)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let ([year, month, day], [hour, minute, second]) = (three(date, '-')?, three(clock, ':')?);
    let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length_of = |year| if is_leap(year) { 366 } else { 365 };
    let february = length_of(year) - 337;
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let is_date = (1..=12).contains(&month) && (1..=*months.get(month as usize - 1)?).contains(&day);
    let days_before: i64 = months.iter().take(month as usize - 1).sum();
    let years: i64 = (2000..year).map(length_of).sum::<i64>() - (year..2000).map(length_of).sum::<i64>();
    let seconds = ((years + days_before + day - 1) * 24 + hour) * 3600 + minute * 60 + second;
    (is_date && hour < 24 && minute < 60 && second < 60)
        .then_some(seconds * 1_000_000 + format!("{fraction:0<6}").parse::<i64>().ok()?)
}

#[cfg(test)]
mod tests {
    use crate::chance::many;

    #[test]
    fn options_of_chance_are_chosen_or_refused() {
        many(3000, super::reader_options);
    }

    #[test]
    fn moments_of_chance_are_read_back() {
        many(300, super::times);
    }

    #[test]
    fn changes_of_chance_are_read_back() {
        many(2000, super::ali_changes);
        many(2000, super::json_changes);
        many(2000, super::text_changes);
    }

    #[test]
    fn messages_of_chance_are_read_back() {
        many(2000, super::json_messages);
    }
}
