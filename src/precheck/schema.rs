//! What the schema asks for: names that are taken on the destination, things that the task does not create and parts of
//! the tables need, roles of policies, and what is left out.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::items::Concerns;
use super::{Check, foreign};
use crate::catalog::schema::{self, Cause, Extent, bounded};
use crate::catalog::select::SelectedTables;
use crate::catalog::sequences;
use crate::destination::Destination;
use crate::error::{Error, Result};
use crate::logicalrep::names::{shown, shown_qualified};
use crate::pg::{spi, xact};
use crate::schema::Item;
use crate::schema::image::PlainKind;
use crate::schema::omission::{Omission, Omitted, Reason};

impl Check<'_> {
    /// Everything beside the tables that the task does not create or carry, in one finding.
    pub(super) fn objects_left_out(&mut self, selection: &SelectedTables) -> Result<()> {
        let extent = self.extent(selection)?;
        let definitions = self.concerns(Concerns::SchemaSync);
        let kinds: Vec<String> = schema::left_out(&extent, &self.subject.scope, definitions)?
            .into_iter()
            .filter(|line| !line.has_item)
            .map(|line| format!("{} ({}): {}", line.kind, line.count, line.names))
            .collect();
        if kinds.is_empty() {
            return Ok(());
        }
        let detail = format!("Neither created nor carried, see courier.plan() for the reasons: {}.", kinds.join("; "));
        self.add("left_out", None, None, Some(detail))
    }

    /// Sequences that no column owns and no pattern names, a line for each schema.
    pub(super) fn loose_sequences(&mut self) -> Result<()> {
        let is_named = self.subject.scope.named()?;
        let mut loose: Vec<(String, Vec<String>)> = Vec::new();
        for sequence in sequences::free()?.into_iter().filter(|s| !is_named(&s.schema, &s.name)) {
            let name = shown_qualified(&sequence.schema, &sequence.name);
            match loose.last_mut() {
                Some((schema, names)) if *schema == sequence.schema => names.push(name),
                _ => loose.push((sequence.schema, vec![name])),
            }
        }
        for (schema, names) in loose {
            let detail = format!(
                "No column owns them and no pattern names them, so their values do not travel: {}. Name them in include \
                 as you name tables.",
                bounded(&names)
            );
            self.add("loose_sequences", None, Some(shown(&schema)), Some(detail))?;
        }
        Ok(())
    }

    /// Clones share what was read for one of them.
    pub(super) fn extent(&self, selection: &SelectedTables) -> Result<Extent> {
        if let Some(extent) = self.extent.get() {
            return Ok(extent.clone());
        }
        let oids: Vec<u32> = selection.tables.iter().map(|t| t.oid).collect();
        let extent = Extent::of(&self.subject.scope, &oids)?.trusting(self.subject.trust());
        Ok(self.extent.get_or_init(|| extent).clone())
    }

    pub(super) fn ask_schema(
        &mut self,
        selection: &SelectedTables,
        session: &mut Destination,
        left_out: &HashSet<u32>,
        user: &str,
    ) -> Result<()> {
        if !self.concerns(Concerns::SchemaSync) {
            self.ask_named_values(None, session, user)?;
            return if self.subject.begun { Ok(()) } else { self.ask_free_sequences(session) };
        }
        let extent = self.extent(selection)?.without_extensions(left_out)?;
        let causes = schema::causes(&extent)?;
        let (available, missing) = schema::ask_causes(session, causes)?;
        let extent = extent.with(available);
        let taken = schema::ask_names(session, &extent)?;
        self.queries.0 += 3;
        self.queries.1 += 2;
        for name in taken {
            let detail = format!(
                "The task needs the name for the {}, and it is taken: {}.",
                name.kind,
                foreign::line(&name.difference)
            );
            self.add("destination_names", None, Some(name.object), Some(detail))?;
        }
        self.omissions(&extent, &missing, user)?;
        self.left_to_superusers(&extent, user)?;
        self.ask_named_values(Some(&extent), session, user)?;
        self.ask_roles(session)?;
        self.ask_grantees(session, &extent)?;
        self.ask_default_privileges(session, &extent)
    }

    /// Parts that cannot be created, and policies that cannot, each by itself; the others by kind.
    fn omissions(&mut self, extent: &Extent, missing: &[Cause], user: &str) -> Result<()> {
        let mut by_kind: Vec<(Omitted, Vec<String>)> = Vec::new();
        for omission in schema::omissions(extent)? {
            let Omission { kind, object, reason, .. } = omission;
            let item = match (kind, &reason) {
                (_, Reason::Impossible { .. }) => "cannot_create",
                (Omitted::Policy, _) => "row_security",
                // Announced by items of their own.
                (Omitted::Relation | Omitted::ForeignKey | Omitted::Inheritance, _) => continue,
                (Omitted::Object(PlainKind::OperatorClass), Reason::ForSuperusers) => continue,
                _ => {
                    match by_kind.last_mut() {
                        Some((last, objects)) if *last == kind => objects.push(object),
                        _ => by_kind.push((kind, vec![object])),
                    }
                    continue;
                }
            };
            let cause = missing.iter().find(|cause| reason.cause() == Some(cause.address));
            let why = cause.and_then(|cause| cause.unusable.as_ref());
            let why = why.map(|why| format!(" ({})", foreign::line(why))).unwrap_or_default();
            let ways = if item == "cannot_create" {
                "Create that on the destination first, or leave the table out with exclude."
            } else {
                "Create that on the destination first, and the policy is created, too."
            };
            self.add(item, None, Some(object), Some(format!("The {kind}: {reason}{why}. {ways}")))?;
            if let (Some(finding), Some(cause)) = (self.findings.last_mut(), cause)
                && cause.unusable.is_none()
            {
                finding.fix = match cause.address.0.is_for_superusers() {
                    true => Some(for_superuser(&schema::statements_of_one(extent, cause.address)?, user)),
                    false => cause.create_sql.as_ref().map(|sql| in_its_schema(cause, sql, user)),
                };
                finding.place = Some("person".to_owned());
            }
        }
        if by_kind.is_empty() {
            return Ok(());
        }
        let kinds: Vec<String> =
            by_kind.iter().map(|(kind, objects)| format!("{kind} ({}): {}", objects.len(), bounded(objects))).collect();
        let detail = format!(
            "Parts of the tables that are not created, see courier.plan() for the reasons: {}.",
            kinds.join("; ")
        );
        self.add("left_out", None, None, Some(detail))
    }

    /// What the task's user cannot make, with the statements for somebody who can.
    fn left_to_superusers(&mut self, extent: &Extent, user: &str) -> Result<()> {
        for (object, shown) in schema::left_to_superusers(extent)? {
            let detail = format!(
                "The operator class: {}. Create it there, and what needs it comes, too.",
                Reason::ForSuperusers
            );
            self.add("left_out", None, Some(shown), Some(detail))?;
            let fix = for_superuser(&schema::statements_of_one(extent, object)?, user);
            self.fix_last(Some(fix), Some("person".to_owned()));
        }
        Ok(())
    }

    /// Roles that policies name.
    fn ask_roles(&mut self, session: &mut Destination) -> Result<()> {
        let rows = spi::as_role(xact::user_id(), || {
            spi::query(
                "SELECT r.rolname, format('%I on %I.%I', p.polname, n.nspname, c.relname) FROM unnest($1::oid[]) AS u(oid) \
                 JOIN pg_policy p ON p.polrelid = u.oid JOIN pg_roles r ON r.oid = ANY (p.polroles) \
                 JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace ORDER BY 1, 2",
                &[Some(&self.oids)],
            )
        })?;
        self.queries.0 += 1;
        if rows.is_empty() {
            return Ok(());
        }
        let mut roles: Vec<(String, Vec<String>)> = Vec::new();
        for row in &rows {
            match roles.last_mut() {
                Some((role, policies)) if role == row.text(0)? => policies.push(row.string(1)?),
                _ => roles.push((row.string(0)?, vec![row.string(1)?])),
            }
        }
        let names = json!(roles.iter().map(|(role, _)| role).collect::<Vec<_>>()).to_string();
        let there = session.roles(&names)?;
        self.queries.1 += 1;
        for (role, policies) in roles {
            if there.contains(&role) {
                continue;
            }
            let detail = format!("The destination has no such role, and policies name it: {}.", bounded(&policies));
            self.add("destination_roles", None, Some(shown(&role)), Some(detail))?;
            if let Some(finding) = self.findings.last_mut() {
                finding.fix = Some(format!("CREATE ROLE {}; -- on the destination", shown(&role)));
                finding.place = Some("destination".to_owned());
            }
        }
        Ok(())
    }

    /// Roles to which something is granted.
    fn ask_grantees(&mut self, session: &mut Destination, extent: &Extent) -> Result<()> {
        let mut roles = schema::grantees(extent)?;
        // What the task reads with here is nobody there.
        roles.remove(&xact::role_name(self.subject.owner));
        if roles.is_empty() {
            return Ok(());
        }
        let names = json!(roles.keys().collect::<Vec<_>>()).to_string();
        let there = session.roles(&names)?;
        self.queries.1 += 1;
        for (role, grants) in roles.into_iter().filter(|(role, _)| !there.contains(role)) {
            let detail = format!(
                "The destination has no such role, and {} to it: left out.",
                if grants == 1 { "one grant is".to_owned() } else { format!("{grants} grants are") }
            );
            self.add("destination_grantees", None, Some(shown(&role)), Some(detail))?;
            if let Some(finding) = self.findings.last_mut() {
                finding.fix = Some(format!("CREATE ROLE {}; -- on the destination", shown(&role)));
                finding.place = Some("destination".to_owned());
            }
        }
        Ok(())
    }

    /// Default privileges of the destination's user that open the copies to roles that may not do the same on the source.
    fn ask_default_privileges(&mut self, session: &mut Destination, extent: &Extent) -> Result<()> {
        let rows = session.default_privileges()?;
        self.queries.1 += 1;
        if rows.is_empty() {
            return Ok(());
        }
        let invalid = |e: serde_json::Error| Error::internal(format!("invalid privileges: {e}"));
        let given = rows
            .iter()
            .map(|row| {
                Ok(json!({
                    "schema": row.opt("nspname"), "kind": row.text("defaclobjtype")?, "grantee": row.opt("rolname"),
                    "privilege": row.text("privilege_type")?, "owner": row.text("owner")?,
                    "schemas": row.opt("schemas").map(serde_json::from_str::<Value>).transpose().map_err(invalid)?,
                }))
            })
            .collect::<Result<Vec<_>>>()?;
        let given = serde_json::to_string(&given).map_err(invalid)?;
        let [classes, oids] = schema::created(extent)?;
        let sql = include_str!("../../sql/query/precheck/default_privileges_here.sql");
        let rows = spi::as_extension(|| spi::query(sql, &[Some(&given), Some(&classes), Some(&oids)]))?;
        self.queries.0 += 1;
        // What is in them came from there.
        rows.iter().try_for_each(|row| self.take_from_destination(row))
    }

    /// Without schema_sync: sequences that the patterns name and the destination does not have.
    fn ask_free_sequences(&mut self, session: &mut Destination) -> Result<()> {
        let named = sequences::named(&self.subject.scope)?;
        if named.is_empty() {
            return Ok(());
        }
        let list = json!(named.iter().map(|s| [&s.schema, &s.name]).collect::<Vec<_>>()).to_string();
        let missing = session.missing_sequences(&list)?;
        self.queries.1 += 1;
        for number in missing {
            let Some(sequence) = named.get(number) else { continue };
            let name = shown_qualified(&sequence.schema, &sequence.name);
            let detail =
                "No column owns it, and the destination does not have it: its value does not travel.".to_owned();
            self.add("loose_sequences", None, Some(name.clone()), Some(detail))?;
            if let Some(finding) = self.findings.last_mut() {
                finding.fix = Some(format!("CREATE SEQUENCE {name}; -- on the destination, with the source's options"));
                finding.place = Some("person".to_owned());
            }
        }
        Ok(())
    }
}

/// The task's user makes what it can, and owns it then.
fn for_superuser([own, others]: &[Vec<Item>; 2], user: &str) -> String {
    let text = |items: &[Item]| items.iter().map(|item| format!("{}; ", item.statement.as_str())).collect::<String>();
    format!(
        "SET check_function_bodies = off; SET ROLE {user}; {}RESET ROLE; {}-- on the destination, as superuser",
        text(own),
        text(others)
    )
}

/// The statement, and what its user needs to see the object.
pub(super) fn in_its_schema(cause: &Cause, sql: &str, user: &str) -> String {
    let schema = cause.schema.as_deref().map(|schema| {
        // pg_identify_object quotes where it has to.
        format!("CREATE SCHEMA IF NOT EXISTS {schema}; GRANT USAGE ON SCHEMA {schema} TO {user}; ")
    });
    format!("{}{sql}; -- on the destination", schema.unwrap_or_default())
}
