//! What a command leaves as it is on the destination: by the task's policies, or because its new text is nobody's whom the task trusts. Pure.

use crate::schema::captured::{Captured, code_of};
use crate::schema::governed::{Governed, KindPolicy, Policies};
use crate::schema::image::View;
use crate::schema::model::{Kept, Known, Standing};
use crate::schema::scope::Object;

/// The policy for a view or a routine, where that is to leave it alone.
pub(super) fn left_by_policy(policies: Policies, kept: &Kept) -> Option<KindPolicy> {
    let kind = kind_of(kept)?;
    let policy = policies(kind, &kept.qualified());
    matches!(policy, KindPolicy::Hold | KindPolicy::Ignore).then_some(policy)
}

pub(super) fn kind_of(kept: &Kept) -> Option<Governed> {
    match (kept.image.views.first(), kept.image.routines.first()) {
        (Some(view), _) if view.is_materialized() => Some(Governed::MaterializedView),
        (Some(_), _) => Some(Governed::View),
        (None, Some(_)) => Some(Governed::Function),
        (None, None) => None,
    }
}

/// Of a routine, a view or rules that the destination has.
pub(super) fn applied_code((object, known): (&Object, &Known)) -> Option<(Object, String)> {
    let code = code_of(&known.kept.image, *object).filter(|code| is_there(known) && !code.is_empty());
    code.map(|code| (*object, code))
}

/// A function, a view or the like that the destination has.
pub(super) fn is_applied(known: &Known) -> bool {
    known.kept.is_code() && is_there(known)
}

fn is_there(known: &Known) -> bool {
    !known.kept.is_blocked() && known.standing == Standing::Followed
}

/// Rules that are there stay as they are where their new text is nobody's whom the task trusts.
pub(super) fn keep_rules(before: Option<&Known>, after: &mut Known) {
    let Some(old) = before.and_then(|before| before.kept.relation()).cloned() else { return };
    let Some(new) = after.kept.relation_mut() else { return };
    for rule in new.rules.iter_mut().filter(|rule| rule.blocked) {
        if let Some(kept) = old.rules.iter().find(|old| old.oid == rule.oid && !old.blocked) {
            rule.clone_from(kept);
        }
    }
}

pub(super) fn is_refreshed(captured: &Captured, view: &View) -> bool {
    captured.refreshed.contains(&view.oid()) && !view.blocked
}
