//! Big, wide, old and odd.

use crate::support::cluster::Database;
use crate::support::format::{Message, Value, parse};
use crate::support::golden::from_hex;

fn messages(database: &Database) -> Vec<Message> {
    let messages = database.binary_changes("s", "get");
    messages.iter().map(|message| parse(message).expect("well formed")).collect()
}

fn changes(database: &Database) -> Vec<Message> {
    let mut messages = messages(database);
    messages.retain(|message| !matches!(message, Message::Begin { .. } | Message::Commit { .. }));
    messages
}

pub fn truncate_messages_and_sequences_send_nothing(database: &Database) {
    database.sql("CREATE TABLE t (a int); CREATE SEQUENCE q; INSERT INTO t VALUES (1)");
    database.create_slot("s", "ali_decoding");
    database.sql("TRUNCATE t; SELECT nextval('q'); SELECT pg_logical_emit_message(true, 'x', 'y'); SELECT pg_logical_emit_message(false, 'x', 'y')");
    assert_eq!(changes(database), []);
}

pub fn a_table_as_wide_as_can_be(database: &Database) {
    let columns: Vec<String> = (1..=1600).map(|i| format!("c{i} int")).collect();
    database.sql(&format!("CREATE TABLE wide ({})", columns.join(", ")));
    database.create_slot("s", "ali_decoding");
    database.sql("INSERT INTO wide (c1, c1600) VALUES (1, 1600)");
    let [Message::Insert { new, .. }] = &changes(database)[..] else { panic!("one insert") };
    assert_eq!(new.len(), 1600);
    assert_eq!(new[1599], Value::Text(b"1600".to_vec()));
    assert_eq!(new[1598], Value::Null);
}

/// Larger than the buffer was, many times; and spilled to disk by the server.
pub fn large_values_and_a_large_transaction(database: &Database) {
    database.sql("CREATE TABLE t (a int, b text, c text); ALTER TABLE t ALTER COLUMN c SET STORAGE EXTERNAL");
    database.create_slot("s", "ali_decoding");
    database.sql("INSERT INTO t VALUES (1, repeat('x', 4000000), NULL)");
    database.sql("INSERT INTO t SELECT i, 'row ' || i, repeat(i::text, 700) FROM generate_series(1, 5000) i");
    let changes = changes(database);
    assert_eq!(changes.len(), 5_001);
    let text = |position: usize, column: usize| match &changes[position] {
        Message::Insert { new, .. } => match &new[column] {
            Value::Text(text) => text.clone(),
            other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    };
    assert_eq!(text(0, 1), vec![b'x'; 4_000_000]);
    assert_eq!(text(5_000, 1), b"row 5000");
    assert_eq!(text(5_000, 2), "5000".repeat(700).as_bytes());
}

/// Up to 11 a table may have row ids, and an identity index on them, which no reader can see.
pub fn an_identity_index_on_row_ids(database: &Database) {
    if database.major() > 11 {
        return;
    }
    database.sql(
        "CREATE TABLE t (a int NOT NULL) WITH OIDS; CREATE UNIQUE INDEX t_oid ON t (oid); ALTER TABLE t REPLICA IDENTITY USING INDEX t_oid;
         CREATE TABLE u (a int NOT NULL) WITH OIDS; CREATE UNIQUE INDEX u_oid ON u (a, oid); ALTER TABLE u REPLICA IDENTITY USING INDEX u_oid;",
    );
    database.create_slot("s", "ali_decoding");
    database
        .sql("INSERT INTO t VALUES (1); UPDATE t SET a = 2; DELETE FROM t; INSERT INTO u VALUES (1); DELETE FROM u");
    let keys: Vec<Option<Vec<Vec<u8>>>> = changes(database)
        .into_iter()
        .map(|message| match message {
            Message::Insert { relation, .. } | Message::Update { relation, .. } | Message::Delete { relation, .. } => {
                relation.key
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(keys, [None, Some(vec![]), Some(vec![]), None, Some(vec![b"a".to_vec()])]);
}

/// Columns that an index only includes are not part of the key, and not of the old row.
pub fn an_index_that_includes_columns(database: &Database) {
    if database.major() < 11 {
        return;
    }
    database.sql("CREATE TABLE t (a int, b int, c int, PRIMARY KEY (b) INCLUDE (c))");
    database.create_slot("s", "ali_decoding");
    database.sql("INSERT INTO t VALUES (1, 2, 3); DELETE FROM t");
    let [_, Message::Delete { relation, old: Some(old) }] = &changes(database)[..] else {
        panic!("an insert and a delete")
    };
    assert_eq!(relation.key, Some(vec![b"b".to_vec()]));
    assert_eq!(*old, [Value::Null, Value::Text(b"2".to_vec()), Value::Null]);
}

pub fn partitions_generated_columns_and_rewrites(database: &Database) {
    let major = database.major();
    database
        .sql("CREATE TABLE t (a int PRIMARY KEY, b text); INSERT INTO t SELECT i, i FROM generate_series(1, 100) i");
    if major >= 11 {
        database.sql("CREATE TABLE p (a int PRIMARY KEY) PARTITION BY RANGE (a); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)");
    }
    if major >= 12 {
        database.sql("CREATE TABLE g (a int, b int GENERATED ALWAYS AS (a * 2) STORED)");
    }
    if major >= 18 {
        database.sql("CREATE TABLE v (a int, b int GENERATED ALWAYS AS (a * 2) VIRTUAL)");
    }
    database.create_slot("s", "ali_decoding");
    // Rewrites: from 11 on they are not changes; before, the server decodes them as inserts into a
    // relation named pg_temp_ and a number, and the format passes on what it is given.
    database.sql("ALTER TABLE t ALTER COLUMN b TYPE int USING b::int; VACUUM FULL t; ALTER TABLE t ADD COLUMN c float DEFAULT random()");
    let rewritten = changes(database);
    if major >= 11 {
        assert_eq!(rewritten, []);
        database.sql("INSERT INTO p VALUES (1)");
        let [Message::Insert { relation, .. }] = &changes(database)[..] else { panic!("one insert") };
        assert_eq!(relation.table, b"p1");
    }
    for (table, first, value) in [("g", 12, Value::Text(b"6".to_vec())), ("v", 18, Value::Null)] {
        if major >= first {
            database.sql(&format!("INSERT INTO {table} (a) VALUES (3)"));
            let [Message::Insert { new, .. }] = &changes(database)[..] else { panic!("one insert") };
            assert_eq!(new[1], value);
        }
    }
}

pub fn prepared_transactions_arrive_when_they_commit(database: &Database) {
    database.sql("CREATE TABLE t (a int)");
    database.create_slot("s", "ali_decoding");
    database.sql("BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'x'; BEGIN; INSERT INTO t VALUES (2); PREPARE TRANSACTION 'y'");
    assert_eq!(messages(database), []);
    database.sql("COMMIT PREPARED 'x'; ROLLBACK PREPARED 'y'");
    assert_eq!(changes(database).len(), 1);
}

/// An error in the middle of decoding jumps over our frames. The session goes on, its settings are its own
/// again, and the slot reads from the start.
pub fn a_canceled_session_goes_on(database: &Database) {
    database.sql("CREATE TABLE t (a int, b float8)");
    database.create_slot("s", "ali_decoding");
    database.sql("INSERT INTO t SELECT i, i / 3.0 FROM generate_series(1, 300000) i");
    let count = "SELECT count(*) FROM pg_logical_slot_peek_binary_changes(:'slot', NULL, NULL);";
    let seen = database.sql(&format!(
        "\\set ON_ERROR_STOP 0
         SET extra_float_digits = -2;
         SET statement_timeout = 40;
         {count} {count} {count}
         BEGIN; SAVEPOINT p; {count} ROLLBACK TO p; SHOW extra_float_digits; COMMIT;
         SET statement_timeout = 0;
         SHOW extra_float_digits;
         BEGIN; {count} SHOW extra_float_digits; COMMIT;
         {count}"
    ));
    assert!(database.cluster.log().contains("canceling statement due to statement timeout"));
    assert_eq!(seen, "-2\n-2\n300002\n-2\n300002");
}

/// A type whose output fails: the error names the reason, and other changes can be read afterwards.
pub fn an_output_function_that_fails(database: &Database) {
    // A broken enum value cannot be printed: its label is taken away behind the type's back.
    database.sql("CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE t (a int, m mood)");
    database.sql("DELETE FROM pg_enum WHERE enumlabel = 'nothing'");
    database.create_slot("s", "ali_decoding");
    database.sql("INSERT INTO t VALUES (1, 'ok'), (2, 'sad')");
    // One transaction removes the label and writes the value, so the label is gone at the change's time.
    database.sql(
        "BEGIN; INSERT INTO t VALUES (3, 'sad'); UPDATE pg_enum SET enumlabel = 'glad' WHERE enumlabel = 'sad'; COMMIT",
    );
    database.sql("INSERT INTO t SELECT 4, m FROM t WHERE a = 3");
    let labels: Vec<Value> = changes(database)
        .into_iter()
        .map(|message| match message {
            Message::Insert { mut new, .. } => new.remove(1),
            other => panic!("{other:?}"),
        })
        .collect();
    let text = |label: &str| Value::Text(label.as_bytes().to_vec());
    assert_eq!(labels, [text("ok"), text("sad"), text("sad"), text("glad")]);

    database.sql(
        "BEGIN; DELETE FROM pg_enum WHERE enumlabel = 'glad'; INSERT INTO t SELECT 5, m FROM t WHERE a = 3; COMMIT",
    );
    for _ in 0..3 {
        let error = database
            .try_sql("SELECT * FROM pg_logical_slot_get_binary_changes(:'slot', NULL, NULL)")
            .expect_err("no label");
        assert!(error.contains("22P03"), "{error}");
    }
}

/// A bug of ours costs the statement, not the cluster: in the library as it is shipped, and in a development
/// build, which catches panics in another way. Both are built with a panic on demand.
pub fn a_panic_is_an_error(database: &Database) {
    database.sql("CREATE TABLE t (a int)");
    for library in ["ali_panics_abort", "ali_panics_unwind"] {
        database.create_slot("s", library);
        database.sql("INSERT INTO t VALUES (1)");
        let peek = |options: &str| {
            format!("SELECT count(*) FROM pg_logical_slot_peek_binary_changes(:'slot', NULL, NULL{options});")
        };
        for place in ["now", "change"] {
            let error = database.try_sql(&peek(&format!(", 'panic', '{place}'"))).expect_err("a panic");
            assert!(error.contains("ERROR:  XX000: ali_decoding failed: "), "{error}");
            assert!(error.contains("index out of bounds"), "{error}");
        }
        // The same session goes on.
        let (now, change, calm) = (peek(", 'panic', 'now'"), peek(", 'panic', 'change'"), peek(""));
        let seen = database.sql(&format!("\\set ON_ERROR_STOP 0\n{now} {change} {calm} {change} {now} {calm}"));
        assert_eq!(seen, "3\n3");
        database.drop_slots();
    }
    assert!(!database.cluster.log().contains("terminating any other active server processes"));
}

pub fn a_database_of_another_encoding(database: &Database) {
    let latin = format!("{}_latin", database.name);
    database.sql(&format!("CREATE DATABASE {latin} ENCODING 'LATIN1' TEMPLATE template0"));
    let latin = database.cluster.existing(&latin);
    latin.sql("SET client_encoding = 'UTF8'; CREATE TABLE \"größe\" (ä text)");
    latin.create_slot("s", "ali_decoding");
    latin.sql("SET client_encoding = 'UTF8'; INSERT INTO \"größe\" VALUES ('süß')");
    let read = |options: &str| {
        latin.try_sql(&format!(
            "SELECT encode(data, 'hex') FROM pg_logical_slot_peek_binary_changes(:'slot', NULL, NULL{options}) WHERE encode(data, 'escape') LIKE 'I%'"
        ))
    };
    let hex = read(", 'encoding', 'latin1'").expect("same encoding");
    let Ok(Message::Insert { relation, new }) = parse(&from_hex(&hex)) else { panic!("an insert") };
    assert_eq!(relation.table, b"gr\xf6\xdfe");
    assert_eq!(new, [Value::Text(b"s\xfc\xdf".to_vec())]);
    let error = read(", 'encoding', 'UTF8'").expect_err("another encoding");
    assert!(error.contains("22023") && error.contains("\"LATIN1\""), "{error}");
    latin.drop_slots();
}
