//! A map for short keys of our own making: table OIDs, encoded row keys.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

pub type FastMap<K, V> = HashMap<K, V, BuildHasherDefault<FastHasher>>;

/// Multiply and fold, eight bytes at a time: looked up for each change, so speed counts; a deliberate collision costs its
/// author's own transaction some time.
#[derive(Default)]
pub struct FastHasher(u64);

impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0u8; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.mix(u64::from(value));
    }
}

impl FastHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
        let mixed = u128::from(self.0 ^ word) * u128::from(FACTOR);
        // Each bit of the word reaches the low bits through the upper half, and the high ones through the lower.
        self.0 = (mixed as u64) ^ (mixed >> 64) as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::hash::{BuildHasher, BuildHasherDefault};

    use super::FastHasher;

    /// A table uses the low bits of a hash to place an entry and the seven high ones to tell entries apart.
    fn assert_spread(what: &str, keys: impl Iterator<Item = Box<[u8]>>) {
        const PLACES: u64 = 1 << 17;
        let hashes: Vec<u64> = keys.map(|key| BuildHasherDefault::<FastHasher>::default().hash_one(&key)).collect();
        let places: HashSet<u64> = hashes.iter().map(|hash| hash % PLACES).collect();
        let by_chance = PLACES as f64 * (1.0 - (-(hashes.len() as f64) / PLACES as f64).exp());
        assert!(places.len() as f64 > 0.97 * by_chance, "{what}: {} places, by chance {by_chance}", places.len());
        let mut alike = [0; 128];
        hashes.iter().for_each(|hash| alike[(hash >> 57) as usize] += 1);
        assert!(
            alike.iter().all(|count| *count < hashes.len() / 64),
            "{what}: {alike:?} of {} look alike",
            hashes.len()
        );
    }

    fn fields(values: &[&[u8]]) -> Box<[u8]> {
        values.iter().flat_map(|value| [&(value.len() as i32).to_be_bytes()[..], value].concat()).collect()
    }

    /// Keys that differ in their last bytes only met in the same few places: a third of the worker's time was probing.
    #[test]
    fn keys_one_after_the_other_spread() {
        let numbers = 0..100_000u64;
        assert_spread("int8", numbers.clone().map(|n| fields(&[&n.to_be_bytes()])));
        assert_spread("int8 in tens", numbers.clone().map(|n| fields(&[&(10 * n).to_be_bytes()])));
        assert_spread("int8, large", numbers.clone().map(|n| fields(&[&(n << 40).to_be_bytes()])));
        assert_spread("int4", numbers.clone().map(|n| fields(&[&(n as i32).to_be_bytes()])));
        assert_spread(
            "two int4",
            numbers.clone().map(|n| fields(&[&(n as i32 / 300).to_be_bytes(), &(n as i32 % 300).to_be_bytes()])),
        );
        assert_spread("text", numbers.clone().map(|n| fields(&[format!("customer {n}").as_bytes()])));
        assert_spread("short text", numbers.map(|n| fields(&[n.to_string().as_bytes()])));
    }
}
