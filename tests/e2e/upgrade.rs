//! `ALTER EXTENSION pg_courier UPDATE` from the releases of `tests/upgrade/releases.txt`.

use pg_courier_tests::install::Install;
use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Cluster, Pair, Stop};

use crate::common::{SMALL, TASK, assert_mentions, mirror_small_tables};

const OLD: &str = "0.1.0";

/// A task of the old release is synchronizing when the package is replaced and the server restarted. Until somebody types
/// the update nothing runs, and it is said what to type; afterwards the task goes on by itself, on the
/// destination's old helper tables, without a row lost or doubled. A paused one stays as it is, and who might use the
/// extension still may.
#[test]
fn a_running_task_goes_on() {
    let Some(install) = Install::with_release(OLD) else { return };
    let pair = Pair::builder().source_of(install).start();
    let source = &pair.source;
    mirror_small_tables(&pair);
    source.run(DATABASE, "CREATE SCHEMA aside; CREATE TABLE aside.later (id int PRIMARY KEY)");
    pair.start_task("waits", &["aside.later"]);
    pair.wait_for_state(DATABASE, "waits", "synchronizing");
    pair.call(DATABASE, "pause", "waits");
    source.run(
        DATABASE,
        "CREATE ROLE mover; CREATE ROLE watcher; SELECT courier.grant_usage('mover'); \
         GRANT USAGE ON SCHEMA courier TO watcher; GRANT SELECT ON courier.slots TO watcher; \
         INSERT INTO items VALUES (5001, 1, 'before'); INSERT INTO journal VALUES (1, 'before')",
    );
    pair.caught_up(DATABASE, TASK);

    source.stop(Stop::Fast);
    install.upgrade();
    source.start();
    source.run(DATABASE, "INSERT INTO items VALUES (5002, 1, 'between'); INSERT INTO journal VALUES (1, 'between')");
    source.wait_for_log("ALTER EXTENSION pg_courier UPDATE", 0);
    let refusal = source.refuses(DATABASE, &format!("SELECT courier.resume('{TASK}')"));
    assert_eq!(refusal.sqlstate, "55000", "{refusal}");
    assert_mentions(&refusal.to_string(), &["ALTER EXTENSION pg_courier UPDATE", OLD]);

    source.run(DATABASE, "ALTER EXTENSION pg_courier UPDATE");
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    source.run(DATABASE, "UPDATE items SET v = 2 WHERE id < 100; INSERT INTO journal VALUES (1, 'after')");
    pair.assert_mirrored(TASK, &SMALL);
    assert_eq!(pair.task(DATABASE, "waits", "state"), "paused");
    pair.call(DATABASE, "resume", "waits");
    source.run(DATABASE, "INSERT INTO aside.later VALUES (1)");
    pair.assert_mirrored("waits", &["aside.later"]);

    // The task of the old release applies commands from now on.
    source.run(DATABASE, &format!("SELECT courier.alter_task('{TASK}', ddl => 'replicate')"));
    source.run(
        DATABASE,
        "ALTER TABLE items ADD added int DEFAULT 3; INSERT INTO items VALUES (5003, 1, 'commands', 4); CREATE TABLE made (id int PRIMARY KEY); \
         INSERT INTO made VALUES (1); ALTER TABLE journal RENAME TO diary; INSERT INTO diary VALUES (1, 'with another name')",
    );
    pair.caught_up(DATABASE, TASK);
    pair.assert_same(DATABASE, &["public.items", "public.diary"]);

    let granted = "SELECT has_function_privilege('mover', 'courier.start(text)', 'EXECUTE'), \
         has_function_privilege('watcher', 'courier.start(text)', 'EXECUTE'), \
         has_table_privilege('watcher', 'courier.slots', 'SELECT'), has_table_privilege('watcher', 'courier.tasks', 'SELECT')";
    assert_eq!(source.rows(DATABASE, granted), [["t", "f", "t", "f"].map(|value| Some(value.to_owned()))]);
    for task in [TASK, "waits"] {
        pair.call(DATABASE, "drop_task", task);
    }
    source.assert_not_crashed();
}

/// Whoever upgraded has what whoever installs gets: every function, view, column, constraint, comment and right.
#[test]
fn an_upgraded_extension_is_like_a_fresh_one() {
    let Some(install) = Install::with_release(OLD) else { return };
    let source = Cluster::builder("s").of(install).preload(true).conf("wal_level", "logical").start();
    for database in ["upgraded", "fresh"] {
        source.create_database(database);
    }
    source.run("upgraded", "CREATE EXTENSION pg_courier");
    let old = functions_in_c(&source, "upgraded");
    source.stop(Stop::Fast);
    install.upgrade();
    source.start();
    source.run("upgraded", "ALTER EXTENSION pg_courier UPDATE");
    source.run("fresh", "CREATE EXTENSION pg_courier");

    for (what, query) in DESCRIPTIONS {
        let (upgraded, fresh) = (lines(&source, "upgraded", query), lines(&source, "fresh", query));
        assert!(!fresh.is_empty(), "there are {what}");
        let missing: Vec<_> = fresh.iter().filter(|line| !upgraded.contains(line)).collect();
        let other: Vec<_> = upgraded.iter().filter(|line| !fresh.contains(line)).collect();
        assert!(missing.is_empty() && other.is_empty(), "{what}\nonly fresh: {missing:#?}\nonly upgraded: {other:#?}");
    }

    // Between the new library and the update the old declarations call into it: a function whose arguments or columns
    // have changed needs another name in C, or it would read what is not there.
    let new = functions_in_c(&source, "fresh");
    for (symbol, signature) in &old {
        // And the old name stays, to say what is to be done: the server would only miss it. It refuses to declare what is not there.
        let declaration =
            format!("CREATE OR REPLACE FUNCTION there() RETURNS int LANGUAGE c AS 'pg_courier', '{symbol}'");
        source.run("fresh", &declaration);
        if let Some((_, now)) = new.iter().find(|(name, _)| name == symbol) {
            // One that was strict and now takes NULL just gets none from an old declaration.
            let is_looser = signature.strip_suffix(" STRICT") == Some(now);
            assert!(now == signature || is_looser, "{symbol} is declared otherwise than in {OLD}: {now}, {signature}");
        }
    }
    source.assert_not_crashed();
}

/// Symbol and signature of the functions that the library has.
fn functions_in_c(source: &Cluster, database: &str) -> Vec<(String, String)> {
    let query = "SELECT p.prosrc || E'\\t' || pg_get_function_identity_arguments(p.oid) || ' -> ' || pg_get_function_result(p.oid) \
         || CASE WHEN p.proisstrict THEN ' STRICT' ELSE '' END \
         FROM pg_proc p JOIN pg_language l ON l.oid = p.prolang \
         WHERE p.pronamespace = 'courier'::regnamespace AND l.lanname = 'c' ORDER BY 1";
    let lines = lines(source, database, query);
    lines.iter().filter_map(|line| line.split_once('\t')).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

fn lines(source: &Cluster, database: &str, query: &str) -> Vec<String> {
    source.rows(database, query).into_iter().map(|mut row| row.remove(0).unwrap_or_default()).collect()
}

const DESCRIPTIONS: [(&str, &str); 7] = [
    (
        "functions",
        "SELECT concat_ws(' ', p.oid::regprocedure, pg_get_function_arguments(p.oid), pg_get_function_result(p.oid), p.prokind, \
         p.provolatile, p.proisstrict, p.prosecdef, p.proconfig, p.proacl, p.prosrc, d.description) \
         FROM pg_proc p LEFT JOIN pg_description d ON d.classoid = 'pg_proc'::regclass AND d.objoid = p.oid \
         WHERE p.pronamespace = 'courier'::regnamespace",
    ),
    (
        "relations",
        "SELECT concat_ws(' ', c.relname, c.relkind, c.reloptions, c.relacl, d.description, \
         CASE WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid) WHEN c.relkind = 'i' THEN pg_get_indexdef(c.oid) END) \
         FROM pg_class c LEFT JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = 0 \
         WHERE c.relnamespace = 'courier'::regnamespace",
    ),
    (
        // A column that an upgrade adds is the last one.
        "columns",
        "SELECT concat_ws(' ', c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, \
         pg_get_expr(e.adbin, e.adrelid), d.description) \
         FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
         LEFT JOIN pg_attrdef e ON e.adrelid = c.oid AND e.adnum = a.attnum \
         LEFT JOIN pg_description d ON d.classoid = 'pg_class'::regclass AND d.objoid = c.oid AND d.objsubid = a.attnum \
         WHERE c.relnamespace = 'courier'::regnamespace AND c.relkind IN ('r', 'v')",
    ),
    (
        "constraints",
        "SELECT concat_ws(' ', n.conrelid::regclass, n.conname, pg_get_constraintdef(n.oid)) FROM pg_constraint n \
         WHERE n.connamespace = 'courier'::regnamespace",
    ),
    (
        "triggers",
        "SELECT concat_ws(' ', t.tgrelid::regclass, pg_get_triggerdef(t.oid), t.tgenabled) FROM pg_trigger t \
         JOIN pg_class c ON c.oid = t.tgrelid WHERE c.relnamespace = 'courier'::regnamespace AND NOT t.tgisinternal \
         UNION ALL SELECT concat_ws(' ', e.evtname, e.evtevent, e.evtfoid::regproc, e.evtenabled, e.evttags) FROM pg_event_trigger e",
    ),
    (
        // Who may what, written or by default, and what pg_dump takes for the extension's own.
        "rights",
        "SELECT concat_ws(' ', pg_describe_object(o.classid, o.objid, o.objsubid), o.acl, 'initially', i.initprivs) \
         FROM (SELECT 'pg_proc'::regclass, p.oid, 0, COALESCE(p.proacl, acldefault('f', p.proowner)) FROM pg_proc p \
               UNION ALL SELECT 'pg_class'::regclass, c.oid, 0, \
                      COALESCE(c.relacl, acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\", c.relowner)) \
                 FROM pg_class c WHERE c.relkind <> 'i' \
               UNION ALL SELECT 'pg_class'::regclass, a.attrelid, a.attnum, COALESCE(a.attacl, '{}') FROM pg_attribute a WHERE NOT a.attisdropped \
               UNION ALL SELECT 'pg_type'::regclass, t.oid, 0, COALESCE(t.typacl, acldefault('T', t.typowner)) FROM pg_type t \
               UNION ALL SELECT 'pg_foreign_data_wrapper'::regclass, w.oid, 0, COALESCE(w.fdwacl, acldefault('F', w.fdwowner)) \
                 FROM pg_foreign_data_wrapper w) AS o(classid, objid, objsubid, acl) \
         LEFT JOIN pg_init_privs i ON i.classoid = o.classid AND i.objoid = o.objid AND i.objsubid = o.objsubid \
         JOIN pg_depend d ON d.classid = o.classid AND d.objid = o.objid AND d.deptype = 'e' \
          AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_courier') \
         UNION ALL SELECT concat_ws(' ', 'schema', COALESCE(n.nspacl, acldefault('n', n.nspowner)), i.initprivs) FROM pg_namespace n \
         LEFT JOIN pg_init_privs i ON i.classoid = 'pg_namespace'::regclass AND i.objoid = n.oid WHERE n.nspname = 'courier'",
    ),
    (
        "members of the extension",
        "SELECT pg_describe_object(d.classid, d.objid, 0) FROM pg_depend d WHERE d.deptype = 'e' \
         AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'pg_courier')",
    ),
];
