//! What other roles than the owners may do with the objects of an image.

use std::collections::HashMap;

use super::facts::{ask, class, strings};
use crate::error::{Error, Result};
use crate::logicalrep::array::oid_array;
use crate::schema::image::{Address, Grant, Image, PlainKind, Privileges, View};

pub fn load(image: &Image) -> Result<HashMap<Address, Privileges>> {
    let tables = image.tables.iter().map(|t| t.oid).chain(image.views.iter().map(View::oid));
    let relations = tables.chain(image.sequences.iter().map(|s| s.oid));
    let types = image.types.iter().map(|t| t.oid);
    let schemas = image.schemas.iter().map(|s| s.oid);
    let aggregates = image.plain.iter().filter(|of| of.kind == PlainKind::Aggregate).map(|of| of.oid);
    let routines = image.routines.iter().map(|r| r.oid).chain(aggregates);
    let parameters = [oid_array(relations), oid_array(types), oid_array(schemas), oid_array(routines)];
    let rows =
        ask(include_str!("../../../sql/query/schema/privileges.sql"), &parameters.each_ref().map(String::as_str))?;
    let mut found: HashMap<Address, Privileges> = HashMap::new();
    for row in &rows {
        let class = class(row, "classid")?.ok_or_else(|| Error::internal("privileges of an unknown catalog"))?;
        let privileges = found.entry((class, row.parse("objid")?, row.parse("objsubid")?)).or_default();
        if row.bool("public_revoked")? {
            privileges.public_revoked = true;
            continue;
        }
        privileges.grants.push(Grant {
            place: row.parse("place")?,
            grantee: row.opt_string("grantee"),
            privileges: strings(row, "privileges")?,
            with_option: row.bool("is_grantable")?,
        });
    }
    Ok(found)
}
