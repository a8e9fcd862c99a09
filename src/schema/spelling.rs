//! Functions, aggregates, operators and casts as they are called on the destination, by the names that their types have there. The model and a
//! command have these names from some moment before, or from one beside, on the source.

use std::collections::HashMap;

use super::image::{Class, Image, Name};
use super::model::Known;
use super::scope::Object;

/// What relations and types are called.
#[derive(Debug, Default)]
pub struct TypeNames(HashMap<Object, Name>);

impl TypeNames {
    pub fn of(names: impl IntoIterator<Item = (Object, Name)>) -> TypeNames {
        TypeNames(names.into_iter().collect())
    }

    pub fn learn<'a>(&mut self, objects: impl IntoIterator<Item = (&'a Object, &'a Known)>) {
        let types = objects.into_iter().filter(|(object, _)| matches!(object.0, Class::Type | Class::Relation));
        self.0.extend(types.map(|(object, known)| (*object, known.kept.qualified())));
    }

    pub fn spell(&self, image: &mut Image) {
        image.respell(&|object| self.0.get(object).cloned());
    }
}
