//! What the schemas of tables, and the database as a whole, hold beside them.

use super::Extent;
use super::facts::{ask, at_one_moment};
use crate::catalog::Scope;
use crate::error::Result;
use crate::logicalrep::Row;
use crate::logicalrep::array::oid_array;
use crate::schema::image::View;

/// Objects of one kind that no task creates or carries.
#[derive(Clone, Debug)]
pub struct LeftOut {
    pub kind: String,
    pub count: usize,
    /// The first of them, and how many more there are.
    pub names: String,
    pub reason: String,
    /// A precheck says it by itself, or it is so for every task.
    pub has_item: bool,
}

/// A line for each kind. Without `definitions` only what holds rows or values.
pub fn left_out(extent: &Extent, scope: &Scope, definitions: bool) -> Result<Vec<LeftOut>> {
    let rows = at_one_moment(|| found(extent, definitions))?;
    let covers = scope.covers_schema()?;
    let mut kinds: Vec<(LeftOut, Vec<String>)> = Vec::new();
    for row in &rows {
        let (kind, reason) = (row.text("kind")?, row.text("reason")?);
        // What has no schema belongs to the whole database.
        let is_covered = row.opt("is_covered") != Some("f") || row.opt("nspname").is_some_and(&covers);
        if !is_covered {
            continue;
        }
        match kinds.last_mut() {
            Some((last, names)) if last.kind == kind && last.reason == reason => {
                last.count += 1;
                names.push(row.string("name")?);
            }
            _ => {
                let (kind, reason) = (kind.to_owned(), reason.to_owned());
                let line = LeftOut { kind, count: 1, names: String::new(), reason, has_item: row.bool("has_item")? };
                kinds.push((line, vec![row.string("name")?]));
            }
        }
    }
    Ok(kinds.into_iter().map(|(line, names)| LeftOut { names: bounded(&names), ..line }).collect())
}

fn found(extent: &Extent, definitions: bool) -> Result<Vec<Row>> {
    let image = extent.taken_as_known()?.image;
    let code = image.views.iter().map(View::oid).chain(image.routines.iter().map(|of| of.oid));
    let code = code.chain(image.plain.iter().map(|of| of.oid));
    let parameters = [
        oid_array(image.tables.iter().map(|of| of.oid)),
        oid_array(image.sequences.iter().map(|of| of.oid)),
        oid_array(image.types.iter().map(|of| of.oid)),
        oid_array(image.collations.iter().map(|of| of.oid)),
        oid_array(image.extensions.iter().map(|of| of.oid)),
        definitions.to_string(),
        oid_array(code),
        oid_array(image.schemas.iter().map(|of| of.oid)),
    ];
    ask(include_str!("../../../sql/query/schema/left_out.sql"), &parameters.each_ref().map(String::as_str))
}

/// The first names of a list, and how many more there are.
pub fn bounded(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    match names.len().checked_sub(SHOWN) {
        Some(more) if more > 0 => format!("{shown} and {more} more"),
        _ => shown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_of_names_is_cut() {
        let names: Vec<String> = (1..=12).map(|n| n.to_string()).collect();
        assert_eq!(bounded(&names), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more");
        assert_eq!(bounded(&names[..10]), "1, 2, 3, 4, 5, 6, 7, 8, 9, 10");
        assert_eq!(bounded(&names[..1]), "1");
    }
}
