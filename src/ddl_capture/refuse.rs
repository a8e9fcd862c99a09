//! A task may be of tables whose definitions shall not change while it runs: then the command fails, and whoever ran it reads why.

use super::effects::Effects;
use crate::catalog::schema::command;
use crate::catalog::{DdlPolicy, Task, ddl_log, ddl_policies};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::TableName;
use crate::logicalrep::array::oid_array;
use crate::logicalrep::names::quote_literal;
use crate::pg::spi;
use crate::schema::governed::{Governed, KindPolicy};
use crate::schema::image::Class;
use crate::schema::scope::Object;
use crate::select::kinds::ByPattern;

/// An error if the effects of the command concern a table of such a task, or one that its patterns name.
pub fn check(tag: &str, effects: &Effects) -> Result<()> {
    let (by_task, by_kind) = (ddl_log::is_any_task(DdlPolicy::Refuse), ddl_policies::is_any_refused());
    if !by_task && !by_kind {
        return Ok(());
    }
    let roots = command::after_command(|| command::roots(&effects.objects, false))?;
    if by_kind && let Some(kind) = Governed::of_tag(tag) {
        // Tables that are left without a foreign key are not dropped.
        let touched = if kind == Governed::DropTable { &[][..] } else { &roots.objects };
        check_kind(tag, kind, &names(touched, effects)?)?;
    }
    if !by_task {
        return Ok(());
    }
    let touched = roots.objects.iter().filter(|object| object.0 == Class::Relation).map(|object| object.1);
    let dropped = effects.dropped.iter().filter(|dropped| dropped.class == Class::Relation).map(|dropped| dropped.oid);
    let (touched, dropped) = (oid_array(touched), oid_array(dropped));
    let sql = include_str!("../../sql/query/capture/refusing.sql");
    let rows = spi::as_extension(|| spi::query(sql, &[Some(&touched), Some(&dropped)]))?;
    for row in &rows {
        let is_followed = row.bool("is_followed")?;
        let task = Task::by_id(row.parse("id")?)?;
        let is_named = match (row.opt("nspname"), row.opt("relname")) {
            (Some(schema), Some(name)) if !is_followed => task.named()?(schema, name),
            _ => false,
        };
        if is_followed || is_named {
            return Err(refusal(tag, &task.name, row.text("shown")?));
        }
    }
    Ok(())
}

/// What the command is about, and what is gone by now.
fn names(objects: &[Object], effects: &Effects) -> Result<Vec<TableName>> {
    let (classes, oids) = objects.iter().map(|(class, oid)| (class.oid(), *oid)).unzip::<_, _, Vec<_>, Vec<_>>();
    let (classes, oids) = (oid_array(classes), oid_array(oids));
    let sql = include_str!("../../sql/query/capture/names.sql");
    let rows = spi::as_extension(|| spi::query(sql, &[Some(&classes), Some(&oids)]))?;
    let mut names: Vec<TableName> =
        rows.iter().map(|row| Ok(TableName::new(row.text("nspname")?, row.text("name")?))).collect::<Result<_>>()?;
    names.extend(effects.dropped.iter().filter_map(|dropped| {
        // `materialized view s.t`, `function s.f(integer)`
        let words = ["materialized view ", "table ", "view ", "function ", "procedure "];
        let name = words.iter().find_map(|word| dropped.identity.strip_prefix(word))?;
        TableName::parse(name.split_once('(').map_or(name, |(name, _)| name))
    }));
    Ok(names)
}

/// An error if a task refuses commands on things of this kind with such a name.
fn check_kind(tag: &str, kind: Governed, names: &[TableName]) -> Result<()> {
    let sql = "SELECT DISTINCT p.task_id FROM courier.ddl_policy p JOIN courier.task k ON k.id = p.task_id \
               WHERE p.policy = 'refuse' AND p.kind = $1 AND k.wanted IN ('running', 'paused') ORDER BY 1";
    let rows = spi::as_extension(|| spi::query(sql, &[Some(kind.as_str())]))?;
    for row in &rows {
        let task = Task::by_id(row.parse("task_id")?)?;
        let rules = ddl_policies::of_task(task.id)?.into_iter().filter(|of| of.kind == kind);
        let rules = ByPattern::of(rules.map(|of| (of.pattern, of.policy)))?;
        let is_refused =
            |name: &&TableName| rules.find(&name.schema, &name.name, |_| true) == Some(&KindPolicy::Refuse);
        let is_named = task.named()?;
        if let Some(name) = names.iter().filter(is_refused).find(|name| is_named(&name.schema, &name.name)) {
            let refusal = Error::new(
                sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
                format!("task \"{}\" of pg_courier refuses {tag} of {}", task.name, name.shown()),
            )
            .detail(format!("Its policy for things of kind {} is \"refuse\".", quote_literal(kind.as_str())))
            .hint(format!(
                "SELECT courier.set_ddl_policy({}, {}, 'replicate', {});",
                quote_literal(&task.name),
                quote_literal(kind.as_str()),
                quote_literal(&name.shown())
            ));
            return Err(refusal);
        }
    }
    Ok(())
}

fn refusal(tag: &str, task: &str, table: &str) -> Error {
    Error::new(
        sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
        format!("task \"{task}\" of pg_courier refuses {tag} of table {table}"),
    )
    .detail("It was created with ddl => 'refuse': while it runs the definitions of its tables do not change.")
    .hint(format!("When the task is no longer needed: SELECT courier.drop_task({});", quote_literal(task)))
}
