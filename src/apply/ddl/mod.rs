//! Commands of the source, applied: in the transaction that brings them, at their place among its rows.
//!
//! ```text
//!   rows before it ... | savepoint, steps, model, note | rows after it ... | progress, commit | next group
//!        flushed               in the first session             as ever         awaited
//! ```
//! Rows before the command are sent first, the second session is closed (its locks would be a deadlock that the destination cannot see),
//! and the next group begins when this one has committed, so that a label which an enum got can be used there. A lock that is not to be
//! had within two seconds is given up, so that nobody there waits behind us for longer, and tried again: the order of everything stays.
//! What takes long and no row needs (an index of a large table, a validation, a partition that leaves, the rows of a view) is left to another session (`aside.rs`).

mod aside;
mod called;
mod caught_up;
mod code;
mod decide;
pub mod define;
mod detach;
mod done;
mod echo;
mod held;
mod leave;
mod notice;
mod refresh;
mod refuse;
mod rows;
mod run;
mod signed;
mod way;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Instant;

use self::decide::{Decided, ModelBefore, Said, decide};
use self::done::Done;
use super::applier::Applier;
use super::definitions::RowsAnew;
use crate::destination::aside::{LeftBy, Pending};
use crate::destination::{CommandDone, Destination, OnLockWait};
use crate::error::{Error, Result, sqlstate};
use crate::logicalrep::{CopySnapshot, TableName, Transaction};
use crate::schema::aside::Aside;
use crate::schema::captured::{Captured, Taker};
use crate::schema::deparse::postgres::{self, Emptying};
use crate::schema::image::{Class, Image, Name, Table};
use crate::schema::model::{Known, Standing};
use crate::schema::scope::Object;
use crate::select::{Selection, leftovers};

/// A row of `courier.ddl_log`.
#[derive(Clone, Debug)]
pub struct Command {
    pub id: i64,
    /// The snapshot under which it was written.
    pub snapshot: String,
    /// `schema::captured::Captured`, as JSON.
    pub image: String,
    pub tag: String,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Applied,
    /// Nothing of it concerns the task.
    Filtered,
    /// A person had something else run.
    Replaced,
    /// Nobody wanted it.
    Skipped,
    /// All but parts that rows do not need.
    Held,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            State::Applied => "applied",
            State::Filtered => "filtered",
            State::Held => "held",
            State::Replaced => "replaced",
            State::Skipped => "skipped",
        }
    }
}

const TOLD_LATER: &str =
    "Somebody held a lock on it on the source: how it is now is told by the next sweep (SWEEP), within seconds.";

const NOT_READ: &str = "What it made could not be read on the source, whose log says why: how that is now is told by the next sweep (SWEEP), within seconds.";

/// A table whose rows come in the stream, and what it is called on the destination, if it is there.
type Loaded = (u32, Option<Name>);

impl Applier {
    /// Applies a command of the transaction.
    pub fn command(&mut self, transaction: &Transaction, command: &Command) -> Result<()> {
        self.enter(transaction);
        self.writer.group.count(1, 0);
        self.writer.group.applied.commands += 1;
        let begin = Instant::now();
        let mut captured = refuse::read(command)?;
        captured.becomes_logged();
        if transaction.is_echo {
            return self.hear_echo(transaction, command, captured);
        }
        let decision = self.decisions.get(&command.id).cloned();
        if captured.is_approved_for_others(self.writer.task_id()) {
            return self.pass_command(command, State::Filtered, None);
        }
        if matches!(decision, Some(None)) || self.definitions.is_skipped(&captured) {
            self.definitions.skip(&captured);
            captured.rewrite.iter().for_each(|rewrite| self.selection.keep_rows(rewrite.table));
            return self.pass_command(command, State::Skipped, None);
        }
        if decision.is_none() && self.stops_at_commands {
            return self.stop_at(command, &captured);
        }
        if captured.is_told_later() {
            return self.pass_command(command, State::Filtered, Some(TOLD_LATER));
        }
        let (is_decided, by_hand) = (decision.is_some(), decision.flatten());
        let snapshot = CopySnapshot::of_moment(&command.snapshot).map_err(Error::internal)?;
        let xid = snapshot.full(transaction.xid);
        self.stand_still()?;
        let task_id = self.writer.task_id().to_owned();
        let selection = self.selection.clone();
        let followed = selection.known().into_iter().chain(self.entering.iter().copied()).collect();
        let pending = self.pending()?;
        let awaits_copies = self.copies || !self.entering.is_empty();
        let destination = self.writer.lanes.plain()?.exchange();
        leave_out_gone(destination, &task_id, xid, &snapshot, &mut captured)?;
        let before = model(destination, &task_id, &captured, &pending, followed)?;
        refuse::check_read(command, &captured, &before)?;
        if !is_decided {
            let is_named = |name: &Name| selection.names(&TableName::new(&name.schema, &name.name), &[]);
            refuse::check_policies(&self.policies, command, &captured, &before, is_named)?;
        }
        let causes = signed::causes(&captured.causes, &before.model);
        let available = self.writer.lanes.plain()?.exchange().available(&causes)?;
        self.feed(&mut captured, &before, &available);
        let loads = self.loads(xid, &captured, &before)?;
        let destination = self.writer.lanes.plain()?.exchange();
        let said = Said {
            xid,
            snapshot: &snapshot,
            captured: &captured,
            loads: loads.as_ref().map(|(table, _)| *table),
            trust: &self.trust,
            policies: &|kind, name| self.policies.policy(kind, name),
            available: &available,
        };
        let left_behind = left_behind(&selection, &captured);
        let names = |name: &Name, parents: &[u32]| {
            !left_behind.contains(name) && selection.names(&TableName::new(&name.schema, &name.name), parents)
        };
        let mut decided = decide(&said, before, names).map_err(Error::internal)?;
        let freed = way::make(destination, &task_id, &mut decided)?;
        refuse::refuse_taken(destination, &decided, &freed.names)?;
        refuse::refuse_names_of_others(destination, &task_id, command, &mut decided)?;
        let emptied = loads.as_ref().and_then(|(table, name)| Some((*table, name.as_ref()?)));
        let queue = aside::Queue {
            task_id: &task_id,
            pending,
            emptied: emptied.map(|(table, _)| table),
            captured: &captured,
            fits_together: !awaits_copies && decided.enter.is_empty() && selection.has_passed_copies(transaction),
        };
        let mut divided = aside::divide(destination, command, &decided, queue)?;
        divided.way = freed.items;
        let emptyings = emptyings(&decided, emptied);
        let work =
            Work { command, task_id: &task_id, emptyings: &emptyings, divided: &divided, on_wait: &*self.on_wait };
        let (objects, done) = match &by_hand {
            None => apply(destination, &work)?,
            Some(statement) => {
                let said = run::run_by_hand(destination, &work, statement)?;
                (Vec::new(), Done { said, ..Done::default() })
            }
        };
        code::note_not_taken(&mut decided, &done.not_taken);
        divided.left.forget_not_taken(&done.not_taken);
        let concerns = !decided.frozen.held_by(&command.tag).is_empty()
            || !decided.untrusted.is_empty()
            || !decided.store.is_empty()
            || !decided.forget.is_empty()
            || emptied.is_some();
        let mut held = held::held(destination, command, &decided)?;
        held.extend(code::left_out(command.id, &decided, &done.not_taken));
        let state = match (by_hand.is_some(), concerns, held.is_empty()) {
            (true, ..) => State::Replaced,
            (_, false, _) => State::Filtered,
            (_, true, true) => State::Applied,
            (_, true, false) => State::Held,
        };
        let left_out = match state {
            State::Filtered if captured.is_unread => Some(NOT_READ.to_owned()),
            _ => (!held.is_empty()).then(|| held.join(" ")),
        };
        destination.store_model(&task_id, decided.store.iter())?;
        destination.bury(&task_id, &decided.forget, &decided.retired, xid)?;
        let ms = begin.elapsed().as_millis() as i64;
        let left = &divided.left;
        let note = CommandDone {
            id: command.id,
            state: aside::state(left, state.as_str()),
            note: left_out.as_deref(),
            objects: &objects,
            statements: &done.said,
            ms,
        };
        destination.note_command(&task_id, &note)?;
        let at_last = LeftBy { command: command.id, state_after: state.as_str().to_owned(), note_after: left_out };
        left.store(destination, &task_id, &at_last)?;
        self.has_asides |= left.waits();
        crate::failpoint::hit("apply_after_ddl")?;
        self.stands_alone = true;
        self.entering.extend(decided.enter.iter().map(|(oid, _)| *oid));
        self.take_notice(transaction, &decided);
        match loads {
            Some((table, _)) => self.selection.reload([table]),
            None => match captured.rewrite {
                Some(rewrite) => self.selection.keep_rows(rewrite.table),
                None => self.command_ends(),
            },
        }
        decided.follow.iter().try_for_each(|(table, ..)| self.play_awaited(transaction, *table))
    }

    /// Columns that the destination cannot generate come in the stream.
    fn feed(&self, captured: &mut Captured, before: &ModelBefore, available: &[Object]) {
        let columns = |known: &Known| -> Vec<(u32, i16)> {
            let tables = known.kept.image.tables.iter();
            tables.flat_map(|of| of.columns.iter().filter(|c| c.fed).map(|c| (of.oid, c.attnum))).collect()
        };
        let fed: HashSet<(u32, i16)> = before.model.values().flat_map(columns).collect();
        let followed: Vec<u32> = before.followed.iter().copied().collect();
        let taker = Taker { trust: &self.trust, available, applied: &HashSet::new(), leaving: &HashSet::new() };
        captured.feed(&followed, &taker, &fed);
    }

    /// Nothing of it is applied. The model does not have it either: what comes next of its objects brings it.
    fn pass_command(&mut self, command: &Command, state: State, note: Option<&str>) -> Result<()> {
        self.stand_still()?;
        self.stands_alone = true;
        let task_id = self.writer.task_id().to_owned();
        let (id, state) = (command.id, state.as_str());
        let note = CommandDone { id, state, note, objects: &[], statements: &[], ms: 0 };
        self.writer.lanes.plain()?.exchange().note_command(&task_id, &note)
    }

    /// The task is to stop at commands that concern its tables.
    fn stop_at(&mut self, command: &Command, captured: &Captured) -> Result<()> {
        let dropped = captured.dropped.iter().map(|dropped| (dropped.class, dropped.oid));
        let mut tables = captured.touched.iter().copied().chain(dropped).filter(|(class, _)| *class == Class::Relation);
        if !tables.any(|(_, oid)| self.selection.follows(oid)) {
            return Ok(());
        }
        Err(Error::new(
            sqlstate::OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("{} concerns tables of the task, which stops at commands", command.tag),
        )
        .detail(format!("It is command {} of courier.ddl. Nothing of its transaction has been applied.", command.id))
        .hint(format!("Do the same on the destination, then SELECT courier.ddl_skip({{task}}, {});", command.id)))
    }

    /// The table whose rows come in the stream behind the command.
    fn loads(&mut self, xid: u64, captured: &Captured, before: &ModelBefore) -> Result<Option<Loaded>> {
        let Some(rewrite) = captured.rewrite else { return Ok(None) };
        if before.has_seen(&(Class::Relation, rewrite.table), xid).map_err(Error::internal)? {
            // The table's copy has these rows.
            return Ok(None);
        }
        if self.has_left_for_good(rewrite.table, captured, before) {
            return Ok(None);
        }
        let known = |oid: u32| before.model.get(&(Class::Relation, oid))?.kept.image.tables.first().cloned();
        Ok(match self.way_of_rows(rewrite, captured, known) {
            RowsAnew::Computed => None,
            RowsAnew::Sent => Some((rewrite.table, known(rewrite.table).map(|table| table.name))),
        })
    }

    /// Is it a table whose rows are no matter of the task any more, and do not become one?
    fn has_left_for_good(&self, table: u32, captured: &Captured, before: &ModelBefore) -> bool {
        let Some(known) = before.model.get(&(Class::Relation, table)) else { return false };
        let named = |of: &Table| {
            let parents: Vec<u32> = of.parents.iter().map(|parent| parent.oid).collect();
            !of.unlogged && self.selection.names(&TableName::new(&of.name.schema, &of.name.name), &parents)
        };
        let now = captured.image.tables.iter().find(|of| of.oid == table);
        match known.standing {
            Standing::Followed | Standing::Entering => false,
            Standing::Passing => true,
            Standing::Left => !now.is_some_and(named),
        }
    }

    /// The destination's model says which tables are followed, and under which names, at the position of the stream: they may have joined
    /// or left since the source last heard of it.
    pub fn follow_model(&mut self) -> Result<()> {
        self.apply_capture = Some(Applier::apply_capture);
        let task_id = self.writer.task_id().to_owned();
        let destination = self.writer.lanes.plain()?.exchange();
        let tables = destination.model_tables(&task_id)?;
        // One without tables is a model, too: all of them may have been dropped.
        if tables.is_empty() && !destination.has_model(&task_id)? {
            return Ok(());
        }
        // Whether that is so is asked when it matters.
        self.has_asides = true;
        let mut lacks_copy = false;
        let told = self.applied();
        self.selection.change(|coverage| {
            lacks_copy = notice::adopt(coverage, &tables);
            coverage.told = told;
        });
        self.copies = lacks_copy;
        Ok(())
    }

    /// Everything before is sent and answered; the group is a block, in the first session, and nothing else is under way.
    fn stand_still(&mut self) -> Result<()> {
        self.send_waiting()?;
        self.writer.lanes.pipeline()?;
        self.writer.lanes.settle()?;
        self.writer.lanes.second.close();
        self.writer.open_block()?;
        // What is looked at before the commit may be gone by then.
        self.writer.send_probes()?;
        self.writer.lanes.settle()
    }

    /// From now on the stream goes by what was decided. If the transaction fails, the worker starts anew and reads it there.
    fn take_notice(&mut self, transaction: &Transaction, decided: &Decided) {
        self.writer.forget_tables();
        if decided.follow.is_empty() && decided.unfollow.is_empty() && decided.enter.is_empty() {
            return;
        }
        self.selection.change(|coverage| {
            notice::note(coverage, decided);
            coverage.told = transaction.commit_lsn;
        });
    }
}

/// What was dropped beside the transaction does not come to life again with an image that was read before.
fn leave_out_gone(
    destination: &mut Destination,
    task_id: &str,
    xid: u64,
    snapshot: &CopySnapshot,
    captured: &mut Captured,
) -> Result<()> {
    let objects: Vec<Object> = captured.image.roots().collect();
    if objects.is_empty() {
        return Ok(());
    }
    let buried = destination.buried(task_id, &objects)?;
    let unseen = buried.into_iter().filter(|(_, by)| *by != xid && !snapshot.shows(*by)).map(|(object, _)| object);
    captured.leave_out(&unseen.collect());
    Ok(())
}

/// What the model has of everything that the command is about.
fn model(
    destination: &mut Destination,
    task_id: &str,
    captured: &Captured,
    pending: &[Pending],
    followed: HashSet<u32>,
) -> Result<ModelBefore> {
    let image = &captured.image;
    let mut objects: Vec<Object> = captured.touched.iter().copied().chain(image.roots()).collect();
    objects.extend(captured.rewrite.iter().map(|rewrite| (Class::Relation, rewrite.table)));
    objects.extend(captured.dropped.iter().map(|dropped| (dropped.class, dropped.oid)));
    objects.extend(&captured.taken);
    objects.extend(captured.causes.iter().map(|(object, _)| *object).filter(|object| object.0.is_code()));
    objects.extend(image.tables.iter().flat_map(|of| of.parents.iter().map(|parent| (Class::Relation, parent.oid))));
    objects.sort_unstable();
    objects.dedup();
    let mut known: BTreeMap<Object, Known> = destination.model_of(task_id, &objects)?.into_iter().collect();
    // All that is in a schema which has got another name.
    for schema in &captured.image.schemas {
        let old = known.get(&(Class::Namespace, schema.oid)).map(|known| known.kept.name().1.to_owned());
        if let Some(old) = old.filter(|old| *old != schema.name) {
            known.extend(destination.model_in(task_id, &old)?);
        }
    }
    // The parents from which tables part.
    let parents: Vec<Object> = known
        .values()
        .flat_map(|known| known.kept.image.tables.iter().flat_map(|table| &table.parents))
        .map(|parent| (Class::Relation, parent.oid))
        .filter(|object| !known.contains_key(object))
        .collect();
    if !parents.is_empty() {
        known.extend(destination.model_of(task_id, &parents)?);
    }
    aside::know(destination, task_id, &mut known, pending)?;
    let signed: BTreeSet<Object> =
        known.values().map(|known| &known.kept.image).chain([image]).flat_map(Image::operands).collect();
    let types = destination.type_names(task_id, signed)?;
    Ok(ModelBefore { model: known, followed, types })
}

/// What some other tool has made for itself, under names that the patterns fit: tables, and the functions of its event triggers.
fn left_behind(selection: &Selection, captured: &Captured) -> HashSet<Name> {
    let is_left = |table: &&Table| {
        let columns = || table.columns.iter().map(|column| column.name.clone()).collect();
        selection.leaves_behind(&TableName::new(&table.name.schema, &table.name.name), columns)
    };
    let tables = captured.image.tables.iter().filter(is_left).map(|table| &table.name);
    let routines = captured.image.routines.iter().map(|routine| &routine.name);
    tables.chain(routines.filter(|name| leftovers::tool_of_function(&name.name).is_some())).cloned().collect()
}

/// What is to be said about a command.
struct Work<'a> {
    command: &'a Command,
    task_id: &'a str,
    emptyings: &'a [Emptying],
    divided: &'a aside::Divided,
    on_wait: &'a OnLockWait,
}

/// Runs what makes one image of the other; what was said there or is going to be, and about what.
fn apply(destination: &mut Destination, work: &Work<'_>) -> Result<(Vec<String>, Done)> {
    let mut done = run::run(destination, work)?;
    let asides = work.divided.left.asides();
    done.said.extend(asides.clone().flat_map(Aside::statements).map(str::to_owned));
    let at_once = work.divided.way.iter().chain(&work.divided.items).map(|item| item.object.clone());
    let mut objects: Vec<String> = at_once.chain(asides.map(|aside| aside.object.clone())).collect();
    objects.dedup();
    Ok((objects, done))
}

/// Tables whose rows all come anew, in the stream or by a copy.
fn emptyings(decided: &Decided, loaded: Option<(u32, &Name)>) -> Vec<Emptying> {
    loaded.map(|(_, name)| name).into_iter().chain(&decided.empty).map(postgres::emptying).collect()
}
