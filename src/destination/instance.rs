//! Which server is this? Its tasks, identifiers and secrets are those of every copy of it: of a copied data directory, a
//! snapshot of a volume or a virtual machine, a restored backup. So what a task's destination remembers of its writer is
//! what a copy cannot share, or rarely does: where the data directory is and which files it consists of, the machine, its
//! boot, and the address from which the destination is reached.
//!
//! [`judge`] is the rule. It has no answer for a copy that takes over all of that, address included; there the lease
//! decides (`super::claim`): whoever comes second after the copy was made is refused.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result, sqlstate};
use crate::pg::{spi, xact};

/// Files that a data directory has from its beginning and that are never made anew.
const FILES: [&str; 2] = ["PG_VERSION", "global/pg_control"];

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub data_directory: String,
    pub files: Vec<FileId>,
    pub host: Option<String>,
    pub machine: Option<String>,
    pub boot: Option<String>,
    /// A standby that is promoted begins a new timeline.
    pub timeline: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileId {
    pub name: String,
    pub inode: u64,
    /// Nanoseconds since 1970; where the file system does not tell, nothing.
    pub born: Option<u64>,
}

/// A server as its destination sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seat {
    pub instance: Instance,
    /// `inet_client_addr()` there; none through a Unix socket.
    pub address: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Likeness {
    Same,
    /// Another server, most likely a copy; says what differs.
    Other(&'static str),
}

/// Is the server in `seat` the one that was `recorded`? `has_synced_slot`: the task's slot came here by synchronization from
/// a primary (17 and later).
pub fn judge(recorded: &Seat, seat: &Seat, has_synced_slot: bool) -> Likeness {
    let (old, new) = (&recorded.instance, &seat.instance);
    if has_synced_slot && new.timeline > old.timeline {
        // The standby that was meant to go on.
        return Likeness::Same;
    }
    if old.data_directory != new.data_directory {
        return Likeness::Other("it has another data directory");
    }
    if !same_files(&old.files, &new.files) {
        return Likeness::Other("the files of its data directory are others, made anew by a copy");
    }
    if recorded.address == seat.address {
        return Likeness::Same;
    }
    // A server that has got another address is the same one; with another machine below it it may be a volume's copy.
    if old.host != new.host || old.machine != new.machine {
        return Likeness::Other("it runs on another machine, and the destination is reached from another address");
    }
    if old.boot != new.boot {
        return Likeness::Other("the machine was started anew, and the destination is reached from another address");
    }
    Likeness::Same
}

fn same_files(old: &[FileId], new: &[FileId]) -> bool {
    let same = |a: &FileId, b: &FileId| {
        // Times only where both are known.
        let born = a.born.zip(b.born).is_none_or(|(a, b)| a == b);
        a.name == b.name && a.inode == b.inode && born
    };
    old.len() == new.len() && old.iter().zip(new).all(|(a, b)| same(a, b))
}

impl Instance {
    /// This server; inside a transaction. An error when its files cannot be looked at: nobody guesses who it is.
    pub fn here() -> Result<Instance> {
        let unknown = |what: &str| {
            Error::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("cannot tell this server from a copy of it: {what}"),
            )
            .detail("A task's destination remembers which server writes there, so that a copy of that server does not.")
        };
        let directory = xact::config(c"data_directory").ok_or_else(|| unknown("its data directory is unknown"))?;
        let directory = std::fs::canonicalize(&directory)
            .map_err(|error| unknown(&format!("could not look at data directory \"{directory}\": {error}")))?;
        let files = FILES
            .iter()
            .map(|name| {
                FileId::of(&directory, name).map_err(|error| unknown(&format!("could not look at \"{name}\": {error}")))
            })
            .collect::<Result<Vec<FileId>>>()?;
        let timeline = spi::query_one(
            "SELECT ('x' || pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8))\
             ::pg_catalog.bit(32)::pg_catalog.int4",
            &[],
        )?;
        Ok(Instance {
            data_directory: directory.to_string_lossy().into_owned(),
            files,
            host: line_of("/proc/sys/kernel/hostname"),
            machine: line_of("/etc/machine-id"),
            boot: line_of("/proc/sys/kernel/random/boot_id"),
            timeline: timeline.parse::<i32>(0)? as u32,
        })
    }

    pub fn to_text(&self) -> Result<String> {
        serde_json::to_string(self).map_err(|error| Error::internal(format!("cannot write an instance: {error}")))
    }

    pub fn parse(text: &str) -> Option<Instance> {
        serde_json::from_str(text).ok()
    }
}

impl FileId {
    fn of(directory: &Path, name: &str) -> std::io::Result<FileId> {
        let metadata = std::fs::metadata(directory.join(name))?;
        let born = metadata.created().ok().and_then(|at| at.duration_since(UNIX_EPOCH).ok());
        let born = born.and_then(|since| u64::try_from(since.as_nanos()).ok());
        Ok(FileId { name: name.to_owned(), inode: metadata.ino(), born })
    }
}

/// What a system does not have is the same everywhere on it.
fn line_of(path: &str) -> Option<String> {
    std::fs::read_to_string(path).ok().map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seat() -> Seat {
        let file = |name: &str, inode| FileId { name: name.to_owned(), inode, born: Some(1_700_000_000_000_000_000) };
        Seat {
            instance: Instance {
                data_directory: "/data".to_owned(),
                files: vec![file("PG_VERSION", 10), file("global/pg_control", 20)],
                host: Some("alpha".to_owned()),
                machine: Some("m1".to_owned()),
                boot: Some("b1".to_owned()),
                timeline: 1,
            },
            address: Some("10.0.0.1".to_owned()),
        }
    }

    /// What changed, with a synchronized slot or not, and is it still the same server?
    #[test]
    fn who_is_taken_for_the_same_server() {
        type Change = fn(&mut Seat);
        let address: Change = |seat| seat.address = Some("10.0.0.2".to_owned());
        let cases: &[(&str, &[Change], bool, bool)] = &[
            ("nothing", &[], false, true),
            ("the machine was started anew", &[|s| s.instance.boot = Some("b2".to_owned())], false, true),
            ("it got another name", &[|s| s.instance.host = Some("beta".to_owned())], false, true),
            ("it got another address", &[address], false, true),
            ("now through a Unix socket", &[|s| s.address = None], false, true),
            ("another directory", &[|s| s.instance.data_directory = "/clone".to_owned()], false, false),
            ("cp -a in its place", &[|s| s.instance.files[0].inode = 11], false, false),
            ("a control file of a backup", &[|s| s.instance.files[1].inode = 21], false, false),
            ("an inode used again", &[|s| s.instance.files[0].born = Some(5)], false, false),
            ("a file system that tells no times", &[|s| s.instance.files[0].born = None], false, true),
            ("a file is missing", &[|s| _ = s.instance.files.pop()], false, false),
            ("a volume's copy elsewhere", &[address, |s| s.instance.machine = Some("m2".to_owned())], false, false),
            ("a volume's copy, same image", &[address, |s| s.instance.host = Some("beta".to_owned())], false, false),
            ("a virtual machine's copy", &[address, |s| s.instance.boot = Some("b2".to_owned())], false, false),
            (
                "a promoted standby without slot",
                &[|s| s.instance.timeline = 2, |s| s.instance.files[0].inode = 11],
                false,
                false,
            ),
            (
                "a promoted standby",
                &[|s| s.instance.timeline = 2, |s| s.instance.files[0].inode = 11, address],
                true,
                true,
            ),
            ("a copy of a promoted standby", &[|s| s.instance.files[0].inode = 11], true, false),
        ];
        for (what, changes, synced, same) in cases {
            let mut other = seat();
            changes.iter().for_each(|change| change(&mut other));
            assert_eq!(judge(&seat(), &other, *synced) == Likeness::Same, *same, "{what}");
        }
    }

    #[test]
    fn an_instance_survives_its_text() {
        let instance = seat().instance;
        assert_eq!(Instance::parse(&instance.to_text().expect("it has a text")), Some(instance));
        assert_eq!(Instance::parse("{}"), None);
    }
}
