//! What a user gets for a mistake: refused at once, with words that help, and nothing done.

use pg_courier_tests::pair::{DATABASE, create_task_sql};
use pg_courier_tests::{Answer, Pair, TaskOptions};

use crate::common::{TASK, assert_mentions, create_small_tables};

fn prepared() -> Pair {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair
}

fn refused(pair: &Pair, task: &str, server: &str, include: &[&str]) -> Answer {
    let answer = pair.source.refuses(DATABASE, &create_task_sql(task, server, include, &TaskOptions::default()));
    assert_ne!(answer.sqlstate, "XX000", "an answer of its own, not an internal error: {answer}");
    assert_eq!(
        pair.source.value(
            DATABASE,
            &format!("SELECT count(*) FROM courier.tasks WHERE task = {}", pg_courier_tests::sql::literal(task))
        ),
        if task == "taken" { "1" } else { "0" },
        "nothing was created"
    );
    answer
}

/// Each mistake in create_task has its answer.
#[test]
fn create_task_refuses_mistakes() {
    let pair = prepared();

    let answer = refused(&pair, TASK, "nowhere", &["public.*"]);
    assert_mentions(&answer.message, &["nowhere"]);
    assert!(!answer.hint.is_empty(), "{answer}");

    for bad in ["", "public", "a.b.c", ".items", "public."] {
        let answer = refused(&pair, TASK, "dr", &[bad]);
        assert_mentions(&answer.to_string(), &["pattern"]);
    }

    let long = "a".repeat(41);
    let answer = refused(&pair, &long, "dr", &["public.*"]);
    assert_mentions(&answer.to_string(), &["40"]);

    let answer = refused(&pair, "", "dr", &["public.*"]);
    assert_mentions(&answer.to_string(), &["name"]);

    pair.create_task(DATABASE, "taken", &["public.*"], &TaskOptions::default());
    let answer = refused(&pair, "taken", "dr", &["public.*"]);
    assert_mentions(&answer.message, &["taken", "exists"]);

    let answer = refused(&pair, TASK, "dr", &["nothing.*", "public.unheard_of"]);
    assert_mentions(&answer.to_string(), &["no table"]);
    assert!(!answer.hint.is_empty(), "{answer}");
}

/// 40 characters are allowed, and the task of that name works.
#[test]
fn the_longest_name_works() {
    let pair = prepared();
    let name = "a".repeat(40);
    pair.start_task(&name, &["public.*"]);
    pair.assert_mirrored(&name, &crate::common::SMALL);
    pair.call(DATABASE, "drop_task", &name);
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM pg_replication_slots"), "0");
}

/// A table that two patterns name is mirrored once: its rows are not there twice.
#[test]
fn a_table_in_two_patterns_is_one_table() {
    let pair = prepared();
    pair.start_task(TASK, &["public.*", "public.journal", "public.j*"]);
    pair.caught_up(DATABASE, TASK);
    pair.source.run(DATABASE, "INSERT INTO journal VALUES (1, 'once')");
    pair.assert_mirrored(TASK, &crate::common::SMALL);
    let lines = "SELECT count(*) FROM courier.progress WHERE table_name LIKE '%journal%'";
    assert_eq!(pair.source.value(DATABASE, lines), "1");
}

/// Functions that name a task answer clearly when there is none of that name.
#[test]
fn an_unknown_task_is_named() {
    let pair = prepared();
    for call in ["start", "pause", "resume", "drop_task", "wait_for", "verify", "plan"] {
        let answer = pair.source.refuses(DATABASE, &format!("SELECT * FROM courier.{call}('ghost')"));
        assert_mentions(&answer.message, &["ghost"]);
        assert_ne!(answer.sqlstate, "XX000", "{call}: {answer}");
    }
}

/// Calls that do not fit the task's state are answered, not ignored and not obeyed.
#[test]
fn calls_out_of_order_are_answered() {
    let pair = prepared();
    pair.create_task(DATABASE, TASK, &["public.*"], &TaskOptions::default());
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.resume('{TASK}')"));
    assert_mentions(&answer.to_string(), &[TASK]);
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.wait_for('{TASK}', timeout => '5 s')"));
    assert_mentions(&answer.to_string(), &[TASK]);
    pair.call(DATABASE, "start", TASK);
    pair.caught_up(DATABASE, TASK);
    // A second start and a resume of what runs change nothing.
    let worker = pair.apply_pid(DATABASE, TASK);
    pair.call(DATABASE, "start", TASK);
    pair.source.run(DATABASE, "UPDATE items SET v = 1");
    pair.assert_mirrored(TASK, &crate::common::SMALL);
    assert_eq!(pair.apply_pid(DATABASE, TASK), worker);
}

/// wait_for gives up at its timeout and says how far behind the task is; a paused task is
/// not waited for until the timeout.
#[test]
fn wait_for_has_an_end() {
    let pair = prepared();
    pair.start_task(TASK, &["public.*"]);
    pair.caught_up(DATABASE, TASK);
    let mut lock = pair.destination.connect(DATABASE);
    lock.batch_execute("BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE").expect("lock");
    pair.source.run(DATABASE, "UPDATE items SET v = v + 1");
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.wait_for('{TASK}', timeout => '1 s')"));
    assert_mentions(&answer.to_string(), &[TASK]);
    assert_ne!(answer.sqlstate, "XX000", "{answer}");
    lock.batch_execute("ROLLBACK").expect("unlock");
    pair.assert_mirrored(TASK, &crate::common::SMALL);
}

/// test_connection finds out which step fails: the port, the password, the database, a right.
/// No step shows the password.
#[test]
fn test_connection_names_the_step_that_fails() {
    let pair = prepared();
    let steps = |server: &str| {
        let rows = pair.source.rows(
            DATABASE,
            &format!("SELECT step, status, concat_ws(' ', detail, hint) FROM courier.test_connection('{server}')"),
        );
        let rows: Vec<[String; 3]> = rows
            .into_iter()
            .map(|row| <[Option<String>; 3]>::try_from(row).expect("three columns").map(Option::unwrap_or_default))
            .collect();
        rows
    };
    let failed = |rows: &[[String; 3]]| rows.iter().find(|row| row[1].starts_with("fail")).cloned();

    let rows = steps("dr");
    assert!(failed(&rows).is_none(), "{rows:?}");

    let closed = pg_courier_tests::port::free_port();
    pair.add_server(DATABASE, "closed", DATABASE, closed);
    let rows = steps("closed");
    let step = failed(&rows).unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(step[0], "connect", "{rows:?}");

    pair.add_server(DATABASE, "no_database", "missing_db", pair.destination.port());
    let rows = steps("no_database");
    let step = failed(&rows).unwrap_or_else(|| panic!("{rows:?}"));
    assert!(["login", "database"].contains(&&*step[0]), "{rows:?}");
    assert_mentions(&step[2], &["missing_db"]);

    pair.add_server(DATABASE, "wrong", DATABASE, pair.destination.port());
    pair.source.run(DATABASE, "ALTER USER MAPPING FOR CURRENT_USER SERVER wrong OPTIONS (SET password 'hunter2')");
    let rows = steps("wrong");
    let step = failed(&rows).unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(step[0], "login", "{rows:?}");
    assert!(rows.iter().all(|row| !row[2].contains("hunter2")), "{rows:?}");

    // Before 15 the role is one, to apply as replica.
    pair.destination.run("postgres", "ALTER ROLE courier NOSUPERUSER");
    pair.destination.create_database("elsewhere");
    pair.add_server(DATABASE, "no_rights", "elsewhere", pair.destination.port());
    let rows = steps("no_rights");
    let step = failed(&rows).unwrap_or_else(|| panic!("{rows:?}"));
    assert_eq!(step[0], "privileges", "{rows:?}");
    assert!(!step[2].is_empty());
}

/// The wrapper knows its options: a typing mistake is found when it is typed, and the password
/// belongs to the user mapping.
#[test]
fn server_options_are_checked() {
    let pair = prepared();
    let answer =
        pair.source.refuses(DATABASE, "CREATE SERVER x FOREIGN DATA WRAPPER pg_courier OPTIONS (hosst 'nowhere')");
    assert_mentions(&answer.to_string(), &["hosst"]);
    let answer = pair
        .source
        .refuses(DATABASE, "CREATE SERVER x FOREIGN DATA WRAPPER pg_courier OPTIONS (host 'a', password 'b')");
    assert_mentions(&answer.to_string(), &["password"]);
}
