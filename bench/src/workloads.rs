//! What is applied: tables, their contents, and a backlog of changes.

use pg_courier_tests::Pair;

use crate::arena::SOURCE;

type Fill = Box<dyn Fn(u64) -> String>;
type Backlog = Box<dyn Fn(&Pair, u64)>;

pub struct Workload {
    pub name: &'static str,
    pub title: String,
    /// Rows changed at size 1.
    pub rows: u64,
    /// The tables to replicate, each with the statements that make it; pgbench's when empty.
    pub tables: Vec<(String, String)>,
    /// Statements for the source alone: tables that nobody replicates.
    pub beside: String,
    /// Fills the tables on all sides, for a number of rows.
    pub fill: Fill,
    /// Makes the backlog on the source, for a number of rows.
    pub backlog: Backlog,
}

impl Workload {
    /// Transactions of `width` rows each.
    pub fn of_transactions(
        name: &'static str,
        title: impl Into<String>,
        rows: u64,
        width: u64,
        tables: Vec<(String, String)>,
        statement: impl Into<String>,
    ) -> Workload {
        let statement = statement.into();
        Workload {
            name,
            title: title.into(),
            rows,
            tables,
            beside: String::new(),
            fill: Box::new(|_| String::new()),
            backlog: Box::new(move |pair, rows| {
                let width = width.min(rows);
                loop_of_transactions(pair, rows / width, width, &statement.replace("{rows}", &rows.to_string()));
            }),
        }
    }

    pub fn filled(mut self, fill: impl Fn(u64) -> String + 'static) -> Workload {
        self.fill = Box::new(fill);
        self
    }
}

/// Those of `make bench-apply`.
pub fn all() -> Vec<Workload> {
    let one_table = || vec![("public.bt".to_owned(), TABLE.to_owned())];
    let single =
        |name, title, rows, statement: &str| Workload::of_transactions(name, title, rows, 1, one_table(), statement);
    vec![
        single("single", "(a) inserts, transactions of 1 row", 1_000_000, INSERT),
        Workload::of_transactions(
            "hundred",
            "(b) inserts, transactions of 100 rows",
            1_000_000,
            100,
            one_table(),
            INSERT,
        ),
        Workload::of_transactions("big", "(c) inserts, one transaction", 1_000_000, u64::MAX, one_table(), INSERT),
        // A step that is coprime to the number of rows: every row once, in no order of the index.
        single(
            "update",
            "(d) updates by primary key, transactions of 1 row",
            300_000,
            "UPDATE bt SET a = a + 1, b = 'changed ' || i WHERE id = (i::int8 * 7919) % {rows} + 1",
        )
        .filled(filled),
        single("delete", "(e) deletes by primary key, transactions of 1 row", 300_000, "DELETE FROM bt WHERE id = i")
            .filled(filled),
        Workload {
            name: "tpcb",
            title: "(f) pgbench TPC-B, 4 clients (3 updates and 1 insert a transaction)".to_owned(),
            rows: 800_000,
            tables: Vec::new(),
            beside: String::new(),
            fill: Box::new(|_| String::new()),
            backlog: Box::new(pgbench_backlog),
        },
        Workload::of_transactions(
            "wide",
            "(g) inserts of 30 columns of mixed types, about 1 kB, transactions of 10 rows",
            300_000,
            10,
            vec![("public.wide".to_owned(), wide_table())],
            wide_insert(),
        ),
        Workload::of_transactions(
            "toast",
            "(h) updates beside an unchanged 10 kB TOAST value, transactions of 1 row",
            20_000,
            1,
            vec![(
                "public.toasted".to_owned(),
                "CREATE TABLE toasted (id int8 PRIMARY KEY, v int4, big text); \
                 ALTER TABLE toasted ALTER big SET STORAGE EXTERNAL"
                    .to_owned(),
            )],
            "UPDATE toasted SET v = v + 1 WHERE id = i % ({rows} / 10) + 1",
        )
        .filled(|rows| {
            let big = "(SELECT string_agg(md5((n * k)::text), '') FROM generate_series(1, 320) AS k)";
            format!("INSERT INTO toasted SELECT n, 0, {big} FROM generate_series(1, {rows} / 10) AS n")
        }),
        Workload::of_transactions(
            "keyless",
            "(i) updates of a table of 100,000 rows with REPLICA IDENTITY FULL and no key",
            5_000,
            1,
            vec![(
                "public.keyless".to_owned(),
                "CREATE TABLE keyless (a int4, b text); ALTER TABLE keyless REPLICA IDENTITY FULL".to_owned(),
            )],
            // All over the table, one row after the other from each page.
            "UPDATE keyless SET b = 'changed ' || i \
             WHERE ctid = format('(%s,%s)', (i::int8 * 7919) % ({rows} / 10), i / ({rows} / 10) + 1)::tid",
        )
        .filled(|rows| format!("INSERT INTO keyless SELECT n, 'row ' || n FROM generate_series(1, 20 * {rows}) AS n")),
        many_tables("many", "(j) inserts into 200 tables in turn, transactions of 1 row", 100_000, 200),
    ]
}

/// How cost grows with the number of tables, of columns, of rows in a transaction, and of tables that nobody asked for.
pub fn growth() -> Vec<Workload> {
    let mut all = Vec::new();
    for tables in [1, 10, 100] {
        all.push(many_tables(
            "tables",
            format!("inserts into {tables} tables in turn, transactions of 1 row"),
            200_000,
            tables,
        ));
    }
    for columns in [10, 100, 1000] {
        all.push(Workload::of_transactions(
            "columns",
            format!("inserts of {columns} columns of integers, transactions of 10 rows"),
            5_000_000 / columns as u64,
            10,
            vec![("public.wide".to_owned(), table_of_integers(columns))],
            format!(
                "INSERT INTO wide SELECT n, {} FROM generate_series((i - 1) * width + 1, i * width) AS n",
                vec!["n"; columns - 1].join(", ")
            ),
        ));
    }
    for width in [1, 100, 10_000, 1_000_000, 10_000_000] {
        all.push(Workload::of_transactions(
            "rows",
            format!("inserts, transactions of {width} rows"),
            width.max(500_000),
            width,
            vec![("public.bt".to_owned(), TABLE.to_owned())],
            INSERT,
        ));
    }
    for tables in [0, 100, 1000] {
        let title = format!("transactions of 1 row, with {tables} tables in the database that are not replicated");
        let mut workload = many_tables("beside", title, 100_000, 1);
        workload.beside =
            (0..tables).map(|n| format!("CREATE TABLE beside.m{n} (id int8 PRIMARY KEY, t text);")).collect();
        all.push(workload);
    }
    for share in [0, 1, 9] {
        let title = format!("transactions of 1 row; for each, {share} in a table that is not replicated");
        let statement = format!(
            "INSERT INTO m0 VALUES (i, 'row'); FOR k IN 1..{share} LOOP COMMIT; INSERT INTO beside.m VALUES (i, 'row'); END LOOP"
        );
        let table = vec![("public.m0".to_owned(), "CREATE TABLE m0 (id int8 PRIMARY KEY, t text)".to_owned())];
        let mut workload = Workload::of_transactions("traffic", title, 100_000, 1, table, statement);
        workload.beside = "CREATE TABLE beside.m (id int8, t text)".to_owned();
        all.push(workload);
    }
    all
}

/// As many columns as a table can have in rows of one page.
fn table_of_integers(columns: usize) -> String {
    let columns: Vec<String> = (1..columns).map(|c| format!("c{c} int4")).collect();
    format!("CREATE TABLE wide (id int8 PRIMARY KEY, {})", columns.join(", "))
}

fn many_tables(name: &'static str, title: impl Into<String>, rows: u64, tables: u64) -> Workload {
    let definitions = (0..tables)
        .map(|n| (format!("public.m{n}"), format!("CREATE TABLE m{n} (id int8 PRIMARY KEY, t text)")))
        .collect();
    let statement = format!("EXECUTE format('INSERT INTO m%s VALUES (%s, %L)', i % {tables}, i, 'row')");
    Workload::of_transactions(name, title, rows, 1, definitions, statement)
}

const TABLE: &str = "CREATE TABLE bt (id int8 PRIMARY KEY, a int4, b text, c timestamptz, d numeric)";
const VALUES: &str =
    "SELECT n, n % 1000, 'row number ' || n, '2020-01-01 00:00+00'::timestamptz + n * interval '1 s', n / 7.0 FROM";
const INSERT: &str = "INSERT INTO bt SELECT n, n % 1000, 'row number ' || n, \
     '2020-01-01 00:00+00'::timestamptz + n * interval '1 s', round(n / 7.0, 6) \
     FROM generate_series((i - 1) * width + 1, i * width) AS n";

fn filled(rows: u64) -> String {
    format!("INSERT INTO bt {VALUES} generate_series(1, {rows}) AS n")
}

/// Type and value of each of the ten columns that come three times.
const WIDE: [(&str, &str); 10] = [
    ("int4", "n::int4"),
    ("int8", "n"),
    ("text", "'some words for row ' || n || repeat(' and more', 8)"),
    ("varchar(100)", "md5(n::text) || md5(n::text)"),
    ("numeric(20,6)", "round(n / 7.0, 6)"),
    ("timestamptz", "'2020-01-01 00:00+00'::timestamptz + n * interval '1 s'"),
    ("date", "'2020-01-01'::date + (n % 3000)::int4"),
    ("bool", "n % 2 = 0"),
    ("uuid", "md5(n::text)::uuid"),
    ("jsonb", "jsonb_build_object('n', n, 'tags', ARRAY['a', 'b'])"),
];

fn wide_table() -> String {
    let columns: Vec<String> = (0..29).map(|c| format!("c{c} {}", WIDE[c % WIDE.len()].0)).collect();
    format!("CREATE TABLE wide (id int8 PRIMARY KEY, {})", columns.join(", "))
}

fn wide_insert() -> String {
    let values: Vec<&str> = (0..29).map(|c| WIDE[c % WIDE.len()].1).collect();
    format!(
        "INSERT INTO wide SELECT n, {} FROM generate_series((i - 1) * width + 1, i * width) AS n",
        values.join(", ")
    )
}

/// Transactions in a loop inside the server: the client's round trips are not what is measured.
fn loop_of_transactions(pair: &Pair, transactions: u64, width: u64, statement: &str) {
    pair.source.run(
        SOURCE,
        &format!(
            "CREATE OR REPLACE PROCEDURE backlog() LANGUAGE plpgsql AS $$ \
             DECLARE width CONSTANT int8 := {width}; \
             BEGIN FOR i IN 1::int8..{transactions} LOOP {statement}; COMMIT; END LOOP; END $$"
        ),
    );
    let mut session = pair.source.connect(SOURCE);
    session.batch_execute("SET synchronous_commit = off").expect("setting");
    session.batch_execute("CALL backlog()").expect("backlog");
    session.batch_execute("DROP PROCEDURE backlog()").expect("drop");
}

fn pgbench_backlog(pair: &Pair, rows: u64) {
    let transactions = (rows / 4 / 4).max(1).to_string();
    let output = pair
        .source
        .program("pgbench", SOURCE)
        .args(["-n", "-c", "4", "-j", "1", "-M", "prepared", "-t", &transactions])
        .env("PGOPTIONS", "-c synchronous_commit=off")
        .output()
        .expect("pgbench runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
