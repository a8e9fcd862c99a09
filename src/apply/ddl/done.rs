//! What came of the statements of a command.

use crate::error::Error;
use crate::schema::Kind;

/// What was run, and what of it the destination did not take, that no row needs.
#[derive(Debug, Default)]
pub struct Done {
    pub said: Vec<String>,
    pub not_taken: Vec<NotTaken>,
}

#[derive(Debug)]
pub struct NotTaken {
    pub kind: Kind,
    pub object: String,
    pub error: Error,
}
