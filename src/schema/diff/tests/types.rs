//! Types, sequences, and what others are in.

use super::*;

#[test]
fn a_sequence_gets_an_owner() {
    assert_said(
        |image| image.sequences[0].owner = Some(Owner { table: Name::new("s", "t"), column: "id".into() }),
        &["ALTER SEQUENCE s.q OWNED BY s.t.id"],
    );
}

fn labels(list: &[(u32, &str)]) -> Image {
    let labels = list.iter().map(|(oid, name)| EnumLabel { oid: *oid, name: (*name).to_owned() }).collect();
    Image { types: vec![Type { form: TypeForm::Enum { labels }, ..domain(30, "e") }], ..Image::default() }
}

/// By the order of the type, next to what is there by then.
#[test]
fn labels_of_an_enum() {
    let before = labels(&[(1, "b"), (2, "d")]);
    let after = labels(&[(3, "a"), (4, "aa"), (1, "bb"), (5, "it's"), (2, "d")]);
    assert_between(
        &before,
        &after,
        MAJOR,
        &[
            "ALTER TYPE s.e RENAME VALUE 'b' TO 'bb'",
            "ALTER TYPE s.e ADD VALUE 'a' BEFORE 'bb'",
            "ALTER TYPE s.e ADD VALUE 'aa' AFTER 'a'",
            "ALTER TYPE s.e ADD VALUE 'it''s' AFTER 'bb'",
        ],
    );
    assert_between(
        &labels(&[]),
        &labels(&[(1, "a"), (2, "b")]),
        MAJOR,
        &["ALTER TYPE s.e ADD VALUE 'a'", "ALTER TYPE s.e ADD VALUE 'b' AFTER 'a'"],
    );
    assert_between(
        &labels(&[(1, "a"), (2, "b")]),
        &labels(&[(1, "b"), (2, "a")]),
        MAJOR,
        &[
            "ALTER TYPE s.e RENAME VALUE 'a' TO 'courier_renaming_1'",
            "ALTER TYPE s.e RENAME VALUE 'b' TO 'a'",
            "ALTER TYPE s.e RENAME VALUE 'courier_renaming_1' TO 'b'",
        ],
    );
    assert_eq!(diff(&labels(&[(1, "a")]), &labels(&[]), MAJOR).unsaid.len(), 1, "no label ever goes");
}

fn composite(attributes: &[(i16, &str, &str)]) -> Image {
    let attribute = |(attnum, name, type_name): &(i16, &str, &str)| Attribute {
        attnum: *attnum,
        name: (*name).to_owned(),
        type_name: (*type_name).to_owned(),
        collation: None,
    };
    let form = TypeForm::Composite { relation: 31, attributes: attributes.iter().map(attribute).collect() };
    Image { types: vec![Type { form, ..domain(30, "c") }], ..Image::default() }
}

#[test]
fn attributes_of_a_composite_type() {
    let before = composite(&[(1, "a", "integer"), (2, "b", "text"), (3, "c", "text")]);
    let mut after = composite(&[(2, "a", "text"), (3, "c", "date"), (4, "d", "text")]);
    assert_between(
        &before,
        &after,
        MAJOR,
        &[
            "ALTER TYPE s.c DROP ATTRIBUTE a",
            "ALTER TYPE s.c RENAME ATTRIBUTE b TO a",
            "ALTER TYPE s.c ALTER ATTRIBUTE c TYPE date",
            "ALTER TYPE s.c ADD ATTRIBUTE d text",
        ],
    );
    let of = Table { of_type: Some("s.c".into()), ..table(40, "typed") };
    let with = |image: &mut Image| image.tables = vec![of.clone()];
    let mut before = before;
    with(&mut before);
    with(&mut after);
    assert!(statements(&before, &after).iter().all(|statement| statement.ends_with(" CASCADE")));
}

#[test]
fn domains() {
    let check = |oid, name: &str, validated| DomainConstraint {
        oid,
        name: name.to_owned(),
        is_check: true,
        definition: "CHECK ((VALUE > 0))".to_owned(),
        validated,
        blocked: false,
    };
    let with = |change: &dyn Fn(&mut Domain)| {
        let mut with = image();
        let TypeForm::Domain(domain) = &mut with.types[0].form else { panic!("a domain") };
        change(domain);
        with
    };
    let plain = with(&|_| ());
    let full = with(&|d| {
        d.default = Some("'x'::text".into());
        d.not_null = true;
        d.constraints = vec![check(1, "a", false)];
    });
    assert_between(
        &plain,
        &full,
        MAJOR,
        &[
            "ALTER DOMAIN s.d SET DEFAULT 'x'::text",
            "ALTER DOMAIN s.d SET NOT NULL",
            "ALTER DOMAIN s.d ADD CONSTRAINT a CHECK ((VALUE > 0))",
        ],
    );
    assert_between(
        &full,
        &plain,
        MAJOR,
        &["ALTER DOMAIN s.d DROP CONSTRAINT a", "ALTER DOMAIN s.d DROP DEFAULT", "ALTER DOMAIN s.d DROP NOT NULL"],
    );
    let (late, valid) =
        (with(&|d| d.constraints = vec![check(1, "a", false)]), with(&|d| d.constraints = vec![check(1, "b", true)]));
    assert_between(
        &late,
        &valid,
        MAJOR,
        &["ALTER DOMAIN s.d RENAME CONSTRAINT a TO b", "ALTER DOMAIN s.d VALIDATE CONSTRAINT b"],
    );
}

#[test]
fn sequences_change() {
    let options = |image: &mut Image, min| {
        let q = &mut image.sequences[0];
        (q.increment, q.min, q.start, q.cycle) = (5, min, 10, true);
    };
    let said = "ALTER SEQUENCE s.q AS bigint START WITH 10 INCREMENT BY 5 MINVALUE 1 MAXVALUE 9223372036854775807 CACHE 1 CYCLE";
    assert_said(|image| options(image, 1), &[said]);
    let narrower = format!("{} RESTART", said.replace("MINVALUE 1", "MINVALUE 10"));
    assert_said(|image| options(image, 10), &[&narrower]);
    assert_both_ways(
        |image| image.sequences[0].unlogged = true,
        &["ALTER SEQUENCE s.q SET UNLOGGED"],
        &["ALTER SEQUENCE s.q SET LOGGED"],
    );
    assert_both_ways(
        |image| image.sequences[0].owner = Some(Owner { table: Name::new("s", "t"), column: "id".into() }),
        &["ALTER SEQUENCE s.q OWNED BY s.t.id"],
        &["ALTER SEQUENCE s.q OWNED BY NONE"],
    );
}

/// Its owner under another name is the same owner.
#[test]
fn an_owner_is_renamed() {
    let (mut before, mut after) = (image(), image());
    before.sequences[0].owner = Some(Owner { table: Name::new("s", "t"), column: "id".into() });
    after.tables[0].name.name = "u".into();
    after.tables[0].columns[0].name = "key".into();
    after.sequences[0].owner = Some(Owner { table: Name::new("s", "u"), column: "key".into() });
    assert_between(&before, &after, MAJOR, &["ALTER TABLE s.t RENAME TO u", "ALTER TABLE s.u RENAME COLUMN id TO key"]);
}

/// What a column does not need any more goes after the column is another one.
#[test]
fn what_was_needed_goes_at_the_end() {
    let mut before = image();
    before.tables[0].columns[1] =
        Column { expression: Some("nextval('s.q'::regclass)".into()), ..column(2, "note", "s.d") };
    let after = Image { types: Vec::new(), sequences: Vec::new(), ..image() };
    assert_between(
        &before,
        &after,
        MAJOR,
        &[
            "ALTER TABLE ONLY s.t ALTER COLUMN note DROP DEFAULT",
            "ALTER TABLE s.t ALTER COLUMN note TYPE text USING \"note\"::text",
            "ALTER TABLE ONLY s.t ALTER COLUMN note DROP DEFAULT",
            "DROP SEQUENCE s.q",
            "DROP DOMAIN s.d",
        ],
    );
}

#[test]
fn extensions_and_collations() {
    let extension = |version: &str, schema: &str| Image {
        extensions: vec![Extension {
            oid: 1,
            level: 0,
            name: "hstore".into(),
            schema: schema.into(),
            version: version.into(),
        }],
        ..Image::default()
    };
    assert_between(
        &extension("1.6", "a"),
        &extension("1.8", "b"),
        MAJOR,
        &["ALTER EXTENSION hstore SET SCHEMA b", "ALTER EXTENSION hstore UPDATE TO '1.8'"],
    );
    assert_between(&extension("1.6", "a"), &Image::default(), MAJOR, &[]);
    let collation = |name: &str| Image {
        collations: vec![Collation {
            oid: 1,
            name: Name::new("s", name),
            provider: Provider::Libc,
            deterministic: true,
            collate: Some("C".into()),
            ctype: Some("C".into()),
            locale: None,
            rules: None,
        }],
        ..Image::default()
    };
    assert_between(&collation("a"), &collation("b"), MAJOR, &["ALTER COLLATION s.a RENAME TO b"]);
    assert_between(&collation("a"), &Image::default(), MAJOR, &["DROP COLLATION s.a"]);
}

/// One that another column gets, or none, is free before its table goes.
#[test]
fn a_sequence_stays_without_its_table() {
    let mut before = image();
    before.sequences[0].owner = Some(Owner { table: Name::new("s", "t"), column: "id".into() });
    before.tables.push(table(40, "u"));
    let mut after = image();
    after.tables = vec![table(40, "u")];
    assert_between(&before, &after, MAJOR, &["ALTER SEQUENCE s.q OWNED BY NONE", "DROP TABLE s.t"]);
    after.sequences[0].owner = Some(Owner { table: Name::new("s", "u"), column: "id".into() });
    assert_between(
        &before,
        &after,
        MAJOR,
        &["ALTER SEQUENCE s.q OWNED BY NONE", "DROP TABLE s.t", "ALTER SEQUENCE s.q OWNED BY s.u.id"],
    );
}

/// One that is the default of another table does not go before that default.
#[test]
fn a_sequence_that_another_table_uses() {
    let (mut before, mut after) = (image(), image());
    before.sequences[0].owner = Some(Owner { table: Name::new("s", "t"), column: "note".into() });
    before.tables.push(table(40, "u"));
    before.tables[1].columns[1].expression = Some("nextval('s.q'::regclass)".into());
    after.tables.push(table(40, "u"));
    after.tables[0].columns.pop();
    after.sequences.clear();
    assert_between(
        &before,
        &after,
        MAJOR,
        &[
            "ALTER SEQUENCE s.q OWNED BY NONE",
            "ALTER TABLE s.t DROP COLUMN note",
            "ALTER TABLE ONLY s.u ALTER COLUMN note DROP DEFAULT",
            "DROP SEQUENCE s.q",
        ],
    );
}

/// The server drops a sequence with its column; another one may have its name then.
#[test]
fn a_sequence_goes_with_its_column() {
    let owned = |oid, table: &str| {
        let mut owned = sequence(oid, "q");
        owned.owner = Some(Owner { table: Name::new("s", table), column: "id".into() });
        owned
    };
    let (mut before, mut after) = (image(), image());
    before.sequences = vec![owned(20, "t")];
    after.tables = vec![table(40, "t")];
    after.sequences = vec![owned(41, "t")];
    let said = statements(&before, &after);
    assert_eq!(said[0], "DROP TABLE s.t");
    assert!(said[1].starts_with("CREATE SEQUENCE s.q "), "{said:?}");
    assert_eq!(said[3..], ["ALTER SEQUENCE s.q OWNED BY s.t.id"]);
}
