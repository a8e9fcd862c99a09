//! Free space of the source's disks, which SQL cannot ask.

use std::ffi::{CStr, CString};

use pgrx::pg_sys;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    pub total: u64,
    /// What the server's user may still take.
    pub free: u64,
}

/// Space where the data directory is, or below it.
pub fn space(below: &str) -> std::io::Result<Space> {
    // SAFETY: set at server start, a C string for ever.
    let data = unsafe { CStr::from_ptr(pg_sys::DataDir) };
    let path = [data.to_bytes(), b"/", below.as_bytes()].concat();
    let path = CString::new(path).map_err(std::io::Error::other)?;
    // SAFETY: plain data, for which zero bytes are a valid value; filled by the call.
    let mut stat: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a C string and a structure that outlive the call.
    if unsafe { libc::statvfs(path.as_ptr(), &mut stat) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    let block = stat.f_frsize as u64;
    Ok(Space { total: stat.f_blocks as u64 * block, free: stat.f_bavail as u64 * block })
}

/// Where the server has its temporary files, in the data directory, which is the current directory of its processes; made by the first
/// that needs it, and cleared by the server when it starts. `temp_tablespaces` does not matter: it is a choice of roles for their queries,
/// and what goes here is memory of the server that went to disk.
#[cfg(not(test))]
pub fn temporary_directory() -> std::path::PathBuf {
    const DIRECTORY: &CStr = c"base/pgsql_tmp";
    // SAFETY: a C string; it is no error that the directory is there.
    unsafe { pg_sys::MakePGDirectory(DIRECTORY.as_ptr()) };
    std::path::PathBuf::from(DIRECTORY.to_string_lossy().into_owned())
}

/// Unit tests have no server.
#[cfg(test)]
pub fn temporary_directory() -> std::path::PathBuf {
    std::env::temp_dir()
}
