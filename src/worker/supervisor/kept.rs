//! The shared memory of the task that this process is the supervisor of, for what ends it at any moment.

use std::cell::RefCell;
use std::rc::Rc;

use crate::pg::dsm::Segment;
use crate::task::status::TaskStatus;

thread_local! {
    static STATUS: RefCell<Option<Rc<Segment<TaskStatus>>>> = const { RefCell::new(None) };
}

pub fn keep(status: Rc<Segment<TaskStatus>>) {
    STATUS.set(Some(status));
}

/// Nothing before it is there.
pub fn look<R>(f: impl FnOnce(&TaskStatus) -> R) -> Option<R> {
    STATUS.with_borrow(|status| status.as_ref().map(|status| f(status)))
}

/// The others do not outlive their supervisor.
pub fn terminate_workers() {
    look(|status| status.workers.iter().for_each(|worker| worker.process.terminate()));
}
