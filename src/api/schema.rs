//! What the schema generator makes, as rows: `courier.schema_ddl()`, `courier.schema_omissions()`.

use pgrx::prelude::*;

use super::arguments::given;
use crate::catalog::schema::{self, Extent};
use crate::error::{Error, Result, sqlstate};
use crate::pg::report;
use crate::pg::text::Text;
use crate::schema::image::Class;

type Oids = Option<Vec<Option<pg_sys::Oid>>>;

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "the columns of the function's result")]
fn schema_ddl(
    relations: Oids,
    with_grants: Option<bool>,
    sequences: Oids,
    available_class: Oids,
    available_object: Oids,
) -> TableIterator<
    'static,
    (
        name!(section, Text),
        name!(ordinal, i32),
        name!(kind, Text),
        name!(object, Text),
        name!(statement, Text),
        name!(present_sql, Text),
        name!(differs_sql, Option<Text>),
    ),
> {
    let items = || {
        let with_grants = given("with_grants", with_grants)?;
        let extent = extent(relations, sequences, available_class, available_object)?;
        if with_grants { schema::statements(&extent) } else { schema::statements_without_privileges(&extent) }
    };
    let items = report::unwrap(items());
    TableIterator::new(items.into_iter().zip(1..).map(|(item, ordinal)| {
        (
            item.kind.section().as_str().to_owned().into(),
            ordinal,
            item.kind.to_string().into(),
            item.object.into(),
            item.statement.to_string().into(),
            item.present_sql.to_string().into(),
            item.differs_sql.map(|sql| sql.to_string().into()),
        )
    }))
}

#[pg_extern(sql = false)]
#[allow(clippy::type_complexity, reason = "the columns of the function's result")]
fn schema_omissions(
    relations: Oids,
    sequences: Oids,
    available_class: Oids,
    available_object: Oids,
) -> TableIterator<
    'static,
    (name!(kind, Text), name!(object, Text), name!(relid, Option<pg_sys::Oid>), name!(reason, Text)),
> {
    let omissions = || schema::omissions(&extent(relations, sequences, available_class, available_object)?);
    TableIterator::new(report::unwrap(omissions()).into_iter().map(|omission| {
        (
            omission.kind.to_string().into(),
            omission.object.into(),
            omission.relation.map(pg_sys::Oid::from),
            omission.reason.to_string().into(),
        )
    }))
}

fn extent(relations: Oids, sequences: Oids, available_class: Oids, available_object: Oids) -> Result<Extent> {
    let classes = oids("available_class", available_class)?;
    let objects = oids("available_object", available_object)?;
    if classes.len() != objects.len() {
        return Err(Error::new(
            sqlstate::INVALID_PARAMETER_VALUE,
            "available_class and available_object must have the same number of elements",
        ));
    }
    let available = classes.into_iter().zip(objects);
    Ok(Extent::by_hand(
        &oids("relations", relations)?,
        &oids("sequences", sequences)?,
        available.filter_map(|(class, object)| Some((Class::of(class)?, object))).collect(),
    ))
}

fn oids(name: &'static str, array: Oids) -> Result<Vec<u32>> {
    Ok(given(name, array)?.into_iter().flatten().map(u32::from).collect())
}
