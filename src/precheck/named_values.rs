//! Values that are names of objects (`regclass`, `regproc`): are those on the destination when the rows come? Views come behind the rows, and
//! what no pattern names does not come at all.

use std::collections::{HashMap, HashSet, VecDeque};

use serde_json::json;

use super::schema::in_its_schema;
use super::{Check, foreign};
use crate::catalog::schema::{self, Cause, Extent};
use crate::destination::Destination;
use crate::error::Result;
use crate::logicalrep::Row;
use crate::logicalrep::array::oid_array;
use crate::pg::{spi, xact};
use crate::schema::image::Class;
use crate::schema::scope::Object;

/// A column, and an object that a value of it names.
struct Named {
    table: String,
    column: String,
    type_name: String,
    object: Object,
    description: String,
    /// Of a table, an index or a sequence.
    relation: Option<(String, String)>,
}

impl Check<'_> {
    /// `extent`: what the task creates; none where it creates nothing.
    pub(super) fn ask_named_values(
        &mut self,
        extent: Option<&Extent>,
        session: &mut Destination,
        user: &str,
    ) -> Result<()> {
        if !self.subject.scope.full_copy || self.subject.begun {
            return Ok(());
        }
        let made = extent.map_or_else(|| Ok(HashSet::new()), schema::made_before_rows)?;
        let mut named = self.named_by_values()?;
        named.retain(|of| !made.contains(&of.object));
        if named.is_empty() {
            return Ok(());
        }
        let relations: Vec<_> =
            named.iter().map(|of| of.relation.as_ref().map_or(json!(["", ""]), |name| json!(name))).collect();
        let missing_relations = session.missing_relations(&json!(relations).to_string())?;
        let causes = schema::causes_of(&named.iter().map(|of| of.object).collect())?;
        let (_, missing) = schema::ask_causes(session, causes)?;
        self.queries.1 += 2;
        let missing: HashMap<Object, Cause> = missing.into_iter().map(|cause| (cause.address, cause)).collect();
        for (at, of) in named.iter().enumerate() {
            let cause = missing.get(&of.object);
            if cause.is_some() || of.relation.is_some() && missing_relations.contains(&at) {
                self.named_value(of, cause, extent, user)?;
            }
        }
        Ok(())
    }

    fn named_value(&mut self, of: &Named, cause: Option<&Cause>, extent: Option<&Extent>, user: &str) -> Result<()> {
        let Named { table, column, type_name, description, .. } = of;
        let why = cause.and_then(|cause| cause.unusable.as_deref());
        let why = why.map(|why| format!(" ({})", foreign::line(why))).unwrap_or_default();
        let detail = format!(
            "A value of column {column}, of type {type_name}, names {description}, which is not on the destination when the rows come{why}."
        );
        self.add("reg_columns", Some("failed"), Some(table.clone()), Some(detail))?;
        // Where it reads tables of the task it cannot be made before those.
        let reads_tables = extent.map_or(Ok(false), |extent| schema::reads_tables(extent, of.object))?;
        let create = cause.filter(|cause| cause.unusable.is_none() && !reads_tables);
        let create = create.and_then(|cause| Some(in_its_schema(cause, cause.create_sql.as_ref()?, user)));
        let create = create.map(|sql| {
            if of.object.0 == Class::Proc { format!("SET check_function_bodies = off; {sql}") } else { sql }
        });
        let as_text = || {
            format!("ALTER TABLE {table} ALTER COLUMN {column} TYPE text USING {column}::text; -- rewrites the table")
        };
        self.let_decide(Some(create.unwrap_or_else(as_text)));
        Ok(())
    }

    fn named_by_values(&mut self) -> Result<Vec<Named>> {
        const AT_ONCE: usize = 50;
        let ask =
            |sql: &str, parameters: &[Option<&str>]| spi::as_role(xact::user_id(), || spi::query(sql, parameters));
        let columns = ask(include_str!("../../sql/query/precheck/reg_columns.sql"), &[Some(&self.oids)])?;
        self.queries.0 += 1;
        let (mut of, mut classes, mut oids) = (Vec::new(), Vec::new(), Vec::new());
        let look = |some: &[Row]| {
            let parts = some.iter().enumerate().map(values).collect::<Result<Vec<_>>>()?;
            xact::attempt(|| ask(&parts.join(" UNION ALL "), &[]))
        };
        let mut some_of = columns.chunks(AT_ONCE).collect::<VecDeque<_>>();
        while let Some(some) = some_of.pop_front() {
            self.queries.0 += 1;
            let rows = match look(some) {
                Ok(rows) => rows,
                // The planner looks into functions of indexes, whose bodies may name what is not found here: such a table is not looked into.
                Err(error) if error.sqlstate().starts_with("42") => {
                    some_of.extend(some.chunks(1).filter(|one| one.len() < some.len()));
                    continue;
                }
                Err(error) => return Err(error),
            };
            for row in rows {
                let Some(column) = some.get(row.parse::<usize>(0)?) else { continue };
                of.push(column);
                classes.push(column.parse("class")?);
                oids.push(row.parse(1)?);
            }
        }
        if of.is_empty() {
            return Ok(Vec::new());
        }
        let sql = include_str!("../../sql/query/precheck/named_objects.sql");
        let rows = ask(sql, &[Some(&oid_array(classes)), Some(&oid_array(oids))])?;
        self.queries.0 += 1;
        let named = |row: &Row| {
            let column = of.get(row.parse::<usize>("place")?);
            let (Some(column), Some(class)) = (column, Class::of(row.parse("class")?)) else { return Ok(None) };
            Ok(Some(Named {
                table: column.string("table_name")?,
                column: column.string("column_name")?,
                type_name: column.string("type_name")?,
                object: (class, row.parse("oid")?),
                description: row.string("description")?,
                relation: row.opt_string("nspname").zip(row.opt_string("relname")),
            }))
        };
        rows.iter().map(named).filter_map(Result::transpose).collect()
    }
}

/// A question for the objects of users that values of a column name; of many the first.
fn values((n, column): (usize, &Row)) -> Result<String> {
    let (table, name) = (column.text("table_name")?, column.text("column_name")?);
    Ok(format!(
        "(SELECT {n}, v.oid FROM (SELECT DISTINCT t.{name}::pg_catalog.oid AS oid FROM ONLY {table} AS t) AS v \
         WHERE v.oid OPERATOR(pg_catalog.>=) 16384::pg_catalog.oid ORDER BY v.oid LIMIT 1000)"
    ))
}
