//! In which order things get other names, when one may have a name that another leaves only now: tables or columns that exchange their
//! names, chains, circles.
//!
//! ```text
//!   t -> t_old, t_new -> t         t to t_old, t_new to t
//!   a -> b, b -> a                 a to courier_renaming_<oid of a>, b to a, courier_renaming_<oid of a> to b
//!   s.a -> z.b                     s.a to s.courier_renaming_<oid>, z.courier_renaming_<oid>, z.b
//! ```
//! On its way nothing gets a name that anybody may have, of whom nothing is known here.

use std::collections::HashMap;

use crate::schema::image::Name;

/// Where a name is one of a kind, as bits: a table has one among relations and one among types.
pub const RELATIONS: u8 = 1;
pub const TYPES: u8 = 2;

/// Something that has a name, and may get another one. What stays is there so that nothing passes over its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub oid: u32,
    pub spaces: u8,
    pub from: Name,
    pub to: Name,
}

/// One statement: of what is now `from`, one half of the name changes. `of` is the number of the move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leg {
    pub of: usize,
    pub from: Name,
    pub to: Name,
    /// Where the way ends that this is the beginning of: what has that name is past it.
    pub end: Option<Name>,
}

impl Leg {
    pub fn is_to_another_schema(&self) -> bool {
        self.from.schema != self.to.schema
    }
}

/// A name that nobody else has.
pub fn temporary(oid: u32) -> String {
    format!("courier_renaming_{oid}")
}

pub fn legs(moves: &[Move]) -> Vec<Leg> {
    let mut waiting: Vec<usize> = (0..moves.len()).filter(|of| moves[*of].from != moves[*of].to).collect();
    if waiting.is_empty() {
        return Vec::new();
    }
    let mut places = Places::of(moves);
    let mut legs = Vec::new();
    while !waiting.is_empty() {
        let found = waiting.iter().enumerate().find_map(|(at, of)| Some((at, places.path(*of)?)));
        match found {
            Some((at, path)) => {
                let of = waiting.remove(at);
                for (at, to) in path.iter().enumerate() {
                    let end = path.last().filter(|_| at + 1 < path.len()).cloned();
                    legs.push(places.go(of, to.clone(), end));
                }
                places.has_arrived[of] = true;
            }
            // All that wait stand in each other's way.
            None => {
                let of = waiting[0];
                let from = &places.now[of];
                let to = Name::new(&from.schema, temporary(moves[of].oid));
                legs.push(places.go(of, to, None));
                waiting.rotate_left(1);
            }
        }
    }
    legs
}

struct Places<'a> {
    moves: &'a [Move],
    now: Vec<Name>,
    has_arrived: Vec<bool>,
    here: HashMap<Name, Vec<usize>>,
}

impl<'a> Places<'a> {
    fn of(moves: &'a [Move]) -> Places<'a> {
        let mut here: HashMap<Name, Vec<usize>> = HashMap::new();
        for (of, each) in moves.iter().enumerate() {
            here.entry(each.from.clone()).or_default().push(of);
        }
        let now = moves.iter().map(|each| each.from.clone()).collect();
        Places { moves, now, has_arrived: moves.iter().map(|each| each.from == each.to).collect(), here }
    }

    /// The names on the way, if each is free. What has arrived is never at the end of another's way: the source has both.
    fn path(&self, of: usize) -> Option<Vec<Name>> {
        let (now, to) = (&self.now[of], &self.moves[of].to);
        if !self.is_free(of, to) {
            return None;
        }
        if now.schema == to.schema || now.name == to.name {
            return Some(vec![to.clone()]);
        }
        let name = temporary(self.moves[of].oid);
        let there = Name::new(&to.schema, &name);
        let here = (now.name != name).then(|| Name::new(&now.schema, &name));
        Some(here.into_iter().chain([there, to.clone()]).collect())
    }

    fn is_free(&self, of: usize, name: &Name) -> bool {
        let mut others = self.here.get(name).into_iter().flatten().filter(|other| **other != of);
        !others.any(|other| self.moves[*other].spaces & self.moves[of].spaces != 0 && !self.has_arrived[*other])
    }

    fn go(&mut self, of: usize, to: Name, end: Option<Name>) -> Leg {
        if let Some(here) = self.here.get_mut(&self.now[of]) {
            here.retain(|other| *other != of);
        }
        self.here.entry(to.clone()).or_default().push(of);
        let from = std::mem::replace(&mut self.now[of], to.clone());
        Leg { of, from, to, end }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves as `schema.name`, in the order of their oids from 1.
    #[track_caller]
    fn assert_legs(moves: &[(&str, &str)], expected: &[&str]) {
        let name = |text: &str| text.split_once('.').map(|(schema, name)| Name::new(schema, name)).expect("a name");
        let moves: Vec<Move> = (1..)
            .zip(moves)
            .map(|(oid, (from, to))| Move { oid, spaces: RELATIONS, from: name(from), to: name(to) })
            .collect();
        let said = |leg: &Leg| format!("{} {}", leg.from.shown(), leg.to.shown());
        assert_eq!(legs(&moves).iter().map(said).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn what_is_in_nobodys_way_goes_straight() {
        assert_legs(&[("s.a", "s.a"), ("s.b", "s.b")], &[]);
        assert_legs(&[("s.a", "s.b")], &["s.a s.b"]);
        assert_legs(&[("s.a", "z.a")], &["s.a z.a"]);
    }

    #[test]
    fn chains_begin_at_their_end() {
        assert_legs(&[("s.new", "s.t"), ("s.t", "s.old")], &["s.t s.old", "s.new s.t"]);
        let chain = [("s.a", "s.b"), ("s.b", "s.c"), ("s.c", "s.d")];
        assert_legs(&chain, &["s.c s.d", "s.b s.c", "s.a s.b"]);
    }

    #[test]
    fn circles_pass_over_another_name() {
        let exchange = ["s.a s.courier_renaming_1", "s.b s.a", "s.courier_renaming_1 s.b"];
        assert_legs(&[("s.a", "s.b"), ("s.b", "s.a")], &exchange);
        let circle = [("s.a", "s.b"), ("s.b", "s.c"), ("s.c", "s.a")];
        assert_legs(&circle, &["s.a s.courier_renaming_1", "s.c s.a", "s.b s.c", "s.courier_renaming_1 s.b"]);
    }

    #[test]
    fn schemas_are_exchanged() {
        let exchange = [("s.t", "z.t"), ("z.t", "s.t")];
        let through = ["s.t s.courier_renaming_1", "z.t s.t", "s.courier_renaming_1 z.courier_renaming_1"];
        assert_legs(&exchange, &[&through[..], &["z.courier_renaming_1 z.t"]].concat());
    }

    /// `z.a` and `s.b` may be there, of others.
    #[test]
    fn nothing_passes_over_a_name_that_may_be_taken() {
        let way = ["s.a s.courier_renaming_1", "s.courier_renaming_1 z.courier_renaming_1", "z.courier_renaming_1 z.b"];
        assert_legs(&[("s.a", "z.b")], &way);
        let moves = [Move { oid: 1, spaces: RELATIONS, from: Name::new("s", "a"), to: Name::new("z", "b") }];
        let ends: Vec<Option<Name>> = legs(&moves).into_iter().map(|leg| leg.end).collect();
        assert_eq!(ends, [Some(Name::new("z", "b")), Some(Name::new("z", "b")), None]);
    }

    #[test]
    fn kinds_of_names_do_not_meet() {
        let of = |oid, spaces, from: &str, to: &str| Move {
            oid,
            spaces,
            from: Name::new("s", from),
            to: Name::new("s", to),
        };
        let moves = [of(1, RELATIONS, "a", "b"), of(2, TYPES, "b", "a")];
        assert_eq!(legs(&moves).len(), 2, "an index and a domain exchange their names straight");
        let moves = [of(1, RELATIONS | TYPES, "a", "b"), of(2, TYPES, "b", "a")];
        assert_eq!(legs(&moves).len(), 3, "a table and a domain do not");
    }
}
