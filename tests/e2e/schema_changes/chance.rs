//! Commands by chance, one to three at a time: what fails is nothing, what does not is followed.

use pg_courier_tests::rng::Rng;

use super::ground::Ground;
use crate::common::sized;

const OBJECTS: &str = "CREATE SCHEMA k1; CREATE SCHEMA k2; \
     CREATE TYPE k1.e AS ENUM ('x', 'y'); CREATE DOMAIN k1.d AS int CHECK (value < 1000); CREATE SEQUENCE k1.q; \
     CREATE TABLE k1.a (id int PRIMARY KEY, x int, y text); CREATE TABLE k1.b (id bigint PRIMARY KEY, x int REFERENCES k1.a, z k1.e); \
     CREATE TABLE k2.a (id serial PRIMARY KEY, y text DEFAULT 'y', w k1.d); CREATE TABLE k2.c (own int) INHERITS (k1.a); \
     CREATE TABLE k1.p (id int, x int, y text, PRIMARY KEY (id, x)) PARTITION BY LIST (x); \
     CREATE TABLE k1.p1 PARTITION OF k1.p FOR VALUES IN (1); CREATE TABLE k1.p2 PARTITION OF k1.p FOR VALUES IN (2); \
     CREATE TABLE k1.p3 (id int NOT NULL, x int NOT NULL, y text)";
const ROWS: &str = "INSERT INTO k1.a VALUES (1, 1, '1'), (2, 2, '2'); INSERT INTO k1.b VALUES (1, 1, 'x'); \
     INSERT INTO k2.a (y) VALUES ('3'); INSERT INTO k2.c VALUES (5, 5, '5', 5); INSERT INTO k1.p VALUES (1, 1, '1'), (2, 2, '2')";

/// `T` is a table, `C` a column, `N` a name, `Y` a type, `S` a schema, `E` an expression; each of its own choice.
const COMMANDS: &[&str] = &[
    "ALTER TABLE T ADD C Y",
    "ALTER TABLE T ADD C Y DEFAULT E",
    "ALTER TABLE T ADD C int DEFAULT 7 NOT NULL",
    "ALTER TABLE T ADD C timestamptz DEFAULT now()",
    "ALTER TABLE T DROP C",
    "ALTER TABLE T DROP C CASCADE",
    "ALTER TABLE T RENAME C TO C",
    "ALTER TABLE T RENAME C TO C",
    "ALTER TABLE T ALTER C TYPE Y USING C::text::Y",
    "ALTER TABLE T ALTER C TYPE Y",
    "ALTER TABLE T ALTER C SET DEFAULT E",
    "ALTER TABLE T ALTER C DROP DEFAULT",
    "ALTER TABLE T ALTER C SET NOT NULL",
    "ALTER TABLE T ALTER C DROP NOT NULL",
    "ALTER TABLE T ALTER C SET STATISTICS 50, ALTER C SET STORAGE external",
    "ALTER TABLE T ALTER C ADD GENERATED ALWAYS AS IDENTITY",
    "ALTER TABLE T ALTER C DROP IDENTITY IF EXISTS",
    "ALTER TABLE T ADD C text GENERATED ALWAYS AS (upper('v')) STORED",
    "ALTER TABLE T ALTER C DROP EXPRESSION IF EXISTS",
    "ALTER TABLE T RENAME TO N",
    "ALTER TABLE T RENAME TO N",
    "ALTER TABLE T SET SCHEMA S",
    "ALTER TABLE T SET (fillfactor = 50)",
    "ALTER TABLE T RESET (fillfactor)",
    "ALTER TABLE T SET UNLOGGED",
    "ALTER TABLE T SET LOGGED",
    "ALTER TABLE T REPLICA IDENTITY FULL",
    "ALTER TABLE T ADD CONSTRAINT N CHECK (C IS NOT NULL) NOT VALID",
    "ALTER TABLE T ADD CONSTRAINT N CHECK (id > 0)",
    "ALTER TABLE T VALIDATE CONSTRAINT N",
    "ALTER TABLE T ADD CONSTRAINT N UNIQUE (id, C)",
    "ALTER TABLE T ADD CONSTRAINT N FOREIGN KEY (C) REFERENCES T",
    "ALTER TABLE T ADD CONSTRAINT N PRIMARY KEY (id)",
    "ALTER TABLE T DROP CONSTRAINT N",
    "ALTER TABLE T RENAME CONSTRAINT N TO N",
    "ALTER TABLE T ALTER CONSTRAINT N DEFERRABLE",
    "CREATE INDEX N ON T (C)",
    "CREATE UNIQUE INDEX N ON T (id, C)",
    "CREATE INDEX N ON T (lower(y)) WHERE id > 3",
    "ALTER TABLE T ADD CONSTRAINT N UNIQUE USING INDEX N",
    "DROP INDEX S.N",
    "ALTER INDEX S.N RENAME TO N",
    "ALTER INDEX S.N SET (fillfactor = 60)",
    "ALTER TABLE T CLUSTER ON N",
    "CREATE STATISTICS S.N ON id, C FROM T",
    "DROP STATISTICS S.N",
    "ALTER STATISTICS S.N RENAME TO N",
    "CREATE TABLE S.N (id int PRIMARY KEY, C Y, C Y)",
    "CREATE TABLE S.N () INHERITS (T)",
    "CREATE TABLE S.N (LIKE T INCLUDING ALL)",
    "DROP TABLE T",
    "ALTER TABLE T INHERIT T",
    "ALTER TABLE T NO INHERIT T",
    "CREATE TABLE S.N PARTITION OF k1.p FOR VALUES IN (4)",
    "ALTER TABLE k1.p ATTACH PARTITION T FOR VALUES IN (3)",
    "ALTER TABLE k1.p DETACH PARTITION T",
    "ALTER TYPE k1.e ADD VALUE 'N'",
    "ALTER TYPE k1.e RENAME VALUE 'N' TO 'N'",
    "ALTER TYPE k1.e RENAME TO N",
    "ALTER DOMAIN k1.d ADD CONSTRAINT N CHECK (value > -5)",
    "ALTER DOMAIN k1.d DROP CONSTRAINT N",
    "ALTER DOMAIN k1.d SET DEFAULT 4",
    "ALTER DOMAIN k1.d SET SCHEMA S",
    "ALTER SEQUENCE k1.q OWNED BY T.C",
    "ALTER SEQUENCE k1.q OWNED BY NONE",
    "ALTER SEQUENCE k1.q INCREMENT 7 MAXVALUE 900",
    "ALTER SEQUENCE k1.q RENAME TO N",
    "ALTER TABLE T ALTER C SET DEFAULT nextval('k1.q')",
    "CREATE POLICY N ON T FOR SELECT USING (id > 0)",
    "ALTER POLICY N ON T USING (id > 5)",
    "ALTER POLICY N ON T RENAME TO N",
    "ALTER TABLE T ENABLE ROW LEVEL SECURITY",
    "CREATE TRIGGER N BEFORE UPDATE ON T FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "ALTER TRIGGER N ON T RENAME TO N",
    "ALTER TABLE T DISABLE TRIGGER N",
    "DROP TRIGGER N ON T",
    "COMMENT ON TABLE T IS 'N'",
    "COMMENT ON COLUMN T.C IS 'C'",
    "COMMENT ON CONSTRAINT N ON T IS 'N'",
    "COMMENT ON INDEX S.N IS 'N'",
    "GRANT SELECT ON T TO reader",
    "REVOKE SELECT ON T FROM reader",
    "REINDEX TABLE T",
];

const TABLES: &[&str] = &["k1.a", "k1.a", "k1.b", "k2.a", "k2.c", "k1.p", "k1.p1", "k1.p2", "k1.p3", "k1.i", "k2.j"];
const COLUMNS: &[&str] = &["x", "y", "z", "w", "id"];
const NAMES: &[&str] = &["a", "b", "c", "i", "j", "a_pkey", "k"];
const TYPES: &[&str] = &["int", "bigint", "text", "varchar(40)", "numeric(12,2)", "k1.e", "k1.d", "date"];
const SCHEMAS: &[&str] = &["k1", "k2"];
const EXPRESSIONS: &[&str] = &["NULL", "'1'", "'x'", "'2024-01-01'"];

#[test]
fn any_commands() {
    let ground = Ground::start();
    let mut rng = Rng::from_environment("schema_changes::chance");
    for _ in 0..sized(1, 40) {
        ground.follow_any(OBJECTS, ROWS, sized(300, 2000), || {
            let count = *rng.pick(&[1, 1, 1, 2, 3]);
            let commands: Vec<String> = (0..count).map(|_| command(&mut rng)).collect();
            commands.join("; ")
        });
    }
}

fn command(rng: &mut Rng) -> String {
    let pattern = *rng.pick(COMMANDS);
    let mut command = String::new();
    let mut rest = pattern;
    while let Some(letter) = rest.chars().next() {
        let before = command.chars().last().unwrap_or(' ');
        let after = rest.chars().nth(1).unwrap_or(' ');
        let stands_alone = !before.is_alphanumeric() && !after.is_alphanumeric();
        let choices = match letter {
            'T' => TABLES,
            'C' => COLUMNS,
            'N' => NAMES,
            'Y' => TYPES,
            'S' => SCHEMAS,
            'E' => EXPRESSIONS,
            _ => &[],
        };
        match choices {
            [_, ..] if stands_alone => command.push_str(rng.pick::<&str>(choices)),
            _ => command.push(letter),
        }
        rest = &rest[letter.len_utf8()..];
    }
    command
}
