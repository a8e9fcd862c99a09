//! `courier.complete_destination()`: roles, owners and what belongs to the database as a whole, when applications are to come.
//!
//! While a task works its objects belong to its user there: whoever owns a table can have things run with that user's rights. So this is
//! not done by itself, and not before somebody asks for it.

use std::collections::{BTreeSet, HashMap};

use serde_json::{Value, json};

use crate::catalog::schema::{self, Besides, Extent, RoleSql};
use crate::catalog::{Stage, Task, tables};
use crate::destination::{Claimant, Destination, Endpoint, Purpose};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::names::{quote_literal, shown};
use crate::logicalrep::words::counted;
use crate::source;

/// What becomes of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompletionState {
    /// It would be done.
    Missing,
    Done,
    /// A role is not there.
    Waits,
    /// The object is not on the destination.
    Absent,
    Failed,
}

impl CompletionState {
    pub fn as_str(self) -> &'static str {
        match self {
            CompletionState::Missing => "missing",
            CompletionState::Done => "done",
            CompletionState::Waits => "waits",
            CompletionState::Absent => "not there",
            CompletionState::Failed => "failed",
        }
    }
}

#[derive(Clone, Debug)]
pub struct Completion {
    pub kind: String,
    pub object: String,
    pub state: CompletionState,
    pub statement: String,
    pub detail: Option<String>,
}

pub struct CompletionOptions {
    pub dry_run: bool,
    /// Are missing roles made?
    pub roles: bool,
    /// All, if there are none.
    pub kinds: Vec<String>,
}

pub const KINDS: [&str; 14] = [
    "role",
    "membership",
    "foreign-data wrapper",
    "server",
    "user mapping",
    "foreign table",
    "subscription",
    "owner",
    "default privileges",
    "setting",
    "comment",
    "event trigger",
    "publication",
    "security label",
];

/// Everything that is not as on the source, in the order in which it is to be made; what is the same has no line.
pub fn complete(task: &Task, options: &CompletionOptions) -> Result<Vec<Completion>> {
    check_kinds(&options.kinds)?;
    let oids = tables::all_of_task(task.id)?;
    let oids = if task.stage == Stage::Created {
        task.scope.selection()?.tables.iter().map(|t| t.oid).collect()
    } else {
        oids
    };
    let extent = Extent::of_task(task, &oids)?;
    let is_asked = |kind: &str| options.kinds.is_empty() || options.kinds.iter().any(|of| of == kind);
    let outside = schema::outside(&task.scope)?;
    let all = schema::rest(&extent, &outside)?;
    let roles = all.iter().chain(&outside.things).flat_map(|thing| thing.roles.iter().cloned());
    let mut names: BTreeSet<String> = roles.collect();
    names.extend(schema::roles_of(&extent)?);
    let things = schema::memberships(&names)?.into_iter().chain(all);
    let things: Vec<Besides> = things.filter(|thing| is_asked(&thing.kind)).collect();
    let mut destination = reach(task, options.dry_run)?;
    let there: BTreeSet<String> = destination.roles(&json!(names).to_string())?.into_iter().collect();
    let mut missing: BTreeSet<String> = names.difference(&there).cloned().collect();
    let mut lines = Vec::new();
    for role in schema::roles_sql(&missing)? {
        let line = role_line(&mut destination, options, &role);
        if line.state == CompletionState::Done {
            missing.remove(&role.role);
        }
        if is_asked("role") {
            lines.push(line);
        }
    }
    // Owners come behind what is theirs, so what is there is asked again.
    lines.extend(outside_lines(&mut destination, options, outside.things, &missing)?);
    let questions: Vec<Value> = things.iter().enumerate().map(|(n, thing)| json!([n, thing.kind, thing.key])).collect();
    let database = shown(&destination.database_name()?);
    for (n, there) in destination.rest(&Value::from(questions).to_string())? {
        if let Some(thing) = things.get(n).filter(|_| there.as_deref() != Some("")) {
            lines.push(thing_line(&mut destination, options, thing, there, &database, &missing));
        }
    }
    if !options.dry_run {
        let done = lines.iter().filter(|line| line.state == CompletionState::Done).count();
        let what = format!("{} changed owners, roles or settings there", counted(done as u64, "statement"));
        task.record_event(
            "completed",
            &what,
            Some(&format!("{} of {} lines are left.", lines.len() - done, lines.len())),
        )?;
    }
    Ok(lines)
}

/// What leads out of the database. Nothing connects anywhere by being made.
fn outside_lines(
    destination: &mut Destination,
    options: &CompletionOptions,
    things: Vec<Besides>,
    missing: &BTreeSet<String>,
) -> Result<Vec<Completion>> {
    let is_asked = |thing: &Besides| options.kinds.is_empty() || options.kinds.contains(&thing.kind);
    let things: Vec<Besides> = things.into_iter().filter(is_asked).collect();
    let there = if things.is_empty() { HashMap::new() } else { destination.foreign()? };
    let mut lines = Vec::new();
    for thing in things {
        let found = there.get(&(thing.kind.clone(), thing.object.clone()));
        let why = match found {
            Some(None) => continue,
            Some(same) if *same == thing.statement => continue,
            Some(_) => "another one has the name there".to_owned(),
            None => match wrapper_of(&thing)
                .filter(|wrapper| !there.contains_key(&("wrapper".to_owned(), wrapper.clone())))
            {
                Some(wrapper) => without_wrapper(&thing, &wrapper),
                None => "it is not there".to_owned(),
            },
        };
        let line = thing_line(destination, options, &thing, Some(why), "", missing);
        lines.push(line);
    }
    Ok(lines)
}

/// Of a server.
fn wrapper_of(thing: &Besides) -> Option<String> {
    thing.key.get("wrapper").and_then(Value::as_str).map(str::to_owned)
}

fn without_wrapper(thing: &Besides, wrapper: &str) -> String {
    let extension = thing.key.get("extension").and_then(Value::as_str);
    let way = extension.map(|extension| format!(": CREATE EXTENSION {extension}")).unwrap_or_default();
    format!("it is not there, nor is its foreign-data wrapper {wrapper}{way}")
}

fn check_kinds(kinds: &[String]) -> Result<()> {
    match kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        None => Ok(()),
        Some(kind) => Err(Error::new(sqlstate::INVALID_PARAMETER_VALUE, format!("there is no kind \"{kind}\""))
            .hint(format!("kinds => ARRAY[{}]", KINDS.map(quote_literal).join(", ")))),
    }
}

/// The task's destination, and no other: a copy of the server has nothing to change there.
pub(super) fn reach(task: &Task, dry_run: bool) -> Result<Destination> {
    let endpoint = Endpoint::of(task)?;
    let mut destination = endpoint.open(Purpose::Control)?;
    let claimant = Claimant::of(task, source::of(task).as_mut())?;
    claimant.check_source(task)?;
    claimant.check_destination(task, &endpoint, &mut destination)?;
    if !dry_run && task.stage > Stage::Created {
        destination.check_helper_schema()?;
        destination.check_writer(&claimant.claim(task))?;
    }
    Ok(destination)
}

fn role_line(destination: &mut Destination, options: &CompletionOptions, role: &RoleSql) -> Completion {
    let left_out = role.left_out.as_ref().map(|of| format!("Without {of}, which superusers give"));
    let password = role.has_login.then(|| "Without its password, which is not carried".to_owned());
    let detail: Vec<String> = left_out.into_iter().chain(password).collect();
    let detail = (!detail.is_empty()).then(|| format!("{}.", detail.join(". ")));
    let line = Completion {
        kind: "role".to_owned(),
        object: shown(&role.role),
        state: CompletionState::Missing,
        statement: role.statement.clone(),
        detail,
    };
    if options.roles && !options.dry_run { run(destination, line) } else { line }
}

fn thing_line(
    destination: &mut Destination,
    options: &CompletionOptions,
    thing: &Besides,
    there: Option<String>,
    database: &str,
    missing: &BTreeSet<String>,
) -> Completion {
    let statement = thing.statement.clone().unwrap_or_else(|| statement_in(database, &thing.kind, &thing.key));
    let line = Completion {
        kind: thing.kind.clone(),
        object: thing.object.clone(),
        state: CompletionState::Missing,
        statement,
        detail: there.as_deref().map(|there| format!("{}.{}", capitalized(there), left_to_people(thing))),
    };
    if let Some(role) = thing.roles.iter().find(|role| missing.contains(*role)) {
        let detail = Some(format!("Role {} is not on the destination.", shown(role)));
        return Completion { state: CompletionState::Waits, detail, ..line };
    }
    if there.is_none() {
        return Completion {
            state: CompletionState::Absent,
            detail: Some("It is not on the destination.".to_owned()),
            ..line
        };
    }
    // Who is a member of what goes with who there is.
    let is_wanted = !options.dry_run && (options.roles || thing.kind != "membership");
    if is_wanted { run(destination, line) } else { line }
}

/// Where something may be a secret.
fn left_to_people(thing: &Besides) -> String {
    let waits = if thing.kind == "subscription" { " It is made disabled, without a slot and its tables." } else { "" };
    let by_hand = thing.by_hand.as_ref().map(|statement| format!(" What may be a secret is not carried: {statement}"));
    format!("{waits}{}", by_hand.unwrap_or_default())
}

fn run(destination: &mut Destination, line: Completion) -> Completion {
    match destination.run_together(&line.statement) {
        Ok(()) => Completion { state: CompletionState::Done, ..line },
        Err(error) => {
            let parts = [Some(error.message().to_owned()), error.detail_text(), error.hint_text().map(str::to_owned)];
            let detail = parts.into_iter().flatten().collect::<Vec<_>>().join("\n");
            Completion { state: CompletionState::Failed, detail: Some(detail), ..line }
        }
    }
}

/// A statement that names the database, by the name that it has there.
fn statement_in(database: &str, kind: &str, key: &Value) -> String {
    let text = |name: &str| key.get(name).and_then(Value::as_str);
    if kind == "comment" {
        return format!("COMMENT ON DATABASE {database} IS {};", quote_literal(text("comment").unwrap_or_default()));
    }
    let (name, value) = (text("name").unwrap_or_default(), text("value").unwrap_or_default());
    let whose = match text("role") {
        Some(role) => format!("ROLE {} IN DATABASE {database}", shown(role)),
        None => format!("DATABASE {database}"),
    };
    let values = if IS_LIST.contains(&name) { identifiers(value) } else { vec![value.to_owned()] };
    let values: Vec<String> = values.iter().map(|value| quote_literal(value)).collect();
    format!("ALTER {whose} SET {} TO {};", shown(name), values.join(", "))
}

/// Settings whose values are written down as a list of identifiers (`GUC_LIST_QUOTE`).
const IS_LIST: [&str; 6] = [
    "search_path",
    "temp_tablespaces",
    "local_preload_libraries",
    "session_preload_libraries",
    "shared_preload_libraries",
    "unix_socket_directories",
];

/// The elements of such a list. One without quotes has no capitals: it was folded when it was set, or is folded when it is read.
fn identifiers(list: &str) -> Vec<String> {
    let (mut elements, mut element, mut was_quoted) = (Vec::new(), String::new(), false);
    let mut letters = list.chars().peekable();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => {
                was_quoted = true;
                while let Some(letter) = letters.next() {
                    match letter {
                        '"' if letters.peek() == Some(&'"') => element.extend(letters.next()),
                        '"' => break,
                        _ => element.push(letter),
                    }
                }
            }
            ',' => {
                elements.push(std::mem::take(&mut element));
                was_quoted = false;
            }
            _ if letter.is_ascii_whitespace() => {}
            _ => element.push(letter),
        }
    }
    if was_quoted || !element.is_empty() {
        elements.push(element);
    }
    elements
}

fn capitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_a_list_are_what_the_server_reads() {
        let all = |list: &str| identifiers(list).join("|");
        assert_eq!(all(r#""$user", public"#), "$user|public");
        assert_eq!(all(r#""a ""b"", c",d ,  "E""#), r#"a "b", c|d|E"#);
        assert_eq!((identifiers(""), identifiers(r#""""#)), (Vec::new(), vec![String::new()]));
        assert_eq!(all("x;drop,y"), "x;drop|y");
    }

    #[test]
    fn settings_are_constants_whatever_is_in_them() {
        let setting = |key: Value| statement_in("shop", "setting", &key);
        assert_eq!(
            setting(json!({"role": null, "name": "search_path", "value": "\"$user\", a;drop"})),
            "ALTER DATABASE shop SET search_path TO '$user', 'a;drop';"
        );
        assert_eq!(
            setting(json!({"role": "An app", "name": "app.key", "value": "it's, so"})),
            r#"ALTER ROLE "An app" IN DATABASE shop SET "app.key" TO 'it''s, so';"#
        );
        assert_eq!(
            statement_in("shop", "comment", &json!({"comment": "a\\b"})),
            r"COMMENT ON DATABASE shop IS E'a\\b';"
        );
    }
}
