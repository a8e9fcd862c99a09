//! Extensions: is there on the destination what the task needs of them, and what becomes of those that nothing is known to need?

use std::collections::HashSet;

use serde::Deserialize;

use super::items::Concerns;
use super::{Check, foreign};
use crate::catalog::configuration::{self, ConfigurationTable};
use crate::catalog::schema::{self, WantedExtension, bounded};
use crate::catalog::select::SelectedTables;
use crate::destination::{Destination, ExtensionThere, Obstacle, TableThere};
use crate::error::{Error, Result};
use crate::logicalrep::Row;
use crate::logicalrep::names::{quote_ident, quote_literal, shown};
use crate::pg::{spi, xact};
use crate::schema::image::Extension;

/// As the source describes one that tables use.
#[derive(Deserialize)]
struct Used {
    name: String,
    version: String,
    schema: String,
}

impl Check<'_> {
    /// Those that the task leaves out: nothing is known to need them, and something is in the way. `used`: JSON, what tables use that the
    /// task does not create.
    pub(super) fn ask_extensions(
        &mut self,
        selection: &SelectedTables,
        session: &mut Destination,
        used: &str,
    ) -> Result<HashSet<u32>> {
        let wanted = match self.concerns(Concerns::SchemaSync) {
            true => schema::extensions(&self.extent(selection)?)?,
            false => of_tables(used)?,
        };
        let user = session.current_user()?;
        let answers = session.extensions(wanted.iter().map(|of| &of.extension))?;
        self.queries.1 += 2;
        let mut left_out = HashSet::new();
        for (extension, there) in answers {
            let is_needed = wanted.iter().any(|of| of.extension.oid == extension.oid && of.is_needed);
            if self.extension(extension, is_needed, &there, &user)? && !is_needed {
                left_out.insert(extension.oid);
            }
        }
        if self.concerns(Concerns::SchemaSync) {
            self.ask_wrappers(session, wanted.iter().map(|of| of.extension.oid).collect())?;
        }
        Ok(left_out)
    }

    /// Foreign servers come when somebody completes the destination, and want the extensions of their wrappers then. `wanted` come by themselves.
    fn ask_wrappers(&mut self, session: &mut Destination, wanted: HashSet<u32>) -> Result<()> {
        let rows =
            spi::as_role(xact::user_id(), || spi::query(include_str!("../../sql/query/precheck/wrappers.sql"), &[]))?;
        self.queries.0 += 1;
        let used = |row: &Row| {
            let invalid = |error: serde_json::Error| Error::internal(format!("invalid list of servers: {error}"));
            let servers: Vec<String> = serde_json::from_str(row.text("servers")?).map_err(invalid)?;
            let extension = Extension {
                oid: row.parse("oid")?,
                level: 0,
                name: row.string("extname")?,
                schema: row.string("nspname")?,
                version: row.string("extversion")?,
            };
            Ok((extension, servers))
        };
        let mut used: Vec<(Extension, Vec<String>)> = rows.iter().map(used).collect::<Result<_>>()?;
        used.retain(|(extension, _)| !wanted.contains(&extension.oid));
        for (extension, there) in session.extensions(used.iter().map(|(extension, _)| extension))? {
            let servers = used.iter().find(|(of, _)| of.oid == extension.oid).map(|(_, servers)| bounded(servers));
            let Some(servers) = servers.filter(|_| there.installed.is_none()) else { continue };
            let is_to_be_had = there.available.is_some();
            let why = if is_to_be_had { "it is not there" } else { "the destination server does not have it" };
            let detail = format!(
                "Its foreign-data wrapper is used by servers, and {why}: courier.complete_destination() cannot make {servers} without it."
            );
            self.add("destination_extensions", Some("warning"), Some(shown(&extension.name)), Some(detail))?;
            let fix = is_to_be_had.then(|| foreign::statement(&create(extension, &there)));
            self.fix_last(fix, Some("person".to_owned()));
        }
        Ok(())
    }

    /// Rows that users have put into tables of extensions.
    pub(super) fn ask_extension_rows(
        &mut self,
        selection: &SelectedTables,
        session: &mut Destination,
        user: &str,
    ) -> Result<()> {
        let wanted = schema::extensions(&self.extent(selection)?)?.into_iter().map(|of| of.extension.oid).collect();
        let oids: Vec<u32> = selection.tables.iter().map(|table| table.oid).collect();
        let tables = configuration::of(&self.subject.scope, &oids, self.subject.owner, &wanted)?;
        self.queries.0 += 1;
        for table in &tables {
            let Some(reason) = table.reason() else { continue };
            let detail = format!("What extension {} keeps in it stays here: {reason}.", shown(&table.extension_name));
            self.add("destination_extension_rows", None, Some(table.name.shown()), Some(detail))?;
            self.fix_last(table.fix(), Some("person".to_owned()));
        }
        let travelling: Vec<ConfigurationTable> =
            tables.into_iter().filter(|table| !table.is_sequence && table.why_not.is_none()).collect();
        if travelling.is_empty() {
            return Ok(());
        }
        self.queries.1 += 1;
        for (table, there) in session.configuration_tables(&travelling)? {
            self.extension_table(selection, table, there, &quote_ident(&foreign::line(user)))?;
        }
        Ok(())
    }

    fn extension_table(
        &mut self,
        selection: &SelectedTables,
        table: &ConfigurationTable,
        there: TableThere,
        user: &str,
    ) -> Result<()> {
        let name = table.name.qualified();
        let schema = quote_ident(&table.name.schema);
        let grant = format!(
            "GRANT USAGE ON SCHEMA {schema} TO {user}; GRANT SELECT, INSERT, UPDATE ON {name} TO {user}; -- on the destination, as superuser"
        );
        let (reason, fix) = match there {
            TableThere::Writable | TableThere::WithoutExtension { is_of_user: true } => return Ok(()),
            TableThere::Another => ("the destination has another version of the table", None),
            TableThere::NotPermitted => ("the user there may not read and write it", Some(grant)),
            TableThere::WithoutExtension { .. } => {
                let extensions = schema::extensions(&self.extent(selection)?)?;
                let is_it = |of: &&WantedExtension| of.extension.oid == table.extension;
                // Otherwise the statement for the extension comes first, and this one when that is there.
                let created = extensions.iter().find(is_it).map(|of| create_sql(&of.extension, false));
                let fix = created.map(|create| format!("{create}; {grant}"));
                ("what the extension makes there belongs to a superuser, so create it first", fix)
            }
        };
        let detail = format!(
            "Rows that users have put into this table of extension {} do not travel: {reason}.",
            shown(&table.extension_name)
        );
        self.add("destination_extension_rows", None, Some(table.name.shown()), Some(detail))?;
        let place = if fix.is_some() { "destination" } else { "person" };
        self.fix_last(fix, Some(place.to_owned()));
        Ok(())
    }

    /// Is something in the way of it?
    fn extension(
        &mut self,
        extension: &Extension,
        is_needed: bool,
        there: &ExtensionThere,
        user: &str,
    ) -> Result<bool> {
        let creates = self.concerns(Concerns::SchemaSync);
        let obstacle = there.obstacle(extension);
        let is_missing = there.installed.is_none();
        let reason = match &obstacle {
            None if creates || !is_missing => return self.other_version(extension, there).map(|()| false),
            None => "It is not created there.".to_owned(),
            Some(Obstacle::InSchema(schema)) => format!(
                "It is in schema {} there, in {} on the source: what uses it names that schema.",
                foreign::line(&shown(schema)),
                shown(&extension.schema)
            ),
            Some(Obstacle::Unavailable) => "The destination server does not have it.".to_owned(),
            Some(Obstacle::NotPermitted) => {
                format!("User {} may not create it there: it is not a trusted extension.", shown(&foreign::line(user)))
            }
            Some(Obstacle::NotLoaded { .. }) => {
                "It cannot be created there: its library has to be in shared_preload_libraries.".to_owned()
            }
        };
        let (status, use_of_it) = match is_needed {
            true if creates => ("failed", "Something that the task creates needs it."),
            true => ("failed", "The tables need it."),
            false => (
                "warning",
                "Nothing that the task creates is known to need it, though a function may, in its text: it is left out.",
            ),
        };
        let detail = format!("{reason} {use_of_it}");
        self.add("destination_extensions", Some(status), Some(shown(&extension.name)), Some(detail))?;
        let create = create(extension, there);
        let (fix, place) = match obstacle {
            Some(Obstacle::Unavailable) => (None, "person"),
            Some(Obstacle::InSchema(_)) => {
                let schema = shown(&extension.schema);
                let moved = format!("ALTER EXTENSION {} SET SCHEMA {schema}", shown(&extension.name));
                (
                    Some(format!("CREATE SCHEMA IF NOT EXISTS {schema}; {moved}; -- on the destination, as its owner")),
                    "destination",
                )
            }
            Some(Obstacle::NotLoaded { libraries }) => {
                let set = format!("ALTER SYSTEM SET shared_preload_libraries = {libraries}");
                (Some(format!("{set}; -- on the destination, then restart it")), "restart")
            }
            Some(Obstacle::NotPermitted) | None => (Some(create), "destination"),
        };
        self.fix_last(fix.as_deref().map(foreign::statement), Some(foreign::place(Some(place)).to_owned()));
        Ok(true)
    }

    fn other_version(&mut self, extension: &Extension, there: &ExtensionThere) -> Result<()> {
        let (detail, fix) = match (&there.installed, &there.available) {
            (Some((version, _)), _) if *version != extension.version => {
                let update = format!(
                    "ALTER EXTENSION {} UPDATE TO {}; -- on the destination",
                    shown(&extension.name),
                    quote_literal(&extension.version)
                );
                let detail =
                    format!("It has version {} there, {} on the source.", foreign::line(version), extension.version);
                (detail, there.has_same_version.then_some(update))
            }
            (None, Some(available)) if !there.has_same_version && *available != extension.version => (
                format!(
                    "The destination does not have version {}, which is on the source: the task creates version {}.",
                    extension.version,
                    foreign::line(available)
                ),
                None,
            ),
            _ => return Ok(()),
        };
        self.add("destination_extensions", Some("warning"), Some(shown(&extension.name)), Some(detail))?;
        let place = if fix.is_some() { "destination" } else { "person" };
        self.fix_last(fix, Some(place.to_owned()));
        Ok(())
    }
}

/// As a superuser creates it there.
fn create(extension: &Extension, there: &ExtensionThere) -> String {
    format!("{}; -- on the destination, as superuser", create_sql(extension, there.has_same_version))
}

fn create_sql(extension: &Extension, in_this_version: bool) -> String {
    let (name, schema) = (shown(&extension.name), shown(&extension.schema));
    let version = in_this_version.then(|| format!(" VERSION {}", quote_literal(&extension.version)));
    let version = version.unwrap_or_default();
    format!(
        "CREATE SCHEMA IF NOT EXISTS {schema}; CREATE EXTENSION IF NOT EXISTS {name} WITH SCHEMA {schema}{version} CASCADE"
    )
}

fn of_tables(used: &str) -> Result<Vec<WantedExtension>> {
    let used: Vec<Used> =
        serde_json::from_str(used).map_err(|error| Error::internal(format!("invalid list of extensions: {error}")))?;
    let wanted = |(n, of): (usize, Used)| WantedExtension {
        // Their places do: nothing is created.
        extension: Extension {
            oid: u32::try_from(n).unwrap_or_default(),
            level: 0,
            name: of.name,
            schema: of.schema,
            version: of.version,
        },
        is_needed: true,
    };
    Ok(used.into_iter().enumerate().map(wanted).collect())
}
