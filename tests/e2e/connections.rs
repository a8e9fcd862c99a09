//! The way to the destination: with whose credentials, whom certificates vouch for, and what stands between.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use pg_courier_tests::account::account;
use pg_courier_tests::pair::{DATABASE, PASSWORD, ROLE};
use pg_courier_tests::scratch::scratch;
use pg_courier_tests::sql::literal;
use pg_courier_tests::{Answer, Cluster, Pair, PairBuilder};

use crate::common::{SMALL, TASK, assert_mentions, create_small_tables};

// --- who connects ---------------------------------------------------------------------

/// A home of the operating system user, which its administrator has filled for his own work.
struct Home(PathBuf);

impl Home {
    fn new(name: &str) -> Home {
        let home = Home(scratch().path().join(format!("home_{name}")));
        fs::create_dir(&home.0).expect("scratch is writable");
        home.give("");
        home
    }

    fn path(&self) -> &str {
        self.0.to_str().expect("plain letters")
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.0.join(name);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).expect("scratch is writable");
        }
        fs::write(&path, content).expect("scratch is writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("ours");
        self.give(name);
    }

    /// To the account of the servers, with the directories that lead to it.
    fn give(&self, name: &str) {
        let mut path = self.0.join(name);
        while path.starts_with(&self.0) {
            account().own(&path).expect("root may give files away");
            path.pop();
        }
    }
}

/// A source on which role `low` may use pg_courier and create servers.
fn pair_with_low(builder: PairBuilder) -> Pair {
    let pair = builder.start();
    pair.source.run(
        DATABASE,
        "CREATE ROLE low LOGIN REPLICATION PASSWORD 'pw'; SELECT courier.grant_usage('low'); \
         GRANT USAGE ON FOREIGN DATA WRAPPER pg_courier TO low; \
         CREATE TABLE low_t (id int PRIMARY KEY); GRANT SELECT ON low_t TO low",
    );
    pair
}

fn as_low(pair: &Pair, sql: &str) -> Result<(), Answer> {
    pair.source.connect_as(DATABASE, "low", "pw").batch_execute(sql).map_err(|e| Answer::from(&e))
}

fn low_ok(pair: &Pair, sql: &str) {
    as_low(pair, sql).unwrap_or_else(|answer| panic!("{sql}: {answer}"));
}

/// `test_connection` as a role: `step status detail hint` of everything that is not `ok`.
fn complaints(pair: &Pair, role: &str, server: &str) -> String {
    let mut session = pair.source.connect(DATABASE);
    session.batch_execute(&format!("SET SESSION AUTHORIZATION {role}")).expect("superuser");
    let query = format!(
        "SELECT concat_ws(' ', step, status, detail, hint) FROM courier.test_connection('{server}') \
         WHERE status NOT IN ('ok', 'skipped')"
    );
    let rows = session.query(&query, &[]).unwrap_or_else(|error| panic!("{}", Answer::from(&error)));
    rows.iter().map(|row| row.get::<_, String>(0)).collect::<Vec<_>>().join("\n")
}

fn server_of_low(pair: &Pair, mapping: &str) {
    low_ok(
        pair,
        &format!(
            "CREATE SERVER mine FOREIGN DATA WRAPPER pg_courier OPTIONS (host '127.0.0.1', port '{}', dbname '{DATABASE}'); \
             CREATE USER MAPPING FOR low SERVER mine OPTIONS ({mapping})",
            pair.destination.port()
        ),
    );
}

/// The administrator of the source keeps the password of the destination's superuser in ~/.pgpass, for backups. A role
/// that may use pg_courier and knows no password names that user in its mapping. It connected, and a task wrote there as
/// superuser. Nothing of the operating system user's is for such a role, whatever way libpq has to it.
#[test]
fn what_the_operating_system_user_has_is_not_for_everybody() {
    let home = Home::new("pgpass");
    let pair = pair_with_low(
        Pair::builder()
            .source_env("HOME", home.path())
            .source_env("PGPASSWORD", PASSWORD)
            .source_env("PGUSER", ROLE)
            .source_env("PGSERVICE", "backups"),
    );
    // A colon and a backslash are escaped there.
    let password = PASSWORD.replace('\\', "\\\\").replace(':', "\\:");
    let line = format!("127.0.0.1:{}:*:{ROLE}:{password}\n", pair.destination.port());
    home.write(".pgpass", &line);
    home.write(
        ".pg_service.conf",
        &format!("[backups]\nhost=127.0.0.1\nport={}\nuser={ROLE}\n", pair.destination.port()),
    );
    server_of_low(&pair, &format!("user '{ROLE}'"));
    for (change, told) in [
        ("", "login failed"),
        ("ALTER USER MAPPING FOR low SERVER mine OPTIONS (ADD password '')", "login failed"),
        ("ALTER USER MAPPING FOR low SERVER mine OPTIONS (SET password 'guessed')", "login failed"),
        ("ALTER USER MAPPING FOR low SERVER mine OPTIONS (DROP user)", "login failed"),
    ] {
        if !change.is_empty() {
            low_ok(&pair, change);
        }
        assert_mentions(&complaints(&pair, "low", "mine"), &[told, "ALTER USER MAPPING FOR \"low\" SERVER \"mine\""]);
    }
    low_ok(&pair, &format!("ALTER USER MAPPING FOR low SERVER mine OPTIONS (ADD user '{ROLE}', DROP password)"));
    low_ok(&pair, "SELECT courier.create_task('steal', server => 'mine', include => ARRAY['public.low_t'])");
    let answer = as_low(&pair, "SELECT courier.start('steal')").expect_err("no password of its own");
    assert_mentions(&answer.to_string(), &["password"]);
    let tables = "SELECT count(*) FROM pg_stat_all_tables WHERE relname = 'low_t'";
    assert_eq!(pair.destination.value(DATABASE, tables), "0");
    for option in ["passfile '/x'", "sslcert '/x'", "sslkey '/x'"] {
        let answer = as_low(&pair, &format!("ALTER USER MAPPING FOR low SERVER mine OPTIONS (ADD {option})"));
        assert_eq!(answer.expect_err(option).sqlstate, "42501", "{option}");
    }
    for option in ["service 'backups'", "krbsrvname 'x'", "gssdelegation '1'"] {
        let answer = as_low(&pair, &format!("ALTER SERVER mine OPTIONS (ADD {option})"));
        assert_eq!(answer.expect_err(option).sqlstate, "42501", "{option}");
    }
    // With a password of its own it works.
    low_ok(&pair, &format!("ALTER USER MAPPING FOR low SERVER mine OPTIONS (ADD password {})", literal(PASSWORD)));
    assert_eq!(complaints(&pair, "low", "mine"), "");
}

/// The environment of the server says where other programs connect, and as whom. A server and a user mapping say it all:
/// not even a superuser's task goes anywhere that they do not name. Its password file is another matter.
#[test]
fn the_environment_of_the_server_is_not_asked() {
    let home = Home::new("environment");
    let pair = Pair::builder()
        .source_env("HOME", home.path())
        .source_env("PGPASSWORD", PASSWORD)
        .source_env("PGHOSTADDR", "192.0.2.1")
        .source_env("PGDATABASE", "elsewhere")
        .source_env("PGSSLMODE", "verify-full")
        .source_env("PGREQUIREAUTH", "gss")
        .source_env("PGCHANNELBINDING", "require")
        .source_env("PGOPTIONS", "-c no_such_setting=on")
        .source_env("PGTARGETSESSIONATTRS", "standby")
        .source_env("PGSERVICEFILE", "/not/there")
        .start();
    assert_eq!(complaints(&pair, "postgres", "dr"), "");
    pair.source.run(DATABASE, "ALTER USER MAPPING FOR CURRENT_USER SERVER dr OPTIONS (DROP password)");
    assert_mentions(&complaints(&pair, "postgres", "dr"), &["login failed", "no password supplied"]);
    let password = PASSWORD.replace('\\', "\\\\").replace(':', "\\:");
    home.write(".pgpass", &format!("127.0.0.1:{}:*:{ROLE}:{password}\n", pair.destination.port()));
    assert_eq!(complaints(&pair, "postgres", "dr"), "");
    pair.source.run(DATABASE, "ALTER SERVER dr OPTIONS (DROP host)");
    let answer = pair.source.refuses(DATABASE, "SELECT * FROM courier.test_connection('dr')");
    assert_eq!(answer.sqlstate, "22023", "{answer}");
    assert_mentions(&answer.hint, &["ALTER SERVER \"dr\" OPTIONS (ADD host '...');"]);
}

/// Whoever is refused gets the statement that helps, with all names in it; run where the hint says, it does help.
#[test]
fn statements_in_hints_of_refusals_run() {
    let pair = Pair::start();
    let helps = |hint: &str| {
        let (_, statement) = hint.split_once("estination: ").expect("a statement for the destination");
        let statement = statement.split_inclusive(';').next().unwrap_or_default();
        pair.destination.run("postgres", statement);
    };
    let refused = || {
        let sql =
            "SELECT concat_ws(' ', step, detail, hint) FROM courier.test_connection('dr') WHERE status = 'failed'";
        pair.source.value(DATABASE, sql)
    };
    pair.source.run(DATABASE, "ALTER SERVER dr OPTIONS (SET dbname 'Odd one')");
    assert_mentions(&refused(), &["does not exist", "ALTER SERVER \"dr\" OPTIONS (SET dbname"]);
    helps(&refused());
    pair.destination.run("postgres", "REVOKE CONNECT ON DATABASE \"Odd one\" FROM PUBLIC");
    assert_mentions(&refused(), &["permission denied for database"]);
    helps(&refused());
    assert_mentions(&refused(), &["no CREATE on database"]);
    pair.source.run(DATABASE, "ALTER SERVER dr OPTIONS (SET dbname 'shop')");
    if pair.destination.install.major() < 15 {
        return;
    }
    pair.source.run(DATABASE, "CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY REFERENCES a)");
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.call(DATABASE, "pause", TASK);
    pair.destination.run("postgres", &format!("REVOKE SET ON PARAMETER session_replication_role FROM {ROLE}"));
    pair.call(DATABASE, "resume", TASK);
    assert_mentions(&pair.failure(DATABASE, TASK), &["cannot set session_replication_role"]);
    helps(&pair.task(DATABASE, TASK, "last_error_hint"));
    pair.call(DATABASE, "resume", TASK);
    pair.source.run(DATABASE, "INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)");
    pair.assert_mirrored(TASK, &["public.a", "public.b"]);
}

/// A destination that asks for nothing (trust) lets in whoever the mapping names: then the operating system user or the
/// address vouched for it, not a password. A superuser may do that.
#[test]
fn a_destination_that_does_not_ask_for_the_password() {
    let pair = pair_with_low(Pair::builder());
    set_hba(&pair.destination, "host all all 127.0.0.1/32 trust");
    server_of_low(&pair, &format!("user '{ROLE}', password 'anything'"));
    let told = complaints(&pair, "low", "mine");
    assert_mentions(&told, &["login failed", "did not ask for the password", "pg_hba.conf"]);
    low_ok(&pair, "ALTER SERVER mine OPTIONS (ADD require_auth 'none')");
    assert_mentions(&complaints(&pair, "low", "mine"), &["login failed", "require_auth"]);
    low_ok(&pair, "ALTER SERVER mine OPTIONS (SET require_auth '!gss')");
    assert_mentions(&complaints(&pair, "low", "mine"), &["login failed", "did not ask for the password"]);
    assert_eq!(complaints(&pair, "postgres", "dr"), "");
}

/// Replaces pg_hba.conf, but for the superuser at the socket, and returns when it is in force.
fn set_hba(cluster: &Cluster, lines: &str) {
    let path = cluster.data_directory().join("pg_hba.conf");
    fs::write(&path, format!("local all all trust\n{lines}\n")).expect("the data directory is ours");
    reload(cluster);
}

fn reload(cluster: &Cluster) {
    let before = cluster.log_count("received SIGHUP");
    cluster.reload();
    cluster.wait_for_log("received SIGHUP", before);
}

// --- what the destination says ----------------------------------------------------------

/// A destination speaks Russian. What it says decides what is tried again: by its SQLSTATE, in every language.
#[test]
fn a_refusal_in_another_language() {
    let pair = Pair::start();
    for (sqlstate, text, told) in [
        ("28P01", "пользователь не прошёл проверку подлинности", "login failed"),
        ("28000", "роль не существует", "login failed"),
        ("3D000", "база данных не существует", "database failed"),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        pair.route(DATABASE, listener.local_addr().expect("bound").port());
        let server = std::thread::spawn(move || refuse_two(&listener, sqlstate, text));
        let complaints = complaints(&pair, "postgres", "dr");
        assert_mentions(&complaints, &[told, text]);
        assert!(!complaints.contains("LOCATION"), "{complaints}");
        let _ = std::net::TcpStream::connect(("127.0.0.1", server.join().expect("it answers")));
    }
}

/// Answers one client as a server would that does not let it in. Returns its port.
fn refuse_two(listener: &TcpListener, sqlstate: &str, text: &str) -> u16 {
    let (mut client, _) = listener.accept().expect("somebody connects");
    let mut packet = [0; 1024];
    // The question whether there is TLS, then the startup packet.
    while let Ok(size @ 1..) = client.read(&mut packet) {
        if size == 8 {
            client.write_all(b"N").expect("it listens");
            continue;
        }
        let mut body = Vec::new();
        for (field, value) in [('S', "ВАЖНО"), ('V', "FATAL"), ('C', sqlstate), ('M', text), ('R', "auth_failed")]
        {
            body.extend([field as u8]);
            body.extend(value.as_bytes());
            body.push(0);
        }
        body.push(0);
        let mut message = vec![b'E'];
        message.extend((body.len() as u32 + 4).to_be_bytes());
        message.extend(body);
        client.write_all(&message).expect("it listens");
        break;
    }
    listener.local_addr().expect("bound").port()
}

/// Passwords are rotated: first on the destination, then in the user mapping. In between the task tries again, says so, and
/// goes on by itself as soon as the mapping is right.
#[test]
fn a_rotated_password_is_waited_for() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.destination.run(
        "postgres",
        "ALTER ROLE courier PASSWORD 'changed'; \
         SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'courier'",
    );
    pair.source.run(DATABASE, "UPDATE items SET v = 7");
    pair.wait_until_in(
        "task_details",
        TASK,
        "the task will try again",
        "retry_at IS NOT NULL AND last_error_sqlstate = '28P01'",
    );
    let hint = pair.task(DATABASE, TASK, "last_error_hint");
    assert_mentions(&hint, &["ALTER USER MAPPING FOR \"postgres\" SERVER \"dr\" OPTIONS (SET password '...');"]);
    assert_ne!(pair.task(DATABASE, TASK, "state"), "failed");
    pair.source.run(DATABASE, "ALTER USER MAPPING FOR CURRENT_USER SERVER dr OPTIONS (SET password 'changed')");
    pair.assert_mirrored(TASK, &SMALL);
}

// --- certificates -------------------------------------------------------------------------

/// A certification authority in a directory of the scratch, and the certificates it gives out.
struct Authority(PathBuf);

impl Authority {
    fn new(name: &str) -> Authority {
        let authority = Authority(scratch().path().join(format!("ca_{name}")));
        fs::create_dir(&authority.0).expect("scratch is writable");
        fs::set_permissions(&authority.0, fs::Permissions::from_mode(0o755)).expect("ours");
        authority.openssl(&format!(
            "req -x509 -newkey {KEY} -nodes -days 2 -subj /CN=ca -keyout ca.key -out ca.crt -addext basicConstraints=critical,CA:true"
        ));
        fs::write(
            authority.path("ca.conf"),
            "[ca]\ndefault_ca=d\n[d]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=2\n",
        )
        .and_then(|()| fs::write(authority.path("index"), ""))
        .expect("scratch is writable");
        authority
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    fn openssl(&self, arguments: &str) {
        let output = Command::new("openssl").args(arguments.split(' ')).current_dir(&self.0).output();
        let output = output.expect("openssl is there (make prereqs)");
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// `name.crt` and `name.key`; `names` is a list as OpenSSL writes it (`DNS:a,IP:::1`), or empty.
    fn certificate(&self, name: &str, common_name: &str, names: &str, days: i32) {
        self.openssl(&format!(
            "req -new -newkey {KEY} -nodes -subj /CN={common_name} -keyout {name}.key -out {name}.csr"
        ));
        let extensions = if names.is_empty() { String::new() } else { format!("subjectAltName={names}\n") };
        fs::write(self.path("extensions"), extensions).expect("scratch is writable");
        self.openssl(&format!(
            "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days {days} -extfile extensions -out {name}.crt"
        ));
    }

    /// A list of revoked certificates with this one on it.
    fn revoke(&self, name: &str) {
        self.openssl(&format!("ca -config ca.conf -keyfile ca.key -cert ca.crt -revoke {name}.crt"));
        self.openssl("ca -config ca.conf -keyfile ca.key -cert ca.crt -gencrl -out revoked.crl");
    }

    fn install(&self, name: &str, cluster: &Cluster) {
        for (from, to) in [("crt", "server.crt"), ("key", "server.key")] {
            let to = cluster.data_directory().join(to);
            fs::copy(self.path(&format!("{name}.{from}")), &to).expect("the data directory is ours");
            fs::set_permissions(&to, fs::Permissions::from_mode(0o600)).expect("ours");
            account().own(&to).expect("root may give files away");
        }
    }
}

const KEY: &str = "ec -pkeyopt ec_paramgen_curve:prime256v1";

/// What psql of the same machine says of a connection; empty when it is made.
fn psql_says(pair: &Pair, options: &[(&str, &str)]) -> String {
    let quoted = |value: &str| format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"));
    let connection: Vec<String> = options.iter().map(|(k, v)| format!("{k}={}", quoted(v))).collect();
    let output = pair
        .destination
        .program("psql", DATABASE)
        .env_remove("PGHOST")
        .args(["-X", "-At", "-c", "SELECT 1", "-d", &connection.join(" ")])
        .output()
        .expect("psql runs");
    if output.status.success() { String::new() } else { String::from_utf8_lossy(&output.stderr).into_owned() }
}

/// A certificate with an IPv6 address among its names was refused for every name behind it, while psql of the same machine
/// connected. Whatever the certificate: the verdict is psql's.
#[test]
fn certificates_are_judged_as_psql_judges_them() {
    let home = Home::new("judged");
    let pair = Pair::builder().source_env("HOME", home.path()).start();
    // Addresses in certificates are compared from 15 on.
    if pair.source.install.major().max(pair.destination.install.major()) < 15 {
        return;
    }
    let authority = Authority::new("judged");
    let ca = authority.path("ca.crt");
    let (ca, revoked) = (ca.to_str().expect("plain letters"), authority.path("revoked.crl"));
    let revoked = revoked.to_str().expect("plain letters");
    const NAME: &str = "db.example.org";
    // Name, common name, other names, days, and the hosts that it is asked for.
    let cases: [(&str, &str, &str, i32, &[&str]); 10] = [
        ("v6_first", "other", "IP:::1,IP:127.0.0.1,DNS:db.example.org", 2, &["::1", "127.0.0.1", NAME, "other"]),
        ("v4_first", "other", "IP:127.0.0.1,DNS:a.example.org,DNS:db.example.org", 2, &["127.0.0.1", NAME, "::1"]),
        ("wildcard", "other", "DNS:*.example.org", 2, &[NAME, "a.db.example.org", "example.org"]),
        ("common_name", NAME, "", 2, &[NAME, "127.0.0.1"]),
        ("address_as_common_name", "127.0.0.1", "", 2, &["127.0.0.1", "127.0.0.2"]),
        ("address_beside_names", "127.0.0.1", "DNS:db.example.org", 2, &["127.0.0.1", NAME]),
        ("name_beside_addresses", NAME, "IP:127.0.0.1", 2, &[NAME, "127.0.0.1"]),
        ("address_as_name", "other", "DNS:127.0.0.1", 2, &["127.0.0.1"]),
        ("expired", NAME, "DNS:db.example.org", -1, &[NAME]),
        ("revoked", NAME, "DNS:db.example.org", 2, &[NAME]),
    ];
    for (name, common_name, names, days, _) in &cases {
        authority.certificate(name, common_name, names, *days);
    }
    authority.revoke("revoked");
    authority.install("v4_first", &pair.destination);
    pair.destination.set("ssl", Some("on"));
    pair.source.run(
        DATABASE,
        &format!(
            "ALTER SERVER dr OPTIONS (ADD hostaddr '127.0.0.1', ADD sslmode 'verify-full', ADD sslrootcert {}, \
             ADD sslcrl {}, ADD channel_binding 'require')",
            literal(ca),
            literal(revoked)
        ),
    );
    let (mut accepted, mut refused, mut differences) = (0, 0, Vec::new());
    let port = pair.destination.port().to_string();
    for (name, _, _, _, hosts) in &cases {
        authority.install(name, &pair.destination);
        reload(&pair.destination);
        for host in *hosts {
            let psql = psql_says(
                &pair,
                &[
                    ("host", host),
                    ("hostaddr", "127.0.0.1"),
                    ("port", &port),
                    ("dbname", DATABASE),
                    ("user", ROLE),
                    ("password", PASSWORD),
                    ("sslmode", "verify-full"),
                    ("sslrootcert", ca),
                    ("sslcrl", revoked),
                    ("channel_binding", "require"),
                ],
            );
            pair.source.run(DATABASE, &format!("ALTER SERVER dr OPTIONS (SET host {})", literal(host)));
            let ours = complaints(&pair, "postgres", "dr");
            if psql.is_empty() {
                accepted += 1
            } else {
                refused += 1
            }
            if psql.is_empty() != ours.is_empty() || !ours.is_empty() && !ours.contains("tls failed") {
                differences.push(format!("{name} for {host}: psql: {psql}; test_connection: {ours}"));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
    assert!(accepted >= 8 && refused >= 8, "both verdicts are there: {accepted}, {refused}");
}

/// The destination asks for a password and for a certificate. The one that the operating system user of the source has in
/// its home is the administrator's, and not for a role without superuser.
#[test]
fn the_certificate_of_the_operating_system_user_is_not_for_everybody() {
    let home = Home::new("certificate");
    let pair = pair_with_low(Pair::builder().source_env("HOME", home.path()));
    let authority = Authority::new("client");
    authority.certificate("server", "localhost", "IP:127.0.0.1", 2);
    authority.certificate("client", ROLE, "", 2);
    authority.install("server", &pair.destination);
    let read = |name: &str| fs::read_to_string(authority.path(name)).expect("it has been made");
    let root = pair.destination.data_directory().join("root.crt");
    fs::write(&root, read("ca.crt")).expect("the data directory is ours");
    pair.destination.set("ssl_ca_file", Some("root.crt"));
    pair.destination.set("ssl", Some("on"));
    set_hba(&pair.destination, "hostssl all all 127.0.0.1/32 scram-sha-256 clientcert=verify-ca");
    home.write(".postgresql/postgresql.crt", &read("client.crt"));
    home.write(".postgresql/postgresql.key", &read("client.key"));
    server_of_low(&pair, &format!("user '{ROLE}', password {}", literal(PASSWORD)));
    assert_eq!(complaints(&pair, "postgres", "dr"), "", "the administrator's own");
    assert_mentions(&complaints(&pair, "low", "mine"), &["failed", "certificate"]);
    // He may give it away.
    let file = |name: &str| literal(&format!("{}/.postgresql/{name}", home.path()));
    pair.source.run(
        DATABASE,
        &format!(
            "ALTER USER MAPPING FOR low SERVER mine OPTIONS (ADD sslcert {}, ADD sslkey {})",
            file("postgresql.crt"),
            file("postgresql.key")
        ),
    );
    assert_eq!(complaints(&pair, "low", "mine"), "");
}

// --- a pooler between -----------------------------------------------------------------------

/// PgBouncer before a destination, without a password; everybody is the same role there.
struct Pooler {
    process: std::process::Child,
    port: u16,
    transactions: bool,
    sessions: usize,
}

impl Pooler {
    fn start(name: &str, destination: &Cluster, mode: &str, more: &str) -> Pooler {
        let directory = scratch().path().join(format!("pool_{name}"));
        fs::create_dir(&directory).expect("scratch is writable");
        account().own(&directory).expect("root may give files away");
        let port = pg_courier_tests::port::free_port();
        let settings = format!(
            "[databases]\n* = host={} port={} user=postgres\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = 4\nserver_reset_query =\n\
             ignore_startup_parameters = extra_float_digits\n{more}\n",
            destination.socket_directory().display(),
            destination.port()
        );
        fs::write(directory.join("ini"), settings).expect("scratch is writable");
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/usr/local/bin/pgbouncer"];
        let program = program.into_iter().find(|path| Path::new(path).exists()).expect("pgbouncer (make prereqs)");
        let log = fs::File::create(directory.join("log")).expect("scratch is writable");
        let mut command = Command::new(program);
        account().applied_to(&mut command, &directory);
        let process = command.arg("ini").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn();
        let pooler =
            Pooler { process: process.expect("pgbouncer runs"), port, sessions: 4, transactions: mode != "statement" };
        pg_courier_tests::wait::until(
            "the pooler accepts connections",
            std::time::Duration::from_secs(30),
            || pooler.try_connect().map(drop),
            || fs::read_to_string(directory.join("log")).unwrap_or_default(),
        );
        pooler
    }

    fn try_connect(&self) -> Option<postgres::Client> {
        let mut config = postgres::Config::new();
        config.host("127.0.0.1").port(self.port).user("postgres").dbname(DATABASE);
        config.connect(postgres::NoTls).ok()
    }

    /// What other clients of the pool meet: the settings that matter, of as many sessions as the pool has.
    fn settings(&self) -> Vec<String> {
        let mut clients: Vec<_> = (0..self.sessions).map(|_| self.try_connect().expect("the pooler runs")).collect();
        let query = "SELECT concat_ws(' ', current_setting('session_replication_role'), current_setting('search_path'), \
                     current_setting('enable_seqscan'), current_setting('synchronous_commit'), current_setting('row_security'), \
                     (SELECT count(*) FROM pg_prepared_statements), current_setting('application_name') LIKE 'pg_courier%')";
        // In a transaction each, at the same time: each has a session.
        if self.transactions {
            clients.iter_mut().for_each(|client| client.batch_execute("BEGIN").expect("a session is free"));
        }
        let mut seen: Vec<String> = clients
            .iter_mut()
            .map(|client| {
                let messages = client.simple_query(query).unwrap_or_else(|error| panic!("{}", Answer::from(&error)));
                let row = messages.iter().find_map(|message| match message {
                    postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                    _ => None,
                });
                row.unwrap_or_default()
            })
            .collect();
        seen.dedup();
        seen
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const UNTOUCHED: &str = "origin \"$user\", public on on on 0 f";

/// A pooler in transaction mode gives each transaction another session. The task's settings stayed behind in them: other
/// clients of the destination had no triggers, no foreign keys and no tables. Such a pooler is found out before anything
/// is set, by everything that connects, also when it comes between later.
#[test]
fn a_pooler_that_shares_sessions_is_refused() {
    let pair = Pair::start();
    create_small_tables(&pair);
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    for (mode, more) in [
        ("transaction", ""),
        ("transaction", "server_round_robin = 1"),
        ("statement", ""),
        ("transaction", "default_pool_size = 1"),
    ] {
        let name = format!("{mode}{}", more.len());
        let pooler = Pooler::start(&name, &pair.destination, mode, more);
        if !more.contains("pool_size") {
            assert_eq!(pooler.settings(), [UNTOUCHED], "before");
        }
        pair.route(DATABASE, pooler.port);
        let told = complaints(&pair, "postgres", "dr");
        assert_mentions(&told, &["session failed", "pool", "ALTER SERVER \"dr\" OPTIONS (SET port '5432');"]);
        let finding =
            "SELECT status FROM courier.precheck('dr', ARRAY['public.items']) WHERE item = 'destination_session'";
        assert_eq!(pair.source.value(DATABASE, finding), "failed", "{mode} {more}");
        // Whoever connects: verification, the list of conflicts, the end of a task.
        let answer = pair.source.refuses(DATABASE, &format!("SELECT * FROM courier.verify('{TASK}')"));
        assert_mentions(&answer.to_string(), &["pooler"]);
        if !more.contains("pool_size") {
            assert_eq!(pooler.settings(), [UNTOUCHED], "after");
        }
    }
    // It comes between while the task runs.
    let pooler = Pooler::start("later", &pair.destination, "transaction", "");
    pair.route(DATABASE, pooler.port);
    pair.destination
        .run("postgres", "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'courier'");
    pair.source.run(DATABASE, "UPDATE items SET v = 8");
    assert_mentions(&pair.failure(DATABASE, TASK), &["pooler", "ALTER SERVER \"dr\""]);
    assert_eq!(pooler.settings(), [UNTOUCHED], "while it ran");
    pair.route(DATABASE, pair.destination.port());
    pair.call(DATABASE, "resume", TASK);
    pair.assert_mirrored(TASK, &SMALL);
}

/// A pooler that keeps a session for each client is as good as a server. When the task goes, nothing of it is left in
/// the sessions, even if the pooler cleans up nothing.
#[test]
fn a_pooler_that_keeps_sessions_is_as_good_as_a_server() {
    let pair = Pair::start();
    create_small_tables(&pair);
    let mut pooler = Pooler::start("session", &pair.destination, "session", "default_pool_size = 12");
    pooler.sessions = 12;
    pair.route(DATABASE, pooler.port);
    assert_eq!(complaints(&pair, "postgres", "dr"), "");
    pair.start_task(TASK, &["public.*"]);
    pair.wait_for_state(DATABASE, TASK, "synchronizing");
    pair.source.run(DATABASE, "UPDATE items SET v = 9; DELETE FROM items WHERE id < 10");
    pair.assert_mirrored(TASK, &SMALL);
    pair.call(DATABASE, "drop_task", TASK);
    assert_eq!(pooler.settings(), [UNTOUCHED]);
}

// --- accounts ---------------------------------------------------------------------------------

/// Runs what `account_sql` prints, as psql would, but for the question of the password.
fn run_account_sql(pair: &Pair, place: &Cluster, arguments: &str) {
    let lines = pair.source.rows(DATABASE, &format!("SELECT * FROM courier.account_sql({arguments})"));
    let lines: Vec<String> = lines.into_iter().flatten().flatten().filter(|l| !l.starts_with("\\password")).collect();
    place.psql_ok(DATABASE, &lines.join("\n"));
}

/// The accounts that `account_sql` prints are enough for a task from its prechecks to its end, and for no more: the one
/// on the source was a member of pg_read_all_data, and read the passwords of all user mappings. The one on the destination could
/// create nothing in schema public.
#[test]
fn accounts_as_printed() {
    let pair = Pair::start();
    if pair.destination.install.major() < 15 {
        return; // GRANT SET ON PARAMETER
    }
    pair.source.run(
        DATABASE,
        "CREATE TABLE t (id serial PRIMARY KEY, up int REFERENCES t); INSERT INTO t (up) VALUES (1), (1); \
         CREATE SCHEMA app; CREATE TABLE app.u (id int PRIMARY KEY, v text); INSERT INTO app.u VALUES (1, 'one'); \
         CREATE TABLE app.private (id int PRIMARY KEY); \
         SELECT courier.create_task('planned', server => 'dr', include => ARRAY['public.t', 'app.u'])",
    );
    // Not its owner, so what is granted has to be enough.
    pair.destination.run("postgres", "ALTER DATABASE shop OWNER TO postgres");
    pair.destination.run(DATABASE, "CREATE SCHEMA app");
    run_account_sql(&pair, &pair.destination, "'destination', 'copier', 'planned'");
    pair.destination.run("postgres", "ALTER ROLE copier PASSWORD 'pw'");
    run_account_sql(&pair, &pair.source, "'source', 'mover', 'planned'");
    pair.source.run(
        DATABASE,
        "ALTER ROLE mover PASSWORD 'pw'; CREATE USER MAPPING FOR mover SERVER dr OPTIONS (user 'copier', password 'pw')",
    );
    let ask =
        |sql: &str| pair.source.connect_as(DATABASE, "mover", "pw").batch_execute(sql).map_err(|e| Answer::from(&e));
    let ok = |sql: &str| ask(sql).unwrap_or_else(|answer| panic!("{sql}: {answer}"));
    for secret in
        ["SELECT umoptions FROM pg_user_mapping", "TABLE pg_authid", "TABLE courier.task", "TABLE app.private"]
    {
        assert_eq!(ask(secret).expect_err(secret).sqlstate, "42501", "{secret}");
    }
    assert_eq!(complaints(&pair, "mover", "dr"), "");
    ok("SELECT courier.create_task('mine', server => 'dr', include => ARRAY['public.t', 'app.u'])");
    let findings = "SELECT coalesce(string_agg(concat_ws(' ', item, object, detail), '; '), '') FROM courier.precheck('mine') \
                    WHERE status = 'failed' OR status = 'warning' AND category IN ('rights', 'destination', 'destination tables')";
    assert_eq!(pair.source.value(DATABASE, findings), "");
    ok("SELECT courier.start('mine')");
    pair.wait_for_state(DATABASE, "mine", "synchronizing");
    pair.source.run(DATABASE, "INSERT INTO t (up) VALUES (2); UPDATE app.u SET v = 'two'");
    pair.assert_mirrored("mine", &["public.t", "app.u"]);
    let more = "SELECT status FROM courier.check_account('mover', 'source') WHERE item = 'no more than needed'";
    assert_eq!(pair.source.value(DATABASE, more), "ok");
    pair.source.run(DATABASE, "GRANT pg_read_all_data TO mover");
    assert_eq!(pair.source.value(DATABASE, more), "warning");
}

/// The owner of one table of the source writes a constraint that reads and writes files wherever it is evaluated by a superuser: on the
/// destination, if the user mapping names one. That is found before anything is created, and a person decides.
#[test]
fn a_superuser_on_the_destination_runs_what_table_owners_wrote() {
    let pair = Pair::start();
    pair.source.run(
        DATABASE,
        "CREATE ROLE tow; CREATE SCHEMA tow AUTHORIZATION tow; SET ROLE tow; \
         CREATE TABLE tow.t (id int PRIMARY KEY, CHECK (pg_catalog.query_to_xml(CASE WHEN current_setting('is_superuser') = 'on' \
         THEN 'SELECT lo_from_bytea(0, ''x'')' ELSE 'SELECT 1' END, true, false, '') IS NOT NULL))",
    );
    let status = "SELECT status FROM courier.precheck('theirs') WHERE item = 'destination_powers'";
    pair.source.run(DATABASE, "SELECT courier.create_task('theirs', server => 'dr', include => ARRAY['tow.*'])");
    pair.destination.run("postgres", "ALTER ROLE courier SUPERUSER");
    assert_eq!(pair.source.value(DATABASE, status), "failed");
    let answer = pair.source.refuses(DATABASE, "SELECT courier.start('theirs')");
    assert_mentions(&answer.to_string(), &["destination_powers", "a superuser"]);
    pair.source.run(DATABASE, "ALTER TABLE tow.t OWNER TO postgres");
    assert_eq!(pair.source.value(DATABASE, status), "warning", "nobody else owns a table");
    pair.source.run(DATABASE, "ALTER TABLE tow.t OWNER TO tow");
    pair.destination.run("postgres", "ALTER ROLE courier NOSUPERUSER; GRANT pg_execute_server_program TO courier");
    assert_eq!(pair.source.value(DATABASE, status), "failed");
    pair.source.run(DATABASE, "SELECT courier.ignore_precheck('theirs', 'destination_powers', 'tow is one of us')");
    assert_eq!(pair.source.value(DATABASE, status), "ignored");
    pair.destination.run("postgres", "REVOKE pg_execute_server_program FROM courier");
    assert_eq!(pair.source.value(DATABASE, status), "ok");
}

/// The same with tables that are there: their owners on the destination may give them triggers that fire for replicated changes.
#[test]
fn a_superuser_on_the_destination_runs_triggers_of_table_owners_there() {
    let pair = Pair::start();
    pair.source.run(DATABASE, "CREATE TABLE t (id int PRIMARY KEY)");
    pair.destination
        .run(DATABASE, "CREATE ROLE somebody; CREATE TABLE t (id int PRIMARY KEY); ALTER TABLE t OWNER TO somebody");
    pair.destination.run(DATABASE, "GRANT ALL ON t TO courier");
    let findings = "SELECT coalesce(string_agg(concat_ws(' ', item, status, object, detail), '; '), '') FROM courier.precheck('dr', \
                    ARRAY['public.t'], schema_sync => false) WHERE item IN ('destination_powers', 'destination_triggers') AND status <> 'ok'";
    let name = "public.t";
    assert_eq!(pair.source.value(DATABASE, findings), "");
    pair.destination.run("postgres", "ALTER ROLE courier SUPERUSER");
    assert_mentions(&pair.source.value(DATABASE, findings), &["destination_powers warning", name, "somebody"]);
    pair.destination.run(
        DATABASE,
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE TRIGGER tr BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f(); ALTER TABLE t ENABLE ALWAYS TRIGGER tr",
    );
    let told = pair.source.value(DATABASE, findings);
    assert_mentions(&told, &["destination_triggers warning", "tr", "belongs to somebody", "rights of user courier"]);
}
