//! From a command's images to the queue, and back.

use std::collections::{BTreeSet, HashSet};

use super::*;
use crate::schema::diff::diff;
use crate::schema::image::{View, ViewForm};
use crate::schema::samples::{constraint, index, table};

const MAJOR: u32 = 15;

fn image(tables: Vec<Table>) -> Image {
    Image { tables, ..Image::default() }
}

/// Table 10 with these indexes.
fn with_indexes(indexes: Vec<Index>) -> Table {
    Table { indexes, ..table(10, "t") }
}

fn an_index(oid: u32, name: &str) -> Index {
    index(oid, name, &format!("CREATE INDEX {name} ON s.t USING btree (note)"))
}

/// Index 11 as that of a unique key (12).
fn key(name: &str) -> (Constraint, Index) {
    let key = constraint(12, name, ConstraintKind::Unique, "UNIQUE (note)");
    let index = Index { constraint: Some(12), definition: None, unique: true, ..index(11, name, "") };
    (Constraint { index: Some(11), ..key }, index)
}

fn check(oid: u32, name: &str) -> Constraint {
    constraint(oid, name, ConstraintKind::Check, "CHECK ((id > 0))")
}

/// What waits when the one becomes the other, table 10 being large or not.
fn chosen(before: &Image, after: &Image, waiting: &[LatePart], is_large: bool) -> Vec<LatePart> {
    let large: HashSet<u32> = if is_large { HashSet::from([10]) } else { HashSet::new() };
    let waiting: BTreeSet<LatePart> = waiting.iter().copied().collect();
    let before = without(before, &nothing_of(&waiting));
    let steps = diff(&before, after, MAJOR).steps;
    set_aside(&steps, &Facts { waiting: &waiting, large: &large, fits_together: true }).into_iter().collect()
}

fn said(after: &Image, parts: &[LatePart]) -> Vec<String> {
    let items = items(after, &parts.iter().copied().collect(), MAJOR).unwrap();
    items.iter().flat_map(Aside::statements).map(str::to_owned).collect()
}

#[test]
fn an_index_waits_where_the_table_is_large() {
    let (before, after) = (image(vec![table(10, "t")]), image(vec![with_indexes(vec![an_index(11, "i")])]));
    assert_eq!(chosen(&before, &after, &[], true), [LatePart::Index(11)]);
    assert_eq!(chosen(&before, &after, &[], false), []);
    // What has waited before goes on, and what is not wanted any more does not.
    assert_eq!(chosen(&after, &after, &[LatePart::Index(11)], false), [LatePart::Index(11)]);
    assert_eq!(chosen(&after, &before, &[LatePart::Index(11)], true), []);
    assert_eq!(said(&after, &[LatePart::Index(11)]), ["CREATE INDEX CONCURRENTLY i ON s.t USING btree (note)"]);
}

#[test]
fn what_rows_need_is_made_at_once() {
    let (unique, of_unique) = key("k");
    let keyed = Table { constraints: vec![unique], ..with_indexes(vec![of_unique]) };
    let identity = Index { is_replica_identity: true, ..an_index(13, "r") };
    let identified = Table { replica_identity: ReplicaIdentity::Index, ..with_indexes(vec![identity]) };
    let root = Table { is_partitioned: true, ..with_indexes(vec![an_index(14, "p")]) };
    for after in [keyed, identified, root] {
        let before = Table { indexes: Vec::new(), constraints: Vec::new(), ..after.clone() };
        let before = Table { replica_identity: ReplicaIdentity::Default, ..before };
        assert_eq!(chosen(&image(vec![before]), &image(vec![after]), &[], true), []);
    }
}

#[test]
fn a_constraint_is_added_at_once_and_validated_aside() {
    let constrained = |constraint: Constraint| image(vec![Table { constraints: vec![constraint], ..table(10, "t") }]);
    let (before, after) = (image(vec![table(10, "t")]), constrained(check(12, "c")));
    let parts = [LatePart::Validation(12)];
    assert_eq!(chosen(&before, &after, &[], true), parts);
    let at_once = without(&after, &nothing_of(&parts.into()));
    assert_eq!(at_once.tables[0].constraints[0].definition, "CHECK ((id > 0)) NOT VALID");
    assert_eq!(said(&after, &parts), ["ALTER TABLE s.t VALIDATE CONSTRAINT c"]);
    // Never validated on the source either.
    let never = Constraint { validated: false, ..check(12, "c") };
    assert_eq!(chosen(&before, &constrained(never.clone()), &[], true), []);
    // Validated there by a command of its own.
    assert_eq!(chosen(&constrained(never), &after, &[], true), parts);
    // It gets another name while it waits.
    let renamed = constrained(check(12, "d"));
    assert_eq!(chosen(&after, &renamed, &parts, true), parts);
    assert_eq!(said(&renamed, &parts), ["ALTER TABLE s.t VALIDATE CONSTRAINT d"]);
}

#[test]
fn a_key_takes_the_index_that_waits() {
    let before = image(vec![with_indexes(vec![Index { unique: true, ..an_index(11, "i") }])]);
    let (key, index) = key("k");
    let after = image(vec![Table {
        constraints: vec![key],
        replica_identity: ReplicaIdentity::Index,
        ..with_indexes(vec![Index { is_replica_identity: true, clustered: true, ..index }])
    }]);
    let parts = chosen(&before, &after, &[LatePart::Index(11)], false);
    assert_eq!(parts, [LatePart::Index(11)]);
    assert_eq!(
        said(&after, &parts),
        [
            "CREATE UNIQUE INDEX CONCURRENTLY k ON s.t USING btree (note)",
            "ALTER TABLE s.t ADD CONSTRAINT k UNIQUE USING INDEX k",
            "ALTER TABLE s.t CLUSTER ON k",
            "ALTER TABLE ONLY s.t REPLICA IDENTITY USING INDEX k",
        ]
    );
    let at_once = without(&after, &nothing_of(&parts.into_iter().collect()));
    assert!(diff(&without(&before, &nothing_of(&[LatePart::Index(11)].into())), &at_once, MAJOR).steps.is_empty());
}

#[test]
fn an_index_that_is_built_gets_what_is_missing_at_once() {
    let of_root = index(21, "r", "CREATE INDEX r ON ONLY s.root USING btree (note)");
    let root = Table { is_partitioned: true, indexes: vec![of_root], ..table(20, "root") };
    let leaf = Table { is_partition: true, ..crate::schema::samples::child(10, "t", 20) };
    let leaf = Table { indexes: vec![Index { parent: Some(21), ..an_index(11, "i") }], ..leaf };
    let after = image(vec![root, leaf]);
    let parts: BTreeSet<LatePart> = [LatePart::Index(11)].into();
    let items = items(&after, &parts, MAJOR).unwrap();
    assert_eq!(items[0].tables, BTreeSet::from([10, 20]), "whoever changes the parent has to look at it, too");
    assert_eq!(items[0].then[0].sql.as_str(), "ALTER INDEX s.r ATTACH PARTITION s.i");
    let bare = without(&after, &[(LatePart::Index(11), There::Bare)].into());
    let steps = diff(&bare, &after, MAJOR).steps;
    assert!(matches!(steps.as_slice(), [Step { action: Action::AttachIndex { .. }, .. }]), "{steps:?}");
}

#[test]
fn a_foreign_key_waits_for_the_key_it_refers_to() {
    let (unique, of_unique) = key("k");
    let referred = Table { constraints: vec![unique], ..with_indexes(vec![of_unique]) };
    let reference = constraint(32, "f", ConstraintKind::ForeignKey, "FOREIGN KEY (note) REFERENCES s.t(note)");
    let reference = Constraint { index: Some(11), ..reference };
    let other = Table { constraints: vec![reference], ..table(30, "o") };
    let before = image(vec![referred.clone(), table(30, "o")]);
    let after = image(vec![referred, other]);
    let parts: BTreeSet<LatePart> = chosen(&before, &after, &[LatePart::Index(11)], false).into_iter().collect();
    assert_eq!(parts, BTreeSet::from([LatePart::Index(11), LatePart::ForeignKey(32)]));
    let items = items(&after, &parts, MAJOR).unwrap();
    let item = &items[1];
    assert_eq!((item.waits_for, item.first.is_none()), (Some(LatePart::Index(11)), true));
    assert_eq!(item.tables, BTreeSet::from([10, 30]));
}

#[test]
fn comments_go_where_their_object_is() {
    let mut after = image(vec![with_indexes(vec![an_index(11, "i")])]);
    after.comments.insert((Class::Relation, 11, 0), "mine".to_owned());
    after.comments.insert((Class::Relation, 10, 0), "the table".to_owned());
    let at_once = without(&after, &nothing_of(&[LatePart::Index(11)].into()));
    assert_eq!(at_once.comments.len(), 1);
    assert_eq!(said(&after, &[LatePart::Index(11)])[1], "COMMENT ON INDEX s.i IS 'mine'");
}

/// Table 10 with partitions 20 and 21, the first of which leaves.
fn tree(change: impl FnOnce(&mut Table)) -> (Image, Image) {
    let root = Table { is_partitioned: true, ..table(10, "t") };
    let partition = |oid, name: &str, value: u32| Table {
        is_partition: true,
        bound: Some(format!("FOR VALUES IN ({value})")),
        ..crate::schema::samples::child(oid, name, 10)
    };
    let (leaf, other) = (partition(20, "p", 1), partition(21, "q", 2));
    let in_place = constraint(22, "p_id_check", ConstraintKind::Check, "CHECK ((id = 1))");
    let mut left = Table { is_partition: false, bound: None, parents: Vec::new(), ..leaf.clone() };
    left.constraints.push(in_place);
    // Told by the command only.
    left.columns[1].missing = Some("x".to_owned());
    change(&mut left);
    (image(vec![root.clone(), leaf, other.clone()]), image(vec![root, left, other]))
}

#[test]
fn a_partition_leaves_aside() {
    let (before, after) = tree(|_| ());
    let (meanwhile, asides) = leaves(&before, &after, &[20], &BTreeSet::new(), MAJOR);
    assert_eq!(meanwhile, before, "it is there until it has left");
    let aside = &asides[0];
    assert_eq!((aside.part, aside.table, &aside.tables), (LatePart::Detach(20), 20, &BTreeSet::from([10, 20])));
    assert_eq!(
        aside.statements().collect::<Vec<_>>(),
        [
            "ALTER TABLE s.t DETACH PARTITION s.p CONCURRENTLY",
            "ALTER TABLE s.p ADD CONSTRAINT p_id_check CHECK ((id = 1))"
        ]
    );
    let detach = aside.detach.as_ref().unwrap();
    assert_eq!(detach.constraints, [22]);
    assert_eq!(detach.finalize.as_str(), "ALTER TABLE s.t DETACH PARTITION s.p FINALIZE");
    let text = serde_json::to_string(aside).unwrap();
    assert_eq!(serde_json::from_str::<Aside>(&text).unwrap(), *aside);
}

#[test]
fn a_partition_takes_its_own_along() {
    let (mut before, mut after) = tree(|left| left.is_partitioned = true);
    before.tables[1].is_partitioned = true;
    let inner = Table { is_partition: true, ..crate::schema::samples::child(30, "inner", 20) };
    before.tables.push(inner.clone());
    let check = constraint(32, "p_id_check", ConstraintKind::Check, "CHECK ((id = 1))");
    let check = Constraint { is_local: false, inherit_count: 1, ..check };
    after.tables.push(Table { constraints: vec![check], ..inner });
    let (meanwhile, asides) = leaves(&before, &after, &[20], &BTreeSet::new(), MAJOR);
    assert_eq!(meanwhile, before);
    assert_eq!(asides[0].tables, BTreeSet::from([10, 20, 30]));
    assert_eq!(asides[0].statements().count(), 2, "the check goes down by itself");
}

#[test]
fn a_partition_leaves_at_once_where_more_has_happened_to_it() {
    let at_once = |(before, after): (Image, Image), leaving: &[u32], waiting: &[LatePart]| {
        let waiting = waiting.iter().copied().collect();
        let (meanwhile, asides) = leaves(&before, &after, leaving, &waiting, MAJOR);
        assert_eq!((meanwhile, asides), (after, Vec::new()));
    };
    at_once(tree(|_| ()), &[], &[]);
    at_once(tree(|left| left.name.name = "other".to_owned()), &[20], &[]);
    at_once(tree(|left| left.columns[1].type_name = "json".to_owned()), &[20], &[]);
    let (mut before, after) = tree(|left| left.indexes.push(an_index(23, "i")));
    before.tables[1].indexes.push(an_index(23, "i"));
    at_once((before, after), &[20], &[LatePart::Index(23)]);
}

/// Items of earlier releases say nothing of it.
#[test]
fn an_item_without_a_partition_is_read() {
    let image = image(vec![with_indexes(vec![an_index(11, "i")])]);
    let aside = items(&image, &[LatePart::Index(11)].into(), MAJOR).unwrap().remove(0);
    let text = serde_json::to_string(&aside).unwrap();
    assert!(!text.contains("detach"), "{text}");
    assert_eq!(serde_json::from_str::<Aside>(&text).unwrap(), aside);
}

fn view(oid: u32, name: &str, populated: bool) -> View {
    let form = ViewForm::Materialized { populated };
    View { relation: table(oid, name), form, definition: " SELECT 1".to_owned(), blocked: false }
}

#[test]
fn a_new_view_is_made_without_rows_and_filled_aside() {
    let (before, after) = (Image::default(), Image { views: vec![view(40, "m", true)], ..Image::default() });
    let steps = diff(&before, &after, MAJOR).steps;
    let rows = filled(&steps, &after.views);
    assert_eq!(rows.len(), 1, "not twice");
    let at_once = unfilled(after.clone(), &before, &BTreeSet::from([40]));
    assert_eq!(at_once.views, [view(40, "m", false)]);
    assert_eq!(unfilled(after.clone(), &after, &BTreeSet::from([40])), after, "one that is there has rows");
    let aside = refresh(rows[0], Some(LatePart::Refresh(41)));
    assert_eq!((aside.part, aside.table, aside.waits_for), (LatePart::Refresh(40), 40, Some(LatePart::Refresh(41))));
    assert_eq!(aside.statements().collect::<Vec<_>>(), ["REFRESH MATERIALIZED VIEW s.m"]);
    let text = serde_json::to_string(&aside).unwrap();
    assert_eq!(serde_json::from_str::<Aside>(&text).unwrap(), aside);
}

#[test]
fn a_view_without_rows_needs_none() {
    let image = Image { views: vec![view(40, "m", false)], ..Image::default() };
    let nothing = Image::default();
    assert!(filled(&diff(&nothing, &image, MAJOR).steps, &image.views).is_empty());
}

/// Tables that were copied at different moments.
#[test]
fn a_foreign_key_is_validated_when_all_copies_are_passed() {
    let reference = constraint(32, "f", ConstraintKind::ForeignKey, "FOREIGN KEY (note) REFERENCES s.t(note)");
    let (before, after) = (image(vec![table(10, "t"), table(30, "o")]), |valid: bool| {
        let reference = Constraint { validated: valid, ..reference.clone() };
        image(vec![table(10, "t"), Table { constraints: vec![reference, check(33, "c")], ..table(30, "o") }])
    });
    let nobody = (BTreeSet::new(), HashSet::new());
    let early = Facts { waiting: &nobody.0, large: &nobody.1, fits_together: false };
    let chosen = |before: &Image, after: &Image| set_aside(&diff(before, after, MAJOR).steps, &early);
    let validation = BTreeSet::from([LatePart::Validation(32)]);
    assert_eq!(chosen(&before, &after(true)), validation);
    assert_eq!(chosen(&after(false), &after(true)), validation);
    assert_eq!(chosen(&before, &after(false)), BTreeSet::new());
}

/// The server would make it when the partition comes, under a name of its own.
#[test]
fn what_a_partition_lacks_is_made_when_it_comes() {
    let root = Table { is_partitioned: true, indexes: vec![an_index(8, "r")], ..table(9, "root") };
    let partition = |parent| {
        let index = Index { parent, ..an_index(11, "i") };
        let child = crate::schema::samples::child(10, "t", 9);
        Table { is_partition: true, indexes: vec![index], bound: Some("FOR VALUES IN (1)".to_owned()), ..child }
    };
    let before = image(vec![root.clone(), table(10, "t")]);
    let after = |parent| image(vec![root.clone(), partition(parent)]);
    assert_eq!(chosen(&before, &after(Some(8)), &[], true), []);
    assert_eq!(chosen(&before, &after(None), &[], true), [LatePart::Index(11)], "nobody wants it now");
    let waiting = image(vec![root.clone(), with_indexes(vec![an_index(11, "i")])]);
    assert_eq!(chosen(&waiting, &after(Some(8)), &[LatePart::Index(11)], true), []);
    let there = image(vec![root.clone(), Table { indexes: Vec::new(), ..partition(None) }]);
    assert_eq!(chosen(&there, &after(Some(8)), &[], true), [LatePart::Index(11)], "the partition is there");
}
