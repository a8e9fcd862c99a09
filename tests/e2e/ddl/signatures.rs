//! Functions, aggregates, operators and casts are told from others of their names by types, and types get other names: in the same
//! transaction, in one before, in one beside it. Whatever they are called by then, the right ones go.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions};

use super::equal::assert_equal;
use crate::common::TASK;

/// What makes a type, and whom ALTER and DROP name.
const MADE: [(&str, &str); 4] = [
    ("TABLE", "CREATE TABLE @T (id int PRIMARY KEY)"),
    ("TYPE", "CREATE TYPE @T AS ENUM ('x')"),
    ("TYPE", "CREATE TYPE @T AS (a int, b text)"),
    ("DOMAIN", "CREATE DOMAIN @T AS int CHECK (VALUE > 0)"),
];

/// One of each kind, with a name of its own where that is possible.
const SIGNED: &str = "CREATE FUNCTION f_@O(@T, int) RETURNS boolean LANGUAGE sql AS 'SELECT true'; \
     CREATE PROCEDURE p_@O(a @T[]) LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION s_@O(bigint, @T) RETURNS bigint LANGUAGE sql AS 'SELECT $1'; \
     CREATE AGGREGATE g_@O(@T) (SFUNC = s_@O, STYPE = bigint); CREATE OPERATOR |> (LEFTARG = @T, RIGHTARG = int, FUNCTION = f_@O); \
     CREATE FUNCTION j_@O(@T) RETURNS jsonb LANGUAGE sql AS 'SELECT NULL::jsonb'; CREATE CAST (@T AS jsonb) WITH FUNCTION j_@O(@T)";

const UNSIGNED: &str = "DROP CAST (@T AS jsonb); DROP FUNCTION j_@O(@T); DROP OPERATOR |> (@T, int); DROP AGGREGATE g_@O(@T); \
     DROP FUNCTION s_@O(bigint, @T); DROP PROCEDURE p_@O(@T[]); DROP FUNCTION f_@O(@T, int)";

const SAID: &str = "COMMENT ON FUNCTION f_@O(@T, int) IS 'f'; COMMENT ON PROCEDURE p_@O(@T[]) IS 'p'; COMMENT ON AGGREGATE g_@O(@T) IS 'g'; \
     COMMENT ON OPERATOR |> (@T, int) IS 'o'; COMMENT ON CAST (@T AS jsonb) IS 'c'; ALTER OPERATOR |> (@T, int) SET (RESTRICT = eqsel)";

const BOTH: &str = "make(@a, ); signed(@a, @a); make(@b, ); signed(@b, @b)";

/// What happens to types `@a` and `@b` that have all of it.
const STORIES: [&str; 8] = [
    "un(@a, @a); ALTER @W @a RENAME TO @c; DROP @W @c",
    "ALTER @W @a RENAME TO @c; un(@c, @a); DROP @W @c",
    "ALTER @W @a RENAME TO @c; DROP @W @c CASCADE",
    "ALTER @W @a RENAME TO @c; make(@a, ); signed(@a, @a); said(@c, @a); DROP @W @c CASCADE; said(@a, @a)",
    "ALTER @W @a RENAME TO @c; ALTER @W @b RENAME TO @a; ALTER @W @c RENAME TO @b; said(@a, @b)",
    "ALTER @W @a SET SCHEMA public_2; un(public_2.@a, @a); DROP @W public_2.@a; ALTER @W @b SET SCHEMA public_2; said(public_2.@b, @b); \
     ALTER SCHEMA public_2 RENAME TO public_3; un(public_3.@b, @b); DROP @W public_3.@b; ALTER SCHEMA public_3 RENAME TO public_2",
    "said(@a, @a); ALTER @W @a RENAME TO @c; said(@c, @a); ALTER FUNCTION f_@a(@c, int) RENAME TO f_@d; ALTER AGGREGATE g_@a(@c) RENAME TO g_@d; \
     COMMENT ON OPERATOR |> (@c, int) IS 'x'; ALTER AGGREGATE g_@d(@c) SET SCHEMA public_2; DROP AGGREGATE public_2.g_@d(@c)",
    "ALTER OPERATOR |> (@b, int) SET SCHEMA public_2; ALTER SCHEMA public_2 RENAME TO public_3; COMMENT ON OPERATOR public_3.|> (@b, int) IS 'x'; \
     ALTER AGGREGATE g_@b(@b) SET SCHEMA public_3; ALTER SCHEMA public_3 RENAME TO public_2; DROP AGGREGATE public_2.g_@b(@b); \
     ALTER OPERATOR public_2.|> (@b, int) SET SCHEMA public",
];

fn followed_pair(before: &str) -> Pair {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA public_2; CREATE TABLE t (id int PRIMARY KEY); CREATE TABLE public_2.u (id int PRIMARY KEY)",
    );
    pair.source.run(DATABASE, before);
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public*.*"], &options);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.caught_up(DATABASE, TASK);
    pair
}

/// The types of a story have names of their own.
struct Words {
    word: &'static str,
    made: &'static str,
    number: usize,
}

impl Words {
    fn commands(&self, story: &str) -> Vec<String> {
        const MACROS: [(&str, &str); 3] = [("un(", UNSIGNED), ("signed(", SIGNED), ("said(", SAID)];
        let made = [("make(", self.made)];
        let command = |command: &str| {
            let command = command.trim();
            let found = MACROS.iter().chain(&made).find(|(start, _)| command.starts_with(start));
            let text = found.map_or(command.to_owned(), |(start, text)| {
                let names = command[start.len()..].trim_end_matches(')');
                let (name, of) = names.split_once(", ").unwrap_or_default();
                text.replace("@T", name).replace("@O", of)
            });
            ["a", "b", "c", "d"].iter().fold(text.replace("@W", self.word), |text, name| {
                text.replace(&format!("@{name}"), &format!("{name}{}", self.number))
            })
        };
        story.split("; ").map(command).collect()
    }
}

/// Each to a table and another type.
fn told(at: usize) -> Vec<(Words, &'static str)> {
    let types = |number: usize| [MADE[0], MADE[1 + (number + at) % 3]];
    let all = (0..STORIES.len()).flat_map(|number| types(number).map(|made| (made, STORIES[number])));
    let with_words =
        |(number, ((word, made), story)): (usize, _)| (Words { word, made, number: 2 * number + at }, story);
    (0..).zip(all).map(with_words).collect()
}

#[test]
fn what_is_signed_with_a_type_that_gets_another_name_goes_with_it() {
    let (at_once, one_by_one) = (told(0), told(1));
    let both = at_once.iter().chain(&one_by_one).map(|(words, _)| words.commands(BOTH).join("; "));
    let pair = followed_pair(&both.collect::<Vec<_>>().join("; "));
    for (words, story) in at_once {
        pair.source.run(DATABASE, &words.commands(story).join("; "));
    }
    let mut client = pair.source.connect(DATABASE);
    for (words, story) in one_by_one {
        for commands in words.commands(story) {
            commands.split("; ").for_each(|command| client.batch_execute(command).expect(command));
        }
    }
    assert_equal(&pair);
    assert_said_nothing(&pair);
}

/// Everything was applied as it came.
fn assert_said_nothing(pair: &Pair) {
    let left = "SELECT coalesce(string_agg(concat_ws(' | ', state, command, error), E'\\n'), '') FROM courier.ddl WHERE state NOT IN ('applied', 'filtered')";
    assert_eq!(pair.source.value(DATABASE, left), "");
}

/// The names of a command are those of its session at its moment; the transaction beside it that gives others may commit before.
#[test]
fn names_of_another_moment_are_not_believed() {
    let words = |number: usize| {
        let (word, made) = MADE[number];
        Words { word, made, number }
    };
    let before: Vec<String> = (0..MADE.len()).map(|at| words(at).commands(BOTH).join("; ")).collect();
    let pair = followed_pair(&before.join("; "));
    let mut open = pair.source.connect(DATABASE);
    let mut beside = |before: &str, then: &str, last: &str| {
        let all = |story: &str| (0..MADE.len()).flat_map(|at| words(at).commands(story)).collect::<Vec<_>>().join("; ");
        open.batch_execute(&format!("BEGIN; {}", all(before))).expect(before);
        pair.source.run(DATABASE, &all(then));
        open.batch_execute("COMMIT").expect("its end");
        pair.source.run(DATABASE, &all(last));
        pair.caught_up(DATABASE, TASK);
        assert_equal(&pair);
    };
    beside("said(@a, @a)", "ALTER @W @a RENAME TO @c", "ALTER @W @c RENAME TO @a");
    beside("un(@a, @a)", "ALTER @W @a RENAME TO @c", "DROP @W @c");
    beside("un(@b, @b)", "ALTER @W @b RENAME TO @c; make(@b, ); signed(@b, @b)", "DROP @W @c; said(@b, @b)");
    assert_said_nothing(&pair);
}
