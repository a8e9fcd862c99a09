//! Tables rebuilt from the messages of format json alone, to be compared with the real ones.

use std::collections::{BTreeMap, HashMap};

use pg_courier_tests::{Cluster, sql};
use serde_json::Value;

/// Column names to values; a value is JSON's, with the name of its type.
type Row = BTreeMap<String, (String, Value)>;

#[derive(Default)]
pub struct Mirror {
    tables: HashMap<String, Vec<Row>>,
    /// Values that were kept out of line and did not change.
    pub unchanged: usize,
}

fn name(object: &Value) -> String {
    format!("{}.{}", text(&object["schema"]), text(&object["table"]))
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}"))
}

/// The fields that have a value, and the names of those that are unchanged.
fn fields(list: &Value) -> (Row, Vec<String>) {
    let (mut row, mut unchanged) = (Row::new(), Vec::new());
    for field in list.as_array().into_iter().flatten() {
        let name = text(&field["name"]).to_owned();
        match field.get("value") {
            Some(value) => drop(row.insert(name, (text(&field["type"]).to_owned(), value.clone()))),
            None => {
                assert_eq!(field["unchanged"], true, "{field}");
                unchanged.push(name);
            }
        }
    }
    (row, unchanged)
}

/// The part of a row that finds it: the old key, the old row, or the key's columns of the new one.
fn wanted(message: &Value, new: &Row) -> Row {
    for old in ["old_key", "old_row"] {
        if message.get(old).is_some() {
            return fields(&message[old]).0;
        }
    }
    let key = message["key"].as_array().unwrap_or_else(|| panic!("nothing finds the row: {message}"));
    key.iter().map(|column| (text(column).to_owned(), new[text(column)].clone())).collect()
}

impl Mirror {
    pub fn apply(&mut self, message: &Value) {
        match text(&message["action"]) {
            "insert" => {
                let (row, unchanged) = fields(&message["columns"]);
                assert!(unchanged.is_empty(), "{message}");
                self.tables.entry(name(message)).or_default().push(row);
            }
            "update" if message["table"] != "probe" && message["table"] != "Probe" => {
                let (mut row, unchanged) = fields(&message["columns"]);
                self.unchanged += unchanged.len();
                let old = self.take(message, &row);
                row.extend(old.into_iter().filter(|(column, _)| unchanged.contains(column)));
                self.tables.entry(name(message)).or_default().push(row);
            }
            "delete" if message["table"] != "probe" && message["table"] != "Probe" => {
                self.take(message, &Row::new());
            }
            "truncate" => {
                for table in message["tables"].as_array().expect("a list") {
                    self.tables.remove(&name(table));
                }
            }
            _ => {}
        }
    }

    fn take(&mut self, message: &Value, new: &Row) -> Row {
        let wanted = wanted(message, new);
        let rows = self.tables.entry(name(message)).or_default();
        let fits =
            |row: &Row| wanted.iter().all(|(column, (_, value))| row.get(column).is_some_and(|(_, v)| v == value));
        let position = rows.iter().position(fits).unwrap_or_else(|| panic!("no such row: {message}"));
        rows.swap_remove(position)
    }

    /// The real table has the same rows. `table` is quoted as SQL wants it.
    #[track_caller]
    pub fn assert_same(&self, cluster: &Cluster, database: &str, table: &str) {
        let columns: Vec<(String, String)> = cluster
            .rows(
                database,
                &format!(
                    "SELECT attname, format_type(atttypid, NULL) FROM pg_attribute \
                     WHERE attrelid = {}::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
                    sql::literal(table)
                ),
            )
            .into_iter()
            .map(|row| {
                let mut row = row.into_iter().flatten();
                (row.next().expect("a name"), row.next().expect("a type"))
            })
            .collect();
        let plain = cluster.value(
            database,
            &format!(
                "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace \
                 WHERE c.oid = {}::regclass",
                sql::literal(table)
            ),
        );
        let mut theirs: Vec<Vec<String>> = cluster
            .rows(database, &format!("SELECT * FROM ONLY {table}"))
            .into_iter()
            .map(|row| row.into_iter().zip(&columns).map(|(value, (_, kind))| printed(value, kind)).collect())
            .collect();
        let none = Vec::new();
        let mut ours: Vec<Vec<String>> = self
            .tables
            .get(&plain)
            .unwrap_or(&none)
            .iter()
            .map(|row| columns.iter().map(|(column, _)| told(row.get(column), table, column)).collect())
            .collect();
        theirs.sort();
        ours.sort();
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert_eq!(ours, theirs, "{table}");
        }
        assert_eq!(ours.len(), theirs.len(), "rows of {table}");
    }
}

fn is_float(kind: &str) -> bool {
    matches!(kind, "real" | "double precision")
}

/// A value that the server printed; floats as Rust prints them.
fn printed(value: Option<String>, kind: &str) -> String {
    match value {
        None => "NULL".to_owned(),
        Some(text) if is_float(kind) => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => format!("{number:?}"),
            _ => text,
        },
        Some(text) => text,
    }
}

/// The same from JSON.
fn told(field: Option<&(String, Value)>, table: &str, column: &str) -> String {
    let (kind, value) = field.unwrap_or_else(|| panic!("{table} has no {column}"));
    match value {
        Value::Null => "NULL".to_owned(),
        Value::Bool(value) => (if *value { "t" } else { "f" }).to_owned(),
        Value::Number(number) if is_float(kind) => format!("{:?}", number.as_f64().expect("a double")),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        other => panic!("{other}"),
    }
}
