//! What a database has besides the objects that a task creates, and whose those are: `courier.complete_destination()` makes it there.

use std::collections::BTreeSet;

use serde_json::Value;

use super::facts::{address_arrays, ask, at_one_moment};
use super::{Extent, grantees};
use crate::error::{Error, Result};
use crate::logicalrep::Row;
use crate::logicalrep::array::{oid_array, text_array};
use crate::pg::{compat, spi};

/// Something that is to be so on the destination.
#[derive(Clone, Debug)]
pub struct Besides {
    pub kind: String,
    pub object: String,
    /// What makes it so; none where that depends on the destination.
    pub statement: Option<String>,
    /// Roles that it takes.
    pub roles: Vec<String>,
    /// What it is, for questions there.
    pub key: Value,
}

/// A role that is to be made.
#[derive(Clone, Debug)]
pub struct RoleSql {
    pub role: String,
    pub statement: String,
    /// Attributes that it has on the source and gets from superusers only.
    pub left_out: Option<String>,
    pub has_login: bool,
}

const PUBLICATIONS: &str = concat!(
    include_str!("../../../sql/query/rest/published.sql"),
    include_str!("../../../sql/query/rest/publications.sql")
);
const PUBLICATIONS_14: &str = concat!(
    include_str!("../../../sql/query/rest/published_14.sql"),
    include_str!("../../../sql/query/rest/publications.sql")
);

pub fn rest(extent: &Extent) -> Result<Vec<Besides>> {
    let image = extent.taken_as_known()?.image;
    let roots: Vec<_> = image.roots().collect();
    let [classes, oids] = address_arrays(&roots);
    let schemas = oid_array(image.schemas.iter().map(|of| of.oid));
    at_one_moment(|| {
        let owners = ask(include_str!("../../../sql/query/rest/owners.sql"), &[&classes, &oids])?;
        let others = ask(include_str!("../../../sql/query/rest/of_database.sql"), &[&schemas])?;
        let publications = match compat::MAJOR >= 15 {
            true => ask(PUBLICATIONS, &[])?,
            false => ask(PUBLICATIONS_14, &[])?,
        };
        owners.iter().chain(&others).chain(&publications).map(wanted).collect()
    })
}

/// Roles that the objects of the extent take: those to whom something is granted, and those that policies name.
pub fn roles_of(extent: &Extent) -> Result<BTreeSet<String>> {
    let policies = extent.taken_as_known()?.image;
    let policies = policies.tables.iter().flat_map(|table| &table.policies);
    let of_policies: Vec<String> = policies.flat_map(|policy| policy.roles.iter().cloned()).collect();
    Ok(grantees(extent)?.into_keys().chain(of_policies).collect())
}

/// Which of these roles are members of which.
pub fn memberships(names: &BTreeSet<String>) -> Result<Vec<Besides>> {
    let sql = include_str!("../../../sql/query/rest/memberships.sql");
    let rows = spi::as_extension(|| spi::query(sql, &[Some(&text_array(names))]))?;
    rows.iter().map(wanted).collect()
}

/// The statements that make roles.
pub fn roles_sql(missing: &BTreeSet<String>) -> Result<Vec<RoleSql>> {
    let sql = include_str!("../../../sql/query/rest/roles.sql");
    let rows = spi::as_extension(|| spi::query(sql, &[Some(&text_array(missing))]))?;
    let role = |row: &Row| {
        Ok(RoleSql {
            role: row.string("role")?,
            statement: row.string("statement")?,
            left_out: row.opt_string("left_out"),
            has_login: row.bool("has_login")?,
        })
    };
    rows.iter().map(role).collect()
}

fn wanted(row: &Row) -> Result<Besides> {
    let unreadable = |error: serde_json::Error| Error::internal(error.to_string());
    Ok(Besides {
        kind: row.string("kind")?,
        object: row.string("object")?,
        statement: row.opt_string("statement"),
        roles: serde_json::from_str(row.text("roles")?).map_err(unreadable)?,
        key: serde_json::from_str(row.text("key")?).map_err(unreadable)?,
    })
}
