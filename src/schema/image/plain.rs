//! Objects that are nothing but their statement: what the server says of them is put together again as it was typed. They act with the
//! rights of whoever uses them.

use serde::{Deserialize, Serialize};

use super::operand::{self, Operand};
use super::{Class, Name};
use crate::logicalrep::names::shown;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum PlainKind {
    Aggregate,
    Operator,
    Cast,
    Dictionary,
    Configuration,
    Conversion,
    OperatorFamily,
    OperatorClass,
}

impl PlainKind {
    pub const ALL: [PlainKind; 8] = [
        PlainKind::Aggregate,
        PlainKind::Operator,
        PlainKind::Cast,
        PlainKind::Dictionary,
        PlainKind::Configuration,
        PlainKind::Conversion,
        PlainKind::OperatorFamily,
        PlainKind::OperatorClass,
    ];

    /// Only superusers make it.
    pub fn is_for_superusers(self) -> bool {
        matches!(self, PlainKind::OperatorFamily | PlainKind::OperatorClass)
    }

    pub fn class(self) -> Class {
        match self {
            PlainKind::Aggregate => Class::Proc,
            PlainKind::Operator => Class::Operator,
            PlainKind::Cast => Class::Cast,
            PlainKind::Dictionary => Class::SearchDictionary,
            PlainKind::Configuration => Class::SearchConfiguration,
            PlainKind::Conversion => Class::Conversion,
            PlainKind::OperatorFamily => Class::OperatorFamily,
            PlainKind::OperatorClass => Class::OperatorClass,
        }
    }

    /// As CREATE, DROP and COMMENT ON say it.
    pub fn word(self) -> &'static str {
        match self {
            PlainKind::Aggregate => "AGGREGATE",
            PlainKind::Operator => "OPERATOR",
            PlainKind::Cast => "CAST",
            PlainKind::Dictionary => "TEXT SEARCH DICTIONARY",
            PlainKind::Configuration => "TEXT SEARCH CONFIGURATION",
            PlainKind::Conversion => "CONVERSION",
            PlainKind::OperatorFamily => "OPERATOR FAMILY",
            PlainKind::OperatorClass => "OPERATOR CLASS",
        }
    }

    pub fn shown(self) -> &'static str {
        match self {
            PlainKind::Aggregate => "aggregate",
            PlainKind::Operator => "operator",
            PlainKind::Cast => "cast",
            PlainKind::Dictionary => "text search dictionary",
            PlainKind::Configuration => "text search configuration",
            PlainKind::Conversion => "conversion",
            PlainKind::OperatorFamily => "operator family",
            PlainKind::OperatorClass => "operator class",
        }
    }

    pub fn catalog(self) -> &'static str {
        match self {
            PlainKind::Aggregate => "pg_proc",
            PlainKind::Operator => "pg_operator",
            PlainKind::Cast => "pg_cast",
            PlainKind::Dictionary => "pg_ts_dict",
            PlainKind::Configuration => "pg_ts_config",
            PlainKind::Conversion => "pg_conversion",
            PlainKind::OperatorFamily => "pg_opfamily",
            PlainKind::OperatorClass => "pg_opclass",
        }
    }

    /// Rows with `oid`, `target` and `definition`, for source and destination; conditions may follow, on the catalog's row `o`.
    pub fn query(self) -> &'static str {
        match self {
            PlainKind::Aggregate => include_str!("../../../sql/query/schema/plain/aggregate.sql"),
            PlainKind::Operator => include_str!("../../../sql/query/schema/plain/operator.sql"),
            PlainKind::Cast => include_str!("../../../sql/query/schema/plain/cast.sql"),
            PlainKind::Dictionary => include_str!("../../../sql/query/schema/plain/dictionary.sql"),
            PlainKind::Configuration => include_str!("../../../sql/query/schema/plain/configuration.sql"),
            PlainKind::Conversion => include_str!("../../../sql/query/schema/plain/conversion.sql"),
            PlainKind::OperatorFamily => include_str!("../../../sql/query/schema/plain/operator_family.sql"),
            PlainKind::OperatorClass => include_str!("../../../sql/query/schema/plain/operator_class.sql"),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plain {
    pub oid: u32,
    pub level: i64,
    pub kind: PlainKind,
    /// Of a cast that of a type which a user has made.
    pub name: Name,
    /// How statements name it: with its arguments, or types.
    pub target: String,
    /// The types in that, where a user has made one of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operands: Vec<Operand>,
    /// The statements that create it.
    pub definition: String,
    pub blocked: bool,
}

impl Plain {
    pub fn class(&self) -> Class {
        self.kind.class()
    }

    /// What the server calls it now (`operator s.+(integer,s.t)`): types may have got other names since it was read.
    pub fn is_called(&mut self, identity: &str) {
        let Some(named) = identity.strip_prefix(self.kind.shown()).and_then(|rest| rest.strip_prefix(' ')) else {
            return;
        };
        let between = if self.kind == PlainKind::Cast { " AS " } else { "," };
        let shown = |name: &str| name.trim().strip_prefix("pg_catalog.").unwrap_or(name.trim()).to_owned();
        let split = named.strip_suffix(')').and_then(|named| named.rsplit_once('('));
        let types: Vec<String> = split.into_iter().flat_map(|(_, types)| types.split(between)).map(shown).collect();
        if operand::hear(&mut self.operands, &types) {
            self.target = self.signed();
            return;
        }
        let types = types.join(", ");
        let target = match self.kind {
            PlainKind::Aggregate => split.map(|(name, _)| {
                let types = if types.is_empty() { "*" } else { &types };
                format!("{name}({types})")
            }),
            PlainKind::Operator => split.map(|(name, _)| format!("{name} ({types})")),
            PlainKind::Cast => Some(named.replace("(pg_catalog.", "(").replace(" AS pg_catalog.", " AS ")),
            PlainKind::Dictionary
            | PlainKind::Configuration
            | PlainKind::Conversion
            | PlainKind::OperatorFamily
            | PlainKind::OperatorClass => Some(named.to_owned()),
        };
        self.target = target.unwrap_or_else(|| self.target.clone());
    }

    /// What its types are called, as far as that is known.
    pub fn respell(&mut self, names: &impl Fn(&(Class, u32)) -> Option<Name>) {
        let respelled = operand::respell(&mut self.operands, names);
        if !respelled.is_empty() {
            self.target = self.signed();
            // It may be called like a type, and so may its family.
            let own = format!("{} {}", self.kind.word(), self.own_name());
            let family = self.family().map(|family| format!("FAMILY {}", words(&family).first().unwrap_or(&"")));
            let kept: Vec<String> = std::iter::once(own).chain(family).collect();
            self.definition = rewritten_but(&self.definition, &kept, &respelled);
        }
    }

    /// How statements name it, by its operands.
    fn signed(&self) -> String {
        match self.kind {
            PlainKind::Operator => format!("{} ({})", self.own_name(), operand::listed(&self.operands)),
            PlainKind::Cast => format!("({})", operand::listed(&self.operands).replacen(", ", " AS ", 1)),
            // Only what they are made of has types in it.
            PlainKind::OperatorFamily | PlainKind::OperatorClass => self.target.clone(),
            _ => format!("{}({})", self.own_name(), operand::listed(&self.operands)),
        }
    }

    /// As its target has it.
    fn own_name(&self) -> String {
        match self.kind {
            PlainKind::Operator => format!("{}.{}", shown(&self.name.schema), self.name.name),
            _ => self.name.shown(),
        }
    }

    /// The same under another name.
    pub fn named(&self, name: &Name) -> Plain {
        let mut named = Plain { name: name.clone(), ..self.clone() };
        // A cast has none in its statements.
        let (old, now, word) = (self.own_name(), named.own_name(), self.kind.word());
        if let Some(rest) = self.target.strip_prefix(&old) {
            named.target = format!("{now}{rest}");
            named.definition = self.definition.replace(&format!("{word} {old}"), &format!("{word} {now}"));
        }
        named
    }

    /// Can one become the other as it stands, in the middle of whatever needs it?
    pub fn is_like(&self, other: &Plain) -> bool {
        const CHANGING: [&str; 2] = ["RESTRICT", "JOIN"];
        let staying = |of: &Plain| -> Vec<String> {
            let items = of.items().into_iter();
            match of.kind {
                // What it finds rows by.
                PlainKind::Configuration | PlainKind::Dictionary => items.take(1).map(str::to_owned).collect(),
                _ => items.filter(|item| !CHANGING.contains(&key(item))).map(str::to_owned).collect(),
            }
        };
        match self.kind {
            PlainKind::Aggregate => true,
            PlainKind::Operator | PlainKind::Configuration | PlainKind::Dictionary => staying(self) == staying(other),
            PlainKind::OperatorFamily | PlainKind::OperatorClass => self.head() == other.head(),
            PlainKind::Cast | PlainKind::Conversion => false,
        }
    }

    /// What stands in parentheses where it is created, one by one: `LEFTARG = integer`.
    pub fn items(&self) -> Vec<&str> {
        let start = format!("CREATE {} {} (", self.kind.word(), self.own_name());
        let list = self.head().strip_prefix(&start).and_then(|rest| rest.strip_suffix(')'));
        list.map(|list| split(list, ',')).unwrap_or_default()
    }

    /// Of a configuration: the kinds of tokens that it knows dictionaries for, and the statements that say so.
    pub fn mappings(&self) -> impl Iterator<Item = (&str, &str)> {
        let start = format!("ALTER {} {} ADD MAPPING FOR ", self.kind.word(), self.own_name());
        let statements = split(&self.definition, ';').into_iter().skip(1);
        statements.filter_map(move |statement| Some((*words(statement.strip_prefix(&start)?).first()?, statement)))
    }

    /// What cannot become another one: its first statement, of an operator class without the members.
    fn head(&self) -> &str {
        let separator = if self.kind == PlainKind::OperatorClass { ',' } else { ';' };
        split(&self.definition, separator).first().copied().unwrap_or_default()
    }

    /// Of an operator family, or a class: `OPERATOR 1 s.<(s.t,s.t)`, `FUNCTION 1 (s.t, s.t) s.compare(s.t,s.t)`.
    pub fn members(&self) -> Vec<&str> {
        match self.kind {
            PlainKind::OperatorFamily => {
                let start = format!("ALTER {} {} ADD ", self.kind.word(), self.target);
                let statements = split(&self.definition, ';').into_iter().skip(1);
                statements.filter_map(|statement| statement.strip_prefix(&start)).collect()
            }
            PlainKind::OperatorClass => split(&self.definition, ',').into_iter().skip(1).collect(),
            _ => Vec::new(),
        }
    }

    /// How the statement that adds or drops a member names the family.
    pub fn family(&self) -> Option<String> {
        match self.kind {
            PlainKind::OperatorFamily => return Some(self.target.clone()),
            PlainKind::OperatorClass => {}
            _ => return None,
        }
        let words = words(self.head());
        let behind = |word: &str| words.iter().rposition(|of| *of == word).and_then(|at| words.get(at + 1));
        Some(format!("{} USING {}", behind("FAMILY")?, behind("USING")?))
    }
}

/// What a member of a family is found by: `OPERATOR 1 (s.t,s.t)`.
pub fn slot(member: &str) -> Option<String> {
    let words = words(member);
    let (what, number, third) = (words.first()?, words.get(1)?, words.get(2)?);
    let types = third.get(position(third, '(')?..)?;
    Some(format!("{what} {number} {types}"))
}

/// What an item is about.
pub fn key(item: &str) -> &str {
    item.split_once(" = ").map_or(item, |(key, _)| key)
}

/// With types under other names, but for these words.
fn rewritten_but(text: &str, kept: &[String], respelled: &operand::Respelled) -> String {
    match kept.split_first() {
        None => operand::rewritten(text, respelled),
        Some((word, others)) => {
            let pieces = text.split(word.as_str()).map(|piece| rewritten_but(piece, others, respelled));
            pieces.collect::<Vec<_>>().join(word)
        }
    }
}

fn words(text: &str) -> Vec<&str> {
    split(text, ' ')
}

/// At a character that is in no name, no text and no parentheses: whoever gives names on the source shall not write statements.
fn split(text: &str, at: char) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text;
    while let Some(found) = position(rest, at) {
        pieces.push(rest[..found].trim());
        rest = &rest[found + at.len_utf8()..];
    }
    pieces.push(rest.trim());
    pieces
}

/// Where it stands for the first time outside of those.
fn position(text: &str, wanted: char) -> Option<usize> {
    let (mut depth, mut quote) = (0_u32, None);
    for (at, c) in text.char_indices() {
        match (c, quote) {
            (c, None) if c == wanted && depth == 0 => return Some(at),
            ('\'' | '"', None) => quote = Some(c),
            (_, Some(open)) if open == c => quote = None,
            ('(', None) => depth += 1,
            (')', None) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(kind: PlainKind, name: &str, definition: &str) -> Plain {
        let (name, target) = (Name::new("s", name), format!("s.{name}"));
        Plain {
            oid: 1,
            level: 0,
            kind,
            name,
            target,
            operands: Vec::new(),
            definition: definition.to_owned(),
            blocked: false,
        }
    }

    #[test]
    fn what_it_is_made_of_is_read_from_its_statement() {
        let text = "CREATE TEXT SEARCH DICTIONARY s.d (TEMPLATE = pg_catalog.simple, \"odd, one\" = 'it''s, so', accept = 'f')";
        let of = plain(PlainKind::Dictionary, "d", text);
        assert_eq!(of.items(), ["TEMPLATE = pg_catalog.simple", "\"odd, one\" = 'it''s, so'", "accept = 'f'"]);
        assert_eq!(of.items().into_iter().map(key).collect::<Vec<_>>(), ["TEMPLATE", "\"odd, one\"", "accept"]);
        let text = "CREATE TEXT SEARCH CONFIGURATION s.c (PARSER = pg_catalog.\"default\");\n\
                    ALTER TEXT SEARCH CONFIGURATION s.c ADD MAPPING FOR word WITH s.d, s.e";
        let of = plain(PlainKind::Configuration, "c", text);
        assert_eq!(of.mappings().map(|(kind, _)| kind).collect::<Vec<_>>(), ["word"]);
        // Nobody writes statements by giving names.
        let name = "c;\nDROP TABLE x; -- ADD MAPPING FOR b WITH c";
        let text = text.replace("s.c", &format!("s.\"{name}\""));
        let odd = Plain { target: format!("s.\"{name}\""), ..plain(PlainKind::Configuration, name, &text) };
        assert_eq!(
            odd.mappings().map(|(kind, statement)| (kind, statement.starts_with("ALTER"))).collect::<Vec<_>>(),
            [("word", true)]
        );
        let other = of.named(&Name::new("t", "C"));
        assert_eq!((other.target.as_str(), other.definition), ("t.\"C\"", of.definition.replace("s.c", "t.\"C\"")));
    }

    #[test]
    fn members_of_a_family_are_read_from_its_statements() {
        let name = "f;\n, ( ADD OPERATOR 1 x";
        let (target, start) =
            (format!("s.\"{name}\" USING btree"), format!("ALTER OPERATOR FAMILY s.\"{name}\" USING btree ADD "));
        let text = format!(
            "CREATE OPERATOR FAMILY {target};\n{start}OPERATOR 1 s.<(integer,double precision);\n{start}FUNCTION 1 (s.t, s.\", )\") s.f(s.t)"
        );
        let family = Plain { target: target.clone(), ..plain(PlainKind::OperatorFamily, name, &text) };
        let members = family.members();
        assert_eq!(members, ["OPERATOR 1 s.<(integer,double precision)", "FUNCTION 1 (s.t, s.\", )\") s.f(s.t)"]);
        let slots: Vec<_> = members.iter().filter_map(|member| slot(member)).collect();
        assert_eq!(slots, ["OPERATOR 1 (integer,double precision)", "FUNCTION 1 (s.t, s.\", )\")"]);
        assert_eq!(family.family().as_deref(), Some(target.as_str()));
        let text = "CREATE OPERATOR CLASS s.c DEFAULT FOR TYPE s.\"x FAMILY y, z\" USING gist FAMILY t.f AS STORAGE box, OPERATOR 1 <<(box,box), \
                    OPERATOR 2 <->(box,box) FOR ORDER BY float_ops";
        let class = Plain { target: "s.c USING gist".to_owned(), ..plain(PlainKind::OperatorClass, "c", text) };
        assert_eq!(class.members(), ["OPERATOR 1 <<(box,box)", "OPERATOR 2 <->(box,box) FOR ORDER BY float_ops"]);
        assert_eq!(class.family().as_deref(), Some("t.f USING gist"));
        let fewer = Plain { definition: text.replace(", OPERATOR 1 <<(box,box)", ""), ..class.clone() };
        let another = Plain { definition: text.replace("DEFAULT ", ""), ..class.clone() };
        assert!(class.is_like(&fewer) && !class.is_like(&another));
    }

    #[test]
    fn what_is_called_like_a_type_keeps_its_name() {
        let mood = |text: &str| Plain {
            operands: vec![Operand { shown: "s.mood".to_owned(), of: Some((Class::Type, 7)) }],
            ..plain(PlainKind::OperatorClass, "mood", text)
        };
        let text = "CREATE OPERATOR CLASS s.mood FOR TYPE s.mood USING hash FAMILY s.mood AS STORAGE s.mood, FUNCTION 1 (s.mood, s.mood) s.h(s.mood)";
        let mut class = Plain { target: "s.mood USING hash".to_owned(), ..mood(text) };
        class.respell(&|_| Some(Name::new("s", "temper")));
        let expected = "CREATE OPERATOR CLASS s.mood FOR TYPE s.temper USING hash FAMILY s.mood AS STORAGE s.temper, FUNCTION 1 (s.temper, s.temper) \
                        s.h(s.temper)";
        assert_eq!((class.definition.as_str(), class.target.as_str()), (expected, "s.mood USING hash"));
        let mut aggregate = Plain {
            kind: PlainKind::Aggregate,
            target: "s.mood(s.mood)".to_owned(),
            ..mood("CREATE AGGREGATE s.mood(s.mood) (SFUNC = f, STYPE = s.mood)")
        };
        aggregate.respell(&|_| Some(Name::new("s", "temper")));
        assert_eq!(aggregate.definition, "CREATE AGGREGATE s.mood(s.temper) (SFUNC = f, STYPE = s.temper)");
        assert_eq!(aggregate.target, "s.mood(s.temper)");
    }

    #[test]
    fn each_kind_is_called_as_the_server_calls_it() {
        for (kind, before, identity, after) in [
            (PlainKind::Operator, "s.|> (s.a, integer)", "operator s.|>(s.b,integer)", "s.|> (s.b, integer)"),
            (PlainKind::Operator, "s.! (NONE, text)", "operator s.!(NONE,pg_catalog.text)", "s.! (NONE, text)"),
            (PlainKind::Aggregate, "s.ag(s.a)", "aggregate s.ag(s.b)", "s.ag(s.b)"),
            (PlainKind::Aggregate, "s.ag(*)", "aggregate s.ag()", "s.ag(*)"),
            (PlainKind::Cast, "(s.e1 AS text)", "cast (s.e2 AS pg_catalog.text)", "(s.e2 AS text)"),
            (PlainKind::Configuration, "s.c", "text search configuration t.c", "t.c"),
            (PlainKind::Dictionary, "s.d", "function s.d()", "s.d"),
        ] {
            let (name, definition) = (Name::new("s", "x"), String::new());
            let (target, operands) = (before.to_owned(), Vec::new());
            let mut of = Plain { oid: 1, level: 0, kind, name, target, operands, definition, blocked: false };
            of.is_called(identity);
            assert_eq!(of.target, after, "{identity}");
        }
    }
}
