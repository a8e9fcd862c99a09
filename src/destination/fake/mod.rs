//! A destination for unit tests: a dialect of its own, and a connection that notes what it is told and answers as a test wants.
//!
//! With it the whole of `apply` runs without a server, and what reaches the other side shows who has made it.

mod connection;
mod dialect;

pub use connection::{Connection, Script, refuse_shared};
pub use dialect::{FAKE, KINDS, kind_of};

use std::cell::RefCell;
use std::rc::Rc;

use super::Destination;

/// Sessions that share one script.
pub fn destination(script: &Rc<RefCell<Script>>) -> Destination {
    Destination {
        connection: Connection::with(script.clone()),
        dialect: &FAKE,
        replica_role: true,
        applies_commands: false,
        code_path: None,
    }
}
