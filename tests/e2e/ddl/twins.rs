//! Partitioned tables with indexes that are equal but for their names. Where a partition comes or a column gets another type, the server
//! says by itself which index of the partition belongs to which one of the tree: the first that fits, in the order in which they were
//! made. That has to come out as on the source, also where the destination has made them in another order.

use pg_courier_tests::pair::{DATABASE, ROLE};

use super::aside::{assert_done, hold_builds, pair_with_large_tables, wait_for_a_build};
use super::case::Case;
use super::harness::{Accident, tell};
use crate::common::TASK;

/// `z` comes before `a`, while the order of the names is another one.
const TWINS: &str = "create table p (id int not null, k int not null, v varchar(30)) partition by list (k); \
    create index z on p (v); create index a on p (v); comment on index z is 'z of p'; \
    create table p1 partition of p for values in (1); insert into p select n, 1, 'a' || n from generate_series(1, 20) n; \
    create table c (id int not null, k int not null, v varchar(30)); insert into c values (100, 3, 'x'); \
    create index y on c (v); create index b on c (v); comment on index y is 'y of c'; alter table c cluster on b;";

/// With tables of their own indexes on the way, and trees of two levels.
const GROWS: &str = "create table p2 partition of p for values in (2)
    alter table p attach partition c for values in (3)
    insert into p values (101, 2, 'x'), (102, 3, 'y')
    create table d (id int not null, k int not null, v varchar(30))
    create index own on d (v)
    alter table p attach partition d for values in (4)
    create table m partition of p for values in (5, 6) partition by list (k)
    create table m5 partition of m for values in (5)
    create table n (id int not null, k int not null, v varchar(30)) partition by list (k)
    create index ny on n (v); create index nb on n (v); create table n7 partition of n for values in (7)
    alter table p attach partition n for values in (7, 8)
    create table n8 partition of n for values in (8)
    alter table p detach partition c
    create index third on p (v)
    alter table p attach partition c for values in (3)
    insert into p values (103, 5, 'm'), (104, 7, 'n'), (105, 8, 'n')";

/// The key is younger than what is equal to it.
const KEYS: &str = "create table p (id int not null, k int not null, v text) partition by list (k); \
    create unique index z on p (id, k); alter table p add primary key (id, k); \
    alter table p add constraint b unique (id, k); alter table p add constraint a unique (id, k); \
    create table p1 partition of p for values in (1); insert into p select n, 1, 'a' || n from generate_series(1, 20) n;";

const KEYS_GROW: &str = "create table p2 partition of p for values in (2)
    create table c (id int not null, k int not null, v text)
    create unique index y on c (id, k); alter table c add constraint c0 primary key (id, k)
    comment on constraint c0 on c is 'key of c'
    alter table c add constraint c2 unique (id, k); alter table c add constraint c1 unique (id, k)
    comment on constraint c2 on c is 'c2'
    alter table p attach partition c for values in (3)
    insert into p values (101, 2, 'x'), (102, 3, 'y')
    update p set v = 'z' where id in (2, 101, 102)";

/// Have equal indexes of the schema exchanged their names?
const EXCHANGED: &str = "select count(*) > 0 from courier_applied.command, unnest(statements) as s \
    where s like 'ALTER INDEX @S.courier\\_renaming\\_%'";

pub fn cases() -> Vec<Case> {
    vec![
        Case::new("a tree with equal indexes grows", GROWS).before(TWINS),
        Case::new("a tree grows whose equal indexes were made in another order there", GROWS)
            .before(TWINS)
            .there("drop index z; create index z on p (v); comment on index z is 'z of p'")
            .sees(EXCHANGED, "t"),
        Case::new("a tree with equal keys grows", KEYS_GROW).before(KEYS),
        Case::new("a tree grows whose equal keys were made in another order there", KEYS_GROW)
            .before(KEYS)
            .there("alter table p drop constraint b; alter table p add constraint b unique (id, k)")
            .sees(EXCHANGED, "t"),
        Case::new(
            "of equal indexes one is built anew, and is not the first any more",
            "reindex index concurrently y
             alter table p attach partition c for values in (3)
             insert into p values (102, 3, 'y')",
        )
        .before(TWINS)
        .before("create index free on c (v);")
        .sees(EXCHANGED, "t"),
        Case::new(
            "a tree with equal indexes gets other types",
            "alter table p alter v type text
             create table p2 partition of p for values in (2)
             alter table p alter v type varchar(50)
             alter table p alter id type bigint
             create table p4 partition of p for values in (4)",
        )
        .before(TWINS)
        .before("alter table p attach partition c for values in (3); create unique index on p (id, k); alter table p add primary key (id, k);")
        .before("create index x on p (lower(v)) where v > 'a'; create index w on p (lower(v)) where v > 'a';")
        .before(
            "create index g on only p (v); create index f on only p (v); create index g1 on p1 (v); create index f1 on p1 (v); \
             create index g2 on c (v); create index f2 on c (v); alter index g attach partition f1; alter index f attach partition g1; \
             alter index g attach partition f2; alter index f attach partition g2; \
             create table m partition of p for values in (5, 6) partition by list (k); create table m5 partition of m for values in (5);",
        )
        .before(
            "create table e (like c); create index yb on e (lower(v)) where v > 'a'; create index ya on e (lower(v)) where v > 'a'; \
             alter table p attach partition e for values in (8);",
        )
        .there("drop index z; create index z on p (v); comment on index z is 'z of p'; drop index x; create index x on p (lower(v)) where v > 'a'")
        .states(&["applied", "filtered"])
        .sees(EXCHANGED, "t"),
        Case::new(
            "equal indexes are made, attached and renamed",
            "create index on only p (v)
             create index own on p1 (v)
             alter index p_v_idx attach partition own
             create index own2 on p1 (v)
             create index d on p (v)
             alter index z rename to m
             alter index a rename to z
             alter index m rename to a
             alter index p1_v_idx rename to one
             create table p2 partition of p for values in (2)
             alter index p1_v_idx1 rename to p1_v_idx
             alter index one rename to p1_v_idx1",
        )
        .before(TWINS),
        Case::new(
            "equal for the server, and not for us",
            "create table p2 partition of p for values in (2)
             create table q (id int, k int, v text) partition by list (k)
             create index on q (v); create index on q (v desc); create index on q (v) with (fillfactor = 50)
             create index on q (v); create index on q (v); create index on q (v); create index on q (v); create index on q (v)
             create index on q (v); create index on q (v); create index on q (v); create index on q (v desc)
             create table q1 partition of q for values in (1)",
        )
        .before(TWINS)
        .before("create index f on p (v desc); create index e on p (v) with (fillfactor = 50); create index d on p (v);"),
    ]
}

#[test]
fn twins() {
    tell(cases(), Accident::None);
}

/// The server would make it when the partition comes, under a name of its own.
#[test]
fn what_is_built_aside_is_there_when_a_large_table_is_attached() {
    let pair = pair_with_large_tables();
    pair.source.run(
        DATABASE,
        "CREATE TABLE p (id int NOT NULL, k int NOT NULL, v text) PARTITION BY LIST (k); \
         CREATE INDEX z ON p (v); CREATE INDEX a ON p (v); CREATE TABLE c (LIKE p); \
         INSERT INTO c SELECT n, 3, 'v' || n FROM generate_series(1, 1000) n",
    );
    pair.caught_up(DATABASE, TASK);
    pair.destination.run(DATABASE, &format!("SET ROLE {ROLE}; DROP INDEX z; CREATE INDEX z ON p (v)"));
    let holder = hold_builds(&pair);
    pair.source.run(DATABASE, "CREATE INDEX mine ON c (v)");
    wait_for_a_build(&pair);
    pair.source.run(DATABASE, "ALTER TABLE p ATTACH PARTITION c FOR VALUES IN (3)");
    pair.source.run(DATABASE, "CREATE INDEX third ON p (v)");
    drop(holder);
    pair.caught_up(DATABASE, TASK);
    assert_done(&pair);
}
