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
        self.0 = (mixed as u64) ^ ((mixed >> 64) as u64).rotate_left(23);
    }
}
