//! Partitioned tables.

use super::ground::{Ground, case};

const P: &str = "CREATE SCHEMA k; CREATE TABLE k.p (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k); \
     CREATE TABLE k.p1 PARTITION OF k.p FOR VALUES IN (1); CREATE TABLE k.p2 PARTITION OF k.p FOR VALUES IN (2); \
     CREATE INDEX ON k.p (v)";
const ROWS: &str = "INSERT INTO k.p VALUES (1, 1, 'a'), (2, 2, 'b')";

#[test]
fn partitions() {
    Ground::start().follow(&[
        case("come and go", P, ROWS, &[
            "CREATE TABLE k.p3 PARTITION OF k.p FOR VALUES IN (3)",
            "CREATE TABLE k.p4 PARTITION OF k.p FOR VALUES IN (4); ALTER INDEX k.p4_pkey RENAME TO own",
            "CREATE TABLE k.p5 (v text, k int NOT NULL, id int NOT NULL); CREATE INDEX odd ON k.p5 (v)",
            "ALTER TABLE k.p ATTACH PARTITION k.p5 FOR VALUES IN (5)",
            "ALTER TABLE k.p DETACH PARTITION k.p1",
        ]),
        case("have another bound", P, ROWS, &[
            "ALTER TABLE k.p DETACH PARTITION k.p1; ALTER TABLE k.p ATTACH PARTITION k.p1 FOR VALUES IN (1, 10)",
            "CREATE TABLE k.d PARTITION OF k.p DEFAULT",
            "ALTER TABLE k.p DETACH PARTITION k.d; ALTER TABLE k.p ATTACH PARTITION k.d FOR VALUES IN (7)",
        ]),
        case("get what the partitioned table gets", P, ROWS, &[
            "ALTER TABLE k.p ADD n int DEFAULT 4",
            "ALTER TABLE k.p ADD at timestamptz DEFAULT now() NOT NULL",
            "CREATE INDEX ON k.p (n)",
            "ALTER TABLE k.p ADD CONSTRAINT ck CHECK (k > 0)",
            "ALTER TABLE k.p ALTER n TYPE bigint",
            "ALTER TABLE k.p ALTER n SET NOT NULL",
            "ALTER TABLE k.p1 ALTER n SET DEFAULT 1",
            "ALTER TABLE k.p RENAME n TO m",
            "ALTER TABLE k.p RENAME CONSTRAINT ck TO cl",
            "ALTER TABLE k.p ADD UNIQUE (k, m)",
            "ALTER INDEX k.p_pkey RENAME TO key",
            "ALTER TABLE k.p DROP CONSTRAINT key",
            "ALTER TABLE k.p ADD PRIMARY KEY (k, id)",
            "ALTER TABLE k.p ALTER m DROP NOT NULL",
            "ALTER TABLE k.p DROP m, DROP CONSTRAINT cl",
            "DROP INDEX k.p_v_idx",
            "CREATE INDEX x ON ONLY k.p (v)",
            "CREATE INDEX y ON k.p1 (v); CREATE INDEX z ON k.p2 (v); ALTER INDEX k.x ATTACH PARTITION k.y; ALTER INDEX k.x ATTACH PARTITION k.z",
            "ALTER TABLE k.p ADD g text GENERATED ALWAYS AS (upper(v)) STORED",
            "ALTER TABLE k.p ALTER g DROP EXPRESSION",
        ]),
        case("of several levels, with foreign keys and triggers", P, ROWS, &[
            "CREATE TABLE k.p3 PARTITION OF k.p FOR VALUES IN (3, 4) PARTITION BY RANGE (id)",
            "CREATE TABLE k.p31 PARTITION OF k.p3 FOR VALUES FROM (0) TO (100)",
            "ALTER TABLE k.p ADD n int",
            "CREATE TABLE k.o (id int PRIMARY KEY); ALTER TABLE k.p ADD FOREIGN KEY (n) REFERENCES k.o",
            "CREATE TABLE k.r (id int, k int, FOREIGN KEY (id, k) REFERENCES k.p)",
            "ALTER TABLE k.p DETACH PARTITION k.p3",
            "CREATE TABLE k.p5 PARTITION OF k.p FOR VALUES IN (5)",
            "ALTER TABLE k.p RENAME CONSTRAINT p_n_fkey TO fk",
            "ALTER TABLE k.p ALTER CONSTRAINT fk DEFERRABLE INITIALLY DEFERRED",
            "ALTER TABLE k.p DROP CONSTRAINT fk",
            "DROP TABLE k.r, k.p3",
            "DROP TABLE k.p",
        ]),
    ]);
}
