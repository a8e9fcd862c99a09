//! The schema with everything in it (`tests/demo/types.sql`) and transactions on it: all
//! kinds of changes of all kinds of tables, mixed in one transaction, with savepoints
//! rolled back, key changes, row movement between partitions, and a TRUNCATE now and then.

use crate::cluster::Cluster;
use crate::rng::Rng;

pub const SCHEMA: &str = include_str!("../demo/types.sql");

/// What a task includes to mirror the schema.
pub const PATTERN: &str = "types.*";

/// Creates the schema and its first rows.
pub fn initialize(cluster: &Cluster, database: &str) {
    cluster.psql_ok(database, SCHEMA);
}

/// All tables with rows of their own: partitions, not their parents.
pub fn tables(cluster: &Cluster, database: &str) -> Vec<String> {
    let query = "SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c \
                 JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE n.nspname = 'types' AND c.relkind = 'r' ORDER BY 1";
    let rows = cluster.rows(database, query);
    rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect()
}

/// One transaction of one to six changes.
pub fn transaction(rng: &mut Rng) -> String {
    let mut statements = String::from("BEGIN;\n");
    for _ in 0..rng.between(1, 6) {
        if rng.between(1, 8) == 1 {
            // What is rolled back must not arrive, what follows it must.
            let undone = change(rng);
            statements += &format!("SAVEPOINT s;\n{undone};\nROLLBACK TO s;\n");
        } else if rng.between(1, 8) == 1 {
            let kept = change(rng);
            statements += &format!("SAVEPOINT k;\n{kept};\nRELEASE k;\n");
        }
        statements += &change(rng);
        statements += ";\n";
    }
    let end = if rng.between(1, 12) == 1 { "ROLLBACK" } else { "COMMIT" };
    statements + end
}

/// Rows made by a function of schema `gen`, by table, with columns to update.
const GENERATED: [(&str, &[&str]); 4] = [
    (
        "scalars",
        &[
            "c_int2",
            "c_int4",
            "c_int8",
            "c_numeric",
            "c_float4",
            "c_float8",
            "c_money",
            "c_bool",
            "c_char",
            "c_varchar",
            "c_text",
            "c_bytea",
            "c_date",
            "c_timetz",
            "c_timestamptz",
            "c_interval",
            "c_uuid",
            "c_inet",
            "c_macaddr8",
            "c_bit",
            "c_varbit",
            "c_polygon",
            "c_json",
            "c_jsonb",
            "c_tsvector",
            "c_int4range",
            "c_tstzrange",
            "c_pg_lsn",
            "c_xid8",
            "c_tid",
            "c_regclass",
        ],
    ),
    ("arrays", &["a_int4", "a_text", "a_numeric", "a_jsonb", "a_bit", "a_mood", "a_address", "a_tags", "a_floats"]),
    ("customs", &["mood", "home", "owner", "done", "labels", "span"]),
    ("multiranges", &["n"]),
];

fn change(rng: &mut Rng) -> String {
    match rng.between(0, 17) {
        0..=2 => generated(rng),
        3 | 4 => toasted(rng),
        5 | 6 => partitioned(rng),
        7 => bucket(rng),
        8 | 9 => product(rng),
        10 | 11 => whole_row(rng),
        12 | 13 => by_index(rng),
        14 => long_key(rng),
        15 => log_line(rng),
        16 => order(rng),
        _ => other(rng),
    }
}

fn generated(rng: &mut Rng) -> String {
    let (table, columns) = *rng.pick(&GENERATED);
    let seed = rng.between(1, 100_000_000);
    match rng.between(0, 3) {
        0 => format!(
            "INSERT INTO types.{table} SELECT (jsonb_populate_record(r, jsonb_build_object('id', {}))).* \
             FROM gen.{table}({seed}) AS r",
            rng.between(1_000, 1 << 40)
        ),
        1 => {
            let assignments: Vec<String> = (0..rng.between(1, 4))
                .map(|_| *rng.pick(columns))
                .collect::<std::collections::BTreeSet<_>>()
                .into_iter()
                .map(|column| format!("{column} = r.{column}"))
                .collect();
            format!(
                "UPDATE types.{table} AS t SET {} FROM gen.{table}({seed}) AS r WHERE t.id = {}",
                assignments.join(", "),
                rng.between(1, 301)
            )
        }
        2 if table != "customs" => {
            let column = rng.pick(columns);
            format!("UPDATE types.{table} SET {column} = NULL WHERE id = {}", rng.between(1, 301))
        }
        // Some of the rows that came later; the first 301 stay for the updates.
        _ => format!(
            "DELETE FROM types.{table} WHERE id IN (SELECT id FROM types.{table} WHERE id > 301 LIMIT {})",
            rng.between(1, 3)
        ),
    }
}

fn toasted(rng: &mut Rng) -> String {
    let id = rng.between(1, 60);
    let seed = rng.between(1, 1_000_000);
    let kilobytes = rng.between(0, 60);
    match rng.between(0, 5) {
        // The values out of line stay where they are and do not appear in the WAL.
        0 | 1 => format!("UPDATE types.toasts SET counter = counter + 1 WHERE id = {id}"),
        2 => format!("UPDATE types.toasts SET doc = gen.noise({seed}, {kilobytes}) WHERE id = {id}"),
        3 => format!(
            "UPDATE types.toasts SET blob = convert_to(gen.noise({seed}, {kilobytes}), 'UTF8'), note = '' WHERE id = {id}"
        ),
        // A new key under an old value out of line.
        4 => format!("UPDATE types.toasts SET id = -id WHERE abs(id) = {id}"),
        _ => format!(
            "INSERT INTO types.toasts VALUES ({}, 0, gen.noise({seed}, {kilobytes}))",
            rng.between(1_000, 1 << 40)
        ),
    }
}

fn partitioned(rng: &mut Rng) -> String {
    let id = rng.between(1, 500);
    let day = format!("'2022-11-01'::date + {}", rng.between(0, 1_000));
    let kind = *rng.pick(&["a", "b", "c", "d"]);
    match rng.between(0, 3) {
        0 => format!("INSERT INTO types.events VALUES ({id}, {day}, '{kind}', '[1]') ON CONFLICT DO NOTHING"),
        // Often into another partition: a DELETE there and an INSERT here.
        1 => format!(
            "UPDATE types.events AS e SET day = {day}, kind = '{kind}' WHERE e.ctid = \
             (SELECT min(ctid) FROM types.events_2024) AND e.tableoid = 'types.events_2024'::regclass \
             AND NOT EXISTS (SELECT FROM types.events x WHERE (x.id, x.day, x.kind) = (e.id, {day}, '{kind}'))"
        ),
        2 => format!("UPDATE types.events SET body = '{{\"n\": {id}}}' WHERE id = {id}"),
        _ => format!("DELETE FROM types.events WHERE id = {id} AND kind = '{kind}'"),
    }
}

fn bucket(rng: &mut Rng) -> String {
    let n = rng.between(1, 400);
    match rng.between(0, 3) {
        0 => format!("INSERT INTO types.buckets VALUES ('key {n}', 0) ON CONFLICT (k) DO UPDATE SET v = buckets.v + 1"),
        1 => format!("UPDATE types.buckets SET v = v + 1 WHERE k = 'key {n}'"),
        2 => format!("DELETE FROM types.buckets WHERE k = 'key {n}'"),
        _ if rng.between(1, 20) == 1 => "TRUNCATE types.buckets".to_owned(),
        _ => format!("UPDATE types.buckets SET v = NULL WHERE k = 'key {n}'"),
    }
}

fn product(rng: &mut Rng) -> String {
    let n = rng.between(1, 300);
    match rng.between(0, 3) {
        0 => format!("INSERT INTO types.products (name, price, quantity) VALUES ('neu {n}', {n} % 90, {n})"),
        1 => format!("UPDATE types.products SET quantity = quantity + 1, price = price / 2 WHERE id = {n} * 5"),
        2 => format!("UPDATE types.products SET name = 'é' || name WHERE id = {n} * 5 AND length(name) < 200"),
        _ => format!("DELETE FROM types.products WHERE id = {n} * 5 + 1500"),
    }
}

fn whole_row(rng: &mut Rng) -> String {
    let n = rng.between(0, 39);
    match rng.between(0, 3) {
        0 => format!("INSERT INTO types.whole_rows VALUES ({n}, NULL, {n} / 3.0, '{{\"b\": [{n}]}}', 'infinity')"),
        // Rows that are equal in all columns: as many as here must change there, not more.
        1 => format!(
            "UPDATE types.whole_rows SET c = coalesce(c, 0) + 1 WHERE ctid = (SELECT max(ctid) FROM types.whole_rows WHERE a = {n})"
        ),
        2 => format!("UPDATE types.whole_rows SET b = 'b{n}' WHERE a = {n} AND c > 0"),
        _ => {
            format!("DELETE FROM types.whole_rows WHERE ctid = (SELECT min(ctid) FROM types.whole_rows WHERE a = {n})")
        }
    }
}

fn by_index(rng: &mut Rng) -> String {
    let n = rng.between(1, 300);
    let tenant = n % 10;
    match rng.between(0, 3) {
        0 => format!("INSERT INTO types.by_index (tenant, code) VALUES ({tenant}, 'code {n}') ON CONFLICT DO NOTHING"),
        1 => format!("UPDATE types.by_index SET \"value\" = '{n}' WHERE tenant = {tenant} AND code = 'code {n}'"),
        // The identity itself changes.
        2 => format!(
            "UPDATE types.by_index SET tenant = {} WHERE code = 'code {n}' \
             AND tenant = (SELECT min(tenant) FROM types.by_index WHERE code = 'code {n}')",
            rng.between(100, 1 << 30)
        ),
        _ => format!("DELETE FROM types.by_index WHERE code = 'code {n}'"),
    }
}

fn long_key(rng: &mut Rng) -> String {
    let n = rng.between(1, 300);
    match rng.between(0, 2) {
        0 => format!(
            "UPDATE types.long_keys SET c = c + 10, payload = payload || 'x' WHERE a = 'ä{n}' AND length(payload) < 99"
        ),
        1 => format!("UPDATE types.long_keys SET payload = 'ö{n}' WHERE a = 'ä{n}'"),
        _ => format!("DELETE FROM types.long_keys WHERE a = 'ä{n}' AND c > 40"),
    }
}

fn log_line(rng: &mut Rng) -> String {
    if rng.between(1, 25) == 1 {
        return "TRUNCATE types.log_lines".to_owned();
    }
    let many = rng.between(1, 200);
    format!("INSERT INTO types.log_lines (line) SELECT 'zeile ' || n FROM generate_series(1, {many}) AS n")
}

fn order(rng: &mut Rng) -> String {
    let n = rng.between(1_000, 1 << 30);
    match rng.between(0, 2) {
        // The child first: the constraint is looked at when the transaction ends.
        0 => format!(
            "INSERT INTO types.orders VALUES ({n}, 'later', {n} + 1), ({n} + 1, 'parent', NULL); \
             INSERT INTO types.order_lines VALUES ({n}, 1, 1, 1), ({n}, 2, 2, 2)"
        ),
        1 => "DELETE FROM types.order_lines WHERE order_id = (SELECT max(order_id) FROM types.order_lines WHERE order_id > 200); \
              DELETE FROM types.orders o WHERE id > 200 AND NOT EXISTS (SELECT FROM types.order_lines l WHERE l.order_id = o.id) \
              AND NOT EXISTS (SELECT FROM types.orders c WHERE c.parent = o.id)"
            .to_owned(),
        _ => format!("UPDATE types.orders SET customer = 'c {n}' WHERE id = {}", n % 200 + 1),
    }
}

fn other(rng: &mut Rng) -> String {
    let n = rng.between(1, 50);
    match rng.between(0, 4) {
        0 => format!("UPDATE types.documents SET body = 'jumped over {n} lazy dogs' WHERE id = {n}"),
        1 => format!("UPDATE types.dogs SET barks = NOT barks WHERE id = {}", 100 + n % 20),
        2 => format!("UPDATE types.animals SET name = name || '!' WHERE id % 20 = {} AND length(name) < 60", n % 20),
        3 => format!(
            "UPDATE types.\"Quoted \"\"Name\"\" with-hyphen\" SET \"größe\" = {n}, \"a \"\"b\"\" c\" = NULL WHERE \"Id\" = {n} % 20"
        ),
        _ => format!(
            "INSERT INTO types.\"Quoted \"\"Name\"\" with-hyphen\" (\"Id\") VALUES ({n}) ON CONFLICT (\"Id\") DO UPDATE SET \"select\" = 'c'"
        ),
    }
}
