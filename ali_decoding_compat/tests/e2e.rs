//! The archive on real servers, every major that can be had. Run by `make test-ali`.

#[allow(dead_code)]
mod support;

use support::cluster::Cluster;
use support::format::{Message, parse, parse_lines};
use support::{golden, server};

/// Runs a story on each server.
fn on_every_server(story: impl Fn(&Cluster)) {
    for server in server::all() {
        let cluster = Cluster::start(&server);
        println!("  {}", cluster.sql("SHOW server_version"));
        story(&cluster);
        let log = cluster.log();
        assert!(!log.contains("was terminated by signal"), "a process crashed on {}:\n{log}", server.major);
    }
}

#[test]
#[ignore = "needs servers: make test-ali"]
fn golden_bytes() {
    let workload = server::project().join("tests/data/workload.sql");
    on_every_server(|cluster| {
        let major = cluster.server.major;
        cluster.create_slot("postgres", "golden", "ali_decoding");
        cluster.create_slot("postgres", "streamed", "ali_decoding");
        cluster.run_file("postgres", &workload);
        let end = cluster.flushed_lsn();

        // The three ways to read a slot give the same bytes.
        let peeked = cluster.binary_changes("postgres", "golden", "peek");
        let got = cluster.binary_changes("postgres", "golden", "get");
        assert_eq!(peeked, got);
        let streamed = cluster.receive("postgres", "streamed", &["version=1", "encoding=UTF8"], &end).expect("streams");
        assert_eq!(parse_lines(&streamed).expect("well formed"), got);
        for message in &got {
            parse(message).expect("well formed");
        }

        let ours: Vec<Vec<u8>> = got.into_iter().map(golden::masked).collect();
        let original = golden::messages();
        if major <= 10 {
            assert_eq!(ours, original);
            return;
        }
        let ours = golden::without_empty_transactions(&ours);
        let original = golden::without_empty_transactions(&original);
        assert_eq!(ours.len(), original.len());
        for (ours, original) in ours.iter().zip(&original) {
            if major >= 12 {
                assert_eq!(golden::with_floats_alike(ours), golden::with_floats_alike(original));
            } else {
                assert_eq!(ours, original);
            }
        }
    });
}

#[test]
#[ignore = "needs servers: make test-ali"]
fn begin_and_commit_tell_the_truth() {
    on_every_server(|cluster| {
        cluster.sql("CREATE TABLE t (a int)");
        cluster.create_slot("postgres", "s", "ali_decoding");
        let facts = cluster.sql(
            "SELECT extract(epoch FROM clock_timestamp()) - 946684800;
             BEGIN; INSERT INTO t VALUES (1); SELECT txid_current(); COMMIT;
             SELECT extract(epoch FROM clock_timestamp()) - 946684800;",
        );
        let facts: Vec<f64> = facts.lines().map(|line| line.parse().expect("a number")).collect();
        let messages = cluster.binary_changes("postgres", "s", "get");
        let parsed: Vec<Message> = messages.iter().map(|message| parse(message).expect("well formed")).collect();
        let [
            Message::Begin {
                flags: 0,
                final_lsn,
                commit_time: begin_time,
                xid,
            },
            Message::Insert {
                ..
            },
            Message::Commit {
                flags: 0,
                commit_lsn,
                end_lsn,
                commit_time,
            },
        ] = &parsed[..]
        else {
            panic!("{parsed:?}");
        };
        assert_eq!(f64::from(*xid), facts[1]);
        assert_eq!(begin_time, commit_time);
        let seconds = *commit_time as f64 / 1e6;
        assert!(facts[0] <= seconds && seconds <= facts[2], "{seconds} in {facts:?}");
        assert_eq!(final_lsn, commit_lsn);
        assert!(end_lsn > commit_lsn);
    });
}
