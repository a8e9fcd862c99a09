//! Functions, aggregates, operators and casts as they are called on the destination, by the names that their types have there. The model and a
//! command know these names as they were at some moment before, or at one beside, on the source. Pure.

use std::collections::{BTreeMap, HashMap};

use super::leave::is_applied;
use crate::schema::deparse::postgres::Foreign;
use crate::schema::image::{Class, Image, Name, Operand};
use crate::schema::model::{Kept, Known};
use crate::schema::scope::Object;

/// What relations and types are called.
#[derive(Debug, Default)]
pub(super) struct TypeNames(HashMap<Object, Name>);

impl TypeNames {
    pub(super) fn learn<'a>(&mut self, objects: impl IntoIterator<Item = (&'a Object, &'a Known)>) {
        let types = objects.into_iter().filter(|(object, _)| matches!(object.0, Class::Type | Class::Relation));
        self.0.extend(types.map(|(object, known)| (*object, known.kept.qualified())));
    }

    pub(super) fn call(&self, image: &mut Image) {
        image.respell(&|object| self.0.get(object).cloned());
    }
}

/// The types that code is signed with.
pub(super) fn operands<'a>(image: &'a Image, model: &'a BTreeMap<Object, Known>) -> impl Iterator<Item = Object> + 'a {
    image.operands().chain(model.values().flat_map(|known| known.kept.image.operands()))
}

/// What code of a command needs, as the destination calls what of that is the task's own.
pub(super) fn causes(causes: &[(Object, Foreign)], model: &BTreeMap<Object, Known>) -> Vec<(Object, Foreign)> {
    let called = |(object, foreign): &(Object, Foreign)| {
        let known = model.get(object).filter(|known| is_applied(known));
        (*object, known.map_or_else(|| foreign.clone(), |known| called(foreign.clone(), &known.kept)))
    };
    causes.iter().map(called).collect()
}

fn called(foreign: Foreign, kept: &Kept) -> Foreign {
    let name = kept.qualified();
    let routine = kept.image.routines.first().map(|of| of.arguments.clone());
    let operands = kept.image.plain.first().map(|of| of.operands.iter().map(|operand| operand.shown.clone()));
    let operands: Vec<String> = operands.into_iter().flatten().collect();
    match foreign {
        // Its result may be of a type that has got another name, too.
        Foreign::Routine { kind, arguments, .. } => {
            let of_aggregate = (!operands.is_empty()).then(|| operands.join(", "));
            let arguments = routine.or(of_aggregate).unwrap_or(arguments);
            Foreign::Routine { name, kind, arguments, result: None }
        }
        Foreign::Operator { left, right, .. } => {
            let [new_left, new_right] = <[String; 2]>::try_from(operands).unwrap_or([left.clone(), right]);
            // Of one without a left side the server writes no type.
            let left = if new_left == Operand::NONE { left } else { new_left };
            Foreign::Operator { name, left, right: new_right }
        }
        Foreign::TextSearch { class, .. } => Foreign::TextSearch { class, name },
        foreign => foreign,
    }
}
