//! Creating the selected objects on the destination: before the data, and after it.
//!
//! The statements come from the schema generator (`crate::schema`), each with a query that tells whether its object is
//! there already; so a run that was cut short goes on where it stopped. One session at a time does so for a task.

pub mod compare;
mod crew;

pub use crew::Crew;

use crate::destination::Destination;
use crate::error::{Error, Origin, Result, sqlstate};
use crate::schema::{Item, Kind, Section};

/// Objects created in one transaction: their locks have to fit into the destination's lock table, whose size only a restart
/// changes. As many are asked for at once.
const PIECE: usize = 100;

/// Before anything is created: tables that the task would create must not be there, as nobody could tell its own from others'
/// later.
pub fn check_absent(destination: &mut Destination, items: &[Item]) -> Result<()> {
    let tables: Vec<&Item> = items.iter().filter(|i| i.kind == Kind::Table).collect();
    for some in tables.chunks(PIECE) {
        let there = destination.ask_whether(some.iter().map(|item| &item.present_sql))?;
        for (item, is_there) in some.iter().zip(there) {
            if is_there {
                return Err(already_there(item));
            }
        }
    }
    Ok(())
}

/// Everything before the data, in pieces; after a crash the rest is created, what is there is known by its probes. The mark in the
/// task's progress row comes with the last piece. `note` hears how many of how many are there.
pub fn create_pre_data(
    destination: &mut Destination,
    items: &[Item],
    task_id: &str,
    mut note: impl FnMut(usize, usize),
) -> Result<()> {
    if destination.has_pre_data(task_id)? {
        return Ok(());
    }
    let items: Vec<&Item> = items.iter().filter(|i| i.kind.section() == Section::PreData).collect();
    let mut done = 0;
    for some in pieces(&items) {
        note(done, items.len());
        done += some.len();
        let there = presence(destination, some)?;
        let outcome = destination.in_transaction(|destination| {
            let (present, absent): (Vec<_>, Vec<_>) = some.iter().zip(&there).partition(|(_, is_there)| **is_there);
            present.iter().try_for_each(|(item, _)| check_same(destination, item, IfThere::Compared))?;
            let failed = destination.define_all(absent.iter().map(|(item, _)| &item.statement))?;
            match failed.and_then(|(at, error)| absent.get(at).map(|(item, _)| explained(item, error))) {
                Some(error) => Err(error),
                None => Ok(()),
            }
        });
        match outcome {
            // One of them came with another.
            Err(error) if is_there_already(&error) => {
                destination.undo_transaction()?;
                destination.in_transaction(|destination| {
                    some.iter().try_for_each(|item| {
                        if is_present(destination, item, IfThere::Compared)? { Ok(()) } else { run(destination, item) }
                    })
                })?;
            }
            outcome => outcome?,
        }
    }
    destination.in_transaction(|destination| destination.note_pre_data(task_id))
}

/// None begins with what belongs to the statement before.
fn pieces<'a>(items: &'a [&'a Item]) -> impl Iterator<Item = &'a [&'a Item]> {
    let mut rest = items;
    std::iter::from_fn(move || {
        let mut end = rest.len().min(PIECE);
        while rest.get(end).is_some_and(|item| item.kind.is_of_the_one_before()) {
            end += 1;
        }
        let (piece, others) = rest.split_at(end);
        rest = others;
        (!piece.is_empty()).then_some(piece)
    })
}

/// When a statement after the data can run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// When each table is complete by itself.
    Copied,
    /// When the tables fit together: they were copied at different moments, and only a stream that has passed all
    /// copies makes them one state of the source. Foreign keys need that.
    Consistent,
}

/// What becomes of an object that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfThere {
    /// It is taken for the same when its definition is.
    Compared,
    /// The model says that it is the task's own; its text may have the names of another time.
    Adopted,
}

impl When {
    fn of(item: &Item) -> When {
        // Comments may be about foreign keys, rows of materialized views are of tables that fit together.
        let late = matches!(item.kind, Kind::ForeignKey | Kind::Refresh | Kind::Comment | Kind::Grant);
        if late { When::Consistent } else { When::Copied }
    }
}

/// What is said while statements run.
#[derive(Clone, Copy, Debug)]
pub enum Note<'a> {
    Building(&'a Item),
    /// The rows of the source do not fulfil it, and it is there for the rows to come.
    NotValid {
        item: &'a Item,
        error: &'a Error,
        validate: &'a str,
    },
}

/// Everything after the data, statement by statement: each may take long.
pub fn create_post_data(
    crew: &mut Crew<'_>,
    items: &[Item],
    when: When,
    there: IfThere,
    mut note: impl FnMut(Note<'_>) -> Result<()>,
) -> Result<()> {
    let late = late_partitions(items);
    let mut items: Vec<&Item> = items.iter().filter(|i| i.kind.section() == Section::PostData).chain(&late).collect();
    items.retain(|item| When::of(item) == when);
    items.sort_by_key(|item| item.kind.phase());
    for phase in items.chunk_by(|a, b| a.kind.phase() == b.kind.phase()) {
        let (side_by_side, in_order): (Vec<&Item>, Vec<&Item>) = phase.iter().partition(|item| item.indexed.is_some());
        let absent_ones = absent(crew.first, &side_by_side, there)?;
        crew.build(&absent_ones, there, &mut note)?;
        for some in pieces(&in_order) {
            let absent = absent(crew.first, some, there)?;
            let mut left = absent.into_iter().peekable();
            while let Some(item) = left.next() {
                note(Note::Building(item))?;
                let second = left.next_if(|next| next.kind.is_of_the_one_before());
                match build(crew.first, item, second, &mut note) {
                    // It came with another, or somebody made it.
                    Err(error) if is_there_already(&error) && is_present(crew.first, item, there)? => {}
                    outcome => outcome?,
                }
            }
        }
    }
    Ok(())
}

/// A table may have become a partition between its creation there and its copy: it comes under its parent when both have their keys.
fn late_partitions(items: &[Item]) -> Vec<Item> {
    let partitions = items.iter().filter(|item| item.kind == Kind::Partition);
    partitions.map(|item| Item { kind: Kind::PartitionOfOld, ..item.clone() }).collect()
}

/// Those that are not there.
fn absent<'a>(destination: &mut Destination, items: &[&'a Item], there: IfThere) -> Result<Vec<&'a Item>> {
    let present = presence(destination, items)?;
    let (present, absent): (Vec<_>, Vec<_>) = items.iter().zip(present).partition(|(_, is_there)| *is_there);
    present.iter().try_for_each(|(item, _)| check_same(destination, item, there))?;
    Ok(absent.into_iter().map(|(item, _)| *item).collect())
}

/// `second`: what is said in the same transaction.
fn build(
    destination: &mut Destination,
    item: &Item,
    second: Option<&Item>,
    note: &mut impl FnMut(Note<'_>) -> Result<()>,
) -> Result<()> {
    if let Some(second) = second {
        let outcome = destination.in_transaction(|destination| {
            run(destination, item)?;
            run(destination, second)
        });
        return outcome.or_else(|error| destination.undo_transaction().and(Err(error)));
    }
    match destination.define(&item.statement) {
        Err(error) if is_orphans(item, &error) => match define_not_valid(destination, item)? {
            Some(validate) => note(Note::NotValid { item, error: &error, validate: &validate }),
            None => Err(explained(item, error)),
        },
        outcome => outcome.map_err(|error| explained(item, error)),
    }
}

/// Which of them are there.
fn presence(destination: &mut Destination, items: &[&Item]) -> Result<Vec<bool>> {
    let mut there = Vec::with_capacity(items.len());
    for some in items.chunks(PIECE) {
        there.extend(destination.ask_whether(some.iter().map(|item| &item.present_sql))?);
    }
    Ok(there)
}

fn is_there_already(error: &Error) -> bool {
    const DUPLICATES: [&str; 4] = ["42P06", "42P07", sqlstate::DUPLICATE_OBJECT, "42723"];
    DUPLICATES.contains(&error.sqlstate())
}

/// Is it there already, and the same?
fn is_present(destination: &mut Destination, item: &Item, there: IfThere) -> Result<bool> {
    let is_there = presence(destination, &[item])? == [true];
    if is_there {
        check_same(destination, item, there)?;
    }
    Ok(is_there)
}

/// A name that belongs to something else is no reason to go on.
fn check_same(destination: &mut Destination, item: &Item, there: IfThere) -> Result<()> {
    let Some(sql) = item.differs_sql.as_ref().filter(|_| there == IfThere::Compared) else { return Ok(()) };
    let rows = destination.ask_definition(sql)?;
    match rows.first().and_then(|row| row.opt_string(0)) {
        Some(difference) => Err(differs(item, &difference)),
        None => Ok(()),
    }
}

fn differs(item: &Item, difference: &str) -> Error {
    Error::new(
        sqlstate::DUPLICATE_OBJECT,
        format!("{} {} is on the destination already, and another one", item.kind, item.object),
    )
    .origin(Origin::Destination)
    .detail(format!("The name is taken: {difference}. The task would create: {}", item.statement))
    .hint("Drop or rename what is in the way on the destination, then SELECT courier.resume({task});")
}

/// Rows without a partner, which got there while the source did not look: by a bulk load as replica, or with triggers disabled.
fn is_orphans(item: &Item, error: &Error) -> bool {
    const FOREIGN_KEY_VIOLATION: &str = "23503";
    item.kind == Kind::ForeignKey && error.sqlstate() == FOREIGN_KEY_VIOLATION
}

/// As the source has the key: it is enforced for rows to come, and nobody has looked at those that are there. Returns the statement that does.
fn define_not_valid(destination: &mut Destination, item: &Item) -> Result<Option<String>> {
    let Some((statement, validate)) = item.statement.not_valid() else { return Ok(None) };
    match destination.define(&statement) {
        Ok(()) => Ok(Some(validate)),
        // A partitioned table takes none before 18.
        Err(error) if error.sqlstate() == sqlstate::WRONG_OBJECT_TYPE => Ok(None),
        Err(error) => Err(explained(item, error)),
    }
}

fn run(destination: &mut Destination, item: &Item) -> Result<()> {
    destination.define(&item.statement).map_err(|error| explained(item, error))
}

fn explained(item: &Item, error: Error) -> Error {
    let way_out = way_out(item, error.sqlstate());
    let error =
        error.context(format!("While creating {} {} on the destination: {}", item.kind, item.object, item.statement));
    match way_out {
        Some(hint) => error.hint(hint),
        None => error.or_hint(
            "Remove the cause on the destination (or create the object there yourself), then SELECT courier.resume({task});",
        ),
    }
}

/// What to do about a statement that the destination refuses, where its own hint does not help: the server does not
/// know that rows and definition come from a database where the definition exists.
fn way_out(item: &Item, state: &str) -> Option<String> {
    match (item.kind, state) {
        (Kind::ForeignKey, "23503") => Some(
            "The source holds rows without a partner, too, or the table it refers to is one whose rows do not travel (an extension's); and \
             a foreign key of a partitioned table cannot be left NOT VALID before PostgreSQL 18. Correct them on both sides, or put the \
             partners in on the destination; then SELECT courier.resume({task});"
                .to_owned(),
        ),
        (
            Kind::Index
            | Kind::UniqueIndex
            | Kind::PrimaryKey
            | Kind::UniqueConstraint
            | Kind::ExclusionConstraint,
            "23505" | "23P01",
        ) => Some(
            "The rows that collide are on the source, too (an index there may be damaged: REINDEX says so), or the \
             destination sorts or folds text in another way. Correct the rows on both sides, then SELECT courier.resume({task});"
                .to_owned(),
        ),
        (Kind::Check | Kind::Table | Kind::Partition, "23514") => Some(
            "Rows of the source do not fulfil it either, or it depends on the time or on settings. Correct the rows on \
             the source, or create the constraint NOT VALID on the destination yourself; then SELECT courier.resume({task});"
                .to_owned(),
        ),
        (Kind::Policy, "42704") => Some(
            "Create the missing role on the destination (CREATE ROLE name;), then SELECT courier.resume({task}); without the policy \
             the table could show rows that the source hides."
                .to_owned(),
        ),
        (_, "42883" | "42704" | "42P01") => Some(
            "Something that the definition needs is not on the destination, or the body of a function names it without \
             its schema, which this session does not find: it looks into pg_catalog and into those schemas of the source database's \
             search_path in which nobody else may create there. Create it, or give that function a SET search_path of its own on both sides; then SELECT courier.resume({task});"
                .to_owned(),
        ),
        _ => None,
    }
}

fn already_there(item: &Item) -> Error {
    Error::new("42P07", format!("table {} already exists on the destination", item.object))
        .origin(Origin::Destination)
        .detail("The task would create it, and its rows would mix with those that are there.")
        .hint(
            "Drop or rename it there, or create the task with schema_sync => false if its definition is right \
             (and full_copy => false if its rows are, too).",
        )
}
