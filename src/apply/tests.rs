//! Applying without a server: to a destination that notes what it is told, in a dialect that nobody else knows. Statements of
//! every kind are made, and whatever is not that dialect's was written by somebody who must not.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use super::applier::{Acquainted, Applier, Plan, Round};
use crate::catalog::ConflictPolicy;
use crate::decode::{EarlySink, Event};
use crate::destination::fake::{self, KINDS, Script, kind_of};
use crate::destination::fixture;
use crate::destination::full_copy::CopyFormat;
use crate::error::{Error, Origin};
use crate::logicalrep::relation::{Identity, UNCHANGED_FIELD};
use crate::logicalrep::{Change, Lsn, Relation, Row, Transaction};
use crate::select::Selection;
use crate::select::coverage::Coverage;
use crate::select::marks::Marks;
use crate::select::origins::Origins;
use crate::select::own::Own;

const INT8: &str = "20";

struct Stage {
    script: Rc<RefCell<Script>>,
    applier: Applier,
    at: u64,
}

/// A table of the destination that is like the fixture's.
fn there(is_deferrable: bool) -> Vec<(&'static str, Vec<Row>)> {
    let name = Some("\"public\".\"T 1\"");
    let deferrable = Some(if is_deferrable { "t" } else { "f" });
    let id = [
        ("name", name),
        ("relkind", Some("r")),
        ("rows", Some("0")),
        ("has_replica_triggers", Some("f")),
        ("has_deferrable", deferrable),
        ("attname", Some("id")),
        ("atttypid", Some(INT8)),
        ("is_enum", Some("f")),
        ("has_domain", Some("f")),
    ];
    let constraint = [
        ("name", name),
        ("conname", Some("unique_id")),
        ("columns", Some(r#"[["id", ""]]"#)),
        ("is_exclusion", Some("f")),
        ("nulls_are_equal", None),
        ("is_partial", Some("f")),
    ];
    vec![
        ("SET epoch = epoch + 1", vec![Script::row(&[("epoch", Some("7")), ("end_lsn", Some("0/100"))])]),
        ("c.reltuples", vec![Script::row(&id)]),
        ("k.condeferrable AND k.contype", vec![Script::row(&constraint)]),
        ("AS k ON k.conrelid", vec![Script::row(&constraint)]),
        ("i.indisunique", vec![Script::row(&[("attname", Some("id"))])]),
    ]
}

impl Stage {
    fn with(is_deferrable: bool, change: impl FnOnce(&mut Plan)) -> Stage {
        let script = Rc::new(RefCell::new(Script { answers: there(is_deferrable), ..Script::default() }));
        let mut plan = Plan {
            task_id: "00000000-0000-0001-0000-000000000002".to_owned(),
            names: Vec::new(),
            leases: [String::new(), String::new()],
            defer_constraints: false,
            serial_until: Lsn::INVALID,
            conflict: ConflictPolicy::Error,
            skip: Lsn::INVALID,
            decisions: Default::default(),
            captures: Default::default(),
            stops_at_commands: false,
            trust: Default::default(),
            policies: Default::default(),
            temporary: std::env::temp_dir(),
        };
        change(&mut plan);
        let marks = Marks {
            trusted: Default::default(),
            tables: Default::default(),
            as_of: Lsn::INVALID,
            has_parameter_privileges: true,
        };
        let origins = Origins { forward: false, destination: None, marks };
        let selection =
            Selection::new(Coverage::default(), origins, Own { heartbeat: 0, rewritten: 0, commands: 0, task: 1 });
        let acquainted = Acquainted::with(fake::destination(&script), &[]).expect("a session");
        let again = script.clone();
        let open = Box::new(move || Ok(fake::destination(&again)));
        let (on_applied, on_wait) = (Box::new(|_: &_| ()), Box::new(|_: Option<&_>| ()));
        let applier =
            Applier::new(acquainted, open, plan, Rc::new(selection), on_applied, on_wait).expect("an applier");
        Stage { script, applier, at: 0x1000 }
    }

    fn new() -> Stage {
        Stage::with(false, |_| ())
    }

    fn transaction(&mut self) -> Transaction {
        self.at += 0x100;
        Transaction {
            xid: self.at as u32,
            first_lsn: Lsn(self.at - 8),
            commit_lsn: Lsn(self.at),
            end_lsn: Lsn(self.at + 8),
            commit_time: 1,
            change_lsn: Lsn(self.at - 8),
            is_echo: false,
        }
    }

    /// One transaction with these changes.
    fn apply(&mut self, relation: &Rc<Relation>, changes: &[Change<'_>]) {
        let transaction = self.transaction();
        for change in changes {
            self.event(&transaction, Event::Change { relation, change: *change });
        }
        self.event(&transaction, Event::Commit);
    }

    fn truncate(&mut self, relation: &Rc<Relation>) {
        let transaction = self.transaction();
        let relations = [relation.clone()];
        self.event(&transaction, Event::Truncate { relations: &relations, restart_sequences: true });
        self.event(&transaction, Event::Commit);
    }

    fn event(&mut self, transaction: &Transaction, event: Event<'_>) {
        self.applier.event(transaction, event).expect("it is applied");
    }

    /// Everything that waits goes out, and is answered.
    fn settle(&mut self) {
        self.script.borrow_mut().is_slow = false;
        // No WAL behind it: on a slow machine the place where it ends would be recorded as well.
        let round = Round { position: Lsn(self.at + 8), caught_up: true, ..Round::default() };
        while !self.applier.is_idle() {
            self.applier.tick(round).expect("a round");
        }
        assert_eq!(self.applier.applied(), Lsn(self.at + 8), "everything is applied");
    }

    fn refuse(&mut self, what: &'static str, error: Error) {
        self.script.borrow_mut().refusals.push_back((what, error));
    }

    /// The kinds of statements that were said since, in their order. Each has to be the dialect's.
    fn kinds(&mut self) -> Vec<String> {
        let said = std::mem::take(&mut self.script.borrow_mut().said);
        let kind = |statement: &str| match kind_of(statement) {
            Some(kind) => kind.to_owned(),
            None => panic!("not of the dialect: {statement}"),
        };
        said.iter().flat_map(|message| message.split("; ")).map(kind).collect()
    }

    fn settled_kinds(mut self) -> Vec<String> {
        self.settle();
        self.kinds()
    }
}

fn id(number: i64) -> Vec<u8> {
    [&8i32.to_be_bytes()[..], &number.to_be_bytes()].concat()
}

/// A row of the fixture's table.
fn row(number: i64) -> Vec<u8> {
    [&id(number)[..], &1i32.to_be_bytes(), b"x"].concat()
}

fn relation(change: impl FnOnce(&mut Relation)) -> Rc<Relation> {
    let mut relation = fixture::relation();
    change(&mut relation);
    Rc::new(relation)
}

/// A table whose rows may travel as COPY.
fn narrow(generation: u64) -> Rc<Relation> {
    relation(|relation| {
        relation.generation = generation;
        relation.columns.truncate(1);
    })
}

fn inserts_of(rows: &[Vec<u8>]) -> Vec<Change<'_>> {
    rows.iter().map(|row| Change::Insert { row }).collect()
}

/// A group that is one run of inserts, long enough for a COPY and too short for parts.
fn long_run() -> Vec<Vec<u8>> {
    (0..24_000).map(id).collect()
}

fn one_after_the_other() -> Vec<String> {
    let mut stage = Stage::with(false, |plan| plan.defer_constraints = true);
    let table = relation(|_| ());
    let rows: Vec<Vec<u8>> = (0..4).map(row).collect();
    stage.apply(&table, &[Change::Insert { row: &rows[0] }]);
    stage.apply(&table, &[Change::Update { old: &id(1), row: &rows[1] }]);
    // Another key, and a value that the WAL does not hold.
    let moved = [&id(3)[..], &UNCHANGED_FIELD.to_be_bytes()].concat();
    stage.apply(&table, &[Change::Update { old: &id(2), row: &moved }]);
    stage.apply(&table, &[Change::Delete { old: &id(5) }]);
    stage.truncate(&table);
    // Another definition of the same table.
    let altered = relation(|relation| relation.generation = 2);
    stage.apply(&altered, &[Change::Insert { row: &rows[0] }]);
    stage.settled_kinds()
}

fn tables_without_key_or_columns() -> Vec<String> {
    let mut stage = Stage::new();
    let heap = relation(|relation| (relation.identity, relation.key) = (Identity::FullRow, Vec::new()));
    stage.apply(&heap, &[Change::Delete { old: &row(1) }]);
    let empty = relation(|relation| {
        (relation.oid, relation.slot, relation.generation) = (2, 1, 9);
        (relation.identity, relation.key, relation.columns) = (Identity::Nothing, Vec::new(), Vec::new());
    });
    stage.apply(&empty, &[Change::Insert { row: &[] }]);
    stage.settled_kinds()
}

fn copies_side_by_side() -> Vec<String> {
    let mut stage = Stage::new();
    let rows = long_run();
    let table = narrow(1);
    stage.apply(&table, &inserts_of(&rows));
    stage.settle();
    for _ in 0..2 {
        stage.script.borrow_mut().is_slow = true;
        stage.apply(&table, &inserts_of(&rows));
    }
    stage.settled_kinds()
}

fn rows_ahead_of_their_commit() -> Vec<String> {
    let mut stage = Stage::new();
    let table = narrow(1);
    let transaction = stage.transaction();
    let applier = &mut stage.applier;
    assert!(applier.wants(&transaction, Some(&table), true).expect("an answer"), "its rows are wanted");
    applier.row(&id(1)).and_then(|()| applier.piece_ends()).expect("a row");
    assert!(applier.has_all(&transaction, Some(table.slot)).expect("an answer"), "it has them");
    stage.event(&transaction, Event::Commit);
    stage.settled_kinds()
}

fn constraints_that_are_looked_at() -> Vec<String> {
    let mut stage = Stage::with(true, |_| ());
    stage.apply(&relation(|_| ()), &[Change::Insert { row: &row(1) }]);
    stage.settled_kinds()
}

fn changes_that_do_not_fit() -> Vec<String> {
    let refused = || Error::new("23505", "duplicate key").origin(Origin::Destination);
    let mut stage = Stage::with(false, |plan| {
        (plan.conflict, plan.serial_until) = (ConflictPolicy::Ignore, Lsn(1 << 40));
        plan.skip = Lsn(0x1300 - 8);
    });
    let table = relation(|_| ());
    stage.refuse("insert", refused());
    for _ in 0..2 {
        stage.apply(&table, &[Change::Insert { row: &row(1) }]);
    }
    // The one that a person leaves out.
    stage.refuse("truncate", refused());
    stage.truncate(&table);
    stage.settled_kinds()
}

fn a_full_copy() -> Vec<String> {
    let mut stage = Stage::new();
    let mut session = fake::destination(&stage.script);
    session.start_copy(&narrow(1), CopyFormat { is_binary: true, freeze: true }).expect("it starts");
    stage.kinds()
}

/// The proof that no other module writes SQL for a destination: all that it hears is of its dialect, and that is every kind
/// of statement there is.
#[test]
fn a_destination_hears_its_own_dialect_only() {
    let mut heard = BTreeSet::new();
    for said in [
        one_after_the_other(),
        tables_without_key_or_columns(),
        copies_side_by_side(),
        rows_ahead_of_their_commit(),
        constraints_that_are_looked_at(),
        changes_that_do_not_fit(),
        a_full_copy(),
    ] {
        heard.extend(said);
    }
    let never: Vec<&str> = KINDS.into_iter().filter(|kind| !heard.contains(*kind)).collect();
    assert_eq!(never, [""; 0], "kinds of statements that were never made");
    assert_eq!(heard.len(), KINDS.len(), "{heard:?}");
}
