//! Columns: added, dropped, renamed, of another type, in tables that exchange their names.

use pg_courier_tests::Rng;

use super::{Worker, World, four_sessions};

/// Names are few, so that sessions meet, and a name is soon one of another table.
const TABLES: [&str; 5] = ["a", "b", "c", "d", "e"];
const COLUMNS: [&str; 5] = ["p", "q", "r", "s", "u"];
const TYPES: [&str; 4] = ["int", "bigint", "text", "numeric"];
const DEFAULTS: [&str; 4] = ["", "DEFAULT 7", "DEFAULT (random() * 1000)::int", "DEFAULT 3 NOT NULL"];

#[test]
fn columns_at_random() {
    four_sessions(&World {
        name: "columns_at_random",
        roles: &[],
        beginning: "CREATE TABLE a (id int PRIMARY KEY, p int); CREATE TABLE b (id int PRIMARY KEY, q text); \
             INSERT INTO a SELECT n, n FROM generate_series(1, 100) n; INSERT INTO b SELECT n, n FROM generate_series(1, 100) n",
        statement,
        worker: Worker::IsKilled,
    });
}

/// One statement about names that may or may not be there.
fn statement(rng: &mut Rng) -> String {
    let (table, other) = (*rng.pick(&TABLES), *rng.pick(&TABLES));
    let (column, second) = (*rng.pick(&COLUMNS), *rng.pick(&COLUMNS));
    let (kind, default) = (*rng.pick(&TYPES), *rng.pick(&DEFAULTS));
    let id = rng.between(1, 200);
    match rng.between(0, 32) {
        0 | 30..=32 => format!("CREATE TABLE {table} (id int PRIMARY KEY, {column} {kind} {default})"),
        1 => format!(
            "CREATE TABLE {table} AS SELECT id, random() AS r FROM {other}; ALTER TABLE {table} ADD PRIMARY KEY (id)"
        ),
        2 => format!("DROP TABLE {table}"),
        3 => format!("ALTER TABLE {table} RENAME TO {other}"),
        4..=7 => format!("ALTER TABLE {table} ADD {column} {kind} {default}"),
        8 => format!("ALTER TABLE {table} ADD {column} timestamptz DEFAULT now(), ADD {second} {kind}"),
        9 | 10 => format!("ALTER TABLE {table} DROP {column}"),
        11 | 12 => format!("ALTER TABLE {table} RENAME {column} TO {second}"),
        13 => format!(
            "ALTER TABLE {table} ALTER {column} DROP DEFAULT, ALTER {column} TYPE {kind} USING {column}::text::{kind}"
        ),
        14 => format!("ALTER TABLE {table} ALTER {column} SET DEFAULT {id}"),
        15 => format!("CREATE INDEX ON {table} ({column})"),
        16 => format!("DROP INDEX {table}_{column}_idx"),
        17 => format!("ALTER INDEX {table}_{column}_idx RENAME TO {other}_{second}_idx"),
        18 => format!("COMMENT ON COLUMN {table}.{column} IS 'n{id}'"),
        19 => {
            format!("ALTER TABLE {table} ADD CONSTRAINT ck_{column} CHECK ({column} IS NULL OR {column}::text <> 'q')")
        }
        20 => format!("ALTER TABLE {table} DROP CONSTRAINT ck_{column}"),
        21 => format!("TRUNCATE {table}"),
        22..=25 => {
            format!("INSERT INTO {table} (id) SELECT n FROM generate_series({id}, {id} + 5) n ON CONFLICT DO NOTHING")
        }
        26 | 27 => format!("UPDATE {table} SET {column} = '{id}' WHERE id % 7 = {}", id % 7),
        _ => format!("DELETE FROM {table} WHERE id % 11 = {}", id % 11),
    }
}
