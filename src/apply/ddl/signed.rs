//! What code of a command needs, as the destination calls it. Pure.

use std::collections::BTreeMap;

use super::leave::is_applied;
use crate::schema::deparse::postgres::Foreign;
use crate::schema::image::Operand;
use crate::schema::model::{Kept, Known};
use crate::schema::scope::Object;

/// What of that is the task's own may have got another name, or its types.
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
        Foreign::OperatorClass { access_method, .. } => Foreign::OperatorClass { name, access_method },
        Foreign::OperatorFamily { access_method, .. } => Foreign::OperatorFamily { name, access_method },
        foreign => foreign,
    }
}
