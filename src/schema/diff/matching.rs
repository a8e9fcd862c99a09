//! Which part of a table is which. The server makes new ones without a word when a column gets another type or an index is built anew: a
//! part under another oid is the same when its name and its definition are, or at least its definition.

use std::collections::{HashMap, HashSet};

/// What is in one of two lists or in both, by identity: those of the later one in its order, then what is left of the former.
pub fn pairs<'a, T, K: std::hash::Hash + Eq>(
    before: &'a [T],
    after: &'a [T],
    key: impl Fn(&T) -> K,
) -> Vec<(Option<&'a T>, Option<&'a T>)> {
    let mut old: HashMap<K, &T> = before.iter().map(|item| (key(item), item)).collect();
    let mut pairs: Vec<(Option<&T>, Option<&T>)> =
        after.iter().map(|item| (old.remove(&key(item)), Some(item))).collect();
    pairs.extend(before.iter().filter(|item| old.contains_key(&key(item))).map(|item| (Some(item), None)));
    pairs
}

type Test<'f, T> = &'f dyn Fn(&T, &T) -> bool;

/// What the parts of one list know of each other.
pub struct Likeness<'f, T> {
    pub oid: fn(&T) -> u32,
    pub name: fn(&T) -> &str,
    /// But for the oid, both of one name.
    pub is_same: Test<'f, T>,
    /// But for oid and name.
    pub is_like: Test<'f, T>,
}

/// The same for parts of tables: by oid, then by name, then by what they are.
pub fn parts<'a, T>(before: &'a [T], after: &'a [T], likeness: &Likeness<T>) -> Vec<(Option<&'a T>, Option<&'a T>)> {
    let Likeness { oid, name, .. } = likeness;
    let mut pairs = pairs(before, after, oid);
    let mut taken: HashSet<u32> = HashSet::new();
    let gone: Vec<&T> = pairs.iter().filter(|(_, after)| after.is_none()).filter_map(|(before, _)| *before).collect();
    if gone.is_empty() {
        return pairs;
    }
    let same_name = |old: &T, new: &T| name(old) == name(new) && (likeness.is_same)(old, new);
    let rounds: [Test<T>; 2] = [&same_name, likeness.is_like];
    for is_it in rounds {
        for (before, after) in &mut pairs {
            let (None, Some(new)) = (&before, after) else { continue };
            let found = gone.iter().find(|old| !taken.contains(&oid(old)) && is_it(old, new));
            if let Some(old) = found {
                taken.insert(oid(old));
                *before = Some(old);
            }
        }
    }
    pairs.retain(|(before, after)| after.is_some() || before.is_some_and(|old| !taken.contains(&oid(old))));
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    type Part = (u32, &'static str, &'static str);

    /// Parts as oid, name, definition; the outcome as pairs of oids, 0 for none.
    #[track_caller]
    fn assert_pairs(before: &[Part], after: &[Part], expected: &[(u32, u32)]) {
        let likeness = Likeness::<Part> {
            oid: |part| part.0,
            name: |part| part.1,
            is_same: &|a, b| a.2 == b.2,
            is_like: &|a, b| a.2 == b.2,
        };
        let oid = |part: Option<&Part>| part.map_or(0, |part| part.0);
        let found: Vec<(u32, u32)> =
            parts(before, after, &likeness).into_iter().map(|(b, a)| (oid(b), oid(a))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn oid_then_name_then_definition() {
        assert_pairs(&[(1, "a", "x")], &[(1, "b", "y")], &[(1, 1)]);
        assert_pairs(&[(1, "a", "x")], &[(2, "a", "x")], &[(1, 2)]);
        assert_pairs(&[(1, "a", "x")], &[(2, "a", "y")], &[(0, 2), (1, 0)]);
        assert_pairs(&[(1, "a", "x")], &[(2, "b", "x")], &[(1, 2)]);
        // Two alike under new oids are not exchanged, and none is taken twice.
        assert_pairs(&[(1, "a", "x"), (2, "b", "x")], &[(4, "b", "x"), (3, "a", "x")], &[(2, 4), (1, 3)]);
        assert_pairs(&[(1, "a", "x")], &[(2, "b", "x"), (3, "c", "x")], &[(1, 2), (0, 3)]);
    }
}
