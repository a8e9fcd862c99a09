//! A wire between two servers, in this process, with accidents to order.
//!
//! ```text
//!   source  ->  127.0.0.1:proxy.port()  ->  127.0.0.1:target
//!                    cut()               both ends see the connection close
//!                    cut_after(bytes)    the same, in the middle of what is on its way up
//!                    stall() / flow()    connections stay, nothing passes
//!                    refuse() / accept() new connections are closed at once
//!                    limit(bytes)        at most so many bytes a second upwards
//! ```

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

#[derive(Debug, Default)]
struct State {
    stalled: bool,
    refusing: bool,
    closed: bool,
    bytes_per_second: Option<u64>,
    /// Bytes towards the target until the wire is cut.
    cut_after: Option<u64>,
    cuts: u64,
    /// Bytes that went towards the target since the start.
    upwards: u64,
    connections: u64,
    wires: Vec<TcpStream>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// Listens on a free port and connects whoever comes to the target's port.
    pub fn to(target: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("bound").port();
        let shared = Arc::new(Shared::default());
        let acceptor = Arc::clone(&shared);
        std::thread::spawn(move || accept_loop(&listener, target, &acceptor));
        Proxy { port, shared }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes every connection now.
    pub fn cut(&self) {
        self.shared.lock().cut();
        self.shared.changed.notify_all();
    }

    /// Closes every connection when so many more bytes have gone to the target.
    pub fn cut_after(&self, bytes: u64) {
        self.change(|state| state.cut_after = Some(bytes));
    }

    pub fn stall(&self) {
        self.change(|state| state.stalled = true);
    }

    pub fn flow(&self) {
        self.change(|state| state.stalled = false);
    }

    pub fn refuse(&self) {
        self.change(|state| state.refusing = true);
    }

    pub fn accept(&self) {
        self.change(|state| state.refusing = false);
    }

    pub fn limit(&self, bytes_per_second: Option<u64>) {
        self.change(|state| state.bytes_per_second = bytes_per_second);
    }

    /// How often the wire was cut by `cut` and `cut_after`.
    pub fn cuts(&self) -> u64 {
        self.shared.lock().cuts
    }

    pub fn connections(&self) -> u64 {
        self.shared.lock().connections
    }

    /// Bytes that went to the target since the start.
    pub fn upwards(&self) -> u64 {
        self.shared.lock().upwards
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.shared.lock());
        self.shared.changed.notify_all();
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.change(|state| {
            state.closed = true;
            state.cut();
        });
        // Wakes the acceptor, which then sees that the proxy is closed.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl State {
    fn cut(&mut self) {
        self.cuts += 1;
        self.cut_after = None;
        for wire in self.wires.drain(..) {
            let _ = wire.shutdown(Shutdown::Both);
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Waits while the wire is stalled, then says how many of `length` bytes may go up
    /// before the wire is to be cut (all of them, usually).
    fn admit(&self, length: usize, upwards: bool) -> usize {
        let mut state = self.lock();
        while state.stalled && !state.closed {
            state = self.changed.wait(state).unwrap_or_else(|e| e.into_inner());
        }
        if !upwards {
            return length;
        }
        match state.cut_after {
            Some(left) if (length as u64) >= left => left as usize,
            Some(left) => {
                state.cut_after = Some(left - length as u64);
                length
            }
            None => length,
        }
    }

    fn passed(&self, bytes: usize) -> Option<u64> {
        let mut state = self.lock();
        state.upwards += bytes as u64;
        state.bytes_per_second
    }
}

fn accept_loop(listener: &TcpListener, target: u16, shared: &Arc<Shared>) {
    for client in listener.incoming().flatten() {
        let mut state = shared.lock();
        if state.closed {
            return;
        }
        state.connections += 1;
        if state.refusing {
            continue; // dropped, so closed
        }
        let Ok(server) = TcpStream::connect(("127.0.0.1", target)) else {
            continue; // the target is down: the client sees the connection close
        };
        let _ = client.set_nodelay(true);
        let _ = server.set_nodelay(true);
        for (from, to, upwards) in [(&client, &server, true), (&server, &client, false)] {
            let (Ok(from), Ok(to), Ok(wire)) = (from.try_clone(), to.try_clone(), from.try_clone()) else {
                continue;
            };
            state.wires.push(wire);
            let shared = Arc::clone(shared);
            std::thread::spawn(move || pump(from, to, upwards, &shared));
        }
    }
}

/// Carries bytes one way until either end closes.
fn pump(mut from: TcpStream, mut to: TcpStream, upwards: bool, shared: &Shared) {
    let mut buffer = [0; 16 * 1024];
    while let Ok(length) = from.read(&mut buffer) {
        if length == 0 {
            break;
        }
        let admitted = shared.admit(length, upwards);
        if to.write_all(&buffer[..admitted]).is_err() {
            break;
        }
        if admitted < length {
            shared.lock().cut();
            break;
        }
        if upwards && let Some(limit) = shared.passed(admitted) {
            std::thread::sleep(Duration::from_micros(admitted as u64 * 1_000_000 / limit.max(1)));
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
