//! What other replication tools have put into a database for themselves: tables that a pattern like `public.*` names and nobody means,
//! and the code that writes them. Recognised by names, and by columns where those are known; a table that an include pattern names
//! without wildcards is the user's own, whatever it is called. Pure.

use crate::logicalrep::TableName;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    Dts,
    Dms,
}

impl Tool {
    /// For messages.
    pub fn name(self) -> &'static str {
        match self {
            Tool::Dts => "Alibaba Cloud DTS",
            Tool::Dms => "AWS DMS",
        }
    }
}

/// Names, with columns that are always among a table's. DTS keeps its own in `public`, DMS where its user says.
const TABLES: &[(&str, Tool, &[&str])] = &[
    ("dts_ddl_command", Tool::Dts, &["ddl_text", "event", "tag", "object_type", "object_name"]),
    ("dts_postgres_heartbeat", Tool::Dts, &["slot_name", "revice_lsn", "flushed_lsn"]),
    ("dts_pg_class", Tool::Dts, &["relname"]),
    ("dts_pg_attribute", Tool::Dts, &["attname"]),
    ("dts_pg_type", Tool::Dts, &["typname"]),
    ("dts_pg_enum", Tool::Dts, &["enumlabel"]),
    ("dts_args_session", Tool::Dts, &[]),
    ("aliyun_dts_instance", Tool::Dts, &[]),
    ("awsdms_ddl_audit", Tool::Dms, &["c_key", "c_tag", "c_oid", "c_ddlqry"]),
];

/// Event triggers, each with its function.
const EVENT_TRIGGERS: &[(&str, &str, Tool)] =
    &[("dts_intercept_ddl", "dts_capture_ddl", Tool::Dts), ("awsdms_intercept_ddl", "awsdms_intercept_ddl", Tool::Dms)];

/// `columns` are asked for only where the name fits.
pub fn tool_of_table(table: &TableName, columns: impl FnOnce() -> Vec<String>) -> Option<Tool> {
    let (_, tool, known) = TABLES.iter().find(|(name, tool, _)| *name == table.name && is_place_of(*tool, table))?;
    let fits = known.is_empty() || {
        let columns = columns();
        known.iter().all(|name| columns.iter().any(|column| column == name))
    };
    fits.then_some(*tool)
}

fn is_place_of(tool: Tool, table: &TableName) -> bool {
    tool != Tool::Dts || table.schema == "public"
}

pub fn tool_of_event_trigger(name: &str) -> Option<Tool> {
    EVENT_TRIGGERS.iter().find(|(trigger, ..)| *trigger == name).map(|(.., tool)| *tool)
}

pub fn tool_of_function(name: &str) -> Option<Tool> {
    EVENT_TRIGGERS.iter().find(|(_, function, _)| *function == name).map(|(.., tool)| *tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(schema: &str, name: &str, columns: &[&str]) -> Option<Tool> {
        tool_of_table(&TableName::new(schema, name), || columns.iter().map(|column| (*column).to_owned()).collect())
    }

    #[test]
    fn tables_are_known_by_name_place_and_columns() {
        let command = ["ddl_text", "id", "event", "tag", "username", "object_type", "object_name", "message"];
        assert_eq!(tool("public", "dts_ddl_command", &command), Some(Tool::Dts));
        assert_eq!(tool("public", "dts_ddl_command", &["id", "tag"]), None, "somebody's own");
        assert_eq!(tool("app", "dts_ddl_command", &command), None);
        assert_eq!(tool("public", "ddl_command", &command), None);
        assert_eq!(tool("public", "dts_args_session", &[]), Some(Tool::Dts));
        assert_eq!(
            tool("audit", "awsdms_ddl_audit", &["c_key", "c_time", "c_tag", "c_oid", "c_ddlqry"]),
            Some(Tool::Dms)
        );
        assert_eq!(tool("audit", "awsdms_ddl_audit", &["c_key"]), None);
    }

    #[test]
    fn columns_are_asked_for_where_they_matter() {
        let name = TableName::new("public", "orders");
        assert_eq!(tool_of_table(&name, || panic!("of no interest")), None);
    }

    #[test]
    fn code_is_known_by_name() {
        assert_eq!(tool_of_event_trigger("dts_intercept_ddl"), Some(Tool::Dts));
        assert_eq!(tool_of_function("awsdms_intercept_ddl"), Some(Tool::Dms));
        assert_eq!(tool_of_function("dts_intercept_ddl"), None);
    }
}
