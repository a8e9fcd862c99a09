//! In which order objects can be created that are all new, where functions and views take part: they need tables, and tables need them.
//!
//! Functions come among the tables, views behind the keys, which a query may lean on. Two rules bend that: a view that a table or a type
//! needs (a column of its row type) comes before it, and a function that needs a view comes behind it, unless a table needs the function.
//! Where a table and a function need each other (a check that takes the whole row), the check or the default comes later.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::diff::{Action, ColumnChange, Element, Step, Subject, Value};
use super::image::{Class, Image, Plain, PlainKind, Routine, View};
use super::kind::Kind;
use super::scope::{Dependency, Object};

#[derive(Debug, Default)]
pub struct Order {
    levels: HashMap<Object, i64>,
    early_views: HashSet<u32>,
    late_code: HashSet<Object>,
    /// Defaults and checks.
    late_parts: HashSet<Object>,
}

struct Edge {
    part: Object,
    from: Object,
    to: Object,
}

impl Order {
    pub fn of(image: &Image, dependencies: &[Dependency]) -> Order {
        let views = image.views.iter().map(|view| (Class::Relation, view.oid())).collect();
        Order::among(&image.roots().collect(), &views, dependencies)
    }

    /// `roots`: all objects, views among them.
    pub fn among(roots: &HashSet<Object>, views: &HashSet<Object>, dependencies: &[Dependency]) -> Order {
        let edge = |of: &Dependency| of.edge().map(|(from, to)| Edge { part: of.part, from, to });
        let mut edges: Vec<Edge> = dependencies.iter().filter_map(edge).collect();
        edges.retain(|edge| edge.from != edge.to && roots.contains(&edge.from) && roots.contains(&edge.to));

        let mut order = Order::default();
        let forward = neighbours(edges.iter().map(|edge| (edge.from, edge.to)));
        let can_wait = |edge: &Edge| {
            let is_part = matches!(edge.part.0, Class::AttributeDefault | Class::Constraint);
            is_part && edge.to.0.is_code()
        };
        for edge in edges.iter().filter(|edge| can_wait(edge)) {
            if reached(&forward, [edge.to]).contains(&edge.from) {
                order.late_parts.insert(edge.part);
            }
        }
        edges.retain(|edge| !order.late_parts.contains(&edge.part));

        let forward = neighbours(edges.iter().map(|edge| (edge.from, edge.to)));
        let is_early = |object: &Object| !object.0.is_code() && !views.contains(object);
        let early = reached(&forward, edges.iter().map(|edge| edge.from).filter(is_early));
        let backward = neighbours(edges.iter().map(|edge| (edge.to, edge.from)));
        let behind_views = reached(&backward, views.iter().copied());
        order.early_views = early.intersection(views).map(|view| view.1).collect();
        order.late_code = behind_views.difference(&early).filter(|object| object.0.is_code()).copied().collect();
        order.rank(&edges);
        order
    }

    /// Objects, each list after what it needs. What are parts of tables counts as well: they are all there.
    pub fn in_levels(&self, objects: impl IntoIterator<Item = Object>) -> Vec<Vec<Object>> {
        let mut levels: BTreeMap<i64, Vec<Object>> = BTreeMap::new();
        for object in objects {
            levels.entry(self.levels.get(&object).copied().unwrap_or_default()).or_default().push(object);
        }
        levels.into_values().collect()
    }

    /// The level is the length of the longest path. What is still a circle ends somewhere: its statements fail, and say why.
    fn rank(&mut self, edges: &[Edge]) {
        const LONGEST: usize = 100;
        for _ in 0..LONGEST {
            let mut is_stable = true;
            for Edge { from, to, .. } in edges {
                let level = self.levels.get(to).copied().unwrap_or_default() + 1;
                if self.levels.get(from).copied().unwrap_or_default() < level {
                    self.levels.insert(*from, level);
                    is_stable = false;
                }
            }
            if is_stable {
                break;
            }
        }
    }

    /// Gives the objects their levels.
    pub fn rank_objects(&self, image: &mut Image) {
        let level = |class, oid| self.levels.get(&(class, oid)).copied().unwrap_or_default();
        image.tables.iter_mut().for_each(|of| of.level = level(Class::Relation, of.oid));
        image.types.iter_mut().for_each(|of| of.level = level(Class::Type, of.oid));
        image.routines.iter_mut().for_each(|of| of.level = level(Class::Proc, of.oid));
        image.views.iter_mut().for_each(|of| of.relation.level = level(Class::Relation, of.oid()));
        image.plain.iter_mut().for_each(|of| of.level = level(of.class(), of.oid));
    }

    /// Puts the steps that create an image into their places.
    pub fn place<'a>(&self, image: &'a Image, steps: Vec<Step<'a>>) -> Vec<Step<'a>> {
        let mut placed = Vec::with_capacity(steps.len());
        for mut step in steps {
            match &mut step.action {
                Action::CreateRoutine(routine) => {
                    let routine: &'a Routine = routine;
                    let is_late = self.late_code.contains(&(Class::Proc, routine.oid));
                    step.kind = if is_late { Kind::LateRoutine } else { Kind::Routine };
                    step.action = Action::MakeRoutine(routine);
                    let subject = Subject::routine(routine, routine.name.cow());
                    placed.extend(revoked(image, routine.oid, subject, step.level, is_late));
                }
                Action::RevokePublic { subject } if subject.is_routine() => continue,
                Action::CreatePlain(plain) => {
                    let plain: &'a Plain = plain;
                    let is_late = self.late_code.contains(&(plain.class(), plain.oid));
                    if is_late {
                        step.kind = Kind::LatePlain;
                    }
                    if plain.kind == PlainKind::Aggregate {
                        placed.extend(revoked(image, plain.oid, Subject::plain(plain), step.level, is_late));
                    }
                }
                Action::CreateView(view) => {
                    let view: &'a View = view;
                    if self.early_views.contains(&view.oid()) {
                        step.kind = Kind::EarlyView;
                    }
                    step.action = Action::MakeView(view);
                    if view.is_populated() {
                        let fill = Action::FillView(view);
                        placed.push(Step { kind: Kind::Refresh, level: view.relation.level, action: fill });
                    }
                }
                Action::CreateTable { .. } => self.take_out_late(&mut step, &mut placed),
                _ => {}
            }
            placed.push(step);
        }
        placed
    }

    fn take_out_late<'a>(&self, step: &mut Step<'a>, placed: &mut Vec<Step<'a>>) {
        let Action::CreateTable { table, elements, .. } = &mut step.action else { return };
        let (table, level) = (*table, step.level);
        elements.retain_mut(|element| match element {
            Element::Constraint(constraint) if self.late_parts.contains(&(Class::Constraint, constraint.oid)) => {
                let action = Action::AddConstraint { table, constraint };
                placed.push(Step { kind: Kind::Check, level, action });
                false
            }
            Element::Column(of) => {
                let default = of.column.default_oid.unwrap_or_default();
                if let Some(Value::Default(text)) = of.value
                    && self.late_parts.contains(&(Class::AttributeDefault, default))
                {
                    let change = ColumnChange::FirstDefault(text);
                    let action = Action::AlterColumn { table, column: of.column, change };
                    placed.push(Step { kind: Kind::LateDefault, level, action });
                    of.value = None;
                }
                true
            }
            Element::Constraint(_) => true,
        });
    }
}

/// Takes a routine from everybody in the transaction that creates it.
fn revoked<'a>(image: &Image, oid: u32, subject: Subject<'a>, level: i64, is_late: bool) -> Option<Step<'a>> {
    let is_revoked = image.privileges.get(&(Class::Proc, oid, 0)).is_some_and(|of| of.public_revoked);
    let kind = if is_late { Kind::LateRoutineRevoke } else { Kind::RoutineRevoke };
    is_revoked.then_some(Step { kind, level, action: Action::RevokePublic { subject } })
}

/// Functions and views that are created with the tables. Those without which tables, types, or parts of them could not be; and functions that
/// are bound to no columns and no query: others may call them in texts that nobody looks into.
pub fn needed_code(image: &Image, dependencies: &[Dependency]) -> HashSet<Object> {
    let tables: HashSet<u32> = image.tables.iter().map(|table| table.oid).collect();
    let views: HashSet<u32> = image.views.iter().map(View::oid).collect();
    // What a part needs, its table needs.
    let whose = |of: &Dependency| match (of.table, of.domain) {
        (Some(table), _) => (Class::Relation, table),
        (None, Some(domain)) => (Class::Type, domain),
        (None, None) => of.part,
    };
    let needs = |of: &Dependency| {
        let view = of.view().map(|oid| (Class::Relation, oid));
        let element = of.element.or(of.range).filter(|_| of.on.0 == Class::Type).map(|oid| (Class::Type, oid));
        [Some(of.on), view, element].into_iter().flatten().map(move |on| (whose(of), on)).collect::<Vec<_>>()
    };
    let forward = neighbours(dependencies.iter().flat_map(needs));
    // What an expression casts by is recorded nowhere.
    let is_start = |object: &Object| match object.0 {
        Class::Relation => tables.contains(&object.1),
        class => class == Class::Cast || !class.is_code(),
    };
    let starts: Vec<Object> = forward.keys().copied().filter(is_start).collect();
    // One without a function only a superuser may create: where nobody is, the rest goes on.
    let can_be_made = |of: &&Plain| of.kind == PlainKind::Cast && !of.definition.contains(" WITHOUT FUNCTION");
    let casts = image.plain.iter().filter(can_be_made).map(|of| (of.class(), of.oid));
    let is_view = |object: &Object| object.0 == Class::Relation && views.contains(&object.1);
    let backward = neighbours(dependencies.iter().flat_map(needs).map(|(from, to)| (to, from)));
    let is_bound = |of: &&Dependency| of.part.0.is_code() && of.on.0 == Class::Relation;
    let bound: Vec<Object> = dependencies.iter().filter(is_bound).map(|of| of.part).collect();
    let views = image.views.iter().map(|view| (Class::Relation, view.oid()));
    let bound: HashSet<Object> =
        reached(&backward, bound.iter().copied().chain(views)).into_iter().chain(bound.iter().copied()).collect();
    // Anybody may create these. What is refused the stream leaves out, and says so.
    let is_trusted =
        |of: &&Routine| ["\n LANGUAGE sql\n", "\n LANGUAGE plpgsql\n"].iter().any(|word| of.definition.contains(word));
    let routines = image.routines.iter().filter(is_trusted).map(|of| (Class::Proc, of.oid));
    let is_plain = |of: &&Plain| of.kind != PlainKind::Cast && !of.definition.contains("STYPE = internal");
    let plain = image.plain.iter().filter(is_plain).map(|of| (of.class(), of.oid));
    let free = routines.chain(plain).filter(|object| !bound.contains(object));
    let needed = reached(&forward, starts).into_iter().chain(casts).chain(free);
    needed.filter(|object| object.0.is_code() || is_view(object)).collect()
}

fn neighbours(edges: impl Iterator<Item = (Object, Object)>) -> HashMap<Object, Vec<Object>> {
    let mut neighbours: HashMap<Object, Vec<Object>> = HashMap::new();
    edges.for_each(|(from, to)| neighbours.entry(from).or_default().push(to));
    neighbours
}

/// From the objects on: they themselves only where one leads back to them.
fn reached(neighbours: &HashMap<Object, Vec<Object>>, objects: impl IntoIterator<Item = Object>) -> HashSet<Object> {
    let mut seen = HashSet::new();
    let mut waiting: Vec<Object> = objects.into_iter().collect();
    while let Some(object) = waiting.pop() {
        let next = neighbours.get(&object).into_iter().flatten();
        waiting.extend(next.filter(|object| seen.insert(**object)));
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::diff::diff;
    use crate::schema::image::{Name, Routine, Table, View, ViewForm};
    use crate::schema::samples::{needs, table};
    use crate::schema::scope::RelationKind;

    const TABLE: Object = (Class::Relation, 1);
    const VIEW: Object = (Class::Relation, 2);
    const DEFAULT: Object = (Class::AttributeDefault, 10);
    const FUNCTION: Object = (Class::Proc, 20);
    const OTHER: Object = (Class::Proc, 21);

    fn routine(oid: u32) -> Routine {
        Routine {
            oid,
            level: 0,
            name: Name::new("s", format!("f{oid}")),
            is_procedure: false,
            arguments: String::new(),
            operands: Vec::new(),
            definition: "()\n RETURNS integer\n LANGUAGE sql\nAS $$SELECT 1$$".into(),
            blocked: false,
        }
    }

    fn image() -> Image {
        let mut with_default = table(TABLE.1, "t");
        with_default.columns[0].default_oid = Some(DEFAULT.1);
        with_default.columns[0].expression = Some("s.f20()".into());
        let relation = Table { columns: Vec::new(), ..table(VIEW.1, "v") };
        let view =
            View { relation, form: ViewForm::Materialized { populated: true }, definition: "q".into(), blocked: false };
        Image {
            tables: vec![with_default],
            views: vec![view],
            routines: vec![routine(FUNCTION.1), routine(OTHER.1)],
            ..Image::default()
        }
    }

    fn on_relation(part: Object, table: Option<u32>, on: Object, kind: RelationKind) -> Dependency {
        Dependency { relation: Some(on.1), relation_kind: Some(kind), ..needs(part, table, on) }
    }

    fn of_view(part: Object) -> Dependency {
        on_relation(part, None, VIEW, RelationKind::View)
    }

    fn of_table(part: Object, table: Option<u32>) -> Dependency {
        on_relation(part, table, TABLE, RelationKind::Table)
    }

    fn kinds(dependencies: &[Dependency]) -> Vec<&'static str> {
        let mut image = image();
        let order = Order::of(&image, dependencies);
        order.rank_objects(&mut image);
        let nothing = Image::default();
        let mut steps = order.place(&image, diff(&nothing, &image, 15).steps);
        steps.sort_by_key(|step| (step.kind.phase(), step.level));
        let word = |step: &Step| match (&step.action, step.kind) {
            (Action::CreateTable { elements, .. }, _) => {
                let has_default = elements.iter().any(|e| matches!(e, Element::Column(c) if c.value.is_some()));
                if has_default { "table with default" } else { "table" }
            }
            (Action::MakeRoutine(of), _) if of.oid == FUNCTION.1 => "f",
            (Action::MakeRoutine(_), _) => "other",
            (Action::MakeView(_), _) => "view",
            (Action::FillView(_), _) => "rows of the view",
            (Action::AlterColumn { .. }, Kind::LateDefault) => "default",
            _ => "",
        };
        steps.iter().map(word).filter(|word| !word.is_empty()).collect()
    }

    #[test]
    fn functions_come_where_they_are_needed() {
        let default = needs(DEFAULT, Some(TABLE.1), FUNCTION);
        let view = of_table(VIEW, Some(VIEW.1));
        for (name, dependencies, order) in [
            (
                "nobody needs the other one",
                vec![default.clone(), view.clone()],
                vec!["f", "other", "table with default", "view", "rows of the view"],
            ),
            (
                "the other one reads the view",
                vec![default.clone(), view.clone(), of_view(OTHER)],
                vec!["f", "table with default", "view", "other", "rows of the view"],
            ),
            (
                "the default needs the table",
                vec![default.clone(), view.clone(), of_table(FUNCTION, None)],
                vec!["other", "table", "f", "view", "default", "rows of the view"],
            ),
            (
                "the default needs the table through the view",
                vec![default.clone(), view.clone(), of_view(FUNCTION)],
                vec!["other", "table", "view", "f", "default", "rows of the view"],
            ),
            (
                "the default needs the view, and the view nothing",
                vec![default, of_view(FUNCTION)],
                vec!["other", "view", "f", "table with default", "rows of the view"],
            ),
        ] {
            let mut found = kinds(&dependencies);
            let mut order = order;
            if name == "nobody needs the other one" {
                // Among equals there is no order.
                found[..2].sort_unstable();
                order[..2].sort_unstable();
            }
            assert_eq!(found, order, "{name}");
        }
    }

    #[test]
    fn code_is_needed_by_parts_of_tables_too() {
        let trigger = needs((Class::Trigger, 30), Some(TABLE.1), FUNCTION);
        let reads = of_table(OTHER, None);
        assert_eq!(needed_code(&image(), &[trigger.clone(), reads]), HashSet::from([FUNCTION]));
        let through = [trigger, needs(FUNCTION, None, OTHER), of_view(OTHER)];
        assert_eq!(needed_code(&image(), &through), HashSet::from([FUNCTION, OTHER, VIEW]));
        // Whoever may call them in a text.
        let of_nobody = [needs(VIEW, Some(VIEW.1), FUNCTION), needs(OTHER, None, FUNCTION)];
        assert_eq!(needed_code(&image(), &of_nobody), HashSet::from([FUNCTION, OTHER]));
        let mut of_a_superuser = image();
        of_a_superuser.routines[0].definition = "()\n RETURNS integer\n LANGUAGE plpython3u\nAS $$1$$".into();
        assert_eq!(needed_code(&of_a_superuser, &of_nobody), HashSet::from([OTHER]));
        let bound = [of_view(OTHER), of_table(FUNCTION, None)];
        assert_eq!(needed_code(&image(), &bound), HashSet::new());
    }

    #[test]
    fn an_aggregate_is_taken_from_everybody_right_behind_it() {
        let plain = |oid: u32, name: &str| Plain {
            oid,
            level: 0,
            kind: PlainKind::Aggregate,
            name: Name::new("s", name),
            target: format!("s.{name}(*)"),
            operands: Vec::new(),
            definition: format!("CREATE AGGREGATE s.{name}(*) (SFUNC = f)"),
            blocked: false,
        };
        let mut image = Image { plain: vec![plain(30, "b"), plain(31, "a")], ..Image::default() };
        let revoked = crate::schema::image::Privileges { grants: Vec::new(), public_revoked: true };
        image.privileges.insert((Class::Proc, 31, 0), revoked);
        let made: Vec<String> =
            crate::schema::plan::create(&image, &[], 15).iter().map(|item| item.statement.to_string()).collect();
        assert_eq!(
            made,
            [
                "CREATE AGGREGATE s.a(*) (SFUNC = f)",
                "REVOKE ALL ON FUNCTION s.a() FROM PUBLIC",
                "CREATE AGGREGATE s.b(*) (SFUNC = f)"
            ]
        );
    }
}
