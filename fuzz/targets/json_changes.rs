#![no_main]
pg_courier_fuzz::target!(wire::properties::json_changes);
