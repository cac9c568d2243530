//! Time spans for people: as systemd writes them, and no finer than they care for.

use std::time::Duration;

use crate::text::span::Span;

/// Writes a span, rounded down to seconds, or to milliseconds below one second.
pub fn format_span(span: Duration) -> String {
    let rounded = match span.as_secs() {
        0 => Duration::from_millis(span.subsec_millis().into()),
        seconds => Duration::from_secs(seconds),
    };
    Span::Finite(rounded).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_systemd_writes_them() {
        let table = [
            (0, "0"),
            (999, "999ms"),
            (12_999, "12s"),
            (60_000, "1min"),
            (5_400_000, "1h 30min"),
            (90_061_000, "1d 1h 1min 1s"),
            (2_629_800_000, "1month"),
            (31_557_600_000, "1y"),
        ];
        for (ms, written) in table {
            assert_eq!(format_span(Duration::from_millis(ms)), written);
        }
        assert_eq!(format_span(Duration::from_micros(7)), "0");
        assert!(format_span(Duration::MAX).starts_with("584542046090y"));
    }
}
