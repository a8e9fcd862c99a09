#![no_main]
pg_courier_fuzz::target!(libpq::properties::refusals);
