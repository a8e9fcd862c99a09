//! Differences of images, as statements.

use super::diff;
use crate::schema::image::{
    Class, Column, ConstraintKind, Firing, Generated, Grant, Image, Name, Owner, Parent, Privileges, ReplicaIdentity,
    Storage, StorageOption, Table,
};
use crate::schema::plan;
use crate::schema::samples::{child, column, constraint, image, index, policy, sequence, table};

const MAJOR: u32 = 15;

fn statements(before: &Image, after: &Image) -> Vec<String> {
    let items = plan::in_order(&diff(before, after, MAJOR).steps, MAJOR);
    items.into_iter().map(|item| item.statement.to_string()).collect()
}

/// What a change of the sample is, as statements; everything about it is said.
#[track_caller]
fn assert_said(change: impl FnOnce(&mut Image), expected: &[&str]) {
    let (before, mut after) = (image(), image());
    change(&mut after);
    assert_eq!(statements(&before, &after), expected);
    let unsaid = diff(&before, &after, MAJOR).unsaid;
    assert!(unsaid.is_empty(), "{unsaid:?}");
}

/// The same for table `s.t`.
#[track_caller]
fn assert_altered(change: impl FnOnce(&mut Table), expected: &[&str]) {
    assert_said(|image| change(&mut image.tables[0]), expected);
}

/// A change that no step says is named.
#[track_caller]
fn assert_unsaid(change: impl FnOnce(&mut Image), expected: &str) {
    let (before, mut after) = (image(), image());
    change(&mut after);
    let unsaid = diff(&before, &after, MAJOR).unsaid;
    assert_eq!(format!("{unsaid:?}"), expected);
}

#[test]
fn equal_images_differ_in_nothing() {
    assert_said(|_| (), &[]);
}

#[test]
fn objects_come_and_go() {
    assert_said(
        |image| image.tables.push(table(40, "Odd")),
        &["CREATE TABLE s.\"Odd\" (\n    id integer NOT NULL,\n    note text\n)"],
    );
    assert_said(|image| image.tables.clear(), &["DROP TABLE s.t"]);
    assert_said(|image| image.types.clear(), &["DROP DOMAIN s.d"]);
    assert_said(|image| image.sequences.clear(), &["DROP SEQUENCE s.q"]);
}

#[test]
fn names_change_and_objects_stay() {
    assert_said(|image| image.tables[0].name = Name::new("s", "u"), &["ALTER TABLE s.t RENAME TO u"]);
    assert_said(
        |image| image.tables[0].name = Name::new("z", "u"),
        &["ALTER TABLE s.t SET SCHEMA z", "ALTER TABLE z.t RENAME TO u"],
    );
    assert_said(|image| image.types[0].name = Name::new("s", "e"), &["ALTER DOMAIN s.d RENAME TO e"]);
    assert_said(|image| image.sequences[0].name = Name::new("s", "r"), &["ALTER SEQUENCE s.q RENAME TO r"]);
    // What is in a renamed schema has not moved.
    let rename = |image: &mut Image| {
        image.schemas[0].name = "n".to_owned();
        image.tables[0].name.schema = "n".to_owned();
        image.tables[0].statistics[0].name.schema = "n".to_owned();
        image.types[0].name.schema = "n".to_owned();
        image.sequences[0].name.schema = "n".to_owned();
    };
    assert_said(rename, &["ALTER SCHEMA s RENAME TO n"]);
}

#[test]
fn columns() {
    assert_altered(
        |t| t.columns.push(Column { expression: Some("0".into()), not_null: true, ..column(3, "x", "integer") }),
        &["ALTER TABLE s.t ADD COLUMN x integer DEFAULT 0 NOT NULL"],
    );
    assert_altered(|t| drop(t.columns.remove(1)), &["ALTER TABLE s.t DROP COLUMN note"]);
    assert_altered(|t| t.columns[1].name = "Note".into(), &["ALTER TABLE s.t RENAME COLUMN note TO \"Note\""]);
    assert_altered(
        |t| t.columns[1].type_name = "character varying(10)".into(),
        &["ALTER TABLE s.t ALTER COLUMN note TYPE character varying(10) USING \"note\"::character varying(10)"],
    );
    assert_altered(
        |t| t.columns[1].expression = Some("'x'::text".into()),
        &["ALTER TABLE ONLY s.t ALTER COLUMN note SET DEFAULT 'x'::text"],
    );
    assert_altered(|t| t.columns[1].not_null = true, &["ALTER TABLE ONLY s.t ALTER COLUMN note SET NOT NULL"]);
    assert_altered(|t| t.columns[0].not_null = false, &["ALTER TABLE ONLY s.t ALTER COLUMN id DROP NOT NULL"]);
    assert_altered(
        |t| t.columns[1].storage = Some(Storage::External),
        &["ALTER TABLE ONLY s.t ALTER COLUMN note SET STORAGE EXTERNAL"],
    );
    assert_altered(
        |t| t.columns[1].options = vec![("n_distinct".into(), "5".into())],
        &["ALTER TABLE ONLY s.t ALTER COLUMN note SET (n_distinct='5')"],
    );
}

#[test]
fn a_default_and_an_option_go() {
    let mut before = image();
    before.tables[0].columns[1].expression = Some("'x'::text".into());
    before.tables[0].columns[1].options = vec![("n_distinct".into(), "5".into())];
    before.tables[0].options =
        vec![StorageOption { of_toast: true, name: "autovacuum_enabled".into(), value: "off".into() }];
    before.tables[0].row_security = true;
    before.tables[0].replica_identity = ReplicaIdentity::Full;
    let expected = [
        "ALTER TABLE ONLY s.t ALTER COLUMN note DROP DEFAULT",
        "ALTER TABLE ONLY s.t ALTER COLUMN note RESET (n_distinct)",
        "ALTER TABLE s.t RESET (toast.autovacuum_enabled)",
        "ALTER TABLE ONLY s.t REPLICA IDENTITY DEFAULT",
        "ALTER TABLE s.t DISABLE ROW LEVEL SECURITY",
    ];
    assert_eq!(statements(&before, &image()), expected);
    assert!(diff(&before, &image(), MAJOR).unsaid.is_empty());
}

#[test]
fn settings_of_a_table() {
    let option = |name: &str, value: &str| StorageOption { of_toast: false, name: name.into(), value: value.into() };
    assert_altered(|t| t.options = vec![option("fillfactor", "70")], &["ALTER TABLE s.t SET (fillfactor='70')"]);
    assert_altered(|t| t.unlogged = true, &["ALTER TABLE s.t SET UNLOGGED"]);
    assert_altered(|t| t.replica_identity = ReplicaIdentity::Full, &["ALTER TABLE ONLY s.t REPLICA IDENTITY FULL"]);
    assert_altered(
        |t| (t.row_security, t.force_row_security) = (true, true),
        &["ALTER TABLE s.t ENABLE ROW LEVEL SECURITY", "ALTER TABLE s.t FORCE ROW LEVEL SECURITY"],
    );
}

#[test]
fn parts_of_a_table() {
    assert_altered(
        |t| t.indexes.push(index(50, "t_id", "CREATE INDEX t_id ON s.t USING btree (id)")),
        &["CREATE INDEX t_id ON s.t USING btree (id)"],
    );
    assert_altered(|t| t.indexes.clear(), &["DROP INDEX s.t_note"]);
    assert_altered(|t| t.indexes[0].name = "x".into(), &["ALTER INDEX s.t_note RENAME TO x"]);
    assert_altered(
        |t| t.constraints.push(constraint(51, "t_pkey", ConstraintKind::PrimaryKey, "PRIMARY KEY (id)")),
        &["ALTER TABLE ONLY s.t ADD CONSTRAINT t_pkey PRIMARY KEY (id)"],
    );
    assert_altered(
        |t| t.constraints.push(constraint(51, "small", ConstraintKind::Check, "CHECK ((id < 9))")),
        &["ALTER TABLE s.t ADD CONSTRAINT small CHECK ((id < 9))"],
    );
    assert_altered(|t| t.constraints.clear(), &["ALTER TABLE s.t DROP CONSTRAINT positive"]);
    assert_altered(|t| t.triggers.clear(), &["DROP TRIGGER audit ON s.t"]);
    assert_altered(|t| t.triggers[0].firing = Firing::Disabled, &["ALTER TABLE s.t DISABLE TRIGGER audit"]);
    assert_altered(
        |t| t.policies.push(policy(52, "more")),
        &["CREATE POLICY more ON s.t FOR SELECT TO PUBLIC USING (true)"],
    );
    assert_altered(|t| t.policies.clear(), &["DROP POLICY all_rows ON s.t"]);
    assert_altered(|t| t.statistics.clear(), &["DROP STATISTICS s.t_both"]);
    assert_altered(|t| t.statistics[0].target = Some(50), &["ALTER STATISTICS s.t_both SET STATISTICS 50"]);
}

/// Definitions as the server writes them hold names: they change with the name of a column, and nothing else has changed.
#[test]
fn a_definition_with_another_name_in_it_is_the_same() {
    let rename = |t: &mut Table| {
        t.columns[1].name = "remark".into();
        t.indexes[0].definition = Some("CREATE INDEX t_note ON s.t USING btree (remark)".into());
    };
    assert_altered(rename, &["ALTER TABLE s.t RENAME COLUMN note TO remark"]);
}

#[test]
fn partitions_come_and_go() {
    let (mut before, mut after) = (image(), image());
    before.tables.push(table(40, "p"));
    let partition = Table { is_partition: true, bound: Some("FOR VALUES IN (1)".into()), ..child(40, "p", 10) };
    after.tables.push(partition);
    assert_eq!(statements(&before, &after), ["ALTER TABLE ONLY s.t ATTACH PARTITION s.p FOR VALUES IN (1)"]);
    assert!(diff(&before, &after, MAJOR).unsaid.is_empty());
    assert_eq!(statements(&after, &before), ["ALTER TABLE s.t DETACH PARTITION s.p"]);
    assert!(diff(&after, &before, MAJOR).unsaid.is_empty());
}

#[test]
fn comments_and_privileges() {
    let comment = |image: &mut Image| drop(image.comments.insert((Class::Relation, 10, 2), "it's".into()));
    assert_said(comment, &["COMMENT ON COLUMN s.t.note IS 'it''s'"]);
    let mut before = image();
    comment(&mut before);
    assert_eq!(statements(&before, &image()), ["COMMENT ON COLUMN s.t.note IS NULL"]);
    let grant = |image: &mut Image| {
        let grant =
            Grant { place: 1, grantee: Some("Reader".into()), privileges: vec!["SELECT".into()], with_option: false };
        let privileges = Privileges { grants: vec![grant], public_revoked: false };
        image.privileges.insert((Class::Relation, 10, 0), privileges);
    };
    assert_said(grant, &["GRANT SELECT ON TABLE s.t TO \"Reader\""]);
    let mut before = image();
    grant(&mut before);
    assert_eq!(statements(&before, &image()), ["REVOKE SELECT ON TABLE s.t FROM \"Reader\""]);
}

#[test]
fn a_sequence_gets_an_owner() {
    assert_said(
        |image| image.sequences[0].owner = Some(Owner { table: Name::new("s", "t"), column: "id".into() }),
        &["ALTER SEQUENCE s.q OWNED BY s.t.id"],
    );
}

/// What no server can do either.
#[test]
fn what_no_step_says_is_named() {
    let column = "[Column(Name { schema: \"s\", name: \"t\" }, \"id\")]";
    let generated = |i: &mut Image| i.tables[0].columns[0].generated = Some(Generated::Stored);
    assert_unsaid(generated, column);
    let policy = |i: &mut Image| i.tables[0].policies[0].using = None;
    assert_unsaid(policy, "[Policy(Name { schema: \"s\", name: \"t\" }, \"all_rows\")]");
    assert_unsaid(|i| i.tables[0].is_partitioned = true, "[Table(Name { schema: \"s\", name: \"t\" })]");
}

/// A column of a parent that the child has, too, is not written again, and a child after its parent.
#[test]
fn a_child_is_created_after_its_parent() {
    let mut image = Image::default();
    let mut son = child(40, "son", 10);
    son.columns.iter_mut().for_each(|column| column.is_local = false);
    son.columns.push(column(3, "own", "text"));
    image.tables = vec![son, table(10, "father")];
    let items: Vec<String> = plan::create(&image, MAJOR).into_iter().map(|item| item.statement.to_string()).collect();
    let father = "CREATE TABLE s.father (\n    id integer NOT NULL,\n    note text\n)";
    assert_eq!(items, [father, "CREATE TABLE s.son (\n    own text\n) INHERITS (s.father)"]);
    let mut owned = image.clone();
    owned.tables[0].parents = vec![Parent { oid: 99, position: 1 }];
    owned.sequences.push(sequence(60, "q"));
    assert!(
        plan::create(&owned, MAJOR)
            .iter()
            .any(|item| item.statement.as_str().starts_with("CREATE SEQUENCE s.q AS bigint"))
    );
}
