//! What holds for any rows that become array parameters.

use std::rc::Rc;

use super::arrays::Params;
use crate::chance::Chance;
use crate::logicalrep::relation::{Fields, Identity, NULL_FIELD, Operator};
use crate::logicalrep::{Column, ColumnFormat, Relation, TableName};
use crate::transform::Route;

/// Each column's array, as the server reads it, holds that column of each row, in order; also when its room is used again.
pub fn array_parameters(chance: &mut Chance) {
    let relation = relation(chance);
    let mut params = Params::default();
    for _ in 0..2 {
        let skip: Vec<usize> = (0..relation.columns.len()).filter(|_| chance.below(3) == 0).collect();
        let taken: Vec<usize> = (0..relation.columns.len()).filter(|column| !skip.contains(column)).collect();
        let rows: Vec<Vec<u8>> = (0..chance.below(5)).map(|_| row(relation.columns.len(), chance)).collect();
        params.start(&relation, taken.iter().copied());
        rows.iter().for_each(|row| params.push(0, row, &skip));
        let counts: Vec<i64> = (0..chance.below(3)).map(|_| chance.integer()).collect();
        params.add_counts(counts.iter().copied());
        let total = chance.yes().then(|| chance.integer());
        let done = params.finish(total);
        assert_eq!(done.len(), taken.len() + 1 + usize::from(total.is_some()));
        for (array, column) in done.iter().zip(&taken) {
            let expected: Option<Vec<&[u8]>> = rows.iter().map(|row| Fields(row).nth(*column)).collect();
            assert_eq!(read(array, relation.columns[*column].format.element_type()), expected, "column {column}");
        }
        let written: Vec<Vec<u8>> =
            counts.iter().map(|count| [&8i32.to_be_bytes()[..], &count.to_be_bytes()].concat()).collect();
        assert_eq!(read(&done[taken.len()], 20), Some(written.iter().map(Vec::as_slice).collect()));
        assert!(total.is_none_or(|total| done.last().is_some_and(|last| *last == total.to_be_bytes())));
    }
}

/// `array_recv`: one dimension that begins with 1, of this type; it is said whether there are nulls.
fn read(array: &[u8], element: u32) -> Option<Vec<&[u8]>> {
    let words: Vec<u32> = array.get(..20)?.as_chunks().0.iter().map(|word| u32::from_be_bytes(*word)).collect();
    let fields: Vec<&[u8]> = Fields(array.get(20..)?).collect();
    let has_nulls = fields.iter().any(|field| field.starts_with(&NULL_FIELD.to_be_bytes()));
    let is_whole = fields.iter().map(|field| field.len()).sum::<usize>() == array.len() - 20;
    (is_whole && words == [1, u32::from(has_nulls), element, fields.len() as u32, 1]).then_some(fields)
}

fn row(columns: usize, chance: &mut Chance) -> Vec<u8> {
    let mut row = Vec::new();
    for _ in 0..columns {
        let value = (chance.below(4) > 0).then(|| chance.bytes(12));
        row.extend(value.as_ref().map_or(NULL_FIELD, |value| value.len() as i32).to_be_bytes());
        row.extend(value.iter().flatten());
    }
    row
}

fn relation(chance: &mut Chance) -> Relation {
    let mut format = || match chance.yes() {
        true => ColumnFormat::Binary { element: 23, array: 1007 },
        false => ColumnFormat::Text { type_name: "pg_catalog.\"numeric\"".to_owned() },
    };
    let formats = [format(), format(), format()];
    let column = |(number, format): (usize, ColumnFormat)| Column {
        name: format!("c{number}"),
        source: format!("c{number}"),
        format,
        equality: Operator::equals(),
        by_element: true,
        identity_always: false,
    };
    Relation {
        oid: 1,
        slot: 0,
        generation: 1,
        route: Rc::new(Route::identity(TableName::new("public", "t"))),
        columns: formats.into_iter().enumerate().map(column).collect(),
        identity: Identity::Nothing,
        key: Vec::new(),
        has_one_unique_index: false,
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn rows_of_chance_become_arrays() {
        crate::chance::many(2000, super::array_parameters);
    }
}
