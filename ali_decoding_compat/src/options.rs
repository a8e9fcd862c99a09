//! Values of the options that a reader may give at START_REPLICATION, without the server.

/// An unsigned 32-bit integer in C notation: `10`, `0x1f`, `017`, blanks and a plus sign before it.
pub fn parse_unsigned(text: &[u8]) -> Option<u32> {
    let digits = text.trim_ascii_start();
    let digits = digits.strip_prefix(b"+").unwrap_or(digits);
    let (digits, base) = match digits {
        [b'0', b'x' | b'X', rest @ ..] => (rest, 16),
        [b'0', rest @ ..] if !rest.is_empty() => (rest, 8),
        _ => (digits, 10),
    };
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0u32, |number, byte| {
        let digit = char::from(*byte).to_digit(base)?;
        number.checked_mul(base)?.checked_add(digit)
    })
}

#[cfg(test)]
mod tests {
    use super::parse_unsigned;

    #[test]
    fn c_notation() {
        for (text, number) in [
            ("0", 0),
            ("1", 1),
            (" +42", 42),
            ("017", 15),
            ("0x1F", 31),
            ("0XfF", 255),
            ("4294967295", u32::MAX),
            ("0xffffffff", u32::MAX),
        ] {
            assert_eq!(parse_unsigned(text.as_bytes()), Some(number), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["", " ", "+", "-1", "0x", "08", "1a", "0xg", "1 ", "1.0", "4294967296", "one"] {
            assert_eq!(parse_unsigned(text.as_bytes()), None, "{text}");
        }
    }
}
