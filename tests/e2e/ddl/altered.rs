//! `courier.alter_task(task, ddl => ...)`: a task that left definitions to people applies commands from then on, or the other way round.
//! What it knew at an earlier time says nothing about what people have done since.

use pg_courier_tests::pair::{DATABASE, ROLE};
use pg_courier_tests::{Pair, TaskOptions};

use super::create_tables;
use super::equal::assert_equal;
use crate::common::{TASK, assert_mentions};

/// A task that leaves commands alone, up to its stream.
fn ignoring_pair() -> Pair {
    let pair = Pair::start();
    create_tables(&pair);
    let options = TaskOptions { ddl: Some("ignore"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.caught_up(DATABASE, TASK);
    pair
}

fn alter(pair: &Pair, ddl: &str) {
    pair.source.run(DATABASE, &format!("SELECT courier.alter_task('{TASK}', ddl => '{ddl}')"));
}

/// What people do: the same on both sides, the destination first.
fn on_both(pair: &Pair, statement: &str) {
    pair.destination.run(DATABASE, &format!("SET ROLE {ROLE}; {statement}"));
    pair.source.run(DATABASE, statement);
}

const COMMANDS: &str = "ALTER TABLE t ADD r float8 DEFAULT random(); CREATE TABLE later (id serial PRIMARY KEY, t_id int REFERENCES t); \
     INSERT INTO later (t_id) VALUES (1), (2); ALTER TABLE o RENAME n TO m; CREATE INDEX ON o (m); UPDATE o SET m = 7 WHERE id < 5; \
     COMMENT ON TABLE t IS 'the first'";

#[test]
fn a_running_task_applies_commands_from_now_on() {
    let pair = ignoring_pair();
    on_both(&pair, "ALTER TABLE t ADD before int DEFAULT 1");
    pair.source.run(DATABASE, "INSERT INTO t VALUES (100, 'x', 2)");
    alter(&pair, "replicate");
    pair.source.run(DATABASE, COMMANDS);
    assert_equal(&pair);
    let told = "SELECT count(*) FROM courier.events WHERE kind = 'definitions'";
    assert_eq!(pair.source.value(DATABASE, told), "1");
    let states = "SELECT string_agg(DISTINCT state, ',') FROM courier.ddl";
    assert_eq!(pair.source.value(DATABASE, states), "applied");
}

/// Without a stop, and with the model of an earlier time.
#[test]
fn what_was_known_before_is_not_believed() {
    let pair = ignoring_pair();
    alter(&pair, "replicate");
    pair.source.run(DATABASE, "ALTER TABLE t ADD a int DEFAULT 1; CREATE TABLE gone (id int PRIMARY KEY)");
    assert_equal(&pair);
    alter(&pair, "ignore");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    on_both(&pair, "ALTER TABLE t RENAME a TO b; ALTER TABLE t ADD c text; ALTER TABLE o DROP COLUMN n");
    pair.source.run(DATABASE, "UPDATE t SET b = 5, c = 'c' WHERE id = 1; INSERT INTO o VALUES (100, 1)");
    pair.caught_up(DATABASE, TASK);
    alter(&pair, "replicate");
    pair.source.run(DATABASE, "ALTER TABLE t RENAME b TO a; ALTER TABLE t DROP c, ADD b int DEFAULT 4; ALTER TABLE o ADD n numeric DEFAULT 9; DROP TABLE gone");
    assert_equal(&pair);
}

/// A transaction that has run its command before, and left no row about it, is waited for: what it has done is said then.
#[test]
fn a_command_of_before_that_commits_later_is_not_lost() {
    let pair = ignoring_pair();
    let mut open = pair.source.connect(DATABASE);
    open.batch_execute("BEGIN; ALTER TABLE t ADD c int DEFAULT 3; CREATE TABLE unsaid (id int PRIMARY KEY)")
        .expect("commands");
    alter(&pair, "replicate");
    pair.source.run(DATABASE, "CREATE TABLE later (id int PRIMARY KEY); ALTER TABLE o ADD d int DEFAULT 2");
    let waits =
        format!("(SELECT phase LIKE 'waiting for % of before the slot%' FROM courier.tasks WHERE task = '{TASK}')");
    pair.source.wait_until(DATABASE, "the task waits for it", &waits);
    open.batch_execute("COMMIT").expect("its end");
    pair.source.wait_until(DATABASE, "they are captured", "EXISTS (SELECT FROM courier.ddl WHERE tag = 'CAPTURE')");
    pair.source.run(DATABASE, "INSERT INTO t VALUES (100, 'x', 1); INSERT INTO unsaid VALUES (1); ALTER TABLE t RENAME c TO e; ALTER TABLE later ADD v text");
    assert_equal(&pair);
}

/// Tables that the patterns name and that nobody followed are copied; what is otherwise is told by name.
#[test]
fn what_has_come_apart_is_copied_or_told() {
    let pair = ignoring_pair();
    pair.source.run(DATABASE, "CREATE TABLE unknown (id int PRIMARY KEY, v text); INSERT INTO unknown SELECT g, 'v' FROM generate_series(1, 100) g");
    pair.destination.run(
        DATABASE,
        &format!("SET ROLE {ROLE}; ALTER TABLE o DROP CONSTRAINT o_t_id_fkey; ALTER TABLE t ALTER v TYPE varchar(5)"),
    );
    assert_mentions(&pair.failure(DATABASE, TASK), &["public.unknown", "does not follow"]);
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.alter_task('{TASK}', ddl => 'replicate')"));
    assert_mentions(&answer.to_string(), &["55000", "column public.t.v", "character varying(5)", "text", "alter_task"]);
    pair.destination.run(DATABASE, &format!("SET ROLE {ROLE}; ALTER TABLE t ALTER v TYPE text"));
    assert_eq!(pair.task(DATABASE, TASK, "ddl"), "ignore");
    alter(&pair, "replicate");
    pair.call(DATABASE, "resume", TASK);
    pair.source.run(
        DATABASE,
        "INSERT INTO unknown VALUES (200, 'w'); ALTER TABLE unknown ADD c int DEFAULT 1; ALTER TABLE o ADD c int",
    );
    pair.caught_up(DATABASE, TASK);
    pair.assert_same(DATABASE, &["public.unknown", "public.t", "public.o"]);
    let told = "SELECT detail FROM courier.events WHERE kind = 'definitions'";
    assert_mentions(&pair.source.value(DATABASE, told), &["foreign key o_t_id_fkey on public.o is missing"]);
}

/// The other way round: what is not applied any more is said, and rows that need it stop the task.
#[test]
fn commands_are_left_to_people_again() {
    let pair = ignoring_pair();
    alter(&pair, "replicate");
    pair.source.run(DATABASE, "ALTER TABLE t ADD a int");
    assert_equal(&pair);
    pair.call(DATABASE, "pause", TASK);
    pair.source.run(DATABASE, "ALTER TABLE t ADD b int; INSERT INTO t (id, b) VALUES (100, 1)");
    let mut session = pair.source.connect(DATABASE);
    session.batch_execute(&format!("SELECT courier.alter_task('{TASK}', ddl => 'ignore')")).expect("altered");
    pair.source.wait_for_log("1 command that has not been applied will not be", 0);
    pair.call(DATABASE, "resume", TASK);
    assert_mentions(&pair.failure(DATABASE, TASK), &["public.t", "\"b\""]);
    pair.destination.run(DATABASE, &format!("SET ROLE {ROLE}; ALTER TABLE t ADD b int"));
    pair.call(DATABASE, "resume", TASK);
    assert_equal(&pair);
}

/// While tables are copied the rule stays; before a task starts it is only a word.
#[test]
fn the_rule_stays_while_tables_are_copied() {
    let pair = Pair::start();
    create_tables(&pair);
    pair.source.arm("tablesync_mid_copy:wait");
    let options = TaskOptions { ddl: Some("ignore"), ..TaskOptions::default() };
    pair.create_task(DATABASE, TASK, &["public.*"], &options);
    alter(&pair, "replicate");
    pair.call(DATABASE, "start", TASK);
    pair.source.wait_at("tablesync_mid_copy");
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.alter_task('{TASK}', ddl => 'ignore')"));
    assert_mentions(&answer.to_string(), &["is copying tables", "55000"]);
    pair.source.disarm();
    pair.source.run(DATABASE, COMMANDS);
    assert_equal(&pair);
}

/// The supervisor that an earlier call has started reads the task while the next one changes it.
#[test]
fn a_supervisor_that_is_on_its_way_does_what_was_said_last() {
    let pair = ignoring_pair();
    pair.call(DATABASE, "pause", TASK);
    pair.source.arm("supervisor_starts:wait");
    pair.call(DATABASE, "resume", TASK);
    pair.source.wait_until(
        DATABASE,
        "the supervisor is on its way",
        "EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE '%waiting at failpoint supervisor_starts%' AND pid <> pg_backend_pid())",
    );
    let mut session = pair.source.connect(DATABASE);
    let alter = format!("BEGIN; SELECT courier.alter_task('{TASK}', ddl => 'replicate')");
    session.batch_execute(&alter).expect("an altered task");
    pair.source.disarm();
    pair.source.wait_until(
        DATABASE,
        "the supervisor waits",
        "EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'pg_courier supervisor' AND wait_event_type = 'Lock')",
    );
    session.batch_execute("COMMIT").expect("a commit");
    pair.source.wait_until(DATABASE, "definitions are taken over", "(SELECT NOT capture_due FROM courier.task)");
    pair.source.run(DATABASE, COMMANDS);
    assert_equal(&pair);
}
