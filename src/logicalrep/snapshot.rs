//! The snapshot under which a table was copied, and the question the stream asks it.
//!
//! A table is copied under a snapshot of its own. A change of that table is in the copy exactly when its transaction
//! is visible in that snapshot, so the apply worker skips it then, and only then. No arithmetic on LSNs decides this:
//! between the commit record and the moment a transaction becomes visible lies a gap (a commit that waits for a
//! synchronous standby makes it as long as you like), and only the snapshot itself says on which side a row fell.
//!
//! Worked example, for the snapshot `100:110:101,105`:
//! 99 is visible (below xmin), 101 and 105 are not (were running), 104 is, 110 and later are not.
//!
//! `sync_lsn` bounds the work: it is read right after the snapshot was taken, and every transaction visible in the
//! snapshot had written its commit record before. Later commits need not ask.

use std::str::FromStr;

use super::Lsn;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopySnapshot {
    xmin: u64,
    xmax: u64,
    /// Running at the time, in ascending order.
    xip: Vec<u64>,
    sync_lsn: Lsn,
}

impl CopySnapshot {
    /// `text` is what `pg_current_snapshot()` printed.
    pub fn parse(text: &str, sync_lsn: Lsn) -> Result<CopySnapshot, String> {
        let invalid = || format!("invalid snapshot \"{text}\"");
        let mut parts = text.splitn(3, ':');
        let mut number = || parts.next().and_then(|p| u64::from_str(p).ok()).ok_or_else(invalid);
        let (xmin, xmax) = (number()?, number()?);
        let list = parts.next().ok_or_else(invalid)?;
        let mut xip = Vec::new();
        for xid in list.split(',').filter(|x| !x.is_empty()) {
            xip.push(u64::from_str(xid).map_err(|_| invalid())?);
        }
        if xmin > xmax || !xip.is_sorted() {
            return Err(invalid());
        }
        Ok(CopySnapshot { xmin, xmax, xip, sync_lsn })
    }

    /// One that bounds no work: the catalogs at a moment.
    pub fn of_moment(text: &str) -> Result<CopySnapshot, String> {
        CopySnapshot::parse(text, Lsn(u64::MAX))
    }

    /// Does it show what a transaction did that has committed, whenever that was? By its whole number, as 32 bits of it come again.
    pub fn shows(&self, full: u64) -> bool {
        full < self.xmin || (full < self.xmax && self.xip.binary_search(&full).is_err())
    }

    /// Where the WAL ended right after it was taken.
    pub fn sync_lsn(&self) -> Lsn {
        self.sync_lsn
    }

    /// Shows nothing.
    pub fn nothing(sync_lsn: Lsn) -> CopySnapshot {
        CopySnapshot { xmin: 0, xmax: 0, xip: Vec::new(), sync_lsn }
    }

    /// Is a change already in the copy? `xid` is the 32-bit id of the committed top-level transaction.
    pub fn contains(&self, xid: u32, commit_lsn: Lsn) -> bool {
        if commit_lsn > self.sync_lsn {
            return false;
        }
        self.shows(self.full(xid))
    }

    /// The whole number of a transaction of about the time of this snapshot.
    pub fn full(&self, xid: u32) -> u64 {
        let distance = i64::from(xid.wrapping_sub(self.xmax as u32) as i32);
        self.xmax.saturating_add_signed(distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYNC: Lsn = Lsn(1000);

    #[test]
    fn visibility_follows_the_three_regions_of_a_snapshot() {
        let snapshot = CopySnapshot::parse("100:110:101,105", SYNC).unwrap();
        let visible: Vec<u32> = (98..113).filter(|xid| snapshot.contains(*xid, Lsn(10))).collect();
        assert_eq!(visible, [98, 99, 100, 102, 103, 104, 106, 107, 108, 109]);
    }

    #[test]
    fn a_commit_after_the_snapshot_was_taken_is_never_in_the_copy() {
        let snapshot = CopySnapshot::parse("100:110:", SYNC).unwrap();
        assert!(snapshot.contains(50, Lsn(1000)));
        assert!(!snapshot.contains(50, Lsn(1001)));
    }

    #[test]
    fn transaction_ids_wrap_around_into_the_right_epoch() {
        let epoch = 3u64 << 32;
        let text = format!("{}:{}:{}", epoch - 10, epoch + 5, epoch + 2);
        let snapshot = CopySnapshot::parse(&text, SYNC).unwrap();
        assert!(snapshot.contains(u32::MAX - 20, Lsn(1)));
        assert!(snapshot.contains(1, Lsn(1)));
        assert!(!snapshot.contains(2, Lsn(1)));
        assert!(!snapshot.contains(5, Lsn(1)));
    }

    /// What was noted long ago is still known to be past, and what comes after two billion transactions is not taken for it.
    #[test]
    fn whole_numbers_do_not_come_again() {
        let old = CopySnapshot::of_moment("100:110:105").unwrap();
        let epoch = 3u64 << 32;
        let now = CopySnapshot::of_moment(&format!("{}:{}:", epoch + 90, epoch + 95)).unwrap();
        assert_eq!(now.full(92), epoch + 92);
        assert!(!old.shows(now.full(92)) && old.shows(92) && !old.shows(105));
        assert!(now.shows(105) && now.shows(1 << 33));
    }

    #[test]
    fn rubbish_is_refused() {
        for bad in ["", "1:2", "a:b:c", "5:4:", "1:9:4,3"] {
            assert!(CopySnapshot::parse(bad, SYNC).is_err(), "{bad}");
        }
    }
}
