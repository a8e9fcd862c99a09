//! What tables, sequences and their parts are called, apart from all else that they are.
//!
//! A copy brings the definition that a table has got by then. The names that it gets on the way there come with the commands that give them:
//! a name may go from one table to another, and at every moment of the stream all of them have the names that they had then.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::diff::{RELATIONS, STATISTICS, TYPES};
use super::image::{Class, ConstraintKind, Index, Name, Sequence, Table};
use super::model::{Kept, Known};
use super::scope::Object;
use crate::logicalrep::names::{quote_literal, shown};

/// Former names, and those in their place.
#[derive(Debug, Default)]
pub struct Moves(HashMap<Name, Name>);

impl Moves {
    pub fn note(&mut self, from: &Kept, to: &Kept) {
        let (from, to) = (from.qualified(), to.qualified());
        if from != to {
            self.0.insert(from, to);
        }
    }

    /// Sequences say whose they are, and defaults which sequences they take from.
    pub fn follow(&self, kept: &mut Kept) {
        for owner in kept.image.sequences.iter_mut().filter_map(|of| of.owner.as_mut()) {
            if let Some(to) = self.0.get(&owner.table) {
                owner.table.clone_from(to);
            }
        }
        let columns = kept.image.tables.iter_mut().flat_map(|table| &mut table.columns);
        for default in columns.filter_map(|column| column.expression.as_mut()) {
            *default = self.in_text(default);
        }
    }

    /// Names may have been exchanged, so none is looked for twice.
    fn in_text(&self, text: &str) -> String {
        let mut said = String::new();
        let mut rest = text;
        let first = |rest: &str| {
            let found = self.0.iter().filter_map(|(from, to)| Some((rest.find(&literal(from))?, from, to)));
            found.min_by_key(|(at, ..)| *at).map(|(at, from, to)| (at, literal(from).len(), literal(to)))
        };
        while let Some((at, length, to)) = first(rest) {
            said.push_str(&rest[..at]);
            said.push_str(&to);
            rest = &rest[at + length..];
        }
        said + rest
    }
}

fn literal(name: &Name) -> String {
    format!("{}::regclass", quote_literal(&name.shown()))
}

/// What becomes of the names of parts that are of a later moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Later {
    Keep,
    /// Others may have those names until then: an index that the first commands do not know is called after nothing but itself.
    NotYet,
}

impl Later {
    fn name(self, oid: u32, name: &str) -> String {
        match self {
            Later::Keep => name.to_owned(),
            Later::NotYet => unnamed(oid),
        }
    }
}

fn unnamed(oid: u32) -> String {
    format!("courier_unnamed_{oid}")
}

/// Names, and among what they are so.
pub type NamesIn = HashSet<(u8, Name)>;

/// What is called so no more, as somebody else is.
fn left_name(name: &str, oid: u32) -> String {
    const LONGEST: usize = 63;
    let end = format!("_left_{oid}");
    let at = (0..=name.len().min(LONGEST - end.len())).rev().find(|at| name.is_char_boundary(*at));
    format!("{}{end}", &name[..at.unwrap_or_default()])
}

impl Kept {
    /// The same without the names that are taken.
    pub fn giving_way(&self, taken: &NamesIn) -> Kept {
        let is_taken = |spaces: u8, name: &Name| taken.iter().any(|(of, taken)| of & spaces != 0 && taken == name);
        let mut then = self.clone();
        let give_up = |spaces: u8, name: &mut Name, oid: u32| {
            if is_taken(spaces, name) {
                name.name = left_name(&name.name, oid);
            }
        };
        then.image.sequences.iter_mut().for_each(|of| give_up(RELATIONS, &mut of.name, of.oid));
        for table in &mut then.image.tables {
            let schema = table.name.schema.clone();
            give_up(RELATIONS | TYPES, &mut table.name, table.oid);
            let is_key = |oid: u32| table.indexes.iter().any(|index| index.constraint == Some(oid));
            for key in table.constraints.iter_mut().filter(|key| is_key(key.oid)) {
                let mut name = Name::new(&schema, &key.name);
                give_up(RELATIONS, &mut name, key.oid);
                key.name = name.name;
            }
            for index in &mut table.indexes {
                let mut name = Name::new(&schema, &index.name);
                give_up(RELATIONS, &mut name, index.oid);
                index.name = name.name;
            }
            table.statistics.iter_mut().for_each(|of| give_up(STATISTICS, &mut of.name, of.oid));
            let identities = table.columns.iter_mut().filter_map(|column| column.identity.as_mut()?.sequence.as_mut());
            identities.for_each(|of| give_up(RELATIONS, &mut of.name, of.oid));
        }
        self.called_as(&then)
    }

    /// A view or routine whose name is somebody else's by now, and whose own is not known yet.
    pub fn without_a_name(&self) -> Kept {
        let mut kept = self.clone();
        kept.image.views.iter_mut().for_each(|view| view.relation.name.name = unnamed(view.oid()));
        for routine in &mut kept.image.routines {
            let name = Name::new(&routine.name.schema, unnamed(routine.oid));
            let header = |name: &Name| format!("{}(", name.shown());
            routine.definition = routine.definition.replacen(&header(&routine.name), &header(&name), 1);
            routine.name = name;
        }
        kept
    }

    /// The same under the names that `then` has for it. Parts that `then` has not keep theirs.
    pub fn called_as(&self, then: &Kept) -> Kept {
        self.called(then, Later::Keep)
    }

    fn called(&self, then: &Kept, later: Later) -> Kept {
        let mut called = self.clone();
        for (of, then) in called.image.sequences.iter_mut().zip(&then.image.sequences) {
            of.name.clone_from(&then.name);
        }
        for (of, then) in called.image.tables.iter_mut().zip(&then.image.tables) {
            table_as(of, then, later);
        }
        called
    }
}

/// Keeps the names that the model has for what is described as of a later moment, until the commands come that give the later ones.
pub fn keep_names(described: &mut HashMap<Object, Kept>, known: &BTreeMap<Object, Known>) {
    let mut moves = Moves::default();
    let has_been = described.iter().any(|(object, kept)| !kept.image.tables.is_empty() && known.contains_key(object));
    for (object, later) in described.iter_mut().filter(|(object, _)| object.0 == Class::Relation) {
        let called = match known.get(object) {
            Some(known) => Kept {
                named_at: Some(known.kept.named_at.clone().unwrap_or_else(|| known.base.clone())),
                // Whoever describes it later, and has not seen them, has older names.
                changed: known.kept.changed.clone(),
                ..later.called(&known.kept, Later::NotYet)
            },
            // It comes with a command that brings its name.
            None if has_been && !later.image.sequences.is_empty() => {
                let mut called = Kept { named_at: Some(String::new()), ..later.clone() };
                called
                    .image
                    .sequences
                    .iter_mut()
                    .for_each(|of| of.name.name = Later::NotYet.name(of.oid, &of.name.name));
                called
            }
            None => continue,
        };
        moves.note(later, &called);
        *later = called;
    }
    described.values_mut().for_each(|kept| moves.follow(kept));
    // Schemas have nothing but names.
    let used: HashSet<String> = described.values().filter_map(|kept| kept.name().0.map(str::to_owned)).collect();
    described.retain(|object, kept| {
        object.0 != Class::Namespace || !known.contains_key(object) && used.contains(kept.name().1)
    });
}

fn table_as(table: &mut Table, then: &Table, later: Later) {
    let old = std::mem::replace(&mut table.name, then.name.clone());
    for index in &mut table.indexes {
        let name = then.index(index.oid).map_or_else(|| later.name(index.oid, &index.name), |then| then.name.clone());
        rename_index(index, (&old, &then.name), name);
    }
    for key in table.constraints.iter_mut().filter(|key| is_key(key.kind)) {
        key.name = match then.constraints.iter().find(|then| then.oid == key.oid) {
            Some(then) => then.name.clone(),
            None => later.name(key.oid, &key.name),
        };
        for index in table.indexes.iter_mut().filter(|index| index.constraint == Some(key.oid)) {
            index.name.clone_from(&key.name);
        }
    }
    for statistics in &mut table.statistics {
        let name = then.statistics.iter().find(|then| then.oid == statistics.oid).map(|then| then.name.clone());
        let name = name
            .unwrap_or_else(|| Name::new(&statistics.name.schema, later.name(statistics.oid, &statistics.name.name)));
        let text = statistics.definition.replacen(&statistics.name.shown(), &name.shown(), 1);
        (statistics.definition, statistics.name) = (ends_on(&text, " FROM ", &old, &then.name), name);
    }
    for trigger in &mut table.triggers {
        trigger.definition = on(&trigger.definition, " ON ", &old, &then.name);
    }
    for rule in &mut table.rules {
        rule.definition = on(&rule.definition, " TO ", &old, &then.name);
    }
    let identity = |table: &Table, attnum: i16| -> Option<Sequence> {
        table.column(attnum)?.identity.as_ref()?.sequence.as_deref().cloned()
    };
    for column in &mut table.columns {
        let before = identity(then, column.attnum);
        let Some(sequence) = column.identity.as_mut().and_then(|of| of.sequence.as_mut()) else { continue };
        match before.filter(|before| before.oid == sequence.oid) {
            Some(before) => sequence.name = before.name,
            None => sequence.name = Name::new(&then.name.schema, later.name(sequence.oid, &sequence.name.name)),
        }
        if let Some(owner) = &mut sequence.owner {
            owner.table.clone_from(&then.name);
        }
    }
}

fn is_key(kind: ConstraintKind) -> bool {
    matches!(kind, ConstraintKind::PrimaryKey | ConstraintKind::Unique | ConstraintKind::Exclusion)
}

/// `CREATE INDEX i ON s.t USING ...`
fn rename_index(index: &mut Index, (from, to): (&Name, &Name), name: String) {
    if let Some(definition) = &index.definition {
        let renamed = definition.replacen(&format!(" {} ", shown(&index.name)), &format!(" {} ", shown(&name)), 1);
        let only = on(&renamed, " ON ONLY ", from, to);
        index.definition = Some(if only == renamed { on(&renamed, " ON ", from, to) } else { only });
    }
    index.name = name;
}

/// The first place where a definition names its table.
fn on(definition: &str, word: &str, from: &Name, to: &Name) -> String {
    let named = |name: &Name| format!("{word}{} ", name.shown());
    definition.replacen(&named(from), &named(to), 1)
}

fn ends_on(definition: &str, word: &str, from: &Name, to: &Name) -> String {
    match definition.strip_suffix(&format!("{word}{}", from.shown())) {
        Some(start) => format!("{start}{word}{}", to.shown()),
        None => definition.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::image::{Image, Owner, Schema};
    use crate::schema::model::{Facet, Standing};
    use crate::schema::samples::{self, column, constraint, image, index, table};

    #[test]
    fn names_that_are_exchanged_are_not_looked_for_twice() {
        let name = |text: &str| Name::new("s", text);
        let moves = Moves(HashMap::from([(name("a"), name("b")), (name("b"), name("a"))]));
        let text = |of: &str| format!("nextval('s.{of}'::regclass)");
        assert_eq!(moves.in_text(&format!("{} + {}", text("a"), text("b"))), format!("{} + {}", text("b"), text("a")));
        assert_eq!(moves.in_text("'s.a'::text"), "'s.a'::text");
    }

    fn of_table(table: Table) -> Kept {
        Kept { image: Image { tables: vec![table], ..Image::default() }, ..Kept::default() }
    }

    fn known(kept: Kept, base: &str) -> Known {
        Known { standing: Standing::Followed, base: base.to_owned(), kept }
    }

    #[test]
    fn parts_are_called_as_they_were_then() {
        let mut then = table(1, "t");
        then.indexes.push(index(2, "i", "CREATE INDEX i ON s.t USING btree (id)"));
        then.constraints.push(constraint(3, "t_pkey", ConstraintKind::PrimaryKey, "PRIMARY KEY (id)"));
        let mut later = Table { name: Name::new("z", "My T"), ..table(1, "t") };
        later.columns.push(column(3, "new", "text"));
        later.indexes.push(index(2, "j", "CREATE INDEX j ON ONLY z.\"My T\" USING btree (id)"));
        later.indexes.push(index(5, "k", "CREATE UNIQUE INDEX k ON z.\"My T\" USING btree (new)"));
        later.constraints.push(constraint(3, "My_pkey", ConstraintKind::PrimaryKey, "PRIMARY KEY (id)"));
        later.constraints.push(constraint(4, "positive", ConstraintKind::Check, "CHECK (id > 0)"));
        let called = of_table(later).called_as(&of_table(then)).image.tables.remove(0);
        assert_eq!((called.name.shown().as_str(), called.columns.len()), ("s.t", 3));
        let indexes: Vec<&str> = called.indexes.iter().filter_map(|of| of.definition.as_deref()).collect();
        assert_eq!(
            indexes,
            ["CREATE INDEX i ON ONLY s.t USING btree (id)", "CREATE UNIQUE INDEX k ON s.t USING btree (new)"]
        );
        assert_eq!(called.constraints.iter().map(|of| of.name.as_str()).collect::<Vec<_>>(), ["t_pkey", "positive"]);
        assert!(!called.is_torn());
    }

    /// Its name may be that of another index on the way: of one that moves into its schema, or out of the task's reach.
    #[test]
    fn an_index_that_comes_later_has_no_name_yet() {
        let then = of_table(table(1, "t"));
        let mut later = Table { name: Name::new("s", "u"), ..table(1, "t") };
        later.indexes.push(index(2, "u_ref_idx", "CREATE INDEX u_ref_idx ON s.u USING btree (ref)"));
        later.indexes.push(Index { constraint: Some(3), ..index(4, "u_id_key", "") });
        later.constraints.push(constraint(3, "u_id_key", ConstraintKind::Unique, "UNIQUE (id)"));
        let later = of_table(later);
        let sequence = Kept {
            image: Image { sequences: vec![samples::sequence(5, "u_id_seq")], ..Image::default() },
            ..Kept::default()
        };
        let object = (Class::Relation, 1);
        let mut described = HashMap::from([(object, later.clone()), ((Class::Relation, 5), sequence)]);
        keep_names(&mut described, &BTreeMap::from([(object, known(then.clone(), "9:9:"))]));
        let table = &described[&object].image.tables[0];
        let names: Vec<&str> = table.indexes.iter().map(|of| of.name.as_str()).collect();
        assert_eq!(names, ["courier_unnamed_2", "courier_unnamed_3"]);
        let definition = "CREATE INDEX courier_unnamed_2 ON s.t USING btree (ref)";
        assert_eq!(table.indexes[0].definition.as_deref(), Some(definition));
        assert_eq!(table.constraints[0].name, "courier_unnamed_3");
        let sequence = &described[&(Class::Relation, 5)];
        assert_eq!(sequence.image.sequences[0].name.name, "courier_unnamed_5");
        // An older command knows nothing of it, its own one names it.
        assert_eq!(described[&object].called_as(&then), described[&object]);
        assert_eq!(described[&object].called_as(&later).image, later.image);
    }

    #[test]
    fn what_is_taken_is_given_up_and_nothing_else() {
        let long = "t".repeat(61) + "ü";
        let mut left = Table { name: Name::new("z", &long), ..table(1, "t") };
        left.indexes.push(index(2, "i", &format!("CREATE INDEX i ON z.\"{long}\" USING btree (id)")));
        left.indexes.push(Index { constraint: Some(3), ..index(4, "k", "") });
        left.constraints.push(constraint(3, "k", ConstraintKind::PrimaryKey, "PRIMARY KEY (id)"));
        left.constraints.push(constraint(5, "i", ConstraintKind::Check, "CHECK (id > 0)"));
        let names = |taken: &[(u8, &str)]| {
            let taken = taken.iter().map(|(space, name)| (*space, Name::new("z", *name))).collect();
            let kept = of_table(left.clone()).giving_way(&taken);
            let of = &kept.image.tables[0];
            let parts = of.indexes.iter().map(|of| &of.name).chain(of.constraints.iter().map(|of| &of.name));
            std::iter::once(&of.name.name).chain(parts).cloned().collect::<Vec<String>>()
        };
        assert_eq!(names(&[(STATISTICS, "i"), (RELATIONS, "x")]), [&long, "i", "k", "k", "i"]);
        assert_eq!(names(&[(RELATIONS, "i")]), [&long, "i_left_2", "k", "k", "i"]);
        assert_eq!(names(&[(RELATIONS, "k")]), [&long, "i", "k_left_3", "k_left_3", "i"]);
        let cut = "t".repeat(56) + "_left_1";
        assert_eq!(names(&[(TYPES, &long)])[0], cut);
        let cut = left_name(&("t".repeat(55) + "üx"), 1);
        assert_eq!((cut.len(), cut), (62, "t".repeat(55) + "_left_1"));
    }

    #[test]
    fn what_names_itself_goes_there_and_back() {
        let whole = image();
        for table in &whole.tables {
            let then = Table { name: Name::new("other", "Else"), ..table.clone() };
            let called = of_table(table.clone()).called_as(&of_table(then));
            assert!(!called.image.tables[0].is_torn());
            let shown = serde_json::to_string(&called.image.tables[0].statistics).expect("JSON");
            assert!(!shown.contains(&format!(" FROM {}", table.name.shown())), "{shown}");
            assert_eq!(called.called_as(&of_table(table.clone())), of_table(table.clone()));
        }
    }

    #[test]
    fn sequences_and_schemas_keep_their_names_too() {
        let sequence = |schema: &str, name: &str, of: &str| {
            let owner = Some(Owner { table: Name::new(schema, of), column: "id".to_owned() });
            let sequences = vec![Sequence { name: Name::new(schema, name), owner, ..samples::sequence(2, name) }];
            Kept { image: Image { sequences, ..Image::default() }, ..Kept::default() }
        };
        let schema = |oid: u32, name: &str| {
            let schemas = vec![Schema { oid, name: name.to_owned() }];
            Kept { image: Image { schemas, ..Image::default() }, ..Kept::default() }
        };
        let with_default = |table: Table, text: &str| {
            let mut table = table;
            table.columns[0].expression = Some(text.to_owned());
            of_table(table)
        };
        let later = Table { name: Name::new("z", "u"), ..table(1, "t") };
        let mut described = HashMap::from([
            ((Class::Relation, 1), with_default(later, "nextval('z.u_seq'::regclass)")),
            ((Class::Relation, 2), sequence("z", "u_seq", "u")),
            ((Class::Namespace, 3), schema(3, "z")),
            ((Class::Namespace, 4), schema(4, "s2")),
        ]);
        let model = BTreeMap::from([
            ((Class::Relation, 1), known(with_default(table(1, "t"), "nextval('s.t_seq'::regclass)"), "")),
            ((Class::Relation, 2), known(sequence("s", "t_seq", "t"), "")),
            ((Class::Namespace, 4), known(schema(4, "s"), "5:5:")),
        ]);
        keep_names(&mut described, &model);
        assert_eq!(described.len(), 2, "no schema is made or renamed early");
        let owner = described[&(Class::Relation, 2)].image.sequences[0].owner.clone();
        assert_eq!(owner.map(|owner| owner.table.shown()).as_deref(), Some("s.t"));
        let of = &described[&(Class::Relation, 1)];
        assert_eq!(of.image.tables[0].columns[0].expression.as_deref(), Some("nextval('s.t_seq'::regclass)"));
        assert_eq!(of.named_at.as_deref(), Some(""));
        // A second copy is of a later moment, with the names of the same one.
        let mut of = of.clone();
        of.changed.insert(Facet::Own, 8);
        let again = BTreeMap::from([((Class::Relation, 1), known(of, "9:9:"))]);
        let mut described = HashMap::from([((Class::Relation, 1), of_table(table(1, "v")))]);
        keep_names(&mut described, &again);
        let of = &described[&(Class::Relation, 1)];
        assert_eq!((of.named_at.as_deref(), of.changed.get(&Facet::Own)), (Some(""), Some(&8)));
    }
}
