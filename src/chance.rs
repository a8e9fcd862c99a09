//! Chance, for tests of what meets whatever others send, store or type.
//!
//! A property is a function of a [`Chance`] (`properties.rs` of a module). A unit test looks at it with numbers from a seed,
//! by which a run is repeated; a fuzz target (`fuzz/`) with bytes that a fuzzer has found interesting.

/// Each property is looked at with these, and with the one in `COURIER_SEED` if that is given.
const SEEDS: [u64; 4] = [1, 20, 300, 4000];

#[cfg_attr(not(fuzzing), allow(dead_code, reason = "only a fuzzer gives bytes"))]
pub enum Chance {
    /// Small numbers that only a test should trust (xorshift).
    Seeded(u64),
    /// What a fuzzer gives; behind its end zeros.
    Given(std::vec::IntoIter<u8>),
}

/// Looks at a property many times, on other values each time. A failure names the seed.
pub fn many(times: usize, mut property: impl FnMut(&mut Chance)) {
    let given = std::env::var("COURIER_SEED").ok().and_then(|seed| seed.parse().ok());
    for seed in given.into_iter().chain(SEEDS) {
        let mut chance = Chance::Seeded(seed.max(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let guard = Told(seed);
        (0..times).for_each(|_| property(&mut chance));
        std::mem::forget(guard);
    }
}

/// Says which seed it was, when a property does not hold.
struct Told(u64);

impl Drop for Told {
    fn drop(&mut self) {
        eprintln!("COURIER_SEED={} repeats this", self.0);
    }
}

impl Chance {
    /// A number in which so many bytes are by chance, those of little weight first.
    fn number(&mut self, bytes: usize) -> u64 {
        match self {
            Chance::Seeded(state) => {
                *state ^= *state << 13;
                *state ^= *state >> 7;
                *state ^= *state << 17;
                *state
            }
            Chance::Given(rest) => rest.take(bytes).fold(0, |number, byte| number << 8 | u64::from(byte)),
        }
    }

    /// Below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        match self {
            Chance::Seeded(_) => (self.number(8) >> 11) as usize % end,
            Chance::Given(_) if end <= 1 << 8 => self.number(1) as usize % end,
            Chance::Given(_) => self.number(4) as usize % end,
        }
    }

    pub fn yes(&mut self) -> bool {
        self.below(2) == 1
    }

    /// Any number of 64 bits; small ones and those around a power of two more often than by chance alone.
    pub fn integer(&mut self) -> i64 {
        let number = match self.below(3) {
            0 => self.below(20) as i64 - 10,
            1 => (1i64 << self.below(64)).wrapping_add(self.below(3) as i64 - 1),
            _ => self.number(8) as i64,
        };
        if self.yes() { number } else { number.wrapping_neg() }
    }

    pub fn one_of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    /// Any bytes, at most so many; lengths and small numbers among them more often than by chance alone.
    pub fn bytes(&mut self, most: usize) -> Vec<u8> {
        let length = self.below(most + 1);
        if let Chance::Given(rest) = self {
            return rest.take(length).collect();
        }
        let mut bytes = Vec::with_capacity(length + 8);
        while bytes.len() < length {
            match self.below(4) {
                0 => bytes.extend((self.below(20) as i32 - 2).to_be_bytes()),
                1 => bytes.extend(self.one_of(&[0u8, 1, 127, 128, 255]).to_ne_bytes()),
                _ => bytes.push(self.number(1) as u8),
            }
        }
        bytes.truncate(length);
        bytes
    }

    /// A text of these letters, at most so many.
    pub fn text(&mut self, letters: &str, most: usize) -> String {
        let letters: Vec<char> = letters.chars().collect();
        (0..self.below(most + 1)).map(|_| *self.one_of(&letters)).collect()
    }

    /// The same with some bytes changed, added or left out.
    pub fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        for _ in 0..=self.below(3) {
            let at = self.below(damaged.len() + 1);
            match self.below(3) {
                0 => damaged.insert(at, self.number(1) as u8),
                1 if at < damaged.len() => drop(damaged.remove(at)),
                _ => damaged.iter_mut().skip(at).take(1).for_each(|byte| *byte = self.number(1) as u8),
            }
        }
        damaged
    }
}
