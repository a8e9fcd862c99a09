//! `courier.copy_large_objects()`: the large objects of the database, which no stream carries.
//!
//! They belong to no table, and the server decodes nothing of them. So they are compared, some at a time, by the hashes of what they hold,
//! and what differs is sent; as often as somebody asks, the last time when nobody writes on the source any more. One that is gone on the
//! source stays: nobody knows whose it is there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::complete::reach;
use crate::catalog::Task;
use crate::destination::Destination;
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::Row;
use crate::logicalrep::array::oid_array;
use crate::logicalrep::names::shown;
use crate::logicalrep::words::counted;
use crate::source::{self, Asker, Source};

/// As many are compared at once.
const AT_ONCE: &str = "200";
/// A round of the copy ends when it has sent so much.
const ENOUGH: i64 = 64 << 20;

const SIZES: &str = include_str!("../../sql/query/large_objects/sizes.sql");
const LIST: &str = include_str!("../../sql/query/large_objects/list.sql");
const STATE: &str = include_str!("../../sql/query/large_objects/state.sql");

/// What is not the same on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LargeObjectState {
    Missing,
    /// It holds something else.
    Different,
    /// It is the same, but its owner or its privileges are not.
    Privileges,
    /// The owner of the task may not read it here, or the task's user there.
    Unreadable,
    /// It is on the destination only.
    Extra,
}

impl LargeObjectState {
    pub fn as_str(self) -> &'static str {
        match self {
            LargeObjectState::Missing => "missing",
            LargeObjectState::Different => "different",
            LargeObjectState::Privileges => "privileges",
            LargeObjectState::Unreadable => "unreadable",
            LargeObjectState::Extra => "not on the source",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LargeObjectLine {
    pub oid: u32,
    pub state: LargeObjectState,
    pub bytes_here: Option<i64>,
    pub bytes_there: Option<i64>,
    /// What to run on the destination, where that is all.
    pub statement: Option<String>,
}

/// What a round of the copy has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LargeObjectRound {
    /// The next begins behind this one; none when all have had their turn.
    pub last: Option<u32>,
    pub sent: i64,
    pub bytes: i64,
    /// What is not the same afterwards.
    pub left: i64,
}

/// One side's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Side {
    bytes: Option<i64>,
    hash: Option<String>,
    owner: String,
    grants: BTreeSet<LoGrant>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct LoGrant {
    /// None: everybody.
    role: Option<String>,
    privilege: String,
    grantable: bool,
}

type Sides = BTreeMap<u32, Side>;

/// All that are not the same.
pub fn differences(task: &Task) -> Result<Vec<LargeObjectLine>> {
    let mut lines = Vec::new();
    look_through(task, |oid, here, there| lines.extend(line(oid, here, there)))?;
    Ok(lines)
}

/// What both sides have in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LargeObjectTotals {
    pub here: LargeObjectTotal,
    pub there: LargeObjectTotal,
    /// Those that hold something else, or are on one side only; some of them.
    pub differing: Vec<u32>,
    /// Somebody else's here or there: nobody knows what they hold.
    pub unreadable: u64,
}

/// One side's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LargeObjectTotal {
    pub count: u64,
    /// Of the oids and what they hold.
    pub sum: u64,
}

impl LargeObjectTotal {
    fn add(&mut self, oid: u32, side: &Side) {
        let hash = side.hash.as_deref().and_then(|hash| u64::from_str_radix(hash.get(..16)?, 16).ok());
        self.count += 1;
        self.sum = self.sum.wrapping_add(hash.unwrap_or_default().wrapping_add(1).wrapping_mul(u64::from(oid) | 1));
    }
}

/// None where the source has none: those of the destination are nobody's business then.
pub fn totals(task: &Task) -> Result<Option<LargeObjectTotals>> {
    const SHOWN: usize = 10;
    if next(source::of(task).as_mut(), 0)?.is_empty() {
        return Ok(None);
    }
    let mut totals = LargeObjectTotals::default();
    look_through(task, |oid, here, there| {
        here.iter().for_each(|side| totals.here.add(oid, side));
        there.iter().for_each(|side| totals.there.add(oid, side));
        match line(oid, here, there).map(|line| line.state) {
            Some(LargeObjectState::Unreadable) => totals.unreadable += 1,
            Some(LargeObjectState::Privileges) | None => {}
            Some(_) if totals.differing.len() < SHOWN => totals.differing.push(oid),
            Some(_) => {}
        }
    })?;
    Ok(Some(totals))
}

/// Each that is on one side or on both.
fn look_through(task: &Task, mut each: impl FnMut(u32, Option<&Side>, Option<&Side>)) -> Result<()> {
    let (mut source, mut destination) = (source::of(task), reach(task, true)?);
    let mut last = 0;
    loop {
        let here = next(source.as_mut(), last)?;
        let there = destination.large_objects_behind(last, AT_ONCE)?;
        // Both lists end somewhere else: the nearer end is that of this round.
        let ends = [&here, &there].map(|list| list.last().copied().filter(|_| list.len() == as_number(AT_ONCE)));
        let end = ends.into_iter().flatten().min();
        let is_now = |oid: &&u32| end.is_none_or(|end| **oid <= end);
        let oids: BTreeSet<u32> = here.iter().chain(&there).filter(is_now).copied().collect();
        if !oids.is_empty() {
            let (here, there) = (ask_here(source.as_mut(), &oids)?, ask_there(&mut destination, &oids)?);
            oids.iter().for_each(|oid| each(*oid, here.get(oid), there.get(oid)));
        }
        match end {
            Some(end) => last = end,
            None => return Ok(()),
        }
    }
}

/// Makes some of them the same, those behind `last`: one transaction there.
pub fn copy_some(task: &Task, last: u32) -> Result<LargeObjectRound> {
    let (mut source, mut destination) = (source::of(task), reach(task, false)?);
    let wanted = next_round(source.as_mut(), last)?;
    let mut round = LargeObjectRound { last: wanted.last().copied(), ..LargeObjectRound::default() };
    if wanted.is_empty() {
        return Ok(round);
    }
    let (here, there) = (ask_here(source.as_mut(), &wanted)?, ask_there(&mut destination, &wanted)?);
    destination.in_transaction(|destination| {
        for oid in &wanted {
            match line(*oid, here.get(oid), there.get(oid)).map(|line| line.state) {
                Some(LargeObjectState::Missing | LargeObjectState::Different) => {
                    destination.begin_step()?;
                    match send(source.as_mut(), destination, *oid, there.contains_key(oid)) {
                        Ok(bytes) => {
                            destination.end_step()?;
                            round.sent += i64::from(bytes.is_some());
                            round.bytes += bytes.unwrap_or_default();
                        }
                        // It is somebody else's there: the others go on.
                        Err(error) if error.sqlstate() == sqlstate::INSUFFICIENT_PRIVILEGE => {
                            destination.undo_step()?;
                            round.left += 1;
                        }
                        Err(error) => return Err(error),
                    }
                }
                Some(LargeObjectState::Unreadable) => round.left += 1,
                Some(LargeObjectState::Privileges | LargeObjectState::Extra) | None => {}
            }
        }
        Ok(())
    })?;
    let there = ask_there(&mut destination, &wanted)?;
    for (oid, here) in &here {
        let Some(there) = there.get(oid) else { continue };
        let refused = privileges(*oid, here, there).iter().filter(|sql| destination.run_together(sql).is_err()).count();
        round.left += i64::from(refused > 0);
    }
    Ok(round)
}

/// Says what a whole copy came to.
pub fn tell(task: &Task, sent: i64, bytes: i64, left: i64) -> Result<()> {
    let what = format!("{} copied to the destination", counted(sent as u64, "large object"));
    let detail = format!(
        "{} kB. {left} are not the same there: SELECT * FROM courier.large_objects('{}');",
        bytes / 1024,
        task.name
    );
    task.record_event("large objects", &what, Some(&detail))
}

fn as_number(text: &str) -> usize {
    text.parse().unwrap_or(usize::MAX)
}

/// As many as have to be looked through at once: up to 64 MB, or one.
fn next_round(source: &mut dyn Source, last: u32) -> Result<BTreeSet<u32>> {
    let rows = source.ask(Asker::Extension, SIZES, &[Some(&last.to_string()), Some(AT_ONCE)])?;
    let (mut round, mut bytes) = (BTreeSet::new(), 0);
    for row in &rows {
        bytes += row.parse::<i64>("bytes")?;
        if bytes > ENOUGH && !round.is_empty() {
            break;
        }
        round.insert(row.parse("loid")?);
    }
    Ok(round)
}

fn next(source: &mut dyn Source, last: u32) -> Result<Vec<u32>> {
    oids(&source.ask(Asker::Extension, LIST, &[Some(&last.to_string()), Some(AT_ONCE)])?)
}

fn oids(rows: &[Row]) -> Result<Vec<u32>> {
    rows.iter().map(|row| row.parse("loid")).collect()
}

/// With the rights of the task's owner: nobody sends what he may not read.
fn ask_here(source: &mut dyn Source, oids: &BTreeSet<u32>) -> Result<Sides> {
    sides(&source.ask(Asker::Owner, STATE, &[Some(&oid_array(oids.iter().copied()))])?)
}

fn ask_there(destination: &mut Destination, oids: &BTreeSet<u32>) -> Result<Sides> {
    sides(&destination.large_objects(STATE, &oid_array(oids.iter().copied()))?)
}

fn sides(rows: &[Row]) -> Result<Sides> {
    let side = |row: &Row| {
        let bytes = row.opt("bytes").map(|_| row.parse("bytes")).transpose()?;
        let grants = grants(row.text("grants")?)?;
        let side = Side { bytes, hash: row.opt_string("hash"), owner: row.string("owner")?, grants };
        Ok((row.parse("loid")?, side))
    };
    rows.iter().map(side).collect()
}

fn grants(text: &str) -> Result<BTreeSet<LoGrant>> {
    let unlike = || Error::internal("privileges of a large object are not what was asked for");
    let list: Vec<(Option<String>, String, Value)> = serde_json::from_str(text).map_err(|_| unlike())?;
    Ok(list
        .into_iter()
        .map(|(role, privilege, grantable)| LoGrant { role, privilege, grantable: grantable == Value::Bool(true) })
        .collect())
}

fn line(oid: u32, here: Option<&Side>, there: Option<&Side>) -> Option<LargeObjectLine> {
    let (bytes_here, bytes_there) = (here.and_then(|of| of.bytes), there.and_then(|of| of.bytes));
    let of = |state, statement| Some(LargeObjectLine { oid, state, bytes_here, bytes_there, statement });
    let (here, there) = match (here, there) {
        (None, None) => return None,
        (None, Some(_)) => return of(LargeObjectState::Extra, Some(format!("SELECT pg_catalog.lo_unlink({oid});"))),
        (Some(here), None) if here.hash.is_some() => return of(LargeObjectState::Missing, None),
        (Some(_), None) => return of(LargeObjectState::Unreadable, None),
        (Some(here), Some(there)) => (here, there),
    };
    match (&here.hash, &there.hash) {
        (Some(one), Some(other)) if one == other => {
            let statements = privileges(oid, here, there);
            if statements.is_empty() { None } else { of(LargeObjectState::Privileges, Some(statements.join(" "))) }
        }
        (Some(_), Some(_)) => of(LargeObjectState::Different, None),
        _ => of(LargeObjectState::Unreadable, None),
    }
}

/// What gives an object its owner and privileges: the owner last, who may take them back.
fn privileges(oid: u32, here: &Side, there: &Side) -> Vec<String> {
    let role = |grant: &LoGrant| grant.role.as_deref().map_or("PUBLIC".to_owned(), shown);
    let revoked = there
        .grants
        .difference(&here.grants)
        .map(|grant| format!("REVOKE {} ON LARGE OBJECT {oid} FROM {};", grant.privilege, role(grant)));
    let granted = here.grants.difference(&there.grants).map(|grant| {
        let option = if grant.grantable { " WITH GRANT OPTION" } else { "" };
        format!("GRANT {} ON LARGE OBJECT {oid} TO {}{option};", grant.privilege, role(grant))
    });
    let owned =
        (here.owner != there.owner).then(|| format!("ALTER LARGE OBJECT {oid} OWNER TO {};", shown(&here.owner)));
    revoked.chain(granted).chain(owned).collect()
}

/// Its bytes, as they are at one moment; how many. None when it has gone meanwhile.
fn send(source: &mut dyn Source, destination: &mut Destination, oid: u32, is_there: bool) -> Result<Option<i64>> {
    const PIECE: i64 = 1 << 20;
    let number = oid.to_string();
    let value = |rows: Vec<Row>| rows.first().map_or(Ok(String::new()), |row| row.string(0));
    // What is read through it is of the moment at which it was opened.
    let sql =
        "SELECT pg_catalog.lo_open(m.oid, 262144) FROM pg_catalog.pg_largeobject_metadata m WHERE m.oid = $1::oid";
    let opened = source.ask(Asker::Owner, sql, &[Some(&number)])?;
    if opened.is_empty() {
        return Ok(None);
    }
    let descriptor = value(opened)?;
    if !is_there {
        destination.create_large_object(&number)?;
    }
    let mut sent = 0;
    loop {
        let sql = "SELECT pg_catalog.encode(pg_catalog.loread($1::int4, $2::int4), 'hex')";
        let piece = value(source.ask(Asker::Owner, sql, &[Some(&descriptor), Some(&PIECE.to_string())])?)?;
        let bytes = (piece.len() / 2) as i64;
        if bytes > 0 {
            destination.write_large_object(&number, sent, &piece)?;
        }
        sent += bytes;
        if bytes < PIECE {
            break;
        }
    }
    source.ask(Asker::Owner, "SELECT pg_catalog.lo_close($1::int4)", &[Some(&descriptor)])?;
    if is_there {
        destination.truncate_large_object(&number, sent)?;
    }
    Ok(Some(sent))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(hash: Option<&str>, owner: &str, grants: &[(Option<&str>, bool)]) -> Side {
        let grants = grants.iter().map(|(role, grantable)| LoGrant {
            role: role.map(str::to_owned),
            privilege: "SELECT".to_owned(),
            grantable: *grantable,
        });
        Side {
            bytes: hash.map(|_| 1),
            hash: hash.map(str::to_owned),
            owner: owner.to_owned(),
            grants: grants.collect(),
        }
    }

    #[test]
    fn what_is_not_the_same_says_how() {
        let state = |here: Option<Side>, there: Option<Side>| {
            line(1, here.as_ref(), there.as_ref()).map(|line| line.state.as_str())
        };
        let (a, b, hidden) = (side(Some("a"), "o", &[]), side(Some("b"), "o", &[]), side(None, "o", &[]));
        assert_eq!(state(Some(a.clone()), Some(a.clone())), None);
        assert_eq!(state(Some(a.clone()), Some(b)), Some("different"));
        assert_eq!(state(Some(a.clone()), None), Some("missing"));
        assert_eq!(state(None, Some(a.clone())), Some("not on the source"));
        assert_eq!(state(Some(hidden.clone()), None), Some("unreadable"));
        assert_eq!(state(Some(a.clone()), Some(hidden.clone())), Some("unreadable"));
        assert_eq!(state(Some(hidden), Some(a.clone())), Some("unreadable"));
        assert_eq!(state(Some(a), Some(side(Some("a"), "p", &[]))), Some("privileges"));
    }

    #[test]
    fn the_owner_comes_last() {
        let here = side(Some("a"), "her", &[(None, false), (Some("My role"), true)]);
        let there = side(Some("a"), "courier", &[(Some("old"), false)]);
        let expected = "REVOKE SELECT ON LARGE OBJECT 7 FROM old; GRANT SELECT ON LARGE OBJECT 7 TO PUBLIC; \
                        GRANT SELECT ON LARGE OBJECT 7 TO \"My role\" WITH GRANT OPTION; ALTER LARGE OBJECT 7 OWNER TO her;";
        assert_eq!(privileges(7, &here, &there).join(" "), expected);
        assert!(privileges(7, &here, &here).is_empty());
    }
}
