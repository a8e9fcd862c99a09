//! What holds for any value that flows, whoever made it: unit tests look here with numbers of chance, fuzz targets with theirs.

use std::rc::Rc;

use super::quote::{quote_ident, quote_literal};
use super::relation::{Fields, Identity, NULL_FIELD, Relation};
use super::spool::{self, Spool};
use super::{Change, CopySnapshot, Lsn, TableName};
use crate::chance::Chance;
use crate::transform::Route;

/// Whatever bytes are walked to their end and no further; what was encoded comes back, field by field.
pub fn fields(chance: &mut Chance) {
    let bytes = chance.bytes(60);
    let walked: usize = Fields(&bytes).map(<[u8]>::len).sum();
    assert!(walked <= bytes.len(), "{bytes:?}");
    let values: Vec<Option<Vec<u8>>> =
        (0..chance.below(6)).map(|_| (chance.below(4) > 0).then(|| chance.bytes(20))).collect();
    let mut row = Vec::new();
    for value in &values {
        row.extend(value.as_ref().map_or(NULL_FIELD, |value| value.len() as i32).to_be_bytes());
        row.extend(value.iter().flatten());
    }
    let fields: Vec<&[u8]> = Fields(&row).collect();
    assert_eq!(fields.len(), values.len());
    for (field, value) in fields.iter().zip(&values) {
        assert_eq!(&field[4..], value.as_deref().unwrap_or_default());
        assert_eq!(field.starts_with(&NULL_FIELD.to_be_bytes()), value.is_none());
    }
}

/// Any changes come back as they went.
pub fn spooled_changes(chance: &mut Chance) {
    let Ok(mut spool) = Spool::create(&std::env::temp_dir()) else { return };
    let relations = relations();
    let mut expected = Vec::new();
    for lsn in 0..chance.below(60) as u64 {
        let at = chance.below(relations.len());
        let (old, row) = (chance.bytes(40), chance.bytes(90));
        // Sometimes larger than a block.
        let row = if chance.below(9) == 0 { row.repeat(10_000) } else { row };
        let change = match chance.below(3) {
            0 => Change::Insert { row: &row },
            1 => Change::Update { old: &old, row: &row },
            _ => Change::Delete { old: &old },
        };
        expected.push(format!("{at} {lsn} {change:?}"));
        assert!(spool.push(&relations[at], Lsn(lsn), change).is_ok());
        assert!(chance.below(10) > 0 || spool.rest().is_ok());
    }
    let mut seen = Vec::new();
    let played = spool.play(|relation, lsn, change| {
        seen.push(format!("{} {} {change:?}", relation.slot, lsn.0));
        Ok(())
    });
    assert!(played.is_ok() && seen == expected, "{} of {}", seen.len(), expected.len());
}

/// Whatever a file holds is played or an error, and no more memory is taken than the file has bytes.
pub fn spool_blocks(chance: &mut Chance) {
    let mut file = Vec::new();
    for _ in 0..chance.below(4) {
        let (old, row) = (chance.bytes(20), chance.bytes(20));
        let words = [chance.below(14) as u32, 0, 7, old.len() as u32, row.len() as u32];
        file.extend(words.iter().flat_map(|word| word.to_ne_bytes()));
        file.extend([old, row].concat());
    }
    let file = if chance.yes() { chance.damage(&file) } else { file };
    let told = [file.len() as u64, chance.below(200) as u64][chance.below(2)];
    let mut played = 0;
    let outcome = spool::play(&file[..], told, &relations(), |_, _, change| {
        let (Change::Insert { row: bytes } | Change::Update { row: bytes, .. } | Change::Delete { old: bytes }) =
            change;
        played += bytes.len();
        Ok(())
    });
    assert!(played <= file.len());
    if let Err(error) = outcome {
        assert!(["XX001", "58030"].contains(&error.sqlstate()), "{error}");
    }
}

fn relations() -> Vec<Rc<Relation>> {
    let relation = |slot: usize| {
        Rc::new(Relation {
            oid: 1,
            slot,
            generation: 1,
            route: Rc::new(Route::identity(TableName::new("public", "t"))),
            columns: Vec::new(),
            identity: Identity::Key,
            key: Vec::new(),
            has_one_unique_index: true,
        })
    };
    (0..3).map(relation).collect()
}

/// Any name, text and position is read as it was written; of whatever else is typed there is an answer.
pub fn names(chance: &mut Chance) {
    let letters = "aZ0._\"' \\*?ü🙂";
    let name = TableName::new(chance.text(letters, 8), chance.text(letters, 8));
    assert_eq!(TableName::parse(&name.qualified()), Some(name));
    let _ = TableName::parse(&chance.text(letters, 12));
    let text = chance.text(letters, 12);
    assert_eq!(read_quoted(&quote_ident(&text), '"').as_deref(), Some(&text[..]));
    let literal = quote_literal(&text);
    let read = match literal.strip_prefix('E') {
        Some(escaped) => read_quoted(escaped, '\'').map(|text| text.replace("\\\\", "\\")),
        None => read_quoted(&literal, '\'').filter(|text| !text.contains('\\')),
    };
    assert_eq!(read.as_deref(), Some(&text[..]), "{literal}");
    let lsn = Lsn(chance.integer() as u64);
    assert_eq!(lsn.to_string().parse(), Ok(lsn));
    let _ = chance.text("0123456789abcdefABCDEF/+- ", 20).parse::<Lsn>();
}

/// Between two quotes, with each quote inside doubled.
fn read_quoted(text: &str, quote: char) -> Option<String> {
    let inside = text.strip_prefix(quote)?.strip_suffix(quote)?;
    let single = quote.to_string();
    let is_doubled = inside.split(&single.repeat(2)).all(|part| !part.contains(quote));
    is_doubled.then(|| inside.replace(&single.repeat(2), &single))
}

/// Any snapshot shows what was not running when it was taken; of whatever else is read there is an answer.
pub fn snapshots(chance: &mut Chance) {
    let sync = Lsn(1000);
    let (xmin, length) = (3 + chance.below(50) as u64, chance.below(20) as u64);
    let running: Vec<u64> = (xmin..xmin + length).filter(|_| chance.yes()).collect();
    let list: Vec<String> = running.iter().map(u64::to_string).collect();
    let text = format!("{xmin}:{}:{}", xmin + length, list.join(","));
    match CopySnapshot::parse(&text, sync) {
        Err(error) => assert!(text.is_empty(), "{error}"),
        Ok(snapshot) => {
            for xid in 0..90u64 {
                let shown = xid < xmin + length && !running.contains(&xid);
                assert_eq!(snapshot.contains(xid as u32, Lsn(1)), shown, "{text} {xid}");
            }
        }
    }
    if let Ok(snapshot) = CopySnapshot::parse(&chance.text("0123456789:,-", 40), sync) {
        let _ = snapshot.contains(chance.integer() as u32, Lsn(1));
    }
}

#[cfg(test)]
mod tests {
    use crate::chance::many;

    #[test]
    fn values_of_chance_come_back() {
        many(5000, super::fields);
        many(5000, super::names);
        many(2000, super::snapshots);
    }

    #[test]
    fn spools_of_chance_are_played() {
        many(10, super::spooled_changes);
        many(300, super::spool_blocks);
    }
}
