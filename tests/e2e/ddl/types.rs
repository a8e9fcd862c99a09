//! Types that tables use: enums, domains, composite and range types, and what happens to columns of them.

use super::case::Case;
use super::harness::{Accident, tell};

pub fn cases() -> Vec<Case> {
    vec![
        Case::new(
            "labels of an enum keep their order and their rows",
            "create type en as enum ('b', 'd')
             alter type en add value 'a' before 'b'
             create table te (id int primary key, e en)
             insert into te values (1, 'a')
             alter type en rename value 'b' to 'bb'
             alter type en add value 'c' before 'd'
             insert into te values (2, 'bb'), (3, 'c')
             alter type en rename to en2",
        )
        .sees("select string_agg(e::text, ',' order by e) from te where id < 1000", "bb,c")
        .killed(),
        Case::new(
            "a domain gets checks, defaults and another name",
            "create domain dm as int check (value > 0)
             alter table t add d dm default 5
             alter domain dm add constraint c2 check (value < 100000)
             alter domain dm set default 9; alter domain dm set not null
             alter domain dm drop constraint c2
             alter domain dm drop not null
             alter domain dm rename to dm2",
        ),
        Case::new(
            "composite types change with the tables that use them",
            "create type co as (a int, b text)
             create table tc (id int primary key, c co)
             insert into tc values (1, (1, 'x'))
             create type co2 as (a int, b text)
             alter type co2 drop attribute b
             alter type co2 add attribute d numeric
             alter type co2 rename attribute a to e",
        ),
        Case::new(
            "a range type and its multirange",
            "create type fr as range (subtype = float8, subtype_diff = float8mi)
             create table tr (id int primary key, r fr)
             insert into tr values (1, '[1,2)')",
        ),
        Case::new(
            "a type takes its columns with it",
            "drop type en cascade
             insert into te values (9)",
        )
        .before(
            "create type en as enum ('a'); create table te (id int primary key, e en); insert into te values (1, 'a')",
        ),
        Case::new(
            "a collation comes before the column that has it",
            "create collation co (locale = 'C')
             alter table t add c text collate co default 'x'",
        ),
        Case::new(
            "a type over a type over a schema in one transaction",
            "begin
             create schema @S_t
             create type @S_t.e as enum ('x', 'y')
             create domain @S_t.d as @S_t.e check (value <> 'y')
             create table @S_t.u (id int primary key, v @S_t.d default 'x', w @S_t.e[])
             insert into @S_t.u values (1, 'x', '{x,y}')
             commit",
        ),
        Case::new(
            "a type moves with its table",
            "create schema @S_m
             create type mv as enum ('q')
             create table tm (id int primary key, m mv default 'q')
             alter type mv set schema @S_m
             insert into tm values (1)
             alter table tm set schema @S_m",
        ),
    ]
}

#[test]
fn types() {
    tell(cases(), Accident::None);
}
