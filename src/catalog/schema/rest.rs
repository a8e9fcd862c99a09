//! What a database has besides the objects that a task creates, and whose those are: `courier.complete_destination()` makes it there.

use std::collections::BTreeSet;

use serde_json::Value;

use super::facts::{ask, at_one_moment};
use super::{Extent, grantees};
use crate::catalog::Scope;
use crate::error::{Error, Result};
use crate::libpq;
use crate::logicalrep::Row;
use crate::logicalrep::array::{oid_array, text_array};
use crate::logicalrep::names::quote_literal;
use crate::pg::{compat, spi, xact};

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
    /// Statements for what may be a secret, and is not carried.
    pub by_hand: Option<String>,
}

/// What leads out of the database.
#[derive(Debug, Default)]
pub struct Outside {
    /// Foreign-data wrappers, servers, user mappings, foreign tables, subscriptions.
    pub things: Vec<Besides>,
    /// By catalog and oid: those that somebody owns.
    addresses: Vec<(u32, u32)>,
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

/// As the caller may see it: what a mapping has in it is for few, and where a subscription connects for superusers.
pub fn outside(scope: &Scope) -> Result<Outside> {
    const SUBSCRIPTION: u32 = 6100;
    let caller = xact::user_id();
    let is_superuser = xact::is_superuser(caller);
    let is_named = scope.named()?;
    let mappings = spi::as_role(caller, || spi::query(include_str!("../../../sql/query/rest/user_mappings.sql"), &[]))?;
    let (things, subscriptions) = at_one_moment(|| {
        let things = ask(include_str!("../../../sql/query/rest/foreign.sql"), &[])?;
        let of = include_str!("../../../sql/query/rest/subscriptions.sql");
        Ok((things, ask(of, &[&is_superuser.to_string()])?))
    })?;
    let mut outside = Outside::default();
    let (mut servers, mut tables) = (Vec::new(), Vec::new());
    for row in &things {
        match row.opt("nspname").zip(row.opt("relname")) {
            Some((schema, name)) if !is_named(schema, name) => continue,
            Some(_) => tables.push(wanted(row)?),
            None => servers.push(wanted(row)?),
        }
        outside.addresses.push((row.parse("classid")?, row.parse("oid")?));
    }
    let mappings = mappings.iter().map(wanted).collect::<Result<Vec<_>>>()?;
    outside.things = servers.into_iter().chain(mappings).chain(tables).collect();
    for row in &subscriptions {
        outside.addresses.push((SUBSCRIPTION, row.parse("oid")?));
        outside.things.push(subscription(row)?);
    }
    Ok(outside)
}

/// It fetches nothing before somebody says so.
fn subscription(row: &Row) -> Result<Besides> {
    let (object, connection) = (row.string("object")?, row.opt("connection").and_then(libpq::without_secrets));
    let (connection, withheld) = connection.unwrap_or_else(|| (String::new(), vec!["connection".to_owned()]));
    let by_hand = (!withheld.is_empty()).then(|| {
        let others: String = withheld.iter().map(|name| format!(" {name}=...")).collect();
        format!("ALTER SUBSCRIPTION {object} CONNECTION {};", quote_literal(&format!("{connection}{others}")))
    });
    let statement = format!(
        "CREATE SUBSCRIPTION {object} CONNECTION {} PUBLICATION {};",
        quote_literal(&connection),
        row.text("rest")?
    );
    let (kind, roles, key) = ("subscription".to_owned(), Vec::new(), Value::Null);
    Ok(Besides { kind, object, statement: Some(statement), roles, key, by_hand })
}

pub fn rest(extent: &Extent, outside: &Outside) -> Result<Vec<Besides>> {
    let image = extent.taken_as_known()?.image;
    let roots = image.roots().map(|(class, oid)| (class.oid(), oid));
    let (classes, oids): (Vec<u32>, Vec<u32>) = roots.chain(outside.addresses.iter().copied()).unzip();
    let (classes, oids) = (oid_array(classes), oid_array(oids));
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
        by_hand: row.opt_string("by_hand"),
    })
}
