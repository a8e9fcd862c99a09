#![no_main]
pg_courier_fuzz::target!(select::properties::own_rows);
