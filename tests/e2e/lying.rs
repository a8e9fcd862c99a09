//! A destination that lies. Its owner, or whoever sits on the way to it, may answer anything: none of it runs on the source,
//! leads somebody to run it there, or takes the server down.

use pg_courier_tests::liar::{self, Lies, Values};
use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Answer, Pair, TaskOptions};

use crate::common::{TASK, assert_mentions, create_small_tables};

const EVIL: &str = "CREATE ROLE from_the_destination SUPERUSER LOGIN";

fn pair_behind(lies: impl Lies) -> Pair {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.route(DATABASE, liar::listen(pair.destination.port(), lies));
    pair
}

fn assert_harmless(pair: &Pair) {
    assert_eq!(
        pair.source.value(DATABASE, "SELECT count(*) FROM pg_roles WHERE rolname = 'from_the_destination'"),
        "0"
    );
    pair.source.assert_not_crashed();
}

fn text(value: &str) -> Option<String> {
    Some(value.to_owned())
}

/// Adds a finding to the answers of prechecks.
struct Finding {
    item: &'static str,
}

impl Lies for Finding {
    fn more(&self, columns: &[String]) -> Box<dyn Iterator<Item = Values>> {
        let is_precheck = columns.iter().any(|name| name == "place");
        let evil = format!("{EVIL};\n\\! touch /tmp/from_the_destination");
        let row = vec![text(self.item), text("warning"), text("postgres"), text("a\nlie"), Some(evil), text("source")];
        Box::new(is_precheck.then_some(row).into_iter())
    }
}

/// A finding with a fix "for the source": it is shown as one for the destination, on one line, and does not run.
#[test]
fn fixes_of_a_destination_do_not_run() {
    let pair = pair_behind(Finding { item: "destination_locale" });
    pair.create_task(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    let results = pair.source.rows(
        DATABASE,
        &format!("SELECT result, statement FROM courier.apply_fixes('{TASK}', dry_run => false) WHERE item = 'destination_locale'"),
    );
    let [row] = &results[..] else { panic!("one fix: {results:?}") };
    assert_eq!(row[0].as_deref(), Some("by hand, on the destination"));
    let statement = row[1].as_deref().unwrap_or_default();
    assert!(statement.ends_with("-- on the destination") && !statement.contains(['\n', '\\']), "{statement}");
    assert_harmless(&pair);
}

/// An item that the destination is not asked about.
#[test]
fn a_destination_speaks_for_itself_only() {
    for item in ["minor_version", "nonsense"] {
        let pair = pair_behind(Finding { item });
        pair.create_task(DATABASE, TASK, &["public.*"], &TaskOptions::default());
        let answer =
            pair.source.refuses(DATABASE, &format!("SELECT * FROM courier.apply_fixes('{TASK}', dry_run => false)"));
        assert_mentions(&answer.to_string(), &["not asked for", item]);
        assert_harmless(&pair);
    }
}

/// Instead of the number of a bucket of rows, a statement: the next one is put together from what came.
struct Bucket;

impl Lies for Bucket {
    fn row(&self, columns: &[String], mut row: Values) -> Values {
        if columns == ["int8", "sum"] {
            row[0] = Some(format!("0; {EVIL}"));
        }
        row
    }
}

#[test]
fn numbers_of_a_comparison_have_to_be_numbers() {
    let pair = pair_behind(Bucket);
    pair.start_task(TASK, &["public.items"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.call(DATABASE, "pause", TASK);
    pair.destination.run(DATABASE, "UPDATE items SET v = v + 1 WHERE id = 1");
    let answer = pair.source.refuses(DATABASE, &format!("SELECT * FROM courier.verify('{TASK}')"));
    assert_mentions(&answer.to_string(), &["unexpected value"]);
    assert_harmless(&pair);
}

/// Rows without end. The session that asked gets an error, not all of the server's memory.
struct Endless;

impl Lies for Endless {
    fn more(&self, columns: &[String]) -> Box<dyn Iterator<Item = Values>> {
        let is_precheck = columns.iter().any(|name| name == "place");
        let row = vec![Some("x".repeat(1 << 20)); 6];
        Box::new(std::iter::repeat_n(row, if is_precheck { 1000 } else { 0 }))
    }
}

#[test]
fn an_answer_without_end_is_an_error() {
    let pair = pair_behind(Endless);
    pair.create_task(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    let answer = pair.source.refuses(DATABASE, &format!("SELECT * FROM courier.precheck('{TASK}')"));
    assert_mentions(&answer.to_string(), &["too large"]);
    assert_harmless(&pair);
}

/// Every value of every answer is something else: every call ends with an answer or an error, and the server stays.
struct Garbage(&'static str);

impl Lies for Garbage {
    fn row(&self, _columns: &[String], row: Values) -> Values {
        row.into_iter().map(|_| (self.0 != "NULL").then(|| self.0.to_owned())).collect()
    }
}

#[test]
fn garbage_takes_nobody_down() {
    for garbage in
        ["NULL", "", "0", "-1", "t", "99999999999999999999999", "'; CREATE ROLE from_the_destination SUPERUSER; --"]
    {
        let pair = pair_behind(Garbage(garbage));
        pair.create_task(DATABASE, TASK, &["public.*"], &TaskOptions::default());
        for call in [
            "SELECT * FROM courier.test_connection('dr')",
            "SELECT * FROM courier.precheck('shop_to_dr')",
            "SELECT * FROM courier.apply_fixes('shop_to_dr', dry_run => false)",
            "SELECT * FROM courier.verify('shop_to_dr')",
            "SELECT courier.start('shop_to_dr')",
        ] {
            if let Err(error) = pair.source.connect(DATABASE).simple_query(call) {
                let answer = Answer::from(&error);
                assert!(!answer.sqlstate.is_empty(), "{garbage}: {call}: {answer}");
            }
        }
        pair.call(DATABASE, "drop_task", TASK);
        assert_harmless(&pair);
    }
}
