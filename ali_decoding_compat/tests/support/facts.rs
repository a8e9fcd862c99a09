//! `abi.json` and `abi-more.json`: facts by version and name; `abi-minors.txt`: what was different in earlier minors.

use std::collections::BTreeMap;
use std::path::Path;

/// version ("9.4", "15") -> name of the fact -> number
pub type Facts = BTreeMap<String, BTreeMap<String, i64>>;

pub fn read() -> Facts {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let mut facts = Facts::new();
    for file in ["abi.json", "abi-more.json"] {
        let text = std::fs::read_to_string(data.join(file)).expect("the file is part of the project");
        add(&mut facts, &text);
    }
    facts
}

/// The minor releases on both sides of every change, and their facts: those of the major with the changes since taken
/// back.
#[allow(dead_code)] // not by all who read facts
pub fn minors() -> BTreeMap<u32, BTreeMap<String, i64>> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/abi-minors.txt");
    let text = std::fs::read_to_string(file).expect("the file is part of the project");
    let all = read();
    let mut minors: BTreeMap<u32, BTreeMap<String, i64>> = BTreeMap::new();
    // The file goes from old to new, and taking back begins with the newest.
    for change in text.split("== ").skip(1).collect::<Vec<_>>().into_iter().rev() {
        let (releases, facts) = change.split_once('\n').expect("a line of two releases");
        let (before, after) = releases.split_once(" -> ").expect("two releases");
        let (before, after) = (version_num(before), version_num(after));
        let latest = &all[&name(after)];
        let known = minors.range(after..).next().filter(|(minor, _)| name(**minor) == name(after));
        let mut earlier = known.map_or_else(|| latest.clone(), |(_, facts)| facts.clone());
        minors.insert(after, earlier.clone());
        for line in facts.lines().filter_map(|line| line.strip_prefix("< ")) {
            let (fact, number) = line.rsplit_once(": ").expect("a fact and its number");
            let known = earlier.insert(fact.to_owned(), number.parse().expect("a number"));
            assert!(known.is_some(), "{fact} is no fact of {after}");
        }
        minors.insert(before, earlier);
    }
    assert!(!minors.is_empty());
    minors
}

/// "REL9_4_18" is 90418, "REL_10_4" is 100004.
fn version_num(release: &str) -> u32 {
    let numbers = release.trim_start_matches("REL").trim_start_matches('_').split('_');
    match *numbers.map(|number| number.parse::<u32>().expect("a number")).collect::<Vec<_>>() {
        [major, minor] => major * 10_000 + minor,
        [first, second, minor] => first * 10_000 + second * 100 + minor,
        _ => panic!("{release} is no release"),
    }
}

/// The name of a version's major in the files.
pub fn name(version_num: u32) -> String {
    let (first, second) = (version_num / 10_000, version_num / 100 % 100);
    if first < 10 { format!("{first}.{second}") } else { first.to_string() }
}

/// The files have one fact a line, which makes a whole JSON parser unnecessary.
fn add(facts: &mut Facts, text: &str) {
    let mut version = String::new();
    for line in text.lines() {
        let Some((name, value)) = line.trim().trim_end_matches(',').rsplit_once(": ") else {
            continue;
        };
        let name = name.trim_matches('"');
        if value == "{" {
            version = name.to_owned();
        } else if let Ok(number) = value.parse() {
            facts.entry(version.clone()).or_default().insert(name.to_owned(), number);
        }
    }
}
