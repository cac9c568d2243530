//! The figures of docs/benchmarks.md, measured with the release binary beside the alternatives: `cargo bench`, or `cargo bench -- NAME`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::disallowed_methods,
    clippy::cast_precision_loss,
    unreachable_pub,
    reason = "a benchmark that cannot go on stops, and its product is what it prints"
)]

#[path = "../../tests/it/support/mod.rs"]
#[allow(
    missing_docs,
    clippy::missing_panics_doc,
    reason = "shared with the tests, which use all of it"
)]
mod support;

mod checking;
mod flood;
mod machine;
mod namespace;
mod process;
mod reaction;
mod size;
mod table;
mod waiting;

use std::process::ExitCode;

/// What can be measured, by the name it is asked for, and whether it needs a network namespace of its own.
const ALL: [(&str, fn(), bool); 5] = [
    ("waiting", waiting::measure, true),
    ("check", checking::measure, true),
    ("reaction", reaction::measure, false),
    ("flood", flood::measure, false),
    ("size", size::measure, false),
];

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    if let [flag, name] = &arguments[..]
        && flag == namespace::INSIDE
    {
        return measure_inside(name);
    }
    if !arguments.iter().any(|word| word == "--bench") {
        println!("this is a benchmark and not a test: run it with `cargo bench`");
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<_> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    if let Some(unknown) = wanted.iter().find(|w| ALL.iter().all(|(n, ..)| n != *w)) {
        let names = ALL.map(|(name, ..)| name).join(", ");
        eprintln!("there is no {unknown} to measure; there are {names}");
        return ExitCode::from(64);
    }
    machine::print();
    table::head();
    for (name, measure, inside) in ALL {
        if !wanted.is_empty() && !wanted.iter().any(|w| *w == name) {
            continue;
        }
        if inside {
            namespace::enter(name);
        } else {
            measure();
        }
    }
    ExitCode::SUCCESS
}

fn measure_inside(name: &str) -> ExitCode {
    match ALL.iter().find(|(other, ..)| other == &name) {
        Some((_, measure, _)) => {
            measure();
            ExitCode::SUCCESS
        }
        None => ExitCode::FAILURE,
    }
}
