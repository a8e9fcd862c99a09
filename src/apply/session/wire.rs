//! How a session's connection is used: libpq's pipeline mode and COPY exclude each other.
//!
//! ```text
//!                leave_pipeline            begin_copy
//!   Pipeline <---------------------> Plain ------------> Copy(table)
//!                enter_pipeline            <------------
//!                                            end_copy
//! ```
//! Each way into or out of `Pipeline` wants everything answered; so does the beginning of a COPY, which has the
//! connection for itself.

use std::rc::Rc;

use crate::logicalrep::Relation;

#[derive(Debug)]
pub enum Wire {
    /// Statements follow each other without waiting.
    Pipeline,
    /// One exchange at a time.
    Plain,
    /// What is sent next are rows of this table.
    Copy(Rc<Relation>),
}

impl Wire {
    pub fn is_pipeline(&self) -> bool {
        matches!(self, Wire::Pipeline)
    }

    /// The table whose COPY is open.
    pub fn copy(&self) -> Option<&Rc<Relation>> {
        match self {
            Wire::Copy(table) => Some(table),
            Wire::Pipeline | Wire::Plain => None,
        }
    }

    pub fn enter_pipeline(&mut self, unanswered: usize) {
        assert!(matches!(self, Wire::Plain), "a pipeline begins outside of COPY");
        assert_eq!(unanswered, 0, "a pipeline begins when everything is answered");
        *self = Wire::Pipeline;
    }

    pub fn leave_pipeline(&mut self, unanswered: usize) {
        assert!(self.is_pipeline(), "a pipeline is left once");
        assert_eq!(unanswered, 0, "a pipeline is left when everything is answered");
        *self = Wire::Plain;
    }

    pub fn begin_copy(&mut self, table: &Rc<Relation>, unanswered: usize) {
        assert!(matches!(self, Wire::Plain), "COPY and pipeline exclude each other");
        assert_eq!(unanswered, 0, "a COPY has the connection for itself");
        *self = Wire::Copy(table.clone());
    }

    pub fn end_copy(&mut self) -> Rc<Relation> {
        match std::mem::replace(self, Wire::Plain) {
            Wire::Copy(table) => table,
            Wire::Pipeline | Wire::Plain => unreachable!("a COPY ends that did not begin"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Rc<Relation> {
        Rc::new(crate::destination::fixture::relation())
    }

    #[test]
    fn a_copy_lies_between_two_pipelines() {
        let mut wire = Wire::Plain;
        wire.enter_pipeline(0);
        wire.leave_pipeline(0);
        wire.begin_copy(&table(), 0);
        assert_eq!(wire.copy().map(|table| table.generation), Some(1));
        assert_eq!(wire.end_copy().generation, 1);
        assert!(wire.copy().is_none());
        wire.enter_pipeline(0);
        assert!(wire.is_pipeline());
    }

    #[test]
    #[should_panic(expected = "COPY and pipeline exclude each other")]
    fn no_copy_in_a_pipeline() {
        Wire::Pipeline.begin_copy(&table(), 0);
    }

    #[test]
    #[should_panic(expected = "a pipeline begins outside of COPY")]
    fn no_pipeline_in_a_copy() {
        Wire::Copy(table()).enter_pipeline(0);
    }

    #[test]
    #[should_panic(expected = "left when everything is answered")]
    fn no_pipeline_is_left_with_answers_outstanding() {
        Wire::Pipeline.leave_pipeline(1);
    }

    #[test]
    #[should_panic(expected = "a COPY ends that did not begin")]
    fn no_end_without_a_copy() {
        Wire::Plain.end_copy();
    }
}
