//! The list in `docs/security.md` of who may use what, written from `sql/rights.sql` and the comments of what it names.
//! `make docs` writes it, and this test fails when it is out of date.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;

const PAGE: &str = "docs/security.md";
const BEGIN: &str = "<!-- make docs: from sql/rights.sql and the comments there -->\n";
const END: &str = "<!-- make docs: end -->\n";

/// One row of `courier.declared_rights()`.
struct Right {
    kind: String,
    object: String,
    audience: String,
}

#[test]
fn the_page_of_rights_is_current() {
    let page = read(PAGE);
    let (before, rest) = page.split_once(BEGIN).expect("the list has a beginning");
    let (_, after) = rest.split_once(END).expect("the list has an end");
    let rights = declared(&read("sql/rights.sql"));
    let list = list(&rights, &comments());
    let current = [before, BEGIN, &list, END, after].concat();
    if std::env::var_os("COURIER_ACCEPT").is_some() {
        fs::write(path(PAGE), &current).expect("the tree is writable");
    }
    assert!(read(PAGE) == current, "{PAGE} is out of date: make docs");
    assert!(rights.len() > 40, "{} objects are declared", rights.len());
}

#[test]
fn comments_are_read_as_the_server_reads_them() {
    let script = "COMMENT ON VIEW courier.a IS 'One''s own. More.';\nCOMMENT ON COLUMN courier.a.b IS 'c';\n\
                  COMMENT ON FUNCTION courier.f(text[],\n    oid) IS\n'What: it; does';\n";
    let found = comments_in(script);
    let of = |object: &str| found.get(object).map(String::as_str);
    assert_eq!(of("VIEW courier.a"), Some("One's own. More."));
    assert_eq!(of("FUNCTION courier.f(text[], oid)"), Some("What: it; does"));
    assert_eq!(first_sentence("One's own. More."), "One's own");
    assert_eq!(first_sentence("All | of <it>."), "All \\| of \\<it>");
}

/// The table, and below it what users need only because the rest calls it.
fn list(rights: &[Right], comments: &BTreeMap<String, String>) -> String {
    let mut text = String::from("\n| function, procedure or view | for | what it is or does |\n|---|---|---|\n");
    let mut below = Vec::new();
    for right in rights {
        let name = format!("`{}`", right.object.strip_prefix("courier.").unwrap_or(&right.object));
        if right.kind == "SCHEMA" {
            let _ = writeln!(text, "| schema {name} | {} | USAGE: its objects can be named |", right.audience);
            continue;
        }
        let comment = comments
            .get(&format!("{} {}", right.kind, right.object))
            .unwrap_or_else(|| panic!("{} {} has no comment", right.kind, right.object));
        if comment.starts_with("Internal: ") {
            below.push(name);
            continue;
        }
        let kind = match right.kind.as_str() {
            "FOREIGN DATA WRAPPER" => "foreign-data wrapper ",
            "PROCEDURE" => "procedure ",
            "VIEW" => "view ",
            _ => "",
        };
        let _ = writeln!(text, "| {kind}{name} | {} | {} |", right.audience, first_sentence(comment));
    }
    let _ = write!(
        text,
        "\nUsers may also call what these are made of, with no more rights than their own: {}.\n\n",
        below.join(", ")
    );
    text
}

/// The rows of the VALUES, one a line: `('VIEW', 'courier.tasks', 'monitoring'),`.
fn declared(script: &str) -> Vec<Right> {
    let (_, body) = script.split_once("\nVALUES\n").expect("the declaration");
    let rows = body.lines().take_while(|line| !line.starts_with("$$")).filter(|line| line.starts_with("    ('"));
    rows.map(|row| {
        let parts: Vec<&str> = row.split('\'').collect();
        let [_, kind, _, object, _, audience, _] = parts[..] else { panic!("not a row of the declaration: {row}") };
        Right { kind: kind.into(), object: object.into(), audience: audience.into() }
    })
    .collect()
}

fn comments() -> BTreeMap<String, String> {
    read("sql/files.txt").lines().flat_map(|file| comments_in(&read(file))).collect()
}

/// `FUNCTION courier.start(text)` and what its comment says, of each COMMENT ON.
fn comments_in(script: &str) -> BTreeMap<String, String> {
    let comments = script.split("COMMENT ON ").skip(1).filter_map(|part| {
        let (object, rest) = part.split_once(" IS")?;
        let text = rest.trim_start().strip_prefix('\'')?;
        let object: Vec<&str> = object.split_whitespace().collect();
        Some((object.join(" "), text[..end_of_literal(text)].replace("''", "'")))
    });
    comments.collect()
}

/// Where the quote is that is not doubled.
fn end_of_literal(text: &str) -> usize {
    let mut quotes = text.match_indices('\'').map(|(at, _)| at).peekable();
    while let Some(at) = quotes.next() {
        if quotes.next_if_eq(&(at + 1)).is_none() {
            return at;
        }
    }
    text.len()
}

fn first_sentence(comment: &str) -> String {
    let sentence = comment.split_once(". ").map_or(comment, |(sentence, _)| sentence);
    sentence.trim_end_matches('.').replace('|', "\\|").replace('<', "\\<")
}

fn path(file: &str) -> String {
    format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))
}

fn read(file: &str) -> String {
    fs::read_to_string(path(file)).expect("the file is there")
}
