//! The Markdown table, row by row as it is measured, and the medians in it.

use std::time::Duration;

/// Prints the head.
pub(crate) fn head() {
    println!("| what | to reach | measured | beside it |");
    println!("|---|---|---|---|");
}

/// Prints one row.
pub(crate) fn row(what: &str, to_reach: &str, measured: &str, beside: &str) {
    println!("| {what} | {to_reach} | {measured} | {beside} |");
}

/// Prints why a row is missing.
pub(crate) fn skipped(what: &str, why: &str) {
    row(what, "", &format!("skipped: {why}"), "");
}

/// The middle one; the upper of two.
pub(crate) fn median<T: PartialOrd + Copy>(of: &[T]) -> T {
    let mut sorted = of.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("numbers"));
    sorted[sorted.len() / 2]
}

/// As milliseconds.
pub(crate) fn ms(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1e3)
}

/// Median, from where to where, and below which 99 of 100 are.
pub(crate) fn spread(times: &[Duration]) -> String {
    let (low, high) = (times.iter().min(), times.iter().max());
    let (low, high) = (
        low.copied().unwrap_or_default(),
        high.copied().unwrap_or_default(),
    );
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let p99 = sorted.get(sorted.len() * 99 / 100).unwrap_or(&high);
    format!(
        "median {} ({} to {}, p99 {}, n = {})",
        ms(median(times)),
        ms(low),
        ms(high),
        ms(*p99),
        times.len()
    )
}
