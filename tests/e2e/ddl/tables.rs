//! Tables: made, made from queries, dropped, made again, logged and unlogged.

use pg_courier_tests::Install;

use super::case::{APPLIED, Case, NOTHING};
use super::harness::{Accident, tell};

pub fn made() -> Vec<Case> {
    vec![
        Case::new(
            "a new table is followed from its first row",
            "create table n (id int primary key, v text default 'x' not null)
             insert into n values (1)",
        )
        .killed(),
        Case::new(
            "a new table without a key may be changed at once",
            "create table n (a int, b text); insert into n values (1, 'a'), (1, 'a'); update n set b = 'z'; \
             delete from n where ctid = (select min(ctid) from n)",
        )
        .sees("select count(*) || min(b) from n", "1z"),
        Case::new(
            "what is there already is left alone",
            "create table if not exists t (zzz int)
             create index if not exists t_pkey on t (v)",
        )
        .states(NOTHING),
        Case::new(
            "a table made from a query has the source's rows once",
            "create table cc as select id, random() r from t
             select * into si from t where id < 5
             create table ci as table t with no data",
        )
        .sees("select count(*) from cc", "50")
        .killed(),
        Case::new(
            "a table made from a temporary one has its rows",
            "begin
             create temp table tt as select 1 a
             create table phy as select * from tt
             insert into phy values (2)
             commit",
        )
        .sees("select sum(a) from phy", "3"),
        Case::new(
            "tables made from a prepared query and under EXPLAIN",
            "prepare p (int) as select * from t where id < $1
             create table cp as execute p(10)
             explain analyze create table ce as select 1 a
             alter table ce add primary key (a)",
        ),
        Case::new(
            "a table like another one has the same names",
            "create table l1 (like t including all)
             create table l2 (like o including defaults, extra int)",
        )
        .before("create index on t (v); create index on t (v, id); alter table t add check (v <> 'q')"),
        Case::new(
            "a child inherits and takes its own changes",
            "create table ih () inherits (t)
             alter table ih add primary key (id)
             insert into ih values (500, 'c')
             update t set v = 'all' where id = 500",
        ),
        Case::new(
            "parents lend columns and take them back",
            "create table ih (own int, primary key (id)) inherits (t)
             insert into ih values (501, 'c', 1)
             alter table t add z int default 5
             alter table ih no inherit t
             alter table t drop z
             alter table ih inherit t",
        ),
        Case::new(
            "a table of a type follows the type",
            "create type ty as (a int, b text)
             create table ot of ty (primary key (a))
             alter type ty add attribute c int cascade
             insert into ot values (1, 'x', 2)",
        ),
        Case::new(
            "many tables in one transaction",
            "begin; do $do$ begin for n in 1 .. 200 loop \
               execute format('create table many%s (id int primary key, v text)', n); \
               execute format('insert into many%s values (1, ''x'')', n); end loop; end $do$; commit",
        ),
        Case::new(
            "temporary tables are nobody's business",
            "create temp table x (a int)
             create index on x (a)
             alter table x add b int
             drop table x
             create temp table t (a int); alter table t add b int; drop table pg_temp.t
             do $do$ begin for n in 1 .. 300 loop create temp table y (a int); create index on y (a); \
               alter table y add b int default random(); comment on table y is 'y'; drop table y; end loop; end $do$
             begin; create temp table z (a int) on commit drop; create view v as select * from z; commit",
        )
        .states(NOTHING),
    ]
}

pub fn dropped() -> Vec<Case> {
    vec![
        Case::new(
            "a table that an extension takes is its own, and the source's again when it lets go",
            "alter extension plpgsql add table o
             insert into o values (600, 1, 1)
             alter extension plpgsql drop table o
             insert into o values (601, 1, 1)",
        )
        .sees("select count(*) from o where id in (600, 601)", "2"),
        Case::new(
            "a table of the same name is another table",
            "drop table o
             create table o (id int primary key, other text)
             insert into o values (1, 'new')",
        )
        .sees("select count(*) from o", "1")
        .killed(),
        Case::new(
            "a table is dropped and made again among its rows",
            "begin
             insert into o values (100, 1, 1)
             drop table o
             create table o (a text, b int primary key)
             insert into o values ('x', 1)
             commit",
        )
        .killed(),
        Case::new(
            "a table and what depends on it are dropped",
            "drop table t cascade
             insert into o values (900, 1, 1)",
        ),
        Case::new("several objects are dropped at once", "drop table o, t; drop sequence sq"),
        Case::new(
            "a sequence of one table is the default of another",
            "create sequence sx
             alter sequence sx owned by t.id
             alter table o add m int default nextval('sx')
             alter table o alter m set not null
             comment on table o is 'o'",
        ),
        Case::new(
            "sequences are made, changed, owned and dropped",
            "create sequence s2 increment 5 maxvalue 100 cycle
             alter sequence s2 as int increment 3 no cycle
             alter sequence s2 owned by o.n
             alter sequence s2 rename to s3
             create sequence s4; drop sequence sq
             alter table o drop n",
        ),
        Case::new(
            "an unlogged table has no rows there, and somebody says so",
            "create unlogged table ul (id int primary key, v text)
             insert into ul values (1, 'u')",
        )
        .states(&["filtered"])
        .unlike(),
        Case::new(
            "a table that becomes logged brings its rows",
            "create unlogged table ul (id int primary key, v text)
             insert into ul values (1, 'u')
             alter table ul set logged
             insert into ul values (2, 'l')",
        )
        .states(&["applied", "filtered"]),
        Case::new(
            "a table that was unlogged for a while is equal after it",
            "alter table o set unlogged
             insert into o values (500, 1, 1)
             alter table o set logged",
        )
        .states(&["applied", "filtered"]),
        Case::new(
            "housekeeping is nobody's business",
            "vacuum full t
             cluster o using o_pkey
             reindex table t
             insert into t values (88, 'a')",
        )
        // CLUSTER itself remembers the index without an event that could tell.
        .before("alter table o cluster on o_pkey")
        // From 17 on REINDEX has an event, of a table that is as it was.
        .states(if Install::get().major() < 17 { NOTHING } else { APPLIED })
        .keeps_files(&["t", "o", "t_pkey"]),
        Case::new(
            "TRUNCATE stands between rows and commands",
            "begin
             insert into o values (777, 1, 1)
             alter table o add c int default 4
             truncate o
             insert into o values (778, 1, 1)
             commit
             truncate t, o restart identity cascade
             insert into t values (1, 'one')",
        ),
    ]
}

#[test]
fn tables_that_are_made() {
    tell(made(), Accident::None);
}

#[test]
fn tables_that_go() {
    tell(dropped(), Accident::None);
}
