//! How the values of a column are cast when it gets another type.
//!
//! The source may have cast by any expression. Where that writes the rows anew they come from there, into an empty column, and all that a
//! cast must be is one that the server knows: that is so through text, between any types. Where no row is written anew (a longer
//! `varchar`, a domain) the cast must be the plain one, or the destination would write them.

/// Oids of the server's own types, the same on every major: those of a line are cast to each other as they are.
const LIKE: &[&[u32]] = &[
    // smallint, integer, bigint, real, double precision, numeric, money
    &[21, 23, 20, 700, 701, 1700, 790],
    // date, timestamp, timestamp with time zone
    &[1082, 1114, 1184],
    // time, time with time zone, interval
    &[1083, 1266, 1186],
    // boolean, integer
    &[16, 23],
    // bit, bit varying
    &[1560, 1562],
    // cidr, inet
    &[650, 869],
    // json, jsonb
    &[114, 3802],
    // oid, bigint, integer, regclass
    &[26, 20, 23, 2205],
    // Arrays of texts.
    &[1009, 1014, 1015],
];
/// "char", name, text, character, character varying: anything is cast to them and from them.
const TEXTS: &[u32] = &[18, 19, 25, 1042, 1043];

/// A type, as far as its casts are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Castable {
    pub oid: u32,
    /// Cast as what it is a domain of.
    pub is_domain: bool,
}

pub fn is_by_text(from: Castable, to: Castable) -> bool {
    let is_text = |of: Castable| TEXTS.contains(&of.oid);
    let is_plain = from.oid == to.oid
        || from.is_domain
        || to.is_domain
        || is_text(from)
        || is_text(to)
        || LIKE.iter().any(|line| line.contains(&from.oid) && line.contains(&to.oid));
    !is_plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cast_as_it_is() {
        let of = |oid| Castable { oid, is_domain: false };
        let domain = Castable { oid: 20_000, is_domain: true };
        const ENUM: u32 = 30_000;
        const UUID: u32 = 2950;
        let cases = [
            (of(23), of(20), false),
            (of(23), of(25), false),
            (of(ENUM), of(25), false),
            (of(1043), of(ENUM), false),
            (of(1700), of(1700), false),
            (of(23), domain, false),
            (domain, of(UUID), false),
            (of(16), of(23), false),
            (of(16), of(20), true),
            (of(ENUM), of(ENUM + 1), true),
            (of(23), of(UUID), true),
            (of(1082), of(1083), true),
        ];
        for (from, to, by_text) in cases {
            assert_eq!(is_by_text(from, to), by_text, "{from:?} {to:?}");
        }
    }
}
