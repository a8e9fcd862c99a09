//! Types, sequences, collations, extensions, schemas.

use super::ground::{Ground, case};

#[test]
fn types() {
    Ground::start().follow(&[
        case("enum", "CREATE SCHEMA k; CREATE TYPE k.en AS ENUM ('b', 'd'); CREATE TABLE k.t (id int, e k.en DEFAULT 'b', l k.en[])", "INSERT INTO k.t VALUES (1)", &[
            "ALTER TYPE k.en ADD VALUE 'a' BEFORE 'b'",
            "ALTER TYPE k.en ADD VALUE 'c' AFTER 'b'; ALTER TYPE k.en ADD VALUE 'it''s'",
            "ALTER TYPE k.en RENAME VALUE 'b' TO 'bb'",
            "ALTER TYPE k.en RENAME TO en2",
            "CREATE SCHEMA k2; ALTER TYPE k.en2 SET SCHEMA k2; COMMENT ON TYPE k2.en2 IS 'e'",
            "ALTER TABLE k.t DROP e, DROP l; DROP TYPE k2.en2",
        ]),
        case("exchanged", "CREATE SCHEMA k; CREATE TYPE k.en AS ENUM ('b', 'd'); CREATE DOMAIN k.d AS int CONSTRAINT a CHECK (value > 0) CONSTRAINT b CHECK (value < 9); CREATE TABLE k.t (e k.en, d k.d)", "", &[
                "/* looks undone */ ALTER TYPE k.en RENAME VALUE 'b' TO 'x'; ALTER TYPE k.en RENAME VALUE 'd' TO 'b'; ALTER TYPE k.en RENAME VALUE 'x' TO 'd'",
                "/* looks undone */ ALTER DOMAIN k.d RENAME CONSTRAINT a TO x; ALTER DOMAIN k.d RENAME CONSTRAINT b TO a; ALTER DOMAIN k.d RENAME CONSTRAINT x TO b",
                "/* looks undone */ ALTER TYPE k.en RENAME TO x; ALTER DOMAIN k.d RENAME TO en; ALTER TYPE k.x RENAME TO d",
            ]),
        case("domain", "CREATE SCHEMA k; CREATE DOMAIN k.dm AS int CHECK (value > 0); CREATE TABLE k.t (id int, d k.dm DEFAULT 5)", "INSERT INTO k.t VALUES (1)", &[
            "ALTER DOMAIN k.dm ADD CONSTRAINT c2 CHECK (value < 1000) NOT VALID",
            "ALTER DOMAIN k.dm VALIDATE CONSTRAINT c2",
            "ALTER DOMAIN k.dm RENAME CONSTRAINT c2 TO c3; COMMENT ON CONSTRAINT c3 ON DOMAIN k.dm IS 'c'",
            "ALTER DOMAIN k.dm SET DEFAULT 7",
            "ALTER DOMAIN k.dm SET NOT NULL",
            "ALTER DOMAIN k.dm DROP NOT NULL; ALTER DOMAIN k.dm DROP DEFAULT",
            "ALTER DOMAIN k.dm RENAME TO dm2",
            "ALTER DOMAIN k.dm2 DROP CONSTRAINT c3",
        ]),
        case("composite", "CREATE SCHEMA k; CREATE TYPE k.c AS (a int, b text)", "", &[
            "ALTER TYPE k.c ADD ATTRIBUTE d date",
            "ALTER TYPE k.c DROP ATTRIBUTE a",
            "ALTER TYPE k.c RENAME ATTRIBUTE d TO a",
            "ALTER TYPE k.c ALTER ATTRIBUTE b TYPE varchar(10) COLLATE \"C\"",
            "COMMENT ON COLUMN k.c.b IS 'b'; ALTER TYPE k.c RENAME TO cc",
            "CREATE TABLE k.t (c k.cc)",
            "ALTER TYPE k.cc ADD ATTRIBUTE e int",
            "DROP TABLE k.t; DROP TYPE k.cc",
        ]),
        case("range", "CREATE SCHEMA k; CREATE TYPE k.r AS RANGE (subtype = float8, subtype_diff = float8mi); CREATE TABLE k.t (r k.r)", "", &[
            "ALTER TYPE k.r RENAME TO rr",
            "CREATE SCHEMA k2; ALTER TYPE k.rr SET SCHEMA k2",
        ]),
    ]);
}

#[test]
fn sequences() {
    Ground::start().follow(&[
        case("options", "CREATE SCHEMA k; CREATE SEQUENCE k.q; CREATE TABLE k.t (id int, n bigint)", "SELECT setval('k.q', 500)", &[
            "ALTER SEQUENCE k.q INCREMENT 5 CACHE 10 CYCLE",
            "ALTER SEQUENCE k.q AS int MINVALUE 1000 START 2000 RESTART 2000 NO CYCLE",
            "ALTER SEQUENCE k.q OWNED BY k.t.n; COMMENT ON SEQUENCE k.q IS 'q'; GRANT USAGE ON SEQUENCE k.q TO writer",
            "ALTER TABLE k.t RENAME TO u; ALTER TABLE k.u RENAME n TO m",
            "ALTER SEQUENCE k.q OWNED BY k.u.id",
            "CREATE SCHEMA k2; ALTER TABLE k.u SET SCHEMA k2",
            "ALTER SEQUENCE k2.q OWNED BY NONE; ALTER SEQUENCE k2.q SET SCHEMA k; ALTER SEQUENCE k.q RENAME TO r",
            "DROP SEQUENCE k.r",
        ]),
        case("of tables that leave the WAL", "CREATE SCHEMA k; CREATE TABLE k.t (id int GENERATED ALWAYS AS IDENTITY, s serial)", "", &[
            "ALTER TABLE k.t SET UNLOGGED",
            "ALTER TABLE k.t SET LOGGED",
        ]),
    ]);
}

#[test]
fn what_others_are_in() {
    Ground::start().follow(&[
        case("collations", "CREATE SCHEMA k; CREATE COLLATION k.c (provider = libc, locale = 'C'); CREATE TABLE k.t (v text COLLATE k.c)", "INSERT INTO k.t VALUES ('a')", &[
            "ALTER COLLATION k.c RENAME TO d",
            "CREATE SCHEMA k2; ALTER COLLATION k.d SET SCHEMA k2; COMMENT ON COLLATION k2.d IS 'c'",
            "ALTER TABLE k.t ALTER v TYPE text; DROP COLLATION k2.d",
        ]),
        case("extensions", "CREATE SCHEMA k; CREATE SCHEMA kx; CREATE EXTENSION hstore SCHEMA kx VERSION '1.6'; CREATE TABLE k.t (id int, h kx.hstore)", "", &[
            "ALTER EXTENSION hstore UPDATE",
            "CREATE SCHEMA ky; ALTER EXTENSION hstore SET SCHEMA ky",
            "DROP EXTENSION hstore CASCADE",
        ]),
        case("schemas", "CREATE SCHEMA k", "", &[
            "CREATE SCHEMA k2; COMMENT ON SCHEMA k2 IS 's'; GRANT USAGE ON SCHEMA k2 TO reader",
            "ALTER SCHEMA k2 RENAME TO k3",
            "DROP SCHEMA k3",
            "/* looks undone */ DROP SCHEMA k; CREATE SCHEMA k",
        ]),
    ]);
}
