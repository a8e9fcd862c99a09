//! What other replication tools have left on the source: no task takes their tables, and their event triggers go on until somebody
//! drops them.

use std::collections::BTreeMap;

use super::Check;
use crate::error::{Error, Result};
use crate::logicalrep::names::{shown, shown_qualified};
use crate::logicalrep::{Row, TableName};
use crate::pg::{spi, xact};
use crate::select::leftovers::{self, Tool};

/// Of one tool.
#[derive(Default)]
struct Left {
    event_triggers: Vec<String>,
    functions: Vec<String>,
    tables: Vec<String>,
}

impl Check<'_> {
    pub(super) fn leftovers(&mut self) -> Result<()> {
        let sql = include_str!("../../sql/query/precheck/leftovers.sql");
        let rows = spi::as_role(xact::user_id(), || spi::query(sql, &[]))?;
        self.queries.0 += 1;
        let mut by_tool: BTreeMap<Tool, Left> = BTreeMap::new();
        for row in &rows {
            sort_in(&mut by_tool, row)?;
        }
        for (tool, left) in by_tool {
            let detail = format!(
                "{} has left in this database: {}. Tables of it are no task's, unless a pattern without wildcards names them.",
                tool.name(),
                left.named()
            );
            self.add("leftovers", None, None, Some(detail))?;
            let when = format!("when nothing of {} reads this database any more", tool.name());
            self.let_decide(Some(format!("{} -- {when}", left.drops())));
        }
        Ok(())
    }
}

fn sort_in(by_tool: &mut BTreeMap<Tool, Left>, row: &Row) -> Result<()> {
    let (schema, name) = (row.opt("nspname").unwrap_or_default(), row.text("name")?);
    match row.text("kind")? {
        "event trigger" => {
            if let Some(tool) = leftovers::tool_of_event_trigger(name) {
                by_tool.entry(tool).or_default().event_triggers.push(shown(name));
            }
        }
        "function" => {
            if let Some(tool) = leftovers::tool_of_function(name) {
                by_tool.entry(tool).or_default().functions.push(format!("{}()", shown_qualified(schema, name)));
            }
        }
        _ => {
            let columns: Vec<String> = serde_json::from_str(row.text("columns")?)
                .map_err(|error| Error::internal(format!("invalid list of columns: {error}")))?;
            if let Some(tool) = leftovers::tool_of_table(&TableName::new(schema, name), || columns) {
                by_tool.entry(tool).or_default().tables.push(shown_qualified(schema, name));
            }
        }
    }
    Ok(())
}

impl Left {
    fn named(&self) -> String {
        let triggers = self.event_triggers.iter().map(|name| format!("event trigger {name}"));
        let functions = self.functions.iter().map(|name| format!("function {name}"));
        let tables = self.tables.iter().map(|name| format!("table {name}"));
        triggers.chain(functions).chain(tables).collect::<Vec<_>>().join(", ")
    }

    /// First what fires: without its function or its table every command would fail.
    fn drops(&self) -> String {
        let kinds = [("EVENT TRIGGER", &self.event_triggers), ("FUNCTION", &self.functions), ("TABLE", &self.tables)];
        let one = |kind: &str, name: &String| format!("DROP {kind} {name};");
        let statements = kinds.into_iter().flat_map(|(kind, names)| names.iter().map(move |name| one(kind, name)));
        statements.collect::<Vec<_>>().join(" ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fires_is_dropped_first() {
        let left = Left {
            event_triggers: vec!["dts_intercept_ddl".into()],
            functions: vec!["public.dts_capture_ddl()".into()],
            tables: vec!["public.dts_ddl_command".into()],
        };
        assert_eq!(
            left.drops(),
            "DROP EVENT TRIGGER dts_intercept_ddl; DROP FUNCTION public.dts_capture_ddl(); DROP TABLE public.dts_ddl_command;"
        );
    }
}
