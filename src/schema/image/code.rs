//! What runs with somebody's rights: functions and procedures, views, rules.

use serde::{Deserialize, Serialize};

use super::{Firing, Name, Table};

/// A function or a procedure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routine {
    pub oid: u32,
    pub level: i64,
    pub name: Name,
    pub is_procedure: bool,
    /// Types of the arguments that tell it from others of its name.
    pub arguments: String,
    /// What the server writes behind the name in `CREATE OR REPLACE`.
    pub definition: String,
    pub blocked: bool,
}

/// A view or a materialized view.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// As far as it is like a table: name, columns, indexes, triggers.
    pub relation: Table,
    pub form: ViewForm,
    /// The query.
    pub definition: String,
    pub blocked: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ViewForm {
    Plain,
    Materialized { populated: bool },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    pub oid: u32,
    pub name: String,
    pub definition: String,
    pub firing: Firing,
    pub blocked: bool,
}

impl Routine {
    /// What the server calls it now (`function s.f(integer,text)`): types of its arguments may have got other names since it was read.
    pub fn is_called(&mut self, identity: &str) {
        let word = if self.is_procedure { "procedure" } else { "function" };
        let start = format!("{word} {}(", self.name.shown());
        let Some(arguments) = identity.strip_prefix(&start).and_then(|rest| rest.strip_suffix(')')) else { return };
        let shown = |name: &str| name.strip_prefix("pg_catalog.").unwrap_or(name).to_owned();
        let arguments: Vec<String> = arguments.split(',').map(shown).collect();
        if self.arguments.replace(", ", ",") != arguments.join(",") {
            self.arguments = arguments.join(", ");
        }
    }
}

impl View {
    pub fn oid(&self) -> u32 {
        self.relation.oid
    }

    pub fn name(&self) -> &Name {
        &self.relation.name
    }

    pub fn is_materialized(&self) -> bool {
        matches!(self.form, ViewForm::Materialized { .. })
    }

    /// Has it rows of its own?
    pub fn is_populated(&self) -> bool {
        matches!(self.form, ViewForm::Materialized { populated: true })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_routine_is_called_as_the_server_calls_it() {
        let routine = |arguments: &str| Routine {
            oid: 1,
            level: 0,
            name: Name::new("s", "f"),
            is_procedure: false,
            arguments: arguments.to_owned(),
            definition: String::new(),
            blocked: false,
        };
        for (before, identity, after) in [
            ("integer, s.old", "function s.f(integer,s.new)", "integer, s.new"),
            ("text, integer", "function s.f(pg_catalog.text,integer)", "text, integer"),
            ("integer, s.\"a,b\"", "function s.f(integer,s.\"a,b\")", "integer, s.\"a,b\""),
            ("", "function s.f()", ""),
            ("integer", "function s.g(text)", "integer"),
            ("integer", "procedure s.f(text)", "integer"),
        ] {
            let mut of = routine(before);
            of.is_called(identity);
            assert_eq!(of.arguments, after, "{identity}");
        }
    }
}
