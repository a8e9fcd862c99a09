//! Questions to the destination before anything is created: which names are taken by something else, and what is there
//! already of what the task does not create itself.

use serde_json::json;

use super::{Extent, oid_array};
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::pg::spi;

/// Something that parts of the tables need and the task does not create: a function, an operator, a view.
#[derive(Clone, Debug)]
pub struct Cause {
    class: u32,
    object: u32,
    /// As the server describes it: `function util.slug(text)`.
    pub description: String,
    pub schema: Option<String>,
    there_sql: String,
    /// The statement that makes it, where the source can write one.
    pub create_sql: Option<String>,
    /// It is there, and this is why it does not count.
    pub unusable: Option<String>,
}

impl Cause {
    pub fn address(&self) -> (u32, u32) {
        (self.class, self.object)
    }
}

pub fn causes(relations: &[u32]) -> Result<Vec<Cause>> {
    let rows = spi::as_extension(|| {
        spi::query(
            "SELECT classid, objid, description, schema_name, there_sql, create_sql \
             FROM courier.schema_causes($1::oid[]) ORDER BY description",
            &[Some(&oid_array(relations))],
        )
    })?;
    rows.iter()
        .map(|row| {
            Ok(Cause {
                class: row.parse(0)?,
                object: row.parse(1)?,
                description: row.string(2)?,
                schema: row.opt_string(3),
                there_sql: row.string(4)?,
                create_sql: row.opt_string(5),
                unusable: None,
            })
        })
        .collect()
}

/// Those that the destination has, and those that are missing there or do not count.
pub fn ask_causes(destination: &mut Destination, causes: Vec<Cause>) -> Result<(Vec<Cause>, Vec<Cause>)> {
    const AT_ONCE: usize = 100;
    let (mut available, mut missing) = (Vec::new(), Vec::new());
    let mut causes = causes.into_iter();
    loop {
        let some: Vec<Cause> = causes.by_ref().take(AT_ONCE).collect();
        if some.is_empty() {
            return Ok((available, missing));
        }
        let questions = some.iter().map(|cause| cause.there_sql.as_str()).enumerate();
        let mut answers: Vec<Option<Option<String>>> = vec![None; some.len()];
        for (number, text) in destination.ask_definitions(questions)? {
            if let Some(answer) = answers.get_mut(number) {
                *answer = Some(text);
            }
        }
        for (mut cause, answer) in some.into_iter().zip(answers) {
            match answer {
                Some(None) => available.push(cause),
                answer => {
                    cause.unusable = answer.flatten();
                    missing.push(cause);
                }
            }
        }
    }
}

/// A name that the task needs and that something else has on the destination.
#[derive(Clone, Debug)]
pub struct Taken {
    pub kind: String,
    pub object: String,
    pub difference: String,
}

/// Which names are taken by something else. Most destinations have none of them, so names go first and questions after.
pub fn ask_names(destination: &mut Destination, extent: &Extent) -> Result<Vec<Taken>> {
    const AT_ONCE: usize = 100;
    let parameters = extent.parameters();
    let names = spi::as_extension(|| {
        spi::query(
            "SELECT n.kind, n.object, n.catalog, n.nspname, n.name, n.differs_sql FROM courier.schema_names( \
             courier.schema_scope_of($1::oid[], $2::oid[], $3::oid[], $4::oid[])) AS n WHERE n.catalog IS NOT NULL",
            &parameters.each_ref().map(|p| Some(p.as_str())),
        )
    })?;
    let list = names
        .iter()
        .enumerate()
        .map(|(n, row)| Ok(json!([n, row.text(2)?, row.text(3)?, row.text(4)?])))
        .collect::<Result<Vec<_>>>()?;
    let list = serde_json::to_string(&list).map_err(|e| Error::internal(format!("invalid list of names: {e}")))?;
    let there = destination.names_taken(&list)?;
    let mut taken = Vec::new();
    for some in there.chunks(AT_ONCE) {
        let known = some.iter().filter_map(|n| Some((*n, names.get(*n)?)));
        let questions = known.map(|(n, row)| Ok((n, row.text(5)?))).collect::<Result<Vec<_>>>()?;
        for (number, difference) in destination.ask_definitions(questions.into_iter())? {
            let (Some(name), Some(difference)) = (names.get(number), difference) else { continue };
            taken.push(Taken { kind: name.string(0)?, object: name.string(1)?, difference });
        }
    }
    Ok(taken)
}
