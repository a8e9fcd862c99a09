//! Large objects of the destination's database.

use super::Destination;
use crate::error::Result;
use crate::logicalrep::Row;

impl Destination {
    pub fn large_objects_behind(&mut self, last: u32, at_most: &str) -> Result<Vec<u32>> {
        let sql = include_str!("../../sql/query/large_objects/list.sql");
        let rows = self.connection.query(sql, &[Some(&last.to_string()), Some(at_most)])?;
        rows.iter().map(|row: &Row| row.parse("loid")).collect()
    }

    /// `question`: the same as on the source.
    pub fn large_objects(&mut self, question: &'static str, oids: &str) -> Result<Vec<Row>> {
        self.connection.query_kept(question, &[Some(oids)])
    }

    pub fn create_large_object(&mut self, oid: &str) -> Result<()> {
        self.connection.query_kept("SELECT pg_catalog.lo_create($1::oid)", &[Some(oid)]).map(drop)
    }

    /// `piece`: hexadecimal.
    pub fn write_large_object(&mut self, oid: &str, offset: i64, piece: &str) -> Result<()> {
        let sql = "SELECT pg_catalog.lo_put($1::oid, $2::int8, pg_catalog.decode($3, 'hex'))";
        self.connection.query_kept(sql, &[Some(oid), Some(&offset.to_string()), Some(piece)]).map(drop)
    }

    /// Lets go what is behind its end.
    pub fn truncate_large_object(&mut self, oid: &str, bytes: i64) -> Result<()> {
        let sql = "SELECT pg_catalog.lo_truncate64(pg_catalog.lo_open($1::oid, 393216), $2::int8)";
        self.connection.query_kept(sql, &[Some(oid), Some(&bytes.to_string())]).map(drop)
    }
}
