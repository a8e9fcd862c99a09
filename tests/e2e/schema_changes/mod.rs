//! What the schema generator says between any two states of a database, proved on a server: one test for each kind of object.

mod chance;
mod ground;
mod names;
mod partitions;
mod parts;
mod tables;
mod types;
