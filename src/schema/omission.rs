//! What belongs to tables and is not created with them, or in another form, and why.

use std::collections::{HashMap, HashSet};
use std::fmt;

use super::captured::Owned;
use super::deparse::postgres::name_of;
use super::diff::Subject;
use super::image::{Class, Image, Name, PlainKind, Table};
use super::scope::{Blocked, Object, Scope};
use crate::logicalrep::names::shown;

/// What is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Omitted {
    Relation,
    Table,
    Default,
    GeneratedColumn,
    Check,
    ForeignKey,
    ExclusionConstraint,
    Key,
    Index,
    Trigger,
    Policy,
    Statistics,
    Type,
    DomainDefault,
    RangeSupportFunction,
    DomainCheck,
    Rule,
    View,
    Function,
    Object(PlainKind),
    Publication,
    Tablespace,
    SecurityLabel,
    Inheritance,
    Identity,
    ColumnOrder,
    Unlogged,
}

impl Omitted {
    pub fn as_str(self) -> &'static str {
        match self {
            Omitted::Relation => "relation",
            Omitted::Table => "table",
            Omitted::Default => "default",
            Omitted::GeneratedColumn => "generated column",
            Omitted::Check => "check",
            Omitted::ForeignKey => "foreign key",
            Omitted::ExclusionConstraint => "exclusion constraint",
            Omitted::Key => "key",
            Omitted::Index => "index",
            Omitted::Trigger => "trigger",
            Omitted::Policy => "policy",
            Omitted::Statistics => "statistics",
            Omitted::Type => "type",
            Omitted::DomainDefault => "domain default",
            Omitted::RangeSupportFunction => "range support function",
            Omitted::DomainCheck => "domain check",
            Omitted::Rule => "rule",
            Omitted::View => "view",
            Omitted::Function => "function",
            Omitted::Object(kind) => kind.shown(),
            Omitted::Publication => "publication",
            Omitted::Tablespace => "tablespace",
            Omitted::SecurityLabel => "security label",
            Omitted::Inheritance => "inheritance",
            Omitted::Identity => "identity",
            Omitted::ColumnOrder => "column order",
            Omitted::Unlogged => "unlogged",
        }
    }
}

impl fmt::Display for Omitted {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The statement that creates it will fail: nobody should start with this selection. `by` is as the server describes it.
    Impossible { by: String, cause: Object },
    /// It is left out unless the destination has what it needs.
    Needs { by: String, cause: Object },
    /// A foreign key to a table that is not there.
    References { table: String },
    /// A permissive policy beside a restrictive one that is not there.
    ShowsTooMuch { without: String },
    /// Nobody vouches for whoever wrote it.
    Untrusted { role: String },
    /// The destination's user is none, as far as is known.
    ForSuperusers,
    /// So it is always.
    Fixed(&'static str),
    /// Something that was asked for is no table of a user.
    OfExtension { extension: String },
}

impl Reason {
    /// What the destination would have to have.
    pub fn cause(&self) -> Option<Object> {
        match self {
            Reason::Impossible { cause, .. } | Reason::Needs { cause, .. } => Some(*cause),
            _ => None,
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Reason::Impossible { by, .. } => write!(f, "cannot create: depends on {by}"),
            Reason::Needs { by, .. } => {
                write!(f, "depends on {by}, which the task does not create: left out unless the destination has it")
            }
            Reason::References { table } => write!(f, "references {table}, which is not selected"),
            Reason::ShowsTooMuch { without } => write!(
                f,
                "restrictive policy {} is not created, and without it this one would show rows that the source hides",
                shown(without)
            ),
            Reason::Untrusted { role } => write!(
                f,
                "belongs to role {}, whom the task does not trust: it would run on the destination with the rights of the user there",
                shown(role)
            ),
            Reason::ForSuperusers => f.write_str(
                "only superusers make it: left out unless the destination has it, or the task's user is a superuser there",
            ),
            Reason::Fixed(reason) => f.write_str(reason),
            Reason::OfExtension { extension } => {
                write!(f, "belongs to extension {}, which creates it", shown(extension))
            }
        }
    }
}

#[derive(Clone, Debug)]
pub struct Omission {
    pub kind: Omitted,
    pub object: String,
    /// The table; none for what belongs to a type.
    pub relation: Option<u32>,
    pub reason: Reason,
}

/// What an object is that cannot be created, as its catalog says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Table,
    Column {
        is_generated: bool,
    },
    Constraint(char),
    Index,
    Trigger,
    Policy,
    Statistics,
    DomainConstraint,
    /// `typtype`
    Type(char),
}

/// A blocked object with its name: that of a part, and of the table or type it is a part of.
#[derive(Clone, Debug)]
pub struct BlockedPart {
    pub address: Object,
    pub part: Part,
    pub name: Option<String>,
    pub owner: Name,
    /// The table or type.
    pub of: u32,
    /// The table that hands it down.
    pub parent: Option<u32>,
}

/// Parts that depend on what is not created. What a table of the task hands down is said there; of types only those that are needed.
pub fn blocked(
    parts: &[BlockedPart],
    blocked: &HashMap<Object, Blocked>,
    described: &HashMap<Object, String>,
    tables: &HashSet<u32>,
    types: &HashSet<u32>,
) -> Vec<Omission> {
    let mut omissions = Vec::new();
    for part in parts {
        let Some(why) = blocked.get(&part.address) else { continue };
        let of_type = matches!(part.part, Part::DomainConstraint | Part::Type(_));
        let is_needed = !of_type || types.contains(&part.of);
        if !is_needed || part.parent.is_some_and(|parent| tables.contains(&parent)) {
            continue;
        }
        let kind = kind_of(part.part, why);
        let by = described.get(&why.by).cloned().unwrap_or_else(|| "something that is gone".to_owned());
        omissions.push(Omission {
            kind,
            object: object(part.name.as_deref(), &part.owner),
            relation: (!of_type).then_some(part.of),
            reason: match kind {
                Omitted::ForeignKey if why.by.0 == Class::Relation => Reason::References { table: by },
                Omitted::Table | Omitted::GeneratedColumn | Omitted::Type => {
                    Reason::Impossible { by, cause: why.cause }
                }
                _ => Reason::Needs { by, cause: why.cause },
            },
        });
    }
    omissions
}

/// A domain lives without its default, and a range without its support functions.
fn kind_of(part: Part, why: &Blocked) -> Omitted {
    match part {
        Part::Table => Omitted::Table,
        Part::Column { is_generated: true } => Omitted::GeneratedColumn,
        Part::Column { is_generated: false } => Omitted::Default,
        Part::Constraint('c') => Omitted::Check,
        Part::Constraint('f') => Omitted::ForeignKey,
        Part::Constraint('x') => Omitted::ExclusionConstraint,
        Part::Constraint(_) => Omitted::Key,
        Part::Index => Omitted::Index,
        Part::Trigger => Omitted::Trigger,
        Part::Policy => Omitted::Policy,
        Part::Statistics => Omitted::Statistics,
        Part::DomainConstraint => Omitted::DomainCheck,
        Part::Type('d') if why.by.0 != Class::Type => Omitted::DomainDefault,
        Part::Type('r') if why.by.0 == Class::Proc => Omitted::RangeSupportFunction,
        Part::Type(_) => Omitted::Type,
    }
}

/// Is nothing else in its way? A class needs its family, which is theirs as well.
pub fn is_left_to_superusers(scope: &Scope, object: Object) -> bool {
    object.0.is_for_superusers() && scope.blocked.get(&object).is_none_or(|why| why.by.0.is_for_superusers())
}

/// Functions, views and rules that are not created.
pub fn code(image: &Image, scope: &Scope, untrusted: &[Owned], described: &HashMap<Object, String>) -> Vec<Omission> {
    let untrusted: HashMap<Object, &str> = untrusted.iter().map(|of| (of.object, of.role.as_str())).collect();
    let reason = |object: Object, owned: Object| match (untrusted.get(&owned), scope.blocked.get(&object)) {
        (Some(role), _) => Some(Reason::Untrusted { role: (*role).to_owned() }),
        (None, Some(why)) => {
            let by = described.get(&why.by).cloned().unwrap_or_else(|| "something that is gone".to_owned());
            Some(Reason::Needs { by, cause: why.cause })
        }
        (None, None) => None,
    };
    let mut omissions = Vec::new();
    let mut omit = |kind, object: String, relation, reason: Option<Reason>| {
        omissions.extend(reason.map(|reason| Omission { kind, object, relation, reason }));
    };
    for routine in image.routines.iter().filter(|of| of.blocked) {
        let object = (Class::Proc, routine.oid);
        let shown = name_of(&Subject::routine(routine, routine.name.cow()));
        omit(Omitted::Function, shown, None, reason(object, object));
    }
    for plain in image.plain.iter().filter(|of| of.blocked) {
        let object = (plain.class(), plain.oid);
        let is_left = is_left_to_superusers(scope, object);
        let reason = if is_left { Some(Reason::ForSuperusers) } else { reason(object, object) };
        omit(Omitted::Object(plain.kind), plain.target.clone(), None, reason);
    }
    for view in image.views.iter().filter(|of| of.blocked) {
        let object = (Class::Relation, view.oid());
        omit(Omitted::View, view.name().shown(), None, reason(object, object));
    }
    let there = image.views.iter().filter(|view| !view.blocked).map(|view| &view.relation);
    for relation in image.tables.iter().chain(there) {
        let owned = (Class::Relation, relation.oid);
        for rule in relation.rules.iter().filter(|rule| rule.blocked) {
            let object = self::object(Some(&rule.name), &relation.name);
            omit(Omitted::Rule, object, Some(relation.oid), reason((Class::Rewrite, rule.oid), owned));
        }
    }
    omissions
}

/// Policies that would show too much where a restrictive one is missing.
pub fn unsafe_policies(tables: &[Table]) -> Vec<Omission> {
    let of_table = |table: &Table| {
        let missing = table.missing_restriction().map(|policy| policy.name.clone());
        let open = table.policies.iter().filter(|policy| policy.permissive && !policy.blocked);
        let omission = |name: &str, without: String| Omission {
            kind: Omitted::Policy,
            object: object(Some(name), &table.name),
            relation: Some(table.oid),
            reason: Reason::ShowsTooMuch { without },
        };
        missing.map(|without| open.map(|policy| omission(&policy.name, without.clone())).collect::<Vec<_>>())
    };
    tables.iter().filter_map(of_table).flatten().collect()
}

/// `name on table`, or the table.
pub fn object(name: Option<&str>, owner: &Name) -> String {
    name.map_or_else(|| owner.shown(), |name| format!("{} on {}", shown(name), owner.shown()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FUNCTION: Object = (Class::Proc, 1);

    fn said(part: Part, by: Object, parent: Option<u32>) -> Vec<(Omitted, String, String)> {
        let address = (Class::Constraint, 10);
        let part = BlockedPart { address, part, name: Some("Odd".into()), owner: Name::new("s", "t"), of: 5, parent };
        let why = HashMap::from([(address, Blocked { by, cause: by })]);
        let described = HashMap::from([(by, "that".to_owned())]);
        let omissions = blocked(&[part], &why, &described, &HashSet::from([5, 6]), &HashSet::from([5]));
        omissions.into_iter().map(|o| (o.kind, o.object, o.reason.to_string())).collect()
    }

    #[test]
    fn what_waits_and_what_cannot_be() {
        let needs = "depends on that, which the task does not create: left out unless the destination has it";
        let cases = [
            (Part::Constraint('c'), FUNCTION, Omitted::Check, needs),
            (
                Part::Constraint('f'),
                (Class::Relation, 7),
                Omitted::ForeignKey,
                "references that, which is not selected",
            ),
            (Part::Constraint('f'), (Class::Operator, 7), Omitted::ForeignKey, needs),
            (Part::Column { is_generated: false }, FUNCTION, Omitted::Default, needs),
            (Part::Column { is_generated: true }, FUNCTION, Omitted::GeneratedColumn, "cannot create: depends on that"),
            (Part::Type('d'), FUNCTION, Omitted::DomainDefault, needs),
            (Part::Type('d'), (Class::Type, 7), Omitted::Type, "cannot create: depends on that"),
            (Part::Type('r'), FUNCTION, Omitted::RangeSupportFunction, needs),
            (Part::Type('r'), (Class::OperatorClass, 7), Omitted::Type, "cannot create: depends on that"),
        ];
        for (part, by, kind, reason) in cases {
            assert_eq!(said(part, by, None), [(kind, "\"Odd\" on s.t".to_owned(), reason.to_owned())], "{part:?}");
        }
    }

    #[test]
    fn what_a_selected_table_hands_down_is_said_there() {
        assert!(said(Part::Constraint('f'), (Class::Relation, 7), Some(6)).is_empty());
        assert_eq!(said(Part::Constraint('f'), (Class::Relation, 7), Some(9)).len(), 1);
    }
}
