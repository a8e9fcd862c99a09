//! The bytes of the original, by every way to read a slot.

use crate::support::cluster::Database;
use crate::support::format::{Message, parse, parse_lines};
use crate::support::{golden, server};

pub fn golden_bytes(database: &Database) {
    let workload = server::project().join("tests/data/workload.sql");
    let major = database.major();
    database.create_slot("golden", "ali_decoding");
    database.create_slot("streamed", "ali_decoding");
    database.try_file(&workload).expect("the workload runs");
    let end = database.flushed_lsn();

    // The three ways to read a slot give the same bytes.
    let peeked = database.binary_changes("golden", "peek");
    let got = database.binary_changes("golden", "get");
    assert_eq!(peeked, got);
    let streamed = database.receive("streamed", &["version=1", "encoding=UTF8"], &end).expect("streams");
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
}

pub fn begin_and_commit_tell_the_truth(database: &Database) {
    database.sql("CREATE TABLE t (a int)");
    database.create_slot("s", "ali_decoding");
    let facts = database.sql(
        "SELECT extract(epoch FROM clock_timestamp()) - 946684800;
         BEGIN; INSERT INTO t VALUES (1); SELECT txid_current(); COMMIT;
         SELECT extract(epoch FROM clock_timestamp()) - 946684800;",
    );
    let facts: Vec<f64> = facts.lines().map(|line| line.parse().expect("a number")).collect();
    let messages = database.binary_changes("s", "get");
    let parsed: Vec<Message> = messages.iter().map(|message| parse(message).expect("well formed")).collect();
    let [
        Message::Begin { flags: 0, final_lsn, commit_time: begin_time, xid },
        Message::Insert { .. },
        Message::Commit { flags: 0, commit_lsn, end_lsn, commit_time },
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
}
