//! What two tables have in common, asked on both sides in the same words.

use super::Destination;
use crate::error::Result;
use crate::logicalrep::Row;
use crate::logicalrep::names::quote_ident;

/// A question that the source answers as the destination does.
pub struct Question(String);

impl Question {
    pub fn text(&self) -> &str {
        &self.0
    }
}

/// A table's rows on one side: the columns by which they are compared, and how.
pub struct Fingerprint<'a> {
    /// What stands in FROM.
    pub from: &'a str,
    pub columns: &'a [String],
    /// What identifies a row.
    pub key: &'a [String],
    /// Hash the UTF-8 form: the databases have different encodings.
    pub utf8: bool,
}

impl Fingerprint<'_> {
    /// The number of rows, and one hash of all of them.
    pub fn of_table(&self) -> Question {
        let (from, number) = (self.from, self.row_number());
        Question(format!(
            "SELECT pg_catalog.count(*), pg_catalog.md5(COALESCE(pg_catalog.sum({number}), 0)::pg_catalog.text) FROM {from} AS t"
        ))
    }

    /// The same for each bucket of keys: its number, and a sum that stands for its rows.
    pub fn of_buckets(&self) -> Question {
        let (from, bucket, number) = (self.from, self.bucket(), self.row_number());
        Question(format!("SELECT {bucket}, pg_catalog.sum({number}) FROM {from} AS t GROUP BY 1"))
    }

    /// The rows of a bucket: key and hash of each.
    pub fn of_rows(&self, bucket: u16) -> Question {
        let (key, hash) = (row_text(self.key), self.hash(&row_text(self.columns)));
        let (from, is_in) = (self.from, self.bucket());
        Question(format!("SELECT {key}, {hash} FROM {from} AS t WHERE {is_in} = {bucket}"))
    }

    /// 60 bits of the hash of a row's text, as a number that can be added up.
    fn row_number(&self) -> String {
        number(&self.hash(&row_text(self.columns)), 15)
    }

    fn bucket(&self) -> String {
        number(&self.hash(&row_text(self.key)), 3)
    }

    fn hash(&self, text: &str) -> String {
        if self.utf8 {
            format!("pg_catalog.md5(pg_catalog.convert_to({text}, 'UTF8'))")
        } else {
            format!("pg_catalog.md5({text})")
        }
    }
}

fn row_text(columns: &[String]) -> String {
    let columns: Vec<String> = columns.iter().map(|c| format!("t.{}", quote_ident(c))).collect();
    format!("ROW({})::pg_catalog.text", columns.join(", "))
}

/// The first `digits` hex digits of a hash, as a number.
fn number(hash: &str, digits: usize) -> String {
    let bits = digits * 4;
    format!("('x' || pg_catalog.substr({hash}, 1, {digits}))::pg_catalog.bit({bits})::pg_catalog.int8")
}

impl Destination {
    pub fn answer(&mut self, question: &Question) -> Result<Vec<Row>> {
        self.connection.exec(question.text())
    }
}
