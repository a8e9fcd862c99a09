//! `courier.plan(task)`: what would be created and copied, in order, and what would be left out and why.

use std::collections::HashSet;

use pgrx::prelude::*;

use super::arguments::given;
use crate::catalog::configuration::{self, ConfigurationTable};
use crate::catalog::schema::{self, Extent};
use crate::catalog::select::{Candidate, SelectedTables};
use crate::catalog::{Stage, TableState, Task, coverage, tables};
use crate::error::Result;
use crate::logicalrep::names::{quote_literal, shown};
use crate::logicalrep::words::counted;
use crate::pg::text::Text;
use crate::pg::{report, xact};
use crate::schema::omission::Reason;
use crate::schema::{Item, Kind, Section};

struct Line {
    action: &'static str,
    object: String,
    detail: Option<String>,
    statement: Option<String>,
    reason: Option<String>,
}

#[pg_extern(sql = false)]
fn plan(
    task: Option<Text>,
) -> TableIterator<
    'static,
    (
        name!(step, i32),
        name!(action, Text),
        name!(object, Text),
        name!(detail, Option<Text>),
        name!(statement, Option<Text>),
        name!(reason, Option<Text>),
    ),
> {
    let lines = report::unwrap(given("task", task).and_then(|task| lines(&task)));
    TableIterator::new(lines.into_iter().enumerate().map(|(n, l)| {
        let text = |text: Option<String>| text.map(Text::from);
        (n as i32 + 1, l.action.into(), l.object.into(), text(l.detail), text(l.statement), text(l.reason))
    }))
}

fn lines(name: &str) -> Result<Vec<Line>> {
    let task = Task::for_role(name, xact::user_id())?;
    if task.stage > Stage::Created {
        return lines_of_started(&task);
    }
    let selection = task.selection()?;
    let oids: Vec<u32> = selection.tables.iter().map(|t| t.oid).collect();
    let extent = Extent::of_task(&task, &oids)?;
    let items = if task.schema_sync { schema::statements(&extent)? } else { Vec::new() };
    let extensions = schema::extensions(&extent)?;
    let free: HashSet<String> =
        extensions.iter().filter(|of| !of.is_needed).map(|of| shown(&of.extension.name)).collect();
    let of = |section| {
        let create = |item| create(item, &free);
        items.iter().filter(move |item| item.kind.section() == section).map(create)
    };
    let mut lines: Vec<Line> = of(Section::PreData).collect();
    if task.full_copy {
        lines.extend(copies(&selection));
    }
    let wanted = extensions.iter().map(|of| of.extension.oid).collect();
    let configuration = configuration::of(&task.scope, &oids, task.owner, &wanted)?;
    lines.extend(configuration.iter().map(of_extension));
    lines.extend(of(Section::PostData));
    if task.incremental {
        lines.extend(selection.tables.iter().filter(|t| t.kind == 'r').map(stream));
    }
    lines.extend(selection.omitted.into_iter().map(|(table, reason)| omit("table".to_owned(), table.shown(), reason)));
    if task.schema_sync {
        let omissions = schema::omissions(&extent)?.into_iter();
        lines.extend(omissions.map(|o| {
            let statement = match &o.reason {
                Reason::Untrusted { role } => {
                    Some(format!("SELECT courier.trust_role({}, {})", quote_literal(&task.name), quote_literal(role)))
                }
                _ => None,
            };
            Line { statement, ..omit(o.kind.to_string(), o.object, o.reason.to_string()) }
        }));
    }
    lines.extend(schema::left_out(&extent, &task.scope, task.schema_sync)?.into_iter().map(|line| {
        let kind = if line.count == 1 { line.kind } else { format!("{} ({})", line.kind, line.count) };
        omit(kind, line.names, line.reason)
    }));
    Ok(lines)
}

/// The largest first, as they are copied.
fn copies(selection: &SelectedTables) -> Vec<Line> {
    let mut tables: Vec<_> = selection.tables.iter().filter(|t| t.kind == 'r').collect();
    tables.sort_by_key(|t| (std::cmp::Reverse(t.bytes), t.oid));
    let copy = |table: &&Candidate| Line {
        action: "copy",
        object: table.shown(),
        detail: Some(rows_and_size(table.rows, table.bytes)),
        statement: None,
        reason: None,
    };
    tables.iter().map(copy).collect()
}

/// A table of an extension, or a sequence of one, that users may have put rows into.
fn of_extension(table: &ConfigurationTable) -> Line {
    let (extension, shown) = (shown(&table.extension_name), table.name.shown());
    let kind = if table.is_sequence { "sequence" } else { "table" };
    let detail =
        format!("rows of a {kind} of extension {extension}").replace("rows of a sequence", "value of a sequence");
    match table.reason() {
        Some(reason) => Line { statement: table.fix(), ..omit(detail, shown, reason) },
        None => Line {
            action: "copy",
            object: shown,
            detail: Some(detail),
            statement: None,
            reason: Some(format!(
                "later ones follow every courier.sequence_interval and at courier.wait_for(){}",
                if table.is_sequence { "" } else { "; what is deleted on the source stays on the destination" }
            )),
        },
    }
}

fn stream(table: &Candidate) -> Line {
    let warning = (!table.has_identity).then(|| {
        (
            "warning: without a replica identity only INSERT and TRUNCATE can be applied".to_owned(),
            format!("ALTER TABLE {} REPLICA IDENTITY FULL", table.shown()),
        )
    });
    let (reason, statement) = warning.unzip();
    Line { action: "stream", object: table.shown(), detail: None, statement, reason }
}

fn omit(kind: String, object: String, reason: String) -> Line {
    Line { action: "omit", object, detail: Some(kind), statement: None, reason: Some(reason) }
}

/// A table that has pages and no rows was never analyzed.
fn rows_and_size(rows: i64, bytes: i64) -> String {
    let size = match bytes {
        ..10_240 => counted(bytes, "byte"),
        10_240..10_485_760 => format!("{} kB", bytes >> 10),
        _ => format!("{} MB", bytes >> 20),
    };
    if rows <= 0 && bytes > 0 {
        format!("not analyzed, {size}")
    } else {
        format!("about {}, {size}", counted(rows, "row"))
    }
}

/// What a task follows was decided when it started.
fn lines_of_started(task: &Task) -> Result<Vec<Line>> {
    let line = |action, object: String, reason| Line { action, object, detail: None, statement: None, reason };
    let mut tables = tables::of_task(task.id)?;
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    let uncopied = tables.iter().filter(|table| table.state <= TableState::DataSync);
    let mut lines: Vec<Line> = uncopied.map(|table| line("copy", table.shown(), None)).collect();
    if task.incremental {
        lines.extend(tables.iter().map(|table| line("stream", table.shown(), None)));
    }
    let gaps = coverage::gaps(task)?;
    lines.extend(gaps.iter().map(|gap| {
        let reason = format!("{}: {} {}", gap.kind(), gap.detail(), gap.hint(task, &gaps));
        line("omit", gap.table().shown(), Some(reason))
    }));
    Ok(lines)
}

/// `free`: extensions that nothing is known to need.
fn create(item: &Item, free: &HashSet<String>) -> Line {
    let is_extension = matches!(item.kind, Kind::Extension | Kind::ExtensionInAnotherVersion);
    let is_free = is_extension && free.contains(&item.object);
    let reason = "nothing that is created is known to need it: left out where the destination cannot have it, as precheck \
                  destination_extensions says";
    Line {
        action: "create",
        object: item.object.clone(),
        detail: Some(item.kind.to_string()),
        statement: Some(item.statement.to_string()),
        reason: is_free.then(|| reason.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::rows_and_size;

    #[test]
    fn sizes_of_tables() {
        assert_eq!(rows_and_size(1, 1), "about 1 row, 1 byte");
        assert_eq!(rows_and_size(3, 8192), "about 3 rows, 8192 bytes");
        assert_eq!(rows_and_size(-1, 20480), "not analyzed, 20 kB");
    }
}
