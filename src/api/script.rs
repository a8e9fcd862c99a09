//! What the scripts of upgrades cannot say in SQL. Internal.

use pgrx::prelude::*;

use crate::pg::text::Text;
use crate::pg::{extension, report, spi};

/// With the caller's rights: a superuser's, who runs the script.
#[pg_extern(sql = false)]
fn outside_of_script(statement: Text) {
    report::unwrap(extension::outside_of_script(|| spi::execute(&statement, &[])));
}
