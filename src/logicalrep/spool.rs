//! Encoded row changes of a transaction that is too large to wait in memory for its commit, in a file.
//!
//! Changes are appended in the order of the WAL, with large writes, and played once, from the beginning, with large
//! reads: memory holds one block, and of larger rows one. A change names its table by number; the definition it was
//! encoded with is kept beside the file, as it may be another by the time of the commit.
//!
//! The file has no name: it is removed as soon as it is made, so that nothing stays behind, whatever ends the process.
//! If the machine dies between the two, its name tells the server to remove it at the next start. A record is
//!
//! ```text
//!   number of the relation * 4 + kind, LSN (high, low), bytes of the old row or key, bytes of the row: u32 each
//!   the old row or key, the row
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Change, FastMap, Lsn, Relation};
use crate::error::{Error, Result, sqlstate};

/// Bytes of a write or a read.
const BLOCK: usize = 256 << 10;
const HEADER: usize = 20;

const INSERT: u32 = 0;
const UPDATE: u32 = 1;
const DELETE: u32 = 2;

pub struct Spool {
    file: File,
    /// What is not written yet.
    waiting: Vec<u8>,
    written: u64,
    relations: Vec<Rc<Relation>>,
    /// The number of each table's last definition, by the table's slot.
    numbers: FastMap<usize, u32>,
}

impl Spool {
    pub fn create(directory: &Path) -> Result<Spool> {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        // The server removes files of this name from this directory when it starts.
        let path = directory.join(format!("pgsql_tmp{}.courier{number}", std::process::id()));
        let open = || {
            let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            fs::remove_file(&path)?;
            Ok(file)
        };
        let file = open().map_err(|error| failed("create", &error))?;
        Ok(Spool { file, waiting: Vec::new(), written: 0, relations: Vec::new(), numbers: FastMap::default() })
    }

    /// Bytes in the file.
    pub fn written(&self) -> u64 {
        self.written
    }

    pub fn push(&mut self, relation: &Rc<Relation>, lsn: Lsn, change: Change<'_>) -> Result<()> {
        let (kind, old, row): (u32, &[u8], &[u8]) = match change {
            Change::Insert { row } => (INSERT, &[], row),
            Change::Update { old, row } => (UPDATE, old, row),
            Change::Delete { old } => (DELETE, old, &[]),
        };
        let length = |bytes: &[u8]| {
            u32::try_from(bytes.len()).map_err(|_| Error::internal("a row of 4 GB cannot wait in a spool"))
        };
        let (high, low) = ((lsn.0 >> 32) as u32, lsn.0 as u32);
        let words = [self.number(relation) * 4 + kind, high, low, length(old)?, length(row)?];
        let mut header = [0; HEADER];
        header.chunks_exact_mut(4).zip(words).for_each(|(to, word)| to.copy_from_slice(&word.to_ne_bytes()));
        [&header, old, row].into_iter().try_for_each(|bytes| self.put(bytes)).map_err(|error| failed("write", &error))
    }

    fn number(&mut self, relation: &Rc<Relation>) -> u32 {
        if let Some(number) = self.numbers.get(&relation.slot)
            && Rc::ptr_eq(&self.relations[*number as usize], relation)
        {
            return *number;
        }
        let number = self.relations.len() as u32;
        self.relations.push(relation.clone());
        self.numbers.insert(relation.slot, number);
        number
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.waiting.len() + bytes.len() > BLOCK {
            self.write_waiting()?;
        }
        if bytes.len() >= BLOCK {
            self.file.write_all(bytes)?;
            self.written += bytes.len() as u64;
        } else {
            self.waiting.reserve_exact(if self.waiting.is_empty() { BLOCK } else { 0 });
            self.waiting.extend_from_slice(bytes);
        }
        Ok(())
    }

    fn write_waiting(&mut self) -> io::Result<()> {
        self.file.write_all(&self.waiting)?;
        self.written += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }

    /// Writes what waits and gives its room back, as nothing may follow for a long time.
    pub fn rest(&mut self) -> Result<()> {
        self.write_waiting().map_err(|error| failed("write", &error))?;
        self.waiting = Vec::new();
        Ok(())
    }

    /// Hands out all changes in order. The disk is free again afterwards, or after an error.
    pub fn play(mut self, each: impl FnMut(&Rc<Relation>, Lsn, Change<'_>) -> Result<()>) -> Result<()> {
        self.rest()?;
        self.file.rewind().map_err(|error| failed("read", &error))?;
        play(self.file, self.written, &self.relations, each)
    }
}

/// The changes of so many bytes of a file.
pub(super) fn play(
    file: impl Read,
    mut left: u64,
    relations: &[Rc<Relation>],
    mut each: impl FnMut(&Rc<Relation>, Lsn, Change<'_>) -> Result<()>,
) -> Result<()> {
    let mut reader = Reader { file, buffer: Vec::new(), start: 0, end: 0 };
    while left > 0 {
        let mut words = [0; HEADER / 4];
        let header = reader.take(HEADER)?.as_chunks().0;
        words.iter_mut().zip(header).for_each(|(word, bytes)| *word = u32::from_ne_bytes(*bytes));
        let [what, high, low, old, row] = words;
        let (old, row) = (old as usize, row as usize);
        // No memory is taken for more than there is.
        left = left.checked_sub((HEADER + old + row) as u64).ok_or_else(damaged)?;
        let (old, row) = reader.take(old + row)?.split_at(old);
        let lsn = Lsn(u64::from(high) << 32 | u64::from(low));
        let change = match what % 4 {
            INSERT => Change::Insert { row },
            UPDATE => Change::Update { old, row },
            DELETE => Change::Delete { old },
            _ => return Err(damaged()),
        };
        each(relations.get(what as usize / 4).ok_or_else(damaged)?, lsn, change)?;
    }
    Ok(())
}

/// Reads a file, a block at a time.
struct Reader<F> {
    file: F,
    buffer: Vec<u8>,
    /// What of the buffer has been read and not taken.
    start: usize,
    end: usize,
}

impl<F: Read> Reader<F> {
    fn take(&mut self, bytes: usize) -> Result<&[u8]> {
        if self.end - self.start < bytes {
            self.fill(bytes).map_err(|error| failed("read", &error))?;
        }
        let from = self.start;
        self.start += bytes;
        Ok(&self.buffer[from..self.start])
    }

    /// Reads until so many bytes are there.
    fn fill(&mut self, bytes: usize) -> io::Result<()> {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        self.buffer.resize(bytes.max(BLOCK), 0);
        // The room of a large row is not kept.
        self.buffer.shrink_to_fit();
        while self.end < bytes {
            match self.file.read(&mut self.buffer[self.end..]) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(read) => self.end += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

fn failed(verb: &str, error: &io::Error) -> Error {
    let is_full = matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded);
    let state = if is_full { sqlstate::DISK_FULL } else { sqlstate::IO_ERROR };
    let error = Error::new(state, format!("could not {verb} the spool of a large transaction: {error}")).detail(
        "Changes of transactions that are larger than logical_decoding_work_mem wait for the commit in files of the \
         source, below base/pgsql_tmp in its data directory.",
    );
    if is_full {
        error.hint("Free space on the disk of the source's data directory; the task then goes on by itself.")
    } else {
        error
    }
}

fn damaged() -> Error {
    Error::new(sqlstate::DATA_CORRUPTED, "the spool of a large transaction is damaged")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logicalrep::TableName;
    use crate::logicalrep::relation::Identity;
    use crate::transform::Route;

    fn relation(slot: usize, name: &str) -> Rc<Relation> {
        Rc::new(Relation {
            oid: 1,
            slot,
            generation: 1,
            route: Rc::new(Route::identity(TableName::new("public", name))),
            columns: Vec::new(),
            identity: Identity::Key,
            key: Vec::new(),
            has_one_unique_index: true,
        })
    }

    fn spool() -> Spool {
        Spool::create(&std::env::temp_dir()).expect("a file in the temporary directory")
    }

    /// Table, LSN, what the change is made of.
    fn played(spool: Spool) -> Vec<(String, u64, String, usize)> {
        let mut seen = Vec::new();
        spool
            .play(|relation, lsn, change| {
                let (text, bytes) = match change {
                    Change::Insert { row } => ("+".to_owned(), row),
                    Change::Update { old, row } => (String::from_utf8_lossy(old).into_owned(), row),
                    Change::Delete { old } => ("-".to_owned(), old),
                };
                assert!(bytes.iter().all(|byte| Some(byte) == bytes.first()), "a row is in pieces");
                seen.push((relation.route.source.name.clone(), lsn.0, text, bytes.len()));
                Ok(())
            })
            .expect("playing");
        seen
    }

    #[test]
    fn changes_come_back_in_order_with_the_definitions_of_their_time() {
        let mut spool = spool();
        let (a, b, altered) = (relation(0, "a"), relation(1, "b"), relation(0, "altered"));
        spool.push(&a, Lsn(1), Change::Insert { row: b"x" }).expect("push");
        spool.push(&b, Lsn(u64::MAX - 1), Change::Update { old: b"old", row: b"yy" }).expect("push");
        spool.rest().expect("write");
        spool.push(&altered, Lsn(3), Change::Delete { old: b"zzz" }).expect("push");
        spool.push(&b, Lsn(4), Change::Insert { row: b"" }).expect("push");
        let expected = [("a", 1, "+", 1), ("b", u64::MAX - 1, "old", 2), ("altered", 3, "-", 3), ("b", 4, "+", 0)];
        let expected = expected.map(|(name, lsn, text, bytes)| (name.to_owned(), lsn, text.to_owned(), bytes));
        assert_eq!(played(spool), expected);
    }

    /// Around the size of a block, and far from it.
    #[test]
    fn rows_of_any_size() {
        let mut spool = spool();
        let table = relation(0, "t");
        let sizes =
            [1, BLOCK - HEADER - 1, BLOCK - HEADER, BLOCK - HEADER + 1, 5, BLOCK, BLOCK + 1, 7, 9 * BLOCK, 0, 3];
        let many: Vec<usize> = sizes.iter().copied().chain((0..20_000).map(|n| n % 97)).collect();
        for (number, size) in many.iter().enumerate() {
            let row = vec![number as u8; *size];
            spool.push(&table, Lsn(number as u64), Change::Insert { row: &row }).expect("push");
        }
        assert!(spool.written() > BLOCK as u64 && spool.waiting.capacity() <= BLOCK);
        let back = played(spool);
        assert_eq!(back.iter().map(|change| change.3).collect::<Vec<_>>(), many);
        assert!(back.iter().enumerate().all(|(number, change)| change.1 == number as u64));
    }

    #[test]
    fn nothing_was_wanted() {
        assert!(played(spool()).is_empty());
    }

    #[test]
    fn a_file_that_ends_early_is_an_error() {
        let mut spool = spool();
        spool.push(&relation(0, "t"), Lsn(1), Change::Insert { row: &[7; 100] }).expect("push");
        spool.rest().expect("write");
        spool.file.set_len(50).expect("truncate");
        assert!(spool.play(|_, _, _| Ok(())).is_err());
    }

    /// Memory for 8 GB is not taken before it shows that they are not there.
    #[test]
    fn a_length_beyond_the_file_is_damage() {
        let file: Vec<u8> = [INSERT, 0, 1, u32::MAX, u32::MAX].iter().flat_map(|word| word.to_ne_bytes()).collect();
        let error = play(&file[..], file.len() as u64, &[relation(0, "t")], |_, _, _| Ok(())).expect_err("refused");
        assert_eq!(error.sqlstate(), sqlstate::DATA_CORRUPTED);
    }

    #[test]
    fn a_full_disk_is_named() {
        let Ok(file) = OpenOptions::new().write(true).open("/dev/full") else { return };
        let mut spool = Spool { file, ..spool() };
        spool.push(&relation(0, "t"), Lsn(1), Change::Insert { row: &[7; 100] }).expect("push");
        let error = spool.rest().expect_err("the disk is full");
        assert_eq!(error.sqlstate(), sqlstate::DISK_FULL);
        assert!(error.hint_text().is_some_and(|hint| hint.contains("disk")));
    }

    #[test]
    fn the_file_has_no_name() {
        let directory = std::env::temp_dir().join(format!("courier-spool-{}", std::process::id()));
        fs::create_dir_all(&directory).expect("a directory");
        let spool = Spool::create(&directory).expect("a file");
        assert_eq!(fs::read_dir(&directory).expect("a directory").count(), 0);
        drop(spool);
        fs::remove_dir(&directory).expect("an empty directory");
    }
}
