//! Parts of tables.

use super::*;

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

#[test]
fn constraints_change_under_their_oid() {
    let with = |change: &dyn Fn(&mut Constraint)| {
        let mut with = image();
        let key = "FOREIGN KEY (id) REFERENCES s.u(id)";
        let mut key = constraint(50, "fk", ConstraintKind::ForeignKey, key);
        change(&mut key);
        with.tables[0].constraints.push(key);
        with
    };
    let plain = with(&|_| ());
    let late = with(&|k| (k.validated, k.definition) = (false, format!("{} NOT VALID", k.definition)));
    assert_between(&late, &plain, MAJOR, &["ALTER TABLE s.t VALIDATE CONSTRAINT fk"]);
    let deferred = with(&|k| {
        (k.deferrable, k.deferred) = (true, true);
        k.definition.push_str(" DEFERRABLE INITIALLY DEFERRED");
    });
    let defer = "ALTER TABLE s.t ALTER CONSTRAINT fk DEFERRABLE INITIALLY DEFERRED";
    assert_between(&plain, &deferred, MAJOR, &[defer]);
    assert_between(&deferred, &plain, MAJOR, &["ALTER TABLE s.t ALTER CONSTRAINT fk NOT DEFERRABLE"]);
    assert_between(&plain, &with(&|k| k.name = "fl".into()), MAJOR, &["ALTER TABLE s.t RENAME CONSTRAINT fk TO fl"]);
    let other = with(&|k| k.definition = "FOREIGN KEY (id) REFERENCES s.renamed(id)".into());
    assert_between(&plain, &other, MAJOR, &[]);
    let unenforced = with(&|k| k.definition.push_str(" NOT ENFORCED"));
    assert_between(&plain, &unenforced, 18, &["ALTER TABLE s.t ALTER CONSTRAINT fk NOT ENFORCED"]);
}

/// One of the same name with another definition is another one, unless the server made it with a column's type.
#[test]
fn constraints_under_another_oid() {
    let check = |oid, definition: &str| constraint(oid, "positive", ConstraintKind::Check, definition);
    assert_altered(
        |t| t.constraints = vec![check(99, "CHECK ((id > 1))")],
        &["ALTER TABLE s.t DROP CONSTRAINT positive", "ALTER TABLE s.t ADD CONSTRAINT positive CHECK ((id > 1))"],
    );
    assert_altered(|t| t.constraints = vec![check(99, "CHECK ((id > 0))")], &[]);
    let renewed = |t: &mut Table| {
        t.columns[0].type_name = "bigint".into();
        t.constraints = vec![check(99, "CHECK ((id > 0))")];
        t.indexes[0].oid = 98;
        t.statistics[0].oid = 97;
    };
    let typed = "ALTER TABLE s.t ALTER COLUMN id TYPE bigint USING \"id\"::bigint";
    assert_altered(renewed, &[typed]);
    let other = |t: &mut Table| {
        t.columns[0].type_name = "bigint".into();
        t.constraints = vec![check(99, "CHECK ((id > (0)::bigint))")];
    };
    let (before, mut after) = (image(), image());
    other(&mut after.tables[0]);
    let items = plan::in_order(&diff(&before, &after, MAJOR).steps, MAJOR);
    let drop = items.iter().find(|item| item.statement.as_str().contains("DROP")).expect("a step");
    let asked =
        "o.conname = 'positive' AND (NOT pg_catalog.pg_get_constraintdef(o.oid) = 'CHECK ((id > (0)::bigint))')";
    assert!(drop.present_sql.as_str().contains(asked), "{}", drop.present_sql);
}

#[test]
fn a_key_of_an_index_that_is_there() {
    let unique = |constraint, name: &str| Index {
        constraint,
        unique: true,
        definition: constraint.is_none().then(|| format!("CREATE UNIQUE INDEX {name} ON s.t USING btree (id)")),
        ..index(51, name, "")
    };
    let (mut before, mut after) = (image(), image());
    before.tables[0].indexes.push(unique(None, "u"));
    after.tables[0].indexes.push(unique(Some(52), "key"));
    let key = constraint(52, "key", ConstraintKind::PrimaryKey, "PRIMARY KEY (id)");
    after.tables[0].constraints.push(Constraint { index: Some(51), ..key });
    assert_between(&before, &after, MAJOR, &["ALTER TABLE s.t ADD CONSTRAINT key PRIMARY KEY USING INDEX u"]);
    before.tables[0].indexes[1].usable = false;
    assert_between(&before, &after, MAJOR, &["ALTER TABLE ONLY s.t ADD CONSTRAINT key PRIMARY KEY (id)"]);
}

#[test]
fn indexes_change_under_their_oid() {
    let target = |target| IndexStatistics { attnum: 1, attname: "note".into(), target };
    assert_both_ways(
        |image| {
            let index = &mut image.tables[0].indexes[0];
            index.options = vec![("fillfactor".into(), "50".into())];
            index.statistics = vec![target(7)];
            index.clustered = true;
            // Options are a part of it.
            index.definition = Some("CREATE INDEX t_note ON s.t USING btree (note) WITH (fillfactor='50')".into());
        },
        &[
            "ALTER INDEX s.t_note ALTER COLUMN 1 SET STATISTICS 7",
            "ALTER INDEX s.t_note SET (fillfactor='50')",
            "ALTER TABLE s.t CLUSTER ON t_note",
        ],
        &[
            "ALTER INDEX s.t_note RESET (fillfactor)",
            "ALTER INDEX s.t_note ALTER COLUMN 1 SET STATISTICS -1",
            "ALTER TABLE s.t SET WITHOUT CLUSTER",
        ],
    );
    let made = "CREATE INDEX t_note ON s.t USING btree (note)";
    let (mut before, after) = (image(), image());
    before.tables[0].indexes[0].usable = false;
    assert_between(&before, &after, MAJOR, &[made]);
    assert_between(&after, &before, MAJOR, &[]);
}

/// Built anew beside the table it is the same index, also where something else says so by its number.
#[test]
fn an_index_under_another_oid() {
    let (mut before, mut after) = (image(), image());
    for image in [&mut before, &mut after] {
        image.tables[0].replica_identity = ReplicaIdentity::Index;
        image.tables[0].indexes[0].is_replica_identity = true;
    }
    after.tables[0].indexes[0].oid = 99;
    before.comments.insert((Class::Relation, 11, 0), "it".into());
    after.comments.insert((Class::Relation, 99, 0), "it".into());
    assert_between(&before, &after, MAJOR, &[]);
    after.tables[0].indexes[0].name = "x".into();
    after.tables[0].indexes[0].definition = Some("CREATE INDEX x ON s.t USING btree (note)".into());
    assert_between(&before, &after, MAJOR, &["ALTER INDEX s.t_note RENAME TO x"]);
    let hash = |t: &mut Table| t.indexes = vec![index(99, "t_note", "CREATE INDEX t_note ON s.t USING hash (note)")];
    assert_altered(hash, &["DROP INDEX s.t_note", "CREATE INDEX t_note ON s.t USING hash (note)"]);
}

#[test]
fn an_index_comes_under_one_of_a_partitioned_table() {
    let with = |parent| {
        let mut with = image();
        let mut partition = Table { is_partition: true, ..child(40, "p", 10) };
        partition.indexes.push(Index { parent, ..index(41, "i", "CREATE INDEX i ON s.p USING btree (note)") });
        with.tables.push(partition);
        with
    };
    assert_between(&with(None), &with(Some(11)), MAJOR, &["ALTER INDEX s.t_note ATTACH PARTITION s.i"]);
}

#[test]
fn triggers_change() {
    let changed = |t: &mut Table| {
        t.triggers[0].definition = "CREATE TRIGGER audit AFTER INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION f()".into();
    };
    let replaced = "CREATE OR REPLACE TRIGGER audit AFTER INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION f()";
    assert_altered(changed, &[replaced]);
    let (before, mut after) = (image(), image());
    changed(&mut after.tables[0]);
    let again =
        ["DROP TRIGGER audit ON s.t", "CREATE TRIGGER audit AFTER INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION f()"];
    assert_between(&before, &after, 13, &again);
    assert_altered(|t| t.triggers[0].name = "x".into(), &["ALTER TRIGGER audit ON s.t RENAME TO x"]);
    assert_altered(
        |t| t.triggers.push(trigger(60, "more")),
        &["CREATE TRIGGER more BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION f()"],
    );
}

#[test]
fn policies_change() {
    assert_altered(
        |t| t.policies[0].using = Some("id > 0".into()),
        &["ALTER POLICY all_rows ON s.t TO PUBLIC USING (id > 0)"],
    );
    assert_altered(
        |t| (t.policies[0].to_public, t.policies[0].roles) = (false, vec!["Reader".into()]),
        &["ALTER POLICY all_rows ON s.t TO \"Reader\" USING (true)"],
    );
    assert_altered(|t| t.policies[0].name = "x".into(), &["ALTER POLICY all_rows ON s.t RENAME TO x"]);
}

/// A permissive policy goes where a restrictive one comes that cannot be made, and is back with it.
#[test]
fn policies_never_show_too_much() {
    let mut restrictive = policy(60, "narrow");
    restrictive.permissive = false;
    restrictive.blocked = true;
    let mut hidden = image();
    hidden.tables[0].policies.push(restrictive);
    assert_between(&image(), &hidden, MAJOR, &["DROP POLICY all_rows ON s.t"]);
    let mut shown = hidden.clone();
    shown.tables[0].policies[1].blocked = false;
    assert_between(
        &hidden,
        &shown,
        MAJOR,
        &[
            "CREATE POLICY narrow ON s.t AS RESTRICTIVE FOR SELECT TO PUBLIC USING (true)",
            "CREATE POLICY all_rows ON s.t FOR SELECT TO PUBLIC USING (true)",
        ],
    );
}

#[test]
fn statistics_change() {
    assert_both_ways(
        |image| image.tables[0].statistics[0].target = Some(50),
        &["ALTER STATISTICS s.t_both SET STATISTICS 50"],
        &["ALTER STATISTICS s.t_both SET STATISTICS -1"],
    );
    assert_altered(|t| t.statistics[0].name = Name::new("z", "t_both"), &["ALTER STATISTICS s.t_both SET SCHEMA z"]);
    assert_altered(|t| t.statistics.push(statistics(60, "more")), &["CREATE STATISTICS s.more ON id, note FROM s.t"]);
}

/// The table that a foreign key refers to has left: it would be held fast there. What else needs something that is gone stays as it is.
#[test]
fn a_foreign_key_to_what_has_left_goes() {
    let definition = "FOREIGN KEY (id) REFERENCES s.u(id)";
    let mut before = image();
    let key = constraint(70, "t_fk", ConstraintKind::ForeignKey, definition);
    before.tables[0].constraints.push(key.clone());
    let mut after = image();
    after.tables[0].constraints[0].blocked = true;
    let blocked = Constraint {
        blocked: true,
        name: "t_key".into(),
        definition: "FOREIGN KEY (id) REFERENCES x.u(id)".into(),
        ..key
    };
    after.tables[0].constraints.push(blocked);
    assert_between(&before, &after, MAJOR, &["ALTER TABLE s.t DROP CONSTRAINT t_fk"]);
    assert_between(&after, &after, MAJOR, &[]);
    let made = "ALTER TABLE ONLY s.t ADD CONSTRAINT t_fk FOREIGN KEY (id) REFERENCES s.u(id)";
    after.tables[0].constraints[0].blocked = false;
    assert_between(&after, &before, MAJOR, &[made]);
}

/// Parts that waited for something that is there now.
#[test]
fn what_was_blocked_is_made() {
    let mut before = image();
    let t = &mut before.tables[0];
    (t.constraints[0].blocked, t.indexes[0].blocked, t.triggers[0].blocked) = (true, true, true);
    (t.policies[0].blocked, t.statistics[0].blocked) = (true, true);
    before.comments.insert((Class::Constraint, 12, 0), "it".into());
    let mut after = image();
    after.comments = before.comments.clone();
    let expected = [
        "CREATE INDEX t_note ON s.t USING btree (note)",
        "CREATE STATISTICS s.t_both ON id, note FROM s.t",
        "ALTER TABLE s.t ADD CONSTRAINT positive CHECK ((id > 0))",
        "CREATE TRIGGER audit BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION f()",
        "CREATE POLICY all_rows ON s.t FOR SELECT TO PUBLIC USING (true)",
        "COMMENT ON CONSTRAINT positive ON s.t IS 'it'",
    ];
    assert_between(&before, &after, MAJOR, &expected);
}

/// 18: NOT NULL has a name, and comes before a key that would make one.
#[test]
fn not_null_is_a_constraint() {
    let (before, mut after) = (image(), image());
    let t = &mut after.tables[0];
    t.columns[1].not_null = true;
    let named = constraint(60, "there", ConstraintKind::NotNull, "NOT NULL note");
    t.constraints.push(Constraint { columns: vec![2], ..named });
    t.constraints.push(constraint(61, "t_pkey", ConstraintKind::PrimaryKey, "PRIMARY KEY (note)"));
    let expected = [
        "ALTER TABLE s.t ADD CONSTRAINT there NOT NULL note",
        "ALTER TABLE ONLY s.t ADD CONSTRAINT t_pkey PRIMARY KEY (note)",
    ];
    assert_between(&before, &after, 18, &expected);
    let back = ["ALTER TABLE s.t DROP CONSTRAINT t_pkey", "ALTER TABLE s.t DROP CONSTRAINT there"];
    assert_between(&after, &before, 18, &back);
}
