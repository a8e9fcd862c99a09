//! Tables that other replication tools keep in the source for themselves: whatever patterns with wildcards say, no task takes them, those
//! that are made while it runs among them.

use pg_courier_tests::pair::{DATABASE, SERVER, create_task_sql};
use pg_courier_tests::{Pair, TaskOptions};

use crate::common::{TASK, assert_mentions};

/// What DTS makes (its documentation prints it), with some rows.
const DTS: &str = "CREATE TABLE public.dts_ddl_command (ddl_text text, id bigserial PRIMARY KEY, event text, tag text, username varchar, \
     database varchar, schema varchar, object_type varchar, object_name varchar, client_address varchar, client_port integer, \
     event_time timestamptz, txid_current varchar(128), message text); \
     CREATE FUNCTION public.dts_capture_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN \
     INSERT INTO public.dts_ddl_command (ddl_text, event, tag) VALUES (current_query(), tg_event, tg_tag); END $$; \
     CREATE EVENT TRIGGER dts_intercept_ddl ON ddl_command_end EXECUTE FUNCTION public.dts_capture_ddl()";

const HEARTBEAT: &str = "CREATE TABLE public.dts_postgres_heartbeat (slot_name varchar(64) NOT NULL PRIMARY KEY, revice_time bigint, \
     revice_lsn varchar(64), flushed_lsn varchar(64), update_time timestamptz, dts_service_time bigint); \
     INSERT INTO public.dts_postgres_heartbeat VALUES ('dts_sync_1')";

const AUDIT: &str = "CREATE TABLE app.awsdms_ddl_audit (c_key bigserial PRIMARY KEY, c_time timestamp, c_user varchar(64), \
     c_txn varchar(16), c_tag varchar(24), c_oid int, c_name varchar(64), c_schema varchar(64), c_ddlqry text); \
     CREATE FUNCTION app.awsdms_intercept_ddl() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ DECLARE key bigint; BEGIN \
     INSERT INTO app.awsdms_ddl_audit (c_tag, c_ddlqry) VALUES (tg_tag, current_query()) RETURNING c_key INTO key; \
     DELETE FROM app.awsdms_ddl_audit WHERE c_key = key; END $$; \
     CREATE EVENT TRIGGER awsdms_intercept_ddl ON ddl_command_end EXECUTE FUNCTION app.awsdms_intercept_ddl()";

fn begin(ddl: &'static str) -> Pair {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE SCHEMA app; CREATE TABLE app.t (id int PRIMARY KEY); CREATE TABLE o (id int PRIMARY KEY)",
    );
    pair.source.run(DATABASE, DTS);
    let options = TaskOptions { ddl: Some(ddl), ..TaskOptions::default() };
    pair.source.run(DATABASE, &create_task_sql(TASK, SERVER, &["public.*", "app.*"], &options));
    let omitted = format!(
        "SELECT reason FROM courier.plan('{TASK}') WHERE action = 'omit' AND object = 'public.dts_ddl_command'"
    );
    assert_mentions(&pair.source.value(DATABASE, &omitted), &["Alibaba Cloud DTS", "'public.dts_ddl_command'"]);
    pair.call(DATABASE, "start", TASK);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair
}

fn none_is_there(pair: &Pair) {
    let there =
        "SELECT coalesce(string_agg(oid::regclass::text, ' '), '') FROM pg_class WHERE relname ~ '^(dts|awsdms)_'";
    assert_eq!(pair.destination.value(DATABASE, there), "");
    assert_eq!(pair.destination.value(DATABASE, "SELECT count(*) FROM pg_proc WHERE proname ~ '^(dts|awsdms)_'"), "0");
    assert_eq!(
        pair.source
            .value(DATABASE, "SELECT count(*) FROM courier.coverage('shop_to_dr') WHERE table_name ~ '(dts|awsdms)_'"),
        "0"
    );
}

/// Commands travel, theirs do not; and their triggers fire at the commands of users.
#[test]
fn a_task_that_applies_commands_leaves_them_out() {
    let pair = begin("replicate");
    pair.source.run(DATABASE, HEARTBEAT);
    pair.source.run(DATABASE, AUDIT);
    pair.source.run(DATABASE, "ALTER TABLE app.t ADD v text; CREATE TABLE n (id int PRIMARY KEY); INSERT INTO n VALUES (1); INSERT INTO app.t VALUES (1, 'x')");
    pair.source.run(
        DATABASE,
        "UPDATE dts_postgres_heartbeat SET revice_lsn = '0/1'; ALTER TABLE dts_postgres_heartbeat ADD more int",
    );
    pair.caught_up(DATABASE, TASK);
    pair.assert_same(DATABASE, &["app.t", "public.n", "public.o"]);
    none_is_there(&pair);
    // A table of a user that merely has such a name is a table like any other.
    pair.source.run(
        DATABASE,
        "CREATE TABLE app.dts_ddl_command (id int PRIMARY KEY); INSERT INTO app.dts_ddl_command VALUES (1)",
    );
    pair.caught_up(DATABASE, TASK);
    pair.assert_same(DATABASE, &["app.dts_ddl_command"]);
}

/// A task that leaves commands alone does not stop at a table of theirs that is new.
#[test]
fn a_task_that_ignores_commands_does_not_stop_at_them() {
    let pair = begin("ignore");
    pair.source.run(DATABASE, HEARTBEAT);
    pair.source.run(DATABASE, AUDIT);
    pair.source.run(
        DATABASE,
        "INSERT INTO app.t VALUES (1); UPDATE dts_postgres_heartbeat SET revice_lsn = '0/1'; COMMENT ON TABLE o IS 'o'",
    );
    pair.caught_up(DATABASE, TASK);
    for what in ["pause", "resume"] {
        pair.call(DATABASE, what, TASK);
    }
    pair.source.run(DATABASE, "INSERT INTO app.t VALUES (2)");
    pair.caught_up(DATABASE, TASK);
    pair.assert_same(DATABASE, &["app.t"]);
    none_is_there(&pair);
}

/// Who names it exactly means it.
#[test]
fn a_table_that_is_named_exactly_is_taken() {
    let pair = Pair::start();
    pair.source
        .run(DATABASE, "CREATE TABLE dts_args_session (id int PRIMARY KEY); INSERT INTO dts_args_session VALUES (1)");
    let options = TaskOptions { ddl: Some("replicate"), ..TaskOptions::default() };
    pair.start_task_with(DATABASE, TASK, &["public.*", "public.dts_args_session"], &options);
    pair.source.run(DATABASE, "ALTER TABLE dts_args_session ADD v text; INSERT INTO dts_args_session VALUES (2, 'x')");
    pair.caught_up(DATABASE, TASK);
    pair.assert_same(DATABASE, &["public.dts_args_session"]);
}
