//! Statements of what is done aside, and what an index looks like that was not built to its end.

use super::options;
use super::parts::{deferring, index_name};
use crate::logicalrep::names::{quote_literal, shown};
use crate::schema::aside::Leftover;
use crate::schema::deparse::SchemaSql;
use crate::schema::image::{Constraint, ConstraintKind, Index, Name, Table};

/// CREATE INDEX without a lock that writers wait for.
pub fn concurrently(create: &SchemaSql) -> SchemaSql {
    SchemaSql(create.as_str().replacen(" INDEX ", " INDEX CONCURRENTLY ", 1))
}

/// DETACH PARTITION without a lock that readers wait for.
pub fn concurrently_detached(detach: &SchemaSql) -> SchemaSql {
    SchemaSql(format!("{detach} CONCURRENTLY"))
}

/// The end of one that was interrupted.
pub fn finalized(detach: &SchemaSql) -> SchemaSql {
    SchemaSql(format!("{detach} FINALIZE"))
}

/// Is the partition attached? No row if not; then whether it has begun to leave, and whether it can leave CONCURRENTLY: servers before 14
/// do not know that, and refuse it beside a default partition.
pub fn attachment(table: &Table, parent: &Name) -> SchemaSql {
    SchemaSql(format!(
        "SELECT COALESCE((pg_catalog.to_jsonb(i) ->> 'inhdetachpending')::pg_catalog.bool, false), \
         pg_catalog.current_setting('server_version_num')::pg_catalog.int4 >= 140000 \
         AND NOT EXISTS (SELECT FROM pg_catalog.pg_partitioned_table d WHERE d.partrelid = i.inhparent AND d.partdefid <> 0) \
         FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class o ON o.oid = i.inhrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace JOIN pg_catalog.pg_class p ON p.oid = i.inhparent \
         JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace \
         WHERE n.nspname = {} AND o.relname = {} AND pn.nspname = {} AND p.relname = {}",
        quote_literal(&table.name.schema),
        quote_literal(&table.name.name),
        quote_literal(&parent.schema),
        quote_literal(&parent.name)
    ))
}

pub fn refreshed(view: &Name, concurrently: bool) -> SchemaSql {
    let word = if concurrently { "CONCURRENTLY " } else { "" };
    SchemaSql(format!("REFRESH MATERIALIZED VIEW {word}{}", view.shown()))
}

/// Has a materialized view rows, and a key that the server can find them by when it brings new ones?
pub fn refreshes_concurrently(view: &Name) -> SchemaSql {
    SchemaSql(format!(
        "SELECT o.relispopulated AND EXISTS (SELECT FROM pg_catalog.pg_index i WHERE i.indrelid = o.oid AND i.indisunique AND i.indimmediate \
         AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL) FROM pg_catalog.pg_class o JOIN pg_catalog.pg_namespace n \
         ON n.oid = o.relnamespace WHERE o.relkind = 'm' AND n.nspname = {} AND o.relname = {}",
        quote_literal(&view.schema),
        quote_literal(&view.name)
    ))
}

pub fn leftover(table: &Table, index: &Index) -> Leftover {
    let name = index_name(table, index);
    Leftover {
        is_valid: SchemaSql(format!(
            "SELECT i.indisvalid FROM pg_catalog.pg_class o JOIN pg_catalog.pg_namespace n ON n.oid = o.relnamespace \
             JOIN pg_catalog.pg_index i ON i.indexrelid = o.oid JOIN pg_catalog.pg_class t ON t.oid = i.indrelid \
             WHERE n.nspname = {} AND o.relname = {} AND t.relname = {} AND t.relnamespace = n.oid",
            quote_literal(&table.name.schema),
            quote_literal(&index.name),
            quote_literal(&table.name.name)
        )),
        drop: SchemaSql(format!("DROP INDEX {name}")),
        drop_concurrently: SchemaSql(format!("DROP INDEX CONCURRENTLY {name}")),
    }
}

/// The index that a key can use, of the key's name; none for a key that has to make its own.
pub fn key_index(table: &Table, key: &Constraint, index: &Index) -> Option<String> {
    let body = key.definition.strip_suffix(deferring(key)).unwrap_or(&key.definition);
    let (columns, nulls) = match key.kind {
        ConstraintKind::PrimaryKey => (body.strip_prefix("PRIMARY KEY ")?, ""),
        ConstraintKind::Unique => match body.strip_prefix("UNIQUE NULLS NOT DISTINCT ") {
            Some(columns) => (columns, " NULLS NOT DISTINCT"),
            None => (body.strip_prefix("UNIQUE ")?, ""),
        },
        _ => return None,
    };
    if !columns.starts_with('(') || columns.ends_with(" WITHOUT OVERLAPS)") {
        return None;
    }
    let with = if index.options.is_empty() { String::new() } else { format!(" WITH ({})", options(&index.options)) };
    Some(format!(
        "CREATE UNIQUE INDEX {} ON {} USING btree {columns}{nulls}{with}",
        shown(&key.name),
        table.name.shown()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schema::samples::{constraint, index, table};

    #[test]
    fn the_index_of_a_key() {
        let t = table(10, "t");
        let of = |kind, definition: &str, options: &[(&str, &str)]| {
            let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            let deferrable = definition.contains("DEFERRABLE");
            let deferred = definition.contains("DEFERRED");
            let key = Constraint { deferrable, deferred, ..constraint(12, "Key", kind, definition) };
            key_index(&t, &key, &Index { options, ..index(11, "Key", "") })
        };
        use ConstraintKind::{Exclusion, PrimaryKey, Unique};
        type Case<'a> = (ConstraintKind, &'a str, &'a [(&'a str, &'a str)], Option<&'a str>);
        let cases: [Case; 6] = [
            (PrimaryKey, "PRIMARY KEY (id)", &[], Some("(id)")),
            (Unique, "UNIQUE (id, note) INCLUDE (x)", &[], Some("(id, note) INCLUDE (x)")),
            (
                Unique,
                "UNIQUE NULLS NOT DISTINCT (id)",
                &[("fillfactor", "70")],
                Some("(id) NULLS NOT DISTINCT WITH (fillfactor='70')"),
            ),
            (Unique, "UNIQUE (id) DEFERRABLE INITIALLY DEFERRED", &[], Some("(id)")),
            (Unique, "UNIQUE (id, at WITHOUT OVERLAPS)", &[], None),
            (Exclusion, "EXCLUDE USING gist (id WITH =)", &[], None),
        ];
        for (kind, definition, options, expected) in cases {
            let expected = expected.map(|rest| format!("CREATE UNIQUE INDEX \"Key\" ON s.t USING btree {rest}"));
            assert_eq!(of(kind, definition, options), expected, "{definition}");
        }
    }

    #[test]
    fn the_first_word_index_is_that_of_the_command() {
        let sql = SchemaSql("CREATE UNIQUE INDEX \"my INDEX x\" ON s.t USING btree (id)".to_owned());
        let expected = "CREATE UNIQUE INDEX CONCURRENTLY \"my INDEX x\" ON s.t USING btree (id)";
        assert_eq!(concurrently(&sql).as_str(), expected);
    }
}
