//! Indexes, constraints, statistics objects, replica identities: the same names, the same flags, and nothing built twice.

use pg_courier_tests::Install;

use super::case::{APPLIED, Case, NOTHING};
use super::harness::{Accident, tell};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "of two indexes that name themselves the right one is dropped",
            "create index on t (v); create index on t (v)
             drop index t_v_idx1
             create index on t ((v || 'x'), id desc nulls last) include (id) where v > 'a'",
        )
        .killed(),
        Case::new(
            "an index is made and dropped beside writes",
            "create index concurrently i1 on t (v)
             insert into t values (100, 'a')
             drop index concurrently i1
             create index concurrently i2 on t (v)",
        )
        .sees("select count(*) from pg_index where not indisvalid", "0"),
        Case::new(
            "a unique index that cannot be is not there until it can",
            "!create unique index concurrently u on o (t_id)
             delete from o where id = 21
             reindex index concurrently u
             select courier.capture('@S.o')",
        )
        .before("insert into o values (21, 1)"),
        Case::new(
            "a constraint takes an index",
            "create unique index u on t (v)
             alter table t add constraint pk2 unique using index u",
        ),
        Case::new(
            "a table gets another key",
            "begin
             alter table o drop constraint o_pkey
             alter table o add nid bigserial
             alter table o add primary key (nid)
             commit
             update o set n = 9 where id = 3",
        )
        .sees("select count(*) from o where n = 9", "1")
        .killed(),
        Case::new(
            "constraints are believed, checked, deferred and renamed",
            "alter table o add constraint ck check (n > 0) not valid
             alter table o validate constraint ck
             alter table o add constraint fk foreign key (t_id) references t on delete cascade not valid
             alter table o alter constraint fk deferrable initially deferred
             alter table o validate constraint fk
             alter table o add constraint ex exclude (id with =)
             alter table o rename constraint ck to ck2
             alter table o add constraint un unique (t_id, id) deferrable
             alter table o drop constraint ex",
        )
        .killed(),
        Case::new(
            "a foreign key to a table that is not followed is left out, and somebody says so",
            "alter table o add foreign key (t_id) references @X.x
             insert into o values (700, 7, 7)",
        )
        .before("create table @X.x (id int primary key); insert into @X.x select generate_series(1, 50)")
        .states(&["held"])
        .unlike()
        .sees("select count(*) from pg_constraint where conrelid = 'o'::regclass and contype = 'f'", "1"),
        Case::new(
            "an index that a change of type has made anew is the same one",
            "alter table t alter id type bigint
             alter index t_pkey rename to k
             comment on index k is 'key'
             comment on constraint k on t is 'also'",
        ),
        Case::new(
            "an index that was built anew is renamed",
            "reindex index concurrently t_v_idx
             alter index t_v_idx rename to z",
        )
        .before("create index on t (v)")
        .sees("select pg_relation_filenode('z') = (select min(pg_relation_filenode(indexrelid)) from pg_index where indrelid = 't'::regclass and not indisprimary)", "t"),
        Case::new(
            "rows are found by each replica identity in turn",
            "alter table t replica identity full
             update t set v = 'f' where id = 13
             create unique index u on t (id, v)
             alter table t alter v set not null
             alter table t replica identity using index u
             update t set v = 'g' where id = 14
             alter table t replica identity default
             update t set v = 'h' where id = 15",
        )
        .sees("select string_agg(v, '' order by id) from t where id in (13, 14, 15)", "fgh")
        .before("update t set v = 'v' where v is null"),
        Case::new(
            "options, methods and places of indexes",
            "create index h on t using hash (v)
             create index b on t using brin (id) with (pages_per_range = 8)
             alter index b set (pages_per_range = 16)
             create index g on t using gin (to_tsvector('simple', v))
             alter index h rename to h2
             alter table t cluster on t_pkey",
        ),
        Case::new(
            "statistics objects are made, renamed, tuned and dropped",
            "create statistics st on id, v from t
             alter statistics st rename to st2
             alter statistics st2 set statistics 500
             create statistics st3 (ndistinct) on id, v from t
             drop statistics st3
             comment on statistics st2 is 'x'",
        ),
        Case::new(
            "indexes of two sessions are both there",
            "begin
             create index w1 on t (v)
             B: create index w2 on t (v)
             B: comment on index w2 is 'second'
             commit
             comment on index w1 is 'first'",
        ),
        Case::new("to build an index anew is nobody's business", "reindex index t_pkey; reindex table o; analyze t")// From 17 on there is an event, of an index that is as it was.
        .states(if Install::get().major() < 17 { NOTHING } else { APPLIED }),
        Case::new(
            "NULLS NOT DISTINCT",
            "alter table t add unique nulls not distinct (v); create unique index nd on o (t_id) nulls not distinct",
        )
        .since(15),
    ]
}

#[test]
fn indexes_and_constraints() {
    tell(cases(), Accident::None);
}
