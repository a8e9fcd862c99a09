//! ALTER of what is there: types, domains, sequences, tables, constraints, indexes; and other names.

use super::table::method_of;
use super::{collate, options, parts, subject, types};
use crate::logicalrep::names::{quote_literal, shown};
use crate::schema::diff::{
    ConstraintChange, DomainChange, IndexChange, SequenceChange, Subject, TableChange, TypeChange,
};
use crate::schema::image::{Constraint, Index, Sequence, Table, Type};

pub(super) fn rename(of: &Subject, to: &str) -> String {
    let to = shown(to);
    match of {
        Subject::Column(table, column) => {
            format!("ALTER TABLE {} RENAME COLUMN {} TO {to}", table.shown(), shown(column))
        }
        Subject::Constraint(table, name) => {
            format!("ALTER TABLE {} RENAME CONSTRAINT {} TO {to}", table.shown(), shown(name))
        }
        Subject::DomainConstraint(domain, name) => {
            format!("ALTER DOMAIN {} RENAME CONSTRAINT {} TO {to}", domain.shown(), shown(name))
        }
        _ => format!("ALTER {} RENAME TO {to}", subject::target(of)),
    }
}

pub(super) fn of_type(of: &Type, change: &TypeChange) -> String {
    let along = |cascade: bool| if cascade { " CASCADE" } else { "" };
    let action = match change {
        TypeChange::AddValue { label, before, neighbour } => {
            let word = if *before { "BEFORE" } else { "AFTER" };
            let place = neighbour.map(|label| format!(" {word} {}", quote_literal(label))).unwrap_or_default();
            format!("ADD VALUE {}{place}", quote_literal(label))
        }
        TypeChange::RenameValue { from, to } => {
            format!("RENAME VALUE {} TO {}", quote_literal(from), quote_literal(to))
        }
        TypeChange::AddAttribute { attribute, cascade } => {
            format!("ADD ATTRIBUTE {}{}", types::attribute(attribute), along(*cascade))
        }
        TypeChange::AlterAttribute { attribute, cascade } => format!(
            "ALTER ATTRIBUTE {} TYPE {}{}{}",
            shown(&attribute.name),
            attribute.type_name,
            collate(attribute.collation.as_ref()),
            along(*cascade)
        ),
        TypeChange::DropAttribute { name, cascade } => format!("DROP ATTRIBUTE {}{}", shown(name), along(*cascade)),
        TypeChange::RenameAttribute { from, to, cascade } => {
            format!("RENAME ATTRIBUTE {} TO {}{}", shown(from), shown(to), along(*cascade))
        }
    };
    format!("ALTER TYPE {} {action}", of.name.shown())
}

pub(super) fn of_domain(domain: &Type, change: DomainChange) -> String {
    let action = match change {
        DomainChange::Default(Some(expression)) => format!("SET DEFAULT {expression}"),
        DomainChange::Default(None) => "DROP DEFAULT".to_owned(),
        DomainChange::NotNull(true) => "SET NOT NULL".to_owned(),
        DomainChange::NotNull(false) => "DROP NOT NULL".to_owned(),
        DomainChange::Validate(constraint) => format!("VALIDATE CONSTRAINT {}", shown(&constraint.name)),
    };
    format!("ALTER DOMAIN {} {action}", domain.name.shown())
}

pub(super) fn of_sequence(sequence: &Sequence, change: SequenceChange) -> String {
    let action = match change {
        SequenceChange::Options { restart } => format!(
            "AS {} START WITH {} INCREMENT BY {} MINVALUE {} MAXVALUE {} CACHE {} {}CYCLE{}",
            sequence.type_name,
            sequence.start,
            sequence.increment,
            sequence.min,
            sequence.max,
            sequence.cache,
            if sequence.cycle { "" } else { "NO " },
            if restart { " RESTART" } else { "" }
        ),
        SequenceChange::Persistence if sequence.unlogged => "SET UNLOGGED".to_owned(),
        SequenceChange::Persistence => "SET LOGGED".to_owned(),
        SequenceChange::Free => "OWNED BY NONE".to_owned(),
    };
    format!("ALTER SEQUENCE {} {action}", sequence.name.shown())
}

pub(super) fn of_table(table: &Table, change: TableChange) -> String {
    let action = match (change, &table.of_type) {
        (TableChange::AccessMethod, _) => {
            let method = method_of(table).map_or_else(|| "DEFAULT".to_owned(), shown);
            format!("SET ACCESS METHOD {method}")
        }
        (TableChange::OfType, Some(of)) => format!("OF {of}"),
        (TableChange::OfType | TableChange::NotOfType, _) => "NOT OF".to_owned(),
    };
    format!("ALTER TABLE {} {action}", table.name.shown())
}

pub(super) fn of_constraint(table: &Table, constraint: &Constraint, change: ConstraintChange) -> String {
    let name = shown(&constraint.name);
    let action = match change {
        ConstraintChange::Validate => format!("VALIDATE CONSTRAINT {name}"),
        ConstraintChange::Defer => {
            let word = match (constraint.deferrable, constraint.deferred) {
                (false, _) => "NOT DEFERRABLE",
                (true, false) => "DEFERRABLE INITIALLY IMMEDIATE",
                (true, true) => "DEFERRABLE INITIALLY DEFERRED",
            };
            format!("ALTER CONSTRAINT {name} {word}")
        }
        ConstraintChange::Enforce(true) => format!("ALTER CONSTRAINT {name} ENFORCED"),
        ConstraintChange::Enforce(false) => format!("ALTER CONSTRAINT {name} NOT ENFORCED"),
        // The server merges both.
        ConstraintChange::Declare => return parts::add_constraint(table, constraint),
        ConstraintChange::Inherit(true) => format!("ALTER CONSTRAINT {name} INHERIT"),
        ConstraintChange::Inherit(false) => format!("ALTER CONSTRAINT {name} NO INHERIT"),
    };
    format!("ALTER TABLE {} {action}", table.name.shown())
}

pub(super) fn of_index(table: &Table, index: &Index, change: &IndexChange) -> String {
    let action = match change {
        IndexChange::Options => format!("SET ({})", options(&index.options)),
        IndexChange::ResetOptions(names) => {
            format!("RESET ({})", names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", "))
        }
        IndexChange::ResetStatistics(statistics) => {
            format!("ALTER COLUMN {} SET STATISTICS -1", statistics.attnum)
        }
    };
    format!("ALTER INDEX {} {action}", parts::index_name(table, index))
}
