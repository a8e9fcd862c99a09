//! The most memory that the processes of a server needed, also of those that have ended meanwhile.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::cluster::Cluster;
use crate::procfs;

/// Short against the life of a process that needs much.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Looks at all processes of a server until it is asked.
#[derive(Debug)]
pub struct MemoryWatch {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<HashMap<i32, (String, u64)>>,
}

impl MemoryWatch {
    pub fn start(cluster: &Cluster) -> MemoryWatch {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let directory = cluster.data_directory();
        let thread = std::thread::spawn(move || watch(&directory, &stopped));
        MemoryWatch { stop, thread }
    }

    /// The highest peak (VmHWM, in bytes, shared buffers included) of any process whose title contains the words.
    pub fn peak_of(self, words: &str) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self.thread.join().expect("the watch does not panic");
        seen.values().filter(|(title, _)| title.contains(words)).map(|(_, peak)| *peak).max().unwrap_or(0)
    }
}

fn watch(directory: &Path, stopped: &AtomicBool) -> HashMap<i32, (String, u64)> {
    let mut seen = HashMap::new();
    while !stopped.load(Ordering::Relaxed) {
        for pid in procfs::processes_in(directory) {
            if let (Some(title), Some(peak)) = (procfs::title(pid), procfs::peak_memory(pid)) {
                seen.insert(pid, (title, peak));
            }
        }
        std::thread::sleep(LOOK_EVERY);
    }
    seen
}
