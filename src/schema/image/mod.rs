//! An image: objects of a database as they are at one moment, each with the oid that it keeps when its name changes.
//!
//! Definitions that only the server can write (expressions, constraints, indexes) are its text, everything else is a field. A part that
//! cannot be created on the destination, because it depends on something that is not there, is in the image and *blocked*.

mod code;
mod operand;
mod plain;
mod table;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::logicalrep::names::shown_qualified;

pub use code::{Routine, Rule, View, ViewForm};
pub use operand::Operand;
pub use plain::{Plain, PlainKind, key, slot};
pub use table::{
    Column, Compression, Constraint, ConstraintKind, Firing, Generated, Identity, Index, IndexStatistics, Parent,
    Policy, PolicyCommand, ReplicaIdentity, Statistics, Storage, StorageOption, Table, Trigger,
};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Image {
    pub schemas: Vec<Schema>,
    pub extensions: Vec<Extension>,
    pub collations: Vec<Collation>,
    pub types: Vec<Type>,
    /// Those of identity columns are with their column.
    pub sequences: Vec<Sequence>,
    pub tables: Vec<Table>,
    pub routines: Vec<Routine>,
    pub views: Vec<View>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub plain: Vec<Plain>,
    #[serde(with = "as_pairs")]
    pub comments: HashMap<Address, String>,
    #[serde(with = "as_pairs")]
    pub privileges: HashMap<Address, Privileges>,
}

/// An address is no key of a JSON object: a list of pairs, in the order of the addresses, so that equal images are equal texts.
mod as_pairs {
    use std::collections::HashMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::Address;

    pub fn serialize<S: Serializer, T: Serialize>(map: &HashMap<Address, T>, to: S) -> Result<S::Ok, S::Error> {
        let mut pairs: Vec<(&Address, &T)> = map.iter().collect();
        pairs.sort_by_key(|(address, _)| **address);
        pairs.serialize(to)
    }

    pub fn deserialize<'a, D: Deserializer<'a>, T: Deserialize<'a>>(from: D) -> Result<HashMap<Address, T>, D::Error> {
        Ok(Vec::<(Address, T)>::deserialize(from)?.into_iter().collect())
    }
}

impl Image {
    /// Objects that are no part of another.
    pub fn roots(&self) -> impl Iterator<Item = (Class, u32)> + '_ {
        let tables = self.tables.iter().map(|of| (Class::Relation, of.oid));
        let sequences = self.sequences.iter().map(|of| (Class::Relation, of.oid));
        let types = self.types.iter().map(|of| (Class::Type, of.oid));
        let collations = self.collations.iter().map(|of| (Class::Collation, of.oid));
        let extensions = self.extensions.iter().map(|of| (Class::Extension, of.oid));
        let schemas = self.schemas.iter().map(|of| (Class::Namespace, of.oid));
        let routines = self.routines.iter().map(|of| (Class::Proc, of.oid));
        let views = self.views.iter().map(|of| (Class::Relation, of.oid()));
        let containers = extensions.chain(schemas);
        let plain = self.plain.iter().map(|of| (of.class(), of.oid));
        tables
            .chain(sequences)
            .chain(types)
            .chain(collations)
            .chain(containers)
            .chain(routines)
            .chain(views)
            .chain(plain)
    }

    /// Takes objects out, tables out of their children's parents, too.
    pub fn leave_out(&mut self, gone: &HashSet<(Class, u32)>) {
        let is_there = |class: Class, oid: u32| !gone.contains(&(class, oid));
        self.tables.retain(|of| is_there(Class::Relation, of.oid));
        self.tables.iter_mut().for_each(|of| of.parents.retain(|parent| is_there(Class::Relation, parent.oid)));
        self.sequences.retain(|of| is_there(Class::Relation, of.oid));
        self.views.retain(|of| is_there(Class::Relation, of.oid()));
        self.types.retain(|of| is_there(Class::Type, of.oid));
        self.collations.retain(|of| is_there(Class::Collation, of.oid));
        self.extensions.retain(|of| is_there(Class::Extension, of.oid));
        self.schemas.retain(|of| is_there(Class::Namespace, of.oid));
        self.routines.retain(|of| is_there(Class::Proc, of.oid));
        self.plain.retain(|of| is_there(of.class(), of.oid));
    }

    /// Whatever is signed with types has their names of a moment, as far as they are known.
    pub fn respell(&mut self, names: &impl Fn(&(Class, u32)) -> Option<Name>) {
        self.routines.iter_mut().for_each(|of| of.respell(names));
        self.plain.iter_mut().for_each(|of| of.respell(names));
    }

    /// The types that it is signed with.
    pub fn operands(&self) -> impl Iterator<Item = (Class, u32)> + '_ {
        let routines = self.routines.iter().flat_map(|of| &of.operands);
        routines.chain(self.plain.iter().flat_map(|of| &of.operands)).filter_map(|operand| operand.of)
    }

    /// Adds the objects of another image.
    pub fn extend(&mut self, more: &Image) {
        self.schemas.extend(more.schemas.iter().cloned());
        self.extensions.extend(more.extensions.iter().cloned());
        self.collations.extend(more.collations.iter().cloned());
        self.types.extend(more.types.iter().cloned());
        self.sequences.extend(more.sequences.iter().cloned());
        self.tables.extend(more.tables.iter().cloned());
        self.routines.extend(more.routines.iter().cloned());
        self.views.extend(more.views.iter().cloned());
        self.plain.extend(more.plain.iter().cloned());
        self.comments.extend(more.comments.iter().map(|(address, text)| (*address, text.clone())));
        self.privileges.extend(more.privileges.iter().map(|(address, of)| (*address, of.clone())));
    }
}

/// A catalog of the server; the number is its oid there, the same on every major.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u32)]
#[allow(clippy::enum_variant_names, reason = "an operator class is one for the server, too")]
pub enum Class {
    Type = 1247,
    Proc = 1255,
    Relation = 1259,
    AccessMethod = 2601,
    AttributeDefault = 2604,
    Cast = 2605,
    Constraint = 2606,
    Conversion = 2607,
    Language = 2612,
    Namespace = 2615,
    OperatorClass = 2616,
    Operator = 2617,
    Rewrite = 2618,
    Trigger = 2620,
    OperatorFamily = 2753,
    Extension = 3079,
    Policy = 3256,
    Statistics = 3381,
    Collation = 3456,
    SearchDictionary = 3600,
    SearchParser = 3601,
    SearchConfiguration = 3602,
    SearchTemplate = 3764,
}

impl Class {
    const ALL: [Class; 23] = [
        Class::Type,
        Class::Proc,
        Class::Relation,
        Class::AccessMethod,
        Class::AttributeDefault,
        Class::Cast,
        Class::Constraint,
        Class::Conversion,
        Class::Language,
        Class::Namespace,
        Class::OperatorClass,
        Class::Operator,
        Class::Rewrite,
        Class::Trigger,
        Class::OperatorFamily,
        Class::Extension,
        Class::Policy,
        Class::Statistics,
        Class::Collation,
        Class::SearchDictionary,
        Class::SearchParser,
        Class::SearchConfiguration,
        Class::SearchTemplate,
    ];

    /// Functions and what is made of them: a task creates it, or finds it on the destination.
    pub fn is_code(self) -> bool {
        self == Class::Proc || PlainKind::ALL.into_iter().any(|kind| kind.class() == self)
    }

    /// Code that only superusers make.
    pub fn is_for_superusers(self) -> bool {
        PlainKind::ALL.into_iter().any(|kind| kind.class() == self && kind.is_for_superusers())
    }

    pub fn of(oid: u32) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.oid() == oid)
    }

    pub fn oid(self) -> u32 {
        self as u32
    }
}

/// Catalog, oid, and the number of a column (0 for the object itself).
pub type Address = (Class, u32, i16);

/// Schema and name, as they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name {
    pub schema: String,
    pub name: String,
}

impl Name {
    pub fn new(schema: impl Into<String>, name: impl Into<String>) -> Name {
        Name { schema: schema.into(), name: name.into() }
    }

    pub fn cow(&self) -> Cow<'_, Name> {
        Cow::Borrowed(self)
    }

    /// Quoted where it has to be.
    pub fn shown(&self) -> String {
        shown_qualified(&self.schema, &self.name)
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    pub oid: u32,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extension {
    pub oid: u32,
    pub level: i64,
    pub name: String,
    pub schema: String,
    pub version: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Provider {
    Libc,
    Icu,
    Builtin,
    Default,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collation {
    pub oid: u32,
    pub name: Name,
    pub provider: Provider,
    pub deterministic: bool,
    pub collate: Option<String>,
    pub ctype: Option<String>,
    pub locale: Option<String>,
    pub rules: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Type {
    pub oid: u32,
    pub level: i64,
    pub name: Name,
    pub form: TypeForm,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TypeForm {
    Enum { labels: Vec<EnumLabel> },
    Composite { relation: u32, attributes: Vec<Attribute> },
    Range(Range),
    Domain(Domain),
}

/// In the order of the type. One under another name keeps its oid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnumLabel {
    pub oid: u32,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attribute {
    pub attnum: i16,
    pub name: String,
    pub type_name: String,
    /// Null where it is the type's own.
    pub collation: Option<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    pub subtype: String,
    pub operator_class: Name,
    pub is_default_class: bool,
    pub collation: Option<Name>,
    /// Support functions that are created, or there.
    pub canonical: Option<String>,
    pub subtype_diff: Option<String>,
    pub multirange: Option<Name>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    pub base: String,
    pub collation: Option<Name>,
    pub not_null: bool,
    pub default: Option<String>,
    pub constraints: Vec<DomainConstraint>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainConstraint {
    pub oid: u32,
    pub name: String,
    /// A CHECK; else (17) a NOT NULL with a name.
    pub is_check: bool,
    pub definition: String,
    pub validated: bool,
    pub blocked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sequence {
    pub oid: u32,
    pub name: Name,
    pub unlogged: bool,
    pub type_oid: u32,
    pub type_name: String,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cache: i64,
    pub cycle: bool,
    pub owner: Option<Owner>,
    /// A column of a table that is not described here.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_of_other: bool,
}

/// The column of OWNED BY.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    pub table: Name,
    pub column: String,
}

/// What other roles than the owner may do, as far as it differs from what a new object has.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Privileges {
    pub grants: Vec<Grant>,
    /// A new type is usable by everybody; the source took that away.
    pub public_revoked: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// In the order of the source's list: the destination's list is then the same.
    pub place: i64,
    /// Null is PUBLIC.
    pub grantee: Option<String>,
    pub privileges: Vec<String>,
    pub with_option: bool,
}

impl Type {
    pub fn is_domain(&self) -> bool {
        matches!(self.form, TypeForm::Domain(_))
    }
}
