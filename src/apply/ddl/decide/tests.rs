//! Decisions about tables of the sample image.

use super::*;
use crate::schema::captured::{Dropped, FORM};
use crate::schema::image::{Owner, Sequence};
use crate::schema::samples::{self, child, table};

/// The task follows `s.*`: table 10 (`s.t`).
fn before() -> ModelBefore {
    let kept = Kept { image: Image { tables: vec![table(10, "t")], ..Image::default() }, ..Kept::default() };
    let known = Known { standing: Standing::Followed, base: "90:90:".to_owned(), kept };
    let model = BTreeMap::from([((Class::Relation, 10), known)]);
    ModelBefore { model, followed: HashSet::from([10]), types: TypeNames::default() }
}

/// One that it does not follow.
fn before_as(standing: Standing) -> ModelBefore {
    let mut before = before();
    before.model.values_mut().for_each(|known| known.standing = standing);
    before.followed.clear();
    before
}

fn captured(tables: Vec<Table>, created: &[u32]) -> Captured {
    Captured {
        form: FORM,
        touched: tables.iter().map(|table| (Class::Relation, table.oid)).collect(),
        created: created.iter().map(|oid| (Class::Relation, *oid)).collect(),
        image: Image { tables, ..Image::default() },
        ..Captured::default()
    }
}

fn decided(xid: u64, captured: &Captured) -> Decided {
    decided_at("100:100:", xid, captured, before())
}

fn decided_at(snapshot: &str, xid: u64, captured: &Captured, before: ModelBefore) -> Decided {
    decided_with(None, snapshot, xid, captured, before)
}

fn decided_with(loads: Option<u32>, snapshot: &str, xid: u64, captured: &Captured, before: ModelBefore) -> Decided {
    let (snapshot, trust) = (CopySnapshot::of_moment(snapshot).unwrap(), Trust::default());
    let said = Said {
        xid,
        snapshot: &snapshot,
        captured,
        loads,
        trust: &trust,
        policies: &|_, _| KindPolicy::Replicate,
        available: &[],
    };
    let names = |name: &Name, _: &[u32]| name.schema == "s";
    decide(&said, before, names).unwrap()
}

fn in_schema(mut table: Table, schema: &str) -> Table {
    schema.clone_into(&mut table.name.schema);
    table
}

fn oids(image: &Image) -> Vec<u32> {
    image.tables.iter().map(|table| table.oid).collect()
}

#[test]
fn a_table_that_is_created_joins_if_it_is_named() {
    let joins = decided(100, &captured(vec![table(20, "n")], &[20]));
    assert_eq!((oids(&joins.before), oids(&joins.after)), (vec![10], vec![20, 10]));
    assert_eq!(joins.follow, [(20, TableName::new("s", "n"), false)]);
    let other = decided(100, &captured(vec![in_schema(table(20, "n"), "z")], &[20]));
    assert!(other.store.is_empty() && other.follow.is_empty());
}

#[test]
fn a_partition_joins_with_its_parent() {
    let root = Table { is_partitioned: true, ..table(20, "p") };
    let part = Table { is_partition: true, ..in_schema(child(21, "p1", 20), "z") };
    let joins = decided(100, &captured(vec![part, root], &[20, 21]));
    let follow: Vec<(u32, bool)> = joins.follow.iter().map(|(oid, _, partitioned)| (*oid, *partitioned)).collect();
    assert_eq!(follow, [(20, true), (21, false)]);
}

#[test]
fn a_table_with_rows_that_comes_into_reach_enters() {
    let enters = decided(100, &captured(vec![table(20, "n")], &[]));
    assert_eq!(enters.enter, [(20, TableName::new("s", "n"))]);
}

#[test]
fn a_table_that_has_entered_still_waits_for_its_copy() {
    let captured = captured(vec![table(10, "renamed")], &[]);
    let decided = |loads| decided_with(loads, "100:100:", 100, &captured, before_as(Standing::Entering));
    let standing = |decided: &Decided| decided.store[&(Class::Relation, 10)].standing;
    let goes_on = decided(None);
    assert_eq!((standing(&goes_on), goes_on.follow.len(), goes_on.empty.len()), (Standing::Entering, 0, 0));
    assert_eq!(goes_on.enter, [(10, TableName::new("s", "renamed"))]);
    let rows_come = decided(Some(10));
    assert_eq!((standing(&rows_come), rows_come.enter.len()), (Standing::Followed, 0));
}

#[test]
fn a_table_that_goes_out_of_reach_is_renamed_and_left() {
    let leaves = decided(100, &captured(vec![in_schema(table(10, "t"), "z")], &[]));
    assert_eq!(leaves.unfollow, [10]);
    assert_eq!(leaves.store[&(Class::Relation, 10)].standing, Standing::Left);
    assert_eq!(leaves.after.tables[0].name.schema, "z");
}

#[test]
fn a_table_that_is_dropped_before_its_copy_is_dropped_there() {
    let mut before = before();
    before.model.values_mut().for_each(|known| known.standing = Standing::Entering);
    let dropped = vec![Dropped { class: Class::Relation, oid: 10, identity: String::new() }];
    let captured = Captured { form: FORM, dropped, ..Captured::default() };
    let decided = decided_at("100:100:", 100, &captured, before);
    assert_eq!((oids(&decided.before), oids(&decided.after)), (vec![10], vec![]));
}

/// Its name has to be free for the next one.
#[test]
fn a_table_that_is_gone_already_keeps_its_definition_up_to_its_end() {
    let passing = || before_as(Standing::Passing);
    let renamed = decided_at("100:100:", 100, &captured(vec![table(10, "renamed")], &[]), passing());
    assert_eq!(renamed.after.tables[0].name.name, "renamed");
    assert_eq!(renamed.store[&(Class::Relation, 10)].standing, Standing::Passing);
    assert!(renamed.follow.is_empty() && renamed.enter.is_empty() && renamed.unfollow.is_empty());
    let leaves = decided_at("100:100:", 100, &captured(vec![in_schema(table(10, "t"), "z")], &[]), passing());
    assert_eq!(leaves.after.tables[0].name.schema, "z");
    assert_eq!((leaves.store[&(Class::Relation, 10)].standing, leaves.unfollow), (Standing::Left, vec![10]));
    let dropped = vec![Dropped { class: Class::Relation, oid: 10, identity: String::new() }];
    let dropped = Captured { form: FORM, dropped, ..Captured::default() };
    let decided = decided_at("100:100:", 100, &dropped, passing());
    assert_eq!((oids(&decided.before), oids(&decided.after)), (vec![10], vec![]));
}

/// One that is unlogged has left, and its name is still one of the task's.
#[test]
fn a_table_that_has_left_gives_up_its_name() {
    let unlogged = |of: Table| Table { unlogged: true, ..of };
    let moved = unlogged(in_schema(table(10, "t"), "z"));
    let moves = decided_at("100:100:", 100, &captured(vec![moved.clone()], &[]), before_as(Standing::Left));
    assert_eq!((moves.after.tables[0].name.schema.as_str(), moves.store.len()), ("z", 1));
    assert_eq!(moves.store[&(Class::Relation, 10)].standing, Standing::Left);
    let stays = decided_at("100:100:", 100, &captured(vec![unlogged(table(10, "t"))], &[]), before_as(Standing::Left));
    assert!(stays.store.is_empty());
    let mut elsewhere = before_as(Standing::Left);
    elsewhere.model.values_mut().for_each(|known| known.kept = known.kept.in_schema("y"));
    assert!(decided_at("100:100:", 100, &captured(vec![moved], &[]), elsewhere).store.is_empty());
}

#[test]
fn a_dropped_table_is_dropped_and_one_that_nobody_knows_is_not() {
    let dropped = |oid| Dropped { class: Class::Relation, oid, identity: String::new() };
    let captured = Captured { form: FORM, dropped: vec![dropped(10), dropped(99)], ..Captured::default() };
    let decided = decided(100, &captured);
    assert_eq!((oids(&decided.before), oids(&decided.after)), (vec![10], vec![]));
    assert_eq!((decided.forget, decided.unfollow), (vec![(Class::Relation, 10)], vec![10]));
}

/// Its names are there until somebody of the task needs them. A table of its OID that is made much later is another one.
#[test]
fn a_table_that_has_left_stays_when_it_is_dropped() {
    let left = || {
        let mut left = before_as(Standing::Left);
        left.model.values_mut().for_each(|known| known.kept = known.kept.in_schema("z"));
        let owner = Some(Owner { table: Name::new("z", "t"), column: "id".to_owned() });
        let sequence = Sequence { name: Name::new("z", "t_id_seq"), owner, ..samples::sequence(11, "t_id_seq") };
        let kept = Kept { image: Image { sequences: vec![sequence], ..Image::default() }, ..Kept::default() };
        let known = Known { standing: Standing::Followed, base: "90:90:".to_owned(), kept };
        left.model.insert((Class::Relation, 11), known);
        left
    };
    let dropped = |oid| Dropped { class: Class::Relation, oid, identity: String::new() };
    let drop = Captured { form: FORM, dropped: vec![dropped(11), dropped(10)], ..Captured::default() };
    let decided = decided_at("100:100:", 100, &drop, left());
    assert_eq!(decided.retired, [(Class::Relation, 11), (Class::Relation, 10)]);
    assert!(decided.forget.is_empty() && decided.before.tables.is_empty() && decided.before.sequences.is_empty());
    assert!(decided.store.values().all(|known| known.standing == Standing::Left));
    let decided = decided_at("100:100:", 100, &captured(vec![table(10, "n")], &[10]), left());
    assert_eq!((oids(&decided.before), oids(&decided.after)), (vec![], vec![10]));
    assert_eq!(decided.follow, [(10, TableName::new("s", "n"), false)]);
}

/// Others have committed meanwhile, so that the snapshot ends behind the transaction's own id.
#[test]
fn a_transaction_goes_on_with_what_it_has_made() {
    let decided = |captured: &Captured, before| decided_at("95:110:95", 100, captured, before);
    let made = decided(&captured(vec![table(20, "n")], &[20]), before());
    let mut before = before();
    before.model.extend(made.store);
    before.followed.insert(20);
    let renamed = decided(&captured(vec![table(20, "m")], &[]), before);
    assert_eq!(renamed.after.tables[0].name.name, "m");
}

#[test]
fn a_table_that_an_extension_takes_is_left_as_it_is() {
    let taken = Captured { taken: vec![(Class::Relation, 10), (Class::Relation, 99)], ..captured(vec![], &[]) };
    let leaves = decided(100, &taken);
    assert_eq!((oids(&leaves.before), &leaves.unfollow[..]), (oids(&leaves.after), &[10][..]));
    assert_eq!(leaves.store[&(Class::Relation, 10)].standing, Standing::Left);
    assert_eq!(leaves.store.len(), 1);
    assert!(decided(80, &taken).store.is_empty(), "before the table was copied");
}

#[test]
fn what_the_first_image_has_seen_is_not_done_again() {
    let seen = decided(80, &captured(vec![in_schema(table(10, "t"), "z")], &[]));
    assert!(seen.store.is_empty() && seen.follow.is_empty() && seen.unfollow.is_empty());
    assert_eq!(oids(&seen.before), oids(&seen.after));
}

/// A copy has the definition of a later moment (`90:90:`); names come one after the other, those of others in between.
#[test]
fn names_come_with_their_commands_before_the_moment_of_the_copy() {
    let copied = |named_at: &str| {
        let mut before = before();
        before.model.values_mut().for_each(|known| known.kept.named_at = Some(named_at.to_owned()));
        before
    };
    let renamed = captured(vec![in_schema(table(10, "far"), "z")], &[]);
    let follows = decided_at("80:80:", 80, &renamed, copied("70:70:"));
    let known = &follows.store[&(Class::Relation, 10)];
    assert_eq!((known.kept.qualified(), known.standing), (Name::new("z", "far"), Standing::Followed));
    assert_eq!((follows.follow, follows.unfollow), (vec![(10, TableName::new("z", "far"), false)], vec![]));
    let older = decided_at("80:81:", 80, &renamed, copied("85:85:"));
    assert!(older.store.is_empty(), "its name is of a later moment, too");
    // Another one was read before the first committed, and commits behind it.
    let mut again = before();
    again.model.insert((Class::Relation, 10), known.clone());
    let beside = decided_at("79:80:", 79, &captured(vec![table(10, "t")], &[]), again);
    assert!(beside.store.is_empty(), "{:?}", beside.after.tables[0].name);
}

#[test]
fn a_table_that_passes_has_the_names_of_each_moment_too() {
    let mut passing = before_as(Standing::Passing);
    passing.model.values_mut().for_each(|known| known.kept.named_at = Some("70:70:".to_owned()));
    let renamed = decided_at("80:80:", 80, &captured(vec![table(10, "other")], &[]), passing);
    assert_eq!(renamed.after.tables[0].name.name, "other");
    assert_eq!(renamed.store[&(Class::Relation, 10)].standing, Standing::Passing);
    assert!(renamed.follow.is_empty());
}
