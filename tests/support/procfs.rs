//! Reading `/proc`: who lives in a directory, what a process has used.

use std::path::Path;
use std::time::Duration;

/// Processes whose working directory is `directory` or below: a server's postmaster
/// and all its children work in their data directory.
pub fn processes_in(directory: &Path) -> Vec<i32> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(directory)))
        .filter(|pid| state(*pid).is_some_and(|state| state != 'Z'))
        .collect()
}

/// The process's state letter, `None` when it does not exist.
pub fn state(pid: i32) -> Option<char> {
    fields(pid)?.first()?.chars().next()
}

pub fn alive(pid: i32) -> bool {
    state(pid).is_some_and(|state| state != 'Z')
}

/// What the process says it is (a server's processes: "postgres: pg_courier apply worker: shop").
pub fn title(pid: i32) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim_end_matches(['\0', ' ']).to_owned())
}

/// CPU time (user and system) the process has used itself.
pub fn cpu(pid: i32) -> Option<Duration> {
    let fields = fields(pid)?;
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(from_ticks(ticks))
}

/// CPU time of children that have ended and been waited for.
pub fn cpu_of_children(pid: i32) -> Option<Duration> {
    let fields = fields(pid)?;
    let ticks: u64 = fields.get(13)?.parse::<u64>().ok()? + fields.get(14)?.parse::<u64>().ok()?;
    Some(from_ticks(ticks))
}

/// What its open files are called; those that were removed end in "(deleted)".
pub fn open_files(pid: i32) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else {
        return Vec::new();
    };
    let targets = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.map(|target| target.to_string_lossy().into_owned()).collect()
}

/// The most memory the process has had resident, in bytes (VmHWM).
pub fn peak_memory(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Bytes of memory that a process has for itself, without what it shares.
pub fn anonymous_memory(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Makes `peak_memory` count from now on.
pub fn reset_peak_memory(pid: i32) {
    // Not allowed for another account's process unless root: the peak is then the whole life's.
    let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// The fields of `/proc/PID/stat` from the state on (the name before may hold blanks).
fn fields(pid: i32) -> Option<Vec<String>> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let after_name = &stat[stat.rfind(')')? + 1..];
    Some(after_name.split_whitespace().map(str::to_owned).collect())
}

fn from_ticks(ticks: u64) -> Duration {
    // SAFETY: no pointers involved.
    let per_second = unsafe { libc::sysconf(libc::_SC_CLK_TCK) }.max(1) as u64;
    Duration::from_nanos(ticks * 1_000_000_000 / per_second)
}
