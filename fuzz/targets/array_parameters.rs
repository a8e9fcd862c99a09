#![no_main]
pg_courier_fuzz::target!(apply::properties::array_parameters);
