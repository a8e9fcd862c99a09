//! What is more than tables: functions, triggers, rules, policies, views, grants, extensions.

use super::case::Case;
use super::harness::{Accident, tell};

pub fn code() -> Vec<Case> {
    vec![
        Case::new(
            "functions are made, overloaded, replaced, set and dropped",
            "create function f(a int) returns int language sql immutable as 'select 1'
             create function f(a text) returns int language sql immutable as 'select 2'
             create or replace function f(a int) returns int language sql stable as 'select 3'
             alter function f(int) set search_path = pg_catalog
             create procedure p(a int) language sql as 'select 1'
             drop function f(text)
             alter function f(int) rename to g",
        ),
        Case::new(
            "triggers, rules and policies are made and switched",
            "create function tf() returns trigger language plpgsql as $f$ begin return new; end $f$
             create trigger tr before insert on t for each row execute function tf()
             alter table t disable trigger tr
             create rule ru as on delete to o where old.id = -1 do instead nothing
             create policy po on t for select using (id > 0)
             alter policy po on t using (id >= 0)
             alter table t enable row level security
             alter table t force row level security
             alter policy po on t rename to po2",
        ),
        Case::new(
            "an index and a check use a function",
            "create function f(a text) returns text language sql immutable as 'select pg_catalog.upper(a)'
             create index on t (f(v))
             alter table t add check (f(v) <> 'q')
             alter table t add g text generated always as (f(v)) stored",
        ),
        Case::new(
            "views are made, replaced, stacked and renamed",
            "create view vw as select id from t
             create or replace view vw as select id, v from t
             create view vw2 as select v from vw
             alter view vw2 rename to vw3
             alter view vw3 alter v set default 'x'
             create or replace view vw3 with (security_barrier) as select v from vw
             drop view vw3; drop view vw",
        ),
        Case::new(
            "a view stands on what changes under it",
            "create view vw as select o.n, t.v from t join o on o.t_id = t.id
             alter table t rename v to w
             alter table o add extra int
             alter table t rename to t9",
        ),
        Case::new(
            "a materialized view has the rows of its refresh",
            "create materialized view mv as select id, v from t
             create unique index on mv (id)
             insert into t values (800, 'm')
             refresh materialized view mv
             refresh materialized view concurrently mv",
        )
        .sees("select count(*) > 0 from mv", "t"),
    ]
}

pub fn grants() -> Vec<Case> {
    vec![
        Case::new(
            "grants are given and taken",
            "grant select, insert on t to r1 with grant option
             grant update (v) on t to r2
             grant usage on schema @S to r1
             revoke insert on t from r1
             grant select on all tables in schema @S to r2
             grant usage on sequence sq to public",
        ),
        Case::new("a role that is not there is named", "grant select on t to r1, r_missing")
            .states(&["held"])
            .unlike()
            .sees("select has_table_privilege('r1', 't', 'select')", "t"),
        Case::new(
            "default privileges show in what is made with them",
            "alter default privileges in schema @S grant select on tables to r1
             create table dp (id int primary key)
             alter default privileges in schema @S revoke select on tables from r1",
        ),
        Case::new(
            "owners change",
            "create table ow (id int primary key)
             grant create, usage on schema @S to r1
             alter table ow owner to r1
             grant select on ow to r2
             reassign owned by r1 to postgres
             insert into ow values (1)
             drop owned by r1",
        ),
    ]
}

pub fn extensions() -> Vec<Case> {
    vec![Case::new(
        "an extension is one thing",
        "create schema @S_e
         create extension hstore schema @S_e
         create table hs (id int primary key, h @S_e.hstore)
         insert into hs values (1, 'a=>1')
         drop extension hstore cascade",
    )]
}

#[test]
fn functions_views_and_triggers() {
    tell(code(), Accident::None);
}

#[test]
fn grants_and_owners() {
    tell(grants(), Accident::None);
}

#[test]
fn an_extension() {
    if pg_courier_tests::Install::get().has_extension("hstore") {
        tell(extensions(), Accident::None);
    } else {
        println!("this server has no contrib modules: nothing to test");
    }
}
