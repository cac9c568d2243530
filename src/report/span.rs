//! Time spans as systemd writes them: `1h 30min`, `12s`, `500ms`.

use std::time::Duration;

/// systemd's units (systemd.time(7)), in seconds; a year is 365.25 days, a month a twelfth of that.
const UNITS: [(&str, u64); 7] = [
    ("y", 31_557_600),
    ("month", 2_629_800),
    ("w", 604_800),
    ("d", 86_400),
    ("h", 3_600),
    ("min", 60),
    ("s", 1),
];

/// Writes a span, rounded down to seconds, or to milliseconds below one second.
pub fn format_span(span: Duration) -> String {
    if span.as_secs() == 0 {
        return match span.subsec_millis() {
            0 => "0".to_owned(),
            ms => format!("{ms}ms"),
        };
    }
    let mut left = span.as_secs();
    let mut parts = Vec::new();
    for (unit, size) in UNITS {
        if left >= size {
            parts.push(format!("{}{unit}", left / size));
            left %= size;
        }
    }
    parts.join(" ")
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
