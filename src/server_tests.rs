//! Tests that run inside a server (`cargo pgrx test`): where our rules have to be the server's, it is asked.
//!
//! Each runs in a transaction that is rolled back, so workers, commits and a second server are not for here but for
//! `tests/e2e`.

#![allow(clippy::unwrap_used)] // a panic is how a test fails

#[pgrx::pg_schema]
mod tests {
    use std::time::Duration;

    use pgrx::prelude::*;

    use crate::catalog::{schema, select};
    use crate::error::Result;
    use crate::guc;
    use crate::logicalrep::Row;
    use crate::logicalrep::names::{check_task_name, quote_ident, quote_literal, quote_qualified, slot_name};
    use crate::pg::{report, spi};

    const ODD_NAMES: [&str; 7] = ["select", "My-Shop", "it's", "a\"b", "back\\slash", "ä ö", " "];

    fn query(sql: &str) -> Vec<Row> {
        report::unwrap(spi::query(sql, &[]))
    }

    /// First column of the first row, "" for NULL.
    fn value(sql: &str) -> String {
        query(sql).first().and_then(|row| row.opt_string(0)).unwrap_or_default()
    }

    fn setting(name: &str, value: &str) {
        query(&format!("SELECT set_config({}, {}, true)", quote_literal(name), quote_literal(value)));
    }

    fn columns_of(relation: &str) -> Vec<Row> {
        query(&format!(
            "SELECT attname, format_type(atttypid, atttypmod), attnotnull, attidentity, attgenerated, \
                    pg_get_expr(adbin, adrelid) \
             FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum \
             WHERE attrelid = {}::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum",
            quote_literal(relation)
        ))
    }

    #[pg_test]
    fn the_server_reads_back_what_is_quoted() {
        for strings in ["on", "off"] {
            setting("standard_conforming_strings", strings);
            setting("escape_string_warning", "off");
            for name in ODD_NAMES {
                assert_eq!(value(&format!("SELECT {}", quote_literal(name))), name, "a constant with {strings}");
                let parsed = format!("SELECT (parse_ident({}))[2]", quote_literal(&quote_qualified("s.t", name)));
                assert_eq!(value(&parsed), name, "an identifier with {strings}");
                let alias = format!(
                    "SELECT to_jsonb(t) ->> {1} FROM (SELECT 'here' AS {0}) t",
                    quote_ident(name),
                    quote_literal(name)
                );
                assert_eq!(value(&alias), "here", "a column with {strings}");
            }
        }
    }

    #[pg_test]
    fn every_task_name_makes_a_slot_name() {
        for name in ["a", "shop_to_dr", "z9_", &"a".repeat(40)] {
            report::unwrap(check_task_name(name));
            let slot = slot_name(name);
            let made = value(&format!(
                "SELECT slot_name FROM pg_create_physical_replication_slot({}, false, true)",
                quote_literal(&slot)
            ));
            assert_eq!(made, slot, "neither refused nor cut off");
            query(&format!("SELECT pg_drop_replication_slot({})", quote_literal(&slot)));
        }
    }

    #[pg_test]
    fn patterns_select_tables_of_the_catalog_once() {
        Spi::run(
            "CREATE SCHEMA \"My-Shop\"; \
             CREATE TABLE \"My-Shop\".\"Orders\" (id int PRIMARY KEY) PARTITION BY RANGE (id); \
             CREATE TABLE \"My-Shop\".part_1 PARTITION OF \"My-Shop\".\"Orders\" FOR VALUES FROM (0) TO (9); \
             CREATE TABLE \"My-Shop\".\"Other\" (id int); \
             CREATE UNLOGGED TABLE \"My-Shop\".\"Orders2\" (id int); \
             CREATE VIEW \"My-Shop\".\"Orders3\" AS SELECT 1",
        )
        .unwrap();
        let include = ["\"My-Shop\".\"Orders*\"", "\"My-Shop\".\"O*\"", "nowhere.*"].map(str::to_owned);
        let selection = report::unwrap(select::select(&include, &["\"My-Shop\".\"Oth*\"".to_owned()]));
        let names = |list: Vec<String>| list.join(", ");
        assert_eq!(
            names(selection.tables.iter().map(|table| table.qualified_name()).collect()),
            "\"My-Shop\".\"Orders\", \"My-Shop\".\"part_1\""
        );
        assert_eq!(names(selection.omitted.iter().map(|(table, _)| table.name.clone()).collect()), "Orders2, Other");
        assert_eq!(selection.idle_patterns, ["nowhere.*"]);
    }

    #[pg_test(error = "no table matches the patterns")]
    fn patterns_that_match_nothing_are_an_error() {
        report::unwrap(select::select(&["nowhere.*".to_owned()], &[]));
    }

    /// The statements for a table, run after it was dropped, make it again.
    #[pg_test]
    fn a_table_is_made_again_by_its_statements() {
        Spi::run(
            "CREATE TABLE public.again (id bigint GENERATED ALWAYS AS IDENTITY, \"Price\" numeric(10,2) NOT NULL DEFAULT 1.5, \
             vat numeric GENERATED ALWAYS AS (\"Price\" * 0.19) STORED, note text COLLATE \"C\", at timestamptz[] DEFAULT '{}')",
        )
        .unwrap();
        let before = columns_of("public.again");
        assert_eq!(before.len(), 5);
        let oid: u32 = value("SELECT 'public.again'::regclass::oid").parse().unwrap();
        let items = report::unwrap(schema::statements(&schema::Extent::tables(&[oid])));
        Spi::run("DROP TABLE public.again").unwrap();
        for item in items {
            let present = || value(&format!("SELECT ({})::text", item.present_sql)) == "true";
            if !present() {
                Spi::run(item.statement.as_str()).unwrap();
                assert!(present(), "{}", item.statement);
            }
        }
        assert_eq!(columns_of("public.again"), before);
    }

    /// Whatever the caller's search_path: a function of the user's does not come before the server's.
    #[pg_test]
    fn statements_see_the_catalog_first() {
        Spi::run(
            "CREATE SCHEMA evil; CREATE FUNCTION evil.lower(text) RETURNS text LANGUAGE sql AS $$ SELECT 'evil' $$; \
             SET LOCAL search_path = evil, pg_catalog",
        )
        .unwrap();
        assert_eq!(Spi::get_one::<String>("SELECT lower('A'::text)"), Ok(Some("evil".to_owned())));
        let lower = report::unwrap(spi::as_extension(|| spi::query_one("SELECT lower('A'::text)", &[])));
        assert_eq!(lower.opt(0), Some("a"));
        assert_eq!(Spi::get_one::<String>("SELECT lower('A'::text)"), Ok(Some("evil".to_owned())), "put back");
    }

    /// Work for a task's owner has the owner's rights, and the caller has its own again afterwards.
    #[pg_test]
    fn the_owner_rights_end_with_the_work() {
        Spi::run("CREATE ROLE shop_owner; CREATE TABLE public.private (id int)").unwrap();
        let owner: u32 = value("SELECT 'shop_owner'::regrole::oid").parse().unwrap();
        let as_owner = |sql: &str| -> Result<Row> { spi::as_role(owner, || spi::query_one(sql, &[])) };
        let row = report::unwrap(as_owner("SELECT current_user, has_table_privilege('public.private', 'SELECT')"));
        assert_eq!((row.opt(0), row.opt(1)), (Some("shop_owner"), Some("f")));
        assert_eq!(value("SELECT current_user = session_user"), "t");
    }

    #[pg_test]
    fn settings_have_the_documented_ranges() {
        let rows = query(
            "SELECT concat_ws(' ', name, setting, unit, min_val, max_val, context) FROM pg_settings \
                          WHERE name LIKE 'courier.%' ORDER BY name",
        );
        let listed: Vec<String> = rows.iter().filter_map(|row| row.opt_string(0)).collect();
        assert_eq!(
            listed,
            [
                "courier.connection_retry_time 720 min 10 1440 sighup",
                "courier.max_sync_workers_per_task 2 1 15 sighup",
                "courier.other_retry_time 10 min 1 1440 sighup",
                "courier.sequence_interval 10 s 1 3600 sighup",
            ]
        );
        assert_eq!(guc::connection_retry_time(), Duration::from_secs(720 * 60));
        assert_eq!(guc::sequence_interval(), Duration::from_secs(10));
    }

    #[pg_test(error = "invalid task name \"Shop\"")]
    fn a_bad_task_name_is_refused_before_anything_else() {
        Spi::run("SELECT courier.create_task('Shop', server => 'nowhere', include => ARRAY['*'])").unwrap();
    }
}
