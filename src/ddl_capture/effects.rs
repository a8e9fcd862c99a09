//! What an event is about: objects that were touched, made or dropped, as the server collects them, without what nobody is told of:
//! temporary objects, and those of this extension.

use std::collections::HashSet;

use crate::catalog::schema::command::TouchedObject;
use crate::error::Result;
use crate::logicalrep::helper::HELPER_SCHEMA;
use crate::pg::event_trigger::{self, Affected, Lost};
use crate::pg::{compat, xact};
use crate::schema::captured::{Approval, Dropped};
use crate::schema::image::Class;

/// Parts, still, of what they belong to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Effects {
    pub objects: Vec<TouchedObject>,
    /// Those of them that were made, by catalog and oid.
    pub made: HashSet<(u32, u32)>,
    pub dropped: Vec<Dropped>,
    /// Materialized views that have got new rows.
    pub refreshed: Vec<u32>,
    /// Partitions that were detached CONCURRENTLY.
    pub detached: Vec<u32>,
    /// A person lets a task create them.
    pub approval: Option<Approval>,
    /// They may have got other names, or parts of them.
    pub are_renamed: bool,
    /// Is there anything that is worth a row?
    pub is_any: bool,
}

pub fn after_commands() -> Result<Effects> {
    // 13 fails where an event trigger before ours has dropped what the command made.
    let commands =
        if compat::MAJOR < 14 { xact::attempt(event_trigger::commands)? } else { event_trigger::commands()? };
    Ok(of_commands(commands))
}

pub fn after_drop() -> Result<Effects> {
    Ok(of_drop(event_trigger::lost()?, event_trigger::owner_of_lost))
}

fn of_commands(affected: Vec<Affected>) -> Effects {
    let mut found = Effects::default();
    for object in affected.iter().filter(|object| !is_ours(object.schema.as_deref())) {
        if object.tag.starts_with("CREATE") || object.tag == "SELECT INTO" {
            found.made.insert((object.class, object.oid));
        }
        if object.tag == "REFRESH MATERIALIZED VIEW" {
            found.refreshed.push(object.oid);
        }
        if object.left_concurrently {
            found.detached.push(object.oid);
        }
        let is_alone = object.has_other_partitions || leaves_descendants_alone(&object.tag);
        found.objects.push(TouchedObject { class: object.class, oid: object.oid, is_alone });
    }
    found.is_any = !found.objects.is_empty();
    found
}

fn of_drop(lost: Vec<Lost>, owner_of: impl Fn(u32, u32) -> Option<(u32, u32)>) -> Effects {
    let mut found = Effects::default();
    let gone: HashSet<(u32, u32)> = lost.iter().filter(|l| l.part == 0).map(|l| (l.class, l.oid)).collect();
    let relations: HashSet<&str> = lost.iter().filter(|l| is_relation(l)).map(|l| l.identity.as_str()).collect();
    for object in lost.iter().filter(|l| !l.is_temporary && !is_ours(l.schema.as_deref())) {
        if let Some(class) = dropped_class(object, &relations) {
            found.dropped.push(Dropped { class, oid: object.oid, identity: described(object) });
            found.is_any = true;
            continue;
        }
        let owner = match Class::of(object.class) {
            Some(Class::Relation) if object.part != 0 => Some((object.class, object.oid)),
            Some(Class::Relation) if object.kind != "index" => None,
            _ => owner_of(object.class, object.oid),
        };
        // What goes with its owner is not worth a word.
        if owner.is_none_or(|owner| !gone.contains(&owner)) {
            let is_alone = matches!(Class::of(object.class), Some(Class::Policy | Class::Statistics));
            found.objects.extend(owner.map(|(class, oid)| TouchedObject { class, oid, is_alone }));
            found.is_any = true;
        }
    }
    found
}

/// The catalog of what a task may have created by itself. A table takes its row type with it, a type its array.
fn dropped_class(object: &Lost, relations: &HashSet<&str>) -> Option<Class> {
    let class = Class::of(object.class).filter(|_| object.part == 0)?;
    let is_root = match class {
        Class::Relation => matches!(object.kind.as_str(), "table" | "sequence" | "view" | "materialized view"),
        Class::Proc => matches!(object.kind.as_str(), "function" | "procedure" | "aggregate"),
        Class::Type => !object.identity.ends_with("[]") && !relations.contains(object.identity.as_str()),
        Class::Namespace | Class::Extension | Class::Collation => true,
        class if class.is_code() => true,
        _ => false,
    };
    is_root.then_some(class)
}

/// What these change of a table is no matter of its partitions and children.
fn leaves_descendants_alone(tag: &str) -> bool {
    const WORDS: [&str; 3] = ["POLICY", "STATISTICS", "RULE"];
    matches!(tag, "GRANT" | "REVOKE" | "COMMENT") || WORDS.iter().any(|word| tag.ends_with(word))
}

fn is_relation(object: &Lost) -> bool {
    object.class == Class::Relation.oid() && object.part == 0 && object.kind != "composite type"
}

fn described(object: &Lost) -> String {
    format!("{} {}", object.kind, object.identity)
}

fn is_ours(schema: Option<&str>) -> bool {
    schema.is_some_and(|schema| matches!(schema, "pg_temp" | "courier") || schema == HELPER_SCHEMA)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RELATION: u32 = 1259;
    const TYPE: u32 = 1247;

    fn lost(class: u32, oid: u32, kind: &str, identity: &str) -> Lost {
        Lost {
            class,
            oid,
            part: 0,
            is_temporary: false,
            kind: kind.to_owned(),
            schema: Some("s".to_owned()),
            identity: identity.to_owned(),
        }
    }

    fn affected(oid: u32, tag: &str, schema: Option<&str>) -> Affected {
        Affected {
            class: RELATION,
            oid,
            tag: tag.to_owned(),
            has_other_partitions: false,
            left_concurrently: false,
            schema: schema.map(str::to_owned),
        }
    }

    fn touched(oid: u32, is_alone: bool) -> TouchedObject {
        TouchedObject { class: RELATION, oid, is_alone }
    }

    #[test]
    fn a_table_is_dropped_once_without_its_types_and_parts() {
        let list = vec![
            lost(RELATION, 10, "table", "s.t"),
            lost(TYPE, 11, "type", "s.t"),
            lost(TYPE, 12, "type", "s.t[]"),
            lost(2606, 13, "table constraint", "t_pkey on s.t"),
            lost(RELATION, 14, "index", "s.t_pkey"),
        ];
        let found = of_drop(list, |_, _| Some((RELATION, 10)));
        assert_eq!(found.dropped, [Dropped { class: Class::Relation, oid: 10, identity: "table s.t".to_owned() }]);
        assert!(found.objects.is_empty() && found.is_any, "its parts are not asked about");
    }

    #[test]
    fn a_part_touches_what_it_was_a_part_of() {
        let column = Lost { part: 2, ..lost(RELATION, 10, "table column", "s.t.c") };
        let list = vec![column, lost(RELATION, 14, "index", "s.i"), lost(2606, 15, "table constraint", "k on s.u")];
        let owner = |class, oid| match (class, oid) {
            (RELATION, 14) => Some((RELATION, 20)),
            (2606, 15) => Some((RELATION, 30)),
            _ => None,
        };
        let found = of_drop(list, owner);
        assert_eq!(found.objects, [10, 20, 30].map(|oid| touched(oid, false)));
        assert!(found.dropped.is_empty());
    }

    #[test]
    fn a_type_by_itself() {
        let list = vec![lost(RELATION, 9, "composite type", "s.y"), lost(TYPE, 11, "type", "s.y")];
        let found = of_drop(list, |_, _| None);
        assert_eq!(found.dropped.len(), 1);
    }

    #[test]
    fn nobody_is_told_of_what_is_temporary_or_ours() {
        let temporary = Lost { is_temporary: true, ..lost(RELATION, 10, "table", "pg_temp.t") };
        let ours = Lost { schema: Some("courier".to_owned()), ..lost(RELATION, 11, "table", "courier.x") };
        assert_eq!(of_drop(vec![temporary, ours], |_, _| None), Effects::default());
        let view = Lost { is_temporary: true, ..lost(RELATION, 12, "view", "pg_temp.v") };
        let rule = lost(2618, 13, "rule", "\"_RETURN\" on pg_temp.v");
        assert_eq!(of_drop(vec![rule, view], |_, _| Some((RELATION, 12))), Effects::default());
        let list = vec![affected(1, "CREATE TABLE", Some("pg_temp")), affected(2, "ALTER TABLE", Some(HELPER_SCHEMA))];
        assert_eq!(of_commands(list), Effects::default());
        let found = of_commands(vec![affected(1, "CREATE TABLE", Some("s")), affected(2, "ALTER TABLE", None)]);
        assert_eq!((found.objects.len(), found.made.len(), found.is_any), (2, 1, true));
    }

    #[test]
    fn a_partition_that_leaves_concurrently_is_named() {
        let parent = Affected { has_other_partitions: true, ..affected(1, "ALTER TABLE", Some("s")) };
        let left = Affected { left_concurrently: true, ..affected(2, "ALTER TABLE", Some("s")) };
        assert_eq!(of_commands(vec![parent, left]).detached, [2]);
    }

    #[test]
    fn what_inherits_is_asked_about_where_the_command_may_have_changed_it() {
        let attach = Affected { has_other_partitions: true, ..affected(1, "ALTER TABLE", None) };
        let list = vec![
            attach,
            affected(2, "ALTER TABLE", None),
            affected(3, "GRANT", None),
            affected(4, "CREATE INDEX", None),
        ];
        let found = of_commands(list).objects;
        assert_eq!(found, [touched(1, true), touched(2, false), touched(3, true), touched(4, false)]);
        for (tag, expected) in
            [("COMMENT", true), ("DROP POLICY", true), ("CREATE STATISTICS", true), ("CREATE TRIGGER", false)]
        {
            assert_eq!(leaves_descendants_alone(tag), expected, "{tag}");
        }
        let policy = lost(3256, 13, "policy", "p on s.t");
        assert_eq!(of_drop(vec![policy], |_, _| Some((RELATION, 5))).objects, [touched(5, true)]);
    }
}
