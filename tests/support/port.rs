//! TCP ports for servers. A server keeps its port over restarts and crashes, so
//! the port must not come from the range that outgoing connections draw from.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::Mutex;

/// Below the usual ephemeral range (32768 and up), above the usual servers.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// A port that nobody listens on and that this process has not handed out yet.
pub fn free_port() -> u16 {
    static TAKEN: Mutex<Option<HashSet<u16>>> = Mutex::new(None);
    let mut taken = TAKEN.lock().unwrap_or_else(|e| e.into_inner());
    let taken = taken.get_or_insert_default();
    // Two test processes started together should not walk the same ports.
    let start = (std::process::id().wrapping_mul(257) % u32::from(COUNT)) as u16;
    for step in 0..COUNT {
        let port = FIRST + (start + step) % COUNT;
        if !taken.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            taken.insert(port);
            return port;
        }
    }
    panic!("no free TCP port from {FIRST} to {}", FIRST + COUNT - 1);
}
