//! A `numeric` from its stored form, as its type's send and output functions write it.
//!
//! Layout: `utils/adt/numeric.c` of the server, the same from 9.1 on. A header of two bytes (the short form: sign, scale
//! and weight) or four (sign and scale, then weight), then digits to the base of 10,000, high one first. NaN and the
//! infinities are left to the server's function.

const KIND: u16 = 0xC000;
const SHORT: u16 = 0x8000;
const LONG_NEGATIVE: u16 = 0x4000;
const SPECIAL: u16 = 0xC000;

/// A number; the digits stay where they are.
pub(crate) struct Numeric<'a> {
    is_negative: bool,
    /// Decimal places to show.
    scale: u16,
    /// Of the first digit, as a power of 10,000.
    weight: i16,
    digits: &'a [u8],
}

fn word(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (word, rest) = bytes.split_first_chunk()?;
    Some((u16::from_ne_bytes(*word), rest))
}

impl<'a> Numeric<'a> {
    /// The content of a `numeric`, behind its length. `None` for what only the server's function knows.
    pub(crate) fn parse(stored: &'a [u8]) -> Option<Numeric<'a>> {
        let (header, rest) = word(stored)?;
        match header & KIND {
            SPECIAL => None,
            SHORT => Some(Numeric {
                is_negative: header & 0x2000 != 0,
                scale: (header & 0x1F80) >> 7,
                // Seven bits, the highest of them the sign.
                weight: ((header & 0x7F) << 9) as i16 >> 9,
                digits: rest,
            }),
            sign => {
                let (weight, digits) = word(rest)?;
                Some(Numeric {
                    is_negative: sign == LONG_NEGATIVE,
                    scale: header & 0x3FFF,
                    weight: weight as i16,
                    digits,
                })
            }
        }
    }

    /// Begins it as the server stores numbers? Zeros in front would be printed.
    pub(crate) fn is_normal(&self) -> bool {
        self.digits().next().map_or(self.weight == 0, |first| first != 0)
    }

    fn digits(&self) -> impl Iterator<Item = u16> {
        self.digits.as_chunks().0.iter().map(|digit| u16::from_ne_bytes(*digit))
    }

    /// Appends what `numeric_send` returns.
    pub(crate) fn send(&self, out: &mut Vec<u8>) {
        let count = (self.digits.len() / 2) as u16;
        let sign = if self.is_negative { LONG_NEGATIVE } else { 0 };
        for word in [count, self.weight as u16, sign, self.scale] {
            out.extend_from_slice(&word.to_be_bytes());
        }
        for digit in self.digits() {
            out.extend_from_slice(&digit.to_be_bytes());
        }
    }

    /// Appends what `numeric_out` returns.
    pub(crate) fn print(&self, out: &mut Vec<u8>) {
        if self.is_negative {
            out.push(b'-');
        }
        let mut digits = self.digits();
        let weight = i32::from(self.weight);
        if weight < 0 {
            out.push(b'0');
        }
        for place in 0..=weight {
            let four = decimal(digits.next().unwrap_or(0));
            let zeros = if place == 0 { four.iter().take(3).take_while(|digit| **digit == b'0').count() } else { 0 };
            out.extend_from_slice(&four[zeros..]);
        }
        if self.scale == 0 {
            return;
        }
        out.push(b'.');
        let end = out.len() + usize::from(self.scale);
        let zeros = std::iter::repeat_n(0, (-1 - weight).max(0) as usize);
        let mut digits = zeros.chain(digits);
        while out.len() < end {
            out.extend_from_slice(&decimal(digits.next().unwrap_or(0)));
        }
        out.truncate(end);
    }
}

fn decimal(digit: u16) -> [u8; 4] {
    [1000, 100, 10, 1].map(|unit| b'0' + (digit / unit % 10) as u8)
}
