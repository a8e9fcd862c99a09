#![no_main]
pg_courier_fuzz::target!(select::properties::patterns);
