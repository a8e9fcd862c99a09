//! `docs/prechecks.md`, written from the items. `make docs` writes it, and this test fails when it is out of date.

use std::fmt::Write;

use super::items::{self, Concerns, Severity};

fn page() -> String {
    let mut page = String::from(
        "# Prechecks\n\n\
         Written by `make docs` from `src/precheck/items/`; do not edit.\n\n\
         `SELECT * FROM courier.precheck('<task>')` asks all of these; `courier.start()` refuses a task while one that failed\n\
         stands. **Severity** is what a finding is unless the row says otherwise. **Ignorable** findings can be overruled with\n\
         `courier.ignore_precheck(task, item, reason)`, which records who and why.\n",
    );
    let mut category = "";
    for item in items::all() {
        if item.category != category {
            category = item.category;
            let _ = write!(
                page,
                "\n## {category}\n\n| item | severity | ignorable | concerns | what and why |\n|---|---|---|---|---|\n"
            );
        }
        let severity = if item.severity == Severity::Failed { "failed" } else { "warning" };
        let concerns = match item.concerns {
            Concerns::All => "all tasks",
            Concerns::Incremental => "incremental",
            Concerns::Commands => "ddl => 'replicate'",
            Concerns::SchemaSync => "schema_sync",
            Concerns::ExistingTables => "without schema_sync",
            Concerns::CopyIntoExisting => "full_copy without schema_sync",
        };
        let ignorable = if item.ignorable { "yes" } else { "no" };
        let _ = writeln!(page, "| `{}` | {severity} | {ignorable} | {concerns} | {} |", item.id, item.about);
    }
    page
}

#[test]
fn the_page_of_prechecks_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/prechecks.md");
    let page = page();
    if std::env::var_os("COURIER_ACCEPT").is_some() {
        std::fs::write(path, &page).expect("the tree is writable");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == page, "docs/prechecks.md is out of date: make docs");
}
