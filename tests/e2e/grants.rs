//! Who may use what of the extension: what is declared in `sql/rights.sql` is what happens, and what administrators granted
//! stays through an update, a dump and a restore. What a fresh installation grants is in `tests/regress/sql/rights.sql`.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Answer, Cluster, Install, Stop};

use crate::common::{TASK, assert_mentions, mirrored_pair};

const OLD: &str = "0.1.0";

/// What others than the owner were granted on what is in the schema, on columns as well.
const GRANTED: &str = "SELECT concat_ws(' ', o.object, a.privilege_type, CASE WHEN a.is_grantable THEN 'grantable' END, \
            CASE a.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(a.grantee) END) \
       FROM (SELECT p.oid::regprocedure::text, p.proowner, p.proacl FROM pg_proc p WHERE p.pronamespace = 'courier'::regnamespace \
             UNION ALL SELECT c.oid::regclass::text, c.relowner, c.relacl FROM pg_class c WHERE c.relnamespace = 'courier'::regnamespace \
             UNION ALL SELECT c.oid::regclass || '.' || a.attname, c.relowner, a.attacl FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
              WHERE c.relnamespace = 'courier'::regnamespace \
             UNION ALL SELECT t.oid::regtype::text, t.typowner, t.typacl FROM pg_type t WHERE t.typnamespace = 'courier'::regnamespace \
             UNION ALL SELECT w.fdwname::text, w.fdwowner, w.fdwacl FROM pg_foreign_data_wrapper w \
             UNION ALL SELECT n.nspname::text, n.nspowner, n.nspacl FROM pg_namespace n WHERE n.nspname = 'courier') AS o(object, owner, acl) \
      CROSS JOIN LATERAL aclexplode(o.acl) a WHERE a.grantee <> o.owner ORDER BY 1";

/// Roles got what they need by hand before the update: a user, somebody who watches a view and two columns of it, a helper
/// who starts tasks and hands that on, one who reads a table. The superuser of the update opens to `stranger` all that it makes. All
/// keep what they had, the user gets what is new, the stranger nothing; and a restored dump of it is the same.
#[test]
fn what_was_granted_survives_an_update_and_a_dump() {
    let Some(install) = Install::with_release(OLD) else { return };
    let source = Cluster::builder("s").of(install).preload(true).conf("wal_level", "logical").start();
    source.create_database("upgraded");
    source.run(
        "upgraded",
        "CREATE EXTENSION pg_courier; CREATE ROLE mover; CREATE ROLE watcher; CREATE ROLE helper; CREATE ROLE apprentice; CREATE ROLE stranger; \
         SELECT courier.grant_usage('mover'); GRANT USAGE ON SCHEMA courier TO watcher, helper; \
         GRANT SELECT ON courier.slots TO watcher; GRANT SELECT (task, state) ON courier.tasks TO watcher; \
         GRANT EXECUTE ON FUNCTION courier.start(text) TO helper WITH GRANT OPTION; GRANT USAGE ON FOREIGN DATA WRAPPER pg_courier TO helper; \
         SET ROLE helper; GRANT EXECUTE ON FUNCTION courier.start(text) TO apprentice; RESET ROLE; \
         GRANT SELECT ON courier.heartbeat TO watcher; GRANT SELECT (id, name) ON courier.task TO watcher; \
         GRANT EXECUTE ON FUNCTION courier.progress_bar(numeric) TO PUBLIC; \
         CREATE FUNCTION courier.of_somebody_else() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION courier.of_somebody_else() FROM PUBLIC; \
         GRANT EXECUTE ON FUNCTION courier.of_somebody_else() TO watcher; CREATE TYPE courier.of_somebody_else AS (a int)",
    );
    let granted = |database: &str| -> Vec<String> {
        source.rows(database, GRANTED).into_iter().map(|mut row| row.remove(0).unwrap_or_default()).collect()
    };
    let before = granted("upgraded");
    assert!(before.len() > 40, "{before:?}");
    source.stop(Stop::Fast);
    install.upgrade();
    source.start();
    source.run(
        "upgraded",
        "ALTER DEFAULT PRIVILEGES GRANT ALL ON FUNCTIONS TO stranger; ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO stranger; \
         ALTER EXTENSION pg_courier UPDATE; ALTER DEFAULT PRIVILEGES REVOKE ALL ON FUNCTIONS FROM stranger; \
         ALTER DEFAULT PRIVILEGES REVOKE ALL ON TABLES FROM stranger",
    );
    let after = granted("upgraded");
    // What users get may be another thing now, and what takes other arguments nobody has.
    let only = |these: &[String], others: &[String]| -> Vec<String> {
        these.iter().filter(|line| !others.contains(line) && !line.ends_with(" mover")).cloned().collect()
    };
    assert_eq!((only(&before, &after), only(&after, &before)), (vec![], vec![]), "lost, and new");
    source.run("upgraded", "CREATE ROLE another; SELECT courier.grant_usage('another')");
    let after = granted("upgraded");
    let of = |role: &str| after.iter().filter_map(|line| line.strip_suffix(role)).collect::<Vec<_>>();
    assert_eq!(of(" mover"), of(" another"), "a user has what users get");

    let dump = source.program("pg_dump", "upgraded").output().expect("pg_dump runs");
    assert!(dump.status.success(), "{}", String::from_utf8_lossy(&dump.stderr));
    source.create_database("restored");
    source.psql_ok("restored", &String::from_utf8_lossy(&dump.stdout));
    let restored = granted("restored");
    let lost: Vec<_> = after.iter().filter(|line| !restored.contains(line)).collect();
    let new: Vec<_> = restored.iter().filter(|line| !after.contains(line)).collect();
    assert!(lost.is_empty() && new.is_empty(), "restored without {lost:#?}, with {new:#?}");
    source.assert_not_crashed();
}

/// A task of somebody else is in no view for a user; in those that are declared so, it is for one who is a member of pg_monitor.
#[test]
fn monitoring_sees_all_tasks_where_it_is_declared() {
    let pair = mirrored_pair();
    pair.source.run(
        DATABASE,
        "CREATE ROLE somebody LOGIN PASSWORD 'pw'; CREATE ROLE watcher LOGIN PASSWORD 'pw' IN ROLE pg_monitor; \
         SELECT courier.grant_usage('somebody'), courier.grant_usage('watcher')",
    );
    // A conflict, so that there is something to see in its view.
    pair.source.run(
        DATABASE,
        &format!("SELECT courier.pause('{TASK}'); SELECT courier.alter_task('{TASK}', conflict => 'ignore')"),
    );
    pair.wait_for_state(DATABASE, TASK, "paused");
    pair.destination.run(DATABASE, "DELETE FROM items WHERE id = 1");
    pair.call(DATABASE, "resume", TASK);
    pair.source.run(DATABASE, "UPDATE items SET v = 7 WHERE id = 1");
    pair.caught_up(DATABASE, TASK);
    let views = pair.source.rows(
        DATABASE,
        "SELECT r.object, r.audience FROM courier.declared_rights() r \
           JOIN pg_attribute a ON r.kind = 'VIEW' AND a.attrelid = to_regclass(r.object) AND a.attname = 'task'",
    );
    let mut seen = 0;
    for row in &views {
        let (view, audience) = (row[0].as_deref().unwrap_or_default(), row[1].as_deref().unwrap_or_default());
        let rows = format!("SELECT count(*) > 0 FROM {view} WHERE task = '{TASK}'");
        let sees = |role: &str| {
            let mut client = pair.source.connect_as(DATABASE, role, "pw");
            let answer = pg_courier_tests::sql::value(&mut client, &rows);
            answer.unwrap_or_else(|e| panic!("{view}: {}", Answer::from(&e))).as_deref() == Some("t")
        };
        let is_there = pair.source.value(DATABASE, &rows) == "t";
        seen += usize::from(is_there);
        assert!(!sees("somebody"), "{view} shows a task of somebody else");
        assert_eq!(sees("watcher"), is_there && audience == "monitoring", "{view}, declared for {audience}");
    }
    assert!(seen >= 7, "{seen} of {views:?} have rows");
}

/// The same for an update of an extension that was installed into a schema in which somebody had something already.
#[test]
fn an_update_of_an_extension_in_a_prepared_schema() {
    let Some(install) = Install::with_release(OLD) else { return };
    let source = Cluster::builder("s").of(install).preload(true).conf("wal_level", "logical").start();
    source.create_database(DATABASE);
    source.run(
        DATABASE,
        "CREATE ROLE somebody; GRANT CREATE ON DATABASE shop TO somebody; SET ROLE somebody; CREATE SCHEMA courier; \
         CREATE FUNCTION courier.resume(varchar) RETURNS void LANGUAGE plpgsql AS $$BEGIN ALTER ROLE somebody SUPERUSER; END$$; \
         RESET ROLE; CREATE EXTENSION pg_courier",
    );
    source.stop(Stop::Fast);
    install.upgrade();
    source.start();
    for finding in ["belongs to role somebody", "function courier.resume(character varying) belongs to role somebody"] {
        let refusal = source.refuses(DATABASE, "ALTER EXTENSION pg_courier UPDATE");
        assert_eq!(refusal.sqlstate, "55000", "{refusal}");
        assert_mentions(&refusal.to_string(), &[finding]);
        source.run(DATABASE, &refusal.hint);
    }
    source.run(DATABASE, "ALTER EXTENSION pg_courier UPDATE");
    assert_eq!(source.value(DATABASE, "SELECT rolsuper FROM pg_roles WHERE rolname = 'somebody'"), "f");
}

/// Before the extension is installed, somebody makes its schema, with a function that fits `courier.drop_task('t')` better than the
/// extension's own, and an operator that fits what its script compares. Superusers would run both.
#[test]
fn a_schema_that_somebody_prepared() {
    let source = Cluster::builder("s").preload(true).conf("wal_level", "logical").start();
    source.create_database(DATABASE);
    source.run(
        DATABASE,
        "CREATE ROLE somebody; GRANT CREATE ON DATABASE shop TO somebody; SET ROLE somebody; CREATE SCHEMA courier; \
         CREATE FUNCTION courier.drop_task(text) RETURNS void LANGUAGE plpgsql AS $$BEGIN ALTER ROLE somebody SUPERUSER; END$$; \
         CREATE SCHEMA aside; CREATE FUNCTION aside.equals(oid, regclass) RETURNS boolean LANGUAGE plpgsql \
         AS $$BEGIN ALTER ROLE somebody SUPERUSER; RETURN $1 OPERATOR(pg_catalog.=) $2::oid; END$$; \
         CREATE OPERATOR courier.= (LEFTARG = oid, RIGHTARG = regclass, FUNCTION = aside.equals); GRANT CREATE ON SCHEMA courier TO PUBLIC",
    );
    for finding in
        ["belongs to role somebody", "PUBLIC may create", "function courier.drop_task(text) belongs to role somebody"]
    {
        let refusal = source.refuses(DATABASE, "CREATE EXTENSION pg_courier");
        assert_eq!(refusal.sqlstate, "55000", "{refusal}");
        assert_mentions(&refusal.to_string(), &[finding]);
        source.run(DATABASE, &refusal.hint);
    }
    source.run(DATABASE, "CREATE EXTENSION pg_courier");
    source.run(DATABASE, "ALTER DEFAULT PRIVILEGES GRANT ALL ON SCHEMAS TO somebody; DROP EXTENSION pg_courier; DROP SCHEMA courier CASCADE");
    let refusal = source.refuses(DATABASE, "CREATE EXTENSION pg_courier");
    source.run(DATABASE, &refusal.hint);
    source.run(DATABASE, "CREATE EXTENSION pg_courier");
    assert_eq!(source.value(DATABASE, "SELECT rolsuper FROM pg_roles WHERE rolname = 'somebody'"), "f");
    assert_eq!(source.value(DATABASE, "SELECT has_schema_privilege('somebody', 'courier', 'CREATE')"), "f");
}
