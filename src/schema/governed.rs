//! Kinds of things that a task may treat otherwise than the rest: what a person says about them, and what is left of an image then.
//!
//! What rows need (tables, columns, keys, types) follows the source or stops the task. Everything else may be held back, or left to the
//! destination alone: then it stays there as it is, whatever the source does.

use std::collections::HashSet;

use super::image::{
    Address, Class, Constraint, ConstraintKind, Image, Index, Name, Policy, Rule, Statistics, Table, Trigger,
};
use super::model::Kept;
use crate::logicalrep::names::shown;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Governed {
    Table,
    /// A table that the source has dropped.
    DropTable,
    View,
    MaterializedView,
    Function,
    Index,
    Check,
    ForeignKey,
    Trigger,
    Rule,
    RowPolicy,
    Statistics,
    Comment,
    Privileges,
}

/// What becomes of commands on things of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KindPolicy {
    Replicate,
    /// Nothing changes on the destination, and `courier.ddl` says what.
    Hold,
    /// Nothing changes on the destination.
    Ignore,
    /// The task stops before the command.
    Stop,
    /// The command fails on the source.
    Refuse,
}

impl Governed {
    pub const WORDS: [(Governed, &'static str); 14] = [
        (Governed::Table, "table"),
        (Governed::DropTable, "drop table"),
        (Governed::View, "view"),
        (Governed::MaterializedView, "materialized view"),
        (Governed::Function, "function"),
        (Governed::Index, "index"),
        (Governed::Check, "check"),
        (Governed::ForeignKey, "foreign key"),
        (Governed::Trigger, "trigger"),
        (Governed::Rule, "rule"),
        (Governed::RowPolicy, "policy"),
        (Governed::Statistics, "statistics"),
        (Governed::Comment, "comment"),
        (Governed::Privileges, "privileges"),
    ];

    pub fn parse(word: &str) -> Option<Governed> {
        Governed::WORDS.into_iter().find(|(_, known)| *known == word).map(|(of, _)| of)
    }

    pub fn as_str(self) -> &'static str {
        Governed::WORDS.into_iter().find(|(of, _)| *of == self).map_or("", |(_, word)| word)
    }

    /// May the destination do without what the source does with it?
    pub fn can_be_left(self) -> bool {
        self != Governed::Table
    }

    /// The kind that a command is about. Parts of a table that ALTER TABLE makes are of the table.
    pub fn of_tag(tag: &str) -> Option<Governed> {
        let (verb, what) = tag.split_once(' ').unwrap_or((tag, ""));
        Some(match (verb, what) {
            ("COMMENT", _) => Governed::Comment,
            ("GRANT" | "REVOKE", "") => Governed::Privileges,
            ("DROP", "TABLE") => Governed::DropTable,
            ("CREATE" | "ALTER", "TABLE") | ("CREATE", "TABLE AS") | ("SELECT", "INTO") => Governed::Table,
            ("CREATE" | "ALTER" | "DROP", "VIEW") => Governed::View,
            ("CREATE" | "ALTER" | "DROP" | "REFRESH", "MATERIALIZED VIEW") => Governed::MaterializedView,
            ("CREATE" | "ALTER" | "DROP", "FUNCTION" | "PROCEDURE" | "ROUTINE") => Governed::Function,
            ("CREATE" | "ALTER" | "DROP", "INDEX") => Governed::Index,
            ("CREATE" | "ALTER" | "DROP", "TRIGGER") => Governed::Trigger,
            ("CREATE" | "ALTER" | "DROP", "RULE") => Governed::Rule,
            ("CREATE" | "ALTER" | "DROP", "POLICY") => Governed::RowPolicy,
            ("CREATE" | "ALTER" | "DROP", "STATISTICS") => Governed::Statistics,
            _ => return None,
        })
    }
}

impl KindPolicy {
    pub const WORDS: [(KindPolicy, &'static str); 5] = [
        (KindPolicy::Replicate, "replicate"),
        (KindPolicy::Hold, "hold"),
        (KindPolicy::Ignore, "ignore"),
        (KindPolicy::Stop, "stop"),
        (KindPolicy::Refuse, "refuse"),
    ];

    pub fn parse(word: &str) -> Option<KindPolicy> {
        KindPolicy::WORDS.into_iter().find(|(_, known)| *known == word).map(|(of, _)| of)
    }

    pub fn as_str(self) -> &'static str {
        KindPolicy::WORDS.into_iter().find(|(of, _)| *of == self).map_or("", |(_, word)| word)
    }
}

/// What a person has said about each kind, by the name of the table, view or function.
pub type Policies<'a> = &'a dyn Fn(Governed, &Name) -> KindPolicy;

/// What of a change does not happen.
#[derive(Debug, Default)]
pub struct Frozen {
    /// Parts of tables.
    pub parts: HashSet<(Class, u32)>,
    /// What somebody is told of, and of which kind it is.
    pub held: Vec<(Governed, String)>,
}

impl Frozen {
    /// What is news with a command: what it is about, and not what an earlier one has left different.
    pub fn held_by(&self, tag: &str) -> Vec<&str> {
        let about = Governed::of_tag(tag).filter(|kind| *kind != Governed::Table);
        let held = self.held.iter().filter(|(kind, _)| about.is_none_or(|about| about == *kind));
        held.map(|(_, what)| what.as_str()).collect()
    }
}

/// Puts back what is to stay as it was; what is new is blocked.
pub fn freeze(before: Option<&Kept>, after: &mut Kept, policies: Policies, frozen: &mut Frozen) {
    let old = before.and_then(Kept::relation);
    if let Some(new) = after.relation_mut() {
        freeze_parts(old, new, policies, frozen);
    }
    let name = after.qualified();
    let nothing = Image::default();
    let old = before.map_or(&nothing, |before| &before.image);
    for kind in [Governed::Comment, Governed::Privileges] {
        let policy = policies(kind, &name);
        let image = &mut after.image;
        let is_other = match (policy, kind) {
            (KindPolicy::Hold | KindPolicy::Ignore, Governed::Comment) => put_back(&mut image.comments, &old.comments),
            (KindPolicy::Hold | KindPolicy::Ignore, _) => put_back(&mut image.privileges, &old.privileges),
            _ => false,
        };
        if is_other && policy == KindPolicy::Hold {
            frozen.held.push((kind, format!("{} of {}", kind.as_str(), name.shown())));
        }
    }
}

fn put_back<T: Clone + PartialEq>(
    new: &mut std::collections::HashMap<Address, T>,
    old: &std::collections::HashMap<Address, T>,
) -> bool {
    let is_other = new != old;
    new.clone_from(old);
    is_other
}

/// A part of a relation.
trait Part: Clone + PartialEq {
    const CLASS: Class;
    fn oid(&self) -> u32;
    fn name(&self) -> &str;
    fn is_blocked(&self) -> bool;
    fn block(&mut self);
}

macro_rules! part {
    ($($of:ty, $class:expr, $name:ident $(. $more:ident)?;)+) => {
        $(impl Part for $of {
            const CLASS: Class = $class;

            fn oid(&self) -> u32 {
                self.oid
            }

            fn name(&self) -> &str {
                &self.$name$(.$more)?
            }

            fn is_blocked(&self) -> bool {
                self.blocked
            }

            fn block(&mut self) {
                self.blocked = true;
            }
        })+
    };
}

part! {
    Index, Class::Relation, name;
    Constraint, Class::Constraint, name;
    Trigger, Class::Trigger, name;
    Rule, Class::Rewrite, name;
    Policy, Class::Policy, name;
    Statistics, Class::Statistics, name.name;
}

fn freeze_parts(old: Option<&Table>, new: &mut Table, policies: Policies, frozen: &mut Frozen) {
    let shown = new.name.shown();
    let name = new.name.clone();
    let mut freezer = Freezer { table: &shown, policy: &|kind| policies(kind, &name), frozen };
    let is_free = |index: &Index| index.constraint.is_none();
    let is_check = |constraint: &Constraint| constraint.kind == ConstraintKind::Check;
    let is_foreign = |constraint: &Constraint| constraint.kind == ConstraintKind::ForeignKey;
    freezer.freeze(Governed::Index, old.map(|t| &t.indexes), &mut new.indexes, is_free);
    freezer.freeze(Governed::Check, old.map(|t| &t.constraints), &mut new.constraints, is_check);
    freezer.freeze(Governed::ForeignKey, old.map(|t| &t.constraints), &mut new.constraints, is_foreign);
    freezer.freeze(Governed::Trigger, old.map(|t| &t.triggers), &mut new.triggers, |_| true);
    freezer.freeze(Governed::Rule, old.map(|t| &t.rules), &mut new.rules, |_| true);
    freezer.freeze(Governed::RowPolicy, old.map(|t| &t.policies), &mut new.policies, |_| true);
    freezer.freeze(Governed::Statistics, old.map(|t| &t.statistics), &mut new.statistics, |_| true);
}

struct Freezer<'a> {
    table: &'a str,
    policy: &'a dyn Fn(Governed) -> KindPolicy,
    frozen: &'a mut Frozen,
}

impl Freezer<'_> {
    fn freeze<P: Part>(&mut self, kind: Governed, old: Option<&Vec<P>>, new: &mut Vec<P>, is_it: impl Fn(&P) -> bool) {
        let policy = (self.policy)(kind);
        if !matches!(policy, KindPolicy::Hold | KindPolicy::Ignore) {
            return;
        }
        let old: Vec<&P> = old.into_iter().flatten().filter(|part| is_it(part)).collect();
        for part in new.iter_mut().filter(|part| is_it(part)) {
            self.frozen.parts.insert((P::CLASS, part.oid()));
            let before = old.iter().find(|old| old.oid() == part.oid());
            if before.is_none_or(|before| *before != part) {
                self.note(policy, kind, part);
            }
            match before.filter(|before| !before.is_blocked()) {
                Some(before) => part.clone_from(before),
                None => part.block(),
            }
        }
        let is_gone = |part: &&&P| !new.iter().any(|other| other.oid() == part.oid());
        let gone: Vec<P> = old.iter().filter(is_gone).map(|part| (*part).clone()).collect();
        gone.iter().for_each(|part| self.note(policy, kind, part));
        new.extend(gone);
    }

    fn note(&mut self, policy: KindPolicy, kind: Governed, part: &impl Part) {
        if policy == KindPolicy::Hold {
            self.frozen.held.push((kind, format!("{} {} on {}", kind.as_str(), shown(part.name()), self.table)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::samples::{constraint, index, table};

    fn kept(change: impl FnOnce(&mut Table)) -> Kept {
        let mut table = table(10, "t");
        change(&mut table);
        Kept { image: Image { tables: vec![table], ..Image::default() }, ..Kept::default() }
    }

    fn of(oid: u32, name: &str) -> Index {
        index(oid, name, &format!("CREATE INDEX {name} ON s.t USING btree (id)"))
    }

    fn frozen(before: Option<&Kept>, mut after: Kept, policy: KindPolicy) -> (Vec<(String, bool)>, Vec<String>) {
        let mut frozen = Frozen::default();
        let policies = |kind, _: &Name| if kind == Governed::Index { policy } else { KindPolicy::Replicate };
        freeze(before, &mut after, &policies, &mut frozen);
        let indexes = after.image.tables[0].indexes.iter().map(|index| (index.name.clone(), index.blocked));
        (indexes.collect(), frozen.held.into_iter().map(|(_, what)| what).collect())
    }

    #[test]
    fn what_was_there_stays_and_what_is_new_does_not_come() {
        let before = kept(|table| table.indexes = vec![of(1, "a"), of(2, "b")]);
        let after = || kept(|table| table.indexes = vec![of(1, "renamed"), of(3, "new")]);
        let stays = [("a".to_owned(), false), ("new".to_owned(), true), ("b".to_owned(), false)];
        let (indexes, held) = frozen(Some(&before), after(), KindPolicy::Ignore);
        assert_eq!((indexes.as_slice(), held.len()), (stays.as_slice(), 0));
        let (indexes, held) = frozen(Some(&before), after(), KindPolicy::Hold);
        assert_eq!(indexes, stays);
        assert_eq!(held, ["index renamed on s.t", "index new on s.t", "index b on s.t"]);
        assert_eq!(frozen(None, after(), KindPolicy::Replicate).0.len(), 2);
    }

    /// The index of a key is the key's.
    #[test]
    fn keys_are_nobodys_to_leave_out() {
        let key = Index { constraint: Some(5), definition: None, ..of(1, "t_pkey") };
        let after = kept(|table| {
            table.indexes = vec![key];
            table.constraints = vec![constraint(5, "t_pkey", ConstraintKind::PrimaryKey, "PRIMARY KEY (id)")];
        });
        assert_eq!(frozen(None, after, KindPolicy::Hold), (vec![("t_pkey".to_owned(), false)], vec![]));
    }

    #[test]
    fn tags_say_what_a_command_is_about() {
        for (tag, kind) in [
            ("CREATE INDEX", Some(Governed::Index)),
            ("DROP TABLE", Some(Governed::DropTable)),
            ("ALTER TABLE", Some(Governed::Table)),
            ("CREATE TABLE AS", Some(Governed::Table)),
            ("REFRESH MATERIALIZED VIEW", Some(Governed::MaterializedView)),
            ("ALTER PROCEDURE", Some(Governed::Function)),
            ("GRANT", Some(Governed::Privileges)),
            ("CREATE EXTENSION", None),
            ("APPROVE", None),
        ] {
            assert_eq!(Governed::of_tag(tag), kind, "{tag}");
        }
        for (kind, word) in Governed::WORDS {
            assert_eq!((Governed::parse(word), kind.as_str()), (Some(kind), word));
        }
    }
}
