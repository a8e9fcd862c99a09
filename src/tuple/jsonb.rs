//! A `jsonb` from its stored form as JSON text.
//!
//! Layout: `utils/jsonb.h` of the server, the same from 9.4 on. A container is a word with the number of its members, a
//! word for each member (its type, and its end or length), then the members' bytes; an object has all its keys before all
//! its values. Numbers and containers begin at a multiple of four.
//!
//! The text reads back as the same value; `jsonb_out` writes spaces between tokens and short escapes of two more control
//! characters. Whatever looks unlike a value of this layout is left to the server's function.

use super::numeric::Numeric;
use crate::wire::json;

const COUNT: u32 = 0x0FFF_FFFF;
const IS_SCALAR: u32 = 0x1000_0000;
const IS_OBJECT: u32 = 0x2000_0000;
const IS_ARRAY: u32 = 0x4000_0000;

const OFFSET_OR_LENGTH: u32 = 0x0FFF_FFFF;
const TYPE: u32 = 0x7000_0000;
const HAS_OFFSET: u32 = 0x8000_0000;

const STRING: u32 = 0;
const NUMERIC: u32 = 0x1000_0000;
const FALSE: u32 = 0x2000_0000;
const TRUE: u32 = 0x3000_0000;
const NULL: u32 = 0x4000_0000;
const CONTAINER: u32 = 0x5000_0000;

/// Deeper ones are left to the server, which watches its stack.
const DEEPEST: usize = 64;

/// Appends the text of a `jsonb`, given what is stored behind its length. `None`: the server's function has to do it, and
/// `out` holds a part that is of no use.
pub(crate) fn print(stored: &[u8], out: &mut Vec<u8>) -> Option<()> {
    container(stored, DEEPEST, out)
}

/// The bytes of a container's members, one after the other.
#[derive(Clone)]
struct Members<'a> {
    entries: &'a [[u8; 4]],
    data: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Members<'a> {
    fn entry(&self, at: usize) -> Option<u32> {
        self.entries.get(at).map(|entry| u32::from_ne_bytes(*entry))
    }

    /// Goes to a member. Only some entries know where they end; those before the others are added up.
    fn seek(mut self, at: usize) -> Option<Members<'a>> {
        (self.at, self.end) = (at, 0);
        for before in (0..at).rev() {
            let entry = self.entry(before)?;
            self.end += (entry & OFFSET_OR_LENGTH) as usize;
            if entry & HAS_OFFSET != 0 {
                break;
            }
        }
        Some(self)
    }

    /// The next member: its type and its bytes.
    fn next(&mut self) -> Option<(u32, &'a [u8])> {
        let entry = self.entry(self.at)?;
        let start = self.end;
        let word = (entry & OFFSET_OR_LENGTH) as usize;
        self.end = if entry & HAS_OFFSET != 0 { word } else { start + word };
        self.at += 1;
        let kind = entry & TYPE;
        let start = if matches!(kind, NUMERIC | CONTAINER) { start.next_multiple_of(4) } else { start };
        Some((kind, self.data.get(start..self.end)?))
    }
}

fn container(stored: &[u8], deepest: usize, out: &mut Vec<u8>) -> Option<()> {
    let (header, rest) = stored.split_first_chunk()?;
    let header = u32::from_ne_bytes(*header);
    let count = (header & COUNT) as usize;
    let is_object = header & IS_OBJECT != 0;
    let entries = if is_object { 2 * count } else { count };
    let (entries, data) = rest.split_at_checked(4 * entries)?;
    let mut members = Members { entries: entries.as_chunks().0, data, at: 0, end: 0 };
    if is_object {
        let mut values = members.clone().seek(count)?;
        out.push(b'{');
        for index in 0..count {
            if index > 0 {
                out.push(b',');
            }
            let (STRING, key) = members.next()? else { return None };
            string(key, out);
            out.push(b':');
            value(values.next()?, deepest, out)?;
        }
        out.push(b'}');
    } else if header & IS_ARRAY != 0 {
        if header & IS_SCALAR != 0 {
            return if count == 1 { value(members.next()?, deepest, out) } else { None };
        }
        out.push(b'[');
        for index in 0..count {
            if index > 0 {
                out.push(b',');
            }
            value(members.next()?, deepest, out)?;
        }
        out.push(b']');
    } else {
        return None;
    }
    Some(())
}

fn value((kind, bytes): (u32, &[u8]), deepest: usize, out: &mut Vec<u8>) -> Option<()> {
    match kind {
        STRING => string(bytes, out),
        NUMERIC => number(bytes, out)?,
        FALSE => out.extend_from_slice(b"false"),
        TRUE => out.extend_from_slice(b"true"),
        NULL => out.extend_from_slice(b"null"),
        CONTAINER => container(bytes, deepest.checked_sub(1)?, out)?,
        _ => return None,
    }
    Some(())
}

/// A number within a `jsonb` has the header of a stored value that is neither compressed nor packed.
fn number(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let (header, _) = bytes.split_first_chunk()?;
    let header = u32::from_ne_bytes(*header);
    let (is_plain, length) =
        if cfg!(target_endian = "little") { (header & 3 == 0, header >> 2) } else { (header >> 30 == 0, header) };
    if !is_plain {
        return None;
    }
    Numeric::parse(bytes.get(4..length as usize)?).filter(Numeric::is_normal)?.print(out);
    Some(())
}

fn string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| matches!(byte, 0..0x20 | b'"' | b'\\')) {
        out.extend_from_slice(&rest[..at]);
        json::escape(char::from(rest[at]), out);
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"a": 1.5}`
    fn stored() -> Vec<u8> {
        let header = if cfg!(target_endian = "little") { 10 << 2 } else { 10 };
        let words = |words: &[u32]| words.iter().flat_map(|word| word.to_ne_bytes()).collect::<Vec<u8>>();
        let halves = |halves: &[u16]| halves.iter().flat_map(|half| half.to_ne_bytes()).collect::<Vec<u8>>();
        [
            words(&[IS_OBJECT | 1, HAS_OFFSET | STRING | 1, NUMERIC | 13]),
            b"a\0\0\0".to_vec(),
            words(&[header]),
            // Short, one decimal place; 1, 5000.
            halves(&[0x8080, 1, 5000]),
        ]
        .concat()
    }

    fn printed(stored: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        print(stored, &mut out)?;
        String::from_utf8(out).ok()
    }

    #[test]
    fn a_document_is_printed() {
        assert_eq!(printed(&stored()).as_deref(), Some("{\"a\":1.5}"));
    }

    /// Nothing is made up from what is damaged, and nothing panics.
    #[test]
    fn what_is_cut_off_is_left_to_the_server() {
        let whole = stored();
        for length in 0..whole.len() {
            assert_eq!(printed(&whole[..length]), None, "the first {length} bytes");
        }
    }

    /// JSON has no zeros in front of a number.
    #[test]
    fn a_number_that_begins_with_zeros_is_left_to_the_server() {
        let mut damaged = stored();
        let (first, second) = (damaged.len() - 4, damaged.len() - 2);
        damaged[first..second].fill(0);
        assert_eq!(printed(&damaged), None);
        damaged[first - 2..second].copy_from_slice(&[0x8082u16.to_ne_bytes(), 0u16.to_ne_bytes()].concat());
        assert_eq!(printed(&damaged), None);
    }

    #[test]
    fn what_is_nested_too_deep_is_left_to_the_server() {
        let nested = |levels: usize| -> Vec<u8> {
            (0..levels).fold((IS_ARRAY).to_ne_bytes().to_vec(), |inner, _| {
                let entry = HAS_OFFSET | CONTAINER | inner.len() as u32;
                [&(IS_ARRAY | 1).to_ne_bytes(), &entry.to_ne_bytes(), &inner[..]].concat()
            })
        };
        assert_eq!(printed(&nested(2)).as_deref(), Some("[[[]]]"));
        assert!(printed(&nested(DEEPEST)).is_some());
        assert_eq!(printed(&nested(DEEPEST + 1)), None);
    }
}
