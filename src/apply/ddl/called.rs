//! Names that tables get before the moment of their copy: see [`crate::schema::named`]. Pure.

use crate::schema::model::{Facet, Kept, Known, Witness, is_shown};
use crate::schema::named::Moves;
use crate::schema::scope::Object;

/// What a command describes, and is known as of a later moment, but for its names.
#[derive(Default)]
pub(super) struct Called {
    heard: Vec<Named>,
    moves: Moves,
}

pub(super) struct Named {
    pub object: Object,
    pub before: Known,
    pub after: Known,
}

impl Called {
    /// An object that has come into the model with what the command did. It is given back if that is so for its name, too.
    pub(super) fn hear(
        &mut self,
        witness: Witness<'_>,
        object: Object,
        before: Known,
        described: &Kept,
    ) -> Result<Option<Known>, String> {
        let Some(named_at) = &before.kept.named_at else { return Ok(Some(before)) };
        let is_older = before.kept.changed.get(&Facet::Own).is_some_and(|xid| !witness.saw(*xid));
        if is_older || is_shown(named_at, witness.xid)? {
            return Ok(Some(before));
        }
        let mut kept = before.kept.called_as(described);
        if kept != before.kept {
            kept.changed.insert(Facet::Own, witness.xid);
        }
        self.moves.note(&before.kept, &kept);
        self.heard.push(Named { object, after: Known { kept, ..before.clone() }, before });
        Ok(None)
    }

    /// All of it, under its names.
    pub(super) fn end(self) -> impl Iterator<Item = Named> {
        let Called { heard, moves } = self;
        heard.into_iter().map(move |mut named| {
            moves.follow(&mut named.after.kept);
            named
        })
    }
}
