//! Where commands come from: functions, blocks that undo a part, strings of several statements, sessions beside each other, old
//! snapshots, prepared transactions.

use pg_courier_tests::Install;

use super::case::{Case, NOTHING};
use super::harness::{Accident, tell};

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::new(
            "what was undone is not there, what stayed is",
            "do $d$ begin begin create table ex1 (id int); raise exception 'x'; exception when others then null; end; \
               create table ex2 (id int primary key); end $d$
             begin
             savepoint a
             alter table t add gone int default 1
             rollback to a
             alter table t add kept int default 2
             commit
             begin
             alter table t add never int
             rollback",
        )
        .killed(),
        Case::new(
            "commands of functions, procedures and triggers",
            "select @X.mk()
             call @X.pr(1)
             insert into starter values (1)",
        )
        .before(
            "create function @X.mk() returns void language plpgsql as $f$ begin create table @S.inner1 (id int primary key); \
               alter table @S.inner1 add v text; execute 'create index on @S.inner1 (v)'; end $f$; \
             create procedure @X.pr(n int) language plpgsql as $f$ begin create table @S.inner2 (id int primary key); commit; \
               alter table @S.inner2 add v text; end $f$; \
             create function @X.tr() returns trigger language plpgsql as $f$ begin create table @S.inner3 (id int primary key); \
               return new; end $f$; \
             create table starter (id int primary key)",
        )
        .before("create trigger tr before insert on starter for each row when (new.id < 1000) execute function @X.tr()")
        .unlike()
        .sees("select count(*) from pg_class where relname like 'inner_' and relnamespace = '@S'::regnamespace", "3"),
        Case::new(
            "a session that replicates is followed like others",
            "set session_replication_role = replica
             create table srr (id int primary key)
             insert into srr values (1)",
        ),
        Case::new(
            "an old snapshot does not hide a column of another session",
            "begin isolation level repeatable read
             select count(*) from t
             B: alter table o add c int
             alter table o add d int
             commit
             begin isolation level serializable
             select count(*) from o
             B: alter table t add c int
             B: insert into t values (500, 'b', 1)
             alter table t add d int
             commit",
        )
        .killed(),
        Case::new(
            "what an event trigger of the user's does is a command as well",
            "create table secured (id int primary key, v text)
             insert into secured values (1, 'x')
             create table as_well as select 1 as id
             set session_replication_role = replica
             create table without (id int primary key)",
        )
        .before(
            "create function @X.secure() returns event_trigger language plpgsql as $f$ declare r record; begin \
               for r in select objid::regclass as t from pg_event_trigger_ddl_commands() where object_type = 'table' \
                 and schema_name = '@S' loop \
                 execute format('alter table %s enable row level security', r.t); \
                 execute format('create policy everybody on %s using (true)', r.t); \
                 execute format('comment on table %s is %L', r.t, 'secured'); end loop; end $f$; \
             create event trigger \"@S_secure\" on ddl_command_end when tag in ('CREATE TABLE', 'CREATE TABLE AS') \
               execute function @X.secure()",
        )
        .sees("select count(*) from pg_policy join pg_class c on c.oid = polrelid where relnamespace = '@S'::regnamespace", "2"),
        Case::new(
            "sessions of every isolation describe parts of one table side by side",
            "begin isolation level serializable
             select count(*) from t
             create index w1 on t (v)
             B: begin isolation level repeatable read
             B: select count(*) from o
             B: create index w2 on t (v)
             B: comment on index w2 is 'second'
             commit
             B: commit
             begin isolation level serializable
             create statistics s1 on id, v from t
             B: create statistics s2 on id, n from o
             C: grant select on o to r2
             commit
             begin isolation level serializable
             select count(*) from o
             B: comment on column o.n is 'b'
             comment on column o.id is 'a'
             commit
             begin isolation level repeatable read
             select 1
             B: alter table t drop v
             B: insert into t values (700)
             alter table t add w int
             commit",
        ),
        Case::new(
            "a prepared transaction counts when it commits",
            "begin
             create table tp (id int primary key)
             insert into tp values (1)
             prepare transaction '@S'
             insert into t values (600, 'between')
             commit prepared '@S'",
        ),
        Case::new(
            "each statement of a string is a command",
            "create table ms1 (id int primary key); insert into ms1 values (1); alter table ms1 add b int default 2; \
             drop table if exists none; comment on table ms1 is 'a;b'",
        ),
        Case::new(
            "writes and commands alternate in one transaction",
            "begin
             insert into t values (701, 'a')
             alter table t add c int
             insert into t values (702, 'b', 2)
             alter table t alter c type text
             insert into t values (703, 'c', 'three')
             alter table t drop v
             insert into t values (704, 'four')
             alter table t add v numeric default 1.5
             update t set v = v + 1 where id > 702
             commit",
        )
        .killed(),
        Case::new(
            "statements that change nothing",
            "alter table t set (fillfactor = 100)
             alter table t reset (fillfactor)
             drop table if exists none
             begin; alter table t add nix int; rollback",
        ),
        Case::new("a transaction without effect", "begin; create table z (id int); rollback; \
             do $d$ begin create table z (id int); raise exception 'x'; exception when others then null; end $d$")
            .states(NOTHING),
        Case::new(
            "many commands in one transaction",
            "do $d$ begin for n in 1 .. 60 loop execute format('alter table t add c%s int default %s', n, n); \
               execute format('update t set c%s = id where id = %s', n, n); \
               if n % 2 = 0 then execute format('alter table t drop c%s', n); end if; end loop; end $d$",
        ),
        Case::new(
            "a role's own settings do not matter",
            "set default_tablespace = pg_default; set check_function_bodies = off; set standard_conforming_strings = on; \
               set quote_all_identifiers = on; set intervalstyle = iso_8601; set extra_float_digits = 0; set bytea_output = escape
             create table se (id int primary key, i interval default '1 day 2 hours', f float8 default 0.1, \
               b bytea default '\\x00ff', d date default '2024-02-03')
             insert into se values (1)",
        ),
    ];
    // From 18 on a grant locks the table, and nobody changes it meanwhile.
    if Install::get().major() < 18 {
        cases.push(
            Case::new(
                "a grant that waits does not bring back an old default",
                "begin
                         grant select on t to r1
                         B: alter table t alter v set default 'new'
                         commit",
            )
            .sees("select pg_get_expr(adbin, adrelid) from pg_attrdef where adrelid = 't'::regclass", "'new'::text"),
        );
    }
    cases
}

#[test]
fn sessions() {
    tell(cases(), Accident::None);
}
