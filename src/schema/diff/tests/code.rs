//! Functions, views, rules.

use super::*;
use crate::schema::image::{Operand, Plain, PlainKind, Routine, Rule, View, ViewForm};

fn routine(oid: u32, name: &str, arguments: &str, body: &str) -> Routine {
    Routine {
        oid,
        level: 0,
        name: Name::new("s", name),
        is_procedure: false,
        arguments: arguments.to_owned(),
        operands: Vec::new(),
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
    let unique = index(82, "m_id", "CREATE UNIQUE INDEX m_id ON s.m USING btree (id)");
    keyed.views[0].relation.indexes.push(Index { unique: true, ..unique });
    let create = "CREATE MATERIALIZED VIEW s.m (id, v) AS  SELECT id, note FROM s.t GROUP BY id WITH DATA";
    let key = "ALTER TABLE ONLY s.t ADD CONSTRAINT t_pkey PRIMARY KEY (id)";
    assert_between(&image(), &keyed, MAJOR, &[key, create, "CREATE UNIQUE INDEX m_id ON s.m USING btree (id)"]);
}

fn plain(kind: PlainKind, name: &str, target: &str, definition: &str) -> Plain {
    let (target, definition) = (target.to_owned(), definition.to_owned());
    Plain {
        oid: 95,
        level: 0,
        kind,
        name: Name::new("s", name),
        target,
        operands: Vec::new(),
        definition,
        blocked: false,
    }
}

#[track_caller]
fn assert_between_plain(before: &Plain, after: Plain, expected: &[&str]) {
    let with = |of: &Plain| Image { plain: vec![of.clone()], ..image() };
    assert_between(&with(before), &with(&after), MAJOR, expected);
}

#[test]
fn what_is_only_a_statement_is_altered_where_that_is_possible() {
    let text = "CREATE TEXT SEARCH CONFIGURATION s.c (PARSER = p);\nALTER TEXT SEARCH CONFIGURATION s.c ADD MAPPING FOR word WITH d";
    let before = plain(PlainKind::Configuration, "c", "s.c", text);
    assert_between_plain(
        &before,
        before.named(&Name::new("z", "e")),
        &["ALTER TEXT SEARCH CONFIGURATION s.c SET SCHEMA z", "ALTER TEXT SEARCH CONFIGURATION z.c RENAME TO e"],
    );
    let changed = |from: &str, to: &str| Plain { definition: before.definition.replace(from, to), ..before.clone() };
    let alter = "ALTER TEXT SEARCH CONFIGURATION s.c";
    assert_between_plain(
        &before,
        changed("word WITH d", "host WITH e"),
        &[&format!(
            "DO 'BEGIN\n{alter} DROP MAPPING IF EXISTS FOR host, word;\n{alter} ADD MAPPING FOR host WITH e;\nEND'"
        )],
    );
    let anew = changed("PARSER = p", "PARSER = q");
    let expected = format!("DO 'BEGIN\nDROP TEXT SEARCH CONFIGURATION s.c;\n{};\nEND'", anew.definition);
    assert_between_plain(&before, anew, &[&expected]);

    let text = "CREATE TEXT SEARCH DICTIONARY s.d (TEMPLATE = simple, stopwords = 'english', accept = 'f')";
    let before = plain(PlainKind::Dictionary, "d", "s.d", text);
    let after = Plain { definition: text.replace("stopwords = 'english', ", ""), ..before.clone() };
    assert_between_plain(&before, after, &["ALTER TEXT SEARCH DICTIONARY s.d (stopwords, accept = 'f')"]);

    let text = "CREATE OPERATOR s.+ (FUNCTION = s.f, LEFTARG = s.a, RIGHTARG = s.a)";
    let before = plain(PlainKind::Operator, "+", "s.+ (s.a, s.a)", text);
    let after = Plain { definition: text.replace("s.a)", "s.a, JOIN = eqjoinsel)"), ..before.clone() };
    assert_between_plain(&before, after, &["ALTER OPERATOR s.+ (s.a, s.a) SET (RESTRICT = NONE, JOIN = eqjoinsel)"]);
    let mut other = before.clone();
    let operand = Operand { shown: "s.a".to_owned(), of: Some((Class::Type, 7)) };
    other.operands = vec![operand.clone(), operand];
    other.respell(&|_| Some(Name::new("s", "b")));
    assert_eq!(other.definition, text.replace("s.a", "s.b"));
    let dropped = Image { plain: vec![other], ..image() };
    assert_between(&dropped, &image(), MAJOR, &["DROP OPERATOR s.+ (s.b, s.b)"]);
}

#[test]
fn members_come_and_go_one_by_one() {
    let head = "CREATE OPERATOR FAMILY s.f USING btree";
    let alter = "ALTER OPERATOR FAMILY s.f USING btree";
    let family = |member: &str| {
        plain(PlainKind::OperatorFamily, "f", "s.f USING btree", &format!("{head};\n{alter} ADD {member}"))
    };
    let statement =
        format!("DO 'BEGIN\n{alter} DROP OPERATOR 1 (a,a);\n{alter} ADD FUNCTION 1 (a, a) s.cmp(a,a);\nEND'");
    assert_between_plain(&family("OPERATOR 1 s.<(a,a)"), family("FUNCTION 1 (a, a) s.cmp(a,a)"), &[&statement]);
    let class = |members: &str| {
        let text = format!("CREATE OPERATOR CLASS s.c FOR TYPE a USING btree FAMILY s.f AS STORAGE a{members}");
        plain(PlainKind::OperatorClass, "c", "s.c USING btree", &text)
    };
    let statement = format!("DO 'BEGIN\n{alter} ADD OPERATOR 1 s.<(a,a);\nEND'");
    assert_between_plain(&class(""), class(", OPERATOR 1 s.<(a,a)"), &[&statement]);
    let renamed = ["ALTER OPERATOR CLASS s.c USING btree RENAME TO d"];
    assert_between_plain(&class(""), class("").named(&Name::new("s", "d")), &renamed);
}

/// It may not have been made anew: nothing of what was said about it is said twice, or lost.
#[test]
fn what_is_made_anew_keeps_its_comment() {
    let cast = |function: &str| {
        let text = format!("CREATE CAST (s.a AS text) WITH FUNCTION {function}");
        let comments = [((Class::Cast, 95, 0), "c".to_owned())].into();
        Image { plain: vec![plain(PlainKind::Cast, "a", "(s.a AS text)", &text)], comments, ..image() }
    };
    let anew = "DO 'BEGIN\nDROP CAST (s.a AS text);\nCREATE CAST (s.a AS text) WITH FUNCTION g;\nEND'";
    assert_between(&cast("f"), &cast("g"), MAJOR, &[anew, "COMMENT ON CAST (s.a AS text) IS 'c'"]);
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
