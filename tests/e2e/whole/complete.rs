//! What a database has besides its objects: roles, owners, default privileges, settings.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::DATABASE;

use super::{assert_alike, assert_answers, create, of_this_major, pair_without_superuser, start};
use crate::common::{TASK, assert_mentions, is_ok};

const SHOP: &str = "
    CREATE ROLE boss; CREATE ROLE reader; CREATE ROLE ghost LOGIN CREATEDB CONNECTION LIMIT 3; GRANT boss TO ghost;
    CREATE SCHEMA s AUTHORIZATION boss;
    SET ROLE boss;
    CREATE TYPE s.mood AS ENUM ('sad', 'happy');
    CREATE TABLE s.t (id serial PRIMARY KEY, a int, b int, how s.mood);
    CREATE STATISTICS s.both ON a, b FROM s.t;
    CREATE FUNCTION s.f(s.t) RETURNS int LANGUAGE sql AS 'SELECT $1.a';
    CREATE PROCEDURE s.p() LANGUAGE sql BEGIN ATOMIC DELETE FROM s.t; END;
    CREATE AGGREGATE s.total(int) (SFUNC = int4pl, STYPE = int);
    CREATE VIEW s.v AS SELECT id, s.f(t) FROM s.t;
    CREATE SEQUENCE s.free;
    GRANT SELECT ON s.t TO reader;
    ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT SELECT ON TABLES TO reader;
    ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
    RESET ROLE;
    CREATE FUNCTION s.noted() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
    CREATE DOMAIN s.word AS text; ALTER DOMAIN s.word OWNER TO ghost;
    CREATE EVENT TRIGGER noted ON ddl_command_end WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION s.noted();
    ALTER DATABASE shop SET search_path = s, \"$user\", public; ALTER DATABASE shop SET app.key = 'it''s, so';
    CREATE PUBLICATION sold FOR TABLE s.t WITH (publish = 'insert, delete');
    ALTER ROLE boss IN DATABASE shop SET work_mem = '5MB'; COMMENT ON DATABASE shop IS 'What''s in it';
    INSERT INTO s.t (a) SELECT generate_series(1, 10)";

/// Whose everything is, and what the database has by itself.
const WHOSE: &str = "
    SELECT string_agg(line, E'\\n' ORDER BY line) FROM (
        SELECT concat_ws(' ', c.oid::regclass, pg_get_userbyid(relowner)) AS line FROM pg_class c WHERE relnamespace = 's'::regnamespace
        UNION ALL SELECT concat_ws(' ', proname, pg_get_userbyid(proowner)) FROM pg_proc WHERE pronamespace = 's'::regnamespace
        UNION ALL SELECT concat_ws(' ', typname, pg_get_userbyid(typowner)) FROM pg_type WHERE typnamespace = 's'::regnamespace
             -- Before 14 a sequence has one, too.
             AND NOT EXISTS (SELECT FROM pg_class c WHERE c.oid = typrelid AND relkind = 'S')
        UNION ALL SELECT concat_ws(' ', nspname, pg_get_userbyid(nspowner)) FROM pg_namespace WHERE nspname = 's'
        UNION ALL SELECT concat_ws(' ', stxname, pg_get_userbyid(stxowner)) FROM pg_statistic_ext
        UNION ALL SELECT concat_ws(' ', pg_get_userbyid(setrole), setconfig) FROM pg_db_role_setting WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = 'shop')
        UNION ALL SELECT concat_ws(' ', pg_get_userbyid(defaclrole), nullif(defaclnamespace, 0)::regnamespace, defaclobjtype, defaclacl) FROM pg_default_acl
        UNION ALL SELECT concat_ws(' ', p.pubname, p.pubinsert, p.pubupdate, t.tablename) FROM pg_publication p JOIN pg_publication_tables t USING (pubname)
        UNION ALL SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = 'shop') AS lines";

/// The rows of a call, without statements.
fn lines(pair: &Pair, arguments: &str) -> Vec<String> {
    let sql = format!(
        "SELECT concat_ws(' | ', state, kind, object, detail) FROM courier.complete_destination('{TASK}'{arguments})"
    );
    pair.source.rows(DATABASE, &sql).into_iter().flatten().flatten().collect()
}

fn lines_in(pair: &Pair, arguments: &str, state: &str) -> Vec<String> {
    lines(pair, arguments).into_iter().filter(|line| line.starts_with(state)).collect()
}

/// Before the start roles are made, so that grants arrive. When applications are to come everything gets its owner, and the database what it
/// has on the source; each statement for itself, so that what only a superuser may is said with its statement. Then nothing is left, and
/// the task goes on with commands on what is not its user's any more.
#[test]
fn everything_gets_its_owner_when_somebody_says_so() {
    let pair = pair_without_superuser();
    pair.source.run(DATABASE, &of_this_major(SHOP));
    pair.destination.run(DATABASE, "ALTER ROLE courier CREATEROLE; CREATE SCHEMA side");
    create(&pair, &["s.*"]);
    pair.source
        .run(DATABASE, &format!("SELECT courier.trust_role('{TASK}', r) FROM unnest('{{boss,ghost}}'::text[]) AS r"));
    // Roles.
    let roles = ", kinds => '{role,membership}'";
    let found = lines(&pair, roles);
    assert_mentions(
        &found.join("\n"),
        &[
            "missing | role | boss",
            "missing | role | ghost | Without CREATEDB, which superusers give. Without its password",
            "missing | role | reader",
            "waits | membership | ghost in boss | Role boss is not on the destination.",
        ],
    );
    assert_eq!(found.len(), 4, "{found:?}");
    assert!(!is_ok(&pair, "destination_grantees"));
    assert_mentions(
        &lines(&pair, ", dry_run => false, kinds => '{role,owner}'").join("\n"),
        &["missing | role | boss", "waits | owner | schema s | Role boss is not on the destination."],
    );
    let made = lines_in(&pair, ", dry_run => false, roles => true, kinds => '{role,membership}'", "done");
    assert_eq!(made.len(), 4, "{made:?}");
    let like = "SELECT rolcanlogin, rolconnlimit, rolcreatedb, pg_has_role('ghost', 'boss', 'MEMBER') FROM pg_roles WHERE rolname = 'ghost'";
    let rows = pair.destination.rows(DATABASE, like);
    assert_eq!(rows[0].iter().flatten().map(String::as_str).collect::<Vec<_>>(), ["t", "3", "f", "t"]);
    assert_eq!(lines(&pair, roles), Vec::<String>::new());
    assert!(is_ok(&pair, "destination_grantees"));
    // Whose is what.
    start(&pair);
    let before = pair.destination.value(DATABASE, WHOSE);
    let wanted = lines_in(&pair, "", "missing");
    assert_mentions(
        &wanted.join("\n"),
        &[
            "missing | owner | schema s | It belongs to courier there.",
            "missing | owner | function s.f(s.t)",
            "missing | owner | aggregate s.total(integer)",
            "missing | owner | statistics object s.\"both\"",
            "missing | default privileges | ALTER DEFAULT PRIVILEGES FOR ROLE boss IN SCHEMA s",
            "missing | setting | database SET search_path | It is not set there.",
            "missing | comment | database",
            "missing | event trigger | noted | It is not there.",
            "missing | publication | sold | It is not there.",
        ],
    );
    assert_eq!(pair.destination.value(DATABASE, WHOSE), before, "nothing has been done");
    // From 16 on whoever makes a role is its administrator and nothing else.
    let is_new = pair.destination.value(DATABASE, "SELECT current_setting('server_version_num')::int >= 160000") == "t";
    let member = if is_new { "ADMIN TRUE, SET TRUE, INHERIT TRUE" } else { "ADMIN OPTION" };
    pair.destination.run(DATABASE, &format!("GRANT boss, ghost TO courier WITH {member}"));
    let failed = lines_in(&pair, ", dry_run => false", "failed");
    assert_eq!(failed.len(), 3, "{failed:?}");
    assert_mentions(
        &failed.join("\n"),
        &[
            "owner | function s.noted() | must be ",
            "event trigger | noted | permission denied to create event trigger",
            "setting | database SET app.key | permission denied to set parameter",
        ],
    );
    // They come with the statement for somebody who may.
    let statements = format!("SELECT string_agg(statement, ' ') FROM courier.complete_destination('{TASK}')");
    pair.destination.run(DATABASE, &pair.source.value(DATABASE, &statements));
    let disabled = "SELECT evtenabled FROM pg_event_trigger WHERE evtname = 'noted'";
    assert_eq!(pair.destination.value(DATABASE, disabled), "D");
    assert_eq!(lines(&pair, ""), Vec::<String>::new());
    // What the destination's own user has besides is its own.
    assert_answers(&pair, WHOSE);
    let told =
        "SELECT count(*) > 0 FROM courier.events WHERE kind = 'completed' AND message LIKE '% statements changed%'";
    assert_eq!(pair.source.value(DATABASE, told), "t");
    // A label of a provider that is not here: nobody could give one otherwise.
    let label = "SET allow_system_table_mods = on; INSERT INTO pg_seclabel VALUES ('s.t'::regclass, 'pg_class'::regclass, 2, 'anon', 'MASKED')";
    pair.source.run(DATABASE, label);
    let labels = ", dry_run => false, kinds => '{security label}'";
    assert_mentions(
        &lines(&pair, labels).join("\n"),
        &["failed | security label | anon on column s.t.a | ", "\"anon\" is not loaded"],
    );
    pair.destination.run(DATABASE, label);
    assert_eq!(lines(&pair, labels), Vec::<String>::new());
    // What is taken away there is missed, though all roles are there.
    let by = if is_new { " GRANTED BY courier" } else { "" };
    pair.destination.run(DATABASE, &format!("REVOKE boss FROM ghost{by}"));
    assert_eq!(lines(&pair, ""), ["missing | membership | ghost in boss | It is none there."]);
    // And on it goes.
    pair.source.run(
        DATABASE,
        "ALTER TABLE s.t ADD COLUMN c int DEFAULT 7; UPDATE s.t SET a = 5 WHERE id = 1; CREATE INDEX t_a ON s.t (a);
         CREATE OR REPLACE FUNCTION s.f(s.t) RETURNS int LANGUAGE sql AS 'SELECT $1.a + 1'; DROP SEQUENCE s.free; CREATE TABLE s.later (id int PRIMARY KEY)",
    );
    pair.caught_up(DATABASE, TASK);
    assert_alike(&pair, "s");
    pair.assert_mirrored(TASK, &["s.t", "s.later"]);
    assert_eq!(lines(&pair, ", kinds => '{owner}'").len(), 1, "the table that came after");
    let answer = pair
        .source
        .refuses(DATABASE, &format!("SELECT * FROM courier.complete_destination('{TASK}', kinds => '{{owners}}')"));
    assert_mentions(
        &answer.to_string(),
        &["there is no kind \"owners\"", "kinds => ARRAY['role', 'membership', 'foreign-data wrapper'"],
    );
}
