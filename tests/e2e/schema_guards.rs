//! What a task cannot build, or must not take for its own, is said before it starts: names that belong to something
//! else, functions and views that tables need, policies and their roles, privileges. What is left out is listed.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions};

use crate::common::{TASK, assert_mentions, findings, is_ok, omitted};

fn fixes(pair: &Pair, item: &str) -> Vec<String> {
    let sql =
        format!("SELECT fix FROM courier.precheck('{TASK}') WHERE item = '{item}' AND fix IS NOT NULL ORDER BY fix");
    pair.source.rows(DATABASE, &sql).into_iter().flatten().flatten().collect()
}

/// `start` refuses, and names the item.
#[track_caller]
fn refused(pair: &Pair, words: &[&str]) {
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.start('{TASK}')"));
    assert_eq!(answer.sqlstate, "55000", "{answer}");
    assert_mentions(&answer.to_string(), words);
}

fn create(pair: &Pair, include: &[&str]) {
    pair.create_task(DATABASE, TASK, include, &TaskOptions::default());
}

/// A restrictive policy for two roles of which the destination has one. Left out, it would show the destination's
/// readers what the source hides; so nothing starts before the role is there, and its own fix is enough.
#[test]
fn a_policy_whose_role_is_missing() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE ROLE auditor; CREATE ROLE \"a Clerk\"; \
         CREATE TABLE salary (id int PRIMARY KEY, secret boolean); \
         INSERT INTO salary SELECT n, n % 2 = 0 FROM generate_series(1, 10) AS n; \
         ALTER TABLE salary ENABLE ROW LEVEL SECURITY; \
         CREATE POLICY everybody ON salary USING (true); \
         CREATE POLICY hide ON salary AS RESTRICTIVE TO auditor, \"a Clerk\" USING (NOT secret)",
    );
    pair.destination.run("postgres", "CREATE ROLE auditor");
    create(&pair, &["public.*"]);
    refused(&pair, &["destination_roles", "a Clerk"]);
    for fix in fixes(&pair, "destination_roles") {
        pair.destination.run(DATABASE, &fix);
    }
    assert!(is_ok(&pair, "destination_roles"));
    pair.call(DATABASE, "start", TASK);
    pair.assert_mirrored(TASK, &["public.salary"]);
    let seen = "GRANT SELECT ON salary TO auditor; SET ROLE auditor; SELECT count(*) FROM salary";
    for server in [&pair.source, &pair.destination] {
        assert!(server.psql_ok(DATABASE, seen).contains("     5\n"));
    }
}

/// A role that goes away between the check and the creation: the task stops, and what is there already hides rows.
#[test]
fn a_policy_whose_role_goes_away() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE ROLE clerk; CREATE TABLE salary (id int PRIMARY KEY, secret boolean); \
         ALTER TABLE salary ENABLE ROW LEVEL SECURITY; CREATE POLICY everybody ON salary USING (true); \
         CREATE POLICY hide ON salary AS RESTRICTIVE TO clerk USING (NOT secret)",
    );
    pair.destination.run("postgres", "CREATE ROLE clerk");
    create(&pair, &["public.*"]);
    assert!(is_ok(&pair, "destination_roles"));
    // Holds the primary key, and with it all that comes after the data.
    let mut holder = pair.source.connect(DATABASE);
    holder.batch_execute("BEGIN; CREATE TABLE unrelated (id int); SELECT txid_current()").expect("a transaction");
    pair.call(DATABASE, "start", TASK);
    pair.destination.run("postgres", "DROP ROLE clerk");
    holder.batch_execute("COMMIT").expect("commits");
    let text = pair.failure(DATABASE, TASK);
    assert_mentions(&text, &["clerk", "CREATE ROLE", "hide"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM pg_policy"), "0", "no permissive one either");
    assert_eq!(pair.destination.value(DATABASE, "SELECT relrowsecurity FROM pg_class WHERE relname = 'salary'"), "t");
    pair.destination.run("postgres", "CREATE ROLE clerk");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &["public.salary"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM pg_policy"), "2");
}

/// A restrictive policy calls a user's function. Who starts in spite of the check gets a table that shows nothing, and
/// the plan says so; who creates the function gets both policies.
#[test]
fn a_restrictive_policy_that_calls_a_function() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE ROLE author; CREATE FUNCTION is_open(int) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT $1 < 5'; \
         ALTER FUNCTION is_open(int) OWNER TO author; \
         CREATE TABLE doc (id int PRIMARY KEY); INSERT INTO doc SELECT generate_series(1, 10); \
         ALTER TABLE doc ENABLE ROW LEVEL SECURITY; CREATE POLICY everybody ON doc USING (true); \
         CREATE POLICY closed ON doc AS RESTRICTIVE USING (is_open(id))",
    );
    create(&pair, &["public.*"]);
    refused(&pair, &["row_security", "closed", "is_open"]);
    assert_mentions(&omitted(&pair), &["everybody on public.doc | restrictive policy closed is not created"]);
    pair.source
        .run(DATABASE, &format!("SELECT courier.ignore_precheck('{TASK}', 'row_security', 'read by the owner')"));
    pair.call(DATABASE, "start", TASK);
    pair.assert_mirrored(TASK, &["public.doc"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM pg_policy"), "0");
    assert_eq!(pair.destination.value(DATABASE, "SELECT relrowsecurity FROM pg_class WHERE relname = 'doc'"), "t");
    pair.call(DATABASE, "drop_task", TASK);
    pair.destination.run(DATABASE, "DROP TABLE doc");

    create(&pair, &["public.*"]);
    for fix in fixes(&pair, "row_security") {
        pair.destination.run(DATABASE, &fix);
    }
    assert!(is_ok(&pair, "row_security"));
    pair.call(DATABASE, "start", TASK);
    pair.assert_mirrored(TASK, &["public.doc"]);
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM pg_policy"), "2");
}

/// Names that belong to something else there: every kind that has names of its own in a schema. None is taken for what
/// the task would have made. What is the same is so whatever the settings of the source's sessions.
#[test]
fn names_that_belong_to_something_else() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "ALTER DATABASE shop SET quote_all_identifiers = on; ALTER DATABASE shop SET DateStyle = 'German'",
    );
    pair.source.run(
        DATABASE,
        "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy'); CREATE DOMAIN pos AS int CHECK (VALUE > 0); \
         CREATE DOMAIN same AS text CHECK (VALUE IN ('a', 'b')); CREATE TYPE pair AS (a int, b text); \
         CREATE TYPE size AS ENUM ('s', 'l'); CREATE DOMAIN sized AS size; CREATE DOMAIN day AS date DEFAULT '2026-02-01'; \
         CREATE SEQUENCE sq INCREMENT 10; CREATE SEQUENCE equal_sq; CREATE COLLATION german (provider = icu, locale = 'de'); \
         CREATE TABLE account (id int PRIMARY KEY DEFAULT nextval('sq'), other int DEFAULT nextval('equal_sq'), mail text COLLATE german, \
           m mood, p pos, s same, pp pair, z sized, d day, n int GENERATED ALWAYS AS IDENTITY, UNIQUE (mail)); \
         CREATE UNIQUE INDEX mail_u ON account (lower(mail)); CREATE STATISTICS st ON id, p FROM account; \
         CREATE TABLE gone (id int PRIMARY KEY)",
    );
    pair.destination.run(
        DATABASE,
        "SET ROLE courier; CREATE SCHEMA IF NOT EXISTS extra; \
         CREATE TYPE public.mood AS ENUM ('sad', 'happy'); CREATE DOMAIN public.pos AS int; CREATE SEQUENCE public.sq; \
         CREATE DOMAIN public.same AS text CHECK (VALUE IN ('a', 'b')); CREATE TYPE public.pair AS (a int, b int); \
         CREATE TYPE public.size AS ENUM ('s', 'l'); CREATE DOMAIN public.sized AS public.size; \
         CREATE DOMAIN public.day AS date DEFAULT '2026-02-01'; \
         CREATE SEQUENCE public.equal_sq; CREATE COLLATION public.german (provider = icu, locale = 'sv'); \
         CREATE TABLE public.old (id int, mail text); CREATE INDEX mail_u ON public.old (mail); \
         CREATE INDEX account_mail_key ON public.old (mail); CREATE SEQUENCE public.account_n_seq; \
         CREATE STATISTICS public.st ON id, mail FROM public.old; CREATE DOMAIN public.gone AS int",
    );
    create(&pair, &["public.*"]);
    let taken = findings(&pair, "destination_names");
    let wrong = [
        "public.mood | The task needs the name for the type, and it is taken: its labels there are: 'sad', 'happy'",
        "public.pos | The task needs the name for the domain, and it is taken: its constraints there are: none",
        "public.sq | The task needs the name for the sequence, and it is taken: it is AS bigint INCREMENT BY 1 ",
        "public.pair | The task needs the name for the type, and it is taken: its attributes there are: a integer, b integer",
        "public.german | The task needs the name for the collation",
        "public.mail_u | The task needs the name for the index, and it is taken: it is an index of table public.old",
        "public.account_mail_key | The task needs the name for the index of constraint account_mail_key",
        "public.account_n_seq | The task needs the name for the identity sequence of public.account",
        "public.st | The task needs the name for the statistics, and it is taken: they are of table public.old",
        "public.gone | The task needs the name for the table, and it is taken: a type has this name",
    ];
    assert_mentions(&taken, &wrong);
    assert_eq!(taken.lines().count(), wrong.len(), "nothing else: {taken}");
    let planned = format!("SELECT statement FROM courier.plan('{TASK}') WHERE object = 'public.day'");
    assert_eq!(pair.source.value(DATABASE, &planned), "CREATE DOMAIN public.day AS date DEFAULT '2026-02-01'::date");
    refused(&pair, &["destination_names"]);

    pair.destination.run(
        DATABASE,
        "DROP TABLE public.old; DROP TYPE public.mood, public.pair; DROP DOMAIN public.pos, public.gone; \
         DROP SEQUENCE public.sq, public.account_n_seq; DROP COLLATION public.german",
    );
    assert!(is_ok(&pair, "destination_names"), "{}", findings(&pair, "destination_names"));
    pair.source.run(DATABASE, "INSERT INTO account (mail, m, p, s) VALUES ('a', 'ok', 1, 'a')");
    pair.call(DATABASE, "start", TASK);
    pair.assert_mirrored(TASK, &["public.account"]);
}

/// The name is taken after the check: creation does not take it for its own.
#[test]
fn a_name_taken_after_the_start() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE account (id int PRIMARY KEY, mail text); CREATE UNIQUE INDEX mail_u ON account (lower(mail))",
    );
    create(&pair, &["public.*"]);
    let mut holder = pair.source.connect(DATABASE);
    holder.batch_execute("BEGIN; CREATE TABLE unrelated (id int); SELECT txid_current()").expect("a transaction");
    pair.call(DATABASE, "start", TASK);
    pair.destination.run(DATABASE, "CREATE TABLE other (mail text); CREATE INDEX mail_u ON other (mail)");
    holder.batch_execute("COMMIT").expect("commits");
    let text = pair.failure(DATABASE, TASK);
    assert_mentions(
        &text,
        &["index public.mail_u is on the destination already", "table public.other", "CREATE UNIQUE INDEX"],
    );
    pair.destination.run(DATABASE, "DROP TABLE other");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &["public.account"]);
    let unique = "SELECT indisunique FROM pg_index WHERE indexrelid = 'mail_u'::regclass";
    assert_eq!(pair.destination.value(DATABASE, unique), "t");
}

/// Columns and keys that need what the task does not create: all of them are refused at once, before anything exists.
/// The printed statements make it, and then everything is created that waited for it.
#[test]
fn what_cannot_be_created_is_refused() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA util; CREATE FUNCTION util.slug(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT lower($1)'; \
         CREATE FUNCTION tr() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE VIEW shape AS SELECT 1 AS a, 'x'::text AS b; CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple); \
         CREATE TABLE page (id int PRIMARY KEY, title text, slug text GENERATED ALWAYS AS (util.slug(title)) STORED, \
           CHECK (util.slug(title) <> '')); \
         CREATE INDEX page_slug ON page (util.slug(title)); CREATE TRIGGER tr BEFORE INSERT ON page FOR EACH ROW EXECUTE FUNCTION tr(); \
         CREATE TABLE drawing (id int PRIMARY KEY, s shape); \
         CREATE ROLE author; ALTER FUNCTION util.slug(text) OWNER TO author; ALTER FUNCTION tr() OWNER TO author; ALTER VIEW shape OWNER TO author; \
         CREATE TABLE doc (id int PRIMARY KEY, v tsvector GENERATED ALWAYS AS (to_tsvector('plain', 'x')) STORED); \
         CREATE TABLE fine (id int PRIMARY KEY); INSERT INTO page VALUES (1, 'One')",
    );
    create(&pair, &["public.*"]);
    let found = findings(&pair, "cannot_create");
    assert_mentions(
        &found,
        &["page | The generated column: cannot create: depends on function util.slug(text)", "drawing", "exclude"],
    );
    refused(&pair, &["2 prechecks failed", "cannot_create"]);
    assert_eq!(pair.source.value(DATABASE, "SELECT count(*) FROM pg_replication_slots"), "0");
    pair.call(DATABASE, "drop_task", TASK);

    let options = TaskOptions { exclude: vec!["doc".to_owned()], ..Default::default() };
    pair.create_task(DATABASE, TASK, &["public.*"], &options);
    for fix in fixes(&pair, "cannot_create") {
        pair.destination.psql_ok(DATABASE, &fix);
    }
    assert!(is_ok(&pair, "cannot_create"), "{}", findings(&pair, "cannot_create"));
    pair.call(DATABASE, "start", TASK);
    pair.assert_mirrored(TASK, &["public.page", "public.drawing", "public.fine"]);
    let parts = "SELECT (SELECT count(*) FROM pg_class WHERE relname = 'page_slug') || ' ' \
                 || (SELECT count(*) FROM pg_constraint WHERE conrelid = 'page'::regclass AND contype = 'c')";
    assert_eq!(pair.destination.value(DATABASE, parts), "1 1", "created with the function that is there");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal"), "0");
}

/// A function of the right name that a stranger owns is not called by the task's user.
#[test]
fn a_strangers_function_does_not_count() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE ROLE author; CREATE FUNCTION twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2'; \
         ALTER FUNCTION twice(int) OWNER TO author; CREATE TABLE t (id int PRIMARY KEY, d int GENERATED ALWAYS AS (twice(id)) STORED)",
    );
    pair.destination.run(
        DATABASE,
        "CREATE ROLE mallory; GRANT CREATE ON SCHEMA public TO mallory; SET ROLE mallory; \
         CREATE FUNCTION public.twice(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 * 2'",
    );
    create(&pair, &["public.*"]);
    assert_mentions(&findings(&pair, "cannot_create"), &["failed", "mallory"]);
    pair.destination.run(DATABASE, "ALTER FUNCTION public.twice(int) OWNER TO courier");
    assert!(is_ok(&pair, "cannot_create"));
}

/// What no task creates or carries, whatever its patterns name.
const ALWAYS_LEFT_OUT: &[&str] = &[
    "event trigger | et",
    "foreign data wrapper | fdw",
    "server | far",
    "user mapping | for PUBLIC on far",
    "foreign table | public.ft",
    "publication | p_all",
    "setting | database SET work_mem",
    "comment on the database | shop",
    "default privileges | default privileges on new relations",
    "owner | public.t (postgres)",
    "large objects | 1 of them",
];

/// Everything that is not a table: each kind is a line of the plan, and precheck says that there is something.
#[test]
fn everything_that_is_left_out_is_listed() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE t (id int PRIMARY KEY, a int); \
         CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1'; COMMENT ON FUNCTION f(int) IS 'a function'; \
         CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE FUNCTION ev() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'; CREATE PROCEDURE pr() LANGUAGE plpgsql AS 'BEGIN END'; \
         CREATE AGGREGATE ag(int) (sfunc = int4pl, stype = int); CREATE FUNCTION eq(t, t) RETURNS boolean LANGUAGE sql AS 'SELECT ($1).id = ($2).id'; \
         CREATE OPERATOR === (leftarg = t, rightarg = t, function = eq); CREATE TYPE free_type AS ENUM ('x'); CREATE DOMAIN free_domain AS int; \
         CREATE CAST (free_type AS text) WITH INOUT AS ASSIGNMENT; CREATE VIEW v AS SELECT id FROM t; CREATE VIEW vv AS SELECT * FROM v; \
         CREATE MATERIALIZED VIEW mv AS SELECT * FROM vv; CREATE UNIQUE INDEX mv_id ON mv (id); \
         CREATE RULE r AS ON INSERT TO v DO INSTEAD NOTHING; CREATE TRIGGER it INSTEAD OF UPDATE ON vv FOR EACH ROW EXECUTE FUNCTION g(); \
         CREATE EVENT TRIGGER et ON ddl_command_end EXECUTE FUNCTION ev(); CREATE SCHEMA other; CREATE SEQUENCE other.lonely; \
         CREATE TEXT SEARCH DICTIONARY td (template = simple); CREATE TEXT SEARCH CONFIGURATION tc (copy = simple); \
         CREATE FOREIGN DATA WRAPPER fdw; CREATE SERVER far FOREIGN DATA WRAPPER fdw; CREATE USER MAPPING FOR PUBLIC SERVER far OPTIONS (password 'p'); \
         CREATE FOREIGN TABLE ft (id int) SERVER far; SELECT lo_create(4711); CREATE ROLE reader; GRANT SELECT ON t TO reader; \
         ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader; CREATE PUBLICATION p_all FOR ALL TABLES; CREATE SEQUENCE named; \
         COMMENT ON DATABASE shop IS 'mine'; ALTER DATABASE shop SET work_mem = '5MB'",
    );
    create(&pair, &["public.*"]);
    let lines = omitted(&pair);
    for line in ALWAYS_LEFT_OUT {
        assert!(lines.lines().any(|l| l.starts_with(line)), "{line} is not in:\n{lines}");
    }
    assert_eq!(lines.lines().count(), ALWAYS_LEFT_OUT.len(), "nothing else: {lines}");
    assert!(!lines.contains("password"), "no secret: {lines}");
    assert_mentions(&findings(&pair, "left_out"), &["publication (1)", "courier.plan()"]);
    assert_mentions(&findings(&pair, "loose_sequences"), &["other", "lonely"]);
    pair.call(DATABASE, "drop_task", TASK);

    create(&pair, &["public.t", "public.named"]);
    let lines = omitted(&pair);
    for line in [
        "function (4) | public.eq(public.t, public.t), public.ev(), public.f(integer), public.g()",
        "procedure | public.pr()",
        "aggregate | public.ag(integer)",
        "operator | public.=== (public.t, public.t)",
        "type | public.free_type",
        "domain | public.free_domain",
        "cast | (public.free_type AS text)",
        "view (2) | public.v, public.vv",
        "materialized view | public.mv",
        "index of a materialized view | public.mv_id",
        "rule of a view | r on public.v",
        "trigger of a view | it on public.vv",
        "text search configuration | public.tc",
        "text search dictionary | public.td",
        "comment | on function public.f(integer)",
    ]
    .iter()
    .chain(ALWAYS_LEFT_OUT)
    {
        assert!(lines.lines().any(|l| l.starts_with(line)), "{line} is not in:\n{lines}");
    }
    assert!(!lines.contains("public.named"), "a pattern names it: {lines}");
    assert_mentions(&findings(&pair, "left_out"), &["function (4)", "courier.plan()"]);

    // A task that creates nothing is told about values only.
    pair.call(DATABASE, "drop_task", TASK);
    let options = TaskOptions { schema_sync: Some(false), ..Default::default() };
    pair.create_task(DATABASE, TASK, &["*.*"], &options);
    let lines = omitted(&pair);
    assert!(!lines.contains("function"), "{lines}");
    assert_mentions(&lines, &["large objects", "materialized view"]);
}

/// A sequence that only the application calls travels when a pattern names it: it is created, and its value follows.
#[test]
fn sequences_that_no_column_owns() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE SEQUENCE app_seq AS int START 1000 INCREMENT 5 CYCLE MAXVALUE 100000; SELECT nextval('app_seq'); \
         CREATE SCHEMA other; CREATE SEQUENCE other.lonely; SELECT nextval('other.lonely'); CREATE TABLE t (id bigint PRIMARY KEY)",
    );
    create(&pair, &["public.*", "other.lonely"]);
    assert!(is_ok(&pair, "loose_sequences"));
    pair.call(DATABASE, "start", TASK);
    pair.source.run(DATABASE, "INSERT INTO t VALUES (nextval('app_seq')); SELECT nextval('other.lonely')");
    pair.assert_mirrored(TASK, &["public.t"]);
    let values = "SELECT string_agg(concat_ws(' ', schemaname, sequencename, data_type, increment_by, max_value, cycle, last_value), ', ' \
                  ORDER BY sequencename) FROM pg_sequences WHERE schemaname IN ('public', 'other')";
    assert_eq!(pair.destination.value(DATABASE, values), pair.source.value(DATABASE, values));
    // One that is made later is not there: the others go on.
    pair.source.run(DATABASE, "CREATE SEQUENCE a_late; SELECT nextval('a_late'), nextval('app_seq')");
    pair.caught_up(DATABASE, TASK);
    let value = "SELECT last_value FROM app_seq";
    assert_eq!(pair.destination.value(DATABASE, value), pair.source.value(DATABASE, value));
    pair.call(DATABASE, "drop_task", TASK);

    pair.destination.run(DATABASE, "TRUNCATE t");
    let options = TaskOptions { schema_sync: Some(false), ..Default::default() };
    pair.create_task(DATABASE, TASK, &["public.*"], &options);
    assert_mentions(&findings(&pair, "loose_sequences"), &["a_late", "CREATE SEQUENCE"]);
}

/// The destination's default privileges would let strangers read the copies.
#[test]
fn default_privileges_of_the_destination() {
    let pair = Pair::start();
    pair.source
        .run(DATABASE, "CREATE ROLE reader; CREATE TABLE t (id serial PRIMARY KEY); GRANT SELECT ON t TO reader");
    pair.destination.run(
        DATABASE,
        "CREATE ROLE reader; ALTER DEFAULT PRIVILEGES FOR ROLE courier GRANT SELECT ON TABLES TO reader; \
         ALTER DEFAULT PRIVILEGES FOR ROLE courier GRANT SELECT ON TABLES TO PUBLIC; \
         ALTER DEFAULT PRIVILEGES FOR ROLE courier IN SCHEMA public GRANT USAGE ON SEQUENCES TO reader",
    );
    create(&pair, &["public.*"]);
    let found = findings(&pair, "destination_default_privileges");
    assert_mentions(&found, &["failed | PUBLIC", "failed | reader", "USAGE on sequences"]);
    assert_eq!(found.lines().count(), 2, "reader may read the table on the source, too: {found}");
    refused(&pair, &["destination_default_privileges"]);
    for fix in fixes(&pair, "destination_default_privileges") {
        pair.destination.run(DATABASE, &fix);
    }
    assert!(is_ok(&pair, "destination_default_privileges"));
    pair.call(DATABASE, "start", TASK);
    pair.assert_mirrored(TASK, &["public.t"]);
}

/// An extension in another schema there, with the statement that moves it; types and operator classes name the schema.
#[test]
fn an_extension_in_another_schema() {
    let pair = Pair::start();
    let available = "SELECT count(*) FROM pg_available_extensions WHERE name IN ('citext', 'pg_trgm')";
    if pair.source.value(DATABASE, available) != "2" {
        println!("this server has no contrib modules: nothing to test");
        return;
    }
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; CREATE EXTENSION pg_trgm SCHEMA ext; \
         CREATE TABLE t (id int PRIMARY KEY, c ext.citext, a text); CREATE INDEX ON t USING gin (a ext.gin_trgm_ops); INSERT INTO t VALUES (1, 'x', 'y')",
    );
    pair.destination.run(DATABASE, "CREATE EXTENSION citext");
    create(&pair, &["public.*"]);
    assert_mentions(
        &findings(&pair, "destination_extensions"),
        &["failed | citext", "schema public", "ALTER EXTENSION citext SET SCHEMA ext"],
    );
    refused(&pair, &["destination_extensions"]);
    pair.destination.run(DATABASE, &fixes(&pair, "destination_extensions")[0]);
    pair.destination.run(DATABASE, "GRANT USAGE, CREATE ON SCHEMA ext TO courier");
    assert!(is_ok(&pair, "destination_names"));
    pair.call(DATABASE, "start", TASK);
    pair.assert_mirrored(TASK, &["public.t"]);
}

/// Identity sequences of another type than their column, and one that is unlogged.
#[test]
fn identity_sequences_with_a_type_of_their_own() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE t (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY); ALTER SEQUENCE t_id_seq AS bigint; \
         CREATE TABLE u (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY); ALTER SEQUENCE u_id_seq AS integer; \
         CREATE TABLE v (id smallint GENERATED ALWAYS AS IDENTITY (MINVALUE -100 START -100) PRIMARY KEY); \
         CREATE TABLE s (id serial PRIMARY KEY); ALTER SEQUENCE s_id_seq AS bigint; INSERT INTO t DEFAULT VALUES; INSERT INTO v DEFAULT VALUES",
    );
    let unlogged = pair.source.value(DATABASE, "SHOW server_version_num").parse::<u32>().expect("a number") >= 150_000;
    if unlogged {
        pair.source.run(DATABASE, "ALTER SEQUENCE u_id_seq SET UNLOGGED");
    }
    create(&pair, &["public.*"]);
    if unlogged {
        assert_mentions(&omitted(&pair), &["unlogged | identity sequence u_id_seq on public.u"]);
    }
    pair.call(DATABASE, "start", TASK);
    pair.assert_mirrored(TASK, &["public.t", "public.u", "public.v", "public.s"]);
    let sequences = "SELECT string_agg(concat_ws(' ', sequencename, data_type, start_value, min_value, max_value, last_value), ', ' \
                     ORDER BY sequencename) FROM pg_sequences WHERE schemaname = 'public'";
    assert_eq!(pair.destination.value(DATABASE, sequences), pair.source.value(DATABASE, sequences));
}

/// The configuration of tsvector_update_trigger() is a text argument, which no catalog connects with it.
#[test]
fn a_trigger_that_names_a_configuration() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TEXT SEARCH CONFIGURATION plain (COPY = simple); CREATE TABLE t (id int PRIMARY KEY, body text, v tsvector); \
         CREATE TRIGGER mine BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(v, 'public.plain', body); \
         CREATE TRIGGER english BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(v, 'pg_catalog.english', body)",
    );
    create(&pair, &["public.*"]);
    let lines = omitted(&pair);
    assert!(!lines.contains("trigger"), "{lines}");
    pair.call(DATABASE, "start", TASK);
    pair.assert_mirrored(TASK, &["public.t"]);
    let triggers = "SELECT string_agg(tgname, ' ' ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal";
    assert_eq!(pair.destination.value(DATABASE, triggers), "english mine");
    pair.destination.run(DATABASE, "INSERT INTO t (id, body) VALUES (1, 'words')");
}

/// An older version of an extension comes as it is; where another one is there already, a warning says so.
#[test]
fn an_extension_of_an_older_version() {
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE EXTENSION citext VERSION '1.4'; CREATE TABLE t (id int PRIMARY KEY, c citext)");
    create(&pair, &["public.t"]);
    assert!(is_ok(&pair, "destination_extensions"));
    pair.call(DATABASE, "start", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let version = "SELECT extversion FROM pg_extension WHERE extname = 'citext'";
    assert_eq!(pair.destination.value(DATABASE, version), "1.4");
    pair.call(DATABASE, "drop_task", TASK);

    pair.destination.run(DATABASE, "DROP TABLE t; ALTER EXTENSION citext UPDATE");
    let there = pair.destination.value(DATABASE, version);
    create(&pair, &["public.t"]);
    let found = findings(&pair, "destination_extensions");
    assert_mentions(&found, &["warning | citext", &format!("It has version {there} there, 1.4 on the source.")]);
}

/// The rows that a key needs are in a table of an extension that pg_dump would not take along either: the key comes, and nobody has looked at
/// those rows. A partitioned table cannot have such a key before 18, so the task stops there, and says what to do.
#[test]
fn a_key_to_the_table_of_an_extension() {
    let pair = Pair::start();
    let extension =
        "CREATE EXTENSION citext; CREATE TABLE ref (id int PRIMARY KEY); ALTER EXTENSION citext ADD TABLE ref";
    pair.source.run(
        DATABASE,
        &format!(
            "{extension}; CREATE TABLE t (id int PRIMARY KEY, c citext, r int REFERENCES ref); \
             CREATE TABLE parted (id int PRIMARY KEY, r int REFERENCES ref) PARTITION BY RANGE (id); \
             CREATE TABLE part PARTITION OF parted DEFAULT; \
             INSERT INTO ref VALUES (1); INSERT INTO t VALUES (1, 'a', 1)"
        ),
    );
    pair.destination.run(DATABASE, &format!("{extension}; GRANT ALL ON ref TO courier"));
    create(&pair, &["public.t"]);
    assert_mentions(&findings(&pair, "foreign_keys"), &["Rows that users put into it do not travel"]);
    pair.call(DATABASE, "start", TASK);
    pair.assert_mirrored(TASK, &["public.t"]);
    let key =
        "SELECT conname || ' ' || convalidated FROM pg_constraint WHERE conrelid = 't'::regclass AND contype = 'f'";
    assert_eq!(pair.destination.value(DATABASE, key), "t_r_fkey false");
    pair.call(DATABASE, "drop_task", TASK);

    pair.source.run(DATABASE, "INSERT INTO parted VALUES (1, 1)");
    create(&pair, &["public.parted"]);
    pair.call(DATABASE, "start", TASK);
    if pair.destination.install.major() < 18 {
        pair.wait_for_state(DATABASE, TASK, "failed");
        assert_mentions(
            &pair.task(DATABASE, TASK, "last_error_hint"),
            &["or the table it refers to", "do not travel", "NOT VALID", "SELECT courier.resume('shop_to_dr');"],
        );
        pair.destination.run(DATABASE, "INSERT INTO ref VALUES (1)");
        pair.call(DATABASE, "resume", TASK);
    }
    pair.assert_mirrored(TASK, &["public.parted"]);
}

/// Values that name objects which the destination lacks, in the copy and in the stream: the error says which columns they
/// are in, and once the object is there the task goes on.
#[test]
fn values_that_name_what_is_not_there() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1'; CREATE VIEW v AS SELECT 1 AS a; \
         CREATE TABLE t (id int PRIMARY KEY, p regproc, c regclass); INSERT INTO t VALUES (1, 'f', 'pg_class')",
    );
    create(&pair, &["public.t"]);
    refused(&pair, &["reg_columns", "function public.f(integer)"]);
    pair.source.run(DATABASE, &format!("SELECT courier.ignore_precheck('{TASK}', 'reg_columns', 'to see it')"));
    pair.call(DATABASE, "start", TASK);
    pair.wait_for_state(DATABASE, TASK, "failed");
    let hint = pair.task(DATABASE, TASK, "last_error_hint");
    assert_mentions(&hint, &["p, c of public.t", "names of objects", "courier.resume('shop_to_dr');"]);
    pair.destination.run(DATABASE, "CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT $1'");
    pair.call(DATABASE, "resume", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "INSERT INTO t VALUES (2, NULL, 'v')");
    pair.wait_for_state(DATABASE, TASK, "failed");
    let hint = pair.task(DATABASE, TASK, "last_error_hint");
    assert_mentions(&hint, &["p, c of public.t", "names of objects", "courier.resume('shop_to_dr');"]);
    pair.destination.run(DATABASE, "CREATE VIEW v AS SELECT 1 AS a");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &["public.t"]);
}

/// A check that rows of the source do not fulfil when they are looked at again: the copy stops, says what to do, and goes on after it.
#[test]
fn rows_that_their_own_check_refuses() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE TABLE t (id int PRIMARY KEY, CONSTRAINT few CHECK (id < coalesce(current_setting('shop.few', true), '0')::int)); \
         SET shop.few = 10; INSERT INTO t VALUES (1), (2)",
    );
    pair.start_task(TASK, &["public.t"]);
    pair.wait_for_state(DATABASE, TASK, "failed");
    let hint = pair.task(DATABASE, TASK, "last_error_hint");
    assert_mentions(&hint, &["Rows of the source", "NOT VALID", "courier.resume('shop_to_dr');"]);
    pair.destination.run(DATABASE, "ALTER TABLE t DROP CONSTRAINT few");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &["public.t"]);
}

/// What the catalogs announce of rows and values: names of objects in columns, rows in an extension's tables, and
/// functions that depend on search_path where the tables are there already, in a schema where everybody may create.
#[test]
fn values_that_need_more_than_rows() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE DOMAIN ref AS regclass; CREATE TABLE t (id int PRIMARY KEY, p regproc, c ref, a regtype[], plain text)",
    );
    create(&pair, &["public.*"]);
    let found = findings(&pair, "reg_columns");
    assert_mentions(
        &found,
        &["Column p has type regproc", "Column c has type public.ref", "Column a has type regtype[]"],
    );
    assert_eq!(found.lines().count(), 3, "{found}");
    pair.call(DATABASE, "drop_task", TASK);

    let there = "CREATE FUNCTION one() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; \
                 CREATE FUNCTION plus_one(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 + one(); END'; \
                 CREATE FUNCTION careful(int) RETURNS int LANGUAGE sql IMMUTABLE SET search_path = public AS 'SELECT $1 + one()'; \
                 CREATE TABLE f (id int PRIMARY KEY, k int CHECK (plus_one(k) > 0), g int GENERATED ALWAYS AS (careful(id)) STORED)";
    pair.source.run(DATABASE, there);
    pair.destination
        .run(DATABASE, &format!("{there}; ALTER TABLE f OWNER TO courier; GRANT CREATE ON SCHEMA public TO PUBLIC"));
    let options = TaskOptions { schema_sync: Some(false), ..Default::default() };
    pair.create_task(DATABASE, TASK, &["f"], &options);
    let found = findings(&pair, "destination_search_path");
    assert_mentions(
        &found,
        &[
            "warning | public.plus_one(integer)",
            "ALTER FUNCTION public.plus_one(integer) SET search_path = public, pg_temp",
        ],
    );
    assert_eq!(found.lines().count(), 1, "{found}");
    pair.destination.run(DATABASE, &fixes(&pair, "destination_search_path")[0]);
    assert!(is_ok(&pair, "destination_search_path"));
    pair.source.run(DATABASE, "INSERT INTO f VALUES (1, 1)");
    pair.call(DATABASE, "start", TASK);
    pair.source.run(DATABASE, "INSERT INTO f VALUES (2, 2)");
    pair.assert_mirrored(TASK, &["public.f"]);
}

/// One table cannot be read on the source side: the function of its index names another without its schema. It is a line
/// with the reason, and the others are compared.
#[test]
fn a_table_that_cannot_be_verified() {
    let pair = Pair::start();
    // From 17 on CREATE INDEX looks names up as a dump does, so the function goes wrong afterwards.
    pair.source.run(
        DATABASE,
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT 1'; \
         CREATE FUNCTION plus_one(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + 1'; \
         CREATE TABLE t (id int PRIMARY KEY, k int); CREATE TABLE innocent (id int PRIMARY KEY); CREATE TABLE zebra (id int PRIMARY KEY); \
         CREATE INDEX t_k ON t (plus_one(k)); CREATE ROLE author; ALTER FUNCTION plus_one(int) OWNER TO author; \
         CREATE OR REPLACE FUNCTION plus_one(int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + one()'; \
         INSERT INTO t VALUES (1, 1); INSERT INTO innocent VALUES (1)",
    );
    pair.start_task(TASK, &["public.*"]);
    pair.caught_up(DATABASE, TASK);
    let verified = "SELECT string_agg(concat_ws(' ', table_name, coalesce(identical::text, 'unknown'), error LIKE '%one()%SET search_path%'), \
                    ', ' ORDER BY table_name) FROM courier.verify('shop_to_dr')";
    let expected = "public.innocent true, public.t unknown t, public.zebra true";
    assert_eq!(pair.source.value(DATABASE, verified), expected);
    // The same on the other side.
    pair.source.run(DATABASE, "DROP INDEX t_k");
    pair.destination.run(DATABASE, "REVOKE ALL ON zebra FROM courier; ALTER TABLE zebra OWNER TO postgres");
    let errors =
        "SELECT string_agg(table_name || ' ' || error, ', ') FROM courier.verify('shop_to_dr') WHERE identical IS NULL";
    assert_mentions(&pair.source.value(DATABASE, errors), &["public.zebra permission denied"]);
    // A cancel is no property of a table.
    let mut session = pair.source.connect(DATABASE);
    session.batch_execute("SET statement_timeout = 1").expect("a setting");
    assert!(session.simple_query("SELECT * FROM courier.verify('shop_to_dr')").is_err());
}

/// A cast that runs no function leaves no trace in what a default depends on, so nobody knows of it before the table is created there.
/// Then the task stops with nothing done, and goes on once the cast is there.
#[test]
fn a_cast_without_a_function() {
    let pair = Pair::start();
    let cast = "CREATE CAST (bigint AS timestamp) WITHOUT FUNCTION";
    pair.source.run(
        DATABASE,
        &format!("{cast}; CREATE TABLE t (id int PRIMARY KEY, at timestamp DEFAULT (1000 * pg_backend_pid())::bigint::timestamp); INSERT INTO t VALUES (1)"),
    );
    create(&pair, &["public.t"]);
    pair.call(DATABASE, "start", TASK);
    pair.wait_for_state(DATABASE, TASK, "failed");
    let error = "concat_ws(' ', last_error, last_error_detail, last_error_hint)";
    assert_mentions(
        &pair.task(DATABASE, TASK, error),
        &["cannot cast type bigint to timestamp", "table public.t", "courier.resume('shop_to_dr');"],
    );
    assert_eq!(pair.destination.value(DATABASE, "SELECT to_regclass('public.t') IS NULL"), "t");
    pair.destination.run(DATABASE, cast);
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &["public.t"]);
}

/// An event trigger there says no, first to the helper tables, then to a table of the task. Its words are shown, with no hint that is about
/// something else.
#[test]
fn an_event_trigger_there_says_no() {
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)");
    pair.destination.run(
        DATABASE,
        "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'no tables on Fridays'; END$$; \
         CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION no()",
    );
    create(&pair, &["public.t"]);
    pair.call(DATABASE, "start", TASK);
    pair.wait_for_state(DATABASE, TASK, "failed");
    let error = pair.task(DATABASE, TASK, "concat_ws(' ', last_error, last_error_detail, last_error_hint)");
    assert_mentions(&error, &["no tables on Fridays", "courier_applied", "courier.resume('shop_to_dr');"]);
    assert!(!error.contains("GRANT"), "{error}");
    pair.destination.run(DATABASE, "ALTER EVENT TRIGGER no DISABLE");
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &["public.t"]);
}
