//! Whether an object is what it was, in few letters: for many objects that are compared again and again.

use std::hash::{DefaultHasher, Hash, Hasher};

use super::apart::apart;
use super::captured::Captured;
use super::image::Image;
use super::scope::Object;

/// Of each object of the image, by itself: everything that a command may change of it, its owner's name where that matters, and nothing
/// that follows from what else is in the image. Another release may make others of the same objects.
pub fn fingerprints(captured: &Captured) -> Vec<(Object, String)> {
    let kept = apart(&captured.image, &[], &[]);
    let mut prints: Vec<(Object, String)> = kept
        .into_iter()
        .map(|(object, kept)| {
            let owner = captured.owners.iter().find(|owned| owned.object == object);
            let owner = owner.map(|owned| (owned.role.as_str(), owned.is_superuser));
            let mut hasher = DefaultHasher::new();
            text(kept.image).hash(&mut hasher);
            owner.hash(&mut hasher);
            (object, format!("{:016x}", hasher.finish()))
        })
        .collect();
    prints.sort_unstable();
    prints
}

fn text(mut image: Image) -> String {
    for table in &mut image.tables {
        table.level = 0;
        for column in &mut table.columns {
            // The one is gone when the rows are written anew, and of no use by then; the other is only a number.
            (column.missing, column.default_oid) = (None, None);
        }
        table.columns.sort_by_key(|of| of.attnum);
        table.constraints.sort_by_key(|of| of.oid);
        table.indexes.sort_by_key(|of| of.oid);
        table.statistics.sort_by_key(|of| of.oid);
        table.triggers.sort_by_key(|of| of.oid);
        table.policies.sort_by_key(|of| of.oid);
    }
    image.types.iter_mut().for_each(|of| of.level = 0);
    image.routines.iter_mut().for_each(|of| of.level = 0);
    image.views.iter_mut().for_each(|of| of.relation.level = 0);
    image.plain.iter_mut().for_each(|of| of.level = 0);
    image.sequences.iter_mut().for_each(|of| of.is_of_other = false);
    image.extensions.iter_mut().for_each(|of| of.level = 0);
    // Values that serde can write; what it could not would be as nothing, and so always the same.
    serde_json::to_string(&image).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::captured::Owned;
    use crate::schema::image::{Class, Grant, Privileges};
    use crate::schema::samples::{child, column, table};

    fn prints(change: impl FnOnce(&mut Captured)) -> Vec<String> {
        let image = Image { tables: vec![table(10, "t"), child(20, "c", 10)], ..Image::default() };
        let mut captured = Captured { image, ..Captured::default() };
        change(&mut captured);
        fingerprints(&captured).into_iter().map(|(_, print)| print).collect()
    }

    #[test]
    fn what_was_changed_is_another_one_and_the_rest_is_not() {
        let before = prints(|_| ());
        let grant = |captured: &mut Captured| {
            let grants = vec![Grant {
                place: 1,
                grantee: Some("r".into()),
                privileges: vec!["SELECT".into()],
                with_option: false,
            }];
            captured.image.privileges.insert((Class::Relation, 10, 0), Privileges { grants, public_revoked: false });
        };
        let owned = Owned { object: (Class::Relation, 20), role: "r".into(), role_oid: 5, is_superuser: false };
        for (of, after) in [
            (0, prints(|captured| captured.image.tables[0].columns.push(column(3, "x", "text")))),
            (0, prints(grant)),
            (1, prints(|captured| captured.image.tables[1].name.name = "d".into())),
            (1, prints(|captured| captured.owners.push(owned))),
        ] {
            assert_ne!(before[of], after[of]);
            assert_eq!(before[1 - of], after[1 - of]);
        }
    }

    #[test]
    fn what_only_the_company_says_is_nothing() {
        let alone = prints(|captured| captured.image.tables.truncate(1));
        let company = prints(|captured| {
            captured.image.tables[0].level = 7;
            captured.image.tables[0].columns[0].missing = Some("1".into());
        });
        assert_eq!(alone[0], company[0]);
    }
}
