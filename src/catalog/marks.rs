//! Who may say where a transaction came from, as the catalogs have it now; the rule is `select::marks`.

use crate::error::Result;
use crate::logicalrep::HELPER_SCHEMA;
use crate::pg::compat;
use crate::select::marks::{self, Marks, TableOwner};
use crate::source::{Asker, Source};

/// Inside a transaction, as superuser.
pub fn read(source: &mut dyn Source) -> Result<Marks> {
    let as_of = source.written();
    let may_be_replica = if compat::HAS_PARAMETER_PRIVILEGES {
        "r.rolsuper OR r.rolreplication \
             OR pg_catalog.has_parameter_privilege(r.oid, 'session_replication_role', 'SET')"
    } else {
        "r.rolsuper OR r.rolreplication"
    };
    let roles = format!("SELECT r.oid FROM pg_catalog.pg_roles AS r WHERE {may_be_replica}");
    let roles = source.ask(Asker::Extension, &roles, &[])?;
    let tables = "SELECT c.oid, c.relowner, pg_catalog.pg_get_userbyid(c.relowner) AS owner FROM pg_catalog.pg_class AS c \
                  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace WHERE n.nspname = $1";
    let tables = source.ask(Asker::Extension, tables, &[Some(HELPER_SCHEMA)])?;
    Ok(Marks {
        trusted: roles.iter().map(|row| row.parse(0)).collect::<Result<_>>()?,
        tables: tables
            .iter()
            .map(|row| Ok((row.parse("oid")?, TableOwner { oid: row.parse("relowner")?, name: row.string("owner")? })))
            .collect::<Result<_>>()?,
        as_of,
        has_parameter_privileges: compat::HAS_PARAMETER_PRIVILEGES,
    })
}

/// The statement that makes a role one whose marks count.
pub fn grant_to(role: &str) -> String {
    marks::grant_to(role, compat::HAS_PARAMETER_PRIVILEGES)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logicalrep::Lsn;
    use crate::source::fake::FakeSource;

    #[test]
    fn what_is_known_is_as_of_before_it_was_asked() {
        let mut source = FakeSource::at(Lsn(100))
            .answers(&["oid"], &[&[Some("10")], &[Some("16500")]])
            .answers(&["oid", "relowner", "owner"], &[&[Some("500"), Some("30"), Some("app")]]);
        let marks = read(&mut source).expect("both answers");
        assert_eq!(marks.as_of, Lsn(100), "a grant that comes between the two questions is behind it");
        assert!(marks.trusted.contains(&10) && marks.trusted.contains(&16500) && marks.trusted.len() == 2);
        assert_eq!(marks.doubtful_owners(), ["app"]);
        assert!(source.asked.iter().all(|(asker, _)| *asker == Asker::Extension), "no right of a role's hides a table");
    }
}
