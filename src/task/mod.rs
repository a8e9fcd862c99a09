//! What a task is apart from its processes: what may be done with it, and what must not happen to it.

pub mod guards;
