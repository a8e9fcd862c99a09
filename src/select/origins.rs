//! Transactions that came to the source by replication.

use super::marks::{Mark, Marks};
use crate::error::Result;
use crate::logicalrep::Transaction;

/// Which of them are sent on.
pub struct Origins {
    /// All but those from where the changes go to.
    pub forward: bool,
    /// The database that the changes go to, under the name by which marks know it.
    pub destination: Option<String>,
    pub marks: Marks,
}

impl Origins {
    /// Are transactions left out that came by another replication, whoever applied them?
    pub fn only_local(&self) -> bool {
        !self.forward
    }

    /// Did a transaction with this mark come from where our changes go to?
    pub fn comes_from_destination(&self, mark: &Mark<'_>) -> bool {
        self.destination.as_ref().is_some_and(|id| mark.source == id.as_bytes())
    }

    /// Is the rest of a transaction with this mark left out? What came from where our changes go to would go round in
    /// circles. An error if that cannot be told.
    pub fn leave_out(&self, transaction: &Transaction, mark: &Mark<'_>) -> Result<bool> {
        let matters = self.only_local() || self.comes_from_destination(mark);
        if matters { self.marks.believe(mark, transaction.commit_lsn) } else { Ok(false) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logicalrep::Lsn;

    #[test]
    fn what_goes_round_is_left_out_and_what_passes_through_by_choice() {
        let origins = |forward, destination: Option<&str>| Origins {
            forward,
            destination: destination.map(str::to_owned),
            marks: Marks {
                trusted: [10].into(),
                tables: Default::default(),
                as_of: Lsn(1000),
                has_parameter_privileges: true,
            },
        };
        let transaction = Transaction { commit_lsn: Lsn(2000), ..Transaction::default() };
        for (forward, destination, source, owner, expected) in [
            (true, Some("there"), "there", 10, Some(true)),
            (true, Some("there"), "elsewhere", 10, Some(false)),
            (true, None, "there", 10, Some(false)),
            (false, Some("there"), "elsewhere", 10, Some(true)),
            // Nobody to believe: an error where it matters, and no matter otherwise.
            (true, Some("there"), "there", 20, None),
            (true, Some("there"), "elsewhere", 20, Some(false)),
            (false, Some("there"), "elsewhere", 20, None),
        ] {
            let mark = Mark { table: 500, owner, source: source.as_bytes() };
            let outcome = origins(forward, destination).leave_out(&transaction, &mark).ok();
            assert_eq!(outcome, expected, "{forward} {destination:?} {source} {owner}");
        }
        assert!(origins(false, None).only_local() && !origins(true, None).only_local());
    }
}
