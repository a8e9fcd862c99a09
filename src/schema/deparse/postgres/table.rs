//! CREATE TABLE and its columns.

use super::{collate, options};
use crate::logicalrep::names::{quote_ident, quote_literal, shown};
use crate::schema::diff::{ColumnChange, ColumnDefinition, Element, NotNull, Value};
use crate::schema::image::{Column, Compression, Identity, Name, Sequence, Storage, StorageOption, Table};

/// Type oids of the server, the same on every major.
const SMALLINT: u32 = 21;
const INTEGER: u32 = 23;

pub(super) fn create(table: &Table, elements: &[Element], parents: &[&Name]) -> String {
    let mut sql = String::from("CREATE ");
    // It has no meaning for a partitioned table, and 18 refuses it.
    if table.unlogged && !table.is_partitioned {
        sql.push_str("UNLOGGED ");
    }
    sql.push_str("TABLE ");
    sql.push_str(&table.name.shown());
    if let Some(of_type) = &table.of_type {
        sql.push_str(" OF ");
        sql.push_str(of_type);
    }
    let list: Vec<String> = elements.iter().map(|e| format!("\n    {}", element(e))).collect();
    if !list.is_empty() {
        sql.push_str(&format!(" ({}\n)", list.join(",")));
    } else if table.of_type.is_none() {
        sql.push_str(" ()");
    }
    if !parents.is_empty() {
        let names: Vec<String> = parents.iter().map(|name| name.shown()).collect();
        sql.push_str(&format!(" INHERITS ({})", names.join(", ")));
    }
    if let Some(key) = &table.partition_key {
        sql.push_str(&format!(" PARTITION BY {key}"));
    }
    if let Some(method) = &table.access_method {
        sql.push_str(&format!(" USING {}", shown(method)));
    }
    if !table.options.is_empty() {
        let list: Vec<String> = table.options.iter().map(storage_option).collect();
        sql.push_str(&format!(" WITH ({})", list.join(", ")));
    }
    sql
}

pub(super) fn attach(table: &Table, parent: &Table) -> String {
    let (table_name, parent_name) = (table.name.shown(), parent.name.shown());
    if table.is_partition {
        let bound = table.bound.as_deref().unwrap_or("DEFAULT");
        format!("ALTER TABLE ONLY {parent_name} ATTACH PARTITION {table_name} {bound}")
    } else {
        format!("ALTER TABLE ONLY {table_name} INHERIT {parent_name}")
    }
}

pub(super) fn detach(table: &Table, parent: &Name) -> String {
    let (table_name, parent_name) = (table.name.shown(), parent.shown());
    if table.is_partition {
        format!("ALTER TABLE {parent_name} DETACH PARTITION {table_name}")
    } else {
        format!("ALTER TABLE ONLY {table_name} NO INHERIT {parent_name}")
    }
}

fn element(element: &Element) -> String {
    match element {
        Element::Column(definition) => column(definition),
        Element::Constraint(constraint) => {
            format!("CONSTRAINT {} {}", shown(&constraint.name), constraint.definition)
        }
    }
}

pub(super) fn column(definition: &ColumnDefinition) -> String {
    let column = definition.column;
    let mut sql = shown(&column.name);
    if definition.is_typed {
        sql.push_str(" WITH OPTIONS");
    } else {
        sql.push(' ');
        sql.push_str(&column.type_name);
        sql.push_str(&collate(column.collation.as_ref()));
    }
    match &definition.value {
        None => {}
        Some(Value::Default(expression)) => sql.push_str(&format!(" DEFAULT {expression}")),
        Some(Value::Stored(expression)) => sql.push_str(&format!(" GENERATED ALWAYS AS ({expression}) STORED")),
        Some(Value::Virtual(expression)) => sql.push_str(&format!(" GENERATED ALWAYS AS ({expression})")),
        Some(Value::Identity { identity: of, sequence }) => sql.push_str(&identity(column, of, sequence)),
    }
    match &definition.not_null {
        NotNull::No => {}
        NotNull::Unnamed => sql.push_str(" NOT NULL"),
        NotNull::Named(constraint) => {
            let only = if constraint.no_inherit { " NO INHERIT" } else { "" };
            sql.push_str(&format!(" CONSTRAINT {} NOT NULL{only}", shown(&constraint.name)));
        }
    }
    sql
}

/// The column's type bounds the sequence here; one of a wider type gets its own bounds afterwards.
fn identity(column: &Column, identity: &Identity, sequence: &Sequence) -> String {
    let (least, greatest) = match column.type_oid {
        SMALLINT => (i64::from(i16::MIN), i64::from(i16::MAX)),
        INTEGER => (i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => (i64::MIN, i64::MAX),
    };
    format!(
        " GENERATED {} AS IDENTITY (SEQUENCE NAME {} START WITH {} INCREMENT BY {} MINVALUE {} MAXVALUE {} CACHE {}{})",
        if identity.always { "ALWAYS" } else { "BY DEFAULT" },
        sequence.name.shown(),
        sequence.start.clamp(least, greatest),
        sequence.increment,
        sequence.min.max(least),
        sequence.max.min(greatest),
        sequence.cache,
        if sequence.cycle { " CYCLE" } else { "" }
    )
}

/// A name of the server or an extension: `autovacuum_enabled`, `toast.autovacuum_enabled`.
pub(super) fn storage_option(option: &StorageOption) -> String {
    format!("{}={}", option_name(option), quote_literal(&option.value))
}

pub(super) fn option_name(option: &StorageOption) -> String {
    let name: Vec<String> = option.name.split('.').map(shown).collect();
    let prefix = if option.of_toast { "toast." } else { "" };
    format!("{prefix}{}", name.join("."))
}

pub(super) fn column_change(column: &Column, change: &ColumnChange) -> String {
    match change {
        ColumnChange::Type => {
            // What can be cast in place is cast; a destination says where it cannot.
            let collation = collate(column.collation.as_ref());
            format!("TYPE {}{collation} USING {}::{}", column.type_name, quote_ident(&column.name), column.type_name)
        }
        ColumnChange::Default(Some(expression)) => format!("SET DEFAULT {expression}"),
        ColumnChange::Default(None) => "DROP DEFAULT".to_owned(),
        ColumnChange::NotNull(true) => "SET NOT NULL".to_owned(),
        ColumnChange::NotNull(false) => "DROP NOT NULL".to_owned(),
        ColumnChange::Storage => {
            let word = match column.storage {
                Some(Storage::Plain) => "PLAIN",
                Some(Storage::External) => "EXTERNAL",
                Some(Storage::Main) => "MAIN",
                Some(Storage::Extended) | None => "EXTENDED",
            };
            format!("SET STORAGE {word}")
        }
        ColumnChange::Statistics => format!("SET STATISTICS {}", column.statistics.unwrap_or(-1)),
        ColumnChange::Options => format!("SET ({})", options(&column.options)),
        ColumnChange::ResetOptions(names) => {
            format!("RESET ({})", names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", "))
        }
        ColumnChange::Compression => {
            let method = if column.compression == Some(Compression::Pglz) { "pglz" } else { "lz4" };
            format!("SET COMPRESSION {method}")
        }
    }
}
