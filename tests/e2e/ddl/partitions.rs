//! Partitioned tables: trees that grow, lose leaves, take tables in, and what is done to a root.

use pg_courier_tests::Pair;
use pg_courier_tests::pair::DATABASE;

use super::case::Case;
use super::equal::assert_equal;
use super::harness::{Accident, tell};
use super::{create_tables, follow};
use crate::common::sized;

const TREE: &str = "create table p (id int, k int, v text, primary key (id, k)) partition by list (k); \
    create table p1 partition of p for values in (1); create table p2 partition of p for values in (2); \
    insert into p select n, 1 + n % 2, 'a' from generate_series(1, 20) n;";

pub fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "a tree is made and filled",
            "create table q (id int, k int, v text, primary key (id, k)) partition by list (k)
             create table q1 partition of q for values in (1)
             insert into q values (1, 1, 'a')",
        )
        .killed(),
        Case::new(
            "a partition is detached, goes on by itself, and is dropped",
            "alter table p detach partition p1
             insert into p1 values (9000, 1, 'd')
             insert into p2 values (9001, 2, 'e')
             alter table p attach partition p1 for values in (1)
             alter table p detach partition p2
             drop table p2",
        )
        .before(TREE)
        .killed(),
        Case::new(
            "a partition is detached concurrently",
            "alter table p detach partition p1 concurrently
             insert into p1 values (9000, 1, 'd')",
        )
        .before(TREE)
        .since(14),
        Case::new(
            "a followed table is attached, with another order of columns",
            "insert into p3 values ('x', 3, 300)
             alter table p attach partition p3 for values in (3)
             insert into p values (301, 3, 'y')",
        )
        .before(TREE)
        .before("create table p3 (v text, k int not null, id int not null);"),
        Case::new(
            "a table with rows that is not followed is attached",
            "alter table p attach partition @X.p3 for values in (3)
             insert into p values (1001, 3, 'y')",
        )
        .before(TREE)
        .before(
            "create table @X.p3 (v text, k int not null, id int not null); \
             insert into @X.p3 select 'x', 3, n from generate_series(100, 1000) n;",
        )
        .sees("select count(*) from p where k = 3 and id between 100 and 1000", "901"),
        Case::new(
            "what is done to a root is done to its leaves",
            "alter table p add n int default 4
             create index on p (v)
             alter table p add constraint ck check (k > 0)
             alter table p alter v set default 'z'
             alter table p rename v to w
             alter table p drop n",
        )
        .before(TREE)
        .sees("select count(*) from pg_index where not indisvalid", "0")
        .killed(),
        Case::new(
            "an index of a root takes those of its leaves",
            "create index pv on only p (v)
             create index p1v on p1 (v); create index p2v on p2 (v)
             alter index pv attach partition p1v
             alter index pv attach partition p2v",
        )
        .before(TREE)
        .sees("select indisvalid from pg_index where indexrelid = 'pv'::regclass", "t"),
        Case::new(
            "trees of several levels, with a default and by hash",
            "create table m (id int, k int, primary key (id, k)) partition by range (k)
             create table m1 partition of m for values from (0) to (10) partition by hash (id)
             create table m1a partition of m1 for values with (modulus 2, remainder 0)
             create table m1b partition of m1 for values with (modulus 2, remainder 1)
             create table md partition of m default
             insert into m select n, n from generate_series(1, 30) n
             update m set k = 20 where id = 1
             alter table m detach partition m1
             insert into m1 values (40, 4)
             alter table m attach partition m1 for values from (0) to (10)
             create table m2 partition of m for values from (100) to (200)
             drop table m1b",
        ),
        Case::new(
            "rows change their leaves, and trees their shape",
            "update m set k = 55 where id = 1
             update m set k = k + 100, v = 'far' where id between 2 and 6
             create table @X.low (like m1 including all)
             begin
             alter table m detach partition m1
             alter table m1 rename to m_old
             create table m1 partition of m for values from (0) to (50) partition by list (k)
             create table m1_rest partition of m1 default
             insert into m1 select id, k, v from m_old
             drop table m_old
             commit
             create table sub (id int not null, k int not null, v text) partition by range (k)
             create table sub1 partition of sub for values from (200) to (250)
             create table sub2 partition of sub default
             insert into sub select n, 200 + n, 'sub' from generate_series(1, 99) n
             alter table m attach partition sub for values from (200) to (300)
             insert into m values (500, 260, 'in sub2')
             update m set k = 20 where id = 500
             alter table m rename to mm
             alter table mm add w int default 3
             truncate sub
             insert into mm values (501, 210, 'x', 4)
             alter table sub detach partition sub1
             drop table m2 cascade",
        )
        .before(
            "create table m (id int, k int, v text default 'v', primary key (id, k)) partition by range (k); \
             create table m1 partition of m for values from (0) to (50) partition by hash (id); \
             create table m1a partition of m1 for values with (modulus 2, remainder 0); \
             create table m1b partition of m1 for values with (modulus 2, remainder 1); \
             create table m2 partition of m for values from (50) to (100); \
             create table md partition of m default; insert into m (id, k) select n, n from generate_series(1, 49) n;",
        )
        .states(&["applied", "filtered"])
        .sees("select tableoid::regclass || v from mm where id = 500", "m1_restin sub2"),
        Case::new("random values in leaves are those of the source", "alter table p add r float8 default random()")
            .before(TREE),
        Case::new(
            "a key refers to a tree, and a tree to a table",
            "create table ref (id int primary key, pid int, pk int, foreign key (pid, pk) references p)
             insert into ref values (1, 1, 2)
             alter table p add tid int references t
             alter table p detach partition p1",
        )
        .before(TREE),
        Case::new(
            "a partition has things of its own",
            "alter table p1 add constraint own check (id > 0); alter table p1 alter v set default 'mine'
             create index own_i on p1 (v)
             create table p4 (like p including defaults); alter table p4 add constraint also check (id > 0)
             alter table p attach partition p4 for values in (4)
             insert into p values (400, 4, 'x')",
        )
        .before(TREE),
        Case::new(
            "a leaf is replaced within a transaction",
            "begin
             alter table p detach partition p1
             drop table p1
             create table p1 (id int not null, k int not null, v text)
             insert into p1 values (7, 1, 'again')
             alter table p attach partition p1 for values in (1)
             commit",
        )
        .before(TREE),
    ]
}

/// What is done to the root of a large tree is one statement there, and all leaves have it.
#[test]
fn a_tree_with_many_leaves() {
    let leaves = sized(100, 1000);
    let (key, value) = ("max_locks_per_transaction", "2000");
    let pair = Pair::builder().source_conf(key, value).destination_conf(key, value).start();
    create_tables(&pair);
    pair.source.run(
        DATABASE,
        &format!(
            "CREATE TABLE p (id int, k int, v text, PRIMARY KEY (id, k)) PARTITION BY LIST (k); \
             DO $$ BEGIN FOR n IN 1 .. {leaves} LOOP EXECUTE format('CREATE TABLE p%s PARTITION OF p FOR VALUES IN (%s)', n, n); \
             END LOOP; END $$; INSERT INTO p SELECT n, 1 + n % {leaves}, 'a' FROM generate_series(1, 2000) n"
        ),
    );
    follow(&pair);
    pair.source.run(
        DATABASE,
        "ALTER TABLE p ADD n int DEFAULT 4; CREATE INDEX pv ON p (v); ALTER TABLE p ADD CONSTRAINT ck CHECK (k > 0)",
    );
    pair.source.run(DATABASE, "UPDATE p SET n = 5 WHERE id < 100");
    let began = std::time::Instant::now();
    assert_equal(&pair);
    println!("{leaves} leaves: equal after {:.1} s", began.elapsed().as_secs_f64());
    let statements = "SELECT max(cardinality(statements)) <= 2 FROM courier.ddl WHERE tag = 'ALTER TABLE'";
    assert_eq!(pair.source.value(DATABASE, statements), "t", "none for each leaf");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM pg_index WHERE NOT indisvalid"), "0");
}

#[test]
fn partitions() {
    tell(cases(), Accident::None);
}
