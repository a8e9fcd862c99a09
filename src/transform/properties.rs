//! What holds for any route that is stored.

use super::Route;
use crate::chance::Chance;
use crate::logicalrep::TableName;

/// Whatever is stored gives a route of that table or an error.
pub fn routes(chance: &mut Chance) {
    let stored = r#"{"schema": "s", "table": "t", "columns": {"a": "b", "c": null}, "operations": ["insert"]}"#;
    let table = TableName::new("shop", "orders");
    let stored = if chance.below(8) > 0 { chance.damage(stored.as_bytes()) } else { chance.bytes(60) };
    let stored = String::from_utf8_lossy(&stored);
    if let Ok(route) = Route::parse(table.clone(), Some(&stored)) {
        assert_eq!(route.source, table);
        assert_eq!(Route::parse(table, Some(&stored)).ok(), Some(route));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn stored_texts_of_chance_give_a_route_or_an_error() {
        crate::chance::many(2000, super::routes);
    }
}
