//! What leads out of a database: foreign-data wrappers, servers, user mappings, foreign tables, subscriptions. Their definitions come when somebody
//! says so, without secrets, and nothing connects anywhere.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::{DATABASE, PASSWORD, ROLE};
use pg_courier_tests::sql::{literal, rows};

use super::{assert_alike, assert_answers, create, pair_without_superuser, start};
use crate::common::{TASK, assert_mentions, findings, omitted};

const SECRET: &str = "geheim";

const OUTSIDE: &str = "
    CREATE ROLE boss; CREATE ROLE reader; CREATE SCHEMA s; CREATE EXTENSION postgres_fdw; CREATE EXTENSION file_fdw;
    CREATE FOREIGN DATA WRAPPER own OPTIONS (mode 'fast', api_key 'geheim');
    CREATE SERVER \"Far\" TYPE 'it''s' VERSION '1' FOREIGN DATA WRAPPER postgres_fdw OPTIONS (dbname 'x', host 'nowhere.invalid', port '1');
    CREATE SERVER files FOREIGN DATA WRAPPER file_fdw; CREATE SERVER odd FOREIGN DATA WRAPPER own OPTIONS (url 'http://me:geheim@nowhere/', token 'geheim', way 'there');
    GRANT USAGE ON FOREIGN SERVER \"Far\" TO reader WITH GRANT OPTION; COMMENT ON SERVER \"Far\" IS 'far'; ALTER SERVER files OWNER TO boss;
    CREATE USER MAPPING FOR reader SERVER \"Far\" OPTIONS (user 'a', password 'geheim'); CREATE USER MAPPING FOR PUBLIC SERVER odd OPTIONS (user 'p', pin 'geheim');
    CREATE TYPE s.mood AS ENUM ('a'); CREATE FUNCTION s.tr() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE FUNCTION s.fine(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 > 0';
    CREATE TABLE s.t (id int PRIMARY KEY); INSERT INTO s.t SELECT generate_series(1, 5);
    CREATE FOREIGN TABLE s.ft (id int OPTIONS (column_name 'ID') NOT NULL DEFAULT 5, m s.mood, v text COLLATE \"C\", g int GENERATED ALWAYS AS (id + 1) STORED,
        CHECK (s.fine(id)), CONSTRAINT \"Not yet\" CHECK (id < 9) NOT VALID) SERVER \"Far\" OPTIONS (schema_name 'y', table_name 'x');
    CREATE TRIGGER tr BEFORE INSERT ON s.ft FOR EACH ROW EXECUTE FUNCTION s.tr(); ALTER FOREIGN TABLE s.ft DISABLE TRIGGER tr;
    COMMENT ON FOREIGN TABLE s.ft IS 'foreign'; COMMENT ON COLUMN s.ft.id IS 'its id'; GRANT SELECT ON s.ft TO reader; GRANT INSERT (id) ON s.ft TO boss;
    CREATE FOREIGN TABLE s.secretive (a int OPTIONS (token 'geheim', x 'y')) SERVER odd; ALTER FOREIGN TABLE s.secretive OWNER TO boss;
    CREATE TABLE s.p (id int NOT NULL, v text, CHECK (id > -5)) PARTITION BY RANGE (id); CREATE TABLE s.p1 PARTITION OF s.p FOR VALUES FROM (0) TO (10);
    INSERT INTO s.p SELECT g, g FROM generate_series(0, 9) g;
    CREATE FOREIGN TABLE s.p2 (v text, id int NOT NULL, CONSTRAINT p_id_check CHECK (id > -5)) SERVER \"Far\"; ALTER TABLE s.p ATTACH PARTITION s.p2 FOR VALUES FROM (10) TO (20);
    CREATE TABLE s.parent (a int); CREATE FOREIGN TABLE s.child (b int) INHERITS (s.parent) SERVER files OPTIONS (filename '/dev/null', format 'csv');
    CREATE SCHEMA unnamed; CREATE FOREIGN TABLE unnamed.ft (a int) SERVER files OPTIONS (filename '/dev/null');
    CREATE SUBSCRIPTION sub CONNECTION 'host=nowhere.invalid password=geheim user=me dbname=''a b''' PUBLICATION p1, \"P2\"
        WITH (connect = false, enabled = false, create_slot = false, slot_name = NONE, synchronous_commit = local)";

/// Wrappers, servers, mappings, tables and subscriptions with all that is no secret.
const THERE: &str = "
    SELECT string_agg(line, E'\\n' ORDER BY line COLLATE \"C\") FROM (
        SELECT concat_ws(' ', fdwname, array_remove(fdwoptions, 'api_key=geheim')) AS line FROM pg_foreign_data_wrapper WHERE fdwname = 'own'
        UNION ALL SELECT concat_ws(' ', srvname, srvtype, srvversion, ARRAY(SELECT o FROM unnest(srvoptions) o WHERE o NOT LIKE '%geheim%'), pg_get_userbyid(srvowner),
                                   obj_description(oid, 'pg_foreign_server')) FROM pg_foreign_server WHERE srvname IN ('Far', 'files', 'odd')
        UNION ALL SELECT concat_ws(' ', srvname, usename, (umoptions)[1]) FROM pg_user_mappings WHERE srvname IN ('Far', 'odd')
        UNION ALL SELECT concat_ws(' ', subname, subenabled, subslotname, subpublications, subsynccommit, pg_get_userbyid(subowner)) FROM pg_subscription
        UNION ALL SELECT concat_ws(' ', ftrelid::regclass, ftoptions, pg_get_userbyid(relowner)) FROM pg_foreign_table JOIN pg_class ON pg_class.oid = ftrelid WHERE relnamespace = 's'::regnamespace
        UNION ALL SELECT concat_ws(' ', tgrelid::regclass, tgname, tgenabled) FROM pg_trigger WHERE tgname = 'tr') AS lines";

fn lines(pair: &Pair, arguments: &str) -> String {
    let sql = format!(
        "SELECT coalesce(string_agg(concat_ws(' | ', state, kind, object, detail, statement), E'\\n'), '') FROM courier.complete_destination('{TASK}'{arguments}) \
         WHERE kind NOT IN ('role', 'membership') AND NOT (kind = 'owner' AND state = 'failed')"
    );
    pair.source.value(DATABASE, &sql)
}

/// Without secrets, and each for itself: what only a superuser may is left with its statement. Rows of foreign tables stay where they are; the
/// tables that have them as partitions travel.
#[test]
fn what_leads_out_comes_without_secrets() {
    let pair = pair_without_superuser();
    pair.source.run(DATABASE, OUTSIDE);
    pair.destination.run("postgres", "CREATE ROLE boss; CREATE ROLE reader; GRANT boss TO courier");
    create(&pair, &["s.*"]);
    assert_mentions(
        &omitted(&pair),
        &[
            "foreign table | s.p2 | not created before courier.complete_destination(), and its rows do not travel: until then rows of its bounds",
            "server (3) | \"Far\", files, odd | not created before courier.complete_destination(), and without what may be a secret",
            "subscription | sub | not created before",
        ],
    );
    assert_mentions(
        &findings(&pair, "left_out"),
        &["s.p2 | It is a foreign table, a partition of s.p", "s.ft | It is a foreign table: it comes"],
    );
    let wrapper = "warning | postgres_fdw | Its foreign-data wrapper is used by servers, and it is not there: courier.complete_destination() cannot make \"Far\"";
    assert_mentions(
        &findings(&pair, "destination_extensions"),
        &[wrapper, "warning | file_fdw", "CREATE EXTENSION IF NOT EXISTS file_fdw"],
    );
    start(&pair);
    pair.assert_same(DATABASE, &["s.t", "s.p1"]);
    let wanted = lines(&pair, "");
    assert_mentions(
        &wanted,
        &[
            "missing | foreign-data wrapper | own | It is not there. What may be a secret is not carried: ALTER FOREIGN DATA WRAPPER own OPTIONS (ADD api_key '...');",
            "missing | server | \"Far\" | It is not there, nor is its foreign-data wrapper postgres_fdw: CREATE EXTENSION postgres_fdw.",
            "ALTER SERVER odd OPTIONS (ADD token '...', ADD url '...');",
            "ALTER USER MAPPING FOR reader SERVER \"Far\" OPTIONS (ADD password '...');",
            "ALTER USER MAPPING FOR PUBLIC SERVER odd OPTIONS (ADD pin '...');",
            "ALTER FOREIGN TABLE s.secretive ALTER a OPTIONS (ADD token '...');",
            "ALTER SUBSCRIPTION sub CONNECTION 'user=''me'' dbname=''a b'' host=''nowhere.invalid'' password=...';",
        ],
    );
    assert!(!wanted.contains("unnamed"), "{wanted}");
    pair.destination.run(
        DATABASE,
        "CREATE EXTENSION postgres_fdw; CREATE EXTENSION file_fdw; GRANT USAGE ON FOREIGN DATA WRAPPER postgres_fdw, file_fdw TO courier",
    );
    let done = lines(&pair, ", dry_run => false");
    assert_mentions(
        &done,
        &[
            "failed | foreign-data wrapper | own | permission denied to create foreign-data wrapper",
            "done | server | \"Far\"",
            "done | user mapping | for reader on \"Far\"",
            "done | foreign table | s.ft",
            "done | foreign table | s.p2",
            "failed | subscription | sub | ",
        ],
    );
    // For whoever may. What the trigger's function is there for is not asked.
    let statements = format!("SELECT string_agg(statement, ' ') FROM courier.complete_destination('{TASK}')");
    pair.destination.run(DATABASE, &pair.source.value(DATABASE, &statements));
    let statements = pair.source.value(
        DATABASE,
        &format!(
            "SELECT coalesce((SELECT string_agg(statement, ' ') FROM courier.complete_destination('{TASK}')), '')"
        ),
    );
    pair.destination.run(DATABASE, &statements);
    assert_answers(&pair, THERE);
    // What is set by hand is nobody's business.
    pair.destination.run(DATABASE, "ALTER FOREIGN TABLE s.secretive ALTER a OPTIONS (ADD token 'geheim')");
    assert_eq!(lines(&pair, ""), "");
    assert_alike(&pair, "s");
    assert_eq!(
        pair.destination.value(DATABASE, "SELECT count(*) FROM pg_foreign_table"),
        "4",
        "no pattern names the other one"
    );

    // On it goes, and nothing has told a secret.
    pair.destination.run("postgres", "GRANT postgres TO courier");
    pair.source.run(DATABASE, "ALTER TABLE s.p ADD COLUMN more int DEFAULT 7; INSERT INTO s.p1 VALUES (3, 'x', 1); ALTER SERVER \"Far\" OPTIONS (SET host 'elsewhere')");
    pair.caught_up(DATABASE, TASK);
    pair.assert_same(DATABASE, &["s.p1"]);
    assert_mentions(
        &lines(&pair, ", kinds => '{server}'"),
        &["missing | server | \"Far\" | Another one has the name there."],
    );
    let told = "SELECT count(*) FROM courier.events e WHERE e::text LIKE '%geheim%'";
    assert_eq!(pair.source.value(DATABASE, told), "0");
    for text in [wanted, done, pair.destination.log()] {
        assert!(!text.contains(SECRET), "{text}");
    }
    let there = "SELECT (SELECT count(*) FROM pg_foreign_server s WHERE s::text LIKE '%geheim%') + (SELECT count(*) FROM pg_user_mapping m WHERE m::text LIKE '%geheim%') \
                      + (SELECT count(*) FROM pg_subscription s WHERE s::text LIKE '%geheim%')";
    assert_eq!(pair.destination.value(DATABASE, there), "0");
}

/// A role that may not see a mapping, or where a subscription connects, is not told so here either.
#[test]
fn who_may_not_see_a_connection_is_not_told() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE t (id int PRIMARY KEY); CREATE ROLE low LOGIN REPLICATION PASSWORD 'pw'; ALTER TABLE t OWNER TO low; CREATE EXTENSION postgres_fdw;
         CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'nowhere.invalid'); CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (user 'whoever', password 'geheim');
         CREATE SUBSCRIPTION sub CONNECTION 'host=hidden.invalid password=geheim' PUBLICATION p WITH (connect = false, enabled = false, create_slot = false, slot_name = NONE)",
    );
    pair.source.run(
        DATABASE,
        &format!(
            "SELECT courier.grant_usage('low'); GRANT USAGE ON FOREIGN SERVER dr TO low; CREATE USER MAPPING FOR low SERVER dr OPTIONS (user '{ROLE}', password {})",
            literal(PASSWORD)
        ),
    );
    let mut session = pair.source.connect_as(DATABASE, "low", "pw");
    let created =
        session.batch_execute("SELECT courier.create_task('lows', server => 'dr', include => ARRAY['public.t'])");
    created.unwrap_or_else(|e| panic!("{e}"));
    let sql = "SELECT concat_ws(' | ', kind, detail, statement) FROM courier.complete_destination('lows')";
    let seen = rows(&mut session, sql).unwrap_or_else(|e| panic!("{e}"));
    let seen = seen.into_iter().flatten().flatten().collect::<Vec<_>>().join("\n");
    assert_mentions(
        &seen,
        &[
            "server | ",
            "ALTER USER MAPPING FOR PUBLIC SERVER far OPTIONS (ADD \"user\" '...', ADD password '...');",
            "CREATE SUBSCRIPTION sub CONNECTION ''",
        ],
    );
    for hidden in ["whoever", "hidden.invalid", SECRET] {
        assert!(!seen.contains(hidden), "{hidden} is in {seen}");
    }
}
