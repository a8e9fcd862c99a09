//! Copies of the source, of whatever making: they have its tasks, its secrets and its identifiers, and its destination is not theirs.

use pg_courier_tests::cluster::Stop;
use pg_courier_tests::pair::{DATABASE, SERVER};
use pg_courier_tests::{Cluster, Pair};

use crate::common::{SMALL, TASK, arrives, assert_mentions, mirrored_pair};

/// Waits until the task has failed on this server; message, detail and hint.
#[track_caller]
fn failure(server: &Cluster, database: &str) -> String {
    server.wait_until(
        database,
        "the task has failed",
        &format!("(SELECT state = 'failed' FROM courier.tasks WHERE task = '{TASK}')"),
    );
    server.value(
        database,
        "SELECT concat_ws(E'\\n', last_error_sqlstate, last_error, last_error_detail, last_error_hint) FROM courier.task",
    )
}

fn write_on(server: &Cluster, database: &str) {
    server.run(database, "INSERT INTO journal VALUES (0, 'written on the copy'); DELETE FROM items WHERE id = 1");
}

/// The original has not noticed anything, and the copy's rows are nowhere.
#[track_caller]
fn original_goes_on(pair: &Pair) {
    pair.source.run(DATABASE, "INSERT INTO journal VALUES (1, 'written on the original')");
    pair.assert_mirrored(TASK, &SMALL);
    assert_eq!(pair.task(DATABASE, TASK, "state"), "synchronizing");
    assert_eq!(pair.task(DATABASE, TASK, "last_error"), "");
}

/// What follows on the copy from the hint of its error: the task goes there, and nothing else anywhere.
#[track_caller]
fn drop_on_copy(copy: &Cluster, database: &str) {
    let said = copy.psql(database, &format!("SELECT courier.drop_task('{TASK}')"));
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_mentions(&said, &["nothing was removed on the destination", "Only if nobody else is to run the task"]);
    for table in ["progress", "table_progress", "marks", "conflicts", "writer"] {
        assert_mentions(&said, &[&format!("DELETE FROM courier_applied.{table} WHERE task_id = '")]);
    }
    assert_eq!(copy.value(database, "SELECT count(*) FROM courier.task"), "0");
}

#[track_caller]
fn is_refused(server: &Cluster, pair: &Pair) {
    let failure = failure(server, DATABASE);
    let directory = pair.source.data_directory().display().to_string();
    assert_mentions(&failure, &["55000", "belongs to another server", &directory, "courier.adopt('shop_to_dr')"]);
    assert!(!failure.to_lowercase().contains("empty"), "nobody is led to empty the original's tables: {failure}");
}

/// A snapshot of the file system, slots included, is started on another port of the same machine.
#[test]
fn a_copied_data_directory() {
    let pair = mirrored_pair();
    pair.source.stop(Stop::Fast);
    let copy = pair.source.copied("c");
    pair.source.start();
    copy.start();
    write_on(&copy, DATABASE);
    is_refused(&copy, &pair);
    original_goes_on(&pair);
    // Nor when it is told to try again, or the original is away.
    copy.run(DATABASE, &format!("SELECT courier.resume('{TASK}')"));
    is_refused(&copy, &pair);
    pair.source.stop(Stop::Fast);
    copy.run(DATABASE, &format!("SELECT courier.resume('{TASK}')"));
    is_refused(&copy, &pair);
    assert_eq!(copy.refuses(DATABASE, &format!("SELECT courier.clear_conflicts('{TASK}')")).sqlstate, "55006");
    drop_on_copy(&copy, DATABASE);
    pair.source.start();
    original_goes_on(&pair);
}

/// A base backup has no slots. The hint for a lost slot would lead to emptying production's tables.
#[test]
fn a_base_backup() {
    let pair = mirrored_pair();
    let copy = pair.source.backed_up("b");
    copy.start();
    write_on(&copy, DATABASE);
    is_refused(&copy, &pair);
    let answer = copy.refuses(DATABASE, &format!("SELECT courier.adopt('{TASK}')"));
    assert_mentions(&answer.message, &["slot", "is not in this database"]);
    drop_on_copy(&copy, DATABASE);
    original_goes_on(&pair);
}

/// The same server, another database: CREATE DATABASE ... TEMPLATE.
#[test]
fn a_copied_database() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    pair.source.run("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'shop'");
    pair.source.wait_until(
        "postgres",
        "nobody is connected",
        "NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = 'shop')",
    );
    pair.source.run("postgres", "CREATE DATABASE twin TEMPLATE shop");
    pair.source.run("twin", &format!("SELECT courier.resume('{TASK}')"));
    assert_mentions(&failure(&pair.source, "twin"), &["55000", "belongs to another database", "courier.drop_task"]);
    write_on(&pair.source, "twin");
    drop_on_copy(&pair.source, "twin");
    pair.call(DATABASE, "resume", TASK);
    original_goes_on(&pair);
}

/// The copy is what goes on from now on, says a person. The original stops, says so, and does not fight back.
#[test]
fn a_copy_is_adopted() {
    let pair = mirrored_pair();
    pair.source.stop(Stop::Fast);
    let copy = pair.source.copied("c");
    pair.source.start();
    copy.start();
    is_refused(&copy, &pair);
    original_goes_on(&pair);
    pair.source.stop(Stop::Fast);
    // What the original wrote since is not in the copy: that is what the person decides.
    pair.destination.run(DATABASE, "DELETE FROM journal WHERE what = 'written on the original'");
    copy.run(DATABASE, &format!("SELECT courier.adopt('{TASK}')"));
    copy.wait_until(DATABASE, "the copy streams", "(SELECT state = 'synchronizing' FROM courier.tasks)");
    // Past the end of what the original has sent: up to there the copy's commits count as sent, as adopt() warns.
    copy.run("postgres", "SELECT pg_switch_wal()");
    copy.run(DATABASE, "INSERT INTO journal VALUES (2, 'written on the adopted one')");
    copy.run(DATABASE, &format!("SELECT courier.wait_for('{TASK}', '60 s')"));
    arrives(&pair, "journal WHERE what = 'written on the adopted one'", "1");
    pair.source.start();
    pair.source.run(DATABASE, "INSERT INTO journal VALUES (3, 'written too late')");
    assert_mentions(
        &failure(&pair.source, DATABASE),
        &["55000", "belongs to another server", &copy.data_directory().display().to_string()],
    );
    copy.run(DATABASE, &format!("SELECT courier.wait_for('{TASK}', '60 s')"));
    pg_courier_tests::assert_same((&copy, DATABASE), (&pair.destination, DATABASE), &SMALL);
}

/// A copy that nobody can tell from the original, as of a whole virtual machine: as soon as one of the two has gone on, the other
/// is refused.
#[test]
fn somebody_else_has_the_lease() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    pair.destination.run(DATABASE, "UPDATE courier_applied.progress SET lease = gen_random_uuid()");
    pair.call(DATABASE, "resume", TASK);
    let failure = pair.failure(DATABASE, TASK);
    assert_mentions(&failure, &["belongs to another server", "has written there since", "courier.adopt"]);
    pair.call(DATABASE, "adopt", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    original_goes_on(&pair);
    // A row that the other one has sent: the error says where it may come from.
    pair.destination.run(DATABASE, "INSERT INTO items VALUES (7000, 1, 'of the other one')");
    pair.source.run(DATABASE, "INSERT INTO items VALUES (7000, 1, 'ours')");
    let failure = pair.failure(DATABASE, TASK);
    assert_mentions(
        &failure,
        &[
            "duplicate key",
            "The task was adopted at",
            "Another one had written for it up to",
            "courier.verify('shop_to_dr');",
        ],
    );
}

/// The source as its own destination: each change would be applied to the table that it came from.
#[test]
fn the_destination_is_the_source() {
    let pair = mirrored_pair();
    pair.call(DATABASE, "pause", TASK);
    let options = format!("SET port '{}', SET dbname 'shop'", pair.source.port());
    pair.source.run(DATABASE, "CREATE ROLE courier SUPERUSER LOGIN PASSWORD 'x'");
    pair.source.run(
        DATABASE,
        &format!("ALTER SERVER {SERVER} OPTIONS ({options}); ALTER USER MAPPING FOR postgres SERVER {SERVER} OPTIONS (SET password 'x')"),
    );
    let item = format!("SELECT status FROM courier.precheck('{TASK}') WHERE item = 'destination_is_source'");
    assert_eq!(pair.source.value(DATABASE, &item), "failed");
    pair.call(DATABASE, "resume", TASK);
    assert_mentions(
        &pair.failure(DATABASE, TASK),
        &["is the source itself", "ALTER SERVER \"dr\" OPTIONS (SET dbname", "courier.resume('shop_to_dr');"],
    );
}
