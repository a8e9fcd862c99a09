//! Extensions: what the destination has of them, or could have.

use std::fmt;

use super::Destination;
use crate::error::{Error, Result};
use crate::logicalrep::Row;
use crate::logicalrep::names::shown;
use crate::schema::image::Extension;

/// What the destination says of one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionThere {
    /// Version and schema.
    pub installed: Option<(String, String)>,
    /// The version that the server would create by itself.
    pub available: Option<String>,
    pub has_same_version: bool,
    pub may_create: bool,
    /// Its library has to be loaded when the server starts, and is not: the setting that would do it.
    pub libraries: Option<String>,
}

/// Why an extension cannot be had there as it is on the source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Obstacle {
    InSchema(String),
    Unavailable,
    NotPermitted,
    NotLoaded { libraries: String },
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Obstacle::InSchema(schema) => write!(f, "it is in schema {} there", shown(schema)),
            Obstacle::Unavailable => f.write_str("the destination server does not have it"),
            Obstacle::NotPermitted => f.write_str("the user there may not create it: it is not a trusted extension"),
            Obstacle::NotLoaded { .. } => f.write_str("its library is not in shared_preload_libraries there"),
        }
    }
}

impl ExtensionThere {
    pub fn obstacle(&self, wanted: &Extension) -> Option<Obstacle> {
        match &self.installed {
            Some((_, schema)) if *schema != wanted.schema => Some(Obstacle::InSchema(schema.clone())),
            Some(_) => None,
            None if self.available.is_none() => Some(Obstacle::Unavailable),
            None if !self.may_create => Some(Obstacle::NotPermitted),
            None => self.libraries.clone().map(|libraries| Obstacle::NotLoaded { libraries }),
        }
    }
}

impl Destination {
    /// In the order of the list.
    pub fn extensions<'a>(
        &mut self,
        wanted: impl IntoIterator<Item = &'a Extension>,
    ) -> Result<Vec<(&'a Extension, ExtensionThere)>> {
        let wanted: Vec<&Extension> = wanted.into_iter().collect();
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let list: Vec<_> =
            wanted.iter().map(|of| serde_json::json!({ "name": of.name, "version": of.version })).collect();
        let list = serde_json::to_string(&list).map_err(|e| Error::internal(format!("invalid list of names: {e}")))?;
        let rows = self.connection.query(include_str!("../../sql/query/destination/extensions.sql"), &[Some(&list)])?;
        let there = |row: &Row| {
            let extension = wanted.get(row.parse::<usize>("number")?).copied();
            Ok(extension.zip(Some(ExtensionThere {
                installed: row.opt_string("installed").zip(row.opt_string("installed_in")),
                available: row.opt_string("available"),
                has_same_version: row.bool("same_available")?,
                may_create: row.bool("may_create")?,
                libraries: row.opt_string("libraries"),
            })))
        };
        rows.iter().map(there).filter_map(Result::transpose).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_thing_in_the_way_is_told() {
        let (name, schema, version) = ("cube".to_owned(), "s".to_owned(), "1.5".to_owned());
        let wanted = Extension { oid: 1, level: 0, name, schema, version };
        let in_schema = |schema: &str| ExtensionThere {
            installed: Some(("1.4".to_owned(), schema.to_owned())),
            ..ExtensionThere::default()
        };
        assert_eq!(in_schema("s").obstacle(&wanted), None);
        assert_eq!(in_schema("t").obstacle(&wanted), Some(Obstacle::InSchema("t".to_owned())));
        let mut there = ExtensionThere::default();
        assert_eq!(there.obstacle(&wanted), Some(Obstacle::Unavailable));
        there.available = Some("1.5".to_owned());
        assert_eq!(there.obstacle(&wanted), Some(Obstacle::NotPermitted));
        there.may_create = true;
        assert_eq!(there.obstacle(&wanted), None);
        there.libraries = Some("'cube'".to_owned());
        assert_eq!(there.obstacle(&wanted), Some(Obstacle::NotLoaded { libraries: "'cube'".to_owned() }));
    }
}
