//! Everything besides columns: partitions, foreign keys, types, views, functions, triggers, policies, grants, schemas.

use pg_courier_tests::Rng;

use super::{Worker, World, four_sessions};

const TABLES: [&str; 3] = ["a", "b", "c"];
/// These have columns of all types.
const STAYING: [&str; 2] = ["a", "b"];
/// These go out of reach and come back.
const MOVING: [&str; 2] = ["m", "w"];
const ROOTS: [&str; 2] = ["r", "s"];
const LEAVES: [&str; 5] = ["l1", "l2", "l3", "l4", "l5"];
const TYPES: [&str; 2] = ["e1", "e2"];
const DOMAINS: [&str; 2] = ["d1", "d2"];
const VIEWS: [&str; 3] = ["v1", "v2", "v3"];
const SNAPSHOTS: [&str; 2] = ["m1", "m2"];
const FUNCTIONS: [&str; 2] = ["f1", "f2"];
const SEQUENCES: [&str; 2] = ["q1", "q2"];
const ROLES: [&str; 2] = ["low1", "low2"];

#[test]
fn objects_at_random() {
    four_sessions(&world("objects_at_random", statement, Worker::IsKilled));
}

/// Two tables leave and come back, and exchange names; what has left is renamed and dropped as well, and gives way there.
#[test]
fn reach_at_random() {
    let statement = |rng: &mut Rng| match rng.between(0, 9) {
        0 => moves(rng),
        1 => of_moving(rng),
        _ => statement(rng),
    };
    four_sessions(&world("reach_at_random", statement, Worker::IsKilled));
}

#[test]
fn unlogged_tables_at_random() {
    let statement = |rng: &mut Rng| match rng.between(0, 19) {
        0 => moves(rng),
        1 | 2 => (*rng.pick(&["ALTER TABLE m SET UNLOGGED", "ALTER TABLE m SET LOGGED"])).to_owned(),
        3 | 4 => of_moving(rng),
        _ => statement(rng),
    };
    four_sessions(&world("unlogged_tables_at_random", statement, Worker::IsEnded));
}

fn world(name: &'static str, statement: fn(&mut Rng) -> String, worker: Worker) -> World {
    World {
        name,
        roles: &ROLES,
        beginning: "CREATE SCHEMA stage; CREATE TABLE a (id int PRIMARY KEY, ref int, v text); CREATE TABLE m (id int PRIMARY KEY, ref int, v text); \
             CREATE TABLE w (id int PRIMARY KEY, ref int, v text); \
             CREATE TABLE z (id int PRIMARY KEY, ref int REFERENCES m); INSERT INTO z SELECT n FROM generate_series(1, 300) n; \
             CREATE TABLE r (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k); \
             CREATE TABLE l1 PARTITION OF r FOR VALUES IN (1); CREATE TYPE e1 AS ENUM ('x'); \
             CREATE FUNCTION f1() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
             CREATE TRIGGER g1 BEFORE INSERT ON a FOR EACH ROW EXECUTE FUNCTION f1(); \
             CREATE VIEW v1 AS SELECT id, v || '1' AS w FROM a; CREATE VIEW v2 AS SELECT w FROM v1; \
             CREATE MATERIALIZED VIEW m1 AS SELECT id, ref FROM a; CREATE AGGREGATE ag1(int) (SFUNC = int4pl, STYPE = int); \
             CREATE FUNCTION of_a(a, int) RETURNS boolean LANGUAGE sql AS 'SELECT true'; CREATE TEXT SEARCH CONFIGURATION ts1 (COPY = simple); \
             CREATE OPERATOR |> (LEFTARG = a, RIGHTARG = int, FUNCTION = of_a); CREATE CAST (e1 AS int) WITH INOUT; \
             INSERT INTO a SELECT n, n, n FROM generate_series(1, 100) n; INSERT INTO r SELECT n, 1, n FROM generate_series(1, 100) n",
        statement,
        worker,
    }
}

fn moves(rng: &mut Rng) -> String {
    let (table, other) = (*rng.pick(&MOVING), *rng.pick(&MOVING));
    match rng.between(0, 14) {
        12 => format!("ALTER TABLE stage.{table} RENAME TO {other}"),
        13 => format!("DROP TABLE stage.{table} CASCADE"),
        14 => format!("CREATE TABLE {table} (id int PRIMARY KEY, ref int, v text)"),
        0..=3 => format!("ALTER TABLE {table} SET SCHEMA stage"),
        4..=7 => format!("ALTER TABLE stage.{table} SET SCHEMA public"),
        8 | 9 => format!("ALTER TABLE {table} RENAME TO {other}"),
        10 => format!("DROP TABLE {table} CASCADE; CREATE TABLE {table} (id int PRIMARY KEY, ref int, v text)"),
        _ => "ALTER TABLE m RENAME TO x; ALTER TABLE w RENAME TO m; ALTER TABLE x RENAME TO w".to_owned(),
    }
}

fn of_moving(rng: &mut Rng) -> String {
    let table = *rng.pick(&MOVING);
    let (schema, id) = (*rng.pick(&["public", "stage"]), rng.between(1, 200));
    let valid = if id % 2 == 0 { "" } else { " NOT VALID" };
    match rng.between(0, 12) {
        0..=3 => format!(
            "INSERT INTO {schema}.{table} (id, ref, v) SELECT n, n, n FROM generate_series({id}, {id} + 5) n ON CONFLICT DO NOTHING"
        ),
        4 => format!("UPDATE {schema}.{table} SET v = '{id}' WHERE id % 7 = {}", id % 7),
        5 => format!("DELETE FROM {schema}.{table} WHERE id % 11 = {}", id % 11),
        6 => format!("ALTER TABLE {schema}.{table} ADD CONSTRAINT fk_z FOREIGN KEY (ref) REFERENCES z{valid}"),
        7 => format!("ALTER TABLE {schema}.{table} DROP CONSTRAINT fk_z"),
        8 => format!("ALTER TABLE {schema}.{table} ADD g text GENERATED ALWAYS AS (v || '{id}') STORED"),
        9 => format!("ALTER TABLE {schema}.{table} DROP g"),
        10 => format!("ALTER TABLE {schema}.{table} ADD n int GENERATED BY DEFAULT AS IDENTITY"),
        11 => format!("ALTER TABLE {schema}.{table} DROP n"),
        _ => format!("CREATE INDEX ON {schema}.{table} (ref)"),
    }
}

fn statement(rng: &mut Rng) -> String {
    match rng.between(0, 9) {
        0 | 1 => of_tables(rng),
        2 | 3 => of_partitions(rng),
        4 => of_types(rng),
        5 => match rng.between(0, 3) {
            0 => of_rare(rng),
            _ => of_code(rng),
        },
        6 => of_rights(rng),
        _ => of_rows(rng),
    }
}

fn of_tables(rng: &mut Rng) -> String {
    let (table, other) = (*rng.pick(&TABLES), *rng.pick(&TABLES));
    let (staying, second) = (*rng.pick(&STAYING), *rng.pick(&STAYING));
    let id = rng.between(1, 200);
    match rng.between(0, 21) {
        0..=2 => format!("CREATE TABLE {table} (id int PRIMARY KEY, ref int, v text)"),
        3 => format!("CREATE TABLE {staying} () INHERITS ({second}); ALTER TABLE {staying} ADD PRIMARY KEY (id)"),
        4 => format!("ALTER TABLE {staying} NO INHERIT {second}"),
        5 => format!("DROP TABLE {table}"),
        6 => format!("DROP TABLE {table} CASCADE"),
        7 | 8 => format!("ALTER TABLE {table} ALTER ref SET NOT NULL, ALTER ref DROP NOT NULL"),
        9 => format!("ALTER TABLE {staying} RENAME TO {second}"),
        10 => format!("ALTER TABLE {table} ADD CONSTRAINT fk_{other} FOREIGN KEY (ref) REFERENCES {other} NOT VALID"),
        11 => format!("ALTER TABLE {table} VALIDATE CONSTRAINT fk_{other}"),
        12 => format!("ALTER TABLE {table} DROP CONSTRAINT fk_{other}"),
        13 => format!("ALTER TABLE {table} DROP CONSTRAINT {table}_pkey CASCADE, ADD PRIMARY KEY (id)"),
        14 => format!("ALTER TABLE {table} ADD g text GENERATED ALWAYS AS (v || '{id}') STORED"),
        15 => format!("ALTER TABLE {table} DROP g"),
        16 => format!("ALTER TABLE {table} ADD n int GENERATED BY DEFAULT AS IDENTITY"),
        17 => format!("ALTER TABLE {table} ALTER n DROP IDENTITY"),
        18 | 19 => format!("COMMENT ON TABLE {table} IS '{id}'"),
        20 => format!("CREATE STATISTICS ON ref, v FROM {table}"),
        _ => format!("ALTER TABLE {table} SET (fillfactor = {}), ALTER v SET STATISTICS {id}", 50 + id % 50),
    }
}

fn of_partitions(rng: &mut Rng) -> String {
    let (root, leaf, other) = (*rng.pick(&ROOTS), *rng.pick(&LEAVES), *rng.pick(&LEAVES));
    let k = rng.between(1, 4);
    match rng.between(0, 19) {
        0 => format!("CREATE TABLE {root} (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k)"),
        1..=4 => format!("CREATE TABLE {leaf} PARTITION OF {root} FOR VALUES IN ({k})"),
        5 => format!("CREATE TABLE {leaf} PARTITION OF {root} DEFAULT"),
        6 | 7 => format!("CREATE TABLE {leaf} (v text, k int, id int, PRIMARY KEY (id, k))"),
        8 | 9 => format!("ALTER TABLE {root} ATTACH PARTITION {leaf} FOR VALUES IN ({k})"),
        10 | 11 => format!("ALTER TABLE {root} DETACH PARTITION {leaf}"),
        12 => format!("DROP TABLE {leaf}"),
        13 => format!("ALTER TABLE {leaf} RENAME TO {other}"),
        14 => format!("ALTER TABLE {root} ADD x{k} int DEFAULT {k}"),
        15 => format!("ALTER TABLE {root} DROP x{k}"),
        16 => format!("CREATE INDEX i_{root}_{k} ON {root} (v)"),
        17 => format!("DROP INDEX i_{root}_{k}"),
        18 => format!("ALTER TABLE {root} ADD r{k} float8 DEFAULT random()"),
        _ => format!("DROP TABLE {root}"),
    }
}

fn of_types(rng: &mut Rng) -> String {
    let (kind, domain, table) = (*rng.pick(&TYPES), *rng.pick(&DOMAINS), *rng.pick(&STAYING));
    let (sequence, n) = (*rng.pick(&SEQUENCES), rng.between(1, 9));
    match rng.between(0, 13) {
        0 => format!("CREATE TYPE {kind} AS ENUM ('x', 'y')"),
        1 => format!("ALTER TYPE {kind} ADD VALUE 'n{n}' BEFORE 'x'"),
        2 => format!("ALTER TYPE {kind} RENAME VALUE 'n{n}' TO 'm{n}'"),
        3 => format!("DROP TYPE {kind} CASCADE"),
        4 => format!("ALTER TABLE {table} ADD c_{kind} {kind} DEFAULT 'x'"),
        5 => format!("CREATE DOMAIN {domain} AS int CHECK (VALUE > 0)"),
        6 => format!("ALTER DOMAIN {domain} ADD CONSTRAINT c{n} CHECK (VALUE < 1000 + {n})"),
        7 => format!("ALTER DOMAIN {domain} DROP CONSTRAINT c{n}"),
        8 => format!("ALTER TABLE {table} ADD c_{domain} {domain} DEFAULT {n}"),
        9 => format!("DROP DOMAIN {domain} CASCADE"),
        10 => format!("CREATE SEQUENCE {sequence} INCREMENT {n}"),
        11 => format!("ALTER TABLE {table} ALTER ref SET DEFAULT nextval('{sequence}')"),
        12 => format!("ALTER SEQUENCE {sequence} OWNED BY {table}.ref"),
        _ => format!("DROP SEQUENCE {sequence} CASCADE"),
    }
}

fn of_code(rng: &mut Rng) -> String {
    let (view, other, stored) = (*rng.pick(&VIEWS), *rng.pick(&VIEWS), *rng.pick(&SNAPSHOTS));
    let (table, function, n) = (*rng.pick(&TABLES), *rng.pick(&FUNCTIONS), rng.between(1, 9));
    match rng.between(0, 16) {
        0 | 1 => format!("CREATE OR REPLACE VIEW {view} AS SELECT id, v || '{n}' AS w FROM {table}"),
        2 => format!("CREATE VIEW {view} AS SELECT w FROM {other}"),
        3 => format!("ALTER VIEW {view} RENAME TO {other}"),
        4 => format!("DROP VIEW {view}"),
        5 => format!("DROP VIEW {view} CASCADE"),
        6 => format!("CREATE MATERIALIZED VIEW {stored} AS SELECT id, ref FROM {table}"),
        7 => format!("REFRESH MATERIALIZED VIEW {stored}"),
        8 => format!("DROP MATERIALIZED VIEW {stored}"),
        9 | 10 => format!(
            "CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.v := ''by {n}''; RETURN NEW; END'"
        ),
        11 => format!("CREATE TRIGGER g{n} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()"),
        12 => format!("DROP TRIGGER g{n} ON {table}"),
        13 => format!("ALTER TABLE {table} DISABLE TRIGGER USER"),
        14 => format!("DROP FUNCTION {function}() CASCADE"),
        15 => format!("CREATE RULE u{n} AS ON DELETE TO {view} DO INSTEAD NOTHING"),
        _ => format!("ALTER FUNCTION {function}() SET work_mem = '{n}MB'"),
    }
}

/// What is nothing but a statement. Nothing on the source keeps a table whose row type a function is about to take: that is up to us.
fn of_rare(rng: &mut Rng) -> String {
    let (table, n) = (*rng.pick(&TABLES), rng.between(1, 3));
    match rng.between(0, 13) {
        0 | 1 => format!("CREATE AGGREGATE ag{n}(int) (SFUNC = int4pl, STYPE = int)"),
        2 => format!("DROP AGGREGATE ag{n}(int)"),
        3 => format!(
            "LOCK TABLE {table} IN ACCESS SHARE MODE; CREATE FUNCTION of_{table}({table}, int) RETURNS boolean LANGUAGE sql AS 'SELECT true'"
        ),
        4 => format!(
            "LOCK TABLE {table} IN ACCESS SHARE MODE; CREATE OPERATOR |> (LEFTARG = {table}, RIGHTARG = int, FUNCTION = of_{table})"
        ),
        5 => format!("DROP OPERATOR |> ({table}, int)"),
        6 => format!("DROP FUNCTION of_{table}({table}, int) CASCADE"),
        7 => format!("COMMENT ON OPERATOR |> ({table}, int) IS 'n{n}'"),
        8 => format!("CREATE TEXT SEARCH CONFIGURATION ts{n} (COPY = simple)"),
        9 => format!("ALTER TEXT SEARCH CONFIGURATION ts{n} ALTER MAPPING FOR word WITH english_stem"),
        10 => format!("DROP TEXT SEARCH CONFIGURATION ts{n}"),
        11 => format!("ALTER TEXT SEARCH CONFIGURATION ts{n} RENAME TO ts{}", 1 + n % 3),
        12 => "CREATE CAST (e1 AS int) WITH INOUT".to_owned(),
        _ => "DROP CAST (e1 AS int)".to_owned(),
    }
}

fn of_rights(rng: &mut Rng) -> String {
    let (table, root, role) = (*rng.pick(&TABLES), *rng.pick(&ROOTS), *rng.pick(&ROLES));
    let (view, n) = (*rng.pick(&VIEWS), rng.between(1, 9));
    match rng.between(0, 9) {
        0 => format!("GRANT SELECT, UPDATE (v) ON {table} TO {role}"),
        1 => format!("REVOKE ALL ON {table} FROM {role}"),
        2 => format!("GRANT SELECT ON {view} TO {role} WITH GRANT OPTION"),
        3 => format!("COMMENT ON TABLE {root} IS 'n{n}'"),
        4 => format!("COMMENT ON COLUMN {table}.v IS 'n{n}'"),
        5 => format!("COMMENT ON VIEW {view} IS 'n{n}'"),
        6 => format!("ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"),
        7 => format!("CREATE POLICY p{n} ON {table} TO {role} USING (id > {n})"),
        8 => format!("DROP POLICY p{n} ON {table}"),
        _ => format!("ALTER TABLE {root} CLUSTER ON {root}_pkey"),
    }
}

fn of_rows(rng: &mut Rng) -> String {
    let (table, root, leaf) = (*rng.pick(&TABLES), *rng.pick(&ROOTS), *rng.pick(&LEAVES));
    let (id, k) = (rng.between(1, 200), rng.between(1, 4));
    match rng.between(0, 9) {
        0..=2 => {
            format!("INSERT INTO {table} SELECT n, n, n FROM generate_series({id}, {id} + 5) n ON CONFLICT DO NOTHING")
        }
        3 | 4 => {
            format!("INSERT INTO {root} SELECT n, {k}, n FROM generate_series({id}, {id} + 5) n ON CONFLICT DO NOTHING")
        }
        5 => format!("INSERT INTO {leaf} (id, k, v) VALUES ({id}, {k}, 'leaf') ON CONFLICT DO NOTHING"),
        6 => format!("UPDATE {table} SET v = '{id}' WHERE id % 7 = {}", id % 7),
        7 => format!("UPDATE {root} SET k = {k} WHERE id % 11 = {}", id % 11),
        8 => format!("DELETE FROM {table} WHERE id % 11 = {}", id % 11),
        _ => format!("TRUNCATE {root}"),
    }
}
