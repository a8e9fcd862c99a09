//! Names of the objects of two images: what a former name is now, and the steps that give everything its name.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use super::names::{self, Move, RELATIONS, TYPES};
use super::{Action, Comparison, Subject, Way, pairs};
use crate::schema::image::{Image, Name, Table, Type, TypeForm};
use crate::schema::kind::Kind;

/// Beside relations and types: collations and statistics have names of their own.
pub const COLLATIONS: u8 = 4;
pub const STATISTICS: u8 = 8;

type Named<'a> = fn(Cow<'a, Name>) -> Subject<'a>;

pub struct Renames<'a> {
    /// Schemas under another name: what is in them did not move.
    schemas: HashMap<&'a str, &'a str>,
    /// Types as the server writes them, where that is another text now.
    types: HashMap<String, String>,
    /// Names that the later image has.
    taken: HashSet<(u8, Cow<'a, Name>)>,
    moves: Vec<(Move, Named<'a>)>,
    /// What goes along with a table into another schema, and is renamed there.
    followers: Vec<(Move, Named<'a>)>,
}

/// Where a type has its name: a composite one among relations, too.
pub fn spaces_of(of: &Type) -> u8 {
    if matches!(of.form, TypeForm::Composite { .. }) { RELATIONS | TYPES } else { TYPES }
}

impl<'a> Renames<'a> {
    pub fn of(before: &'a Image, after: &'a Image) -> Renames<'a> {
        let schemas = both(&before.schemas, &after.schemas, |s| s.oid)
            .filter(|(old, new)| old.name != new.name)
            .map(|(old, new)| (old.name.as_str(), new.name.as_str()))
            .collect();
        let types = both(&before.types, &after.types, |t| t.oid).map(|(old, new)| (&old.name, &new.name));
        let rows = both(&before.tables, &after.tables, |t| t.oid).map(|(old, new)| (&old.name, &new.name));
        let other = types.chain(rows).filter(|(old, new)| old != new);
        let types = other.map(|(old, new)| (old.shown(), new.shown())).collect();
        Renames { schemas, types, taken: names_of(after), moves: Vec::new(), followers: Vec::new() }
    }

    /// What a schema is called now.
    pub fn schema<'t>(&'t self, name: &'t str) -> &'t str {
        self.schemas.get(name).copied().unwrap_or(name)
    }

    /// A name that only its schema may have changed.
    pub fn name(&self, old: &Name) -> Name {
        Name::new(self.schema(&old.schema), &old.name)
    }

    /// A type as the server writes it now, that it wrote so before.
    pub fn type_name<'t>(&self, old: &'t str) -> Cow<'t, str> {
        let base = old.trim_end_matches("[]");
        match self.types.get(base) {
            Some(now) => Cow::Owned(format!("{now}{}", &old[base.len()..])),
            None => Cow::Borrowed(old),
        }
    }

    /// Something that is in both images.
    pub fn go(&mut self, oid: u32, spaces: u8, old: &Name, new: &Name, subject: Named<'a>) {
        let from = self.name(old);
        self.moves.push((Move { oid, spaces, from, to: new.clone() }, subject));
    }

    /// What has its schema, former and later, from a table: an index, an owned sequence. It goes where the table goes.
    pub fn follow(&mut self, oid: u32, (before, after): (&str, &str), names: (&str, &str), subject: Named<'a>) {
        let (from, to) = (Name::new(after, names.0), Name::new(after, names.1));
        let moves = if self.schema(before) == after { &mut self.moves } else { &mut self.followers };
        moves.push((Move { oid, spaces: RELATIONS, from, to }, subject));
    }

    /// Does something of the later image have the name?
    fn is_taken(&self, spaces: u8, name: &Name) -> bool {
        let is_taken = |space| spaces & space != 0 && self.taken.contains(&(space, Cow::Borrowed(name)));
        [RELATIONS, TYPES, COLLATIONS, STATISTICS].into_iter().any(is_taken)
    }

    /// Something that is dropped at the end: by the name that it has then, which is another one when somebody else gets its own.
    pub fn leave(&mut self, oid: u32, spaces: u8, old: &Name, subject: Named<'a>) -> Name {
        let from = self.name(old);
        let to =
            if self.is_taken(spaces, &from) { Name::new(&from.schema, names::temporary(oid)) } else { from.clone() };
        self.moves.push((Move { oid, spaces, from, to: to.clone() }, subject));
        to
    }
}

impl<'a> Comparison<'a> {
    /// Steps for everything that was said to go, follow or leave.
    pub(super) fn rename(&mut self) {
        let mut level = 0;
        for moves in [std::mem::take(&mut self.renames.moves), std::mem::take(&mut self.renames.followers)] {
            let (moves, subjects): (Vec<Move>, Vec<Named>) = moves.into_iter().unzip();
            for leg in names::legs(&moves) {
                level += 1;
                let is_to_another_schema = leg.is_to_another_schema();
                let spaces = moves[leg.of].spaces;
                let vacates = !self.renames.is_taken(spaces, &leg.from);
                let way = Way { end: leg.end, vacates };
                let subject = subjects[leg.of](Cow::Owned(leg.from));
                if is_to_another_schema {
                    self.step(Kind::SetSchema, level, Action::SetSchema { subject, to: leg.to.schema.into(), way });
                } else {
                    self.step(Kind::Rename, level, Action::Rename { subject, to: leg.to.name.into(), way });
                }
            }
        }
    }

    /// Parts that have their names inside of something: number, former and later name. Parents first: children may get theirs from them.
    pub(super) fn rename_inside(
        &mut self,
        level: i64,
        parts: impl IntoIterator<Item = (u32, &'a str, &'a str)>,
        action: impl Fn(Cow<'a, str>, Cow<'a, str>) -> Action<'a>,
    ) {
        const MOST: i64 = 100_000;
        let name = |name: &str| Name::new("", name);
        let moves: Vec<Move> = parts
            .into_iter()
            .map(|(oid, from, to)| Move { oid, spaces: RELATIONS, from: name(from), to: name(to) })
            .collect();
        for (at, leg) in (0..).zip(names::legs(&moves)) {
            self.step(Kind::RenamePart, level * MOST + at, action(leg.from.name.into(), leg.to.name.into()));
        }
    }
}

/// What is in both of two lists.
fn both<'a, T>(before: &'a [T], after: &'a [T], oid: impl Fn(&T) -> u32) -> impl Iterator<Item = (&'a T, &'a T)> {
    pairs(before, after, oid).into_iter().filter_map(|(old, new)| old.zip(new))
}

/// The names that an image has, and among what they are so.
pub fn names_of(image: &Image) -> HashSet<(u8, Cow<'_, Name>)> {
    let mut taken = HashSet::new();
    for table in &image.tables {
        taken.insert((RELATIONS, Cow::Borrowed(&table.name)));
        taken.insert((TYPES, Cow::Borrowed(&table.name)));
        taken.extend(inside(table).map(|name| (RELATIONS, Cow::Owned(Name::new(&table.name.schema, name)))));
        taken.extend(table.statistics.iter().map(|statistics| (STATISTICS, Cow::Borrowed(&statistics.name))));
    }
    for view in &image.views {
        taken.extend([RELATIONS, TYPES].map(|space| (space, Cow::Borrowed(view.name()))));
    }
    taken.extend(image.sequences.iter().map(|sequence| (RELATIONS, Cow::Borrowed(&sequence.name))));
    for of in &image.types {
        taken.insert((TYPES, Cow::Borrowed(&of.name)));
        if spaces_of(of) & RELATIONS != 0 {
            taken.insert((RELATIONS, Cow::Borrowed(&of.name)));
        }
    }
    taken.extend(image.collations.iter().map(|collation| (COLLATIONS, Cow::Borrowed(&collation.name))));
    taken
}

/// Relations that are part of a table.
fn inside(table: &Table) -> impl Iterator<Item = &str> {
    let identities = table.columns.iter().filter_map(|column| column.identity.as_ref()?.sequence.as_deref());
    let indexes = table.indexes.iter().map(|index| index.name.as_str());
    indexes.chain(identities.map(|sequence| sequence.name.name.as_str()))
}
