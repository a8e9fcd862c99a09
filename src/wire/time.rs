//! Timestamps as text, in UTC.

const MICROSECONDS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Days from 0000-03-01, the first day of a leap cycle, to the server's epoch 2000-01-01.
const DAYS_TO_EPOCH: i64 = 730_425;

/// A timestamp taken apart.
struct Civil {
    year: i64,
    month: i64,
    day: i64,
    second_of_day: i64,
    microsecond: i64,
}

/// `timestamp` counts microseconds since 2000-01-01 00:00 UTC.
fn civil(timestamp: i64) -> Civil {
    let seconds = timestamp.div_euclid(MICROSECONDS_PER_SECOND);
    // Years begin in March here, so that the leap day is a year's last, and cycles of 400 years are all alike.
    let days = seconds.div_euclid(SECONDS_PER_DAY) + DAYS_TO_EPOCH;
    let cycle = days.div_euclid(146_097);
    let day_of_cycle = days.rem_euclid(146_097);
    let year_of_cycle = (day_of_cycle - day_of_cycle / 1_460 + day_of_cycle / 36_524 - day_of_cycle / 146_096) / 365;
    let day_of_year = day_of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
    // 153 days are five months, from March on: 31, 30, 31, 30, 31.
    let months_since_march = (5 * day_of_year + 2) / 153;
    let is_next_year = months_since_march >= 10;
    Civil {
        year: cycle * 400 + year_of_cycle + i64::from(is_next_year),
        month: if is_next_year { months_since_march - 9 } else { months_since_march + 3 },
        day: day_of_year - (153 * months_since_march + 2) / 5 + 1,
        second_of_day: seconds.rem_euclid(SECONDS_PER_DAY),
        microsecond: timestamp.rem_euclid(MICROSECONDS_PER_SECOND),
    }
}

/// `2026-11-21 05:07:06.25+00`, as the server prints it in a session in UTC; with `T` and `+00:00` as it prints it in JSON.
fn print(timestamp: i64, separator: char, zone: &str) -> String {
    let Civil { year, month, day, second_of_day, microsecond } = civil(timestamp);
    let (hour, minute, second) = (second_of_day / 3_600, second_of_day / 60 % 60, second_of_day % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}{separator}{hour:02}:{minute:02}:{second:02}");
    if microsecond != 0 {
        let fraction = format!(".{microsecond:06}");
        text.push_str(fraction.trim_end_matches('0'));
    }
    text.push_str(zone);
    text
}

pub fn as_server(timestamp: i64) -> String {
    print(timestamp, ' ', "+00")
}

pub fn as_json(timestamp: i64) -> String {
    print(timestamp, 'T', "+00:00")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Expected values are a server's.
    #[test]
    fn timestamps_are_printed_as_the_server_prints_them() {
        for (timestamp, text) in [
            (0, "2000-01-01 00:00:00+00"),
            (1, "2000-01-01 00:00:00.000001+00"),
            (-1, "1999-12-31 23:59:59.999999+00"),
            (848_552_826_250_000, "2026-11-21 05:07:06.25+00"),
            (5_097_599_000_000, "2000-02-28 23:59:59+00"),
            (5_097_600_000_000, "2000-02-29 00:00:00+00"),
            (5_184_000_000_000, "2000-03-01 00:00:00+00"),
            (3_160_857_599_123_400, "2100-02-28 23:59:59.1234+00"),
            (3_160_857_600_000_000, "2100-03-01 00:00:00+00"),
            (252_455_615_999_999_999, "9999-12-31 23:59:59.999999+00"),
        ] {
            assert_eq!(as_server(timestamp), text, "{timestamp}");
        }
        assert_eq!(as_json(848_552_826_250_000), "2026-11-21T05:07:06.25+00:00");
    }
}
