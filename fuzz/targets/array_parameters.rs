#![no_main]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| pg_courier_fuzz::look(pg_courier_fuzz::apply::properties::array_parameters, bytes));
