//! Columns: added, dropped, renamed, of another type. Rows that are there already have the values that the source gave them, whatever
//! made these: a clock, a random number, a sequence, a setting of the session.

use super::case::Case;
use super::harness::{Accident, tell};

/// Columns that rows get without being written anew, or with values of the source's own.
pub fn added() -> Vec<Case> {
    vec![
        Case::new(
            "a constant default fills old rows and writes none",
            "insert into t values (60, 'pre')
             alter table t add a int default 7, add b text not null default 'it''s'
             insert into t values (61, 'post')",
        )
        .keeps_files(&["t"])
        .sees("select count(*) from t where a = 7 and b = 'it''s'", "52")
        .killed(),
        Case::new(
            "old rows have the time of the source's command",
            "alter table t add at timestamptz default now(), add d date default current_date",
        )
        .keeps_files(&["t"])
        .sees("select count(distinct at) from t", "1"),
        Case::new(
            "random values are those of the source",
            "alter table t add r float8 default random(), add u uuid default gen_random_uuid()",
        )
        .killed(),
        Case::new(
            "rows that are written anew twice in a transaction come once",
            "begin
             alter table nk add r float8 default random()
             alter table nk alter n type bigint
             alter table t add r float8 default random()
             alter table t add g text generated always as (upper(v)) stored
             alter table t add q float8 default random()
             commit",
        )
        .before("create table nk (n int); insert into nk select g from generate_series(1, 30) g")
        .sees("select count(*) from nk", "30")
        .killed(),
        Case::new(
            "numbers of a new sequence are those of the source",
            "alter table t add s bigserial
             insert into t (id, v) values (70, 'x')",
        )
        .sees("select pg_get_serial_sequence('t', 's')", "@S.t_s_seq"),
        Case::new(
            "an identity column has the source's numbers",
            "alter table t add s bigint generated always as identity",
        )
        .sees("select attidentity from pg_attribute where attrelid = 't'::regclass and attname = 's'", "a"),
        Case::new(
            "a generated column is computed there",
            "alter table t add g text generated always as (upper(v)) stored
             update t set v = 'y' where id = 5",
        )
        .sees("select g from t where id = 5", "Y"),
        Case::new("a virtual column is virtual there", "alter table t add g text generated always as (upper(v)) virtual")
            .since(18),
        Case::new(
            "a value is read as the source's session read it",
            "set timezone = 'Asia/Tokyo'
             alter table t add ts timestamp default '2024-01-01 00:00'
             alter table t alter ts type timestamptz",
        )
        .sees("select count(*) from t where ts = '2023-12-31 15:00+00'", "50"),
        Case::new(
            "a default is the constant that the source made of it",
            "set datestyle = 'SQL, DMY'
             alter table t add d date default '01/02/2024'
             alter table t alter d set default 'now'::date",
        )
        .sees("select count(*) from t where d = '2024-02-01'", "50"),
        Case::new(
            "large values stay whole when a row gets a column",
            "insert into t values (80, repeat(md5('x'), 40000))
             alter table t add r float8 default random()",
        )
        .sees("select length(v) from t where id = 80", "1280000"),
        Case::new(
            "a column takes the place of another in a table that has no room for more",
            "alter table w drop c7
             insert into w values (1)
             alter table narrow add c7 int",
        )
        .before(
            "do $do$ begin execute (select 'create table w (id int primary key, ' || string_agg('c' || n || ' int', ', ') || ')' \
             from generate_series(2, 1600) n); end $do$; create table narrow (id int primary key)",
        ),
        Case::new(
            "a check comes with its column",
            "alter table t add c int constraint small check (c < 10), add e int unique, add f int references o",
        ),
        Case::new(
            "a column that somebody made there is taken as it is",
            "alter table t add c int default 3
             insert into t values (400, 'x', 4)",
        )
        .there("alter table t add c int default 3"),
        Case::new(
            "a column that is there already is left alone",
            "alter table t add if not exists v text",
        ),
    ]
}

/// Columns that go, get other names, or other values.
pub fn changed() -> Vec<Case> {
    vec![
        Case::new(
            "a column is dropped, and nobody counts columns",
            "alter table t drop column v
             insert into t values (99)
             alter table t add w int default 3
             insert into t values (100, 4)",
        )
        .killed(),
        Case::new(
            "two columns exchange names beside writes",
            "begin
             alter table t add w text default 'w'
             alter table t rename v to x
             alter table t rename w to v
             alter table t rename x to w
             insert into t (id, v, w) values (200, 'is v', 'is w')
             commit",
        )
        .sees("select v || w from t where id = 5", "wv5")
        .killed(),
        Case::new(
            "writes before and after a new name are in one transaction",
            "begin
             update t set v = 'a' where id = 11
             alter table t rename v to w
             update t set w = 'b' where id = 12
             commit",
        )
        .sees("select string_agg(w, '' order by id) from t where id in (11, 12)", "ab"),
        Case::new(
            "a name is a name whatever is in it",
            "alter table t rename v to \"New \"\"V; --\"
             update t set \"New \"\"V; --\" = 'x' where id = 9",
        ),
        Case::new(
            "a type changes by an expression",
            "alter table o alter n type text using (n * 2)::text
             alter table o alter id type bigint
             update o set n = 'z' where id = 7",
        )
        .killed(),
        Case::new(
            "a type changes by chance",
            "alter table o alter n type float8 using random()",
        ),
        Case::new(
            "a function that is not there is not needed for the values",
            "alter table o alter n type text using @X.f(n)",
        )
        .before("create function @X.f(numeric) returns text language sql immutable as 'select md5($1::text)'"),
        Case::new(
            "a key of another type finds its rows",
            "alter table o alter id type text using 'k' || id
             update o set n = 3 where id = 'k5'
             delete from o where id = 'k6'",
        ),
        Case::new(
            "a wider type writes nothing anew where the source did not",
            "create table narrow (id int primary key, v varchar(10)); insert into narrow values (1, 'x')
             alter table narrow alter v type varchar(20)
             alter table narrow alter v type text",
        ),
        Case::new(
            "storage, statistics and options of a column",
            "alter table t alter v set storage external, alter v set statistics 500, alter v set (n_distinct = 5), alter v set not null
             alter table t set (fillfactor = 50)",
        )
        .keeps_files(&["t"]),
        Case::new(
            "defaults and NOT NULL come and go",
            "alter table t alter v set not null
             alter table t alter v set default 'z'
             insert into t (id) values (300)
             alter table t alter v drop not null; alter table t alter v drop default",
        )
        .sees("select v from t where id = 300", "z"),
        Case::new(
            "an identity comes, changes and goes",
            "alter table o alter id add generated by default as identity (start 100)
             insert into o (t_id) values (3)
             alter table o alter id set generated always set increment 5 restart 500
             alter table o alter id drop identity",
        ),
        Case::new(
            "an expression is dropped and the values stay",
            "alter table x alter g drop expression
             update x set g = 'own' where id = 2",
        )
        .before(
            "create table x (id int primary key, v text, g text generated always as (upper(v)) stored); \
             insert into x values (1, 'a'), (2, 'b')",
        ),
        Case::new(
            "an expression changes and the values with it",
            "alter table x alter g set expression as (lower(v))",
        )
        .before(
            "create table x (id int primary key, v text, g text generated always as (upper(v)) stored); \
             insert into x values (1, 'aB'), (2, 'b')",
        )
        .since(17),
        Case::new(
            "comments of columns and tables come, change and go",
            "comment on table t is 'a;b'; comment on column t.v is 'it''s'
             comment on column t.v is 'other'
             comment on table t is null",
        ),
    ]
}

#[test]
fn columns_that_are_added() {
    tell(added(), Accident::None);
}

#[test]
fn columns_that_change() {
    tell(changed(), Accident::None);
}
