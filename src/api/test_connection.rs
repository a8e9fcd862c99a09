//! `courier.test_connection(server)`: the way to a destination, step by step, each with what to do when it fails.

use pgrx::prelude::*;

use super::arguments::given;
use crate::catalog::connection;
use crate::error::Result;
use crate::pg::text::Text;
use crate::pg::{report, xact};
use crate::precheck::connection::{ConnectionStep, try_connection};

#[pg_extern(sql = false)]
fn test_connection(
    server: Option<Text>,
) -> TableIterator<'static, (name!(step, Text), name!(status, Text), name!(detail, Text), name!(hint, Option<Text>))> {
    let steps = report::unwrap(given("server", server).and_then(|server| steps(&server)));
    TableIterator::new(
        steps.into_iter().map(|s| (s.step.into(), s.status.into(), s.detail.into(), s.hint.map(Text::from))),
    )
}

fn steps(server: &str) -> Result<Vec<ConnectionStep>> {
    let role = xact::user_id();
    let parameters = connection::parameters(role, connection::server_by_name(server)?)?;
    Ok(try_connection(&parameters, !xact::is_superuser(role))?.steps)
}
