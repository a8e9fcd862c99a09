//! Whom a step is about, by name: what people read, what COMMENT ON takes, and where a catalog has it are made from it.

use std::borrow::Cow;

use crate::schema::image::{Name, Plain, PlainKind, Routine, Type, View};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject<'a> {
    Schema(Cow<'a, str>),
    Extension(&'a str),
    Collation(Cow<'a, Name>),
    Type(Cow<'a, Name>),
    Domain(Cow<'a, Name>),
    Sequence(Cow<'a, Name>),
    Table(Cow<'a, Name>),
    Index(Cow<'a, Name>),
    Statistics(Cow<'a, Name>),
    /// Of a table, or an attribute of a composite type.
    Column(&'a Name, Cow<'a, str>),
    Constraint(&'a Name, Cow<'a, str>),
    DomainConstraint(&'a Name, Cow<'a, str>),
    Trigger(&'a Name, Cow<'a, str>),
    Policy(&'a Name, Cow<'a, str>),
    Rule(&'a Name, Cow<'a, str>),
    View(Cow<'a, Name>),
    MaterializedView(Cow<'a, Name>),
    /// With the types of its arguments.
    Function(Cow<'a, Name>, &'a str),
    Procedure(Cow<'a, Name>, &'a str),
    Plain(Cow<'a, Plain>),
}

impl<'a> Subject<'a> {
    pub fn schema(name: &'a str) -> Subject<'a> {
        Subject::Schema(name.into())
    }

    pub fn column(table: &'a Name, name: &'a str) -> Subject<'a> {
        Subject::Column(table, name.into())
    }

    pub fn constraint(table: &'a Name, name: &'a str) -> Subject<'a> {
        Subject::Constraint(table, name.into())
    }

    pub fn domain_constraint(domain: &'a Name, name: &'a str) -> Subject<'a> {
        Subject::DomainConstraint(domain, name.into())
    }

    pub fn trigger(table: &'a Name, name: &'a str) -> Subject<'a> {
        Subject::Trigger(table, name.into())
    }

    pub fn policy(table: &'a Name, name: &'a str) -> Subject<'a> {
        Subject::Policy(table, name.into())
    }

    pub fn rule(table: &'a Name, name: &'a str) -> Subject<'a> {
        Subject::Rule(table, name.into())
    }

    pub fn view(view: &View, name: Cow<'a, Name>) -> Subject<'a> {
        if view.is_materialized() { Subject::MaterializedView(name) } else { Subject::View(name) }
    }

    pub fn routine(routine: &'a Routine, name: Cow<'a, Name>) -> Subject<'a> {
        match routine.is_procedure {
            true => Subject::Procedure(name, &routine.arguments),
            false => Subject::Function(name, &routine.arguments),
        }
    }

    pub fn plain(plain: &'a Plain) -> Subject<'a> {
        Subject::Plain(Cow::Borrowed(plain))
    }

    pub fn of_type(of: &'a Type) -> Subject<'a> {
        let name = of.name.cow();
        if of.is_domain() { Subject::Domain(name) } else { Subject::Type(name) }
    }

    /// An index has its table's schema.
    pub fn index(table: &Name, name: &str) -> Subject<'a> {
        Subject::Index(Cow::Owned(Name::new(&table.schema, name)))
    }

    /// The word of its statements.
    pub fn word(&self) -> &'static str {
        match self {
            Subject::Schema(_) => "SCHEMA",
            Subject::Extension(_) => "EXTENSION",
            Subject::Collation(_) => "COLLATION",
            Subject::Type(_) => "TYPE",
            Subject::Domain(_) => "DOMAIN",
            Subject::Sequence(_) => "SEQUENCE",
            Subject::Table(_) => "TABLE",
            Subject::Index(_) => "INDEX",
            Subject::Statistics(_) => "STATISTICS",
            Subject::Column(..) => "COLUMN",
            Subject::Constraint(..) | Subject::DomainConstraint(..) => "CONSTRAINT",
            Subject::Trigger(..) => "TRIGGER",
            Subject::Policy(..) => "POLICY",
            Subject::Rule(..) => "RULE",
            Subject::View(_) => "VIEW",
            Subject::MaterializedView(_) => "MATERIALIZED VIEW",
            Subject::Function(..) => "FUNCTION",
            Subject::Procedure(..) => "PROCEDURE",
            Subject::Plain(plain) => plain.kind.word(),
        }
    }

    /// Does EXECUTE go with it?
    pub fn is_routine(&self) -> bool {
        match self {
            Subject::Plain(plain) => plain.kind == PlainKind::Aggregate,
            of => matches!(of, Subject::Function(..) | Subject::Procedure(..)),
        }
    }

    /// The same object under another name.
    pub fn renamed(self, to: &Cow<'a, str>) -> Subject<'a> {
        match self {
            Subject::Schema(_) => Subject::Schema(to.clone()),
            Subject::Extension(_) => self,
            Subject::Column(table, _) => Subject::Column(table, to.clone()),
            Subject::Constraint(table, _) => Subject::Constraint(table, to.clone()),
            Subject::DomainConstraint(domain, _) => Subject::DomainConstraint(domain, to.clone()),
            Subject::Trigger(table, _) => Subject::Trigger(table, to.clone()),
            Subject::Policy(table, _) => Subject::Policy(table, to.clone()),
            Subject::Rule(table, _) => Subject::Rule(table, to.clone()),
            named => named.with(|name| Name::new(&name.schema, &**to)),
        }
    }

    /// The same object in another schema.
    pub fn moved(self, schema: &str) -> Subject<'a> {
        self.with(|name| Name::new(schema, &name.name))
    }

    fn with(self, change: impl Fn(&Name) -> Name) -> Subject<'a> {
        match self {
            Subject::Collation(name) => Subject::Collation(Cow::Owned(change(&name))),
            Subject::Type(name) => Subject::Type(Cow::Owned(change(&name))),
            Subject::Domain(name) => Subject::Domain(Cow::Owned(change(&name))),
            Subject::Sequence(name) => Subject::Sequence(Cow::Owned(change(&name))),
            Subject::Table(name) => Subject::Table(Cow::Owned(change(&name))),
            Subject::Index(name) => Subject::Index(Cow::Owned(change(&name))),
            Subject::Statistics(name) => Subject::Statistics(Cow::Owned(change(&name))),
            Subject::View(name) => Subject::View(Cow::Owned(change(&name))),
            Subject::MaterializedView(name) => Subject::MaterializedView(Cow::Owned(change(&name))),
            Subject::Function(name, of) => Subject::Function(Cow::Owned(change(&name)), of),
            Subject::Procedure(name, of) => Subject::Procedure(Cow::Owned(change(&name)), of),
            Subject::Plain(of) => Subject::Plain(Cow::Owned(of.named(&change(&of.name)))),
            other => other,
        }
    }
}
