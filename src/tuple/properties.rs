//! What holds for any stored form that is taken apart here: it is printed as what it is, or left to the server's function.

use super::jsonb;
use super::numeric::Numeric;
use crate::chance::Chance;

/// Any document is printed as what it is; what else is stored as JSON or not at all. Nothing is read beyond its end.
pub fn stored_jsonb(chance: &mut Chance) {
    let (text, stored) = container(chance, 3);
    let mut out = Vec::new();
    assert!(jsonb::print(&stored, &mut out).is_some());
    assert_eq!(String::from_utf8_lossy(&out), text);
    let damaged = if chance.below(4) > 0 { chance.damage(&stored) } else { chance.bytes(90) };
    out.clear();
    // Bytes of strings stand there as they are, and need not be UTF-8 here.
    if jsonb::print(&damaged, &mut out).is_some() {
        let text = String::from_utf8_lossy(&out);
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok(), "{text:.200}");
    }
}

/// An array or object as text and as the server keeps it (`utils/jsonb.h`).
fn container(chance: &mut Chance, deepest: usize) -> (String, Vec<u8>) {
    const IS_OBJECT: u32 = 0x2000_0000;
    const IS_ARRAY: u32 = 0x4000_0000;
    let is_object = chance.yes();
    let count = chance.below(5);
    let keys: Vec<String> = (0..count).filter(|_| is_object).map(|_| chance.text("aü \u{1f418}", 4)).collect();
    let values: Vec<(String, u32, Vec<u8>)> = (0..count).map(|_| value(chance, deepest)).collect();
    let (mut entries, mut data) = (Vec::new(), Vec::new());
    let keys_stored = keys.iter().map(|key| (0, key.as_bytes()));
    for (kind, bytes) in keys_stored.chain(values.iter().map(|(_, kind, bytes)| (*kind, &bytes[..]))) {
        let start = data.len();
        if kind == NUMERIC || kind == CONTAINER {
            data.resize(start.next_multiple_of(4), 0);
        }
        data.extend_from_slice(bytes);
        // Some members know their end, the others their length.
        let word = if chance.below(3) == 0 { 0x8000_0000 | data.len() as u32 } else { (data.len() - start) as u32 };
        entries.push(kind | word);
    }
    let shown: Vec<String> = match is_object {
        true => keys.iter().zip(&values).map(|(key, (text, ..))| format!("\"{key}\":{text}")).collect(),
        false => values.iter().map(|(text, ..)| text.clone()).collect(),
    };
    let shown = shown.join(",");
    let header = count as u32 | if is_object { IS_OBJECT } else { IS_ARRAY };
    let words = std::iter::once(header).chain(entries).flat_map(u32::to_ne_bytes);
    (if is_object { format!("{{{shown}}}") } else { format!("[{shown}]") }, words.chain(data).collect())
}

const NUMERIC: u32 = 0x1000_0000;
const CONTAINER: u32 = 0x5000_0000;

/// Its text, its kind, what is stored.
fn value(chance: &mut Chance, deepest: usize) -> (String, u32, Vec<u8>) {
    const STRING: u32 = 0;
    let choices = if deepest > 0 { 6 } else { 5 };
    match chance.below(choices) {
        0 => {
            let text = chance.text("a ü\"\\\n\u{1}\u{1f418}", 6);
            (serde_json::Value::from(text.clone()).to_string(), STRING, text.into_bytes())
        }
        1 => ("false".to_owned(), 0x2000_0000, Vec::new()),
        2 => ("true".to_owned(), 0x3000_0000, Vec::new()),
        3 => ("null".to_owned(), 0x4000_0000, Vec::new()),
        4 => {
            // One digit to the base of 10,000, and as many decimal places as its last digits.
            let (places, digit) = (chance.below(2), chance.below(9999) as u16 + 1);
            let (text, scale, weight) = match places {
                0 => (digit.to_string(), 0, 0),
                _ => (format!("0.{digit:04}"), 4, 0x7F),
            };
            let header = if cfg!(target_endian = "little") { 8u32 << 2 } else { 8 };
            let halves = [0x8000 | scale << 7 | weight, digit];
            let stored = header.to_ne_bytes().into_iter().chain(halves.into_iter().flat_map(u16::to_ne_bytes));
            (text, NUMERIC, stored.collect())
        }
        _ => {
            let (text, stored) = container(chance, deepest - 1);
            (text, CONTAINER, stored)
        }
    }
}

/// What is sent and printed has the form of a number.
pub fn stored_numeric(chance: &mut Chance) {
    let stored = chance.bytes(30);
    let Some(number) = Numeric::parse(&stored) else { return };
    let mut sent = Vec::new();
    number.send(&mut sent);
    assert!(sent.len() >= 8 && sent.len() % 2 == 0);
    assert_eq!(usize::from(u16::from_be_bytes([sent[0], sent[1]])), sent.len() / 2 - 4);
    let mut printed = Vec::new();
    number.print(&mut printed);
    let digits = printed.strip_prefix(b"-").unwrap_or(&printed);
    let points = digits.iter().filter(|byte| **byte == b'.').count();
    assert!(digits.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.') && points <= 1);
    assert!(digits.first().is_some_and(u8::is_ascii_digit) && digits.last().is_some_and(u8::is_ascii_digit));
}

#[cfg(test)]
mod tests {
    use crate::chance::many;

    #[test]
    fn stored_values_of_chance_are_printed_or_left() {
        many(500, super::stored_jsonb);
        many(1000, super::stored_numeric);
    }
}
