//! What unit tests write to: a table with a key that travels in binary and a column that travels as text.

use std::rc::Rc;

use crate::logicalrep::relation::Identity;
use crate::logicalrep::{Column, ColumnFormat, Operator, Relation, TableName};
use crate::transform::Route;

fn column(name: &str, format: ColumnFormat) -> Column {
    let equality = Operator::equals();
    Column { name: name.into(), source: name.into(), format, equality, by_element: true, identity_always: false }
}

pub fn relation() -> Relation {
    Relation {
        oid: 1,
        slot: 0,
        generation: 1,
        route: Rc::new(Route::identity(TableName::new("public", "T 1"))),
        columns: vec![
            column("id", ColumnFormat::Binary { element: 20, array: 1016 }),
            column("mood", ColumnFormat::Text { type_name: "public.mood".into() }),
        ],
        identity: Identity::Key,
        key: vec![0],
        has_one_unique_index: true,
    }
}
