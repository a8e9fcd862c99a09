//! The types that tell a function, an aggregate, an operator or a cast from others of its name. A type gets another name without a word
//! about what is signed with it, and in a transaction beside the one that speaks of that. So types are known by their numbers here, as all
//! objects are, and what they are called is a matter of the moment:
//!
//! ```text
//!   source        DROP OPERATOR |> (a, int)      before COMMIT      ALTER TABLE a RENAME TO b; COMMIT        COMMIT
//!   destination                                                     ALTER TABLE a RENAME TO b                DROP OPERATOR |> (b, int)
//! ```

use serde::{Deserialize, Serialize};

use super::{Class, Name};

/// One of these types.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operand {
    /// As the server writes it.
    pub shown: String,
    /// What a user has made: the relation of a row type, else the type, and of an array its element.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<(Class, u32)>,
}

/// Texts of types, and what is written in their place.
pub type Respelled = Vec<(String, String)>;

const ARRAY: &str = "[]";

impl Operand {
    /// Where an operator has nothing on its left.
    pub const NONE: &str = "NONE";

    fn respell(&mut self, name: &Name) -> Option<(String, String)> {
        let old = self.shown.trim_end_matches(ARRAY);
        let (now, brackets) = (name.shown(), &self.shown[old.len()..]);
        let changed = (old != now).then(|| (old.to_owned(), now.clone()))?;
        self.shown = format!("{now}{brackets}");
        Some(changed)
    }
}

/// Gives the types their names, as far as they are known.
pub fn respell(operands: &mut [Operand], names: &impl Fn(&(Class, u32)) -> Option<Name>) -> Respelled {
    let named = operands.iter_mut().filter_map(|operand| names(&operand.of?).map(|name| (operand, name)));
    let mut respelled: Respelled = named.filter_map(|(operand, name)| operand.respell(&name)).collect();
    respelled.dedup();
    respelled
}

/// The same as the server calls them where it names the object, if they are as many; whether they are.
pub fn hear(operands: &mut [Operand], identity: &[String]) -> bool {
    let are_they = !operands.is_empty() && operands.len() == identity.len();
    if are_they {
        operands.iter_mut().zip(identity).for_each(|(operand, shown)| operand.shown.clone_from(shown));
    }
    are_they
}

pub fn listed(operands: &[Operand]) -> String {
    operands.iter().map(|operand| operand.shown.as_str()).collect::<Vec<_>>().join(", ")
}

/// A text of the server in which the types have other names.
pub fn rewritten(text: &str, respelled: &Respelled) -> String {
    let is_of_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '"' | '.');
    let mut written = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let begins = !written.ends_with(is_of_name);
        let found = respelled.iter().find(|(old, _)| {
            begins && rest.strip_prefix(old.as_str()).is_some_and(|behind| !behind.starts_with(is_of_name))
        });
        let (piece, length) = found.map_or((&rest[..next.len_utf8()], next.len_utf8()), |(old, now)| (now, old.len()));
        written.push_str(piece);
        rest = &rest[length..];
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_found_in_texts_and_nothing_else_is() {
        let respelled = vec![("s.a".to_owned(), "s.b".to_owned()), ("s.b".to_owned(), "s.a".to_owned())];
        for (before, after) in [
            ("(s.a, s.b[], s.ab)", "(s.b, s.a[], s.ab)"),
            ("(s.a.x, r.s.a, \"s.a\")", "(s.a.x, r.s.a, \"s.a\")"),
            ("a s.a", "a s.b"),
        ] {
            assert_eq!(rewritten(before, &respelled), after);
        }
    }

    #[test]
    fn a_type_that_is_not_known_keeps_its_name() {
        let of = |oid| Some((Class::Type, oid));
        let operand = |shown: &str, of| Operand { shown: shown.to_owned(), of };
        let mut operands = vec![operand("s.a[]", of(1)), operand("integer", None), operand("s.x", of(2))];
        let respelled = respell(&mut operands, &|object| (object.1 == 1).then(|| Name::new("t", "B")));
        assert_eq!(listed(&operands), "t.\"B\"[], integer, s.x");
        assert_eq!(respelled, [("s.a".to_owned(), "t.\"B\"".to_owned())]);
    }
}
