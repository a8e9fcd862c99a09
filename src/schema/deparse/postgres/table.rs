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
        Some(Value::Missing(text)) => sql.push_str(&format!(" DEFAULT {}", quote_literal(text))),
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
        generated(identity.always),
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

fn generated(always: bool) -> &'static str {
    if always { "ALWAYS" } else { "BY DEFAULT" }
}

/// How a type is stored that says nothing else: known for the server's own ones that are not stored as most are.
pub(super) fn storage_of(type_oid: u32) -> Storage {
    const NUMERIC: u32 = 1700;
    const CIDR: u32 = 650;
    const INET: u32 = 869;
    const TSQUERY: u32 = 3615;
    match type_oid {
        NUMERIC | CIDR | INET => Storage::Main,
        TSQUERY => Storage::Plain,
        _ => Storage::Extended,
    }
}

pub(super) fn storage_code(storage: Storage) -> char {
    match storage {
        Storage::Plain => 'p',
        Storage::External => 'e',
        Storage::Main => 'm',
        Storage::Extended => 'x',
    }
}

/// A partitioned table may have none.
pub(super) fn method_of(table: &Table) -> Option<&str> {
    table.access_method.as_deref().or((!table.is_partitioned).then_some("heap"))
}

/// Must it be said of children, too, and not of each table by itself?
pub(super) fn is_of_children(table: &Table, change: &ColumnChange) -> bool {
    match change {
        ColumnChange::Type { .. } | ColumnChange::DropExpression | ColumnChange::SetExpression(_) => true,
        ColumnChange::NotNull(_)
        | ColumnChange::AddIdentity { .. }
        | ColumnChange::SetIdentity { .. }
        | ColumnChange::DropIdentity => table.is_partitioned,
        _ => false,
    }
}

pub(super) fn column_change(column: &Column, change: &ColumnChange) -> String {
    match change {
        ColumnChange::Type { by_text } => {
            let collation = collate(column.collation.as_ref());
            if column.generated.is_some() {
                return format!("TYPE {}{collation}", column.type_name);
            }
            let through = if *by_text { "::text" } else { "" };
            // What can be cast in place is cast; a destination says where it cannot.
            format!(
                "TYPE {}{collation} USING {}{through}::{}",
                column.type_name,
                quote_ident(&column.name),
                column.type_name
            )
        }
        ColumnChange::FirstDefault(expression) | ColumnChange::Default(Some(expression)) => {
            format!("SET DEFAULT {expression}")
        }
        ColumnChange::Default(None) | ColumnChange::ForgetDefault => "DROP DEFAULT".to_owned(),
        ColumnChange::DropExpression => "DROP EXPRESSION".to_owned(),
        ColumnChange::SetExpression(expression) => format!("SET EXPRESSION AS ({expression})"),
        ColumnChange::AddIdentity { identity: of, sequence } => format!("ADD{}", identity(column, of, sequence)),
        ColumnChange::SetIdentity { always } => format!("SET GENERATED {}", generated(*always)),
        ColumnChange::DropIdentity => "DROP IDENTITY".to_owned(),
        ColumnChange::NotNull(true) => "SET NOT NULL".to_owned(),
        ColumnChange::NotNull(false) => "DROP NOT NULL".to_owned(),
        ColumnChange::Storage => {
            let word = match column.storage.unwrap_or_else(|| storage_of(column.type_oid)) {
                Storage::Plain => "PLAIN",
                Storage::External => "EXTERNAL",
                Storage::Main => "MAIN",
                Storage::Extended => "EXTENDED",
            };
            format!("SET STORAGE {word}")
        }
        ColumnChange::Statistics => format!("SET STATISTICS {}", column.statistics.unwrap_or(-1)),
        ColumnChange::Options => format!("SET ({})", options(&column.options)),
        ColumnChange::ResetOptions(names) => {
            format!("RESET ({})", names.iter().map(|name| shown(name)).collect::<Vec<_>>().join(", "))
        }
        ColumnChange::Compression => {
            let method = match column.compression {
                Some(Compression::Pglz) => "pglz",
                Some(Compression::Lz4) => "lz4",
                None => "default",
            };
            format!("SET COMPRESSION {method}")
        }
    }
}
