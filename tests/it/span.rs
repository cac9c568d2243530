//! Our time spans against systemd's own.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test")]

use std::process::Command;

use upgrade_gate::text::span::Span;

/// What `systemd-analyze timespan` makes of `text`: microseconds and the way it writes them.
fn systemd(text: &str) -> Option<(u64, String)> {
    let output = Command::new("systemd-analyze")
        .args(["timespan", "--", text])
        .env("LC_ALL", "C.UTF-8")
        .output()
        .expect("systemd-analyze runs");
    let answer = String::from_utf8(output.stdout).unwrap();
    let field = |name: &str| {
        let (_, value) = answer.rsplit_once(name)?;
        Some(value.lines().next()?.trim().to_owned())
    };
    output
        .status
        .success()
        .then(|| Some((field("\u{3bc}s:")?.parse().ok()?, field("Human:")?)))?
}

fn ours(text: &str) -> Option<(u64, String)> {
    let span: Span = text.parse().ok()?;
    let micros = span.finite().map_or(u64::MAX, |length| {
        u64::try_from(length.as_micros()).unwrap()
    });
    Some((micros, span.to_string()))
}

#[test]
#[ignore = "needs systemd-analyze"]
fn every_span_is_read_and_written_as_systemd_does() {
    let units = [
        "",
        "us",
        "usec",
        "\u{b5}s",
        "\u{3bc}s",
        "ms",
        "msec",
        "s",
        "sec",
        "second",
        "seconds",
        "m",
        "min",
        "minute",
        "minutes",
        "h",
        "hr",
        "hour",
        "hours",
        "d",
        "day",
        "days",
        "w",
        "week",
        "weeks",
        "M",
        "month",
        "months",
        "y",
        "year",
        "years",
        "H",
        "mins",
        "ns",
        "lightyears",
    ];
    let with_units = units.iter().flat_map(|unit| {
        [
            format!("3{unit}"),
            format!("1.75 {unit}"),
            format!("2{unit}5"),
        ]
    });
    let odd = [
        "",
        " ",
        "infinity",
        " infinity ",
        "infinity 1",
        "INFINITY",
        "0",
        "010",
        "+1",
        "+.5",
        "1 +1",
        "1.",
        "1.h",
        ".s",
        ".5h",
        "1..5s",
        "1.5.5s",
        "1.5 .5",
        "1.5s.5",
        "1,5s",
        "1h30",
        "1h 1h",
        "1 -1",
        "1-",
        "1e3",
        "0x10",
        "1\t\n2",
        "1.123456789h",
        "0.0000001s",
        "59.5",
        "61.5",
        "3650d",
        "1y1us",
        "300000y",
        "292271y",
        "9223372036854775807us",
        "9223372036854775808us",
        "18446744073709551615us",
        "584542y",
        "584543y",
    ]
    .map(str::to_owned);
    for text in with_units.chain(odd) {
        assert_eq!(ours(&text), systemd(&text), "{text:?}");
    }
}
