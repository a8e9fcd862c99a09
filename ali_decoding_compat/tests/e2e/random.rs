//! Random tables, changes and DDL, decoded by ali_decoding and by test_decoding. Every name, type and value
//! must be the same; test_decoding remembers nothing between changes, so a stale cache of ours shows.

use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::support::cluster::Database;
use crate::support::format::parse;
use crate::support::rng::Rng;
use crate::support::textual::render;

const ROUNDS: usize = 4;
const STATEMENTS: usize = 400;

/// A type and how to make a value of it from a random number `n` (SQL text).
const TYPES: [(&str, &str); 27] = [
    ("integer", "n::integer"),
    ("bigint", "n * 4000000007"),
    ("smallint", "(n % 30000)::smallint"),
    ("boolean", "n % 2 = 0"),
    ("text", "repeat('it''s \u{20ac} ', (n % 7)::integer)"),
    ("varchar(30)", "md5(n::text)::varchar(30)"),
    ("char(8)", "left(md5(n::text), 5)"),
    ("numeric", "n / 7.0"),
    ("numeric(20,4)", "n / 3.0"),
    ("real", "n::real / 3"),
    ("double precision", "n::double precision / 3"),
    ("date", "date '2000-01-01' + (n % 9999)::integer"),
    ("timestamp", "timestamp '2000-01-01' + n * interval '1.000001 second'"),
    ("timestamptz", "timestamptz '2000-01-01 00:00+00' + n * interval '1 second'"),
    ("interval", "n * interval '1.5 hours'"),
    ("bytea", "decode(md5(n::text), 'hex')"),
    ("json", "('{\"n\": ' || n || '}')::json"),
    ("jsonb", "('{\"n\": [' || n || ', null]}')::jsonb"),
    ("uuid", "md5(n::text)::uuid"),
    ("inet", "inet '10.0.0.0' + n % 1000"),
    ("bit(5)", "(n % 32)::integer::bit(5)"),
    ("integer[]", "ARRAY[n::integer, NULL, 3]"),
    ("text[]", "ARRAY['a,b', md5(n::text), NULL]"),
    ("int4range", "int4range(0, 1 + (n % 100)::integer)"),
    ("t_mood", "(ARRAY['sad','ok','happy'])[1 + n % 3]::t_mood"),
    ("t_pair", "ROW(n::integer, 'x y')::t_pair"),
    ("t_percent", "(n % 100)::t_percent"),
];

/// Values beyond this go out of line, as they cannot be compressed much.
const LARGE: &str = "(SELECT string_agg(md5((n * i)::text), '') FROM generate_series(1, 150) i)";

const TYPES_SETUP: &str = "
CREATE SCHEMA other;
CREATE TYPE t_mood AS ENUM ('sad', 'ok', 'happy');
CREATE TYPE t_pair AS (a integer, b text);
CREATE DOMAIN t_percent AS numeric CHECK (VALUE >= 0);
";

#[derive(Clone)]
struct Column {
    name: String,
    kind: usize,
    large: bool,
}

/// What the generator knows of a table: enough to write statements that mean something.
struct Table {
    name: String,
    schema: &'static str,
    columns: Vec<Column>,
    rows: u64,
    next_column: usize,
}

impl Table {
    fn create(rng: &mut Rng, number: usize, sql: &mut String) -> Table {
        let name = if rng.one_in(3) { format!("Odd \"\" Table {number}") } else { format!("table_{number}") };
        let mut table = Table { name, schema: "public", columns: Vec::new(), rows: 0, next_column: 0 };
        for _ in 0..1 + rng.below(8) {
            let column = table.new_column(rng);
            table.columns.push(column);
        }
        let columns: Vec<String> = table.columns.iter().map(Column::definition).collect();
        let _ = writeln!(sql, "CREATE TABLE {} (id bigint PRIMARY KEY, {});", table.full_name(), columns.join(", "));
        for column in table.columns.iter().filter(|column| column.large) {
            let _ =
                writeln!(sql, "ALTER TABLE {} ALTER COLUMN {} SET STORAGE EXTERNAL;", table.full_name(), column.name);
        }
        table
    }

    fn full_name(&self) -> String {
        format!("{}.\"{}\"", self.schema, self.name)
    }

    fn new_column(&mut self, rng: &mut Rng) -> Column {
        self.next_column += 1;
        let name = *rng.pick(&["c", "\"Mixed Case\"", "\"a\"\"b\"", "\"select\"", "größe"]);
        let name = match name.strip_suffix('"') {
            Some(open) => format!("{open}{}\"", self.next_column),
            None => format!("{name}{}", self.next_column),
        };
        Column { name, kind: rng.below(TYPES.len()), large: rng.one_in(6) }
    }

    fn statement(&mut self, rng: &mut Rng, sql: &mut String) {
        let table = self.full_name();
        let n = 1 + rng.next() % 1_000_000;
        match rng.below(10) {
            0..4 => {
                let count = 1 + rng.next() % 5;
                let columns: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
                let values: Vec<String> = self.columns.iter().map(|column| column.value(rng)).collect();
                let (first, last) = (self.rows + 1, self.rows + count);
                self.rows = last;
                let (columns, values) = (prefixed(&columns), prefixed(&values));
                let _ = writeln!(
                    sql,
                    "INSERT INTO {table} (id{columns}) SELECT id{values} FROM (SELECT i AS id, i * {n}::bigint AS n FROM generate_series({first}, {last}) i) s;"
                );
            }
            4..7 if !self.columns.is_empty() => {
                let column = rng.pick(&self.columns).clone();
                let value = column.value(rng);
                let _ = writeln!(
                    sql,
                    "UPDATE {table} SET {} = {value} FROM (SELECT {n}::bigint AS n) s WHERE id % 5 = {};",
                    column.name,
                    n % 5
                );
            }
            7 => {
                // Far from the ids that will be inserted.
                let _ = writeln!(sql, "UPDATE {table} SET id = -id WHERE id % 7 = {};", n % 7);
            }
            8 => {
                let _ = writeln!(sql, "DELETE FROM {table} WHERE id % 6 = {};", n % 6);
            }
            _ => self.alter(rng, sql),
        }
    }

    fn alter(&mut self, rng: &mut Rng, sql: &mut String) {
        let table = self.full_name();
        match rng.below(8) {
            0 | 1 => {
                let column = self.new_column(rng);
                // A default that the table's old rows have without being written again, from 11 on.
                let default = match TYPES[column.kind].0 {
                    "integer" | "bigint" | "smallint" if !column.large && rng.one_in(2) => " DEFAULT 42",
                    _ => "",
                };
                let _ = writeln!(sql, "ALTER TABLE {table} ADD COLUMN {}{default};", column.definition());
                self.columns.push(column);
            }
            2 if self.columns.len() > 1 => {
                let column = self.columns.remove(rng.below(self.columns.len()));
                let _ = writeln!(sql, "ALTER TABLE {table} DROP COLUMN {};", column.name);
            }
            3 if !self.columns.is_empty() => {
                let new = self.new_column(rng).name;
                let position = rng.below(self.columns.len());
                let _ = writeln!(sql, "ALTER TABLE {table} RENAME COLUMN {} TO {new};", self.columns[position].name);
                self.columns[position].name = new;
            }
            4 => {
                let identity = rng.pick(&["FULL", "NOTHING", "DEFAULT"]);
                let _ = writeln!(sql, "ALTER TABLE {table} REPLICA IDENTITY {identity};");
            }
            5 => {
                let new = format!("{}_r", self.name.trim_end_matches("_r"));
                if new != self.name {
                    let _ = writeln!(sql, "ALTER TABLE {table} RENAME TO \"{new}\";");
                    self.name = new;
                }
            }
            6 => {
                let new = if self.schema == "public" { "other" } else { "public" };
                let _ = writeln!(sql, "ALTER TABLE {table} SET SCHEMA {new};");
                self.schema = new;
            }
            _ => {
                // Types change their names for all tables, and the way back follows later.
                let (from, to) = *rng.pick(&[("t_mood", "t_mood2"), ("t_pair", "\"T Pair\"")]);
                let _ = writeln!(sql, "ALTER TYPE {from} RENAME TO {to};");
                let _ = writeln!(sql, "INSERT INTO {table} (id) VALUES ({});", self.rows + 1);
                self.rows += 1;
                let _ = writeln!(sql, "ALTER TYPE {to} RENAME TO {from};");
            }
        }
    }
}

impl Column {
    fn definition(&self) -> String {
        let kind = if self.large { "text" } else { TYPES[self.kind].0 };
        format!("{} {kind}", self.name)
    }

    /// An expression over `n`.
    fn value(&self, rng: &mut Rng) -> String {
        if rng.one_in(8) {
            "NULL".to_owned()
        } else if self.large {
            LARGE.to_owned()
        } else {
            TYPES[self.kind].1.to_owned()
        }
    }
}

fn prefixed<T: AsRef<str>>(items: &[T]) -> String {
    items.iter().map(|item| format!(", {}", item.as_ref())).collect()
}

/// Statements of several tables, some in transactions, some rolled back.
fn script(rng: &mut Rng, round: usize) -> String {
    let mut sql = String::new();
    let mut tables: Vec<Table> = (0..3).map(|number| Table::create(rng, round * 10 + number, &mut sql)).collect();
    let mut left = STATEMENTS;
    while left > 0 {
        let statements = 1 + rng.below(8).min(left - 1);
        left -= statements;
        let grouped = rng.one_in(2);
        if grouped {
            sql.push_str("BEGIN;\n");
        }
        for _ in 0..statements {
            let table = rng.below(tables.len());
            let savepoint = grouped && rng.one_in(5);
            if savepoint {
                // Rolled back, so it must not tell the generator of new columns: only rows.
                let name = tables[table].full_name();
                let _ = writeln!(sql, "SAVEPOINT s; DELETE FROM {name}; ROLLBACK TO s;");
            }
            tables[table].statement(rng, &mut sql);
        }
        if grouped {
            sql.push_str("COMMIT;\n");
        }
    }
    sql
}

fn compare(database: &Database, round: usize) {
    let ours = database.binary_changes("ours", "get");
    let theirs = database.text_changes("theirs");
    let is_change = |line: &&Vec<u8>| line.starts_with(b"table ");
    let mut theirs = theirs.iter().filter(is_change);
    let mut changes = 0;
    for message in &ours {
        let message = parse(message).expect("well formed");
        if let Some(line) = render(&message) {
            let expected = theirs.next().map(|line| String::from_utf8_lossy(line).into_owned());
            assert_eq!(
                Some(String::from_utf8_lossy(&line).into_owned()),
                expected,
                "change {changes} of round {round}"
            );
            changes += 1;
        }
    }
    assert_eq!(theirs.next(), None);
    assert!(changes > 100, "the round did something");
}

pub fn changes_are_those_of_test_decoding(database: &Database) {
    // The same scripts on every server.
    static SCRIPTS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let mut rng = Rng::from_environment();
        (0..ROUNDS).map(|round| script(&mut rng, round)).collect()
    });
    // test_decoding prints floats with the session's digits: those that ours always has.
    database.sql("ALTER DATABASE :\"DBNAME\" SET extra_float_digits = 3");
    database.sql(TYPES_SETUP);
    database.create_slot("ours", "ali_decoding");
    database.create_slot("theirs", "test_decoding");
    for (round, script) in SCRIPTS.iter().enumerate() {
        database.sql(script);
        compare(database, round);
    }
}
