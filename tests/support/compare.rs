//! Both databases row by row.
//!
//! Each side sends its rows of a table as text, sorted, and both streams are merged: memory
//! stays flat whatever the table's size, and a difference is shown as the very row, with
//! the side that has it. The text travels in hex, so that order and line ends cannot
//! depend on what is in the values.

use std::fmt;
use std::io::{BufRead, BufReader};

use crate::cluster::Cluster;

/// Rows of one table that only one side has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    pub table: String,
    pub only_source: Vec<String>,
    pub only_destination: Vec<String>,
    /// How many there are; the lists above stop at `SHOWN`.
    pub count: u64,
}

/// Rows shown of each side; a table that was not copied at all has them all.
const SHOWN: usize = 10;

/// A place for rows: the cluster and the database in it.
pub type Side<'a> = (&'a Cluster, &'a str);

/// Differences of the tables (names as SQL writes them), empty when all are identical.
pub fn compare(source: Side, destination: Side, tables: &[&str]) -> Vec<Difference> {
    let both = tables.iter().map(|table| compare_table(source, destination, table, table));
    both.filter(|difference| difference.count > 0).collect()
}

/// Fails the test with the differing rows.
#[track_caller]
pub fn assert_same(source: Side, destination: Side, tables: &[&str]) {
    let differences = compare(source, destination, tables);
    if !differences.is_empty() {
        let rows: Vec<String> = differences.iter().map(Difference::to_string).collect();
        panic!(
            "source and destination differ\n{}\n{}\n{}",
            rows.join("\n"),
            source.0.describe(source.1),
            destination.0.log_tail(30)
        );
    }
}

/// Compares what two queries' FROM items hold (a table, or a query in parentheses).
pub fn compare_table(source: Side, destination: Side, from: &str, to: &str) -> Difference {
    let mut difference =
        Difference { table: from.to_owned(), only_source: Vec::new(), only_destination: Vec::new(), count: 0 };
    let mut source_client = source.0.connect(source.1);
    let mut destination_client = destination.0.connect(destination.1);
    let mut left = Rows::open(&mut source_client, from);
    let mut right = Rows::open(&mut destination_client, to);
    let (mut a, mut b) = (left.next(), right.next());
    loop {
        match (&a, &b) {
            (None, None) => return difference,
            (Some(x), Some(y)) if x == y => (a, b) = (left.next(), right.next()),
            (Some(x), y) if y.as_ref().is_none_or(|y| x < y) => {
                note(&mut difference.only_source, x);
                difference.count += 1;
                a = left.next();
            }
            (_, Some(y)) => {
                note(&mut difference.only_destination, y);
                difference.count += 1;
                b = right.next();
            }
            (Some(_), None) => unreachable!("covered by the guard above"),
        }
    }
}

fn note(list: &mut Vec<String>, hex: &str) {
    if list.len() < SHOWN {
        list.push(readable(hex));
    }
}

/// Settings that decide how values look, the same on both sides.
const SESSION: &str = "SET timezone = 'UTC'; SET datestyle = 'ISO, YMD'; SET intervalstyle = 'postgres';
    SET extra_float_digits = 3; SET bytea_output = 'hex'; SET lc_monetary = 'C'; SET xmlbinary = 'base64';
    SET row_security = off; SET search_path = pg_catalog; SET work_mem = '64MB'";

struct Rows<'a> {
    reader: BufReader<postgres::CopyOutReader<'a>>,
}

impl<'a> Rows<'a> {
    fn open(client: &'a mut postgres::Client, from: &str) -> Rows<'a> {
        client.batch_execute(SESSION).expect("settings that every server knows");
        let query = format!(
            "COPY (SELECT line FROM (SELECT encode(convert_to(r::text, 'UTF8'), 'hex') AS line \
             FROM {from} AS r) AS lines ORDER BY line COLLATE \"C\") TO STDOUT"
        );
        let reader = client.copy_out(&query).unwrap_or_else(|e| {
            panic!("cannot read {from} for comparing: {}", crate::Answer::from(&e));
        });
        Rows { reader: BufReader::new(reader) }
    }

    fn next(&mut self) -> Option<String> {
        let mut line = String::new();
        let read = self.reader.read_line(&mut line).expect("the server sends all rows");
        (read > 0).then(|| line.trim_end().to_owned())
    }
}

fn readable(hex: &str) -> String {
    let digits = hex.as_bytes().chunks_exact(2);
    let bytes: Vec<u8> =
        digits.filter_map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    let text = String::from_utf8_lossy(&bytes);
    match text.char_indices().nth(400) {
        Some((end, _)) => format!("{} ... ({} bytes)", &text[..end], text.len()),
        None => text.into_owned(),
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "table {}: {} rows differ", self.table, self.count)?;
        for row in &self.only_source {
            writeln!(f, "  only on the source:      {row}")?;
        }
        for row in &self.only_destination {
            writeln!(f, "  only on the destination: {row}")?;
        }
        Ok(())
    }
}
