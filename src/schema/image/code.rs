//! What runs with somebody's rights: functions and procedures, views, rules.

use serde::{Deserialize, Serialize};

use super::operand::{self, Operand};
use super::{Class, Firing, Name, Table};

/// A function or a procedure.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routine {
    pub oid: u32,
    pub level: i64,
    pub name: Name,
    pub is_procedure: bool,
    /// Types of the arguments that tell it from others of its name.
    pub arguments: String,
    /// The same one by one, where a user has made one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operands: Vec<Operand>,
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
        operand::hear(&mut self.operands, &arguments);
        if self.arguments.replace(", ", ",") != arguments.join(",") {
            self.arguments = arguments.join(", ");
        }
    }

    /// What its types are called, as far as that is known.
    pub fn respell(&mut self, names: &impl Fn(&(Class, u32)) -> Option<Name>) {
        let respelled = operand::respell(&mut self.operands, names);
        if respelled.is_empty() {
            return;
        }
        self.arguments = operand::listed(&self.operands);
        // Behind that the server writes what somebody else has written.
        let (head, body) = self.definition.split_at(self.definition.find("\n LANGUAGE ").unwrap_or_default());
        self.definition = format!("{}{body}", operand::rewritten(head, &respelled));
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
            operands: Vec::new(),
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
        let mut of = routine("integer, s.old");
        of.definition = "(integer, a s.old) RETURNS s.old\n LANGUAGE sql\nAS 's.old'".to_owned();
        of.operands = vec![
            Operand { shown: "integer".to_owned(), of: None },
            Operand { shown: "s.old".to_owned(), of: Some((Class::Type, 7)) },
        ];
        of.respell(&|_| Some(Name::new("s", "new")));
        assert_eq!((of.arguments.as_str(), of.operands[1].shown.as_str()), ("integer, s.new", "s.new"));
        assert_eq!(of.definition, "(integer, a s.new) RETURNS s.new\n LANGUAGE sql\nAS 's.old'");
    }
}
