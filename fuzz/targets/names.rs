#![no_main]
pg_courier_fuzz::target!(logicalrep::properties::names);
