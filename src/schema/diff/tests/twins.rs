//! Equal indexes, which the server takes for each other.

use super::*;

fn note_index(oid: u32, name: &str, of: &str) -> Index {
    index(oid, name, &format!("CREATE INDEX {name} ON s.{of} USING btree (note)"))
}

/// Table `s.t` (10), partitioned, with these indexes; without other parts.
fn root(indexes: Vec<Index>) -> Table {
    Table { is_partitioned: true, indexes, ..table(10, "t") }
}

/// Table `s.p` (40).
fn partition(indexes: Vec<Index>) -> Table {
    let bound = Some("FOR VALUES IN (1)".to_owned());
    Table { is_partition: true, bound, indexes, ..child(40, "p", 10) }
}

fn of(tables: Vec<Table>) -> Image {
    Image { tables, ..Image::default() }
}

fn under(parent: u32, index: Index) -> Index {
    Index { parent: Some(parent), ..index }
}

#[test]
fn keys_and_indexes_are_made_in_the_order_of_their_oids() {
    let unique = |oid, name: &str, what: &str| Index {
        unique: true,
        ..index(oid, name, &format!("CREATE UNIQUE INDEX {name} ON s.t USING btree {what}"))
    };
    let mut t = table(10, "t");
    t.indexes = vec![
        note_index(19, "a", "t"),
        unique(11, "b", "(lower(note))"),
        unique(12, "c", "(id) WHERE (id > 0)"),
        unique(14, "d", "(id)"),
        note_index(18, "e", "t"),
        Index { constraint: Some(22), definition: None, unique: true, ..index(13, "t_id_key", "") },
        Index { constraint: Some(21), definition: None, unique: true, ..index(15, "t_pkey", "") },
    ];
    let key = |oid, name: &str, kind, definition: &str, index| Constraint {
        index: Some(index),
        ..constraint(oid, name, kind, definition)
    };
    t.constraints = vec![
        key(22, "t_id_key", ConstraintKind::Unique, "UNIQUE (id)", 13),
        key(21, "t_pkey", ConstraintKind::PrimaryKey, "PRIMARY KEY (id)", 15),
    ];
    let bare = Table { indexes: Vec::new(), constraints: Vec::new(), ..t.clone() };
    let expected = [
        "ALTER TABLE ONLY s.t ADD CONSTRAINT t_id_key UNIQUE (id)",
        "CREATE UNIQUE INDEX d ON s.t USING btree (id)",
        "ALTER TABLE ONLY s.t ADD CONSTRAINT t_pkey PRIMARY KEY (id)",
        "CREATE UNIQUE INDEX b ON s.t USING btree (lower(note))",
        "CREATE UNIQUE INDEX c ON s.t USING btree (id) WHERE (id > 0)",
        "CREATE INDEX e ON s.t USING btree (note)",
        "CREATE INDEX a ON s.t USING btree (note)",
    ];
    assert_between(&of(vec![bare]), &of(vec![t]), MAJOR, &expected);
}

#[test]
fn equal_indexes_of_a_partition_that_comes_get_each_others_names() {
    let t = root(vec![note_index(11, "z", "t"), note_index(12, "a", "t")]);
    let other = index(43, "u", "CREATE UNIQUE INDEX u ON s.p USING btree (note)");
    let mut own = vec![note_index(41, "y", "p"), note_index(42, "b", "p"), Index { unique: true, ..other }];
    let before = Table { is_partition: false, bound: None, parents: Vec::new(), ..partition(own.clone()) };
    (own[0].parent, own[1].parent) = (Some(11), Some(12));
    let (mut before, mut after) = (of(vec![t.clone(), before]), of(vec![t, partition(own)]));
    let attach = "ALTER TABLE ONLY s.t ATTACH PARTITION s.p FOR VALUES IN (1)";
    let exchange = [
        "ALTER INDEX s.y RENAME TO courier_renaming_41",
        "ALTER INDEX s.b RENAME TO y",
        "ALTER INDEX s.courier_renaming_41 RENAME TO b",
    ];
    let belong = ["ALTER INDEX s.a ATTACH PARTITION s.b", "ALTER INDEX s.z ATTACH PARTITION s.y"];
    assert_between(&before, &after, MAJOR, &[&[attach], &exchange[..], &belong[..]].concat());
    let items = plan::in_order(&diff(&before, &after, MAJOR).steps, MAJOR);
    let gives_way = items.iter().find(|item| item.statement.as_str() == exchange[0]).expect("a step");
    let asked = gives_way.present_sql.as_str();
    assert!(asked.starts_with("SELECT NOT EXISTS (") && asked.contains("o.relname = 'b'"), "{asked}");
    assert!(asked.contains("p.relname = 'z'"), "{asked}");

    // What was said of one of them goes with the name.
    for image in [&mut before, &mut after] {
        image.tables[1].indexes[1].clustered = true;
        image.comments.insert((Class::Relation, 41, 0), "it".into());
    }
    let said = ["ALTER TABLE s.p CLUSTER ON b"];
    let comments = ["COMMENT ON INDEX s.b IS NULL", "COMMENT ON INDEX s.y IS 'it'"];
    let expected = [&[attach], &exchange[..], &belong[..], &said[..], &comments[..]].concat();
    assert_between(&before, &after, MAJOR, &expected);

    // The partition is there: what its indexes belong to is known.
    let mut there = after.clone();
    there.tables[1].indexes.remove(1);
    there.comments.clear();
    after.comments.clear();
    let second = ["CREATE INDEX b ON s.p USING btree (note)", belong[0], said[0]];
    assert_between(&there, &after, MAJOR, &second);
}

/// One that belongs to no index of the parent may have been taken.
#[test]
fn only_equal_indexes_are_exchanged() {
    let t = root(vec![note_index(11, "z", "t")]);
    let between = |own: Vec<Index>| {
        let image = of(vec![t.clone(), partition(own)]);
        let said = statements(&of(vec![t.clone()]), &image);
        said.into_iter().filter(|statement| statement.contains(" RENAME ")).collect::<Vec<_>>()
    };
    let other = |index: Index| between(vec![under(11, note_index(41, "x", "p")), index]);
    let exchange = [
        "ALTER INDEX s.x RENAME TO courier_renaming_41",
        "ALTER INDEX s.free RENAME TO x",
        "ALTER INDEX s.courier_renaming_41 RENAME TO free",
    ];
    assert_eq!(other(note_index(42, "free", "p")), exchange);
    assert_eq!(other(index(42, "free", "CREATE INDEX free ON s.p USING btree (note DESC)")), [""; 0]);
    assert_eq!(
        other(Index { options: vec![("fillfactor".into(), "50".into())], ..note_index(42, "free", "p") }),
        [""; 0]
    );
    assert_eq!(other(Index { blocked: true, ..note_index(42, "free", "p") }), [""; 0]);
}

/// With another type all indexes are made anew: those of partitions under other names, and with other words.
#[test]
fn an_index_is_known_by_the_one_above_when_a_type_changes() {
    let partial = |oid, name: &str, of: &str, cast: &str| {
        index(oid, name, &format!("CREATE INDEX {name} ON s.{of} USING btree (note) WHERE (note{cast} > 'a'::text)"))
    };
    let image = |shift: u32, name: &str, type_name: &str, cast: &str| {
        let mut t = root(vec![partial(11 + shift, "z", "t", cast)]);
        let mut p = partition(vec![under(11 + shift, partial(41 + shift, name, "p", cast))]);
        for table in [&mut t, &mut p] {
            table.columns[1].type_name = type_name.to_owned();
        }
        of(vec![t, p])
    };
    let (before, after) = (image(0, "own", "character varying(9)", "::text"), image(1, "p_note_idx", "text", ""));
    let expected = [
        "ALTER INDEX s.own RENAME TO p_note_idx",
        "ALTER TABLE s.t ALTER COLUMN note TYPE text USING \"note\"::text",
        "ALTER TABLE s.p ALTER COLUMN note TYPE text USING \"note\"::text",
    ];
    assert_between(&before, &after, MAJOR, &expected);
}
