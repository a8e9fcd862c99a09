use super::*;
use crate::schema::image::{Column, ConstraintKind, Owner, Sequence};
use crate::schema::samples::{child, column, constraint, image, needs, sequence, table};

const FUNCTION: Object = (Class::Proc, 900);
const LOW: u32 = 600;

fn captured(image: Image, dependencies: Vec<Dependency>) -> Captured {
    let touched = image.tables.iter().map(|table| (Class::Relation, table.oid)).collect();
    Captured { form: FORM, touched, image, dependencies, ..Captured::default() }
}

fn for_task(captured: &Captured, tables: &[u32], available: &[Object]) -> Image {
    for_trusting_task(captured, tables, available, &[])
}

fn for_trusting_task(captured: &Captured, tables: &[u32], available: &[Object], trusted: &[u32]) -> Image {
    let roles = trusted.iter().copied().collect();
    let trust = Trust { task_id: "a".to_owned(), roles };
    let none = (&HashSet::new(), &HashSet::new());
    captured.for_task(tables, &Taker { trust: &trust, available, applied: none.0, leaving: none.1 })
}

#[test]
fn what_is_written_is_what_is_read() {
    let written = captured(image(), vec![needs((Class::Constraint, 5), Some(10), FUNCTION)]);
    let text = serde_json::to_string(&written).unwrap();
    assert_eq!(serde_json::from_str::<Captured>(&text).unwrap(), written);
    let least: Captured = serde_json::from_str(r#"{"form": 1}"#).unwrap();
    assert_eq!(least.touched, []);
}

#[test]
fn parts_wait_for_what_the_destination_has_not() {
    let mut of = table(1, "t");
    of.columns.push(Column { expression: Some("f()".into()), default_oid: Some(70), ..column(3, "x", "text") });
    of.constraints.push(constraint(71, "k", ConstraintKind::Check, "CHECK (f())"));
    let dependencies = vec![
        needs((Class::AttributeDefault, 70), Some(1), FUNCTION),
        needs((Class::Constraint, 71), Some(1), FUNCTION),
    ];
    let captured = captured(Image { tables: vec![of], ..Image::default() }, dependencies);
    let without = for_task(&captured, &[1], &[]);
    assert!(without.tables[0].constraints[0].blocked && without.tables[0].columns[2].expression.is_none());
    let with = for_task(&captured, &[1], &[FUNCTION]);
    assert!(!with.tables[0].constraints[0].blocked && with.tables[0].columns[2].expression.is_some());
}

#[test]
fn a_sequence_goes_with_the_table_of_its_column() {
    let owned = Sequence { owner: Some(owner(&table(1, "t"))), ..sequence(5, "t_id_seq") };
    let image = Image { tables: vec![table(1, "t")], sequences: vec![owned], ..Image::default() };
    let mut captured = captured(image, Vec::new());
    captured.touched.push((Class::Relation, 5));
    captured.dependencies.push(needs((Class::AttributeDefault, 70), Some(1), (Class::Relation, 5)));
    assert_eq!(for_task(&captured, &[1], &[]).sequences.len(), 1);
    assert!(for_task(&captured, &[], &[]).sequences.is_empty(), "although it was touched");
}

fn owner(table: &Table) -> Owner {
    Owner { table: table.name.clone(), column: "id".to_owned() }
}

#[test]
fn what_no_followed_table_needs_is_left_out() {
    let own = Sequence { owner: None, ..sequence(5, "free") };
    let image = Image { tables: vec![table(1, "t"), child(2, "c", 1)], sequences: vec![own], ..Image::default() };
    let captured = captured(image, Vec::new());
    let seen = for_task(&captured, &[2], &[]);
    assert_eq!(seen.tables.iter().map(|table| table.oid).collect::<Vec<_>>(), [2]);
    assert!(seen.tables[0].parents.is_empty(), "its parent is not followed");
    assert!(seen.sequences.is_empty());
    let touched = Captured { touched: vec![(Class::Relation, 5)], ..captured };
    assert_eq!(for_task(&touched, &[], &[]).sequences.len(), 1, "what was touched is the caller's to judge");
}

/// Function 900 of role `low`; view 5 calls it, view 6 reads view 5.
fn code() -> Captured {
    let view = |oid, name: &str| View {
        relation: table(oid, name),
        form: crate::schema::image::ViewForm::Plain,
        definition: "SELECT 1".to_owned(),
        blocked: false,
    };
    let routine = crate::schema::image::Routine {
        oid: 900,
        level: 0,
        name: Name::new("s", "f"),
        is_procedure: false,
        arguments: String::new(),
        operands: Vec::new(),
        definition: "() RETURNS int".to_owned(),
        blocked: false,
    };
    let image = Image { views: vec![view(5, "v"), view(6, "w")], routines: vec![routine], ..Image::default() };
    let reads = crate::schema::scope::Dependency {
        relation: Some(5),
        relation_kind: Some(crate::schema::scope::RelationKind::View),
        at_table: false,
        ..needs((Class::Relation, 6), Some(6), (Class::Relation, 5))
    };
    let owned =
        |object, role: &str| Owned { object, role: role.to_owned(), role_oid: LOW, is_superuser: role == "postgres" };
    let owners =
        vec![owned(FUNCTION, "low"), owned((Class::Relation, 5), "postgres"), owned((Class::Relation, 6), "postgres")];
    let dependencies = vec![needs((Class::Relation, 5), Some(5), FUNCTION), reads];
    Captured { form: FORM, touched: image.roots().collect(), image, dependencies, owners, ..Captured::default() }
}

fn blocked(image: &Image) -> (Vec<bool>, Vec<bool>) {
    (image.routines.iter().map(|of| of.blocked).collect(), image.views.iter().map(|of| of.blocked).collect())
}

#[test]
fn code_of_a_stranger_waits_and_so_does_what_needs_it() {
    let captured = code();
    assert_eq!(blocked(&for_task(&captured, &[], &[])), (vec![true], vec![true, true]));
    assert_eq!(blocked(&for_trusting_task(&captured, &[], &[], &[LOW])), (vec![false], vec![false, false]));
    assert_eq!(blocked(&for_task(&captured, &[], &[FUNCTION])), (vec![true], vec![false, false]), "an older one");
}

/// Without `security_invoker` it reads with the rights of its owner.
#[test]
fn options_of_a_view_are_part_of_its_code() {
    let (view, plain) = ((Class::Relation, 5), code());
    let mut checked = plain.clone();
    let option = crate::schema::image::StorageOption {
        of_toast: false,
        name: "security_invoker".to_owned(),
        value: "true".to_owned(),
    };
    checked.image.views[0].relation.options.push(option);
    assert_ne!(checked.code_of(view), plain.code_of(view));
}

#[test]
fn what_was_approved_is_what_was_read_and_by_whom() {
    let approved = |task: &str, text: &str| Captured {
        approval: Some(Approval { task: task.to_owned(), code: vec![(FUNCTION, text.to_owned())] }),
        ..code()
    };
    let is_open = |captured: &Captured| !for_task(captured, &[], &[]).routines[0].blocked;
    assert!(is_open(&approved("a", "() RETURNS int")));
    assert!(!is_open(&approved("a", "() RETURNS text")), "another text");
    assert!(!is_open(&approved("b", "() RETURNS int")), "another task");
}
