//! What a task has applied of the source's definitions, kept where it was applied and changed in the transactions that apply it: after
//! any crash it is what the destination has.

use std::collections::{BTreeSet, HashSet};

use serde_json::json;

use super::Destination;
use crate::error::{Error, Result};
use crate::logicalrep::array::{oid_array, text_array};
use crate::logicalrep::{Row, TableName};
use crate::schema::SchemaSql;
use crate::schema::captured::SUPERUSER;
use crate::schema::deparse::postgres::{Foreign, there};
use crate::schema::image::{Class, Name, Table};
use crate::schema::model::{Kept, Known, Standing};
use crate::schema::scope::Object;
use crate::schema::spelling::TypeNames;

/// A command of the source, and what became of it here.
pub struct CommandDone<'a> {
    pub id: i64,
    pub state: &'a str,
    pub note: Option<&'a str>,
    pub objects: &'a [String],
    pub statements: &'a [String],
    pub ms: i64,
}

/// The same as the source reads it.
#[derive(Debug)]
pub struct CommandNote {
    pub id: i64,
    /// The order in which they were applied.
    pub seq: i64,
    pub state: String,
    pub note: Option<String>,
    /// Texts of arrays.
    pub objects: String,
    pub statements: String,
    pub ms: i64,
    pub at: String,
}

/// A table of the model.
#[derive(Debug)]
pub struct ModelTable {
    pub oid: u32,
    pub name: TableName,
    pub is_partitioned: bool,
    pub standing: Standing,
    /// Generated columns of the source that are plain there.
    pub fed: Vec<String>,
}

const COLUMNS: &str = "class, oid, state, base, kept";

impl Destination {
    pub fn has_model(&mut self, task_id: &str) -> Result<bool> {
        let sql = "SELECT FROM courier_applied.object WHERE task_id = $1::uuid LIMIT 1";
        Ok(!self.connection.query(sql, &[Some(task_id)])?.is_empty())
    }

    /// What the destination has of what parts of tables call.
    pub fn available(&mut self, causes: &[(Object, Foreign)]) -> Result<Vec<Object>> {
        const AT_ONCE: usize = 100;
        let mut available = Vec::new();
        for some in causes.chunks(AT_ONCE) {
            let questions: Vec<SchemaSql> = some.iter().map(|(_, foreign)| there(foreign)).collect();
            for (at, why_not) in self.ask_definitions(questions.iter().enumerate())? {
                available.extend(some.get(at).filter(|_| why_not.is_none()).map(|(object, _)| *object));
            }
        }
        let is_for_superusers = |(object, _): &(Object, Foreign)| object.0.is_for_superusers();
        if causes.iter().any(is_for_superusers) && self.is_superuser()? {
            available.push(SUPERUSER);
        }
        Ok(available)
    }

    /// Those of the roles that are not there.
    pub fn missing_roles(&mut self, roles: &[String]) -> Result<Vec<String>> {
        let sql = "SELECT w.role FROM pg_catalog.unnest($1::text[]) AS w(role) \
                   WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_roles r WHERE r.rolname = w.role)";
        self.connection.query(sql, &[Some(&text_array(roles))])?.iter().map(|row| row.string(0)).collect()
    }

    /// Everything that the task has applied.
    pub fn whole_model(&mut self, task_id: &str) -> Result<Vec<(Object, Known)>> {
        let sql = format!("SELECT {COLUMNS} FROM courier_applied.object WHERE task_id = $1::uuid ORDER BY class, oid");
        let rows = self.connection.query(&sql, &[Some(task_id)])?;
        self.spelled(task_id, &rows)
    }

    /// Signed with types under the names that these have there: a type gets another one without a word about what is signed with it.
    fn spelled(&mut self, task_id: &str, rows: &[Row]) -> Result<Vec<(Object, Known)>> {
        let mut found: Vec<(Object, Known)> = rows.iter().map(known).collect::<Result<_>>()?;
        let signed: BTreeSet<Object> = found.iter().flat_map(|(_, known)| known.kept.image.operands()).collect();
        let types = self.type_names(task_id, signed)?;
        found.iter_mut().for_each(|(_, known)| types.spell(&mut known.kept.image));
        Ok(found)
    }

    /// What those of the types are called that the model has.
    pub fn type_names(&mut self, task_id: &str, types: impl IntoIterator<Item = Object>) -> Result<TypeNames> {
        let types: Vec<Object> = types.into_iter().collect();
        if types.is_empty() {
            return Ok(TypeNames::default());
        }
        let [classes, oids] = addresses(&types);
        let sql = "SELECT class, oid, schema_name, name FROM courier_applied.object WHERE task_id = $1::uuid AND (class, oid) IN \
                   (SELECT w.class, w.oid FROM ROWS FROM (pg_catalog.unnest($2::oid[]), pg_catalog.unnest($3::oid[])) AS w(class, oid))";
        let rows = self.connection.query(sql, &[Some(task_id), Some(&classes), Some(&oids)])?;
        let named = |row: &Row| {
            let Some(class) = Class::of(row.parse("class")?) else { return Ok(None) };
            let name = Name::new(row.opt("schema_name").unwrap_or_default(), row.text("name")?);
            Ok(Some(((class, row.parse("oid")?), name)))
        };
        let names = rows.iter().map(named).filter_map(Result::transpose).collect::<Result<Vec<_>>>()?;
        Ok(TypeNames::of(names))
    }

    /// Those of the objects that the model has.
    pub fn model_of(&mut self, task_id: &str, objects: &[Object]) -> Result<Vec<(Object, Known)>> {
        let [classes, oids] = addresses(objects);
        let sql = "SELECT class, oid, state, base, kept FROM courier_applied.object WHERE task_id = $1::uuid AND (class, oid) IN \
                   (SELECT w.class, w.oid FROM ROWS FROM (pg_catalog.unnest($2::oid[]), pg_catalog.unnest($3::oid[])) AS w(class, oid)) \
                   ORDER BY class, oid";
        let rows = self.connection.query_kept(sql, &[Some(task_id), Some(&classes), Some(&oids)])?;
        self.spelled(task_id, &rows)
    }

    /// Objects of a class in the model that have one of these names.
    pub fn model_named(&mut self, task_id: &str, class: Class, names: &[Name]) -> Result<Vec<(Object, Known)>> {
        let schemas = text_array(names.iter().map(|name| &name.schema));
        let tables = text_array(names.iter().map(|name| &name.name));
        let sql = format!(
            "SELECT {COLUMNS} FROM courier_applied.object WHERE task_id = $1::uuid AND class = $4::oid AND (schema_name, name) IN \
             (SELECT w.schema_name, w.name FROM ROWS FROM (pg_catalog.unnest($2::text[]), pg_catalog.unnest($3::text[])) AS w(schema_name, name)) \
             ORDER BY oid"
        );
        let class = class.oid().to_string();
        let rows = self.connection.query(&sql, &[Some(task_id), Some(&schemas), Some(&tables), Some(&class)])?;
        self.spelled(task_id, &rows)
    }

    /// Tables that have left and may have one of the names: a relation's in one of the schemas, or one of extended statistics.
    pub fn model_left(
        &mut self,
        task_id: &str,
        relations: &[Name],
        statistics: &[Name],
    ) -> Result<Vec<(Object, Known)>> {
        let schemas = text_array(relations.iter().map(|name| &name.schema));
        let [relations, statistics] =
            [relations, statistics].map(|names| text_array(names.iter().map(|name| as_json(&name.name))));
        let sql = format!(
            "SELECT {COLUMNS} FROM courier_applied.object o WHERE o.task_id = $1::uuid AND o.is_table AND o.state = 'left' AND \
             (o.schema_name = ANY ($2::text[]) AND EXISTS (SELECT FROM pg_catalog.unnest($3::text[]) AS w(name) WHERE pg_catalog.strpos(o.kept, w.name) > 0) \
              OR EXISTS (SELECT FROM pg_catalog.unnest($4::text[]) AS w(name) WHERE pg_catalog.strpos(o.kept, w.name) > 0)) ORDER BY o.oid"
        );
        let parameters = [Some(task_id), Some(&schemas), Some(&relations), Some(&statistics)];
        self.connection.query(&sql, &parameters)?.iter().map(known).collect()
    }

    /// Sequences that columns of the table own.
    pub fn sequences_of(&mut self, task_id: &str, table: &Name) -> Result<Vec<(Object, Known)>> {
        let owner = format!("\"owner\":{{\"table\":{}", as_json(table));
        let sql = format!(
            "SELECT {COLUMNS} FROM courier_applied.object o WHERE o.task_id = $1::uuid AND o.class = 1259 AND NOT o.is_table \
             AND pg_catalog.strpos(o.kept, $2) > 0 ORDER BY o.oid"
        );
        self.connection.query(&sql, &[Some(task_id), Some(&owner)])?.iter().map(known).collect()
    }

    /// What the model has in a schema.
    pub fn model_in(&mut self, task_id: &str, schema: &str) -> Result<Vec<(Object, Known)>> {
        let sql = format!(
            "SELECT {COLUMNS} FROM courier_applied.object WHERE task_id = $1::uuid AND schema_name = $2 ORDER BY class, oid"
        );
        let rows = self.connection.query(&sql, &[Some(task_id), Some(schema)])?;
        self.spelled(task_id, &rows)
    }

    /// Tables of the model, in the order of their names.
    pub fn model_tables(&mut self, task_id: &str) -> Result<Vec<ModelTable>> {
        let sql = "SELECT o.oid, o.schema_name, o.name, o.state, o.is_partitioned, \
                   CASE WHEN pg_catalog.strpos(o.kept, '\"fed\":true') > 0 THEN o.kept END AS kept \
                   FROM courier_applied.object o WHERE o.task_id = $1::uuid AND o.is_table ORDER BY o.schema_name, o.name";
        let rows = self.connection.query(sql, &[Some(task_id)])?;
        let table = |row: &Row| {
            Ok(ModelTable {
                oid: row.parse("oid")?,
                name: TableName::new(row.text("schema_name")?, row.text("name")?),
                is_partitioned: row.bool("is_partitioned")?,
                standing: standing(row)?,
                fed: row.opt("kept").map(fed).transpose()?.unwrap_or_default(),
            })
        };
        rows.iter().map(table).collect()
    }

    /// Tables that wait for their copies; none where the tables are of 0.1.0.
    pub fn entering(&mut self, task_id: &str) -> Result<HashSet<u32>> {
        let rows = self.connection.exec("SELECT pg_catalog.to_regclass('courier_applied.object') IS NOT NULL")?;
        if !rows.first().map_or(Ok(false), |row| row.bool(0))? {
            return Ok(HashSet::new());
        }
        let tables = self.model_tables(task_id)?;
        Ok(tables.iter().filter(|table| table.standing == Standing::Entering).map(|table| table.oid).collect())
    }

    pub fn store_model<'a>(
        &mut self,
        task_id: &str,
        objects: impl Iterator<Item = (&'a Object, &'a Known)>,
    ) -> Result<()> {
        const AT_ONCE: usize = 200;
        let rows: Vec<serde_json::Value> = objects.map(|(object, known)| row_of(*object, known)).collect();
        for some in rows.chunks(AT_ONCE) {
            self.connection.execute_kept(
                "INSERT INTO courier_applied.object (task_id, class, oid, schema_name, name, is_table, is_partitioned, state, base, kept) \
                 SELECT $1::uuid, o.class, o.oid, o.schema_name, o.name, o.is_table, o.is_partitioned, o.state, o.base, o.kept \
                 FROM pg_catalog.json_to_recordset($2::json) AS o(class oid, oid oid, schema_name text, name text, is_table boolean, \
                 is_partitioned boolean, state text, base text, kept text) ON CONFLICT (task_id, class, oid) DO UPDATE SET \
                 schema_name = excluded.schema_name, name = excluded.name, is_table = excluded.is_table, \
                 is_partitioned = excluded.is_partitioned, state = excluded.state, base = excluded.base, kept = excluded.kept, \
                 changed_at = pg_catalog.now()",
                &[Some(task_id), Some(&serde_json::Value::from(some).to_string())],
            )?;
        }
        Ok(())
    }

    /// How the task stands to a table from now on.
    pub fn set_standing(&mut self, task_id: &str, table: u32, standing: Standing) -> Result<()> {
        self.connection
            .execute(
                "UPDATE courier_applied.object SET state = $3, changed_at = pg_catalog.now() \
                 WHERE task_id = $1::uuid AND is_table AND oid = $2::oid",
                &[Some(task_id), Some(&table.to_string()), Some(standing.as_str())],
            )
            .map(drop)
    }

    /// With what was left to be done aside.
    pub fn forget_whole_model(&mut self, task_id: &str) -> Result<()> {
        self.abandon_items(task_id)?;
        for table in ["object", "gone"] {
            let sql = format!("DELETE FROM courier_applied.{table} WHERE task_id = $1::uuid");
            self.connection.execute(&sql, &[Some(task_id)])?;
        }
        Ok(())
    }

    /// The transaction has dropped them; some stay here all the same. That is remembered for a day: whoever has read them before it, and commits later, tells of them
    /// as if they were there.
    pub fn bury(&mut self, task_id: &str, objects: &[Object], staying: &[Object], xid: u64) -> Result<()> {
        if objects.is_empty() && staying.is_empty() {
            return Ok(());
        }
        let [classes, oids] = addresses(objects);
        let all: Vec<Object> = objects.iter().chain(staying).copied().collect();
        let [all_classes, all_oids] = addresses(&all);
        self.connection.execute(
            "WITH d AS (DELETE FROM courier_applied.object WHERE task_id = $1::uuid AND (class, oid) IN \
               (SELECT w.class, w.oid FROM ROWS FROM (pg_catalog.unnest($2::oid[]), pg_catalog.unnest($3::oid[])) AS w(class, oid))), \
             old AS (DELETE FROM courier_applied.gone WHERE task_id = $1::uuid AND at < pg_catalog.now() - interval '1 day' AND (class, oid) NOT IN \
               (SELECT w.class, w.oid FROM ROWS FROM (pg_catalog.unnest($4::oid[]), pg_catalog.unnest($5::oid[])) AS w(class, oid))) \
             INSERT INTO courier_applied.gone (task_id, class, oid, xid) SELECT $1::uuid, w.class, w.oid, $6::bigint \
             FROM ROWS FROM (pg_catalog.unnest($4::oid[]), pg_catalog.unnest($5::oid[])) AS w(class, oid) \
             ON CONFLICT (task_id, class, oid) DO UPDATE SET xid = excluded.xid, at = excluded.at",
            &[Some(task_id), Some(&classes), Some(&oids), Some(&all_classes), Some(&all_oids), Some(&xid.to_string())],
        )?;
        Ok(())
    }

    /// Those of the objects that were dropped, and by which transactions. What the model follows is there, whatever was said of it before.
    pub fn buried(&mut self, task_id: &str, objects: &[Object]) -> Result<Vec<(Object, u64)>> {
        let [classes, oids] = addresses(objects);
        let sql = "SELECT g.class, g.oid, g.xid FROM courier_applied.gone g \
                   JOIN ROWS FROM (pg_catalog.unnest($2::oid[]), pg_catalog.unnest($3::oid[])) AS w(class, oid) USING (class, oid) \
                   WHERE g.task_id = $1::uuid AND NOT EXISTS (SELECT FROM courier_applied.object o \
                   WHERE (o.task_id, o.class, o.oid) = (g.task_id, g.class, g.oid) AND o.state <> 'left')";
        let rows = self.connection.query(sql, &[Some(task_id), Some(&classes), Some(&oids)])?;
        let buried = |row: &Row| {
            let class = Class::of(row.parse("class")?);
            class.map(|class| Ok(((class, row.parse("oid")?), row.parse("xid")?))).transpose()
        };
        rows.iter().map(buried).filter_map(Result::transpose).collect()
    }

    /// Says what became of a command, in the transaction that carries it.
    pub fn note_command(&mut self, task_id: &str, done: &CommandDone<'_>) -> Result<()> {
        self.connection
            .execute(
                "INSERT INTO courier_applied.command (task_id, id, state, note, objects, statements, ms) \
                 VALUES ($1::uuid, $2::bigint, $3, $4, $5::text[], $6::text[], $7::bigint) ON CONFLICT (task_id, id) DO UPDATE SET \
                 state = excluded.state, note = excluded.note, objects = excluded.objects, statements = excluded.statements, \
                 ms = excluded.ms, at = excluded.at",
                &[
                    Some(task_id),
                    Some(&done.id.to_string()),
                    Some(done.state),
                    done.note,
                    Some(&text_array(done.objects)),
                    Some(&text_array(done.statements)),
                    Some(&done.ms.to_string()),
                ],
            )
            .map(drop)
    }

    /// What became of commands since the one of this number in the order in which they were applied, of a thousand at most.
    pub fn commands_done(&mut self, task_id: &str, after: i64) -> Result<Vec<CommandNote>> {
        let sql = "SELECT c.id, c.seq, c.state, c.note, c.objects, c.statements, c.ms, c.at FROM courier_applied.command c \
                   WHERE c.task_id = $1::uuid AND c.seq > $2::bigint ORDER BY c.seq LIMIT 1000";
        let rows = self.connection.query(sql, &[Some(task_id), Some(&after.to_string())])?;
        rows.iter().map(command_note).collect()
    }

    /// The same of these commands.
    pub fn commands_now(&mut self, task_id: &str, ids: &[i64]) -> Result<Vec<CommandNote>> {
        let sql = "SELECT c.id, c.seq, c.state, c.note, c.objects, c.statements, c.ms, c.at FROM courier_applied.command c \
                   WHERE c.task_id = $1::uuid AND c.id = ANY ($2::bigint[])";
        let ids = text_array(ids.iter().map(ToString::to_string));
        let rows = self.connection.query(sql, &[Some(task_id), Some(&ids)])?;
        rows.iter().map(command_note).collect()
    }
}

/// Classes and oids, as two arrays.
fn addresses(objects: &[Object]) -> [String; 2] {
    let (classes, oids): (Vec<u32>, Vec<u32>) = objects.iter().map(|(class, oid)| (class.oid(), *oid)).unzip();
    [oid_array(classes), oid_array(oids)]
}

fn command_note(row: &Row) -> Result<CommandNote> {
    Ok(CommandNote {
        id: row.parse("id")?,
        seq: row.parse("seq")?,
        state: row.string("state")?,
        note: row.opt_string("note"),
        objects: row.string("objects")?,
        statements: row.string("statements")?,
        ms: row.parse("ms")?,
        at: row.string("at")?,
    })
}

fn row_of((class, oid): Object, known: &Known) -> serde_json::Value {
    let (schema, name) = known.kept.name();
    let table = known.kept.image.tables.first();
    json!({
        "class": class.oid(), "oid": oid, "schema_name": schema, "name": name, "is_table": table.is_some(),
        "is_partitioned": table.is_some_and(|table| table.is_partitioned), "state": known.standing.as_str(), "base": known.base,
        "kept": serde_json::to_string(&known.kept).unwrap_or_default(),
    })
}

fn known(row: &Row) -> Result<(Object, Known)> {
    let unreadable = |what: String| Error::internal(format!("invalid row of courier_applied.object: {what}"));
    let class = Class::of(row.parse("class")?).ok_or_else(|| unreadable("its class is unknown".to_owned()))?;
    let kept: Kept = serde_json::from_str(row.text("kept")?).map_err(|error| unreadable(error.to_string()))?;
    Ok(((class, row.parse("oid")?), Known { standing: standing(row)?, base: row.string("base")?, kept }))
}

fn fed(kept: &str) -> Result<Vec<String>> {
    let kept: Kept = serde_json::from_str(kept)
        .map_err(|error| Error::internal(format!("invalid row of courier_applied.object: {error}")))?;
    Ok(kept.image.tables.first().map(Table::fed).unwrap_or_default())
}

/// As it stands in a text of the model.
fn as_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn standing(row: &Row) -> Result<Standing> {
    let text = row.text("state")?;
    Standing::parse(text).ok_or_else(|| Error::internal(format!("invalid state \"{text}\" in courier_applied.object")))
}
