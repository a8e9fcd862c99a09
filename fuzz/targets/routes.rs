#![no_main]
pg_courier_fuzz::target!(transform::properties::routes);
