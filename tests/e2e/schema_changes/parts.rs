//! Constraints, indexes, triggers, policies, statistics.

use super::ground::{Ground, case};

const T: &str = "CREATE SCHEMA k; CREATE TABLE k.t (id int PRIMARY KEY, v text, n int); CREATE TABLE k.o (id int PRIMARY KEY, t_id int)";
const ROWS: &str = "INSERT INTO k.t VALUES (1, 'a', 1), (2, 'b', 2); INSERT INTO k.o VALUES (1, 1)";

#[test]
fn constraints() {
    Ground::start().follow(&[
        case(
            "step by step",
            T,
            ROWS,
            &[
                "ALTER TABLE k.t ADD CONSTRAINT ck CHECK (n > 0) NOT VALID",
                "ALTER TABLE k.t VALIDATE CONSTRAINT ck",
                "ALTER TABLE k.o ADD CONSTRAINT fk FOREIGN KEY (t_id) REFERENCES k.t NOT VALID",
                "ALTER TABLE k.o VALIDATE CONSTRAINT fk",
                "ALTER TABLE k.o ALTER CONSTRAINT fk DEFERRABLE INITIALLY DEFERRED",
                "ALTER TABLE k.o ALTER CONSTRAINT fk DEFERRABLE INITIALLY IMMEDIATE",
                "ALTER TABLE k.o ALTER CONSTRAINT fk NOT DEFERRABLE",
                "ALTER TABLE k.t RENAME CONSTRAINT ck TO cl; ALTER TABLE k.o RENAME CONSTRAINT fk TO fl",
                "ALTER TABLE k.t DROP CONSTRAINT cl, ADD CONSTRAINT cl CHECK (n > -1)",
                "ALTER TABLE k.t ADD CONSTRAINT ex EXCLUDE USING btree (n WITH =)",
                "ALTER TABLE k.t RENAME CONSTRAINT ex TO ey",
                "ALTER TABLE k.t DROP CONSTRAINT ey, ADD CONSTRAINT un UNIQUE (n) DEFERRABLE INITIALLY DEFERRED",
                "ALTER TABLE k.o DROP CONSTRAINT fl; ALTER TABLE k.t DROP CONSTRAINT t_pkey, ADD PRIMARY KEY (id, n)",
            ],
        ),
        case(
            "of an index that is there",
            T,
            ROWS,
            &[
                "CREATE UNIQUE INDEX u ON k.t (n) WITH (fillfactor = 70)",
                "ALTER TABLE k.t ADD CONSTRAINT un UNIQUE USING INDEX u DEFERRABLE",
                "CREATE UNIQUE INDEX same ON k.t (v); ALTER TABLE k.t ADD CONSTRAINT same UNIQUE USING INDEX same",
                "CREATE UNIQUE INDEX w ON k.o (t_id)",
                "ALTER TABLE k.o DROP CONSTRAINT o_pkey, ADD CONSTRAINT key PRIMARY KEY USING INDEX w",
            ],
        ),
    ]);
}

#[test]
fn indexes() {
    Ground::start().follow(&[
        case("of all kinds", T, ROWS, &[
            "CREATE INDEX ON k.t (v); CREATE INDEX ON k.t (v); CREATE UNIQUE INDEX ON k.t (n) INCLUDE (v) WHERE n > 0",
            "DROP INDEX k.t_v_idx1",
            "CREATE INDEX \"I on x\" ON k.t USING hash (v)",
            "ALTER INDEX k.\"I on x\" RENAME TO j",
            "CREATE INDEX e ON k.t ((n + 1), v); ALTER INDEX k.e ALTER COLUMN 1 SET STATISTICS 77",
            "ALTER INDEX k.e ALTER COLUMN 1 SET STATISTICS -1",
            "ALTER INDEX k.t_v_idx SET (fillfactor = 50); ALTER INDEX k.t_pkey SET (fillfactor = 60)",
            "ALTER INDEX k.t_v_idx RESET (fillfactor)",
            "ALTER TABLE k.t CLUSTER ON t_v_idx",
            "ALTER TABLE k.t CLUSTER ON t_pkey",
            "ALTER TABLE k.t SET WITHOUT CLUSTER",
            "COMMENT ON INDEX k.t_v_idx IS 'i'",
            "REINDEX TABLE k.t",
        ]),
        case("built anew beside it", T, ROWS, &[
            "CREATE INDEX i ON k.t (v); COMMENT ON INDEX k.i IS 'i'; ALTER TABLE k.t REPLICA IDENTITY USING INDEX t_pkey",
            "REINDEX INDEX CONCURRENTLY k.i",
            "REINDEX TABLE CONCURRENTLY k.t",
            "ALTER INDEX k.i RENAME TO j; COMMENT ON INDEX k.j IS NULL",
        ]),
        case("that failed", T, "INSERT INTO k.t VALUES (1, 'a'), (2, 'a')", &[
            "DO $do$ BEGIN CREATE UNIQUE INDEX u ON k.t (v); EXCEPTION WHEN unique_violation THEN NULL; END $do$",
            "CREATE INDEX i ON k.t (n); COMMENT ON INDEX k.i IS 'i'; UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'k.i'::regclass; CREATE INDEX j ON k.t (n, id)",
                "UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'k.i'::regclass",
        ]),
    ]);
}

const F: &str = "CREATE SCHEMA k; CREATE TABLE k.t (id int PRIMARY KEY, v text, n int); \
     CREATE TABLE k.p (id int) PARTITION BY LIST (id); CREATE TABLE k.p1 PARTITION OF k.p FOR VALUES IN (1)";
/// A function of the server's own: those of users are not created.
const FIRES: &str = "EXECUTE FUNCTION suppress_redundant_updates_trigger()";

#[test]
fn triggers_policies_and_statistics() {
    let ground = Ground::start();
    // 13 has no word for it.
    let replace = if ground.major() >= 14 {
        "CREATE OR REPLACE TRIGGER"
    } else {
        "/* looks undone */ DROP TRIGGER a ON k.t; CREATE TRIGGER"
    };
    let of = |text: &'static str| -> &'static str {
        Box::leak(text.replace("REPLACE TRIGGER", replace).replace("FIRES", FIRES).into_boxed_str())
    };
    let triggers: Vec<&'static str> = [
        "CREATE TRIGGER a BEFORE UPDATE ON k.t FOR EACH ROW FIRES; COMMENT ON TRIGGER a ON k.t IS 'a'",
        "REPLACE TRIGGER a BEFORE UPDATE OF v ON k.t FOR EACH ROW FIRES",
        "ALTER TABLE k.t DISABLE TRIGGER a",
        "ALTER TRIGGER a ON k.t RENAME TO b",
        "CREATE TRIGGER a BEFORE UPDATE ON k.t FOR EACH ROW WHEN (old.n > 5) FIRES",
        "ALTER TABLE k.t RENAME n TO m; ALTER TABLE k.t ENABLE TRIGGER b",
        "DROP TRIGGER b ON k.t",
        "CREATE TRIGGER q BEFORE UPDATE ON k.p FOR EACH ROW FIRES",
        "ALTER TABLE k.p DISABLE TRIGGER q",
        "DROP TRIGGER q ON k.p",
    ]
    .map(of)
    .to_vec();
    ground.follow(&[
        case("triggers", F, "", Box::leak(triggers.into_boxed_slice())),
        case("policies", F, "", &[
            "CREATE POLICY a ON k.t FOR SELECT TO reader USING (n > 0); CREATE POLICY b ON k.t AS RESTRICTIVE FOR ALL USING (n > 1) WITH CHECK (n > 2)",
            "ALTER POLICY a ON k.t TO reader, writer USING (n > 5)",
            "ALTER POLICY a ON k.t TO PUBLIC",
            "ALTER POLICY b ON k.t WITH CHECK (n > 3)",
            "ALTER POLICY a ON k.t RENAME TO c; COMMENT ON POLICY c ON k.t IS 'c'",
            "ALTER TABLE k.t RENAME n TO m",
            "DROP POLICY c ON k.t",
        ]),
        case("statistics", F, "", &[
            "CREATE STATISTICS k.s ON id, n FROM k.t; ALTER STATISTICS k.s SET STATISTICS 50",
            "ALTER STATISTICS k.s RENAME TO s2; ALTER STATISTICS k.s2 SET STATISTICS -1",
            "CREATE SCHEMA k2; ALTER STATISTICS k.s2 SET SCHEMA k2; COMMENT ON STATISTICS k2.s2 IS 's'",
            "ALTER TABLE k.t RENAME n TO m",
            "ALTER TABLE k.t ALTER m TYPE bigint",
            "DROP STATISTICS k2.s2",
        ]),
    ]);
}
