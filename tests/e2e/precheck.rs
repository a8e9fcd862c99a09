//! Every precheck item is seen to fail, and to pass after its own fix has been run as printed.
//!
//! The cases are a table: what breaks it, on which side, and what puts it right where no fix can. Findings are asked for
//! with `courier.precheck(server, include, ...)`, so no case needs a task.

use pg_courier_tests::pair::{DATABASE, ROLE, SERVER};
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Cluster, Pair};

use crate::common::assert_mentions;

/// `schema_sync, full_copy, incremental`.
type Options = (bool, bool, bool);
const ALL: Options = (true, true, true);
const COPY: Options = (false, true, true);
const FOLLOW: Options = (false, false, true);

#[derive(Clone, Copy)]
struct Case {
    item: &'static str,
    options: Options,
    /// Run by the superuser; what is wrong.
    source: &'static str,
    destination: &'static str,
    /// Settings of the source; they need a restart.
    conf: &'static [(&'static str, &'static str)],
    /// What helps when the row has no fix that can be run.
    repair: Option<&'static str>,
    after: &'static str,
}

const fn case(item: &'static str, options: Options, source: &'static str, destination: &'static str) -> Case {
    Case { item, options, source, destination, conf: &[], repair: None, after: "" }
}

impl Case {
    const fn repaired_by(mut self, sql: &'static str) -> Case {
        self.repair = Some(sql);
        self
    }

    const fn then(mut self, sql: &'static str) -> Case {
        self.after = sql;
        self
    }

    const fn conf(mut self, conf: &'static [(&'static str, &'static str)]) -> Case {
        self.conf = conf;
        self
    }
}

#[derive(Debug, Clone)]
struct Finding {
    status: String,
    object: String,
    detail: String,
    fix: String,
}

/// What `courier.precheck` says of one item.
fn findings(pair: &Pair, item: &str, options: Options, settings: &str) -> Vec<Finding> {
    let (schema_sync, full_copy, incremental) = options;
    let mut session = pair.source.connect(DATABASE);
    session.batch_execute(settings).expect("settings");
    let rows = session
        .query(
            &format!(
                "SELECT status, coalesce(object, ''), coalesce(detail, ''), coalesce(fix, '') FROM courier.precheck({}, \
                 ARRAY['w.*', 'W.*'], schema_sync => {schema_sync}, full_copy => {full_copy}, incremental => {incremental}, \
                 ddl => 'replicate') WHERE item = {}",
                literal(SERVER),
                literal(item)
            ),
            &[],
        )
        .unwrap_or_else(|error| panic!("{item}: {}", pg_courier_tests::Answer::from(&error)));
    rows.iter().map(|r| Finding { status: r.get(0), object: r.get(1), detail: r.get(2), fix: r.get(3) }).collect()
}

fn is_bad(finding: &Finding) -> bool {
    finding.status == "failed" || finding.status == "warning"
}

/// Runs a fix as it is printed, where it says, and restarts the server that it says.
fn run_fix(pair: &Pair, item: &str, fix: &str) {
    let on_destination = fix.contains("on the destination");
    let server: &Cluster = if on_destination { &pair.destination } else { &pair.source };
    let output = server.psql(DATABASE, &format!("\\set ON_ERROR_STOP 1\n{fix}\n"));
    assert!(output.status.success(), "{item}: {fix}: {}", String::from_utf8_lossy(&output.stderr));
    if fix.contains("then restart") {
        server.restart();
    }
}

fn try_case(pair: &Pair, case: &Case, settings: &str) {
    let item = case.item;
    pair.source
        .run(DATABASE, "DROP SCHEMA IF EXISTS w CASCADE; CREATE SCHEMA w; CREATE TABLE w.base (id int PRIMARY KEY)");
    pair.destination.run(DATABASE, "DROP SCHEMA IF EXISTS w CASCADE");
    if !case.options.0 {
        pair.destination.run(
            DATABASE,
            &format!("CREATE SCHEMA w AUTHORIZATION {ROLE}; SET ROLE {ROLE}; CREATE TABLE w.base (id int PRIMARY KEY)"),
        );
    }
    // Some statements must not share a transaction; psql sends them one by one.
    pair.source.psql_ok(DATABASE, case.source);
    pair.destination.psql_ok(DATABASE, case.destination);
    for (key, value) in case.conf {
        pair.source.set(key, Some(value));
    }
    if !case.conf.is_empty() {
        pair.source.restart();
    }
    let found = findings(pair, item, case.options, settings);
    let bad: Vec<&Finding> = found.iter().filter(|f| is_bad(f)).collect();
    assert!(!bad.is_empty(), "{item} finds nothing: {found:?}");
    for finding in &bad {
        assert!(!finding.detail.is_empty(), "{item} explains itself: {finding:?}");
    }
    match case.repair {
        Some(repair) => {
            let place: &Cluster = if case.destination.is_empty() { &pair.source } else { &pair.destination };
            place.psql_ok(DATABASE, repair);
        }
        None => {
            for finding in &bad {
                assert!(!finding.fix.is_empty(), "{item} has a fix: {finding:?}");
                run_fix(pair, item, &finding.fix);
            }
        }
    }
    for (key, _) in case.conf {
        pair.source.set(key, None);
    }
    let left = findings(pair, item, case.options, settings);
    assert!(!left.is_empty() && !left.iter().any(is_bad), "{item} after its fix: {left:?}");
    pair.source.psql_ok(DATABASE, case.after);
}

/// Tables and objects of the source.
const SOURCE: &[Case] = &[
    case("replica_identity", ALL, "CREATE TABLE w.t (id int NOT NULL, v text)", ""),
    case("replica_identity", ALL, "CREATE TABLE w.t (id int PRIMARY KEY, v text); ALTER TABLE w.t REPLICA IDENTITY NOTHING", ""),
    case(
        "unsuitable_index",
        ALL,
        "CREATE TABLE w.t (id int UNIQUE, v int NOT NULL UNIQUE DEFERRABLE); CREATE UNIQUE INDEX ON w.t (v) WHERE v > 0; \
         CREATE UNIQUE INDEX ON w.t (abs(v))",
        "",
    ),
    case(
        "replica_identity",
        ALL,
        "CREATE TABLE w.t (a int, b int GENERATED ALWAYS AS (a * 2) STORED, PRIMARY KEY (a, b))",
        "",
    ),
    case(
        "destination_triggers",
        ALL,
        "CREATE TABLE w.t (id int PRIMARY KEY, v text); \
         CREATE TRIGGER tr BEFORE UPDATE ON w.t FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger(); \
         ALTER TABLE w.t ENABLE ALWAYS TRIGGER tr",
        "",
    )
    .repaired_by("ALTER TABLE w.t ENABLE TRIGGER tr"),
    case("replica_identity_full", ALL, "CREATE TABLE w.t (id int PRIMARY KEY); ALTER TABLE w.t REPLICA IDENTITY FULL", ""),
    case("no_equality", ALL, "CREATE TABLE w.t (doc json, p point)", ""),
    case("left_out", ALL, "CREATE UNLOGGED TABLE w.t (id int PRIMARY KEY)", ""),
    case(
        "left_out",
        ALL,
        "CREATE SCHEMA outside; CREATE TABLE outside.t (id int); CREATE VIEW w.v AS SELECT id FROM outside.t",
        "",
    )
    .repaired_by("DROP VIEW w.v")
    .then("DROP SCHEMA outside CASCADE"),
    case("left_out", ALL, "CREATE PUBLICATION everything FOR ALL TABLES", "").repaired_by("DROP PUBLICATION everything"),
    case(
        "search_path",
        ALL,
        "CREATE FUNCTION w.f(int) RETURNS boolean LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN true; END'; \
         CREATE TABLE w.t (id int PRIMARY KEY, CHECK (w.f(id)))",
        "",
    ),
    case(
        "foreign_keys",
        ALL,
        "CREATE SCHEMA outside; CREATE TABLE outside.p (id int PRIMARY KEY); CREATE TABLE w.t (id int PRIMARY KEY REFERENCES outside.p)",
        "",
    )
    .then("DROP SCHEMA outside CASCADE"),
    case("loose_sequences", ALL, "CREATE SCHEMA outside; CREATE SEQUENCE outside.q", "")
        .repaired_by("DROP SEQUENCE outside.q")
        .then("DROP SCHEMA outside"),
    case("reg_columns", ALL, "CREATE TABLE w.t (id int PRIMARY KEY, c regclass, p regproc[])", ""),
    case("sequence_end", ALL, "CREATE TABLE w.t (id serial PRIMARY KEY); SELECT setval('w.t_id_seq', 2000000000)", ""),
    case(
        "inheritance",
        ALL,
        "CREATE SCHEMA outside; CREATE TABLE outside.p (id int); CREATE TABLE w.t (PRIMARY KEY (id)) INHERITS (outside.p)",
        "",
    )
    .repaired_by("ALTER TABLE w.t NO INHERIT outside.p")
    .then("DROP SCHEMA outside CASCADE"),
    case(
        "large_objects",
        ALL,
        "SELECT lo_create(4711)",
        "",
    )
    .repaired_by("SELECT lo_unlink(4711)"),
    case(
        "leftovers",
        ALL,
        "CREATE TABLE public.dts_ddl_command (ddl_text text, id bigserial PRIMARY KEY, event text, tag text, object_type varchar, object_name varchar); \
         CREATE FUNCTION public.dts_capture_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.dts_ddl_command (tag) VALUES (tg_tag); END'; \
         CREATE EVENT TRIGGER dts_intercept_ddl ON ddl_command_end EXECUTE FUNCTION public.dts_capture_ddl()",
        "",
    ),
    case(
        "ddl_untrusted_owners",
        FOLLOW,
        "CREATE ROLE app; CREATE TABLE w.t (id int PRIMARY KEY); CREATE VIEW w.v AS SELECT 1 AS a; CREATE FUNCTION w.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; \
         ALTER VIEW w.v OWNER TO app; ALTER FUNCTION w.f() OWNER TO app",
        "",
    )
    .repaired_by("ALTER VIEW w.v OWNER TO postgres; ALTER FUNCTION w.f() OWNER TO postgres")
    .then("DROP ROLE app"),
    case("names_by_case", ALL, "CREATE TABLE w.\"Base\" (id int PRIMARY KEY)", "").repaired_by("DROP TABLE w.\"Base\""),
    case(
        "collation_version",
        ALL,
        "CREATE COLLATION w.german (provider = icu, locale = 'de'); CREATE TABLE w.t (id int PRIMARY KEY, v text COLLATE w.german); \
         UPDATE pg_collation SET collversion = '0' WHERE collname = 'german'",
        "",
    ),
];

#[test]
fn objects_of_the_source() {
    let pair = Pair::start();
    for case in SOURCE {
        try_case(&pair, case, "");
    }
}

/// Settings and activity of the source; some fixes restart it.
const SERVER_CASES: &[Case] = &[
    case("wal_level", ALL, "", "").conf(&[("wal_level", "replica")]),
    case("max_replication_slots", ALL, "SELECT pg_create_physical_replication_slot('one')", "")
        .conf(&[("max_replication_slots", "1")])
        .then("SELECT pg_drop_replication_slot('one')"),
    case("max_wal_senders", ALL, "", "").conf(&[("max_wal_senders", "0")]),
    case("max_worker_processes", ALL, "", "").conf(&[("max_worker_processes", "3")]),
    case("shared_preload_libraries", ALL, "", "").conf(&[("shared_preload_libraries", "auto_explain")]),
    case("logical_decoding_work_mem", ALL, "", "").conf(&[("logical_decoding_work_mem", "1MB")]),
    case(
        "ddl_event_triggers",
        ALL,
        "ALTER EVENT TRIGGER pg_courier_ddl DISABLE; ALTER EVENT TRIGGER pg_courier_ddl_rewrite ENABLE; \
         ALTER EXTENSION pg_courier DROP EVENT TRIGGER pg_courier_ddl_drop; DROP EVENT TRIGGER pg_courier_ddl_drop",
        "",
    ),
    case("standbys", ALL, "SELECT pg_create_physical_replication_slot('standby', true)", "")
        .repaired_by("SELECT pg_drop_replication_slot('standby')"),
    case("prepared_transactions", ALL, "BEGIN; INSERT INTO w.base VALUES (1); PREPARE TRANSACTION 'left over'", ""),
];

#[test]
fn settings_of_the_source() {
    let pair = Pair::builder().source_conf("max_prepared_transactions", "5").start();
    for case in SERVER_CASES {
        try_case(&pair, case, "");
    }
}

/// Columns, keys, triggers and privileges of tables that are on the destination already.
const DESTINATION: &[Case] = &[
    case(
        "destination_helper_schema",
        ALL,
        "",
        "CREATE ROLE stranger; CREATE SCHEMA courier_applied AUTHORIZATION stranger",
    ),
    case("destination_tables_exist", ALL, "", "CREATE SCHEMA w; CREATE TABLE w.base (id int)"),
    case("destination_tables_missing", COPY, "CREATE TABLE w.t (id int PRIMARY KEY)", ""),
    case("destination_not_empty", COPY, "", "INSERT INTO w.base VALUES (1)"),
    case(
        "destination_columns",
        FOLLOW,
        "CREATE TABLE w.t (id int PRIMARY KEY, v text)",
        "CREATE TABLE w.t (id int PRIMARY KEY)",
    ),
    case("destination_columns", FOLLOW, "", "ALTER TABLE w.base ADD COLUMN extra int NOT NULL"),
    case(
        "destination_column_types",
        FOLLOW,
        "CREATE TABLE w.t (id bigint PRIMARY KEY, v varchar(10))",
        "CREATE TABLE w.t (id bigint PRIMARY KEY, v varchar(5))",
    ),
    case(
        "generated_columns",
        FOLLOW,
        "CREATE TABLE w.t (id int PRIMARY KEY, v int)",
        "CREATE TABLE w.t (id int PRIMARY KEY, v int GENERATED ALWAYS AS (id * 2) STORED)",
    ),
    case(
        "destination_types",
        FOLLOW,
        "CREATE TYPE w.mood AS ENUM ('so', 'la la'); CREATE TABLE w.t (id int PRIMARY KEY, m w.mood)",
        "",
    ),
    case(
        "destination_collations",
        FOLLOW,
        "CREATE COLLATION w.german (provider = icu, locale = 'de'); CREATE TABLE w.t (id int PRIMARY KEY, v text COLLATE w.german)",
        "",
    ),
    case(
        "destination_keys",
        FOLLOW,
        "CREATE TABLE w.t (a int, b int, PRIMARY KEY (b, a))",
        "CREATE TABLE w.t (a int, b int); CREATE UNIQUE INDEX ON w.t (a)",
    ),
    case(
        "destination_triggers",
        FOLLOW,
        "",
        "CREATE FUNCTION w.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'; \
         CREATE TRIGGER tr BEFORE INSERT ON w.base FOR EACH ROW EXECUTE FUNCTION w.f(); ALTER TABLE w.base ENABLE ALWAYS TRIGGER tr",
    ),
    case(
        "destination_rules",
        FOLLOW,
        "",
        "CREATE RULE r AS ON INSERT TO w.base DO INSTEAD NOTHING; ALTER TABLE w.base ENABLE ALWAYS RULE r",
    ),
    case(
        "destination_table_privileges",
        FOLLOW,
        "CREATE TABLE w.t (id int PRIMARY KEY)",
        "CREATE TABLE w.t (id int PRIMARY KEY); GRANT SELECT ON w.t TO courier",
    ),
    case(
        "destination_row_security",
        FOLLOW,
        "CREATE TABLE w.t (id int PRIMARY KEY)",
        "CREATE TABLE w.t (id int PRIMARY KEY); GRANT ALL ON w.t TO courier; ALTER TABLE w.t ENABLE ROW LEVEL SECURITY",
    ),
    case(
        "destination_row_security",
        ALL,
        "CREATE TABLE w.t (id int PRIMARY KEY); ALTER TABLE w.t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY",
        "",
    ),
    case("destination_schema", ALL, "", "CREATE SCHEMA w"),
    case(
        "destination_ddl_rights",
        FOLLOW,
        "CREATE TYPE w.mood AS ENUM ('so'); CREATE TABLE w.t (id int PRIMARY KEY, m w.mood[])",
        "CREATE TYPE w.mood AS ENUM ('so'); CREATE TABLE w.t (id int PRIMARY KEY, m w.mood[]); GRANT ALL ON w.t TO courier; \
         ALTER SCHEMA w OWNER TO postgres; GRANT USAGE ON SCHEMA w TO courier",
    ),
    case(
        "destination_event_triggers",
        ALL,
        "",
        "CREATE SCHEMA w AUTHORIZATION courier; CREATE FUNCTION w.f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; \
         CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION w.f(); ALTER EVENT TRIGGER e ENABLE ALWAYS",
    ),
    case(
        "destination_powers",
        ALL,
        "CREATE ROLE somebody; ALTER TABLE w.base OWNER TO somebody",
        "GRANT pg_write_server_files TO courier",
    )
    .repaired_by("REVOKE pg_write_server_files FROM courier")
    .then("DROP OWNED BY somebody; DROP ROLE somebody"),
    case(
        "destination_names",
        ALL,
        "CREATE TYPE w.mood AS ENUM ('so', 'la la'); CREATE TABLE w.t (id int PRIMARY KEY, m w.mood)",
        "CREATE SCHEMA w; CREATE TYPE w.mood AS ENUM ('so')",
    )
    .repaired_by("DROP TYPE w.mood"),
    case(
        "cannot_create",
        ALL,
        "DO $$ BEGIN CREATE ROLE stranger; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
         CREATE FUNCTION w.f(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1'; ALTER FUNCTION w.f(int) OWNER TO stranger; \
         CREATE TABLE w.t (id int PRIMARY KEY, g int GENERATED ALWAYS AS (w.f(id)) STORED)",
        "",
    ),
    case(
        "destination_grantees",
        ALL,
        "DO $$ BEGIN CREATE ROLE \"Reads here\"; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
         CREATE TABLE w.t (id int PRIMARY KEY); GRANT SELECT ON w.t TO \"Reads here\"",
        "",
    ),
    case(
        "destination_roles",
        ALL,
        "DO $$ BEGIN CREATE ROLE \"Only here\"; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
         CREATE TABLE w.t (id int PRIMARY KEY); CREATE POLICY p ON w.t TO \"Only here\" USING (true)",
        "",
    ),
    case(
        "row_security",
        ALL,
        "DO $$ BEGIN CREATE ROLE stranger; EXCEPTION WHEN duplicate_object THEN NULL; END $$; \
         CREATE FUNCTION w.f(int) RETURNS boolean LANGUAGE sql AS 'SELECT true'; ALTER FUNCTION w.f(int) OWNER TO stranger; \
         CREATE TABLE w.t (id int PRIMARY KEY); CREATE POLICY p ON w.t USING (w.f(id))",
        "",
    ),
    case(
        "destination_default_privileges",
        ALL,
        "",
        "ALTER DEFAULT PRIVILEGES FOR ROLE courier GRANT SELECT, INSERT ON TABLES TO PUBLIC",
    ),
    case(
        "destination_default_privileges",
        ALL,
        "CREATE FUNCTION w.f() RETURNS int LANGUAGE sql AS 'SELECT 1'; REVOKE ALL ON FUNCTION w.f() FROM PUBLIC; CREATE TYPE w.mood AS ENUM ('a'); \
         REVOKE ALL ON TYPE w.mood FROM PUBLIC; CREATE VIEW w.v AS SELECT 1 AS a",
        "ALTER DEFAULT PRIVILEGES FOR ROLE courier GRANT EXECUTE ON FUNCTIONS TO pg_monitor; ALTER DEFAULT PRIVILEGES FOR ROLE courier GRANT USAGE ON TYPES TO pg_monitor; \
         ALTER DEFAULT PRIVILEGES FOR ROLE courier GRANT USAGE, CREATE ON SCHEMAS TO PUBLIC",
    ),
    case(
        "destination_search_path",
        FOLLOW,
        "CREATE TABLE w.t (id int PRIMARY KEY)",
        "CREATE FUNCTION w.f(int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true'; \
         CREATE TABLE w.t (id int PRIMARY KEY CHECK (w.f(id)))",
    ),
    case("destination_connections", ALL, "", "ALTER ROLE courier CONNECTION LIMIT 1"),
    case(
        "destination_extensions",
        FOLLOW,
        "CREATE EXTENSION IF NOT EXISTS citext SCHEMA public; CREATE TABLE w.t (id int PRIMARY KEY, v public.citext)",
        "",
    ),
    case(
        "destination_extension_rows",
        ALL,
        "CREATE EXTENSION hstore SCHEMA w; CREATE TABLE w.rows (id int PRIMARY KEY); ALTER EXTENSION hstore ADD TABLE w.rows; \
         UPDATE pg_extension SET extconfig = ARRAY['w.rows'::regclass::oid], extcondition = ARRAY[''] WHERE extname = 'hstore'",
        "CREATE SCHEMA w; CREATE EXTENSION hstore SCHEMA w; CREATE TABLE w.rows (id int PRIMARY KEY); ALTER EXTENSION hstore ADD TABLE w.rows",
    ),
    case(
        "destination_replica_role",
        ALL,
        "CREATE TABLE w.t (id int PRIMARY KEY REFERENCES w.base)",
        "REVOKE SET ON PARAMETER session_replication_role FROM courier",
    ),
    case("destination_create", ALL, "", "ALTER DATABASE shop OWNER TO postgres").then("SELECT 1"),
    case("destination_ddl_rights", FOLLOW, "", "REVOKE CREATE ON DATABASE shop FROM courier"),
];

#[test]
fn what_is_on_the_destination() {
    let pair = Pair::start();
    for case in DESTINATION {
        try_case(&pair, case, "");
    }
}

/// Thresholds are settings: with low ones the findings show without filling a disk or burning a billion transactions.
#[test]
fn thresholds_decide() {
    let pair = Pair::start();
    let burn = "DO $$ BEGIN FOR n IN 1..1200 LOOP BEGIN INSERT INTO w.base VALUES (n); EXCEPTION WHEN unique_violation THEN NULL; END; END LOOP; END $$; DELETE FROM w.base";
    let aged = case("xid_age", ALL, burn, "");
    try_case(&pair, &aged, "SET courier.xid_age_warning = 1000");
    for item in ["disk_wal", "disk_data"] {
        assert!(findings(&pair, item, ALL, "SET courier.disk_free_warning = 100").iter().any(is_bad), "{item}");
        assert!(!findings(&pair, item, ALL, "SET courier.disk_free_warning = 0").iter().any(is_bad), "{item}");
    }

    let mut open = pair.source.connect(DATABASE);
    open.batch_execute("BEGIN; INSERT INTO w.base VALUES (-1); SELECT pg_sleep(1.2)").expect("an open transaction");
    let low = "SET courier.long_transaction = 1";
    let found = findings(&pair, "long_transactions", ALL, low);
    let finding = found.iter().find(|f| is_bad(f)).expect("the open transaction");
    assert_mentions(&finding.detail, &["postgres", DATABASE, "pg_sleep"]);
    run_fix(&pair, "long_transactions", &finding.fix);
    pair.source.wait_until(
        DATABASE,
        "the session has ended",
        &format!("NOT EXISTS (SELECT FROM pg_stat_activity WHERE 'pid ' || pid = {})", literal(&finding.object)),
    );
    assert!(!findings(&pair, "long_transactions", ALL, low).iter().any(is_bad));

    pair.source.run(DATABASE, "SELECT pg_create_physical_replication_slot('forgotten', true); CREATE TABLE w.big AS SELECT repeat('x', 1000) FROM generate_series(1, 3000)");
    let low = "SET courier.retained_wal_warning = 1";
    let found = findings(&pair, "inactive_slots", ALL, low);
    run_fix(&pair, "inactive_slots", &found.iter().find(|f| is_bad(f)).expect("the slot").fix);
    assert!(!findings(&pair, "inactive_slots", ALL, low).iter().any(is_bad));
}

/// WAL retention is hours at the measured rate: a small limit and a busy server make it short, and the printed limit is enough.
#[test]
fn wal_retention_in_hours() {
    let pair = Pair::builder().source_conf("max_slot_wal_keep_size", "1MB").start();
    pair.source
        .run(DATABASE, "CREATE SCHEMA w; CREATE TABLE w.base (id int PRIMARY KEY); SELECT pg_stat_reset_shared('wal')");
    pair.source
        .run(DATABASE, "CREATE TABLE w.t AS SELECT n AS id, repeat('x', 500) AS v FROM generate_series(1, 20000) AS n");
    pair.source.wait_until(DATABASE, "there is a rate", "courier.wal_rate() > 100000");
    let found = findings(&pair, "wal_retention", ALL, "");
    let finding = found.iter().find(|f| is_bad(f)).expect("the limit is too low");
    assert_mentions(&finding.detail, &["168", "max_slot_wal_keep_size"]);
    run_fix(&pair, "wal_retention", &finding.fix);
    let keeps = "(SELECT setting::bigint FROM pg_settings WHERE name = 'max_slot_wal_keep_size') > 1";
    pair.source.wait_until(DATABASE, "the setting is read", keeps);
    let after = findings(&pair, "wal_retention", ALL, "");
    assert!(!after.iter().any(|f| is_bad(f) && !f.fix.is_empty()), "no higher limit is asked for: {after:?}");
}

/// A line that the server cannot read.
#[test]
fn a_broken_line_of_pg_hba_conf() {
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE SCHEMA w; CREATE TABLE w.base (id int PRIMARY KEY)");
    let path = pair.source.data_directory().join("pg_hba.conf");
    let good = std::fs::read_to_string(&path).expect("pg_hba.conf");
    std::fs::write(&path, format!("{good}host all all nonsense\n")).expect("writable");
    assert!(findings(&pair, "hba_rules", ALL, "").iter().any(is_bad));
    std::fs::write(&path, good).expect("writable");
    assert!(!findings(&pair, "hba_rules", ALL, "").iter().any(is_bad));
}

/// A destination that is an older encoding's, and one that is a standby of nothing: each step of the way is named.
#[test]
fn the_way_to_the_destination() {
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE SCHEMA w; CREATE TABLE w.base (id int PRIMARY KEY)");
    let way = |change: &str, item: &str| {
        pair.source.run(DATABASE, change);
        let found = findings(&pair, item, ALL, "");
        assert!(found.iter().any(|f| f.status == "failed"), "{item}: {found:?}");
        assert_eq!(findings(&pair, "destination_version", ALL, "")[0].status, "skipped");
    };
    let port = pair.destination.port();
    way("ALTER SERVER dr OPTIONS (SET host 'no-such-host.invalid')", "destination_resolve");
    way("ALTER SERVER dr OPTIONS (SET host '127.0.0.1', SET port '1')", "destination_connect");
    way(&format!("ALTER SERVER dr OPTIONS (SET port '{port}', SET dbname 'nowhere')"), "destination_database");
    way("ALTER SERVER dr OPTIONS (SET dbname 'shop', ADD sslmode 'require')", "destination_tls");
    way(
        "ALTER SERVER dr OPTIONS (DROP sslmode); ALTER USER MAPPING FOR CURRENT_USER SERVER dr OPTIONS (SET password 'wrong')",
        "destination_login",
    );
    pair.source.run(DATABASE, "DROP USER MAPPING FOR CURRENT_USER SERVER dr");
    let found = findings(&pair, "user_mapping", ALL, "");
    assert!(found.iter().any(|f| f.status == "failed" && f.fix.contains("CREATE USER MAPPING")), "{found:?}");

    pair.destination.run(
        "postgres",
        "CREATE DATABASE latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0 OWNER courier",
    );
    pair.add_server(DATABASE, "latin", "latin", port);
    let items = "SELECT string_agg(item, ' ' ORDER BY item) FROM courier.precheck('latin', ARRAY['w.*']) WHERE status = 'failed'";
    assert_eq!(pair.source.value(DATABASE, items), "destination_encoding");
}

/// What decides about a task that is there: ignoring is recorded, what would lose rows cannot be ignored, start refuses with a list, and
/// the fixes that SQL can do are done by one call.
#[test]
fn start_refuses_until_it_is_right() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA w; CREATE TABLE w.t (id int NOT NULL UNIQUE, v text); CREATE TABLE w.u (id int PRIMARY KEY); INSERT INTO w.t VALUES (1, 'one'); \
         CREATE TABLE w.full (v text); CREATE UNLOGGED TABLE w.fast (id int)",
    );
    pair.destination.run(DATABASE, "CREATE SCHEMA w AUTHORIZATION courier; SET ROLE courier; CREATE TABLE w.t (id int NOT NULL UNIQUE, v text); CREATE TABLE w.full (v text); INSERT INTO w.t VALUES (7)");
    pair.source.run(
        DATABASE,
        "SELECT courier.create_task('gated', server => 'dr', include => ARRAY['w.*'], schema_sync => false)",
    );
    let answer = pair.source.refuses(DATABASE, "SELECT courier.start('gated')");
    assert_eq!(answer.sqlstate, "55000");
    assert_mentions(
        &answer.to_string(),
        &[
            "2 prechecks failed",
            "destination_not_empty",
            "w.t",
            "destination_tables_missing",
            "w.u",
            "courier.precheck('gated')",
        ],
    );
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM pg_replication_slots"), "0");

    let answer =
        pair.source.refuses(DATABASE, "SELECT courier.ignore_precheck('gated', 'destination_not_empty', 'I know')");
    assert_eq!(answer.sqlstate, "55000", "{answer}");
    let answer = pair.source.refuses(DATABASE, "SELECT courier.ignore_precheck('gated', 'no_such_item', 'why')");
    assert_eq!(answer.sqlstate, "42704", "{answer}");
    let identity = "SELECT status || ' ' || detail FROM courier.precheck('gated') WHERE item = 'replica_identity' AND object = 'w.t'";
    assert_mentions(&pair.source.value(DATABASE, identity), &["warning"]);
    pair.source.run(DATABASE, "SELECT courier.ignore_precheck('gated', 'replica_identity', 'only inserts')");
    assert_mentions(&pair.source.value(DATABASE, identity), &["ignored", "by postgres", "only inserts"]);
    pair.source.run(DATABASE, "SELECT courier.ignore_precheck('gated', 'replica_identity', NULL)");

    // Each UPDATE would cost more WAL; the table would be rewritten under a lock.
    for (item, object) in [("replica_identity", "w.\"full\""), ("left_out", "w.fast")] {
        let result =
            format!("SELECT result FROM courier.apply_fixes('gated') WHERE item = '{item}' AND object = '{object}'");
        assert_eq!(pair.source.value(DATABASE, &result), "by hand: needs a decision", "{item}");
    }
    let would = "SELECT result FROM courier.apply_fixes('gated') WHERE item = 'replica_identity' AND object = 'w.t'";
    assert_eq!(pair.source.value(DATABASE, would), "would run");
    assert_mentions(&pair.source.value(DATABASE, identity), &["warning"]);
    let done = "SELECT result FROM courier.apply_fixes('gated', dry_run => false) WHERE item = 'replica_identity' AND object = 'w.t'";
    assert_eq!(pair.source.value(DATABASE, done), "done");
    assert_eq!(pair.source.value(DATABASE, "SELECT relreplident FROM pg_class WHERE oid = 'w.t'::regclass"), "i");
    let untouched = "SELECT string_agg(concat(relreplident, relpersistence), ' ' ORDER BY relname) FROM pg_class WHERE relname IN ('full', 'fast')";
    assert_eq!(pair.source.value(DATABASE, untouched), "du dp");

    pair.destination.run(DATABASE, "SET ROLE courier; TRUNCATE w.t; CREATE TABLE w.u (id int PRIMARY KEY)");
    pair.call(DATABASE, "start", "gated");
    pair.source.run(DATABASE, "UPDATE w.t SET v = 'two'");
    pair.assert_mirrored("gated", &["w.t", "w.u"]);
    // A task that runs is not told that its own tables are full.
    let failed = "SELECT coalesce(string_agg(item, ' '), '') FROM courier.precheck('gated') WHERE status = 'failed'";
    assert_eq!(pair.source.value(DATABASE, failed), "");
}

/// What the owner of a task may not do, with the statements that help; a superuser runs them.
#[test]
fn rights_of_the_owner() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        &format!(
            "CREATE ROLE owner LOGIN PASSWORD 'pw'; SELECT courier.grant_usage('owner'); GRANT USAGE ON FOREIGN SERVER dr TO owner; \
             CREATE USER MAPPING FOR owner SERVER dr OPTIONS (user '{ROLE}', password {}); \
             CREATE SCHEMA w; CREATE TABLE w.t (id int PRIMARY KEY); ALTER TABLE w.t ENABLE ROW LEVEL SECURITY",
            literal(pg_courier_tests::pair::PASSWORD)
        ),
    );
    let ask = "SELECT item, fix FROM courier.precheck('dr', ARRAY['w.*']) WHERE status = 'failed' ORDER BY item";
    let mut owner = pair.source.connect_as(DATABASE, "owner", "pw");
    let rows = owner.query(ask, &[]).unwrap_or_else(|e| panic!("{}", pg_courier_tests::Answer::from(&e)));
    let items: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(items, ["owner_replication", "source_row_security", "source_schema_usage", "source_table_select"]);
    for row in &rows {
        run_fix(&pair, "rights", &row.get::<_, String>(1));
    }
    assert_eq!(owner.query(ask, &[]).expect("an answer").len(), 0);
    // Nothing of other sessions is shown to a role that may not see it.
    let mut open = pair.source.connect(DATABASE);
    open.batch_execute("BEGIN; INSERT INTO w.t VALUES (1); SELECT pg_sleep(1.2), 'top secret'").expect("open");
    owner.batch_execute("SET courier.long_transaction = 1").expect("a threshold");
    let shown = owner
        .query_one("SELECT count(*) FROM courier.precheck('dr', ARRAY['w.*']) p WHERE p::text LIKE '%top secret%'", &[])
        .expect("a row");
    assert_eq!(shown.get::<_, i64>(0), 0);
}

/// The status of an item in a precheck of `arguments`.
fn status(pair: &Pair, database: &str, item: &str, arguments: &str) -> String {
    pair.source.value(
        database,
        &format!(
            "SELECT string_agg(DISTINCT status, ' ') FROM courier.precheck({arguments}) WHERE item = {}",
            literal(item)
        ),
    )
}

/// An excluded partition: its rows would be missing without a word.
#[test]
fn an_excluded_partition() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA w; CREATE TABLE w.p (id int PRIMARY KEY) PARTITION BY RANGE (id); \
         CREATE TABLE w.p1 PARTITION OF w.p FOR VALUES FROM (0) TO (10); CREATE TABLE w.p2 PARTITION OF w.p FOR VALUES FROM (10) TO (20)",
    );
    assert_eq!(status(&pair, DATABASE, "partitions", "'dr', ARRAY['w.*'], exclude => ARRAY['w.p2']"), "warning");
    assert_eq!(status(&pair, DATABASE, "partitions", "'dr', ARRAY['w.*']"), "ok");
}

/// A name of 40 characters has 40 bytes in LATIN1 and 80 in UTF-8; the destination would cut it.
#[test]
fn names_that_grow() {
    let pair = Pair::start();
    pair.source.run("postgres", "CREATE DATABASE old ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0");
    pair.source.run("old", "CREATE EXTENSION pg_courier");
    pair.add_server("old", "dr", DATABASE, pair.destination.port());
    let long = "ü".repeat(40);
    pair.source.run("old", &format!("CREATE SCHEMA w; CREATE TABLE w.\"{long}\" (id int PRIMARY KEY)"));
    assert_eq!(status(&pair, "old", "long_names", "'dr', ARRAY['w.*']"), "warning");
    assert_eq!(status(&pair, "old", "destination_encoding", "'dr', ARRAY['w.*']"), "ok", "UTF8 holds everything");
    pair.source.run("old", &format!("ALTER TABLE w.\"{long}\" RENAME TO short"));
    assert_eq!(status(&pair, "old", "long_names", "'dr', ARRAY['w.*']"), "ok");
}

/// A small destination: its lock table does not hold the locks of creating many tables. The printed setting is enough. Another task
/// that writes there, and another order of text, are named.
#[test]
fn a_destination_with_limits_and_neighbours() {
    let pair = Pair::builder()
        .destination_conf("max_locks_per_transaction", "10")
        .destination_conf("max_connections", "20")
        .start();
    pair.source.run(DATABASE, "CREATE SCHEMA w");
    let tables: String = (0..80).map(|n| format!("CREATE TABLE w.t{n} (id int PRIMARY KEY);")).collect();
    pair.source.run(DATABASE, &tables);
    let found = findings(&pair, "destination_locks", ALL, "");
    run_fix(&pair, "destination_locks", &found.iter().find(|f| is_bad(f)).expect("a finding").fix);
    assert_eq!(status(&pair, DATABASE, "destination_locks", "'dr', ARRAY['w.*']"), "ok");

    pair.source.run(DATABASE, "SELECT courier.create_task('first', 'dr', ARRAY['w.t1'])");
    pair.call(DATABASE, "start", "first");
    pair.wait_for_state(DATABASE, "first", "synchronizing");
    let copy = "'dr', ARRAY['w.t1'], schema_sync => false";
    assert_eq!(status(&pair, DATABASE, "destination_other_task", copy), "warning");
    assert_eq!(status(&pair, DATABASE, "destination_same_source", copy), "failed");
    // Through another server object as well, which leads to the same database.
    pair.add_server(DATABASE, "alias", DATABASE, pair.destination.port());
    let alias = "'alias', ARRAY['w.t1'], schema_sync => false, full_copy => false";
    assert_eq!(status(&pair, DATABASE, "destination_same_source", alias), "failed");
    pair.source.run(DATABASE, &format!("SELECT courier.create_task('again', {alias})"));
    let answer = pair.source.refuses(DATABASE, "SELECT courier.start('again')");
    assert_mentions(&answer.detail, &["destination_same_source", "Task first writes it there already"]);
    assert_eq!(status(&pair, DATABASE, "destination_same_source", "'dr', ARRAY['w.t2']"), "ok");
    assert_eq!(status(&pair, DATABASE, "destination_other_task", "'dr', ARRAY['w.t2']"), "ok");
    let own =
        "SELECT string_agg(DISTINCT status, ' ') FROM courier.precheck('first') WHERE item = 'destination_other_task'";
    assert_eq!(pair.source.value(DATABASE, own), "ok", "a task is no stranger to itself");

    pair.destination
        .run("postgres", "CREATE DATABASE sorted LC_COLLATE 'C' LC_CTYPE 'C.UTF-8' TEMPLATE template0 OWNER courier");
    pair.add_server(DATABASE, "sorted", "sorted", pair.destination.port());
    assert_eq!(status(&pair, DATABASE, "destination_locale", "'sorted', ARRAY['w.*']"), "warning");
    assert_eq!(status(&pair, DATABASE, "destination_locale", "'dr', ARRAY['w.*']"), "ok");
    assert_eq!(status(&pair, DATABASE, "destination_size", "'dr', ARRAY['w.*']"), "ok");
    for item in ["source_version", "minor_version", "destination_version"] {
        assert_eq!(status(&pair, DATABASE, item, "'dr', ARRAY['w.*']"), "ok", "{item}");
    }
}

/// Nobody runs the health check; the printed fix lets the extension do it.
#[test]
fn somebody_runs_the_health_check() {
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE SCHEMA w; CREATE TABLE w.base (id int PRIMARY KEY)");
    let found = findings(&pair, "health_check", ALL, "");
    assert_mentions(&found[0].fix, &["courier.health_interval", "pg_reload_conf"]);
    run_fix(&pair, "health_check", &found[0].fix);
    assert_eq!(findings(&pair, "health_check", ALL, "")[0].status, "ok");
}

/// An item that no test provokes would be an item that nobody has seen work.
#[test]
fn every_item_is_provoked() {
    // By the tests above that are not a table. The versions are pure code, tested beside it.
    let elsewhere = [
        "source_version",
        "minor_version",
        "destination_version",
        "xid_age",
        "disk_wal",
        "disk_data",
        "long_transactions",
        "inactive_slots",
        "wal_retention",
        "hba_rules",
        "destination_resolve",
        "destination_connect",
        "destination_tls",
        "destination_login",
        "destination_session",
        "destination_database",
        "user_mapping",
        "destination_encoding",
        "owner_replication",
        "source_row_security",
        "source_schema_usage",
        "source_table_select",
        "partitions",
        "long_names",
        "destination_locks",
        "source_marks",
        "destination_marks",
        "destination_other_task",
        "destination_same_source",
        "destination_is_source",
        "destination_locale",
        "destination_size",
        "health_check",
        // In `coverage`: of a task that has started.
        "coverage",
    ];
    let cases = SOURCE.iter().chain(SERVER_CASES).chain(DESTINATION).map(|case| case.item);
    let tried: std::collections::BTreeSet<&str> = cases.chain(elsewhere).collect();
    let cluster = Cluster::builder("s").preload(true).start();
    cluster.run("postgres", "CREATE EXTENSION pg_courier");
    let items = cluster.rows("postgres", "SELECT item FROM courier.precheck_items()");
    let known: std::collections::BTreeSet<String> = items.into_iter().flatten().flatten().collect();
    assert_eq!(tried.iter().map(|item| (*item).to_owned()).collect::<std::collections::BTreeSet<String>>(), known);
}
