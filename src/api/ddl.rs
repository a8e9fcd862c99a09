//! What the event triggers of `sql/ddl.sql` call.

use pgrx::prelude::*;

use crate::ddl_capture;
use crate::error::{Error, sqlstate};
use crate::pg::{event_trigger, report};

#[pg_extern(sql = false)]
fn capture_ddl(fcinfo: pg_sys::FunctionCallInfo) {
    let event = event_trigger::fired(fcinfo).ok_or_else(|| {
        Error::new(sqlstate::EVENT_TRIGGER_PROTOCOL_VIOLATED, "courier.capture_ddl() is called by event triggers only")
    });
    report::unwrap(event.and_then(|event| ddl_capture::on_event(&event)));
}
