//! Columns of a table that is there.

use super::*;

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

/// Rows that are there have what they have on the source; the default comes after them, and so does none.
#[test]
fn rows_from_before_a_column_have_the_sources_value() {
    let of_now = |default: Option<&str>| Column {
        expression: default.map(str::to_owned),
        missing: Some("2024-02-01 00:00:00+00".into()),
        not_null: true,
        ..column(3, "at", "timestamp with time zone")
    };
    let add = "ALTER TABLE s.t ADD COLUMN at timestamp with time zone DEFAULT '2024-02-01 00:00:00+00' NOT NULL";
    let default = "ALTER TABLE ONLY s.t ALTER COLUMN at SET DEFAULT now()";
    assert_altered(|t| t.columns.push(of_now(Some("now()"))), &[add, default]);
    assert_altered(|t| t.columns.push(of_now(None)), &[add, "ALTER TABLE ONLY s.t ALTER COLUMN at DROP DEFAULT"]);
    assert_altered(|t| t.columns[1].missing = Some("x".into()), &[]);
}

#[test]
fn another_type() {
    // The former default goes first, where it is another one than the later.
    let (mut before, mut after) = (image(), image());
    before.tables[0].columns[1].expression = Some("'x'::text".into());
    after.tables[0].columns[1] = Column { type_oid: 23, expression: Some("6".into()), ..column(2, "note", "integer") };
    let expected = [
        "ALTER TABLE ONLY s.t ALTER COLUMN note DROP DEFAULT",
        "ALTER TABLE s.t ALTER COLUMN note TYPE integer USING \"note\"::integer",
        "ALTER TABLE ONLY s.t ALTER COLUMN note SET DEFAULT 6",
    ];
    assert_between(&before, &after, MAJOR, &expected);
    let collation = |t: &mut Table| t.columns[1].collation = Some(Name::new("pg_catalog", "C"));
    let typed = "ALTER TABLE s.t ALTER COLUMN note TYPE text COLLATE pg_catalog.\"C\" USING \"note\"::text";
    assert_altered(collation, &[typed]);
    let generated = |t: &mut Table, of: &str| {
        t.columns[1] = Column {
            generated: Some(Generated::Stored),
            expression: Some("upper('x')".into()),
            ..column(2, "note", of)
        };
    };
    let (mut before, mut after) = (image(), image());
    generated(&mut before.tables[0], "text");
    generated(&mut after.tables[0], "character varying");
    assert_between(&before, &after, MAJOR, &["ALTER TABLE s.t ALTER COLUMN note TYPE character varying"]);
}

/// Under one oid a type with another name is the same; one of the same name under another oid is not.
#[test]
fn a_type_is_known_by_its_oid() {
    let (mut before, mut after) = (image(), image());
    before.tables[0].columns[1] = Column { type_oid: 30, ..column(2, "note", "s.d[]") };
    after.types[0].name = Name::new("s", "Other");
    after.tables[0].columns[1] = Column { type_oid: 30, ..column(2, "note", "s.\"Other\"[]") };
    assert_between(&before, &after, MAJOR, &["ALTER DOMAIN s.d RENAME TO \"Other\""]);
    let labels = vec![EnumLabel { oid: 1, name: "a".into() }];
    let of = |oid| Type { form: TypeForm::Enum { labels: labels.clone() }, ..domain(oid, "e") };
    let (mut before, mut after) = (image(), image());
    before.types = vec![of(31)];
    after.types = vec![of(32)];
    before.tables[0].columns[1] = Column { type_oid: 31, ..column(2, "note", "s.e") };
    after.tables[0].columns[1] = Column { type_oid: 32, ..column(2, "note", "s.e") };
    let expected = [
        "ALTER TYPE s.e RENAME TO courier_renaming_31",
        "CREATE TYPE s.e AS ENUM ('a')",
        "ALTER TABLE s.t ALTER COLUMN note TYPE s.e USING \"note\"::text::s.e",
        "DROP TYPE s.courier_renaming_31",
    ];
    assert_between(&before, &after, MAJOR, &expected);
}

#[test]
fn identities() {
    let identified = |always, increment| {
        let of =
            crate::schema::image::Sequence { increment, type_oid: 23, max: 2_147_483_647, ..sequence(40, "t_id_seq") };
        Some(Identity { always, sequence: Some(Box::new(of)) })
    };
    let id = |identity| Column { type_oid: 23, not_null: true, identity, ..column(1, "id", "integer") };
    let with = |column: Column| {
        let mut with = image();
        with.tables[0].columns[0] = column;
        with
    };
    let plain = with(id(None));
    let made = "ALTER TABLE ONLY s.t ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME s.t_id_seq START WITH 1 \
                INCREMENT BY 1 MINVALUE 1 MAXVALUE 2147483647 CACHE 1)";
    assert_between(&plain, &with(id(identified(true, 1))), MAJOR, &[made]);
    assert_between(
        &with(id(identified(true, 1))),
        &plain,
        MAJOR,
        &["ALTER TABLE ONLY s.t ALTER COLUMN id DROP IDENTITY"],
    );
    let without = Identity { always: true, sequence: None };
    assert_between(&with(id(Some(without))), &with(id(identified(true, 1))), MAJOR, &[made]);
    let changed = [
        "ALTER SEQUENCE s.t_id_seq AS bigint START WITH 1 INCREMENT BY 5 MINVALUE 1 MAXVALUE 2147483647 CACHE 1 NO CYCLE",
        "ALTER TABLE ONLY s.t ALTER COLUMN id SET GENERATED BY DEFAULT",
    ];
    assert_between(&with(id(identified(true, 1))), &with(id(identified(false, 5))), MAJOR, &changed);
}

/// What a column is generated from changes from 17 on; before, only a name in it does.
#[test]
fn generated_columns() {
    let with = |expression: Option<&str>, generated| {
        let mut with = image();
        with.tables[0].columns[1] =
            Column { expression: expression.map(str::to_owned), generated, ..column(2, "note", "text") };
        with
    };
    let stored = |expression| with(Some(expression), Some(Generated::Stored));
    let set = ["ALTER TABLE s.t ALTER COLUMN note SET EXPRESSION AS (lower('x'))"];
    assert_between(&stored("upper('x')"), &stored("lower('x')"), 17, &set);
    assert_between(&stored("upper('x')"), &stored("lower('x')"), 16, &[]);
    let dropped = "ALTER TABLE s.t ALTER COLUMN note DROP EXPRESSION";
    assert_between(&stored("upper('x')"), &with(None, None), 15, &[dropped]);
    let default = "ALTER TABLE ONLY s.t ALTER COLUMN note SET DEFAULT 'd'::text";
    assert_between(&stored("upper('x')"), &with(Some("'d'::text"), None), 15, &[dropped, default]);
}

/// Generated ones go before those that they are made of.
#[test]
fn columns_go_in_order() {
    let (mut before, after) = (image(), image());
    before.tables[0].columns.insert(0, column(4, "a", "text"));
    let of_a = Some("upper(a)".to_owned());
    before.tables[0].columns.push(Column {
        generated: Some(Generated::Stored),
        expression: of_a,
        ..column(5, "b", "text")
    });
    let expected = ["ALTER TABLE s.t DROP COLUMN b", "ALTER TABLE s.t DROP COLUMN a"];
    assert_between(&before, &after, MAJOR, &expected);
}

#[test]
fn settings_go() {
    assert_both_ways(
        |image| {
            let note = &mut image.tables[0].columns[1];
            note.storage = Some(Storage::External);
            note.statistics = Some(7);
            note.compression = Some(crate::schema::image::Compression::Lz4);
        },
        &[
            "ALTER TABLE ONLY s.t ALTER COLUMN note SET COMPRESSION lz4",
            "ALTER TABLE ONLY s.t ALTER COLUMN note SET STATISTICS 7",
            "ALTER TABLE ONLY s.t ALTER COLUMN note SET STORAGE EXTERNAL",
        ],
        &[
            "ALTER TABLE ONLY s.t ALTER COLUMN note SET COMPRESSION default",
            "ALTER TABLE ONLY s.t ALTER COLUMN note SET STATISTICS -1",
            "ALTER TABLE ONLY s.t ALTER COLUMN note SET STORAGE EXTENDED",
        ],
    );
}

/// In the order that they have on the source, whatever their names.
#[test]
fn columns_come_in_order() {
    assert_altered(
        |t| t.columns.extend([column(3, "z", "text"), column(4, "a", "text")]),
        &["ALTER TABLE s.t ADD COLUMN z text", "ALTER TABLE s.t ADD COLUMN a text"],
    );
}
