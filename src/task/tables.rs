//! Tables that join a task that has started, and tables that leave it.

use super::check_stopped;
use super::start::{check_readable, note_triggers};
use crate::catalog::coverage::{self, FollowedTable};
use crate::catalog::schema;
use crate::catalog::select::{self, Candidate, FoundTable, UNLOGGED};
use crate::catalog::{Stage, Task, to_json};
use crate::destination::{Claimant, Destination, Endpoint, Purpose};
use crate::error::{Error, Origin, Result, sqlstate};
use crate::logicalrep::TableName;
use crate::logicalrep::array::{oid_array, text_array};
use crate::logicalrep::names::quote_literal;
use crate::pg::{spi, xact};
use crate::schema::Kind;
use crate::select::pattern::Pattern;
use crate::source;

/// Lets the task copy a table, and what is missing below it, before its stream goes on: from then on it follows it.
pub fn add(task: &Task, oid: u32) -> Result<()> {
    check_stopped(task)?;
    if task.stage == Stage::Created || !task.incremental {
        return Err(Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("task \"{}\" does not follow tables", task.name),
        )
        .detail("It has not been started, or has no stream (incremental => false).")
        .hint("Its patterns say which tables it takes: see include of courier.create_task()."));
    }
    let followed = coverage::followed(task.id)?;
    let tables = asked_for(task, oid, &followed)?;
    check_readable(task, &tables)?;
    prepare_destination(task, &tables, &followed)?;
    for table in &tables {
        let name = table.qualified_name();
        // A table that was dropped and made anew takes the place of the one before.
        let gone = followed.iter().filter(|f| f.now.is_none() && f.name.qualified() == name).map(|f| f.relid);
        forget(task, gone)?;
        insert(task, table)?;
    }
    note_triggers(task)?;
    if task.stage >= Stage::PostData {
        // Before the new copy every transaction has to be visible whose commit record is behind the stream.
        task.update("stage = $2, stage_at = now(), older_gone = false", &[Some(Stage::FullCopy.as_str())])?;
    }
    Ok(())
}

/// Tables that the patterns name are copied, and followed from then on.
pub fn begin(task: &Task, tables: &[u32]) -> Result<()> {
    for found in select::candidates()?.into_iter().filter(|found| tables.contains(&found.table.oid)) {
        insert(task, &found.table.with_a_name()?)?;
    }
    note_triggers(task)
}

/// The tables that are to be followed from now on: the one that is asked for, or what is missing below it.
fn asked_for(task: &Task, oid: u32, followed: &[FollowedTable]) -> Result<Vec<Candidate>> {
    let patterns = coverage::patterns(task, followed)?;
    let mut found: Vec<FoundTable> = select::candidates()?;
    found.retain(|f| f.table.oid == oid || f.ancestors.iter().any(|(parent, _)| *parent == oid));
    let Some(asked) = found.iter().find(|f| f.table.oid == oid) else {
        return Err(Error::new(sqlstate::WRONG_OBJECT_TYPE, "a task cannot follow this relation")
            .detail("It is no table, or one of the system, of an extension, or of this session."));
    };
    let name = TableName::new(asked.table.schema.clone(), asked.table.name.clone());
    if !patterns.names(&name, asked.ancestors.iter().map(|(oid, name)| (*oid, name))) {
        return Err(Error::new(
            sqlstate::INVALID_PARAMETER_VALUE,
            format!("the patterns of task \"{}\" do not name table {}", task.name, name.shown()),
        )
        .hint("Create a task of its own for it."));
    }
    // A table that is followed is copied anew if it is asked for, not if it is part of what is asked for.
    let is_followed = |table: &Candidate| followed.iter().any(|f| f.relid == table.oid);
    let mut tables = Vec::new();
    for FoundTable { table, .. } in found {
        if table.is_unlogged {
            if table.oid == oid {
                return Err(Error::new(
                    sqlstate::WRONG_OBJECT_TYPE,
                    format!("a task cannot follow table {}", name.shown()),
                )
                .detail(format!("It is an {UNLOGGED}."))
                .hint(format!("ALTER TABLE {} SET LOGGED;", name.shown())));
            }
        } else if table.oid == oid || !is_followed(&table) {
            tables.push(table.with_a_name()?);
        }
    }
    Ok(tables)
}

/// The destination, to change there what the task knows: a copy of the server that writes there has nothing to change.
pub fn reach(task: &Task) -> Result<Destination> {
    let mut destination = Endpoint::of(task)?.open(Purpose::Schema)?;
    let claimant = Claimant::of(task, source::of(task).as_mut())?;
    claimant.check_source(task)?;
    destination.check_helper_schema()?;
    destination.check_writer(&claimant.claim(task))?;
    Ok(destination)
}

/// Each table has to be there, and empty; of a former copy nothing is known any more.
fn prepare_destination(task: &Task, tables: &[Candidate], followed: &[FollowedTable]) -> Result<()> {
    let mut destination = reach(task)?;
    refuse_shared(task, tables, &mut destination)?;
    for table in tables.iter().filter(|table| table.kind == 'r') {
        let known = followed.iter().find(|f| f.relid == table.oid).map(|f| f.name.clone());
        let name = known.unwrap_or_else(|| TableName::new(table.schema.clone(), table.name.clone()));
        let shown = name.shown();
        if !destination.has_table(&name)? {
            return Err(Error::new(sqlstate::UNDEFINED_TABLE, format!("table {shown} is not on the destination"))
                .origin(Origin::Destination)
                .hint(format!(
                    "Create it there, empty:\n{}\nThen again: SELECT courier.add_table({}, {});",
                    definition(table)?,
                    quote_literal(&task.name),
                    quote_literal(&shown)
                )));
        }
        if destination.has_rows(&name)? {
            return Err(Error::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("table {shown} on the destination is not empty"),
            )
            .origin(Origin::Destination)
            .detail("The copy would mix with rows that are there.")
            .hint(format!("TRUNCATE {shown}; there, if they are not needed.")));
        }
        destination.forget_copy(&task.uuid, table.oid)?;
    }
    Ok(())
}

/// No other task writes these tables there: every change would be applied twice.
fn refuse_shared(task: &Task, tables: &[Candidate], destination: &mut Destination) -> Result<()> {
    let writers = text_array(destination.writers()?);
    let oids = oid_array(tables.iter().map(|table| table.oid));
    let destination_id = destination.database_id()?;
    let shared = spi::as_extension(|| {
        spi::query_opt(
            include_str!("../../sql/query/precheck/same_source.sql"),
            &[
                Some(&task.id.to_string()),
                Some(&oids),
                Some(&task.server.to_string()),
                destination_id.as_deref(),
                Some(&writers),
                Some(&xact::user_id().to_string()),
            ],
        )
    })?;
    let Some(shared) = shared else { return Ok(()) };
    let by = shared.opt(1).map_or("a task of another role".to_owned(), |name| format!("task \"{name}\""));
    let table = shared.text(0)?;
    Err(Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("{by} writes table {table} to this destination already"),
    )
    .detail("Every change would be applied twice.")
    .hint(format!(
        "SELECT courier.alter_task({}, exclude => ARRAY[{}]); leaves it out here.",
        quote_literal(&task.name),
        quote_literal(table)
    )))
}

/// The statements that create a table as it is on the source.
fn definition(table: &Candidate) -> Result<String> {
    let items = schema::statements(&schema::Extent::tables(&[table.oid]))?;
    let statements: Vec<String> = items
        .iter()
        .filter(|item| item.kind == Kind::Table)
        .map(|item| format!("{};", item.statement.as_str().trim_end_matches(';')))
        .collect();
    Ok(statements.join("\n"))
}

fn insert(task: &Task, table: &Candidate) -> Result<()> {
    spi::as_extension(|| {
        // The new copy will have what was written then.
        spi::execute(
            "DELETE FROM courier.rewritten_table WHERE task_id = $1::int AND relid = $2::oid",
            &[Some(&task.id.to_string()), Some(&table.oid.to_string())],
        )?;
        spi::execute(
            "INSERT INTO courier.task_table (task_id, relid, table_name, kind, total_rows, total_bytes) \
             VALUES ($1::int, $2::oid, $3, $4, $5::bigint, $6::bigint) ON CONFLICT (task_id, relid) DO UPDATE \
             SET state = 'init', snapshot = NULL, sync_lsn = NULL, total_rows = EXCLUDED.total_rows, \
             total_bytes = EXCLUDED.total_bytes, copied_rows = NULL, copied_bytes = NULL, started_at = NULL, finished_at = NULL",
            &[
                Some(&task.id.to_string()),
                Some(&table.oid.to_string()),
                Some(&table.qualified_name()),
                Some(&table.kind.to_string()),
                Some(&table.rows.to_string()),
                Some(&table.bytes.to_string()),
            ],
        )
    })
    .map(|_| ())
}

/// Adds patterns to what a task leaves out; a table that they name is not followed any more.
pub fn exclude(task: &Task, patterns: Vec<String>) -> Result<()> {
    let parsed = patterns.iter().map(|p| Pattern::parse(p)).collect::<Result<Vec<_>>>()?;
    let is_named = |name: &TableName| parsed.iter().any(|p| p.matches(&name.schema, &name.name));
    let (left_out, kept): (Vec<FollowedTable>, Vec<FollowedTable>) = coverage::followed(task.id)?
        .into_iter()
        .filter(|table| table.kind == 'r')
        .partition(|table| is_named(&table.name) || table.now.as_ref().is_some_and(is_named));
    if !left_out.is_empty() && kept.is_empty() {
        return Err(Error::new(
            sqlstate::INVALID_PARAMETER_VALUE,
            format!("task \"{}\" would follow no table any more", task.name),
        )
        .hint(format!("SELECT courier.drop_task({}); ends it.", quote_literal(&task.name))));
    }
    let mut all = task.exclude.clone();
    all.extend(patterns.into_iter().filter(|pattern| !task.exclude.contains(pattern)));
    task.update("exclude = ARRAY(SELECT json_array_elements_text($2::json))", &[Some(&to_json(&all)?)])?;
    forget(task, left_out.iter().map(|table| table.relid))
}

fn forget(task: &Task, tables: impl Iterator<Item = u32>) -> Result<()> {
    let oids = oid_array(tables);
    spi::as_extension(|| {
        spi::execute(
            "DELETE FROM courier.task_table WHERE task_id = $1::int AND relid = ANY ($2::oid[])",
            &[Some(&task.id.to_string()), Some(&oids)],
        )
    })
    .map(|_| ())
}
