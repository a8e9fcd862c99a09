//! Other names, other schemas, and names that are exchanged.

use super::ground::{Ground, case};

const TWO: &str = "CREATE SCHEMA k; CREATE TABLE k.t (id serial PRIMARY KEY, v text CHECK (v <> ''), w text GENERATED ALWAYS AS (upper(v)) STORED); \
     CREATE INDEX ON k.t (lower(v)) WHERE v > 'a'; CREATE TABLE k.o (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, t_id int REFERENCES k.t); \
     CREATE INDEX ON k.o (t_id); COMMENT ON CONSTRAINT t_v_check ON k.t IS 'x'";

#[test]
fn names() {
    Ground::start().follow(&[
        case("of tables and what is in them", TWO, "", &[
            "ALTER TABLE k.t RENAME TO \"T-2\"",
            "ALTER TABLE k.\"T-2\" RENAME v TO \"v v\"",
            "ALTER TABLE k.o RENAME CONSTRAINT o_pkey TO key; ALTER INDEX k.o_t_id_idx RENAME TO i; ALTER TABLE k.o RENAME CONSTRAINT o_t_id_fkey TO fk",
            "ALTER SEQUENCE k.t_id_seq RENAME TO ids",
            "ALTER TABLE k.\"T-2\" RENAME TO u; CREATE TABLE k.t (x int)",
            "/* looks undone */ DROP TABLE k.t; ALTER TABLE k.u RENAME TO t",
            "ALTER TABLE k.t RENAME CONSTRAINT t_v_check TO t_pkey2",
        ]),
        case("of schemas", TWO, "", &[
            "ALTER SCHEMA k RENAME TO \"k-2\"",
            "CREATE SCHEMA k; ALTER TABLE \"k-2\".t SET SCHEMA k",
            "ALTER TABLE \"k-2\".o SET SCHEMA k; ALTER TABLE k.o RENAME TO p; DROP SCHEMA \"k-2\"",
            "ALTER SCHEMA k RENAME TO k3; CREATE SCHEMA k",
        ]),
        case(
                "that are exchanged",
                "CREATE SCHEMA k; CREATE TABLE k.a (id int CONSTRAINT x CHECK (id > 0) CONSTRAINT y CHECK (id < 9)); \
                 CREATE TABLE k.b (n text); CREATE INDEX i ON k.a (id); CREATE INDEX j ON k.b (n)",
                "",
                &[
                    "/* looks undone */ ALTER TABLE k.a RENAME TO c; ALTER TABLE k.b RENAME TO a; ALTER TABLE k.c RENAME TO b",
                    "/* looks undone */ ALTER INDEX k.i RENAME TO h; ALTER INDEX k.j RENAME TO i; ALTER INDEX k.h RENAME TO j",
                    "/* looks undone */ ALTER TABLE k.b RENAME CONSTRAINT x TO z; ALTER TABLE k.b RENAME CONSTRAINT y TO x; ALTER TABLE k.b RENAME CONSTRAINT z TO y",
                    "/* looks undone */ ALTER TABLE k.b RENAME TO x; ALTER INDEX k.i RENAME TO b; ALTER TABLE k.x RENAME TO i",
                    "/* looks undone */ CREATE SCHEMA k2; CREATE TABLE k2.a (other int)",
                    "/* looks undone */ ALTER TABLE k.a RENAME TO x; ALTER TABLE k2.a SET SCHEMA k; ALTER TABLE k.x SET SCHEMA k2; ALTER TABLE k2.x RENAME TO a",
                    "/* looks undone */ ALTER SCHEMA k RENAME TO k3; ALTER SCHEMA k2 RENAME TO k; ALTER SCHEMA k3 RENAME TO k2",
                ],
            ),
        case(
            "that go round by a new table",
            "CREATE SCHEMA k; CREATE TABLE k.t (id int PRIMARY KEY, v text); CREATE TABLE k.n (id bigint PRIMARY KEY, v text)",
            "INSERT INTO k.t VALUES (1)",
            &[
                "ALTER TABLE k.t RENAME TO t_old; ALTER TABLE k.n RENAME TO t",
                "ALTER TABLE k.t_old RENAME CONSTRAINT t_pkey TO t_old_pkey; ALTER TABLE k.t RENAME CONSTRAINT n_pkey TO t_pkey",
                "/* looks undone */ DROP TABLE k.t_old; ALTER TABLE k.t RENAME TO t_old; CREATE TABLE k.t (LIKE k.t_old INCLUDING ALL)",
            ],
        ),
        case(
            "that a type leaves to another",
            "CREATE SCHEMA k; CREATE TYPE k.e AS ENUM ('a'); CREATE SEQUENCE k.q; CREATE TABLE k.t (e k.e, n bigint DEFAULT nextval('k.q'))",
            "",
            &[
                "/* looks undone */ ALTER TABLE k.t ALTER e TYPE text; DROP TYPE k.e; CREATE TYPE k.e AS ENUM ('b'); ALTER TABLE k.t ALTER e TYPE k.e USING e::k.e",
                "/* looks undone */ ALTER TABLE k.t ALTER n DROP DEFAULT; DROP SEQUENCE k.q; CREATE TABLE k.q (id int)",
            ],
        ),
    ]);
}
