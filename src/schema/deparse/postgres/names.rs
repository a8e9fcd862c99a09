//! Names that the objects of an image take among all others of their schema: a name that is taken on the destination counts as "there
//! already" only when it belongs to the same thing. Constraints have their names in their table, and are compared when they are created.

use super::{Postgres, differs, subject};
use crate::logicalrep::names::shown;
use crate::schema::deparse::SchemaSql;
use crate::schema::diff::Subject;
use crate::schema::image::{Image, Name, Table};
use crate::schema::kind::Kind;

/// Where a name is looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Catalog {
    Class,
    Type,
    Collation,
    Statistics,
    Extension,
    Routine,
    /// Found by what it is.
    Plain,
}

impl Catalog {
    /// As `sql/query/destination/names.sql` has them.
    pub fn as_str(self) -> &'static str {
        match self {
            Catalog::Class => "class",
            Catalog::Type => "type",
            Catalog::Collation => "collation",
            Catalog::Statistics => "statistics",
            Catalog::Extension => "extension",
            Catalog::Routine => "routine",
            Catalog::Plain => "plain",
        }
    }
}

#[derive(Clone, Debug)]
pub struct TakenName {
    /// What the name is for, as people read it.
    pub kind: String,
    pub object: String,
    pub catalog: Catalog,
    pub name: Name,
    pub differs_sql: SchemaSql,
}

/// All of them, with the question whether another thing has one.
pub fn names(image: &Image, major: u32) -> Vec<TakenName> {
    let printer = Postgres { major };
    let mut names = Vec::new();
    let mut take = |kind: String, catalog, name: &Name, differs_sql| {
        let object = if catalog == Catalog::Extension { shown(&name.name) } else { name.shown() };
        names.push(TakenName { kind, object, catalog, name: name.clone(), differs_sql: SchemaSql(differs_sql) });
    };
    for routine in image.routines.iter().filter(|routine| !routine.blocked) {
        let kind = if routine.is_procedure { "procedure" } else { "function" };
        take(kind.to_owned(), Catalog::Routine, &routine.name, differs::routine_differs(routine));
    }
    for plain in image.plain.iter().filter(|of| !of.blocked) {
        take(plain.kind.shown().to_owned(), Catalog::Plain, &plain.name, printer.plain_differs(plain));
    }
    for view in image.views.iter().filter(|view| !view.blocked) {
        take(Kind::View.to_string(), Catalog::Class, view.name(), printer.view_differs(view));
        take(Kind::View.to_string(), Catalog::Type, view.name(), differs::type_has_name(view.name()));
        view.relation.indexes.iter().filter(|index| index.is_made()).for_each(|index| {
            let name = Name::new(&view.name().schema, &index.name);
            let differs_sql = printer.index_differs(&view.relation, index);
            take(Kind::Index.to_string(), Catalog::Class, &name, differs_sql);
        });
    }
    for sequence in &image.sequences {
        let differs_sql = differs::sequence_differs(sequence);
        take(Kind::Sequence.to_string(), Catalog::Class, &sequence.name, differs_sql);
    }
    for extension in &image.extensions {
        let name = Name::new(&extension.schema, &extension.name);
        take(Kind::Extension.to_string(), Catalog::Extension, &name, differs::extension_differs(extension));
    }
    for collation in &image.collations {
        let differs_sql = printer.collation_differs(collation);
        take(Kind::Collation.to_string(), Catalog::Collation, &collation.name, differs_sql);
    }
    for of in &image.types {
        let kind = if of.is_domain() { Kind::Domain } else { Kind::Type };
        take(kind.to_string(), Catalog::Type, &of.name, printer.type_differs(of));
    }
    for table in &image.tables {
        of_table(&printer, table, &mut take);
    }
    names
}

fn of_table(printer: &Postgres, table: &Table, take: &mut impl FnMut(String, Catalog, &Name, String)) {
    take(Kind::Table.to_string(), Catalog::Type, &table.name, differs::type_has_name(&table.name));
    let identities = table.columns.iter().filter_map(|column| column.identity.as_ref()?.sequence.as_ref());
    for sequence in identities {
        let kind = format!("identity sequence of {}", table.name.shown());
        take(kind, Catalog::Class, &sequence.name, differs::something_has_name(&sequence.name));
    }
    for index in table.indexes.iter().filter(|index| index.is_made()) {
        let name = Name::new(&table.name.schema, &index.name);
        let constraint = table.constraints.iter().find(|k| Some(k.oid) == index.constraint);
        match constraint {
            None => take(Kind::Index.to_string(), Catalog::Class, &name, printer.index_differs(table, index)),
            Some(constraint) => {
                let whom = subject::object(&Subject::constraint(&table.name, &constraint.name));
                let kind = format!("index of constraint {whom}");
                take(kind, Catalog::Class, &name, differs::something_has_name(&name));
            }
        }
    }
    for statistics in &table.statistics {
        let differs_sql = printer.statistics_differ(table, statistics);
        take(Kind::Statistics.to_string(), Catalog::Statistics, &statistics.name, differs_sql);
    }
}
