//! CPU and memory of a server's processes.

use std::collections::HashSet;
use std::time::Duration;

use pg_courier_tests::{Cluster, procfs};

/// CPU time used so far by all processes of a server, those that have ended included.
pub fn cpu(cluster: &Cluster) -> Duration {
    let ours = own_sessions(cluster);
    let living: Duration = procfs::processes_in(&cluster.data_directory())
        .into_iter()
        .filter(|pid| !ours.contains(pid))
        .filter_map(procfs::cpu)
        .sum();
    let ended = cluster.postmaster_pid().and_then(procfs::cpu_of_children).unwrap_or_default();
    living + ended
}

/// The bench's own sessions look at tables while others work: not part of the job.
fn own_sessions(cluster: &Cluster) -> HashSet<i32> {
    let rows = cluster.rows("postgres", "SELECT pid FROM pg_stat_activity WHERE application_name = 'courier_test'");
    rows.into_iter().flatten().flatten().filter_map(|pid| pid.parse().ok()).collect()
}

/// Peak memory of the processes that a condition on pg_stat_activity names, in bytes: the
/// largest one.
pub fn peak_memory(cluster: &Cluster, condition: &str) -> Option<u64> {
    pids(cluster, condition).into_iter().filter_map(procfs::peak_memory).max()
}

pub fn pids(cluster: &Cluster, condition: &str) -> Vec<i32> {
    let rows = cluster.rows("postgres", &format!("SELECT pid FROM pg_stat_activity WHERE {condition}"));
    rows.into_iter().flatten().flatten().filter_map(|pid| pid.parse().ok()).collect()
}
