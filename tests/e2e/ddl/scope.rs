//! Names: tables and schemas get other ones, exchange them, and with that enter what a task follows or leave it.

use pg_courier_tests::pair::DATABASE;
use pg_courier_tests::{Pair, TaskOptions};

use super::case::{Case, NOTHING};
use super::create_tables;
use super::equal::assert_equal;
use super::harness::{Accident, tell};
use crate::common::TASK;

pub fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "a table is renamed among its rows",
            "begin
             insert into t values (60, 'pre')
             alter table t rename to \"T-2\"
             delete from \"T-2\" where id = 60
             insert into \"T-2\" values (61, 'post')
             commit",
        )
        .killed(),
        Case::new(
            "a new table takes the place of an old one",
            "begin
             create table t_new (id int primary key, v text)
             insert into t_new select id + 1000, v from t
             alter table t rename to t_old
             alter table t_new rename to t
             commit
             insert into t values (1, 'new'); insert into t_old values (500, 'old')",
        )
        .sees("select count(*) from t_old where v = 'old'", "1")
        .killed(),
        Case::new(
            "a sequence of a table that nobody follows stays with it",
            "create table @X.n (id bigserial primary key, v text)
             insert into @X.n (v) values ('x')
             alter table @X.n add s serial
             insert into t values (60, 'x')",
        )
        .states(NOTHING),
        Case::new(
            "two tables exchange names, and two columns, and two constraints",
            "begin
             alter table t rename to x; alter table o rename to t; alter table x rename to o
             alter table o rename v to id2; alter table o rename id to v; alter table o rename id2 to id
             alter table t rename constraint one to c; alter table t rename constraint two to one; \
               alter table t rename constraint c to two
             commit
             insert into t values (300, 1, 1)",
        )
        .before("alter table o add constraint one check (n > 0), add constraint two check (n > -1)"),
        Case::new(
            "a key refers to a table by the name that it has",
            "alter table t rename to t2
             alter table o drop constraint o_t_id_fkey
             alter table o add constraint o_t_id_fkey foreign key (t_id) references t2 on delete set null
             alter table t2 rename id to key
             alter table o alter constraint o_t_id_fkey deferrable
             create schema @S_b
             alter table t2 set schema @S_b
             alter table o rename constraint o_t_id_fkey to fk
             alter table o drop constraint fk, add constraint fk foreign key (t_id) references @S_b.t2
             alter schema @S_b rename to @S_c
             alter table o drop constraint fk, add constraint fk foreign key (t_id) references @S_c.t2 on delete cascade",
        )
        .killed(),
        Case::new(
            "a table that others refer to leaves, and comes back",
            "alter table t set schema @X
             insert into @X.t values (300, 'elsewhere')
             alter table @X.t set schema @S
             insert into t values (301, 'back'); insert into o values (300, 300, 1)",
        )
        .states(&["applied", "held"]),
        Case::new(
            "what refers to a table that has left goes on without it",
            "alter table t set schema @X
             alter table @X.t rename to t9
             insert into @X.t9 values (300, 'elsewhere'); insert into o values (300, 300, 1)",
        )
        .sees("select count(*) from pg_constraint where conrelid = 'o'::regclass and contype = 'f'", "0")
        .sees("select count(*) from o where id = 300", "1")
        .states(&["applied", "held"])
        .unlike(),
        Case::new(
            "a table that others refer to comes back under another name",
            "alter table t set schema @X
             alter table @X.t rename to t9
             alter table o rename constraint o_t_id_fkey to fk
             alter table @X.t9 set schema @S
             insert into t9 values (301, 'back'); insert into o values (300, 301, 1)",
        )
        .states(&["applied", "held"])
        .killed(),
        Case::new(
            "a table moves to another schema that is followed",
            "create schema @S_b
             alter table t set schema @S_b
             insert into @S_b.t values (400, 'there')
             alter table @S_b.t set schema @S
             insert into t values (401, 'back')",
        ),
        Case::new(
            "a table that leaves what is followed stays as it was",
            "insert into o values (600, 1, 1)
             alter table o set schema @X
             insert into @X.o values (601, 1, 1)
             alter table @X.o alter n type text using random()::text
             insert into t values (602, 'x')",
        )
        .sees("select string_agg(id::text, ',') from @X.o where id in (600, 601)", "600")
        .sees("select count(*) from @X.o", "21")
        .states(&["applied", "filtered"])
        .unlike(),
        Case::new(
            "what a table that has left referred to goes on",
            "alter table o set schema @X
             truncate t cascade
             insert into t values (700, 'x')
             drop table t cascade",
        )
        .sees("select to_regclass('t') is null", "t")
        .sees("select count(*) from @X.o", "20")
        .unlike(),
        Case::new(
            "a table that comes back is copied",
            "alter table o set schema @X
             insert into @X.o values (601, 1, 1)
             alter table @X.o set schema @S
             insert into o values (602, 1, 1)",
        )
        .sees("select count(*) from o where id > 600 and id < 1000", "2"),
        Case::new(
            "a table with rows comes in",
            "alter table @X.e set schema @S
             insert into e values (1001, 'after')",
        )
        .before("create table @X.e (id int primary key, v text); insert into @X.e select g, 'x' from generate_series(1, 1000) g"),
        Case::new(
            "a table comes in and goes on within a transaction",
            "begin
             alter table @X.e set schema @S
             alter table e add w int default 4
             insert into e values (1001, 'in', 5)
             alter table e rename v to u
             commit
             insert into e values (1002, 'after', 6)
             begin
             alter table @X.f set schema @S
             alter table f alter v type int using random() * 1000
             insert into f values (1001, 2)
             commit
             begin
             alter table o set schema @X
             alter table @X.o set schema @S
             alter table o add w int
             commit
             insert into o values (601, 1, 1)",
        )
        .before("create table @X.e (id int primary key, v text); insert into @X.e select g, 'x' from generate_series(1, 100) g")
        .before("create table @X.f (id int primary key, v text); insert into @X.f select g, 'x' from generate_series(1, 100) g")
        .killed(),
        Case::new(
            "a table comes in while the one that it refers to gets another name",
            "alter table @X.e set schema @S; alter table @X.f set schema @S
             alter table t rename to t2; alter table t2 rename id to key
             insert into e values (1001, 3)",
        )
        .before("create table @X.e (id int primary key, t_id int references t); insert into @X.e values (1, 1), (2, 2)")
        .before("create table @X.f (id int primary key, t_id int references t, check (id > 0)); create index on @X.f (t_id)"),
        Case::new("a schema gets another name that is followed", "alter schema @S_q rename to @S_r; create table @S_r.y (id int primary key)")
            .before("create schema @S_q; create table @S_q.x (id int primary key)"),
        Case::new(
            "of two dropped tables one is not followed",
            "drop table @X.t2, o",
        )
        .before("create table @X.t2 (id int primary key)"),
        Case::new("what is not followed is nobody's business", "create table @X.n (id int primary key); alter table @X.n add v int; drop table @X.n; create table @X.m (id int)")
            .states(NOTHING)
            .sees("select count(*) from pg_namespace where nspname = '@X'", "0"),
        Case::new(
            "a schema comes with its elements and goes with all it has",
            "create schema @S_c create table x (id int primary key) create view y as select * from x
             insert into @S_c.x values (1)
             create schema @S_d create table x (id int primary key)
             drop schema @S_c cascade",
        ),
        Case::new(
            "the session's path decides, not the destination's",
            "set search_path = @S_p
             create table u1 (id int primary key)
             create type u2 as enum ('a')
             alter table u1 add e u2 default 'a'
             insert into u1 values (1)",
        )
        .before("create schema @S_p"),
    ]
}

/// A foreign key has the name of the other table in its text. That table gets another name, and this one is changed otherwise: the key is
/// not checked once more for that.
#[test]
fn a_key_outlives_the_name_that_it_refers_to() {
    let pair = Pair::start();
    create_tables(&pair);
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public*.*"], &options);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    let key = || pair.destination.value(DATABASE, "SELECT oid FROM pg_constraint WHERE conname = 'o_t_id_fkey'");
    let before = key();
    pair.source.run(DATABASE, "ALTER TABLE t RENAME TO t2; ALTER TABLE o ADD c int");
    pair.source.run(DATABASE, "ALTER TABLE t2 RENAME id TO key");
    pair.source.run(
        DATABASE,
        "COMMENT ON CONSTRAINT o_t_id_fkey ON o IS 'x'; CREATE SCHEMA public_2; ALTER TABLE t2 SET SCHEMA public_2",
    );
    pair.source.run(DATABASE, "ALTER TABLE o ALTER n SET DEFAULT 3");
    pair.caught_up(DATABASE, TASK);
    assert_eq!(key(), before);
}

/// Foreign keys come last, when the stream has passed all copies: by then the table that one refers to may have another name.
#[test]
fn a_key_is_made_under_the_name_of_that_moment() {
    let pair = Pair::start();
    create_tables(&pair);
    pair.source.run(DATABASE, "CREATE TABLE c (t_id int REFERENCES t, o_id int REFERENCES o, id int PRIMARY KEY)");
    pair.source.arm("supervisor_before_post_data:wait");
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*"], &options);
    pair.source.wait_until(DATABASE, "all is copied", "(SELECT stage = 'post_data' FROM courier.task)");
    pair.source.run(
        DATABASE,
        "ALTER TABLE t RENAME TO t2; ALTER TABLE t2 RENAME id TO key; CREATE SCHEMA public_2; ALTER TABLE o SET SCHEMA public_2; \
         ALTER TABLE public_2.o SET SCHEMA public; ALTER TABLE o RENAME id TO number",
    );
    pair.source.disarm();
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    assert_equal(&pair);
}

#[test]
fn names_and_what_is_followed() {
    tell(cases(), Accident::None);
}
