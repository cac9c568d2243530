//! The rules of the gate, as tables of events, as properties, and as a simulated year.

mod bench;
mod holds;
mod lasting;
mod probing;
mod proof;
mod properties;
mod settling;
mod sleep;
mod waiting;
mod year;
