//! The account that servers run under. A server refuses to run as root, so root
//! hands the servers to an account without privileges; anybody else keeps their own.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Account {
    pub uid: u32,
    pub gid: u32,
    /// Whether processes have to change to the account at all.
    switch: bool,
}

/// The account of this process's servers, looked up once.
pub fn account() -> Account {
    static ACCOUNT: OnceLock<Account> = OnceLock::new();
    *ACCOUNT.get_or_init(|| {
        // SAFETY: no arguments, cannot fail.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        if uid != 0 {
            return Account { uid, gid, switch: false };
        }
        let (uid, gid) = ["postgres", "nobody"]
            .iter()
            .find_map(|name| lookup(name))
            .expect("root needs an account named postgres or nobody to run servers");
        Account { uid, gid, switch: true }
    })
}

impl Account {
    /// Makes the command run under this account, in a working directory it can enter.
    pub fn applied_to(self, command: &mut Command, directory: &Path) {
        command.current_dir(directory);
        if self.switch {
            // Setting a uid as root also drops the supplementary groups.
            command.uid(self.uid).gid(self.gid);
        }
    }

    /// Gives a file or directory to the account.
    pub fn own(self, path: &Path) -> std::io::Result<()> {
        if self.switch {
            std::os::unix::fs::chown(path, Some(self.uid), Some(self.gid))?;
        }
        Ok(())
    }
}

/// `/etc/passwd` is enough: the accounts in question are the system's own.
fn lookup(name: &str) -> Option<(u32, u32)> {
    let passwd = std::fs::read_to_string("/etc/passwd").ok()?;
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next()? != name {
            return None;
        }
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some((uid, gid))
    })
}
