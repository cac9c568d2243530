//! The rules of the gate, as tables of events, as properties, and as a simulated year.

mod bench;
mod proof;
mod properties;
mod rules;
mod year;
