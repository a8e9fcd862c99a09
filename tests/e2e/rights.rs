//! With whose rights: the destination's role is no superuser (in all tests), and on the
//! source a task can do what its owner can.

use pg_courier_tests::pair::{DATABASE, PASSWORD, ROLE};
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Answer, Pair};

use crate::common::{TASK, assert_mentions};

/// A database with a role `owner` that may replicate, and `outsider` that may nothing.
fn pair_with_owner() -> Pair {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        &format!(
            "CREATE ROLE owner LOGIN REPLICATION PASSWORD 'pw'; CREATE ROLE outsider LOGIN PASSWORD 'pw'; \
             CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY, v text); \
             CREATE TABLE app.private (id int PRIMARY KEY); \
             INSERT INTO app.t SELECT n, 'v' FROM generate_series(1, 100) AS n; \
             GRANT USAGE ON SCHEMA app TO owner; GRANT SELECT ON app.t TO owner; \
             GRANT USAGE ON FOREIGN SERVER dr TO owner; \
             CREATE USER MAPPING FOR owner SERVER dr OPTIONS (user '{ROLE}', password {})",
            literal(PASSWORD)
        ),
    );
    // Not granted to all: the extension's own function says what using it takes.
    pair.source.run(DATABASE, "SELECT courier.grant_usage('owner'), courier.grant_usage('outsider')");
    pair
}

fn ask(pair: &Pair, role: &str, sql: &str) -> Result<(), Answer> {
    pair.source.connect_as(DATABASE, role, "pw").batch_execute(sql).map_err(|e| Answer::from(&e))
}

/// An owner with REPLICATION and SELECT mirrors a table; nobody else needs to be asked.
#[test]
fn an_owner_without_superuser() {
    let pair = pair_with_owner();
    ask(&pair, "owner", "SELECT courier.create_task('mine', server => 'dr', include => ARRAY['app.t'])")
        .unwrap_or_else(|e| panic!("{e}"));
    ask(&pair, "owner", "SELECT courier.start('mine')").unwrap_or_else(|e| panic!("{e}"));
    pair.wait_for_state(DATABASE, "mine", "synchronizing");
    pair.source.run(DATABASE, "UPDATE app.t SET v = 'w' WHERE id < 50");
    pair.assert_mirrored("mine", &["app.t"]);
    assert_eq!(pair.task(DATABASE, "mine", "owner"), "owner");
    // Nor does anybody send large objects that he may not read.
    pair.source.run(
        DATABASE,
        "SELECT lo_from_bytea(60001, 'of somebody else'), lo_from_bytea(60002, 'for him'); GRANT SELECT ON LARGE OBJECT 60002 TO owner",
    );
    ask(&pair, "owner", "CALL courier.copy_large_objects('mine')").unwrap_or_else(|e| panic!("{e}"));
    let there = "SELECT string_agg(oid || ' ' || convert_from(lo_get(oid), 'UTF8'), ',') FROM pg_largeobject_metadata";
    assert_eq!(pair.destination.value(DATABASE, there), "60002 for him");
    let unreadable = "SELECT loid FROM courier.large_objects('mine') WHERE state = 'unreadable'";
    assert_eq!(pair.source.value(DATABASE, unreadable), "60001");
    assert!(ask(&pair, "outsider", "SELECT * FROM courier.large_objects('mine')").is_err());
    ask(&pair, "owner", "SELECT courier.drop_task('mine')").unwrap_or_else(|e| panic!("{e}"));
}

/// A table that the owner may not read is not read for him.
#[test]
fn a_task_cannot_read_what_its_owner_cannot() {
    let pair = pair_with_owner();
    let create = "SELECT courier.create_task('spy', server => 'dr', include => ARRAY['app.*'])";
    let text = match ask(&pair, "owner", create).and_then(|()| ask(&pair, "owner", "SELECT courier.start('spy')")) {
        Err(answer) => answer.to_string(),
        Ok(()) => pair.failure(DATABASE, "spy"),
    };
    assert_mentions(&text, &["private"]);
    let there = pair.destination.value(DATABASE, "SELECT to_regclass('app.private')");
    if !there.is_empty() {
        assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM app.private"), "0");
    }
}

/// Without REPLICATION there is no task to start, and a stranger's task is not touched.
#[test]
fn strangers_are_refused() {
    let pair = pair_with_owner();
    pair.source.run(DATABASE, "GRANT USAGE ON SCHEMA app TO outsider; GRANT SELECT ON app.t TO outsider");
    let create = "SELECT courier.create_task('theirs', server => 'dr', include => ARRAY['app.t'])";
    let answer = ask(&pair, "outsider", create).expect_err("no USAGE on the server");
    assert_eq!(answer.sqlstate, "42501", "{answer}");

    pair.source.run(
        DATABASE,
        &format!("GRANT USAGE ON FOREIGN SERVER dr TO outsider; CREATE USER MAPPING FOR outsider SERVER dr OPTIONS (user '{ROLE}', password {})", literal(PASSWORD)),
    );
    let started =
        ask(&pair, "outsider", create).and_then(|()| ask(&pair, "outsider", "SELECT courier.start('theirs')"));
    let text = match started {
        Err(answer) => answer.to_string(),
        Ok(()) => pair.failure(DATABASE, "theirs"),
    };
    assert_mentions(&text, &["replication"]);
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM pg_replication_slots"), "0");

    ask(&pair, "owner", &format!("SELECT courier.create_task('{TASK}', server => 'dr', include => ARRAY['app.t'])"))
        .unwrap_or_else(|e| panic!("{e}"));
    for call in ["start", "drop_task"] {
        let answer = ask(&pair, "outsider", &format!("SELECT courier.{call}('{TASK}')")).expect_err(call);
        assert_eq!(answer.sqlstate, "42501", "{call}: {answer}");
    }
}

/// The password is in pg_user_mappings for those who may see it there, and nowhere else.
#[test]
fn the_password_is_shown_nowhere() {
    let pair = pair_with_owner();
    ask(&pair, "owner", "SELECT courier.create_task('mine', server => 'dr', include => ARRAY['app.t'])")
        .unwrap_or_else(|e| panic!("{e}"));
    let tables = pair.source.rows(
        DATABASE,
        "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname = 'courier' AND c.relkind IN ('r', 'v')",
    );
    assert!(!tables.is_empty());
    for table in tables.into_iter().flatten().flatten() {
        let query = format!("SELECT count(*) FROM {table} AS t WHERE strpos(t::text, {}) > 0", literal("it's"));
        assert_eq!(pair.source.value(DATABASE, &query), "0", "{table}");
    }
}

/// The destination's role may not set session_replication_role (it cannot be granted before
/// 15, nor everywhere). Tables with foreign keys need it: the task says so before it creates or
/// copies anything. Tables without do not need it and work.
#[test]
fn without_the_right_to_be_a_replica() {
    let pair = Pair::builder().applies_as_replica(false).start();
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA plain; CREATE TABLE plain.t (id int PRIMARY KEY); INSERT INTO plain.t VALUES (1); \
         CREATE SCHEMA tied; CREATE TABLE tied.a (id int PRIMARY KEY); \
         CREATE TABLE tied.b (id int PRIMARY KEY, a int REFERENCES tied.a ON DELETE CASCADE); INSERT INTO tied.a VALUES (1)",
    );
    pair.start_task("plain", &["plain.*"]);
    pair.wait_for_state(DATABASE, "plain", "synchronizing");
    pair.source.run(DATABASE, "INSERT INTO plain.t VALUES (2); DELETE FROM plain.t WHERE id = 1");
    pair.assert_mirrored("plain", &["plain.t"]);

    pair.create_task(DATABASE, "tied", &["tied.*"], &Default::default());
    let text = match pair.source.connect(DATABASE).batch_execute("SELECT courier.start('tied')") {
        Err(error) => Answer::from(&error).to_string(),
        Ok(()) => pair.failure(DATABASE, "tied"),
    };
    let way_out = if pair.destination.install.major() < 15 { "superuser" } else { "grant" };
    assert_mentions(&text, &["session_replication_role", way_out]);
    let tables = "SELECT count(*) FROM pg_class WHERE relname IN ('a', 'b') AND relkind = 'r'";
    assert_eq!(pair.destination.value(DATABASE, tables), "0", "before anything is created");

    pair.let_apply_as_replica();
    let started = pair.source.connect(DATABASE).batch_execute("SELECT courier.resume('tied')");
    if started.is_err() {
        pair.call(DATABASE, "start", "tied");
    }
    pair.wait_for_state(DATABASE, "tied", "synchronizing");
    pair.source.run(DATABASE, "INSERT INTO tied.b VALUES (1, 1); DELETE FROM tied.a");
    pair.assert_mirrored("tied", &["tied.a", "tied.b"]);
}

/// Whoever may create functions in a schema of somebody's search_path waits for a superuser to call ours. A body that names
/// a function, an operator or a type without its schema finds a better match there than in pg_catalog; in a procedure even
/// behind SET search_path, which ends with the first COMMIT.
#[test]
fn nothing_is_found_by_the_path_of_the_caller() {
    let pair = pair_with_owner();
    let without_path = pair.source.rows(
        DATABASE,
        "SELECT p.proname FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang \
         WHERE p.pronamespace = 'courier'::regnamespace AND l.lanname IN ('sql', 'plpgsql') \
         AND NOT COALESCE(p.proconfig::text LIKE '%search_path=pg_catalog, pg_temp%', false)",
    );
    let names: Vec<String> = without_path.into_iter().flatten().flatten().collect();
    let committing = ["copy_large_objects", "set_replica_identity"];
    assert_eq!(names, committing, "a procedure that commits may not have the clause: test it below");

    pair.source.run(DATABASE, TROJANS);
    pair.source.run(
        DATABASE,
        "CREATE TABLE app.bare (id int); CREATE TABLE app.held (id int); \
         SELECT lo_create(70001), courier.create_task('all', server => 'dr', include => ARRAY['app.*'])",
    );
    let mut holder = pair.source.connect(DATABASE);
    holder.batch_execute("BEGIN; SELECT FROM app.held").expect("a reader");
    let mut caller = pair.source.connect(DATABASE);
    caller.batch_execute("SET search_path = evil, pg_catalog").expect("anybody may");
    let call = "CALL courier.set_replica_identity('all', dry_run => false, lock_timeout => '10 ms', attempts => 2)";
    let answer = caller.batch_execute(call).map_err(|e| Answer::from(&e)).expect_err("a table is locked");
    assert_eq!(answer.sqlstate, "55P03", "{answer}");
    drop(holder);
    let calls = [
        "CALL courier.set_replica_identity('all')",
        call,
        "SELECT courier.create_task('other', server => 'dr', include => ARRAY['app.private'])",
        "SELECT courier.ignore_precheck('other', 'destination_locale', 'why')",
        "SELECT * FROM courier.precheck('dr', ARRAY['app.*'])",
        "SELECT courier.drop_task('other')",
        "SELECT * FROM courier.replica_identity('all')",
        "SELECT * FROM courier.check_account('owner', 'source')",
        "SELECT * FROM courier.account_sql('source', 'somebody')",
        "SELECT * FROM courier.hba_lines('somebody', '10.0.0.0/8')",
        "SELECT * FROM courier.plan('all')",
        "SELECT * FROM courier.precheck('all')",
        "SELECT * FROM courier.apply_fixes('all')",
        "SELECT * FROM courier.test_connection('dr')",
        "SELECT courier.start('all')",
        "SELECT courier.wait_for('all')",
        "CREATE TABLE app.later (id int)",
        "SELECT * FROM courier.tasks",
        "SELECT * FROM courier.progress",
        "SELECT * FROM courier.lag",
        "SELECT * FROM courier.slots",
        "SELECT * FROM courier.verify('all')",
        "SELECT * FROM courier.conflicts",
        "SELECT courier.clear_conflicts('all')",
        "SELECT courier.health_check()",
        "SELECT * FROM courier.alerts",
        "SELECT * FROM courier.events",
        "SELECT courier.capture('app.held')",
        "SELECT courier.capture_task('all')",
        "SELECT courier.sweep('all')",
        "SELECT * FROM courier.ddl",
        "SELECT courier.set_ddl_policy('all', 'index', 'hold')",
        "SELECT * FROM courier.ddl_policies",
        "SELECT * FROM courier.large_objects('all')",
        "CALL courier.copy_large_objects('all')",
        "SELECT courier.trust_role('all', 'owner')",
        "SELECT courier.distrust_role('all', 'owner')",
        "SELECT courier.pause('all')",
        "SELECT courier.alter_task('all', conflict => 'ignore', ddl => 'ignore')",
        "SELECT courier.resume('all')",
        "SELECT courier.grant_usage('outsider')",
        "SELECT * FROM courier.source_settings()",
        "SELECT * FROM courier.drop_orphaned_slots()",
        "SELECT courier.drop_task('all', restore_replica_identity => true)",
    ];
    for call in calls {
        caller.batch_execute(call).unwrap_or_else(|e| panic!("{call}: {}", Answer::from(&e)));
    }
    let ran = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM evil.ran";
    assert_eq!(pair.source.value(DATABASE, ran), "0", "functions of schema evil ran");
    caller.batch_execute("SELECT array_length('{1}'::pg_catalog.oid[], 1)").expect("a trap");
    assert_eq!(pair.source.value(DATABASE, ran), "1", "the traps work");
}

/// For what bodies are made of: functions of the same names and operators of the same types as those of pg_catalog, and
/// exact ones where pg_catalog's take anything. Each says that it ran.
const TROJANS: &str = r#"
CREATE SCHEMA evil;
CREATE SEQUENCE evil.ran;
CREATE DOMAIN evil.text AS pg_catalog.text;
CREATE DOMAIN evil.oid AS pg_catalog.int8;
CREATE DOMAIN evil.int4 AS pg_catalog.text;
CREATE TYPE evil.record AS (nothing pg_catalog.bool);
GRANT ALL ON SCHEMA evil TO PUBLIC;
GRANT ALL ON SEQUENCE evil.ran TO PUBLIC;
CREATE FUNCTION evil.trap() RETURNS pg_catalog.bool LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_catalog.nextval('evil.ran'); RETURN true; END $$;
CREATE FUNCTION evil.array_length(pg_catalog.oid[], pg_catalog.int4) RETURNS pg_catalog.int4 LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.trap(); RETURN 0; END $$;
CREATE FUNCTION evil.cardinality(pg_catalog.oid[]) RETURNS pg_catalog.int4 LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.trap(); RETURN 0; END $$;
CREATE FUNCTION evil.format(pg_catalog.text, pg_catalog.int4) RETURNS pg_catalog.text LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.trap(); RETURN ''; END $$;
CREATE FUNCTION evil.format(pg_catalog.text, pg_catalog.text) RETURNS pg_catalog.text LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.trap(); RETURN ''; END $$;
CREATE FUNCTION evil.array_agg(pg_catalog.oid) RETURNS pg_catalog.oid[] LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.trap(); RETURN '{}'; END $$;
DO $$
DECLARE
    f record;
BEGIN
    FOR f IN
        SELECT p.proname, pg_catalog.oidvectortypes(p.proargtypes) AS arguments, p.prorettype::pg_catalog.regtype::pg_catalog.text AS result
          FROM pg_catalog.pg_proc p
         WHERE p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace AND p.prokind = 'f' AND NOT p.proretset AND p.provariadic = 0
           AND p.proname IN ('set_config', 'current_setting', 'pg_sleep', 'now', 'quote_ident', 'quote_literal', 'pg_advisory_xact_lock',
               'hashtext', 'clock_timestamp', 'left', 'pg_notify', 'to_regclass', 'pg_get_userbyid', 'has_table_privilege', 'pg_has_role',
               'date_part', 'extract', 'round', 'replace', 'upper', 'lower', 'to_hex', 'pg_backend_pid', 'md5', 'pg_size_pretty', 'int4',
               'text', 'numeric', 'float8', 'int8', 'timestamptz', 'current_database', 'obj_description', 'pg_relation_size', 'pg_export_snapshot',
               'pg_current_snapshot', 'pg_replication_slot_advance', 'pg_drop_replication_slot', 'getdatabaseencoding')
           AND NOT (ARRAY['internal', 'anyelement', 'anyarray', 'trigger', 'record']::pg_catalog.regtype[] && p.proargtypes::pg_catalog.oid[]::pg_catalog.regtype[])
    LOOP
        EXECUTE pg_catalog.format('CREATE FUNCTION evil.%I(%s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN PERFORM evil.trap(); RETURN%s; END $f$',
                                  f.proname, f.arguments, f.result, CASE f.result WHEN 'void' THEN '' ELSE ' NULL' END);
    END LOOP;
    FOR f IN
        SELECT o.oprname AS name, o.oprleft::pg_catalog.regtype AS l, o.oprright::pg_catalog.regtype AS r, o.oprresult::pg_catalog.regtype AS result,
               pg_catalog.row_number() OVER () AS n
          FROM pg_catalog.pg_operator o
         WHERE o.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace AND o.oprleft <> 0
           AND o.oprname IN ('=', '<>', '<', '>', '>=', '<=', '+', '-', '*', '/', '||', '~~', '~', '->>', '->', '<<', '>>', '&')
           AND o.oprleft::pg_catalog.regtype IN ('int4', 'int8', 'text', 'name', 'oid', 'bool', 'numeric', 'float8', 'pg_lsn', 'timestamptz',
               'interval', 'json', 'jsonb', '"char"')
    LOOP
        EXECUTE pg_catalog.format('CREATE FUNCTION evil.operator_%s(%s, %s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN PERFORM evil.trap(); RETURN NULL; END $f$',
                                  f.n, f.l, f.r, f.result);
        EXECUTE pg_catalog.format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = evil.operator_%s)', f.name, f.l, f.r, f.n);
    END LOOP;
END
$$;
"#;

/// Each table is a transaction, so there can be none around the call: it says so before anything is written down.
#[test]
fn replica_identities_are_set_outside_of_a_transaction() {
    let pair = pair_with_owner();
    pair.source.run(
        DATABASE,
        "CREATE TABLE app.bare (id int); SELECT courier.create_task('all', server => 'dr', include => ARRAY['app.*'])",
    );
    let answer =
        pair.source.refuses(DATABASE, "BEGIN; CALL courier.set_replica_identity('all', dry_run => false); COMMIT");
    assert_eq!(answer.sqlstate, "25001");
    assert_mentions(&answer.to_string(), &["set_replica_identity('all', dry_run => false);", "transaction block"]);
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM courier.identity_task"), "0");
}

/// A role that owns no table has a task whose patterns name all of them. Nothing of others is changed for it: not by its
/// call, and not by the event trigger when they create or alter their tables.
#[test]
fn identities_of_others_stay() {
    let pair = pair_with_owner();
    pair.source.run(DATABASE, "CREATE TABLE app.bare (id int); ALTER TABLE app.bare REPLICA IDENTITY NOTHING; GRANT SELECT ON app.bare TO owner");
    ask(&pair, "owner", "SELECT courier.create_task('mine', server => 'dr', include => ARRAY['*.*'])")
        .unwrap_or_else(|e| panic!("{e}"));
    let call = "CALL courier.set_replica_identity('mine', dry_run => false)";
    let answer = ask(&pair, "owner", call).expect_err("not its table");
    assert_eq!(answer.sqlstate, "42501");
    assert_mentions(&answer.to_string(), &["app.bare", "owner"]);
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM courier.identity_task"), "0");

    // A task of one's own tables, whose patterns name others' as well.
    pair.source.run(DATABASE, "DROP TABLE app.bare; GRANT CREATE ON SCHEMA app TO owner");
    ask(&pair, "owner", "CREATE TABLE app.own (id int)").unwrap_or_else(|e| panic!("{e}"));
    ask(&pair, "owner", call).unwrap_or_else(|e| panic!("{e}"));
    pair.source.run(DATABASE, "CREATE TABLE app.others (id int); ALTER TABLE app.others ADD COLUMN v int");
    ask(&pair, "owner", "CREATE TABLE app.later (id int)").unwrap_or_else(|e| panic!("{e}"));
    let identities = "SELECT string_agg(relname || ' ' || relreplident::text, ', ' ORDER BY relname) FROM pg_class \
                      WHERE relnamespace = 'app'::regnamespace AND relkind = 'r' AND relname IN ('own', 'others', 'later')";
    assert_eq!(pair.source.value(DATABASE, identities), "later f, others d, own f");
}

/// ALTER TABLE with a weak lock, while somebody reads the table: the event trigger must not ask for a stronger one, as
/// everybody would queue behind it. It says what to run instead. A statement that has the strong lock anyway is used.
#[test]
fn weak_locks_stay_weak() {
    let pair = pair_with_owner();
    pair.source.run(DATABASE, "SELECT courier.create_task('all', server => 'dr', include => ARRAY['app.*'])");
    pair.source.run(DATABASE, "CALL courier.set_replica_identity('all', dry_run => false)");
    pair.source.run(
        DATABASE,
        "CREATE TABLE app.hot (id int, CONSTRAINT positive CHECK (id > 0) NOT VALID); ALTER TABLE app.hot REPLICA IDENTITY DEFAULT",
    );
    let identity = "SELECT relreplident FROM pg_class WHERE oid = 'app.hot'::regclass";
    pair.source.run(
        DATABASE,
        "ALTER EVENT TRIGGER pg_courier_identity DISABLE; ALTER TABLE app.hot REPLICA IDENTITY DEFAULT; \
                               ALTER EVENT TRIGGER pg_courier_identity ENABLE",
    );
    assert_eq!(pair.source.value(DATABASE, identity), "d");
    let mut reader = pair.source.connect(DATABASE);
    reader.batch_execute("BEGIN; SELECT FROM app.hot").expect("a reader");
    let output =
        pair.source.psql(DATABASE, "SET statement_timeout = '20s'; ALTER TABLE app.hot VALIDATE CONSTRAINT positive;");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert_mentions(&said, &["ALTER TABLE app.hot REPLICA IDENTITY FULL"]);
    assert_eq!(pair.source.value(DATABASE, identity), "d");
    drop(reader);
    pair.source.run(DATABASE, "ALTER TABLE app.hot ADD COLUMN v int");
    assert_eq!(pair.source.value(DATABASE, identity), "f");
}

/// A role that may write every table (pg_write_all_data; here by grants, which 13 has as well) gets nothing from ours: not
/// a superuser's task, and no statement that a superuser runs. Not even with triggers switched off.
#[test]
fn who_may_write_all_tables_is_no_superuser() {
    let pair = pair_with_owner();
    pair.source.run(
        DATABASE,
        "SELECT courier.create_task('all', server => 'dr', include => ARRAY['app.t']); \
         GRANT USAGE ON SCHEMA courier TO outsider; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA courier TO outsider",
    );
    if pair.source.install.major() >= 15 {
        pair.source.run(DATABASE, "GRANT SET ON PARAMETER session_replication_role TO outsider");
    }
    let mut outsider = pair.source.connect_as(DATABASE, "outsider", "pw");
    let tables = pair.source.rows(
        DATABASE,
        "SELECT c.relname, (SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND a.attidentity = '' LIMIT 1) \
         FROM pg_class c WHERE c.relnamespace = 'courier'::regnamespace AND c.relkind = 'r' ORDER BY 1",
    );
    assert!(tables.len() > 5);
    for row in &tables {
        let (table, column) = (row[0].as_deref().unwrap_or_default(), row[1].as_deref().unwrap_or_default());
        for statement in [
            format!("INSERT INTO courier.{table} DEFAULT VALUES"),
            format!("UPDATE courier.{table} SET {column} = {column}"),
            format!("DELETE FROM courier.{table}"),
        ] {
            for role in ["origin", "replica"].into_iter().take(if pair.source.install.major() >= 15 { 2 } else { 1 }) {
                outsider.batch_execute(&format!("SET session_replication_role = {role}")).ok();
                let answer = outsider.batch_execute(&statement).map_err(|e| Answer::from(&e)).expect_err(&statement);
                assert_eq!(answer.sqlstate, "42501", "{role}: {statement}: {answer}");
            }
        }
    }
    assert_eq!(
        pair.source.value(DATABASE, "SELECT to_regclass('courier.user_object')"),
        "",
        "a list that a superuser would run"
    );
}

/// A row that is in the way on the destination, with a number in it that is nobody's business. The alert goes to whoever
/// listens, and the lists to pg_monitor: none of them may see it, and the owner does.
#[test]
fn errors_show_values_of_rows_to_the_owner_only() {
    const SECRET: &str = "078-05-1120";
    let pair = pair_with_owner();
    pair.source.run(
        DATABASE,
        "CREATE TABLE app.patients (ssn text PRIMARY KEY); GRANT SELECT ON app.patients TO owner; \
         CREATE ROLE watcher LOGIN PASSWORD 'pw' IN ROLE pg_monitor; SELECT courier.grant_usage('watcher')",
    );
    ask(&pair, "owner", "SELECT courier.create_task('mine', server => 'dr', include => ARRAY['app.patients'])")
        .unwrap_or_else(|e| panic!("{e}"));
    ask(&pair, "owner", "SELECT courier.start('mine')").unwrap_or_else(|e| panic!("{e}"));
    pair.wait_for_state(DATABASE, "mine", "synchronizing");
    pair.destination.run(DATABASE, &format!("INSERT INTO app.patients VALUES ('{SECRET}')"));
    pair.source.run(DATABASE, &format!("INSERT INTO app.patients VALUES ('{SECRET}')"));
    pair.wait_for_state(DATABASE, "mine", "failed");
    let heard = pair.source.psql_ok(DATABASE, "LISTEN courier_alert; SELECT courier.health_check();");
    assert_mentions(&heard, &["\"item\" : \"task\"", "\"status\" : \"critical\""]);
    assert!(!heard.contains(SECRET) && !heard.contains("detail") && !heard.contains("hint"), "{heard}");
    let mut watcher = pair.source.connect_as(DATABASE, "watcher", "pw");
    let mut owner = pair.source.connect_as(DATABASE, "owner", "pw");
    for view in ["events", "alerts"] {
        let all = format!(
            "SELECT count(*)::text || ' ' || coalesce(string_agg(v::text, ' '), '') FROM courier.{view} v WHERE task = 'mine'"
        );
        let of = |client: &mut postgres::Client| {
            pg_courier_tests::sql::value(client, &all)
                .unwrap_or_else(|e| panic!("{view}: {}", Answer::from(&e)))
                .unwrap_or_default()
        };
        let (theirs, its) = (of(&mut watcher), of(&mut owner));
        assert!(!theirs.contains(SECRET) && !theirs.starts_with("0 "), "{view}: {theirs}");
        assert!(its.contains(SECRET), "{view}: {its}");
    }
}

/// The functions below the view of conflicts are granted too: they show no more than the view.
#[test]
fn rows_of_conflicts_are_for_who_may_read_the_table() {
    let pair = pair_with_owner();
    ask(
        &pair,
        "owner",
        "SELECT courier.create_task('mine', server => 'dr', include => ARRAY['app.t'], conflict => 'ignore')",
    )
    .unwrap_or_else(|e| panic!("{e}"));
    ask(&pair, "owner", "SELECT courier.start('mine')").unwrap_or_else(|e| panic!("{e}"));
    pair.wait_for_state(DATABASE, "mine", "synchronizing");
    pair.destination.run(DATABASE, "INSERT INTO app.t VALUES (1000, 'theirs')");
    pair.source.run(DATABASE, "INSERT INTO app.t VALUES (1000, 'secret salary')");
    pair.caught_up(DATABASE, "mine");
    let sources =
        ["unnest(courier.conflict_rows('mine')) AS c", "courier.read_conflicts('mine') AS c", "courier.conflicts AS c"];
    for (readable, change) in [(true, "SELECT"), (false, "REVOKE SELECT ON app.t FROM owner")] {
        pair.source.run(DATABASE, change);
        let mut owner = pair.source.connect_as(DATABASE, "owner", "pw");
        for from in sources {
            let shown = pg_courier_tests::sql::value(&mut owner, &format!("SELECT c::text FROM {from}")).expect(from);
            let shown = shown.expect("a conflict");
            assert_eq!(shown.contains("secret salary"), readable, "{from}: {shown}");
            assert!(shown.contains("ignored"), "{from}: {shown}");
        }
    }
}

/// A script with an empty variable: a call with NULL must not pass for one that did something.
#[test]
fn null_arguments_are_refused() {
    let pair = pair_with_owner();
    pair.source.run(DATABASE, "SELECT courier.create_task('all', server => 'dr', include => ARRAY['app.t'])");
    for call in [
        "SELECT courier.start(NULL)",
        "SELECT courier.pause(NULL)",
        "SELECT courier.resume(NULL)",
        "SELECT courier.drop_task(NULL)",
        "SELECT courier.drop_task('all', NULL)",
        "SELECT courier.wait_for(NULL)",
        "SELECT courier.wait_for('all', NULL)",
        "SELECT courier.skip_change(NULL, '0/1')",
        "SELECT courier.skip_change('all', NULL)",
        "SELECT courier.alter_task(NULL)",
        "SELECT courier.clear_conflicts(NULL)",
        "SELECT courier.clear_conflicts('all', NULL)",
        "SELECT courier.create_task(NULL, 'dr', '{app.t}')",
        "SELECT courier.ignore_precheck(NULL, 'wal_level', 'why')",
        "SELECT courier.grant_usage(NULL)",
        "SELECT courier.threshold(NULL)",
        "SELECT * FROM courier.test_connection(NULL)",
        "SELECT * FROM courier.plan(NULL)",
        "SELECT * FROM courier.verify(NULL)",
        "SELECT * FROM courier.precheck(NULL)",
        "SELECT * FROM courier.precheck(NULL, '{app.t}')",
        "SELECT * FROM courier.apply_fixes(NULL)",
        "SELECT * FROM courier.apply_fixes('all', NULL)",
        "SELECT * FROM courier.replica_identity(NULL)",
        "SELECT * FROM courier.large_objects(NULL)",
        "CALL courier.copy_large_objects(NULL)",
        "CALL courier.set_replica_identity(NULL)",
        "CALL courier.set_replica_identity('all', NULL)",
        "SELECT * FROM courier.account_sql(NULL, 'x')",
        "SELECT * FROM courier.check_account('postgres', NULL)",
        "SELECT * FROM courier.hba_lines(NULL, '::1/128')",
        "SELECT * FROM courier.source_settings(NULL)",
        "SELECT * FROM courier.drop_orphaned_slots(NULL)",
    ] {
        let answer = pair.source.refuses(DATABASE, call);
        assert_eq!(answer.sqlstate, "22004", "{call}: {answer}");
    }
    // Those that come later: what is strict and no part of another function only computes.
    let strict = pair.source.value(
        DATABASE,
        "SELECT string_agg(p.proname, ' ' ORDER BY p.proname) FROM pg_proc p JOIN pg_description d ON d.objoid = p.oid AND d.classoid = 'pg_proc'::regclass \
         WHERE p.pronamespace = 'courier'::regnamespace AND p.proisstrict AND p.pronargs > 0 AND d.description NOT LIKE 'Internal%'",
    );
    assert_eq!(strict, "progress_bar validator");
}
