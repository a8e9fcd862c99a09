//! A short text in shared memory, of atomics: written by one process, read by others.

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

#[repr(C)]
pub struct SharedText<const N: usize> {
    length: AtomicU32,
    bytes: [AtomicU8; N],
}

impl<const N: usize> SharedText<N> {
    pub fn set(&self, text: &str) {
        let mut length = text.len().min(N);
        while !text.is_char_boundary(length) {
            length -= 1;
        }
        for (to, from) in self.bytes.iter().zip(text.bytes().take(length)) {
            to.store(from, Relaxed);
        }
        self.length.store(length as u32, Relaxed);
    }

    pub fn get(&self) -> String {
        let length = (self.length.load(Relaxed) as usize).min(N);
        let bytes: Vec<u8> = self.bytes[..length].iter().map(|b| b.load(Relaxed)).collect();
        String::from_utf8_lossy(&bytes).into_owned()
    }
}
