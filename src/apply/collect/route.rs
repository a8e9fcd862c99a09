//! Which way changes go: as they come, and when what waits is sent.
//!
//! | what waits                                            | goes                                      |
//! |-------------------------------------------------------|-------------------------------------------|
//! | anything                                              | [`Way::Statements`], set-wise, pipelined  |
//! | a run of inserts, at the end of a group               | [`Way::CopyGroup`], in one exchange       |
//! | the same, one such group on its way, order unseen     | [`Way::CopyBeside`], in the other session |
//! | a run of inserts of a transaction too large to wait   | [`Way::CopyInside`], which stays open     |
//! | more of them                                          | [`Way::CopyOpen`]                         |
//!
//! A **run** is a single batch of nothing but inserts, whose fields fit binary COPY. It is worth a COPY if it is long enough,
//! or its table so wide that a statement with an array for each column takes longer to start than a COPY.

use std::time::Duration;

use super::group::Mode;

/// Rows from here on are huge, see `writer::huge`.
pub const HUGE: usize = 16 << 20;
/// Rows of one statement: enough to spread its cost, few enough to stay in the destination's caches.
pub const STATEMENT_ROWS: usize = 1000;
/// A group is sent when it holds this much in all, or `STATEMENT_ROWS` of one table.
const GROUP_BYTES: usize = 4 << 20;
const GROUP_ROWS: usize = 40_000;
/// Rows of one table in a group while earlier groups are on their way.
const MERGED_ROWS: usize = 20 * STATEMENT_ROWS;
/// Rows of a run that is sent as one COPY.
const COPY_ROWS: usize = 16_000;
/// Shorter runs, counted in values, are not worth the round trips, unless the table is wide.
const FEWEST_VALUES: usize = 20_000;
/// What a statement takes to start for each of its array parameters, in microseconds; a COPY takes as long for any number of
/// columns.
const STATEMENT_PER_COLUMN: u128 = 14;
const COPY_START: u128 = 300;
/// Round trips of a COPY that a statement does not need.
const COPY_ROUND_TRIPS: u128 = 3;
/// Values that save, sent as COPY, as much time as a microsecond of round trip costs.
const VALUES_PER_MICROSECOND: u128 = 20;

/// What becomes of a change when it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// It goes behind the rows that went ahead of their commit.
    Ahead,
    /// It is sent alone, and waited for.
    Serial,
    /// It is sent at once: each place where it is kept is as large as the row.
    Huge,
    /// It waits in the batch of its table.
    Waits,
}

#[inline]
pub fn arrival(mode: Mode, bytes: usize) -> Arrival {
    match mode {
        Mode::Adopted => Arrival::Ahead,
        Mode::Serial => Arrival::Serial,
        Mode::Merged if bytes >= HUGE => Arrival::Huge,
        Mode::Merged => Arrival::Waits,
    }
}

/// How much waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    pub bytes: usize,
    pub rows: usize,
    /// Rows of the largest batch.
    pub largest: usize,
}

impl Load {
    /// Does so many times as much wait as makes a group? `enough` rows of one table are; asked only where they decide.
    #[inline]
    pub fn holds(&self, times: usize, enough: impl FnOnce() -> usize) -> bool {
        self.bytes >= times * GROUP_BYTES
            || self.rows >= times * GROUP_ROWS
            || self.largest >= times * STATEMENT_ROWS && self.largest >= times * enough()
    }
}

/// What comparing a definition of the source with the destination's has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agreement {
    /// A column of another type.
    Differs,
    /// The same types, but something there may see in which order rows come.
    InOrder,
    /// The same types in a plain table; rows may come in any order.
    Plain,
}

/// The only batch that waits, if it holds nothing but inserts that COPY can take as far as this side can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    pub rows: usize,
    pub columns: usize,
    /// `None` while the destination was not asked.
    pub agreement: Option<Agreement>,
}

/// The COPY of a transaction under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenCopy {
    No,
    /// Of the table of the run.
    SameTable,
    OtherTable,
}

/// What decides about the way.
#[derive(Clone, Copy, Debug)]
pub struct WayFacts {
    pub run: Option<Run>,
    pub copy: OpenCopy,
    /// Has the group's fence been sent?
    pub is_open: bool,
    pub mode: Mode,
    pub round_trip: Duration,
    /// May groups overlap at all: no trigger fires, no constraint is deferred, and there is a second session?
    pub has_second: bool,
}

/// Which way what waits goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    Statements,
    CopyGroup,
    CopyBeside,
    CopyInside,
    CopyOpen,
    /// It would be worth a COPY; the destination has to be asked whether it agrees.
    Ask,
}

/// The groups on their way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// None, or some in the pipeline.
    Pipeline,
    /// One, whose rows travel as COPY.
    OneCopy,
    /// More of those, or none any more.
    OtherCopies,
}

impl WayFacts {
    /// The run, if nothing that was sent before stands in the way of a COPY.
    fn candidate(&self) -> Option<Run> {
        let is_in_the_way = match self.copy {
            OpenCopy::SameTable => false,
            OpenCopy::OtherTable => true,
            OpenCopy::No => self.is_open || self.mode == Mode::Serial,
        };
        self.run.filter(|run| !is_in_the_way && run.agreement != Some(Agreement::Differs))
    }

    /// Should more rows wait for a COPY to start?
    fn collects_for_copy(&self) -> bool {
        self.copy == OpenCopy::No && self.candidate().is_some()
    }

    /// Rows of one table that are enough to send. COPY wants longer runs, and while the destination is busy anyway rows
    /// that lie side by side may still come.
    pub fn enough_rows(&self, is_busy: bool) -> usize {
        if self.collects_for_copy() {
            COPY_ROWS
        } else if is_busy {
            MERGED_ROWS
        } else {
            STATEMENT_ROWS
        }
    }

    /// Is the table so wide that a COPY is worth it for any number of rows?
    fn is_wide(&self, run: Run) -> bool {
        run.columns as u128 * STATEMENT_PER_COLUMN >= COPY_START + self.round_trip.as_micros() * COPY_ROUND_TRIPS
    }

    /// Is the run long enough for a COPY of a table of any width?
    fn is_long(&self, run: Run) -> bool {
        let values = run.rows * run.columns;
        values >= FEWEST_VALUES && values as u128 >= self.round_trip.as_micros() * VALUES_PER_MICROSECOND
    }

    /// May what waits go to the destination as COPY while an earlier group still does? A short run waits for its end,
    /// unless the group is due.
    pub fn may_overlap(&self, is_due: impl FnOnce() -> bool) -> bool {
        self.candidate().is_some_and(|run| {
            (self.is_long(run) || self.is_wide(run) && is_due())
                && run.agreement == Some(Agreement::Plain)
                && self.has_second
        })
    }

    /// The way of what waits, in the middle of a group.
    pub fn way_inside(&self) -> Way {
        match self.candidate() {
            None => Way::Statements,
            Some(_) if self.copy == OpenCopy::SameTable => Way::CopyOpen,
            Some(run) => self.way_of_copy(run, Way::CopyInside),
        }
    }

    /// The way of what waits, with the group's end.
    pub fn way_at_end(&self, before: Before, is_due: impl FnOnce() -> bool) -> Way {
        match self.candidate().filter(|_| !self.is_open) {
            None => Way::Statements,
            Some(run) => match self.way_of_copy(run, Way::CopyGroup) {
                Way::CopyGroup if before == Before::OneCopy && self.may_overlap(is_due) => Way::CopyBeside,
                way => way,
            },
        }
    }

    fn way_of_copy(&self, run: Run, way: Way) -> Way {
        match run.agreement {
            _ if !self.is_wide(run) && !self.is_long(run) => Way::Statements,
            None => Way::Ask,
            Some(Agreement::Differs) => Way::Statements,
            Some(Agreement::InOrder | Agreement::Plain) => way,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEAR: Duration = Duration::from_micros(100);
    const FAR: Duration = Duration::from_millis(20);

    fn run(rows: usize, columns: usize, agreement: Option<Agreement>) -> Option<Run> {
        Some(Run { rows, columns, agreement })
    }

    /// Nothing was sent of the group; the run is long and plain.
    fn facts() -> WayFacts {
        WayFacts {
            run: run(16_000, 4, Some(Agreement::Plain)),
            copy: OpenCopy::No,
            is_open: false,
            mode: Mode::Merged,
            round_trip: NEAR,
            has_second: true,
        }
    }

    #[test]
    fn a_change_goes_by_the_mode_and_its_size() {
        for (mode, bytes, expected) in [
            (Mode::Merged, 0, Arrival::Waits),
            (Mode::Merged, HUGE - 1, Arrival::Waits),
            (Mode::Merged, HUGE, Arrival::Huge),
            (Mode::Serial, 0, Arrival::Serial),
            (Mode::Serial, HUGE, Arrival::Serial),
            (Mode::Adopted, 0, Arrival::Ahead),
            (Mode::Adopted, HUGE, Arrival::Ahead),
        ] {
            assert_eq!(arrival(mode, bytes), expected, "{mode:?} {bytes}");
        }
    }

    #[test]
    fn a_group_is_due_by_bytes_by_rows_or_by_the_rows_of_one_table() {
        let load = |bytes, rows, largest| Load { bytes, rows, largest };
        for (load, times, enough, expected) in [
            (load(0, 0, 0), 1, STATEMENT_ROWS, false),
            (load(GROUP_BYTES - 1, 999, 999), 1, STATEMENT_ROWS, false),
            (load(GROUP_BYTES, 1, 1), 1, STATEMENT_ROWS, true),
            (load(GROUP_BYTES, 1, 1), 2, STATEMENT_ROWS, false),
            (load(2 * GROUP_BYTES, 1, 1), 2, STATEMENT_ROWS, true),
            (load(1, GROUP_ROWS, 1), 1, STATEMENT_ROWS, true),
            (load(1, 1000, 1000), 1, STATEMENT_ROWS, true),
            (load(1, 1999, 1999), 2, STATEMENT_ROWS, false),
            // The destination is busy, or a COPY may come of it.
            (load(1, 1000, 1000), 1, MERGED_ROWS, false),
            (load(1, 15_999, 15_999), 1, COPY_ROWS, false),
            (load(1, 16_000, 16_000), 1, COPY_ROWS, true),
        ] {
            assert_eq!(load.holds(times, || enough), expected, "{load:?} {times} {enough}");
        }
    }

    #[test]
    fn rows_that_are_enough_depend_on_what_they_may_become() {
        let statements = WayFacts { run: None, ..facts() };
        for (facts, is_busy, expected) in [
            (facts(), false, COPY_ROWS),
            (facts(), true, COPY_ROWS),
            (statements, false, STATEMENT_ROWS),
            (statements, true, MERGED_ROWS),
            // Its rows go where the others went; there is nothing to wait for.
            (WayFacts { copy: OpenCopy::SameTable, is_open: true, ..facts() }, false, STATEMENT_ROWS),
            (WayFacts { is_open: true, ..facts() }, false, STATEMENT_ROWS),
        ] {
            assert_eq!(facts.enough_rows(is_busy), expected, "{facts:?} {is_busy}");
        }
    }

    #[test]
    fn what_waits_goes_the_way_of_its_run() {
        use Agreement::{Differs, InOrder, Plain};
        use Way::{Ask, CopyGroup, CopyInside, CopyOpen, Statements};
        let with = |run| WayFacts { run, ..facts() };
        for (facts, inside, at_end) in [
            (facts(), CopyInside, CopyGroup),
            // Several tables, or not only inserts.
            (with(None), Statements, Statements),
            // Long enough: 20,000 values; wide enough: 43 columns at this distance.
            (with(run(4_999, 4, Some(Plain))), Statements, Statements),
            (with(run(5_000, 4, Some(Plain))), CopyInside, CopyGroup),
            (with(run(1, 42, Some(Plain))), Statements, Statements),
            (with(run(1, 43, Some(Plain))), CopyInside, CopyGroup),
            // A long way costs the round trips more rows.
            (WayFacts { round_trip: FAR, ..with(run(16_000, 4, Some(Plain))) }, Statements, Statements),
            (WayFacts { round_trip: FAR, ..with(run(100_000, 4, Some(Plain))) }, CopyInside, CopyGroup),
            // What the destination has.
            (with(run(16_000, 4, None)), Ask, Ask),
            (with(run(4, 4, None)), Statements, Statements),
            (with(run(16_000, 4, Some(Differs))), Statements, Statements),
            (with(run(16_000, 4, Some(InOrder))), CopyInside, CopyGroup),
            // A group that has begun otherwise goes on otherwise.
            (WayFacts { is_open: true, ..facts() }, Statements, Statements),
            (WayFacts { mode: Mode::Serial, ..facts() }, Statements, Statements),
            // The COPY of a transaction under way takes even one row more.
            (
                WayFacts { is_open: true, copy: OpenCopy::SameTable, ..with(run(1, 1, Some(Plain))) },
                CopyOpen,
                Statements,
            ),
            (WayFacts { is_open: true, copy: OpenCopy::OtherTable, ..facts() }, Statements, Statements),
        ] {
            assert_eq!(facts.way_inside(), inside, "{facts:?}");
            assert_eq!(facts.way_at_end(Before::Pipeline, || true), at_end, "{facts:?}");
        }
    }

    #[test]
    fn groups_overlap_only_where_nobody_sees_the_order() {
        let with = |run| WayFacts { run, ..facts() };
        let wide = run(10, 100, Some(Agreement::Plain));
        for (facts, before, is_due, expected) in [
            (facts(), Before::OneCopy, false, Way::CopyBeside),
            (facts(), Before::OtherCopies, false, Way::CopyGroup),
            (facts(), Before::Pipeline, false, Way::CopyGroup),
            (with(run(16_000, 4, Some(Agreement::InOrder))), Before::OneCopy, true, Way::CopyGroup),
            (WayFacts { has_second: false, ..facts() }, Before::OneCopy, true, Way::CopyGroup),
            // A short run of a wide table waits for the group before, if it has the time.
            (with(wide), Before::OneCopy, false, Way::CopyGroup),
            (with(wide), Before::OneCopy, true, Way::CopyBeside),
        ] {
            assert_eq!(facts.way_at_end(before, || is_due), expected, "{facts:?} {before:?} {is_due}");
        }
    }
}
