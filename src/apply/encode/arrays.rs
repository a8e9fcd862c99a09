//! Rows into array parameters, in the server's binary array format:
//! number of dimensions, null flag, element type, then for the dimension its length and lower bound, then the fields.

use crate::logicalrep::Relation;
use crate::logicalrep::relation::{Fields, NULL_FIELD};

const HEADER: usize = 20;
const NULLS: std::ops::Range<usize> = 4..8;
const LENGTH: std::ops::Range<usize> = 12..16;

/// A growing array parameter.
pub struct Array {
    bytes: Vec<u8>,
    length: i32,
    nulls: bool,
}

impl Array {
    fn new(element: u32, buffer: Vec<u8>) -> Array {
        let mut bytes = buffer;
        bytes.clear();
        bytes.extend_from_slice(&1i32.to_be_bytes());
        bytes.extend_from_slice(&0i32.to_be_bytes());
        bytes.extend_from_slice(&element.to_be_bytes());
        bytes.extend_from_slice(&0i32.to_be_bytes());
        bytes.extend_from_slice(&1i32.to_be_bytes());
        Array { bytes, length: 0, nulls: false }
    }

    #[inline]
    fn push(&mut self, field: &[u8]) {
        self.nulls |= field.starts_with(&NULL_FIELD.to_be_bytes());
        self.bytes.extend_from_slice(field);
        self.length += 1;
    }

    fn finish(mut self) -> Vec<u8> {
        debug_assert!(self.bytes.len() >= HEADER);
        self.bytes[LENGTH].copy_from_slice(&self.length.to_be_bytes());
        self.bytes[NULLS].copy_from_slice(&i32::from(self.nulls).to_be_bytes());
        self.bytes
    }
}

/// Builds the parameters of one statement; its buffers are used again for the next.
#[derive(Default)]
pub struct Params {
    done: Vec<Vec<u8>>,
    open: Vec<Array>,
    spare: Vec<Vec<u8>>,
}

impl Params {
    /// Starts a statement whose parameters are these columns of the relation.
    pub fn start(&mut self, relation: &Relation, columns: impl Iterator<Item = usize>) {
        self.spare.append(&mut self.done);
        self.open.clear();
        for column in columns {
            let element = relation.columns[column].format.element_type();
            self.open.push(Array::new(element, self.spare.pop().unwrap_or_default()));
        }
    }

    /// Adds a row: the fields of `encoded` go to the arrays from `first` on, skipping the columns in `skip`.
    pub fn push(&mut self, first: usize, encoded: &[u8], skip: &[usize]) {
        let mut arrays = self.open.iter_mut().skip(first);
        for (column, field) in Fields(encoded).enumerate() {
            if skip.contains(&column) {
                continue;
            }
            match arrays.next() {
                Some(array) => array.push(field),
                None => break,
            }
        }
    }

    /// Adds a parameter that is no column: an array of counts.
    pub fn add_counts(&mut self, counts: impl Iterator<Item = i64>) {
        const INT8: u32 = 20;
        let mut array = Array::new(INT8, self.spare.pop().unwrap_or_default());
        for count in counts {
            let mut field = [0u8; 12];
            field[..4].copy_from_slice(&8i32.to_be_bytes());
            field[4..].copy_from_slice(&count.to_be_bytes());
            array.push(&field);
        }
        self.open.push(array);
    }

    /// Ends the arrays; `total` is the last parameter of statements that count.
    pub fn finish(&mut self, total: Option<i64>) -> &[Vec<u8>] {
        self.done.extend(self.open.drain(..).map(Array::finish));
        if let Some(total) = total {
            let mut buffer = self.spare.pop().unwrap_or_default();
            buffer.clear();
            buffer.extend_from_slice(&total.to_be_bytes());
            self.done.push(buffer);
        }
        self.shed();
        &self.done
    }

    /// Does not keep the room that one huge value needed.
    fn shed(&mut self) {
        const KEEP: usize = 4 << 20;
        self.spare.retain(|b| b.capacity() <= KEEP);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_has_header_and_fields() {
        let relation = crate::destination::fixture::relation();
        let mut params = Params::default();
        params.start(&relation, 0..2);
        let one = [&8i32.to_be_bytes()[..], &7i64.to_be_bytes(), &NULL_FIELD.to_be_bytes()].concat();
        params.push(0, &one, &[]);
        let done = params.finish(Some(1));
        assert_eq!(done.len(), 3);
        assert_eq!(&done[0][..HEADER], [0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 1, 0, 0, 0, 1]);
        assert_eq!(&done[0][HEADER + 4..], 7i64.to_be_bytes());
        assert_eq!(&done[1][NULLS], [0, 0, 0, 1]);
        assert_eq!(done[2], 1i64.to_be_bytes());
    }

    #[test]
    fn skipped_columns_leave_no_gap() {
        let relation = crate::destination::fixture::relation();
        let mut params = Params::default();
        params.start(&relation, std::iter::once(1));
        let row = [&8i32.to_be_bytes()[..], &7i64.to_be_bytes(), &1i32.to_be_bytes(), b"x"].concat();
        params.push(0, &row, &[0]);
        let done = params.finish(None);
        assert_eq!(&done[0][HEADER..], [0, 0, 0, 1, b'x']);
    }
}
