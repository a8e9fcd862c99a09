//! Whose code the task would hold: functions, views and rules that run on the destination with the rights of the task's user.

use std::collections::BTreeMap;

use super::Check;
use crate::error::Result;
use crate::logicalrep::names::{quote_literal, shown};
use crate::pg::{spi, xact};

impl Check<'_> {
    pub(super) fn untrusted_owners(&mut self) -> Result<()> {
        if !self.subject.applies_commands() {
            return Ok(());
        }
        let sql = include_str!("../../sql/query/precheck/untrusted.sql");
        let rows = spi::as_role(xact::user_id(), || spi::query(sql, &[]))?;
        self.queries.0 += 1;
        let is_named = self.subject.scope.named()?;
        let mut by_role: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
        for row in &rows {
            let is_trusted = self.subject.trusted_roles.contains(&row.parse::<u32>("role_oid")?);
            if is_named(row.text("nspname")?, row.text("name")?) && !is_trusted {
                *by_role.entry(row.string("rolname")?).or_default().entry(row.string("kind")?).or_default() += 1;
            }
        }
        for (role, kinds) in by_role {
            let list: Vec<String> = kinds.iter().map(|(kind, number)| format!("{number} {kind}")).collect();
            let detail = format!(
                "The role owns {}, and is no superuser: they are not created, and what commands make of them is held, as they would run on the \
                 destination with the rights of the user there. Rows go on.",
                list.join(", ")
            );
            self.add("ddl_untrusted_owners", None, Some(shown(&role)), Some(detail))?;
            let task = self.subject.name.as_deref().map_or_else(|| "task".to_owned(), quote_literal);
            let trust = format!("SELECT courier.trust_role({task}, {});", quote_literal(&role));
            self.let_decide(Some(format!("{trust} -- if it may have the rights of the user there")));
        }
        Ok(())
    }
}
