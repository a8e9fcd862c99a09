//! What the task does about commands on things of each kind.

use crate::error::Result;
use crate::schema::governed::{Governed, KindPolicy};
use crate::schema::image::Name;
use crate::select::kinds::ByPattern;

/// By kind and name.
#[derive(Clone, Debug, Default)]
pub struct KindPolicies(ByPattern<(Governed, KindPolicy)>);

impl KindPolicies {
    pub fn of(rows: impl IntoIterator<Item = (Governed, String, KindPolicy)>) -> Result<KindPolicies> {
        let rules = rows.into_iter().map(|(kind, pattern, policy)| (pattern, (kind, policy)));
        ByPattern::of(rules).map(KindPolicies)
    }

    pub fn policy(&self, kind: Governed, name: &Name) -> KindPolicy {
        let found = self.0.find(&name.schema, &name.name, |(of, _)| *of == kind);
        found.map_or(KindPolicy::Replicate, |(_, policy)| *policy)
    }
}
