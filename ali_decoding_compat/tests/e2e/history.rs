//! Definitions that change between changes: each message tells the definition of its own time.

use crate::support::cluster::Database;
use crate::support::format::{Message, Relation, parse};

/// The relation of each change of a slot, as `schema.table(column type, ...)` and the key.
fn relations(database: &Database) -> Vec<String> {
    let messages = database.binary_changes("s", "get");
    let changes = messages.iter().filter_map(|message| match parse(message).expect("well formed") {
        Message::Insert { relation, .. } | Message::Update { relation, .. } | Message::Delete { relation, .. } => {
            Some(describe(&relation))
        }
        Message::Begin { .. } | Message::Commit { .. } => None,
    });
    changes.collect()
}

fn describe(relation: &Relation) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let columns: Vec<String> = relation
        .attributes
        .iter()
        .map(|attribute| match attribute {
            Some(attribute) => format!("{} {}", text(&attribute.quoted_name), text(&attribute.type_name)),
            None => "-".to_owned(),
        })
        .collect();
    let key = relation
        .key
        .as_ref()
        .map(|key| format!(" key {}", key.iter().map(|name| text(name)).collect::<Vec<_>>().join(",")));
    format!("{}.{}({}){}", text(&relation.schema), text(&relation.table), columns.join(", "), key.unwrap_or_default())
}

/// Runs the statements after making the slot and compares what the changes tell.
fn story(database: &Database, setup: &str, statements: &str, expected: &[&str]) {
    database.sql(setup);
    database.create_slot("s", "ali_decoding");
    database.sql(statements);
    assert_eq!(relations(database), expected);
}

pub fn columns_come_and_go(database: &Database) {
    story(
        database,
        "CREATE TABLE t (a int, b text)",
        "INSERT INTO t VALUES (1);
         ALTER TABLE t ADD COLUMN c int; INSERT INTO t VALUES (2);
         ALTER TABLE t DROP COLUMN b; INSERT INTO t VALUES (3);
         ALTER TABLE t RENAME COLUMN a TO \"A\"; INSERT INTO t VALUES (4);
         BEGIN; ALTER TABLE t DROP COLUMN c; INSERT INTO t VALUES (5); ALTER TABLE t ADD COLUMN d date; INSERT INTO t VALUES (6); COMMIT;
         BEGIN; ALTER TABLE t RENAME TO u; INSERT INTO u VALUES (7); ROLLBACK; INSERT INTO t VALUES (8);",
        &[
            "public.t(a integer, b text)",
            "public.t(a integer, b text, c integer)",
            "public.t(a integer, -, c integer)",
            "public.t(\"A\" integer, -, c integer)",
            "public.t(\"A\" integer, -, -)",
            "public.t(\"A\" integer, -, -, d date)",
            "public.t(\"A\" integer, -, -, d date)",
        ],
    );
}

pub fn names_of_tables_schemas_and_types_change(database: &Database) {
    story(
        database,
        "CREATE SCHEMA s1; CREATE TYPE s1.mood AS ENUM ('ok'); CREATE TABLE s1.t (a s1.mood, b s1.mood[])",
        "INSERT INTO s1.t VALUES ('ok');
         ALTER TYPE s1.mood RENAME TO feeling; INSERT INTO s1.t VALUES ('ok');
         ALTER TYPE s1.feeling SET SCHEMA public; INSERT INTO s1.t VALUES ('ok');
         ALTER TYPE feeling SET SCHEMA s1; INSERT INTO s1.t VALUES ('ok');
         ALTER SCHEMA s1 RENAME TO \"S 2\"; INSERT INTO \"S 2\".t VALUES ('ok');
         ALTER TABLE \"S 2\".t RENAME TO u; INSERT INTO \"S 2\".u VALUES ('ok');
         ALTER TABLE \"S 2\".u SET SCHEMA public; INSERT INTO u VALUES ('ok');
         BEGIN; ALTER SCHEMA \"S 2\" RENAME TO s3; INSERT INTO u VALUES ('ok'); ALTER SCHEMA s3 RENAME TO s4; INSERT INTO u VALUES ('ok'); COMMIT;",
        &[
            "s1.t(a s1.mood, b s1.mood[])",
            "s1.t(a s1.feeling, b s1.feeling[])",
            "s1.t(a feeling, b feeling[])",
            "s1.t(a s1.feeling, b s1.feeling[])",
            "S 2.t(a \"S 2\".feeling, b \"S 2\".feeling[])",
            "S 2.u(a \"S 2\".feeling, b \"S 2\".feeling[])",
            "public.u(a \"S 2\".feeling, b \"S 2\".feeling[])",
            "public.u(a s3.feeling, b s3.feeling[])",
            "public.u(a s4.feeling, b s4.feeling[])",
        ],
    );
}

/// The path starts with a schema of the user's name. A type of the same name there hides the one in public,
/// whose name then needs its schema.
pub fn a_type_is_hidden_by_another(database: &Database) {
    story(
        database,
        "CREATE TYPE public.mood AS ENUM ('ok'); CREATE TABLE public.t (a public.mood)",
        "INSERT INTO public.t VALUES ('ok');
         CREATE SCHEMA postgres; CREATE TYPE postgres.mood AS ENUM ('ok'); INSERT INTO public.t VALUES ('ok');
         DROP TYPE postgres.mood; INSERT INTO public.t VALUES ('ok');",
        // What is on the path is looked up in the catalogs of the change's time.
        &["public.t(a mood)", "public.t(a public.mood)", "public.t(a mood)"],
    );
}

pub fn the_replica_identity_changes(database: &Database) {
    story(
        database,
        "CREATE TABLE t (a int PRIMARY KEY, b int NOT NULL, c int NOT NULL); CREATE UNIQUE INDEX t_cb ON t (c, b)",
        "INSERT INTO t VALUES (1, 1, 1); UPDATE t SET b = 2;
         ALTER TABLE t REPLICA IDENTITY USING INDEX t_cb; UPDATE t SET b = 3;
         ALTER TABLE t REPLICA IDENTITY FULL; UPDATE t SET b = 4;
         ALTER TABLE t REPLICA IDENTITY NOTHING; UPDATE t SET b = 5;
         ALTER TABLE t REPLICA IDENTITY DEFAULT; UPDATE t SET b = 6;
         ALTER TABLE t RENAME COLUMN a TO \"Key\"; UPDATE t SET b = 7;
         ALTER TABLE t DROP CONSTRAINT t_pkey; UPDATE t SET b = 8;
         ALTER TABLE t ADD PRIMARY KEY (b, c); UPDATE t SET c = 9; DELETE FROM t;",
        &[
            "public.t(a integer, b integer, c integer)",
            "public.t(a integer, b integer, c integer) key a",
            "public.t(a integer, b integer, c integer) key c,b",
            "public.t(a integer, b integer, c integer)",
            "public.t(a integer, b integer, c integer)",
            "public.t(a integer, b integer, c integer) key a",
            "public.t(\"Key\" integer, b integer, c integer) key Key",
            "public.t(\"Key\" integer, b integer, c integer)",
            "public.t(\"Key\" integer, b integer, c integer) key b,c",
            "public.t(\"Key\" integer, b integer, c integer) key b,c",
        ],
    );
}

/// Which types are printed with their schema is up to the session that decodes.
pub fn the_search_path_of_the_reader_counts(database: &Database) {
    database.sql("CREATE SCHEMA s1; CREATE TYPE s1.mood AS ENUM ('ok'); CREATE TABLE t (a s1.mood)");
    database.create_slot("s", "ali_decoding");
    database.sql("INSERT INTO t VALUES ('ok')");
    let peek = "SELECT encode(data, 'escape') LIKE '%s1.mood%' FROM pg_logical_slot_peek_binary_changes(:'slot', NULL, NULL) WHERE encode(data, 'escape') LIKE 'I%';";
    let seen = database.sql(&format!(
        "{peek} SET search_path = s1, public; {peek} RESET search_path; {peek} SET search_path = 'public', \"s1\"; {peek}"
    ));
    assert_eq!(seen, "t\nf\nt\nf");
}

/// More relations than the note pad for invalidations and the cache's first size hold.
pub fn many_relations_change_at_once(database: &Database) {
    let tables = 300;
    let each = |statement: &str| {
        format!("DO $$ BEGIN FOR i IN 1..{tables} LOOP EXECUTE format('{statement}', i, i); END LOOP; END $$;")
    };
    database.sql(&each("CREATE TABLE t%s (a int, b int)"));
    database.create_slot("s", "ali_decoding");
    database.sql(&each("INSERT INTO t%s VALUES (1)"));
    database.sql(&each("ALTER TABLE t%s RENAME COLUMN b TO b%s"));
    database.sql(&each("INSERT INTO t%s VALUES (1)"));
    let relations = relations(database);
    for i in 1..=tables {
        assert_eq!(relations[i - 1], format!("public.t{i}(a integer, b integer)"));
        assert_eq!(relations[tables + i - 1], format!("public.t{i}(a integer, b{i} integer)"));
    }
}
