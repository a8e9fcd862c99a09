//! Are both sides equal, table by table?
//!
//! Each side counts its rows and adds up a hash of each row's text, so order does not matter and no row travels. Where
//! the sums differ, rows are put into buckets by the hash of their key, and only buckets that differ are compared row by
//! row, to name keys. While changes flow, a table may differ only because the destination is behind: then the destination
//! is let catch up and the table is compared once more. A table that cannot be read on one side is a line with the
//! error; the others are compared all the same.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalog::code_schemas;
use crate::catalog::coverage::{self, Gap};
use crate::catalog::tables::{self, TaskTable};
use crate::catalog::{Stage, Task, Wanted};
use crate::destination::fingerprint::{Fingerprint, Question};
use crate::destination::{Destination, Endpoint, Purpose, code_path, data_settings};
use crate::error::{Error, Result};
use crate::logicalrep::Row;
use crate::logicalrep::array::oid_array;
use crate::logicalrep::names::{quote_literal, quote_qualified};
use crate::pg::{encoding, spi, xact};
use crate::source::{self, Asker, Source};

/// Keys named for a table that differs.
const KEYS_SHOWN: usize = 10;

/// Differing buckets looked into; there are 4096.
const BUCKETS_OPENED: usize = 16;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    pub rows: i64,
    pub hash: String,
}

pub struct Verdict {
    pub table: String,
    pub source: Option<Digest>,
    pub destination: Option<Digest>,
    pub keys: Vec<String>,
    /// The source calls it by another name than the destination.
    is_renamed: bool,
    /// Why the table could not be compared.
    pub error: Option<String>,
}

impl Verdict {
    pub fn of(table: String) -> Verdict {
        Verdict { table, source: None, destination: None, keys: Vec::new(), is_renamed: false, error: None }
    }

    pub fn identical(&self) -> bool {
        self.holds_the_same() && !self.is_renamed
    }

    fn holds_the_same(&self) -> bool {
        self.source.is_some() && self.source == self.destination
    }
}

/// A table's definition as far as comparing needs it.
struct Shape {
    name: String,
    here: Side,
    there: Side,
}

/// What it is called on one side.
#[derive(Default)]
struct Side {
    /// What stands in FROM.
    from: String,
    columns: Vec<String>,
    key: Vec<String>,
}

impl Side {
    /// What a differing row is named by.
    fn naming(&self) -> &[String] {
        if self.key.is_empty() { &self.columns } else { &self.key }
    }
}

/// `catch_up` lets the destination have what was committed until then.
pub fn compare_all(task: &Task, mut catch_up: impl FnMut() -> Result<()>) -> Result<Vec<Verdict>> {
    let destination = Endpoint::of(task)?.open(Purpose::Control)?;
    let mut comparison =
        Comparison { source: source::of(task), destination, utf8: false, code_schemas: Vec::new(), task };
    comparison.utf8 = comparison.encodings_differ()?;
    let (mut verdicts, mut same) = (Vec::new(), Vec::new());
    let streaming = task.wanted == Wanted::Running && !task.failed && task.stage >= Stage::CatchingUp;
    let mut tables = tables::of_task(task.id)?;
    tables.sort_by(|a, b| a.name.cmp(&b.name));
    for table in &tables {
        let mut verdict = comparison.try_to_compare(table)?;
        if verdict.error.is_none() && !verdict.holds_the_same() && streaming && task.incremental {
            catch_up()?;
            verdict = comparison.try_to_compare(table)?;
        }
        if verdict.error.is_none() && verdict.holds_the_same() {
            same.push(table.relid);
        }
        verdicts.push(verdict);
    }
    forget_rewrites(task, &same)?;
    // What is missing as a whole.
    for gap in coverage::gaps(task)? {
        if let Gap::NotFollowed { table, .. } = gap {
            verdicts.push(Verdict::of(table.shown()));
        }
    }
    Ok(verdicts)
}

/// What ALTER TABLE has done to these tables before now has been done on the destination as well.
fn forget_rewrites(task: &Task, tables: &[u32]) -> Result<()> {
    if xact::config(c"transaction_read_only").as_deref() == Some("on") {
        return Ok(());
    }
    spi::as_extension(|| {
        spi::execute(
            "DELETE FROM courier.rewritten_table WHERE task_id = $1::int AND relid = ANY ($2::oid[]) AND NOT unlogged \
             AND at < pg_catalog.now()",
            &[Some(&task.id.to_string()), Some(&oid_array(tables.iter().copied()))],
        )
    })
    .map(drop)
}

struct Comparison<'a> {
    source: Box<dyn Source>,
    destination: Destination,
    /// Have the databases different encodings?
    utf8: bool,
    /// Where both sides look for what has no schema, beside the server's own: nowhere, unless a table asks for it.
    code_schemas: Vec<String>,
    task: &'a Task,
}

impl Comparison<'_> {
    fn encodings_differ(&mut self) -> Result<bool> {
        Ok(self.destination.encoding()? != Some(encoding::database()))
    }

    /// Runs a query on the source, printing values as the destination's session does.
    fn on_source(&mut self, question: &Question) -> Result<Vec<Row>> {
        let path = code_path::path(self.code_schemas.iter().map(String::as_str));
        let mut settings: Vec<(&str, &str)> = data_settings().collect();
        settings.push(("search_path", &path));
        self.source.ask_printed(&settings, question.text())
    }

    fn on_destination(&mut self, question: &Question) -> Result<Vec<Row>> {
        if self.code_schemas.is_empty() {
            return self.destination.answer(question);
        }
        self.destination.with_code_path(&self.code_schemas, |destination| destination.answer(question))
    }

    /// What concerns this table only is its line.
    fn try_to_compare(&mut self, table: &TaskTable) -> Result<Verdict> {
        let compared = xact::attempt(|| self.compare(table)).or_else(|error| {
            if misses_a_name(&error) { self.compare_looking_for_code(table, error) } else { Err(error) }
        });
        compared.or_else(|error| {
            if !concerns_one_table(&error) {
                return Err(error);
            }
            let parts = [Some(error.message().to_owned()), error.detail_text(), remark(&error, self.task)];
            let text = parts.into_iter().flatten().collect::<Vec<_>>().join("\n");
            Ok(Verdict { error: Some(text), ..Verdict::of(table.shown()) })
        })
    }

    /// The same where code that the table calls finds what it names, as sessions of the database do, on both sides: the planner
    /// looks into it. What is open to others stays out, so `why_not` may be the last word.
    fn compare_looking_for_code(&mut self, table: &TaskTable, why_not: Error) -> Result<Verdict> {
        let search = code_schemas::of_database(self.task.trust().roles)?;
        let parameters = code_path::parameters(&search);
        let here =
            self.source.ask(Asker::Owner, code_path::QUESTION, &parameters.each_ref().map(|p| Some(p.as_str())))?;
        let there = self.destination.code_schemas(&search)?;
        let mut schemas = search.schemas;
        for side in [code_path::read(&here)?, there] {
            schemas.retain(|name| side.iter().any(|schema| schema.name == *name && schema.open_to.is_none()));
        }
        if schemas.is_empty() {
            return Err(why_not);
        }
        self.code_schemas = schemas;
        let compared = xact::attempt(|| self.compare(table));
        self.code_schemas.clear();
        compared
    }

    fn compare(&mut self, table: &TaskTable) -> Result<Verdict> {
        let mut verdict = Verdict::of(table.shown());
        let Some(mut shape) = shape(self.source.as_mut(), table)? else { return Ok(verdict) };
        verdict.is_renamed = shape.name != table.name;
        let target = table.target();
        let only = self.destination.table(&target)?.only();
        shape.there.from = format!("{only}{target}");
        let while_comparing = |error: Error| error.context(format!("While comparing {}.", table.shown()));
        let [here, there] = [&shape.here, &shape.there].map(|side| self.rows_of(side).of_table());
        verdict.source = Some(read_digest(&self.on_source(&here).map_err(while_comparing)?)?);
        verdict.destination = match self.on_destination(&there) {
            Ok(rows) => Some(read_digest(&rows)?),
            // No such table or column there: as different as can be.
            Err(error) if matches!(error.sqlstate(), "42P01" | "42703" | "3F000") => None,
            Err(error) => return Err(while_comparing(error)),
        };
        if verdict.destination.is_some() && !verdict.holds_the_same() {
            verdict.keys = self.differing_keys(&shape)?;
        }
        Ok(verdict)
    }

    fn rows_of<'a>(&self, side: &'a Side) -> Fingerprint<'a> {
        Fingerprint { from: &side.from, columns: &side.columns, key: side.naming(), utf8: self.utf8 }
    }

    fn differing_keys(&mut self, shape: &Shape) -> Result<Vec<String>> {
        let sides = [&shape.here, &shape.there];
        let [here, there] = sides.map(|side| self.rows_of(side).of_buckets());
        let (ours, theirs) = (by_bucket(self.on_source(&here)?)?, by_bucket(self.on_destination(&there)?)?);
        let differing: BTreeSet<&u16> =
            ours.keys().chain(theirs.keys()).filter(|b| ours.get(*b) != theirs.get(*b)).collect();
        let mut keys = Vec::new();
        for opened in differing.into_iter().take(BUCKETS_OPENED) {
            let [here, there] = sides.map(|side| self.rows_of(side).of_rows(*opened));
            let (ours, theirs) = (count_rows(self.on_source(&here)?), count_rows(self.on_destination(&there)?));
            let different: BTreeSet<&str> = ours
                .keys()
                .chain(theirs.keys())
                .filter(|row| ours.get(*row) != theirs.get(*row))
                .map(|(key, _)| key.as_str())
                .collect();
            keys.extend(different.into_iter().map(str::to_owned));
            if keys.len() >= KEYS_SHOWN {
                break;
            }
        }
        keys.truncate(KEYS_SHOWN);
        Ok(keys)
    }
}

/// Not a cancel, a lost connection, a full disk: those end the comparison.
fn concerns_one_table(error: &Error) -> bool {
    let state = error.sqlstate();
    matches!(state.get(..2), Some("0A" | "22" | "2F" | "38" | "39" | "42" | "55" | "P0"))
        || matches!(state, "XX001" | "XX002")
}

/// The planner looks into the functions of expression indexes, and into their bodies.
fn misses_a_name(error: &Error) -> bool {
    matches!(error.sqlstate(), "42883" | "42P01" | "42704")
}

fn remark(error: &Error, task: &Task) -> Option<String> {
    misses_a_name(error).then(|| {
        format!(
            "A function in an expression of the table or of its indexes names something without its schema, and neither the server's own \
             schema has it nor those of the database's search_path in which nobody else may create. Give the function a SET search_path \
             of its own on both sides: SELECT detail, fix FROM courier.precheck({}) WHERE item LIKE '%search\\_path'; has the statements.",
            quote_literal(&task.name)
        )
    })
}

/// The sums of buckets. Their numbers become part of the next statement, so they have to be numbers.
fn by_bucket(rows: Vec<Row>) -> Result<BTreeMap<u16, Option<String>>> {
    rows.iter().map(|row| Ok((row.parse(0)?, row.opt_string(1)))).collect()
}

/// How often each (key, row hash) is there.
fn count_rows(rows: Vec<Row>) -> BTreeMap<(String, String), u64> {
    let mut counts = BTreeMap::new();
    for row in rows {
        if let (Some(key), Some(hash)) = (row.opt_string(0), row.opt_string(1)) {
            *counts.entry((key, hash)).or_insert(0) += 1;
        }
    }
    counts
}

fn read_digest(rows: &[Row]) -> Result<Digest> {
    let row = rows.first().ok_or_else(|| Error::internal("a comparison returned no row"))?;
    Ok(Digest { rows: row.parse(0)?, hash: row.string(1)? })
}

/// `None` when the table is gone on the source.
fn shape(source: &mut dyn Source, table: &TaskTable) -> Result<Option<Shape>> {
    let sql = "SELECT n.nspname, c.relname, a.attname, COALESCE(a.attnum = ANY (i.indkey::int2[]) \
               AND array_position(i.indkey::int2[], a.attnum) < i.indnkeyatts, false) AS is_key \
               FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
               LEFT JOIN LATERAL (SELECT i.indkey, i.indnkeyatts FROM pg_index i WHERE i.indrelid = c.oid AND i.indisvalid \
                 AND (i.indisprimary OR i.indisreplident) ORDER BY i.indisprimary DESC LIMIT 1) i ON true \
               WHERE c.oid = $1::oid ORDER BY a.attnum";
    let rows = source.ask(Asker::Extension, sql, &[Some(&table.relid.to_string())])?;
    let Some(first) = rows.first() else { return Ok(None) };
    let name = quote_qualified(first.text("nspname")?, first.text("relname")?);
    let mut here = Side { from: format!("ONLY {name}"), ..Side::default() };
    let mut there = Side::default();
    for row in rows.iter().filter(|row| row.opt("attname").is_some()) {
        let column = row.string("attname")?;
        let Some(target) = table.route.column(&column) else { continue };
        there.columns.push(target.to_owned());
        if row.bool("is_key")? {
            there.key.push(target.to_owned());
            here.key.push(column.clone());
        }
        here.columns.push(column);
    }
    Ok(Some(Shape { name, here, there }))
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;
    use crate::catalog::TableState;
    use crate::logicalrep::{Lsn, TableName};
    use crate::source::fake::FakeSource;
    use crate::transform::Route;

    fn table(route: &str) -> TaskTable {
        let route = Route::parse(TableName::new("shop", "orders"), Some(route)).expect("a route");
        TaskTable {
            relid: 16400,
            name: "shop.orders".to_owned(),
            route: Rc::new(route),
            state: TableState::Ready,
            snapshot: None,
            sync_lsn: Lsn::INVALID,
            bytes: 0,
        }
    }

    const COLUMNS: [&str; 4] = ["nspname", "relname", "attname", "is_key"];

    #[test]
    fn each_side_is_asked_under_its_own_names() {
        let mut source = FakeSource::default().answers(
            &COLUMNS,
            &[
                &[Some("shop"), Some("old orders"), Some("id"), Some("t")],
                &[Some("shop"), Some("old orders"), Some("note"), Some("f")],
                &[Some("shop"), Some("old orders"), Some("stays"), Some("f")],
            ],
        );
        let route = r#"{"columns": {"id": "order_id", "stays": null}}"#;
        let shape = shape(&mut source, &table(route)).expect("an answer").expect("a table");
        assert_eq!(shape.name, r#""shop"."old orders""#, "as it is called now");
        assert_eq!(shape.here.from, r#"ONLY "shop"."old orders""#);
        assert_eq!((shape.here.columns, shape.here.key), (vec!["id".into(), "note".into()], vec!["id".to_owned()]));
        let there = &shape.there;
        assert_eq!(there.columns, ["order_id", "note"]);
        assert_eq!(there.naming(), ["order_id"]);
        assert!(matches!(source.asked[..], [(Asker::Extension, _)]), "catalogs hold no rows");
    }

    #[test]
    fn a_table_without_a_key_is_named_by_all_of_a_row_and_one_that_is_gone_has_no_shape() {
        let mut source = FakeSource::default()
            .answers(&COLUMNS, &[&[Some("shop"), Some("orders"), Some("note"), Some("f")]])
            .answers(&COLUMNS, &[&[Some("shop"), Some("orders"), None, Some("f")]])
            .answers(&COLUMNS, &[]);
        let mut ask = || shape(&mut source, &table("{}")).expect("an answer");
        assert_eq!(ask().map(|shape| shape.here.naming().to_vec()), Some(vec!["note".to_owned()]));
        assert_eq!(ask().map(|shape| shape.here.columns), Some(Vec::new()), "a table without columns");
        assert!(ask().is_none());
    }
}
