//! What a task wants of a table, and as long as which answer holds.

use std::rc::Rc;

use super::leftovers::Tool;
use crate::logicalrep::{CopySnapshot, TableName, Transaction};
use crate::transform::Route;

/// A table that rows were written to, as it was then.
pub struct Seen<'a> {
    pub oid: u32,
    pub name: TableName,
    /// The partitioned tables above it, the nearest first. Of tables that are followed they are asked where tables join by commands.
    pub ancestors: Vec<(u32, TableName)>,
    /// Is it an ordinary table that belongs to no extension?
    pub is_users: bool,
    /// Some other tool has made it for itself.
    pub made_by: Option<Tool>,
    pub catalog: &'a dyn Names,
}

/// Names at the same moment.
pub trait Names {
    fn table(&self, oid: u32) -> Option<TableName>;
    fn has_schema(&self, name: &str) -> bool;
}

/// Which changes of a table a task wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Interest {
    Nothing,
    Everything,
    /// What the table's copy, made under this snapshot, does not have.
    Except(Rc<CopySnapshot>),
}

impl Interest {
    /// Those of this transaction?
    #[inline]
    pub fn includes(&self, transaction: &Transaction) -> bool {
        match self {
            Interest::Nothing => false,
            Interest::Everything => true,
            Interest::Except(snapshot) => !snapshot.contains(transaction.xid, transaction.commit_lsn),
        }
    }

    /// Those of any transaction?
    #[inline]
    pub fn is_any(&self) -> bool {
        *self != Interest::Nothing
    }
}

/// What is said about a table that the stream has met. It holds as long as its definition, those of the tables it is part
/// of, and the selection stay as they are ([`Moment`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    pub interest: Interest,
    /// How its rows go to the destination, if a task follows it.
    pub route: Option<Rc<Route>>,
    /// Is it the same for settled transactions and for others?
    pub is_certain: bool,
}

impl Ruling {
    pub const NOTHING: Ruling = Ruling { interest: Interest::Nothing, route: None, is_certain: false };
    pub const EVERYTHING: Ruling = Ruling { interest: Interest::Everything, route: None, is_certain: true };
}

/// Counts the moments at which any remembered answer may have become another: a definition changed, perhaps that of a
/// table's partition parent; settled transactions gave way to others; the selection changed.
#[derive(Debug, Default)]
pub struct Moment {
    count: u64,
    settled: bool,
    epoch: u64,
}

/// When an answer was given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AskedAt(Option<u64>);

impl Moment {
    pub fn settled(&self) -> bool {
        self.settled
    }

    /// A definition changed.
    pub fn definition_changed(&mut self) {
        self.count += 1;
    }

    /// Notes the selection's epoch; true if it is another than before, so that no answer holds any more.
    pub fn selection_is(&mut self, epoch: u64) -> bool {
        let changed = self.epoch != epoch;
        if changed {
            (self.epoch, self.count) = (epoch, self.count + 1);
        }
        changed
    }

    /// What is asked from now on concerns settled transactions, or others. True if it was otherwise before: then only the
    /// `certain` answers still hold.
    pub fn settle<'a>(&mut self, settled: bool, certain: impl Iterator<Item = &'a mut AskedAt>) -> bool {
        if self.settled == settled {
            return false;
        }
        let now = AskedAt(Some(self.count));
        (self.count, self.settled) = (self.count + 1, settled);
        certain.filter(|asked| **asked == now).for_each(|asked| *asked = AskedAt(Some(self.count)));
        true
    }

    pub fn now(&self) -> AskedAt {
        AskedAt(Some(self.count))
    }

    /// Does an answer that was given then still hold?
    #[inline]
    pub fn is_current(&self, asked: AskedAt) -> bool {
        asked.0 == Some(self.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logicalrep::Lsn;

    #[test]
    fn a_copy_has_what_its_snapshot_shows() {
        let transaction = |xid, lsn| Transaction { xid, commit_lsn: Lsn(lsn), ..Transaction::default() };
        let copy = Interest::Except(Rc::new(CopySnapshot::parse("100:110:105", Lsn(1000)).unwrap()));
        for (interest, xid, lsn, expected) in [
            (&Interest::Nothing, 99, 10, false),
            (&Interest::Everything, 99, 10, true),
            (&copy, 99, 10, false),
            (&copy, 105, 10, true),
            (&copy, 111, 10, true),
            (&copy, 99, 1001, true),
        ] {
            assert_eq!(interest.includes(&transaction(xid, lsn)), expected, "{interest:?} {xid} {lsn}");
        }
        assert!(copy.is_any() && Interest::Everything.is_any() && !Interest::Nothing.is_any());
    }

    /// One table whose answer is certain, one whose answer is not.
    struct Model {
        moment: Moment,
        asked: [AskedAt; 2],
    }

    impl Model {
        fn asked_now() -> Model {
            let moment = Moment::default();
            let asked = [moment.now(); 2];
            Model { moment, asked }
        }

        fn hold(&self) -> [bool; 2] {
            self.asked.map(|asked| self.moment.is_current(asked))
        }

        fn settle(&mut self, settled: bool) -> bool {
            self.moment.settle(settled, self.asked[..1].iter_mut())
        }
    }

    #[test]
    fn answers_hold_until_something_changes() {
        assert!(!Moment::default().is_current(AskedAt::default()), "nobody has asked yet");
        let mut model = Model::asked_now();
        assert!(!model.settle(false));
        assert!(!model.moment.selection_is(0));
        assert_eq!(model.hold(), [true, true]);
        assert!(model.settle(true));
        assert_eq!(model.hold(), [true, false]);
        let mut model = Model::asked_now();
        model.moment.definition_changed();
        assert_eq!(model.hold(), [false, false]);
        assert!(model.settle(true));
        assert_eq!(model.hold(), [false, false], "certain, but of before");
        let mut model = Model::asked_now();
        assert!(model.moment.selection_is(1));
        assert_eq!(model.hold(), [false, false]);
        assert!(!model.moment.selection_is(1));
    }
}
