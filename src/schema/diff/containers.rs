//! Schemas, extensions, collations: what others are in, or bring along.

use std::borrow::Cow;

use super::names::{self, Move, RELATIONS};
use super::renames::COLLATIONS;
use super::{Action, Comparison, Subject, Way, pairs};
use crate::schema::image::{Collation, Extension, Name, Schema};
use crate::schema::kind::Kind;

impl<'a> Comparison<'a> {
    pub(super) fn containers(&mut self) {
        self.schemas();
        self.extensions();
        self.collations();
    }

    /// One that is not needed any more is kept, if nobody says otherwise: others may have put something into it.
    fn schemas(&mut self) {
        let mut moves = Vec::new();
        let mut dropped = Vec::new();
        let name = |name: &str| Name::new("", name);
        for (old, new) in pairs(&self.before.schemas, &self.after.schemas, |s| s.oid) {
            let (oid, from, to) = match (old, new) {
                (None, Some(schema)) => {
                    self.step(Kind::Schema, 0, Action::CreateSchema(schema));
                    continue;
                }
                (Some(old), Some(new)) => (old.oid, &old.name, name(&new.name)),
                (Some(old), None) if self.options.drops_schemas => {
                    let is_wanted = self.after.schemas.iter().any(|schema: &Schema| schema.name == old.name);
                    let last = if is_wanted { names::temporary(old.oid) } else { old.name.clone() };
                    dropped.push(last.clone());
                    (old.oid, &old.name, name(&last))
                }
                _ => continue,
            };
            moves.push(Move { oid, spaces: RELATIONS, from: name(from), to });
        }
        for (level, leg) in (0..).zip(names::legs(&moves)) {
            let vacates = !self.after.schemas.iter().any(|schema| schema.name == leg.from.name);
            let subject = Subject::Schema(Cow::Owned(leg.from.name));
            let way = Way { end: None, vacates };
            self.step(Kind::RenameSchema, level, Action::Rename { subject, to: leg.to.name.into(), way });
        }
        for name in dropped {
            self.step(Kind::DropContainer, 1, Action::Drop(Subject::Schema(Cow::Owned(name))));
        }
    }

    /// One that is not needed any more may be needed by others.
    fn extensions(&mut self) {
        for (old, new) in pairs(&self.before.extensions, &self.after.extensions, |x| x.oid) {
            match (old, new) {
                (None, Some(extension)) => self.create_extension(extension),
                (Some(old), Some(new)) => self.alter_extension(old, new),
                (Some(old), None) if self.options.drops_extensions => {
                    self.step(Kind::DropContainer, 0, Action::Drop(Subject::Extension(&old.name)));
                }
                (Some(_), None) | (None, None) => {}
            }
        }
    }

    /// In the source's version where the destination has it, else in the destination's own, which precheck has said.
    fn create_extension(&mut self, extension: &'a Extension) {
        let action = |any_version| Action::CreateExtension { extension, any_version };
        self.step(Kind::Extension, extension.level, action(false));
        self.step(Kind::ExtensionInAnotherVersion, extension.level, action(true));
    }

    fn alter_extension(&mut self, old: &'a Extension, new: &'a Extension) {
        if old.version != new.version {
            self.step(Kind::ExtensionUpdate, new.level, Action::UpdateExtension(new));
        }
        if self.renames.schema(&old.schema) != new.schema {
            let subject = Subject::Extension(&new.name);
            self.step(
                Kind::SetSchema,
                0,
                Action::SetSchema { subject, to: new.schema.as_str().into(), way: Way::default() },
            );
        }
        self.expect(Subject::Extension(&new.name), &old.name, &new.name);
    }

    fn collations(&mut self) {
        for (old, new) in pairs(&self.before.collations, &self.after.collations, |c| c.oid) {
            match (old, new) {
                (None, Some(collation)) => self.step(Kind::Collation, 0, Action::CreateCollation(collation)),
                (Some(old), None) => {
                    let name = self.renames.leave(old.oid, COLLATIONS, &old.name, Subject::Collation);
                    self.step(Kind::DropNeeded, 2, Action::Drop(Subject::Collation(Cow::Owned(name))));
                }
                (Some(old), Some(new)) => {
                    self.renames.go(new.oid, COLLATIONS, &old.name, &new.name, Subject::Collation);
                    let said = Collation { name: new.name.clone(), ..old.clone() };
                    self.expect(Subject::Collation(new.name.cow()), &said, new);
                }
                (None, None) => {}
            }
        }
    }
}
