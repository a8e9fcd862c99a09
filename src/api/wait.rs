//! `courier.wait_for(task)`: returns when the destination has everything that was committed before the call.

use pgrx::datum::Interval;
use pgrx::prelude::*;

use super::arguments::given;
use crate::logicalrep::Lsn;
use crate::pg::text::Text;
use crate::pg::{report, timestamp};
use crate::task::wait::wait;

#[pg_extern(sql = false)]
fn wait_for_lsn(task: Option<Text>, timeout: Option<Interval>) -> Lsn {
    let wait = || {
        let patience = timestamp::patience(&given("timeout", timeout)?);
        wait(&given("task", task)?, patience)
    };
    report::unwrap(wait())
}
