//! A source whose database is not in UTF8: rows, names, and what people read.
//!
//! A test's session is in UTF8, and the server converts: whatever the extension takes or gives in any other encoding than
//! the database's is refused, or arrives as other letters.

use pg_courier_tests::pair::{DATABASE, PASSWORD, ROLE, create_task_sql};
use pg_courier_tests::sql::{ident, literal};
use pg_courier_tests::{Pair, TaskOptions};

use crate::common::{TASK, assert_mentions};

/// The letters of a language, and an encoding made for it.
struct Language {
    encoding: &'static str,
    schema: &'static str,
    table: &'static str,
    column: &'static str,
    word: &'static str,
    other_word: &'static str,
    /// Letters of another language.
    foreign: &'static str,
}

const GERMAN: Language = Language {
    encoding: "LATIN1",
    schema: "Straße",
    table: "Größe",
    column: "Übermaß",
    word: "schön",
    other_word: "häßlich",
    foreign: "注文",
};

const JAPANESE: Language = Language {
    encoding: "EUC_JP",
    schema: "倉庫",
    table: "注文",
    column: "名前",
    word: "りんご",
    other_word: "みかん",
    foreign: "สวัสดี",
};

#[test]
fn a_german_source_in_latin1() {
    names_and_words(&GERMAN);
}

#[test]
fn a_japanese_source_in_euc_jp() {
    names_and_words(&JAPANESE);
}

/// From CREATE SERVER to drop_task, everything that can have a name has one of the language, and everything that shows names
/// shows these.
fn names_and_words(language: &Language) {
    let Language { encoding, schema, table, column, word, other_word, .. } = language;
    let pair = Pair::builder().start_without_database();
    pair.add_database_in(encoding, DATABASE);
    let server = *word;
    pair.add_server(DATABASE, server, DATABASE, pair.destination.port());
    let name = format!("{}.{}", ident(schema), ident(table));
    pair.source.run(
        DATABASE,
        &format!(
            "CREATE SCHEMA {schema}; CREATE TABLE {name} ({column} text PRIMARY KEY, n int, w text DEFAULT {word} CHECK (w <> 'x')); \
             COMMENT ON TABLE {name} IS {word}; CREATE UNIQUE INDEX {index} ON {name} (n); \
             INSERT INTO {name} SELECT {word} || n, n FROM generate_series(1, 20) AS n",
            schema = ident(schema),
            column = ident(column),
            word = literal(word),
            index = ident(&format!("{table}_{column}")),
        ),
    );

    let steps = format!("SELECT string_agg(status, ' ') FROM courier.test_connection({})", literal(server));
    assert_eq!(pair.source.value(DATABASE, &steps), "ok ok ok ok ok ok ok");
    let pattern = format!("{}.*", ident(schema));
    pair.source.run(DATABASE, &create_task_sql(TASK, server, &[&pattern], &TaskOptions::default()));
    let planned = pair.source.rows(DATABASE, &format!("SELECT object, statement FROM courier.plan('{TASK}')"));
    let planned: Vec<String> = planned.into_iter().flatten().flatten().collect();
    assert_mentions(&planned.join("\n"), &[&name, column, word]);
    pair.source.run(DATABASE, &format!("SELECT courier.ignore_precheck('{TASK}', 'health_check', {})", literal(word)));
    let reason = format!("SELECT detail FROM courier.precheck('{TASK}') WHERE status = 'ignored'");
    assert_mentions(&pair.source.value(DATABASE, &reason), &[word]);

    pair.call(DATABASE, "start", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let column = ident(column);
    pair.source.run(
        DATABASE,
        &format!(
            "INSERT INTO {name} VALUES ({other}, 21); UPDATE {name} SET w = {other} WHERE n = 2; \
             UPDATE {name} SET {column} = {other} || n WHERE n = 3; DELETE FROM {name} WHERE n = 4",
            other = literal(other_word),
        ),
    );
    pair.assert_mirrored(TASK, &[&name]);
    let shown = format!("SELECT count(*) FROM courier.progress WHERE table_name = {}", literal(&name));
    assert_eq!(pair.source.value(DATABASE, &shown), "1");
    let comment = format!("SELECT obj_description({}::regclass, 'pg_class')", literal(&name));
    pair.destination.wait_until(DATABASE, "the comment is there", &format!("({comment}) = {}", literal(word)));

    let verdict =
        format!("SELECT identical, table_name, array_to_string(differing_keys, ' ') FROM courier.verify('{TASK}')");
    let verify = || pair.source.rows(DATABASE, &verdict).remove(0).into_iter().flatten().collect::<Vec<_>>();
    assert_eq!(verify()[..2], ["t".to_owned(), name.clone()]);
    pair.destination.run(DATABASE, &format!("DELETE FROM {name} WHERE {column} = {}", literal(other_word)));
    let [identical, _, keys] = &verify()[..] else { panic!("three columns") };
    assert_eq!(identical, "f");
    assert_mentions(keys, &[other_word]);
}

/// Each refusal repeats what the user wrote, in the user's letters; what the destination says in letters that the source cannot
/// hold comes with question marks, and is recorded all the same.
fn errors(language: &Language) {
    let Language { encoding, table, column, word, foreign, .. } = language;
    let pair = Pair::builder().start_without_database();
    pair.add_database_in(encoding, DATABASE);
    let name = format!("public.{}", ident(table));
    let column_name = ident(column);
    pair.source.run(
        DATABASE,
        &format!("CREATE TABLE {name} ({column_name} text PRIMARY KEY); INSERT INTO {name} VALUES ('1')"),
    );
    let create =
        |task: &str, server: &str, pattern: &str| create_task_sql(task, server, &[pattern], &TaskOptions::default());

    let refused = |statement: &str, sqlstate: &str, words: &[&str]| {
        let answer = pair.source.refuses(DATABASE, statement);
        assert_eq!(answer.sqlstate, sqlstate, "{answer}");
        assert_mentions(&answer.to_string(), words);
    };
    refused(&create(word, "dr", "*"), "42602", &[word]);
    refused(&create("t", word, "*"), "42704", &[word]);
    refused(&create("t", "dr", &format!("\"{table}")), "22023", &[table]);
    refused(&format!("SELECT courier.start({})", literal(word)), "42704", &[word]);
    refused(
        &format!("CREATE SERVER x FOREIGN DATA WRAPPER pg_courier OPTIONS ({} 'x')", ident(word)),
        "HV00D",
        &[word],
    );
    refused(&create("t", "dr", foreign), "22P05", &[encoding]);

    let include = format!("ARRAY[{}, {}]", literal(&format!("\"{table}\"")), literal(word));
    let create = format!("SET client_encoding = 'UTF8'; SELECT courier.create_task('{TASK}', 'dr', {include})");
    let notice = String::from_utf8_lossy(&pair.source.psql(DATABASE, &create).stderr).into_owned();
    assert_mentions(&notice, &[&format!("pattern '{word}' matches no table")]);
    // A client in the database's own encoding: the server keeps no conversion to UTF-8 at hand.
    let bytes: String = word.bytes().map(|byte| format!("{byte:02x}")).collect();
    let heard = pair.source.psql_ok(
        DATABASE,
        &format!(
            "SET client_encoding = '{encoding}'; CREATE TEMPORARY TABLE heard (text text); \
             DO $$ BEGIN PERFORM courier.start(convert_from('\\x{bytes}', 'UTF8')); \
             EXCEPTION WHEN undefined_object THEN INSERT INTO heard VALUES (SQLERRM); END $$; \
             SET client_encoding = 'UTF8'; SELECT text FROM heard"
        ),
    );
    assert_mentions(&heard, &[word]);

    pair.call(DATABASE, "start", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let check =
        format!("ALTER TABLE {name} ADD CONSTRAINT {} CHECK ({column_name} <> {})", ident(foreign), literal(word));
    pair.destination.run(DATABASE, &check);
    pair.source.run(DATABASE, &format!("INSERT INTO {name} VALUES ({})", literal(word)));
    let failure = pair.failure(DATABASE, TASK);
    assert_mentions(&failure, &[table, word, "?"]);
    assert!(!failure.contains('\u{FFFD}') && !failure.contains(foreign), "{failure}");
}

#[test]
fn errors_in_latin1() {
    errors(&GERMAN);
}

/// An error of the source server itself, on its way through the extension.
#[test]
fn an_error_of_the_source_keeps_its_letters() {
    let pair = Pair::builder().start_without_database();
    pair.add_database_in("LATIN1", DATABASE);
    pair.source.run(
        DATABASE,
        &format!(
            "CREATE TABLE \"Größe\" (id int PRIMARY KEY); CREATE ROLE reader REPLICATION; SELECT courier.grant_usage('reader'); \
             GRANT USAGE ON FOREIGN SERVER dr TO reader; GRANT SELECT ON \"Größe\" TO reader; \
             CREATE USER MAPPING FOR reader SERVER dr OPTIONS (user '{ROLE}', password {}); \
             SET ROLE reader; {}; SELECT courier.start('{TASK}')",
            literal(PASSWORD),
            create_task_sql(TASK, "dr", &["\"Größe\""], &TaskOptions::default())
        ),
    );
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "REVOKE SELECT ON \"Größe\" FROM reader");
    let error = pair.source.value(DATABASE, &format!("SELECT error FROM courier.verify('{TASK}')"));
    assert!(error.contains("permission denied for table Größe"), "{error}");
}

#[test]
fn errors_in_euc_jp() {
    errors(&JAPANESE);
}

/// SQL_ASCII knows bytes only. Those of UTF-8 pass; of any other, values pass, but a name or a definition is refused before
/// anything with other letters is made from it.
#[test]
fn a_source_without_encoding() {
    let pair = Pair::builder().start_without_database();
    pair.add_database_in("SQL_ASCII", DATABASE);
    pair.source.run(
        DATABASE,
        "CREATE TABLE \"größe\" (\"ß\" text PRIMARY KEY); INSERT INTO \"größe\" VALUES ('ä'); \
         DO $$ DECLARE umlaut text = convert_from('\\xe4', 'SQL_ASCII'); BEGIN \
            EXECUTE format('CREATE TABLE %I (id int)', 'name_' || umlaut); \
            EXECUTE format('CREATE TABLE defined (v text DEFAULT %L)', umlaut); END $$",
    );
    let create = |include: &str| create_task_sql(TASK, "dr", &[include], &TaskOptions::default());
    let answer = pair.source.refuses(DATABASE, &create("name_*"));
    assert_eq!(answer.sqlstate, "22021", "{answer}");
    assert_mentions(&answer.to_string(), &["name_", "exclude", "SQL_ASCII"]);
    let argument = "SELECT courier.start(convert_from('\\xe4', 'SQL_ASCII'))";
    let answer = pair.source.refuses(DATABASE, argument);
    assert_eq!(answer.sqlstate, "22021", "{answer}");

    pair.source.run(DATABASE, &create("defined"));
    let answer = pair.source.refuses(DATABASE, &format!("SELECT courier.plan('{TASK}')"));
    assert_mentions(&answer.to_string(), &["defined", "schema_sync => false"]);
    pair.call(DATABASE, "drop_task", TASK);

    pair.source.run(DATABASE, &create("größe"));
    pair.call(DATABASE, "start", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "INSERT INTO \"größe\" VALUES ('ö')");
    pair.assert_mirrored(TASK, &["public.\"größe\""]);
}

/// Databases of different encodings, where every character exists in both.
#[test]
fn values_of_every_kind() {
    let pair = Pair::builder().start_without_database();
    pair.add_database_in("LATIN1", DATABASE);
    pair.source.run(
        DATABASE,
        "CREATE TABLE \"größe\" (id int PRIMARY KEY, \"ß\" text, a text[], j jsonb, c char(3)); \
         INSERT INTO \"größe\" VALUES (1, 'Grüße', ARRAY['é', NULL], '{\"ü\": \"ñ\"}', 'ä')",
    );
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "INSERT INTO \"größe\" VALUES (2, '¿qué?', '{ÿ}', '[\"þ\"]', 'öü'); UPDATE \"größe\" SET \"ß\" = 'Æ' WHERE id = 1");
    pair.assert_mirrored(TASK, &["public.\"größe\""]);
}
