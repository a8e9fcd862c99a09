//! The bytes of the original, by every way to read a slot.

use crate::support::cluster::Database;
use crate::support::format::{Message, parse, parse_lines};
use crate::support::{golden, server};

pub fn golden_bytes(database: &Database) {
    let workload = server::project().join("tests/data/workload.sql");
    let major = database.major();
    database.create_slot("golden", "ali_decoding");
    database.create_slot("streamed", "ali_decoding");
    database.create_slot("reference", "test_decoding");
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

    assert_eq!(ends_of(&got), ends_by_test_decoding(database));

    // The original ran on another server: there only the rest can be compared.
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

/// What BEGIN and COMMIT say of a transaction: its id, the end of its commit record, its time in microseconds.
type End = (u32, u64, i64);

fn ends_of(messages: &[Vec<u8>]) -> Vec<End> {
    let mut open = None;
    let mut ends = Vec::new();
    for message in messages {
        match parse(message).expect("well formed") {
            Message::Begin { final_lsn, commit_time, xid, .. } => open = Some((final_lsn, commit_time, xid)),
            Message::Commit { commit_lsn, end_lsn, commit_time, .. } => {
                let (final_lsn, begin_time, xid) = open.take().expect("a BEGIN before each COMMIT");
                assert!(final_lsn == commit_lsn && commit_lsn < end_lsn && begin_time == commit_time, "{xid}");
                ends.push((xid, end_lsn, commit_time));
            }
            _ => {}
        }
    }
    ends
}

/// The same of another plugin that reads the same WAL.
fn ends_by_test_decoding(database: &Database) -> Vec<End> {
    let rows = database.sql(&format!(
        r"SELECT substring(data FROM 'COMMIT ([0-9]+)'), lsn - '0/0'::pg_lsn,
                round(extract(epoch FROM substring(data FROM 'at (.*)\)')::timestamptz)::numeric * 1000000) - 946684800000000
           FROM pg_logical_slot_get_changes('{}', NULL, NULL, 'include-timestamp', '1')
          WHERE data LIKE 'COMMIT %'",
        database.slot("reference")
    ));
    let end = |line: &str| {
        let fields: Vec<&str> = line.split('|').collect();
        let number = |field: usize| fields[field].parse::<i64>().expect("a number");
        (number(0) as u32, number(1) as u64, number(2))
    };
    rows.lines().map(end).collect()
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
