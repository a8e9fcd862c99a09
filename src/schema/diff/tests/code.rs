//! Functions, views, rules.

use super::*;
use crate::schema::image::{Routine, Rule, View, ViewForm};

fn routine(oid: u32, name: &str, arguments: &str, body: &str) -> Routine {
    Routine {
        oid,
        level: 0,
        name: Name::new("s", name),
        is_procedure: false,
        arguments: arguments.to_owned(),
        definition: format!("(a {arguments})\n RETURNS integer AS '{body}'"),
        blocked: false,
    }
}

fn view(oid: u32, name: &str, query: &str) -> View {
    let columns = vec![column(1, "id", "integer"), column(2, "v", "text")];
    let relation = Table { columns, ..table(oid, name) };
    View { relation, form: ViewForm::Plain, definition: format!(" {query}"), blocked: false }
}

fn materialized(oid: u32, name: &str, query: &str) -> View {
    View { form: ViewForm::Materialized { populated: true }, ..view(oid, name, query) }
}

fn rule(oid: u32, name: &str, action: &str) -> Rule {
    Rule {
        oid,
        name: name.to_owned(),
        definition: format!("CREATE RULE {name} AS\n    ON DELETE TO s.t DO INSTEAD {action}"),
        firing: Firing::Enabled,
        blocked: false,
    }
}

const F: &str = "CREATE OR REPLACE FUNCTION s.f(a integer)\n RETURNS integer AS '1'";

#[test]
fn routines_come_change_and_go() {
    assert_both_ways(|i| i.routines.push(routine(70, "f", "integer", "1")), &[F], &["DROP FUNCTION s.f(integer)"]);
    let with = |change: &dyn Fn(&mut Routine)| {
        let mut of = routine(70, "f", "integer", "1");
        change(&mut of);
        Image { routines: vec![of], ..image() }
    };
    let before = with(&|_| ());
    let between = |change: &dyn Fn(&mut Routine), expected: &[&str]| {
        assert_between(&before, &with(change), MAJOR, expected);
    };
    between(&|f| f.definition = f.definition.replace('1', "2"), &[&F.replace('1', "2")]);
    between(&|f| f.name.name = "G".into(), &["ALTER FUNCTION s.f(integer) RENAME TO \"G\""]);
    between(
        &|f| f.name = Name::new("z", "g"),
        &["ALTER FUNCTION s.f(integer) SET SCHEMA z", "ALTER FUNCTION z.f(integer) RENAME TO g"],
    );
    between(&|f| f.blocked = true, &[]);
    assert_between(&with(&|f| f.blocked = true), &before, MAJOR, &[F]);
    assert_between(&with(&|f| f.blocked = true), &image(), MAJOR, &[]);
}

/// A new function may be executed by everybody, unless the source took that away.
#[test]
fn what_is_said_about_a_routine() {
    let mut after = Image { routines: vec![routine(70, "f", "integer", "1")], ..image() };
    after.comments.insert((Class::Proc, 70, 0), "c".to_owned());
    let grants =
        vec![Grant { place: 1, grantee: Some("r".into()), privileges: vec!["EXECUTE".into()], with_option: false }];
    after.privileges.insert((Class::Proc, 70, 0), Privileges { grants, public_revoked: true });
    let revoke = "REVOKE ALL ON FUNCTION s.f(integer) FROM PUBLIC";
    let grant = "GRANT EXECUTE ON FUNCTION s.f(integer) TO r";
    let comment = "COMMENT ON FUNCTION s.f(integer) IS 'c'";
    assert_between(&image(), &after, MAJOR, &[F, comment, revoke, grant]);
    let mut open = after.clone();
    open.privileges.clear();
    let back = ["REVOKE EXECUTE ON FUNCTION s.f(integer) FROM r", "GRANT EXECUTE ON FUNCTION s.f(integer) TO PUBLIC"];
    assert_between(&after, &open, MAJOR, &back);
}

#[test]
fn views_come_change_and_go() {
    let create = "CREATE OR REPLACE VIEW s.w (id, v) AS  SELECT id, note FROM s.t";
    assert_both_ways(|i| i.views.push(view(80, "w", "SELECT id, note FROM s.t")), &[create], &["DROP VIEW s.w"]);
    let with = |change: &dyn Fn(&mut View)| {
        let mut of = view(80, "w", "SELECT id, note FROM s.t");
        change(&mut of);
        Image { views: vec![of], ..image() }
    };
    let before = with(&|_| ());
    let between = |change: &dyn Fn(&mut View), expected: &[&str]| {
        assert_between(&before, &with(change), MAJOR, expected);
    };
    between(&|w| w.relation.name.name = "x".into(), &["ALTER VIEW s.w RENAME TO x"]);
    between(&|w| w.relation.columns[1].name = "n".into(), &["ALTER TABLE s.w RENAME COLUMN v TO n"]);
    let option = StorageOption { of_toast: false, name: "security_barrier".into(), value: "true".into() };
    let barrier = "CREATE OR REPLACE VIEW s.w (id, v) WITH (security_barrier='true') AS  SELECT id, note FROM s.t";
    between(&|w| w.relation.options.push(option.clone()), &[barrier]);
    let default = "ALTER TABLE ONLY s.w ALTER COLUMN v SET DEFAULT 'x'";
    between(&|w| w.relation.columns[1].expression = Some("'x'".into()), &[default]);
    between(
        &|w| w.relation.triggers.push(trigger(81, "ins")),
        &["CREATE TRIGGER ins BEFORE INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION f()"],
    );
    between(&|w| w.blocked = true, &[]);
    assert_between(&with(&|w| w.blocked = true), &before, MAJOR, &[create]);
}

/// A view goes before the column that it reads, and comes after the key that it groups by.
#[test]
fn views_and_what_they_read() {
    let mut before = image();
    before.views.push(view(80, "w", "SELECT id, note FROM s.t"));
    let mut after = image();
    after.tables[0].columns.retain(|column| column.name != "note");
    after.tables[0].indexes.clear();
    after.tables[0].statistics.clear();
    let said = statements(&before, &after);
    let place = |what: &str| said.iter().position(|statement| statement.contains(what));
    assert!(place("DROP VIEW s.w") < place("DROP COLUMN note"), "{said:?}");
    let mut keyed = image();
    keyed.tables[0].constraints.push(constraint(51, "t_pkey", ConstraintKind::PrimaryKey, "PRIMARY KEY (id)"));
    keyed.views.push(materialized(80, "m", "SELECT id, note FROM s.t GROUP BY id"));
    keyed.views[0].relation.indexes.push(index(82, "m_id", "CREATE UNIQUE INDEX m_id ON s.m USING btree (id)"));
    let create = "CREATE MATERIALIZED VIEW s.m (id, v) AS  SELECT id, note FROM s.t GROUP BY id WITH DATA";
    let key = "ALTER TABLE ONLY s.t ADD CONSTRAINT t_pkey PRIMARY KEY (id)";
    assert_between(&image(), &keyed, MAJOR, &[key, create, "CREATE UNIQUE INDEX m_id ON s.m USING btree (id)"]);
}

#[test]
fn rules_come_change_and_go() {
    let create = "CREATE OR REPLACE RULE r AS\n    ON DELETE TO s.t DO INSTEAD NOTHING";
    assert_both_ways(|i| i.tables[0].rules.push(rule(90, "r", "NOTHING")), &[create], &["DROP RULE r ON s.t"]);
    let with = |change: &dyn Fn(&mut Rule)| {
        let mut of = rule(90, "r", "NOTHING");
        change(&mut of);
        let mut image = image();
        image.tables[0].rules.push(of);
        image
    };
    let before = with(&|_| ());
    let between = |change: &dyn Fn(&mut Rule), expected: &[&str]| {
        assert_between(&before, &with(change), MAJOR, expected);
    };
    between(&|r| r.firing = Firing::Disabled, &["ALTER TABLE s.t DISABLE RULE r"]);
    between(&|r| r.name = "q".into(), &["ALTER RULE r ON s.t RENAME TO q"]);
    between(&|r| r.definition = r.definition.replace("NOTHING", "SELECT 1"), &[&create.replace("NOTHING", "SELECT 1")]);
    between(&|r| r.blocked = true, &[]);
}
