//! For tests only: an image, and the steps from one to another, as rows. The tests declare the functions themselves.

use pgrx::prelude::*;

use crate::catalog::schema::command::{after_command, describe};
use crate::error::{Error, Result};
use crate::pg::text::Text;
use crate::pg::{compat, report};
use crate::schema::diff::{Options, diff_with};
use crate::schema::image::{Class, Image};
use crate::schema::plan;

/// Of objects, by catalog and oid.
#[pg_extern(sql = false)]
fn schema_image(classes: Vec<pg_sys::Oid>, oids: Vec<pg_sys::Oid>) -> Text {
    let classes = classes.into_iter().filter_map(|class| Class::of(class.into()));
    let objects: Vec<_> = classes.zip(oids.into_iter().map(u32::from)).collect();
    let image = after_command(|| describe(&objects))
        .and_then(|captured| serde_json::to_string(&captured.image).map_err(|e| Error::internal(e.to_string())));
    report::unwrap(image).into()
}

/// What no step says comes first, without a statement.
#[pg_extern(sql = false)]
fn schema_difference(
    before: Text,
    after: Text,
) -> TableIterator<'static, (name!(object, Text), name!(statement, Option<Text>), name!(present_sql, Option<Text>))> {
    let rows = report::unwrap(difference(&before, &after));
    TableIterator::new(rows.into_iter().map(|(object, sql)| {
        let (statement, present_sql) = sql.unzip();
        (object.into(), statement.map(Text::from), present_sql.map(Text::from))
    }))
}

type Said = (String, Option<(String, String)>);

fn difference(before: &str, after: &str) -> Result<Vec<Said>> {
    let image = |text: &str| serde_json::from_str::<Image>(text).map_err(|e| Error::internal(e.to_string()));
    let (before, after) = (image(before)?, image(after)?);
    let options = Options { drops_schemas: true, drops_extensions: true };
    let found = diff_with(&before, &after, compat::MAJOR, options);
    let unsaid = found.unsaid.iter().map(|subject| (format!("{subject:?}"), None));
    let items = plan::in_order(&found.steps, compat::MAJOR).into_iter();
    let said = items.map(|item| (item.object, Some((item.statement.to_string(), item.present_sql.to_string()))));
    Ok(unsaid.chain(said).collect())
}
