//! `abi.json` and `abi-more.json`: facts by version and name.

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
