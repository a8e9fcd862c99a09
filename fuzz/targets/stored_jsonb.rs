#![no_main]
pg_courier_fuzz::target!(tuple::properties::stored_jsonb);
