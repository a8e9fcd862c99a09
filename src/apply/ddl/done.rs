//! What came of the statements of a command.

use crate::error::Error;
use crate::schema::{Item, Kind};

/// What was run, and what of it the destination did not take, that no row needs.
#[derive(Debug, Default)]
pub struct Done {
    pub said: Vec<String>,
    pub not_taken: Vec<NotTaken>,
}

impl Done {
    /// Is the step about something that was not taken: a comment on it, an index of it?
    pub fn has_not_taken(&self, step: &Item) -> bool {
        let texts = [step.object.as_str(), step.statement.as_str()];
        self.not_taken.iter().any(|of| texts.iter().any(|text| mentions(text, &of.object)))
    }
}

/// Has the text this name, and not one that begins or ends like it? A column of it counts.
fn mentions(text: &str, name: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '"');
    text.match_indices(name).any(|(at, _)| {
        let (before, after) = (text[..at].chars().next_back(), text[at + name.len()..].chars().next());
        !before.is_some_and(|c| is_letter(c) || c == '.') && !after.is_some_and(is_letter)
    })
}

#[derive(Debug)]
pub struct NotTaken {
    pub kind: Kind,
    pub object: String,
    pub error: Error,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_no_part_of_another() {
        for (text, name) in [
            ("COMMENT ON VIEW s.v IS 'x'", "s.v"),
            ("COMMENT ON COLUMN s.v.a IS 'x'", "s.v"),
            ("GRANT EXECUTE ON FUNCTION s.f(integer, text) TO r", "s.f(integer, text)"),
            ("CREATE UNIQUE INDEX i ON s.m USING btree (id)", "s.m"),
        ] {
            assert!(mentions(text, name), "{text}");
        }
        for (text, name) in
            [("COMMENT ON VIEW s.v2 IS 'x'", "s.v"), ("COMMENT ON TABLE xs.v IS ''", "s.v"), ("z.s.v", "s.v")]
        {
            assert!(!mentions(text, name), "{text}");
        }
    }
}
