//! Settings of the two servers: whatever a database or a role has, values arrive as they are.
//!
//! The list below judges every setting that a session may change, of PostgreSQL 13 to 18. A server with one that nobody has
//! judged fails the test: it may decide how a value is read.

use std::collections::HashSet;
use std::process::Command;
use std::sync::OnceLock;

use pg_courier_tests::pair::{DATABASE, ROLE};
use pg_courier_tests::scratch::scratch;
use pg_courier_tests::{Pair, TaskOptions};

use crate::common::TASK;

/// The sessions on the destination have values of their own for these; those about values the source's workers, too
/// (`src/destination.rs`).
const SET: &str = "\
    application_name array_nulls bytea_output check_function_bodies client_connection_check_interval client_encoding DateStyle \
    default_transaction_isolation default_transaction_read_only enable_hashjoin enable_mergejoin enable_seqscan \
    extra_float_digits gin_fuzzy_search_limit idle_in_transaction_session_timeout idle_session_timeout \
    IntervalStyle jit lc_monetary lock_timeout plan_cache_mode quote_all_identifiers row_security search_path \
    session_replication_role standard_conforming_strings statement_timeout synchronous_commit \
    tcp_keepalives_count tcp_keepalives_idle tcp_keepalives_interval TimeZone transaction_timeout xmloption";

/// They belong to a transaction, or to who logs in, and the extension's statements say them where they matter. `seed` is
/// for random numbers.
const OF_THE_SESSION: &str = "\
    default_transaction_deferrable role seed session_authorization transaction_deferrable transaction_isolation \
    transaction_read_only";

/// They decide how string constants are read that look another way than those of the extension: it writes no `\\'`,
/// doubles quotes, and begins a constant with a backslash in it with E.
const OF_LITERALS: &str = "\
    backslash_quote escape_string_warning operator_precedence_warning";

/// They act in functions and constraints of users, which run with what their database has, or in functions (`to_char`,
/// `to_tsvector`, `xmlelement`) that print or convert and that no type calls when it reads or prints. Dates and times travel
/// with offsets, not with names of zones.
const OF_FUNCTIONS: &str = "\
    composite_type_mismatch constraint_exclusion default_text_search_config event_triggers lc_numeric lc_time \
    lo_compat_privileges restrict_nonsystem_relation_kind timezone_abbreviations transform_null_equals \
    xmlbinary";

/// Defaults of what is created, not of what is stored in it; and where files come from.
const OF_WHAT_IS_MADE: &str = "\
    allow_in_place_tablespaces allow_system_table_mods createrole_self_grant default_statistics_target \
    default_table_access_method default_tablespace default_toast_compression default_with_oids \
    dynamic_library_path extension_control_path extension_destdir file_copy_method icu_validation_level \
    local_preload_libraries md5_password_warnings output_plugin_libraries password_encryption scram_iterations \
    session_preload_libraries temp_tablespaces";

/// For rescuing a damaged server, by its superuser, who has to know.
const OF_DAMAGE: &str = "\
    ignore_checksum_failure ignore_system_indexes zero_damaged_pages";

/// How fast, how much memory, which plan, what is logged, what is counted.
const OF_PERFORMANCE: &str = "\
    backend_flush_after backtrace_functions client_min_messages commit_delay \
    commit_siblings compute_query_id cpu_index_tuple_cost cpu_operator_cost cpu_tuple_cost \
    cursor_tuple_fraction deadlock_timeout debug_deadlocks debug_discard_caches \
    debug_logical_replication_streaming debug_parallel_query debug_pretty_print debug_print_parse \
    debug_print_plan debug_print_rewritten effective_cache_size effective_io_concurrency enable_async_append \
    enable_bitmapscan enable_distinct_reordering enable_gathermerge enable_group_by_reordering enable_hashagg \
    enable_incremental_sort enable_indexonlyscan enable_indexscan enable_material enable_memoize \
    enable_nestloop enable_parallel_append enable_parallel_hash enable_partition_pruning \
    enable_partitionwise_aggregate enable_partitionwise_join enable_presorted_aggregate \
    enable_self_join_elimination enable_sort enable_tidscan exit_on_error force_parallel_mode \
    from_collapse_limit geqo geqo_effort geqo_generations geqo_pool_size geqo_seed geqo_selection_bias \
    geqo_threshold gin_pending_list_limit hash_mem_multiplier io_combine_limit jit_above_cost \
    jit_debugging_support jit_dump_bitcode jit_expressions jit_inline_above_cost jit_optimize_above_cost \
    jit_profiling_support jit_tuple_deforming join_collapse_limit lc_messages log_btree_build_stats \
    log_connections log_disconnections log_duration log_error_verbosity log_executor_stats log_lock_failures \
    log_lock_waits log_min_duration_sample log_min_duration_statement log_min_error_statement log_min_messages \
    log_parameter_max_length log_parameter_max_length_on_error log_parser_stats log_planner_stats \
    log_replication_commands log_statement log_statement_sample_rate log_statement_stats log_temp_files \
    log_transaction_sample_rate logical_decoding_work_mem maintenance_io_concurrency maintenance_work_mem \
    max_parallel_maintenance_workers max_parallel_workers max_parallel_workers_per_gather max_stack_depth \
    min_parallel_index_scan_size min_parallel_table_scan_size parallel_leader_participation parallel_setup_cost \
    parallel_tuple_cost post_auth_delay random_page_cost recursive_worktable_factor seq_page_cost \
    ssl_renegotiation_limit stats_fetch_consistency synchronize_seqscans tcp_user_timeout temp_buffers \
    temp_file_limit trace_lock_oidmin trace_lock_table trace_locks trace_lwlocks trace_notify trace_sort \
    trace_syncscan trace_userlocks track_activities track_cost_delay_timing track_counts track_functions \
    track_io_timing track_wal_io_timing update_process_title vacuum_buffer_usage_limit \
    vacuum_cleanup_index_scale_factor vacuum_cost_delay vacuum_cost_limit vacuum_cost_page_dirty \
    vacuum_cost_page_hit vacuum_cost_page_miss vacuum_failsafe_age vacuum_freeze_min_age \
    vacuum_freeze_table_age vacuum_max_eager_freeze_failure_rate vacuum_multixact_failsafe_age \
    vacuum_multixact_freeze_min_age vacuum_multixact_freeze_table_age vacuum_truncate wal_compression \
    wal_consistency_checking wal_debug wal_init_zero wal_recycle wal_sender_timeout wal_skip_threshold work_mem";

#[test]
fn every_setting_has_been_judged() {
    let pair = Pair::builder().start_without_database();
    let lists = [SET, OF_THE_SESSION, OF_LITERALS, OF_FUNCTIONS, OF_WHAT_IS_MADE, OF_DAMAGE, OF_PERFORMANCE];
    let judged: HashSet<&str> = lists.iter().flat_map(|list| list.split_whitespace()).collect();
    for cluster in [&pair.source, &pair.destination] {
        let known = cluster.value(
            "postgres",
            "SELECT string_agg(name, ' ') FROM pg_settings WHERE context IN ('user', 'superuser', 'backend', 'superuser-backend') \
             AND category NOT LIKE 'Preset Options' AND name NOT LIKE '%.%'",
        );
        let unknown: Vec<&str> = known.split_whitespace().filter(|name| !judged.contains(name)).collect();
        assert!(unknown.is_empty(), "does one of these decide how a value reads, prints or is found? {unknown:?}");
    }
}

/// Only the session of the stream has values of its own for these; a copy is durable whatever the default is.
const OF_THE_STREAM: &str = "enable_hashjoin enable_mergejoin enable_seqscan jit plan_cache_mode synchronous_commit";

/// The sessions that write have said every setting of the list themselves; a trigger there tells. One of them ends the
/// statement of a client that is gone, where the system can watch a socket (Linux can).
#[test]
fn sessions_on_the_destination_have_settings_of_their_own() {
    let pair = Pair::start();
    let table = "CREATE TABLE t (id int PRIMARY KEY)";
    pair.source.run(DATABASE, &format!("{table}; INSERT INTO t VALUES (1)"));
    pair.destination.run(
        DATABASE,
        &format!(
            "{table}; ALTER TABLE t OWNER TO {ROLE}; \
             CREATE TABLE seen AS SELECT 0 AS id, '' AS session, s.* FROM pg_settings AS s WITH NO DATA; \
             CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN \
               INSERT INTO public.seen SELECT NEW.id, pg_catalog.current_setting('application_name'), s.* \
                 FROM pg_catalog.pg_settings AS s; RETURN NULL; END $$; \
             CREATE TRIGGER look AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION look(); \
             ALTER TABLE t ENABLE ALWAYS TRIGGER look"
        ),
    );
    pair.start_task_with(
        DATABASE,
        TASK,
        &["public.t"],
        &TaskOptions { schema_sync: Some(false), ..Default::default() },
    );
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "INSERT INTO t VALUES (2)");
    pair.assert_mirrored(TASK, &["public.t"]);
    let left = |row: u8, but: &str| {
        let of_row = format!("SELECT name FROM seen WHERE id = {row} AND source = 'session'");
        pair.destination.value(
            DATABASE,
            &format!(
                "SELECT string_agg(name, ' ') FROM pg_settings WHERE name = ANY (string_to_array('{SET}', ' ')) \
                 AND name <> ALL (string_to_array('{but}', ' ')) AND name NOT IN ({of_row})"
            ),
        )
    };
    assert_eq!(left(1, OF_THE_STREAM), "", "of the copy");
    assert_eq!(left(2, ""), "", "of the stream");
    if cfg!(target_os = "linux") && pair.destination.install.major() >= 14 {
        let watched =
            "SELECT string_agg(setting || unit, ' ') FROM seen WHERE name = 'client_connection_check_interval'";
        assert_eq!(pair.destination.value(DATABASE, watched), "10000ms 10000ms");
    }
}

/// Name, what the source has, what the destination has: every setting that changes how values or constants read and print, each
/// another one than usual.
const ODD: [(&str, &str, &str); 22] = [
    ("DateStyle", "'SQL, DMY'", "'German, YMD'"),
    ("IntervalStyle", "sql_standard", "iso_8601"),
    ("TimeZone", "'Asia/Kolkata'", "'America/St_Johns'"),
    ("extra_float_digits", "-10", "-15"),
    ("bytea_output", "escape", "escape"),
    ("standard_conforming_strings", "off", "off"),
    ("escape_string_warning", "on", "on"),
    ("backslash_quote", "off", "on"),
    ("lc_monetary", "'ja_JP.UTF-8'", "'ja_JP.UTF-8'"),
    ("xmloption", "document", "document"),
    ("xmlbinary", "hex", "hex"),
    ("array_nulls", "off", "off"),
    ("quote_all_identifiers", "on", "on"),
    ("gin_fuzzy_search_limit", "1", "1"),
    ("transform_null_equals", "on", "on"),
    ("timezone_abbreviations", "'India'", "'Australia'"),
    ("default_text_search_config", "'german'", "'simple'"),
    ("check_function_bodies", "on", "on"),
    ("default_transaction_read_only", "off", "on"),
    ("default_transaction_isolation", "serializable", "'repeatable read'"),
    ("row_security", "on", "on"),
    ("constraint_exclusion", "off", "on"),
];

/// The currency of `LOCALE` has no hundredths. A directory with that locale alone, as few systems have it.
fn locales() -> String {
    static MADE: OnceLock<String> = OnceLock::new();
    MADE.get_or_init(|| {
        let directory = scratch().path().join("locales");
        std::fs::create_dir(&directory).expect("scratch is writable");
        let made =
            Command::new("localedef").args(["-i", "ja_JP", "-f", "UTF-8", LOCALE]).current_dir(&directory).output();
        let made = made.expect("localedef is there, as PostgreSQL's packages want it");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        directory.to_str().expect("plain letters").to_owned()
    })
    .clone()
}

const LOCALE: &str = "./ja_JP.UTF-8";

#[test]
fn settings_of_the_source_that_read_and_print_otherwise() {
    let locales = locales();
    let pair = Pair::builder().source_env("LOCPATH", &locales).start();
    for (name, value, _) in ODD {
        pair.source.run("postgres", &format!("ALTER DATABASE {DATABASE} SET {name} = {value}"));
    }
    values_arrive_as_they_are(&pair);
}

/// One side at a time: where both write in the same odd way, each understands the other.
#[test]
fn settings_of_the_destination_that_read_and_print_otherwise() {
    let locales = locales();
    let pair = Pair::builder().destination_env("LOCPATH", &locales).start();
    for (name, _, value) in ODD {
        pair.destination.run("postgres", &format!("ALTER DATABASE {DATABASE} SET {name} = {value}"));
    }
    values_arrive_as_they_are(&pair);
}

fn values_arrive_as_they_are(pair: &Pair) {
    pair.source.run(
        DATABASE,
        "CREATE DOMAIN words AS text[]; CREATE TYPE pair AS (a text[], b interval); \
         CREATE TABLE t (id int PRIMARY KEY, a text[], i int[], w words, p pair, d date, z timestamptz, n interval, f float8, r float4, \
           b bytea, x xml, c regclass, y regtype[], s text DEFAULT E'a\\\\b', tz timetz[], rz tstzrange, m tsvector, mo money, ms money[]); \
         CREATE INDEX ON t USING gin (a); \
         CREATE TABLE bare (LIKE t); ALTER TABLE bare REPLICA IDENTITY FULL",
    );
    let row = "SELECT n, ARRAY['a', NULL, 'NULL', E'b\\\\c''\"'], ARRAY[1, NULL, n], ARRAY[NULL, 'null']::words, \
         ROW(ARRAY[NULL, 'x y'], '-1 day +02:03:04'::interval)::pair, '2024-02-03'::date + n, '2024-02-03 04:05:06.7+08'::timestamptz, \
         '-1 year 2 mons -3 days 04:05:06.789'::interval, 0.1::float8 + n / 3.0, 1.1::float4, '\\\\x00ff5c27'::bytea, \
         xmlparse(content 'a<b/>c'), 'pg_class'::regclass, ARRAY['int4'::regtype, 'text[]'::regtype], E'\\\\''\\n', \
         ARRAY['04:05:06.7+05:30'::timetz, NULL], tstzrange('2024-02-03 04:05:06+08', NULL), 'a:1 b:2'::tsvector, (n * 1234)::money, ARRAY[n::money]";
    pair.source.run(DATABASE, &format!("INSERT INTO t {row} FROM generate_series(1, 5) AS n; INSERT INTO bare {row} FROM generate_series(1, 5) AS n"));
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, &format!("INSERT INTO t {row} FROM generate_series(11, 15) AS n; INSERT INTO bare {row} FROM generate_series(11, 15) AS n"));
    for table in ["t", "bare"] {
        pair.source.run(
            DATABASE,
            &format!("UPDATE {table} SET a = ARRAY[NULL, a[1]], w = '{{x}}', n = -n, z = z - interval '1 day', i = ARRAY[NULL, 2]::int[] WHERE id % 2 = 0"),
        );
        pair.source.run(DATABASE, &format!("DELETE FROM {table} WHERE id % 5 = 3"));
    }
    pair.assert_mirrored(TASK, &["public.t", "public.bare"]);
    let verified = "SELECT string_agg(identical::text, ' ') FROM courier.verify('shop_to_dr')";
    assert_eq!(pair.source.value(DATABASE, verified), "true true");
    // A constant with a backslash in it, as the one server prints and the other one reads it.
    pair.destination.run(DATABASE, "BEGIN READ WRITE; INSERT INTO t (id) VALUES (0); COMMIT");
    assert_eq!(pair.destination.value(DATABASE, "SELECT s FROM t WHERE id = 0"), "a\\b");
}

/// The only index that the destination has for a key is one that may leave out rows, and the database asks for that.
#[test]
fn an_index_finds_all_rows() {
    let pair = Pair::start();
    pair.destination.run("postgres", &format!("ALTER DATABASE {DATABASE} SET gin_fuzzy_search_limit = 1"));
    // Each letter is in most keys, so that an index on letters would begin to leave out.
    pair.source.run(
        DATABASE,
        "CREATE TABLE t (a text[] PRIMARY KEY, v int); INSERT INTO t SELECT ARRAY[k, l, m, n], 0 FROM unnest('{a,b,c,d}'::text[]) AS k, \
         unnest('{a,b,c,d}'::text[]) AS l, unnest('{a,b,c,d}'::text[]) AS m, unnest('{a,b,c,d}'::text[]) AS n",
    );
    pair.destination.run(
        DATABASE,
        &format!(
            "SET ROLE {ROLE}; CREATE TABLE t (a text[], v int); CREATE INDEX ON t USING gin (a) WITH (fastupdate = off)"
        ),
    );
    pair.start_task_with(
        DATABASE,
        TASK,
        &["public.t"],
        &TaskOptions { schema_sync: Some(false), ..TaskOptions::default() },
    );
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "UPDATE t SET v = 1 WHERE a[1] = 'a'");
    pair.source.run(DATABASE, "DELETE FROM t WHERE a[2] = 'b'");
    pair.assert_mirrored(TASK, &["public.t"]);
}

/// A default for users must not set the workers against one another: they write the rows of one task at the same time.
#[test]
fn workers_do_not_serialize() {
    let pair = Pair::start();
    pair.source.run("postgres", &format!("ALTER DATABASE {DATABASE} SET default_transaction_isolation = serializable"));
    let tables: Vec<String> =
        (1..=60).map(|n| format!("CREATE TABLE t{n} (id int PRIMARY KEY); INSERT INTO t{n} VALUES (1)")).collect();
    pair.source.run(DATABASE, &tables.join("; "));
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.assert_mirrored(TASK, &["public.t1", "public.t60"]);
    assert_eq!(pair.source.log_count("could not serialize access"), 0);
}
