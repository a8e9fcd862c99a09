//! What a task has applied: for each object the image that the destination has now, and which transaction has changed which facet last.
//!
//! Commands arrive in the order of their commits, each with whole images that were read in the middle of its transaction. Two
//! transactions may change one object side by side where their locks allow it: one grants, the other sets a default; two create an
//! index each. The image of the one that commits last then lacks what the other has done. So an object is taken apart into
//! **facets**, each of which only one open transaction can change:
//!
//! ```text
//!   own          the object's attributes, and its columns        the table's lock
//!   part         a constraint, index, trigger, policy, statistics    that object's row in the catalog
//!   comment      on the object or a part of it                    likewise
//!   privileges   of the object or a column                        likewise
//! ```
//! With each facet goes the transaction that changed it last. A facet of an image whose snapshot does not show that transaction is older
//! than what the task has, and is left alone; any other is what the source has, its absence too.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::{Deserialize, Serialize};

use super::deparse::postgres::Foreign;
use super::image::{Address, Class, Image, Name, Plain, Routine, Table, View};
use super::scope::{Dependency, Object};
use crate::logicalrep::CopySnapshot;

/// What only one open transaction can change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Facet {
    Own,
    Part(Class, u32),
    Comment(Class, u32, i16),
    Privileges(Class, u32, i16),
}

/// One object (a table, sequence, type, collation, extension, schema, routine or view) with everything that belongs to it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Kept {
    /// The object, and nothing else.
    pub image: Image,
    pub dependencies: Vec<Dependency>,
    pub causes: Vec<(Object, Foreign)>,
    /// Facets that have changed since the object came into the model, and the transactions that did it, by their whole numbers.
    #[serde(with = "as_pairs")]
    pub changed: BTreeMap<Facet, u64>,
    /// Its names are older than its definition: the snapshot that shows who has given them. Commands behind it that [`Known::base`] shows
    /// bring names and nothing else. Null where both are of one moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named_at: Option<String>,
}

/// How a task stands to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It is there, and its changes are applied.
    Followed,
    /// It has come into the task's reach with its rows, is there, and waits for its copy.
    Entering,
    /// It is there under the name that it had, or got, when it went out of the task's reach; nothing is applied any more.
    Left,
    /// It waited for its copy, and is out of reach or gone on the source by then: its definition follows, its rows do not, until the stream
    /// comes to the command that did it.
    Passing,
}

impl Standing {
    const ALL: [Standing; 4] = [Standing::Followed, Standing::Entering, Standing::Left, Standing::Passing];

    pub fn as_str(self) -> &'static str {
        match self {
            Standing::Followed => "followed",
            Standing::Entering => "entering",
            Standing::Left => "left",
            Standing::Passing => "passing",
        }
    }

    /// Do its rows concern the task?
    pub fn has_rows(self) -> bool {
        matches!(self, Standing::Followed | Standing::Entering)
    }

    pub fn parse(text: &str) -> Option<Standing> {
        Standing::ALL.into_iter().find(|standing| standing.as_str() == text)
    }
}

/// An object of the model.
#[derive(Clone, Debug, PartialEq)]
pub struct Known {
    pub standing: Standing,
    /// The snapshot under which the object was described when it was copied: what that shows has been applied. Empty if a command brought it.
    pub base: String,
    pub kept: Kept,
}

/// Does a moment show what this transaction did? None (an empty one) shows nothing.
pub fn is_shown(snapshot: &str, xid: u64) -> Result<bool, String> {
    if snapshot.is_empty() { Ok(false) } else { Ok(CopySnapshot::of_moment(snapshot)?.shows(xid)) }
}

mod as_pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Facet;

    pub fn serialize<S: Serializer>(map: &BTreeMap<Facet, u64>, to: S) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(to)
    }

    pub fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<BTreeMap<Facet, u64>, D::Error> {
        Ok(Vec::<(Facet, u64)>::deserialize(from)?.into_iter().collect())
    }
}

/// Who describes, and what he saw.
#[derive(Clone, Copy)]
pub struct Witness<'a> {
    pub xid: u64,
    pub snapshot: &'a CopySnapshot,
}

impl Witness<'_> {
    /// Has it seen what this transaction did?
    pub fn saw(&self, xid: u64) -> bool {
        xid == self.xid || self.snapshot.shows(xid)
    }
}

impl Kept {
    /// The schema, if it is in one, and the name.
    pub fn name(&self) -> (Option<&str>, &str) {
        let image = &self.image;
        let named = image.tables.iter().map(|of| &of.name).chain(image.sequences.iter().map(|of| &of.name));
        let named =
            named.chain(image.types.iter().map(|of| &of.name)).chain(image.collations.iter().map(|of| &of.name));
        let code = image.routines.iter().map(|of| &of.name).chain(image.views.iter().map(View::name));
        let code = code.chain(image.plain.iter().map(|of| &of.name));
        let mut named = named.chain(code);
        let mut unnamed = image.schemas.iter().map(|of| &of.name).chain(image.extensions.iter().map(|of| &of.name));
        match (named.next(), unnamed.next()) {
            (Some(Name { schema, name }), _) => (Some(schema), name),
            (None, name) => (None, name.map_or("", String::as_str)),
        }
    }

    /// Its name in its schema; one that is in none has an empty schema.
    pub fn qualified(&self) -> Name {
        let (schema, name) = self.name();
        Name::new(schema.unwrap_or_default(), name)
    }

    /// Is it a function or a view?
    pub fn is_code(&self) -> bool {
        !(self.image.routines.is_empty() && self.image.views.is_empty() && self.image.plain.is_empty())
    }

    /// Is it code that is not there?
    pub fn is_blocked(&self) -> bool {
        let Image { routines, views, plain, .. } = &self.image;
        routines.iter().any(|of| of.blocked) || views.iter().any(|of| of.blocked) || plain.iter().any(|of| of.blocked)
    }

    /// Sequences of columns that the image does not describe are whose they were.
    pub fn keep_owners(&mut self, before: Option<&Kept>) {
        for sequence in self.image.sequences.iter_mut().filter(|of| of.is_of_other) {
            sequence.is_of_other = false;
            let known = before.into_iter().flat_map(|before| &before.image.sequences);
            sequence.owner = known.filter(|of| of.oid == sequence.oid).find_map(|of| of.owner.clone());
        }
    }

    /// The table or the view.
    pub fn relation(&self) -> Option<&Table> {
        self.image.tables.first().or(self.image.views.first().map(|view| &view.relation))
    }

    pub fn relation_mut(&mut self) -> Option<&mut Table> {
        self.image.tables.first_mut().or(self.image.views.first_mut().map(|view| &mut view.relation))
    }

    /// The same in a schema of another name.
    pub fn in_schema(&self, to: &str) -> Kept {
        let mut kept = self.clone();
        let image = &mut kept.image;
        let rename = |name: &mut Name| to.clone_into(&mut name.schema);
        image.tables.iter_mut().for_each(|table| {
            rename(&mut table.name);
            table.statistics.iter_mut().for_each(|of| rename(&mut of.name));
            let identities = table.columns.iter_mut().filter_map(|column| column.identity.as_mut());
            identities.filter_map(|of| of.sequence.as_mut()).for_each(|sequence| rename(&mut sequence.name));
        });
        for sequence in &mut image.sequences {
            rename(&mut sequence.name);
            sequence.owner.iter_mut().for_each(|owner| rename(&mut owner.table));
        }
        image.types.iter_mut().for_each(|of| rename(&mut of.name));
        image.collations.iter_mut().for_each(|of| rename(&mut of.name));
        image.routines.iter_mut().for_each(|of| rename(&mut of.name));
        image.views.iter_mut().for_each(|of| rename(&mut of.relation.name));
        image.plain.iter_mut().for_each(|of| *of = of.named(&Name::new(to, &of.name.name)));
        kept
    }

    /// The same table, or one of its sequences, where the table has another name.
    pub fn of_table(&self, to: &Name) -> Kept {
        let mut kept = self.in_schema(&to.schema);
        kept.image.tables.iter_mut().for_each(|table| table.name.clone_from(to));
        kept.image.sequences.iter_mut().filter_map(|of| of.owner.as_mut()).for_each(|of| of.table.clone_from(to));
        kept
    }

    /// What the object is once the witness has been heard. His image is whole, and of the same object.
    pub fn heard(&self, new: Kept, witness: Witness<'_>) -> Kept {
        let mut heard = Kept { changed: self.changed.clone(), named_at: self.named_at.clone(), ..new };
        let mut note = |facet: Facet, differs: bool| {
            let is_news = self.changed.get(&facet).is_none_or(|xid| witness.saw(*xid));
            if is_news && differs {
                heard.changed.insert(facet, witness.xid);
            }
            is_news
        };
        if let (Some(old), Some(new)) = (self.image.tables.first(), heard.image.tables.first_mut()) {
            table(old, new, &mut note);
        } else if let (Some(old), Some(new)) = (self.image.views.first(), heard.image.views.first_mut()) {
            view(old, new, &mut note);
        } else if !note(Facet::Own, !same_own(&self.image, &heard.image)) {
            take_own(&mut heard.image, &self.image);
        }
        let (old, new) = (&self.image, &mut heard.image);
        keyed(&old.comments, &mut new.comments, |(class, oid, at), differs| {
            note(Facet::Comment(class, oid, at), differs)
        });
        keyed(&old.privileges, &mut new.privileges, |(class, oid, at), differs| {
            note(Facet::Privileges(class, oid, at), differs)
        });
        heard.forget_old();
        heard
    }

    /// Facets of parts that are gone are kept, as somebody may describe them who has not seen that: but not all for ever. Those that changed
    /// first go first.
    fn forget_old(&mut self) {
        const MOST: usize = 1000;
        if let Some(excess) = self.changed.len().checked_sub(MOST).filter(|excess| *excess > 0) {
            let mut order: Vec<u64> = self.changed.values().copied().collect();
            order.sort_unstable();
            let last_to_go = order[excess - 1];
            self.changed.retain(|_, xid| *xid > last_to_go);
        }
    }
}

fn table(old: &Table, new: &mut Table, note: &mut impl FnMut(Facet, bool) -> bool) {
    if !note(Facet::Own, own(old) != own(new)) {
        take_own_of(new, old);
    }
    listed_parts(old, new, note);
}

/// Its query is of the same lock as its columns.
fn view(old: &View, new: &mut View, note: &mut impl FnMut(Facet, bool) -> bool) {
    let same = own(&old.relation) == own(&new.relation)
        && (&old.definition, old.form, old.blocked) == (&new.definition, new.form, new.blocked);
    if !note(Facet::Own, !same) {
        take_own_of(&mut new.relation, &old.relation);
        new.definition.clone_from(&old.definition);
        (new.form, new.blocked) = (old.form, old.blocked);
    }
    listed_parts(&old.relation, &mut new.relation, note);
}

fn take_own_of(new: &mut Table, old: &Table) {
    *new = Table {
        constraints: std::mem::take(&mut new.constraints),
        indexes: std::mem::take(&mut new.indexes),
        statistics: std::mem::take(&mut new.statistics),
        triggers: std::mem::take(&mut new.triggers),
        policies: std::mem::take(&mut new.policies),
        rules: std::mem::take(&mut new.rules),
        ..own(old)
    };
}

fn listed_parts(old: &Table, new: &mut Table, note: &mut impl FnMut(Facet, bool) -> bool) {
    listed(&old.constraints, &mut new.constraints, Class::Constraint, |of| of.oid, note);
    listed(&old.indexes, &mut new.indexes, Class::Relation, |of| of.oid, note);
    listed(&old.statistics, &mut new.statistics, Class::Statistics, |of| of.oid, note);
    listed(&old.triggers, &mut new.triggers, Class::Trigger, |of| of.oid, note);
    listed(&old.policies, &mut new.policies, Class::Policy, |of| of.oid, note);
    listed(&old.rules, &mut new.rules, Class::Rewrite, |of| of.oid, note);
}

/// The table without its parts, and without what is said about it only.
fn own(table: &Table) -> Table {
    let mut own = Table {
        level: 0,
        constraints: Vec::new(),
        indexes: Vec::new(),
        statistics: Vec::new(),
        triggers: Vec::new(),
        policies: Vec::new(),
        rules: Vec::new(),
        ..table.clone()
    };
    for column in &mut own.columns {
        (column.default_oid, column.missing) = (None, None);
    }
    own
}

fn same_own(old: &Image, new: &Image) -> bool {
    let levelled = |image: &Image| {
        let mut types = image.types.clone();
        types.iter_mut().for_each(|of| of.level = 0);
        types
    };
    let extensions = |image: &Image| {
        image
            .extensions
            .iter()
            .map(|x| (x.oid, x.name.clone(), x.schema.clone(), x.version.clone()))
            .collect::<Vec<_>>()
    };
    let routines = |image: &Image| {
        let mut routines: Vec<Routine> = image.routines.clone();
        routines.iter_mut().for_each(|of| of.level = 0);
        routines
    };
    let plain = |image: &Image| image.plain.iter().map(|of| Plain { level: 0, ..of.clone() }).collect::<Vec<_>>();
    old.schemas == new.schemas
        && plain(old) == plain(new)
        && routines(old) == routines(new)
        && old.collations == new.collations
        && old.sequences == new.sequences
        && extensions(old) == extensions(new)
        && levelled(old) == levelled(new)
}

fn take_own(image: &mut Image, old: &Image) {
    image.schemas.clone_from(&old.schemas);
    image.collations.clone_from(&old.collations);
    image.sequences.clone_from(&old.sequences);
    image.extensions.clone_from(&old.extensions);
    image.types.clone_from(&old.types);
    image.routines.clone_from(&old.routines);
    image.plain.clone_from(&old.plain);
}

/// Puts into `new` what of `old` is newer, and takes out what has gone since.
fn listed<T: Clone + PartialEq>(
    old: &[T],
    new: &mut Vec<T>,
    class: Class,
    oid: impl Fn(&T) -> u32,
    note: &mut impl FnMut(Facet, bool) -> bool,
) {
    let described = std::mem::take(new);
    let mut left: Vec<&T> = old.iter().collect();
    for part in described {
        let before = left.iter().position(|of| oid(of) == oid(&part)).map(|at| left.swap_remove(at));
        match (note(Facet::Part(class, oid(&part)), before != Some(&part)), before) {
            (true, _) => new.push(part),
            (false, Some(before)) => new.push(before.clone()),
            // Dropped since.
            (false, None) => {}
        }
    }
    // What is not described is gone, unless it came later.
    let kept = left.into_iter().filter(|part| !note(Facet::Part(class, oid(part)), true));
    new.extend(kept.cloned().collect::<Vec<_>>());
}

fn keyed<T: Clone + PartialEq>(
    old: &HashMap<Address, T>,
    new: &mut HashMap<Address, T>,
    mut note: impl FnMut(Address, bool) -> bool,
) {
    let addresses: HashSet<Address> = old.keys().chain(new.keys()).copied().collect();
    for address in addresses {
        let before = old.get(&address);
        if !note(address, before != new.get(&address)) {
            match before {
                Some(value) => drop(new.insert(address, value.clone())),
                None => drop(new.remove(&address)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::image::{Grant, Privileges};
    use crate::schema::samples::{index, table};

    fn snapshot(text: &str) -> CopySnapshot {
        CopySnapshot::of_moment(text).unwrap()
    }

    fn kept(change: impl FnOnce(&mut Image)) -> Kept {
        let mut image = Image { tables: vec![table(10, "t")], ..Image::default() };
        change(&mut image);
        Kept { image, ..Kept::default() }
    }

    fn with_index(oid: u32, name: &str) -> impl FnOnce(&mut Image) {
        let of = index(oid, name, &format!("CREATE INDEX {name} ON s.t USING btree (id)"));
        move |image| image.tables[0].indexes.push(of)
    }

    fn indexes(kept: &Kept) -> Vec<u32> {
        let mut oids: Vec<u32> = kept.image.tables[0].indexes.iter().map(|of| of.oid).collect();
        oids.sort_unstable();
        oids
    }

    /// Of two indexes that are created side by side each image lacks the other's.
    #[test]
    fn two_indexes_created_side_by_side_both_stay() {
        let before = kept(|_| ());
        let (first, second) = (snapshot("100:102:100,101"), snapshot("100:102:100"));
        let one = before.heard(kept(with_index(51, "w2")), Witness { xid: 101, snapshot: &second });
        assert_eq!(indexes(&one), [51]);
        let both = one.heard(kept(with_index(50, "w1")), Witness { xid: 100, snapshot: &first });
        assert_eq!(indexes(&both), [50, 51]);
        // Whoever sees both and describes neither has dropped them.
        let later = snapshot("102:103:");
        assert_eq!(indexes(&both.heard(kept(|_| ()), Witness { xid: 102, snapshot: &later })), [0u32; 0]);
    }

    /// A grant that was open while a column was added describes the table as it was before.
    #[test]
    fn a_grant_does_not_take_a_column_back() {
        let grant = |image: &mut Image| {
            let grants = vec![Grant {
                place: 1,
                grantee: Some("r".into()),
                privileges: vec!["SELECT".into()],
                with_option: false,
            }];
            image.privileges.insert((Class::Relation, 10, 0), Privileges { grants, public_revoked: false });
        };
        let column = |image: &mut Image| image.tables[0].columns.push(crate::schema::samples::column(3, "c", "text"));
        let before = kept(|_| ());
        let added = before.heard(kept(column), Witness { xid: 101, snapshot: &snapshot("100:102:100") });
        let both = added.heard(kept(grant), Witness { xid: 100, snapshot: &snapshot("100:101:") });
        assert_eq!(both.image.tables[0].columns.len(), 3);
        assert_eq!(both.image.privileges.len(), 1);
        // The same transaction goes on: it sees what it has done itself.
        let dropped = both.heard(kept(grant), Witness { xid: 101, snapshot: &snapshot("101:102:") });
        assert_eq!(dropped.image.tables[0].columns.len(), 2);
    }

    #[test]
    fn an_index_that_was_dropped_meanwhile_does_not_come_back() {
        let before = kept(with_index(50, "w1"));
        let dropped = before.heard(kept(|_| ()), Witness { xid: 101, snapshot: &snapshot("100:102:100") });
        let granted = dropped.heard(kept(with_index(50, "w1")), Witness { xid: 100, snapshot: &snapshot("100:101:") });
        assert_eq!(indexes(&granted), [0u32; 0]);
    }

    #[test]
    fn what_is_said_again_changes_nothing() {
        let before = kept(with_index(50, "w1"));
        let shown = snapshot("100:100:");
        let again = before.heard(before.clone(), Witness { xid: 100, snapshot: &shown });
        assert_eq!(again, before);
        let text = serde_json::to_string(&again).unwrap();
        assert_eq!(serde_json::from_str::<Kept>(&text).unwrap(), again);
    }
}
