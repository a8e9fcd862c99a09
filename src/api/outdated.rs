//! What scripts of earlier versions call, under the names of that time.
//!
//! Between a new library and ALTER EXTENSION UPDATE the old declarations call into it. A function whose arguments or
//! columns have changed since has another name now, as it would read what it is not given; under the old one stands here
//! what there is to say.

use pgrx::prelude::*;

use crate::catalog::version;
use crate::error::Error;
use crate::pg::report;

macro_rules! outdated {
    ($($name:ident),+ $(,)?) => {
        $(#[pg_extern(sql = false)]
        fn $name(_fcinfo: pg_sys::FunctionCallInfo) {
            refuse();
        })+
    };
}

outdated!(
    alter_task,
    clear_conflicts,
    conflicts_internal,
    copy_status,
    create_task,
    lag_status,
    precheck_server,
    skip_change,
    task_status,
    verify,
    wait_for,
);

fn refuse() {
    report::unwrap(version::check());
    report::raise(&Error::internal("a declaration of an earlier version of pg_courier calls its library"));
}
