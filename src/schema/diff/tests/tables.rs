//! Tables, and what they have from their parents.

use super::*;

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

/// A column of a parent that the child has, too, is not written again, and a child after its parent.
#[test]
fn a_child_is_created_after_its_parent() {
    let mut image = Image::default();
    let mut son = child(40, "son", 10);
    son.columns.iter_mut().for_each(|column| column.is_local = false);
    son.columns.push(column(3, "own", "text"));
    image.tables = vec![son, table(10, "father")];
    let items: Vec<String> =
        plan::create(&image, &[], MAJOR).into_iter().map(|item| item.statement.to_string()).collect();
    let father = "CREATE TABLE s.father (\n    id integer NOT NULL,\n    note text\n)";
    assert_eq!(items, [father, "CREATE TABLE s.son (\n    own text\n) INHERITS (s.father)"]);
    let mut owned = image.clone();
    owned.tables[0].parents = vec![Parent { oid: 99, position: 1 }];
    owned.sequences.push(sequence(60, "q"));
    assert!(
        plan::create(&owned, &[], MAJOR)
            .iter()
            .any(|item| item.statement.as_str().starts_with("CREATE SEQUENCE s.q AS bigint"))
    );
}

#[test]
fn other_settings_of_a_table() {
    assert_both_ways(
        |image| image.tables[0].access_method = Some("columnar".into()),
        &["ALTER TABLE s.t SET ACCESS METHOD columnar"],
        &["ALTER TABLE s.t SET ACCESS METHOD heap"],
    );
    assert_both_ways(
        |image| image.tables[0].of_type = Some("s.ty".into()),
        &["ALTER TABLE s.t OF s.ty"],
        &["ALTER TABLE s.t NOT OF"],
    );
    let other = |image: &mut Image| image.tables[0].of_type = Some("s.other".into());
    let mut before = image();
    before.tables[0].of_type = Some("s.ty".into());
    let mut after = before.clone();
    other(&mut after);
    assert_between(&before, &after, MAJOR, &["ALTER TABLE s.t NOT OF", "ALTER TABLE s.t OF s.other"]);
}

fn partition(oid: u32, name: &str, of: u32, bound: &str) -> Table {
    Table { is_partition: true, bound: Some(bound.into()), ..child(oid, name, of) }
}

#[test]
fn a_partition_gets_another_bound() {
    let with = |bound: &str| {
        let mut with = image();
        with.tables.push(partition(40, "p", 10, bound));
        with
    };
    let expected =
        ["ALTER TABLE s.t DETACH PARTITION s.p", "ALTER TABLE ONLY s.t ATTACH PARTITION s.p FOR VALUES IN (1, 2)"];
    assert_between(&with("FOR VALUES IN (1)"), &with("FOR VALUES IN (1, 2)"), MAJOR, &expected);
}

/// A partition comes under a parent that is there with its own keys and indexes, before the server could make some.
#[test]
fn a_new_partition_has_its_indexes_first() {
    let before = image();
    let mut after = image();
    let mut new = partition(40, "p", 10, "FOR VALUES IN (1)");
    new.indexes.push(Index { parent: Some(11), ..index(41, "own", "CREATE INDEX own ON s.p USING btree (note)") });
    after.tables.push(new);
    let expected = [
        "CREATE TABLE s.p (\n    id integer NOT NULL,\n    note text\n)",
        "CREATE INDEX own ON s.p USING btree (note)",
        "ALTER TABLE ONLY s.t ATTACH PARTITION s.p FOR VALUES IN (1)",
        "ALTER INDEX s.t_note ATTACH PARTITION s.own",
    ];
    assert_between(&before, &after, MAJOR, &expected);
}

/// What the server does to children by itself is asked of the parent first.
#[test]
fn children_come_after_their_parents() {
    let family = |change: &dyn Fn(&mut Table)| {
        let mut family = image();
        family.tables = vec![child(40, "a_son", 50), table(50, "father"), child(60, "a_grandson", 40)];
        family.tables.iter_mut().for_each(change);
        family
    };
    let before = family(&|_| ());
    let of_all = |statement: &str| -> Vec<String> {
        ["father", "a_son", "a_grandson"].map(|name| statement.replace("TABLE", &format!("TABLE s.{name}"))).to_vec()
    };
    let assert_of_all = |change: &dyn Fn(&mut Table), statement: &str| {
        let expected = of_all(statement);
        let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
        assert_between(&before, &family(change), MAJOR, &expected);
    };
    assert_of_all(&|t| t.columns.push(column(3, "x", "integer")), "ALTER TABLE ADD COLUMN x integer");
    assert_of_all(&|t| drop(t.columns.pop()), "ALTER TABLE DROP COLUMN note");
    assert_of_all(&|t| t.columns[1].name = "n".into(), "ALTER TABLE RENAME COLUMN note TO n");
    let typed = "ALTER TABLE ALTER COLUMN note TYPE bigint USING \"note\"::bigint";
    assert_of_all(&|t| t.columns[1].type_name = "bigint".into(), typed);
    let check =
        |t: &mut Table| t.constraints.push(constraint(t.oid + 1, "ck", ConstraintKind::Check, "CHECK ((id > 0))"));
    assert_between(
        &family(&check),
        &before,
        MAJOR,
        &of_all("ALTER TABLE DROP CONSTRAINT ck").iter().map(String::as_str).collect::<Vec<_>>(),
    );
    // A column that only the parent loses stays with its children.
    let mut alone = family(&|_| ());
    alone.tables[1].columns.pop();
    assert_between(&before, &alone, MAJOR, &["ALTER TABLE ONLY s.father DROP COLUMN note"]);
    assert_between(
        &before,
        &Image { tables: Vec::new(), ..before.clone() },
        MAJOR,
        &["DROP TABLE s.a_grandson", "DROP TABLE s.a_son", "DROP TABLE s.father"],
    );
}

#[test]
fn tables_that_refer_to_each_other_go() {
    let mut before = image();
    let key = |oid, name| constraint(oid, name, ConstraintKind::ForeignKey, "FOREIGN KEY (id) REFERENCES s.t(id)");
    before.tables[0].constraints = vec![key(71, "one")];
    before.tables.push(table(40, "u"));
    before.tables[1].constraints = vec![key(72, "two")];
    let expected = [
        "ALTER TABLE s.t DROP CONSTRAINT one",
        "ALTER TABLE s.u DROP CONSTRAINT two",
        "DROP TABLE s.t",
        "DROP TABLE s.u",
    ];
    assert_between(&before, &Image { tables: Vec::new(), ..before.clone() }, MAJOR, &expected);
}

/// A child takes over the default of a parent that is there; its own is another one, or none.
#[test]
fn a_new_child_of_a_parent_with_a_default() {
    let mut before = image();
    before.tables[0].columns[1].expression = Some("'p'::text".into());
    let with_son = |default: Option<&str>| {
        let mut after = before.clone();
        let mut son = child(40, "son", 10);
        son.columns[1].expression = default.map(str::to_owned);
        son.columns.iter_mut().for_each(|column| column.is_local = false);
        after.tables.push(son);
        after
    };
    let made = "CREATE TABLE s.son () INHERITS (s.t)";
    let own = "ALTER TABLE ONLY s.son ALTER COLUMN note SET DEFAULT 'c'::text";
    assert_between(&before, &with_son(Some("'c'::text")), MAJOR, &[made, own]);
    assert_between(&before, &with_son(None), MAJOR, &[made, "ALTER TABLE ONLY s.son ALTER COLUMN note DROP DEFAULT"]);
}
