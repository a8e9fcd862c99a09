//! Which of several rules about names is the one for a name.

use super::pattern::Pattern;
use crate::error::Result;

/// Rules by patterns: for a name the one that says most of it counts.
#[derive(Clone, Debug)]
pub struct ByPattern<T> {
    /// Those that say most come first.
    rules: Vec<(Pattern, T)>,
}

impl<T> Default for ByPattern<T> {
    fn default() -> ByPattern<T> {
        ByPattern { rules: Vec::new() }
    }
}

impl<T> ByPattern<T> {
    pub fn of(rules: impl IntoIterator<Item = (String, T)>) -> Result<ByPattern<T>> {
        let parse = |(pattern, rule): (String, T)| Ok((Pattern::parse(&pattern)?, rule));
        let mut rules: Vec<(Pattern, T)> = rules.into_iter().map(parse).collect::<Result<_>>()?;
        rules.sort_by_key(|(pattern, _)| std::cmp::Reverse(pattern.letters()));
        Ok(ByPattern { rules })
    }

    /// The first of those that match which `fits`.
    pub fn find(&self, schema: &str, name: &str, fits: impl Fn(&T) -> bool) -> Option<&T> {
        let mut matching = self.rules.iter().filter(|(pattern, rule)| fits(rule) && pattern.matches(schema, name));
        matching.next().map(|(_, rule)| rule)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pattern_that_says_most_counts() {
        let rules = [("*.*", 1), ("shop.*", 2), ("shop.orders", 3), ("shop.o*", 4)];
        let rules = ByPattern::of(rules.map(|(pattern, rule)| (pattern.to_owned(), rule))).unwrap();
        for (schema, name, expected) in
            [("shop", "orders", 3), ("shop", "others", 4), ("shop", "items", 2), ("public", "orders", 1)]
        {
            assert_eq!(rules.find(schema, name, |_| true), Some(&expected), "{schema}.{name}");
        }
        assert_eq!(rules.find("shop", "orders", |rule| *rule < 3), Some(&2));
        assert!(ByPattern::of([("a.b.c".to_owned(), 1)]).is_err());
    }
}
