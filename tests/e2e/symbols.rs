//! What the library is made of: libpq brings functions that the server has under the same names.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use pg_courier_tests::{Install, install};

/// Names that a program defines; `-D` for those that it offers to the libraries it loads.
fn defined(program: &Path, options: &[&str]) -> BTreeSet<String> {
    let output = Command::new("nm").args(["--defined-only", "-P"]).args(options).arg(program).output();
    let output = output.expect("nm is there, for it comes with the linker");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// The linker prefers what it finds in the library: our call of the server's pfree() would then be one of the client's
/// free(), and the first value of the server's would end all its processes. So libpq's own are compiled under other
/// names (src/libpq/include). What is left are copies of functions of the C library, which are the same on both sides.
#[test]
fn no_function_of_the_client_stands_in_for_one_of_the_server() {
    const SAME_ON_BOTH_SIDES: [&str; 7] =
        ["_fini", "_init", "getpeereid", "pqsignal", "strlcat", "strlcpy", "timingsafe_bcmp"];
    let library = install::library();
    let ours = defined(&library, &[]);
    assert!(ours.contains("PQconnectStartParams"), "{} has its symbols, and libpq in it", library.display());
    let server = defined(&Install::get().program("postgres"), &["-D"]);
    assert!(server.contains("pfree"), "the server offers its functions");
    let both: Vec<&String> =
        ours.intersection(&server).filter(|name| !SAME_ON_BOTH_SIDES.contains(&name.as_str())).collect();
    assert!(both.is_empty(), "add these to src/libpq/include/courier_libpq_names.h: {both:?}");
}
