//! Other names.

use super::*;

#[test]
fn names_change_and_objects_stay() {
    assert_said(|image| image.tables[0].name = Name::new("s", "u"), &["ALTER TABLE s.t RENAME TO u"]);
    assert_said(
        |image| image.tables[0].name = Name::new("z", "u"),
        &[
            "ALTER TABLE s.t RENAME TO courier_renaming_10",
            "ALTER TABLE s.courier_renaming_10 SET SCHEMA z",
            "ALTER TABLE z.courier_renaming_10 RENAME TO u",
        ],
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

/// Definitions as the server writes them hold names: they change with the name of a column, and nothing else has changed.
#[test]
fn a_definition_with_another_name_in_it_is_the_same() {
    let rename = |t: &mut Table| {
        t.columns[1].name = "remark".into();
        t.indexes[0].definition = Some("CREATE INDEX t_note ON s.t USING btree (remark)".into());
    };
    assert_altered(rename, &["ALTER TABLE s.t RENAME COLUMN note TO remark"]);
}

/// What goes with its table needs no step, and what is exchanged passes over names of the moment.
#[test]
fn names_are_exchanged() {
    let two = |first: &str, second: &str| {
        let mut two = image();
        two.tables.push(table(40, second));
        two.tables[0].name.name = first.to_owned();
        two
    };
    let expected = [
        "ALTER TABLE s.t RENAME TO courier_renaming_10",
        "ALTER TABLE s.u RENAME TO t",
        "ALTER TABLE s.courier_renaming_10 RENAME TO u",
    ];
    assert_between(&two("t", "u"), &two("u", "t"), MAJOR, &expected);
    assert_between(
        &two("t", "t_new"),
        &two("t_old", "t"),
        MAJOR,
        &["ALTER TABLE s.t RENAME TO t_old", "ALTER TABLE s.t_new RENAME TO t"],
    );
    assert_altered(
        |t| (t.columns[0].name, t.columns[1].name) = ("note".into(), "id".into()),
        &[
            "ALTER TABLE s.t RENAME COLUMN id TO courier_renaming_1",
            "ALTER TABLE s.t RENAME COLUMN note TO id",
            "ALTER TABLE s.t RENAME COLUMN courier_renaming_1 TO note",
        ],
    );
}

#[test]
fn a_new_table_has_the_name_of_a_former_one() {
    assert_said(
        |image| {
            image.tables[0].name.name = "old".into();
            image.tables.push(table(40, "t"));
        },
        &["ALTER TABLE s.t RENAME TO old", "CREATE TABLE s.t (\n    id integer NOT NULL,\n    note text\n)"],
    );
    assert_said(
        |image| image.tables = vec![table(40, "t")],
        &["DROP TABLE s.t", "CREATE TABLE s.t (\n    id integer NOT NULL,\n    note text\n)"],
    );
}

/// Indexes and owned sequences are where the table is, and are renamed there.
#[test]
fn what_goes_with_its_table() {
    let (mut before, mut after) = (image(), image());
    let owned = |image: &mut Image, schema: &str| {
        let table = Name::new(schema, "t");
        image.sequences[0].owner = Some(Owner { table: table.clone(), column: "id".into() });
        image.sequences[0].name.schema = schema.into();
        image.tables[0].name = table;
    };
    owned(&mut before, "s");
    owned(&mut after, "z");
    after.tables[0].indexes[0].name = "x".into();
    after.sequences[0].name.name = "r".into();
    let expected =
        ["ALTER TABLE s.t SET SCHEMA z", "ALTER SEQUENCE z.q RENAME TO r", "ALTER INDEX z.t_note RENAME TO x"];
    let mut said = statements(&before, &after);
    said[1..].sort_by_key(|statement| !statement.contains("SEQUENCE"));
    assert_eq!(said, expected);
}

/// A key and its index have one name.
#[test]
fn a_key_is_renamed_once() {
    let keyed = |name: &str| {
        let mut keyed = image();
        let key = constraint(50, name, ConstraintKind::PrimaryKey, "PRIMARY KEY (id)");
        keyed.tables[0].constraints.push(Constraint { index: Some(51), ..key });
        keyed.tables[0].indexes.push(Index {
            constraint: Some(50),
            definition: None,
            unique: true,
            ..index(51, name, "")
        });
        keyed
    };
    assert_between(&keyed("t_pkey"), &keyed("key"), MAJOR, &["ALTER INDEX s.t_pkey RENAME TO key"]);
}

/// Nothing is said for what is in a schema that is renamed, and something for what leaves it.
#[test]
fn schemas_come_and_go() {
    let options = Options { drops_schemas: true, drops_extensions: true };
    let said = |before: &Image, after: &Image| -> Vec<String> {
        let steps = diff_with(before, after, MAJOR, options).steps;
        plan::in_order(&steps, MAJOR).into_iter().map(|item| item.statement.to_string()).collect()
    };
    let of = |schemas: &[(u32, &str)]| Image {
        schemas: schemas.iter().map(|(oid, name)| Schema { oid: *oid, name: (*name).to_owned() }).collect(),
        ..Image::default()
    };
    assert_eq!(said(&of(&[(1, "a")]), &of(&[])), ["DROP SCHEMA a"]);
    assert!(statements(&of(&[(1, "a")]), &of(&[])).is_empty(), "if nobody says so");
    assert_eq!(
        said(&of(&[(1, "a")]), &of(&[(2, "a")])),
        [
            "ALTER SCHEMA a RENAME TO courier_renaming_1",
            "CREATE SCHEMA IF NOT EXISTS a",
            "DROP SCHEMA courier_renaming_1"
        ]
    );
    assert_eq!(
        said(&of(&[(1, "a"), (2, "b")]), &of(&[(1, "b"), (2, "c")])),
        ["ALTER SCHEMA b RENAME TO c", "ALTER SCHEMA a RENAME TO b"]
    );
    let (mut before, mut after) = (image(), image());
    after.schemas.push(Schema { oid: 3, name: "z".into() });
    after.tables[0].name.schema = "z".into();
    assert_eq!(said(&before, &after), ["CREATE SCHEMA IF NOT EXISTS z", "ALTER TABLE s.t SET SCHEMA z"]);
    before.schemas.clear();
    assert!(said(&before, &image())[0].starts_with("CREATE SCHEMA"));
}
