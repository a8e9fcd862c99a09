//! The support code on plain servers: what the end-to-end tests rely on holds
//! without the extension.

use std::time::{Duration, Instant};

use pg_courier_tests::{Answer, Cluster, Pgbench, Proxy, Rng, Stop, Traffic, compare, pgbench, procfs, types, wait};

/// A server starts, answers SQL and psql, restarts with its data, and stops both ways.
#[test]
fn a_cluster_starts_stops_and_keeps_its_data() {
    let cluster = Cluster::builder("t").conf("work_mem", "5MB").start();
    assert_eq!(cluster.value("postgres", "SHOW work_mem"), "5MB");
    cluster.run("postgres", "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)");
    cluster.restart();
    assert_eq!(cluster.psql_ok("postgres", "\\pset tuples_only on\nSELECT sum(a) FROM t;").trim(), "3");
    cluster.stop(Stop::Immediate);
    assert!(procfs::processes_in(&cluster.data_directory()).is_empty());
    cluster.start();
    assert_eq!(cluster.value("postgres", "SELECT count(*) FROM t"), "2");
}

/// kill -9 of the postmaster leaves nobody behind; the same port serves the same data again.
#[test]
fn a_killed_postmaster_comes_back_on_its_port() {
    let cluster = Cluster::builder("t").start();
    cluster.run("postgres", "CREATE TABLE t AS SELECT generate_series(1, 1000) AS a");
    let port = cluster.port();
    let mut session = cluster.connect("postgres");
    cluster.kill9();
    assert!(session.simple_query("SELECT 1").is_err(), "the session died with the server");
    assert!(procfs::processes_in(&cluster.data_directory()).is_empty());
    cluster.start();
    assert_eq!(cluster.port(), port);
    assert_eq!(cluster.value("postgres", "SELECT count(*) FROM t"), "1000");
}

/// A statement that is refused gives its four parts; one that psql refuses ends psql.
#[test]
fn refusals_are_reported_in_full() {
    let cluster = Cluster::builder("t").start();
    let answer = cluster.refuses(
        "postgres",
        "DO $$ BEGIN RAISE EXCEPTION 'no' USING DETAIL = 'Because.', HINT = 'Ask.', ERRCODE = '55000'; END $$",
    );
    assert_eq!(
        (&*answer.message, &*answer.detail, &*answer.hint, &*answer.sqlstate),
        ("no", "Because.", "Ask.", "55000")
    );
    assert!(!cluster.psql("postgres", "SELECT 1/0; SELECT 2;").status.success());
}

/// The comparison sees a changed value, a missing row and a surplus row, and nothing when
/// there is nothing, with values that could confuse text.
#[test]
fn compare_finds_each_kind_of_difference() {
    let cluster = Cluster::builder("t").start();
    cluster.create_database("other");
    for database in ["postgres", "other"] {
        cluster.run(
            database,
            "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, NULL), (2, ''), \
             (3, E'a\\nb\\t\\\\'), (4, 'Grüße, 世界'), (5, 'a|b'), (6, repeat('x', 1000)); \
             CREATE TABLE same AS TABLE t",
        );
    }
    let tables = ["public.t", "public.same"];
    let differences = || compare((&cluster, "postgres"), (&cluster, "other"), &tables);
    assert_eq!(differences(), []);

    cluster.run("other", "UPDATE t SET b = '' WHERE a = 1; DELETE FROM t WHERE a = 3; INSERT INTO t VALUES (7, 'new')");
    let found = differences();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].table, "public.t");
    assert_eq!(found[0].only_source.len(), 2);
    assert_eq!(found[0].only_destination.len(), 2);
    assert_eq!(found[0].count, 4);
    assert!(found[0].to_string().contains("(7,new)"), "{}", found[0]);
}

/// The proxy carries a session, cuts it, holds it without closing, and refuses new ones.
#[test]
fn a_proxy_cuts_stalls_and_refuses() {
    let cluster = Cluster::builder("t").start();
    cluster.run("postgres", "CREATE ROLE someone LOGIN PASSWORD 'pw'");
    let proxy = Proxy::to(cluster.port());
    let connect = || {
        postgres::Config::new()
            .host("127.0.0.1")
            .port(proxy.port())
            .user("someone")
            .password("pw")
            .dbname("postgres")
            .connect(postgres::NoTls)
    };

    let mut session = connect().expect("through the proxy");
    session.simple_query("SELECT 1").expect("carried");
    proxy.cut();
    assert!(session.simple_query("SELECT 1").is_err(), "cut");

    let mut session = connect().expect("again");
    proxy.cut_after(1000);
    let long = format!("SELECT '{}'", "x".repeat(100_000));
    assert!(session.simple_query(&long).is_err(), "cut in the middle of the statement");
    assert_eq!(proxy.cuts(), 2);

    let mut session = connect().expect("again");
    proxy.stall();
    let query = std::thread::spawn(move || session.simple_query("SELECT 1").is_ok());
    let sent = wait::poll(Duration::from_millis(300), || query.is_finished().then_some(()));
    assert!(sent.is_none(), "nothing passes a stalled wire");
    proxy.flow();
    assert!(query.join().expect("no panic"), "and everything does afterwards");

    proxy.refuse();
    assert!(connect().is_err());
    proxy.accept();
    assert!(connect().is_ok());
}

/// A limited wire takes its time.
#[test]
fn a_proxy_limits_the_rate() {
    let cluster = Cluster::builder("t").start();
    cluster.run("postgres", "CREATE ROLE someone LOGIN PASSWORD 'pw'");
    let proxy = Proxy::to(cluster.port());
    let mut session = postgres::Config::new()
        .host("127.0.0.1")
        .port(proxy.port())
        .user("someone")
        .password("pw")
        .dbname("postgres")
        .connect(postgres::NoTls)
        .expect("through the proxy");
    proxy.limit(Some(100_000));
    let begin = Instant::now();
    session.simple_query(&format!("SELECT '{}'", "x".repeat(50_000))).expect("carried");
    assert!(begin.elapsed() >= Duration::from_millis(400), "{:?}", begin.elapsed());
}

/// Writers survive a crash of the server and go on writing after it.
#[test]
fn traffic_survives_a_crash() {
    let cluster = Cluster::builder("t").start();
    cluster.run("postgres", "CREATE TABLE t (a bigint)");
    let traffic = Traffic::start(&cluster, "postgres", 2, 1, Duration::from_millis(1), |rng| {
        format!("INSERT INTO t VALUES ({})", rng.between(1, 1_000_000))
    });
    cluster.wait_until("postgres", "traffic writes", "(SELECT count(*) > 10 FROM t)");
    cluster.kill9();
    let before = traffic.committed();
    cluster.start();
    wait::until(
        "traffic goes on",
        wait::DEADLINE,
        || (traffic.committed() > before + 10).then_some(()),
        || cluster.log_tail(20),
    );
    let committed = traffic.stop();
    let rows: u64 = cluster.value("postgres", "SELECT count(*) FROM t").parse().expect("a number");
    assert!(rows >= committed, "{rows} rows of {committed} commits");
}

/// pgbench runs its own transaction and ours, and a failing script fails the test.
#[test]
fn pgbench_runs_scripts() {
    let cluster = Cluster::builder("t").start();
    pgbench::initialize(&cluster, "postgres", 1);
    let own = Pgbench::start(&cluster, "postgres", &pgbench::Options { clients: 2, ..Default::default() });
    cluster.wait_until("postgres", "pgbench writes", "(SELECT count(*) > 10 FROM pgbench_history)");
    own.stop();
    let script = Pgbench::start(
        &cluster,
        "postgres",
        &pgbench::Options {
            seconds: Some(1),
            script: Some("UPDATE pgbench_branches SET filler = 'seen';\n".to_owned()),
            ..Default::default()
        },
    );
    script.finish();
    assert_eq!(cluster.value("postgres", "SELECT count(*) FROM pgbench_branches WHERE filler ~ 'seen'"), "1");
    let broken = Pgbench::start(
        &cluster,
        "postgres",
        &pgbench::Options { seconds: Some(1), script: Some("SELECT nonsense;\n".to_owned()), ..Default::default() },
    );
    assert!(std::panic::catch_unwind(move || broken.finish()).is_err());
}

/// A process that is killed without a chance to clean up leaves no server and no file:
/// the reaper does it. The process here is psql's parent shell, so the test stays small.
#[test]
fn scratch_is_removed_when_its_owner_is_killed() {
    // A second test process of this very binary, that starts a server and then hangs.
    let mut child = std::process::Command::new(std::env::current_exe().expect("known"))
        .args(["--exact", "hangs_with_a_server_for_the_test_above", "--nocapture"])
        .env("COURIER_HANG", "1")
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .expect("starts");
    let mut output = std::io::BufReader::new(child.stdout.take().expect("piped"));
    let directory = loop {
        let mut line = String::new();
        assert!(std::io::BufRead::read_line(&mut output, &mut line).expect("text") > 0, "it speaks");
        if let Some(directory) = line.trim_end().strip_prefix("scratch: ") {
            break std::path::PathBuf::from(directory);
        }
    };
    assert!(!procfs::processes_in(&directory).is_empty(), "a server runs there");
    child.kill().expect("ours");
    child.wait().expect("ours");
    wait::until(
        "the reaper has removed everything",
        Duration::from_secs(30),
        || (procfs::processes_in(&directory).is_empty() && !directory.exists()).then_some(()),
        || format!("{directory:?}"),
    );
}

#[test]
fn hangs_with_a_server_for_the_test_above() {
    if std::env::var_os("COURIER_HANG").is_none() {
        return;
    }
    let _cluster = Cluster::builder("t").start();
    println!("\nscratch: {}", pg_courier_tests::scratch::scratch().path().display());
    loop {
        std::thread::park();
    }
}

/// The same seed makes the same choices.
#[test]
fn random_choices_repeat() {
    let choose = || {
        let mut rng = Rng::new(42);
        (0..100).map(|_| rng.between(3, 9)).collect::<Vec<_>>()
    };
    assert_eq!(choose(), choose());
    assert!(choose().iter().all(|n| (3..=9).contains(n)));
    assert!(choose().contains(&3) && choose().contains(&9));
}

/// The schema with every type and its traffic are valid SQL, and the generated
/// transactions really change every table of it.
#[test]
fn every_type_schema_takes_its_traffic() {
    let cluster = Cluster::builder("t").start();
    types::initialize(&cluster, "postgres");
    let tables = types::tables(&cluster, "postgres");
    assert!(tables.len() >= 24, "{tables:?}");
    for table in &tables {
        let rows = cluster.value("postgres", &format!("SELECT count(*) FROM {table}"));
        assert_ne!(rows, "0", "{table}");
    }
    let mut rng = Rng::from_environment("every_type_schema_takes_its_traffic");
    let mut run = |transactions: usize| {
        let mut client = cluster.connect("postgres");
        for _ in 0..transactions {
            let transaction = types::transaction(&mut rng);
            if let Err(error) = client.batch_execute(&transaction) {
                panic!("{transaction}\n{}", Answer::from(&error));
            }
        }
        // The counters arrive when the session has ended.
    };
    run(600);
    let tables_with = |what: &str| {
        format!(
            "SELECT string_agg(s.relname, ' ') FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid \
             WHERE c.relkind = 'r' AND s.schemaname = 'types' AND {what}"
        )
    };
    let updated_and_deleted = tables_with("n_tup_upd > 0 AND n_tup_del > 0");
    let many = format!("array_length(string_to_array(({updated_and_deleted}), ' '), 1) >= 12");
    cluster.wait_until_within("postgres", "most had updates and deletes", &many, Duration::from_secs(15));
    // Loading counts 301 at most.
    let idle = tables_with("n_tup_upd + n_tup_del = 0 AND n_tup_ins <= 301 AND c.relname <> 'xmls'");
    // Chance may leave a small table out for a while, but not for ever.
    for _ in 0..20 {
        if cluster.value("postgres", &idle).is_empty() {
            break;
        }
        run(300);
    }
    let none = format!("({idle}) IS NULL");
    cluster.wait_until_within("postgres", "every table was changed", &none, Duration::from_secs(15));
}
