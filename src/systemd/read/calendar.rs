//! Whether systemd reads a calendar event expression (systemd.time(7), "Calendar Events"). Pure.
//!
//! Not when it elapses: only what a timer's line that systemd ignores is to be told from. Where its versions differ the
//! expression is taken for valid.

/// Whether systemd can read it.
pub(super) fn is_valid(text: &str) -> bool {
    let text = without_zone(text.trim());
    let shorthand = SHORTHANDS
        .iter()
        .any(|known| known.eq_ignore_ascii_case(text));
    shorthand || is_timestamp(text) || is_expression(text)
}

const SHORTHANDS: &[&str] = &[
    "minutely",
    "hourly",
    "daily",
    "weekly",
    "monthly",
    "quarterly",
    "semiannually",
    "semi-annually",
    "biannually",
    "bi-annually",
    "yearly",
    "annually",
    // A typing error that systemd has made its own.
    "anually",
];

/// `@1395716396`.
fn is_timestamp(text: &str) -> bool {
    let seconds = text.strip_prefix('@').unwrap_or_default();
    !seconds.is_empty() && seconds.bytes().all(|byte| byte.is_ascii_digit())
}

/// `daily Europe/Berlin`: which zones there are is the machine's affair.
fn without_zone(text: &str) -> &str {
    match text.rsplit_once(' ') {
        Some((rest, zone)) if is_zone(zone) => rest.trim_end(),
        _ => text,
    }
}

/// `UTC`, `Europe/Berlin`, `PST8PDT`, `Japan`.
fn is_zone(word: &str) -> bool {
    let named = word.starts_with(|c: char| c.is_ascii_uppercase()) && !matches!(word, "AM" | "PM");
    let letters = word
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "/_+-".contains(c));
    word.eq_ignore_ascii_case("UTC") || (named && letters && !is_weekdays(word))
}

/// `Mon..Fri *-*-1,15 03:00`: each of the three may be missing, but not all.
fn is_expression(text: &str) -> bool {
    let (days, rest) = weekdays(text);
    let mut words = rest.split(' ').filter(|word| !word.is_empty());
    let parts = [words.next(), words.next(), words.next()];
    match parts {
        [None, ..] => days,
        [Some(one), None, _] => is_date(one) || is_time(one),
        [Some(date), Some(time), None] => is_date(date) && is_time(time),
        _ => false,
    }
}

/// Whether the text begins with days of the week, and what follows them.
fn weekdays(text: &str) -> (bool, &str) {
    let end = text.find(' ').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    // A comma may follow the last of them.
    let days = word.strip_suffix(',').unwrap_or(word);
    if is_weekdays(days) {
        (true, rest)
    } else {
        (false, text)
    }
}

fn is_weekdays(text: &str) -> bool {
    text.split(',').all(|part| {
        let (from, to) = part
            .split_once("..")
            .or(part.split_once('-'))
            .unwrap_or((part, part));
        is_weekday(from) && is_weekday(to)
    })
}

fn is_weekday(name: &str) -> bool {
    let days = [
        "Monday",
        "Tuesday",
        "Wednesday",
        "Thursday",
        "Friday",
        "Saturday",
        "Sunday",
    ];
    days.iter()
        .any(|day| day.eq_ignore_ascii_case(name) || day[..3].eq_ignore_ascii_case(name))
}

/// `2012-11-23`, `*-1..3-*`, `03-05`, `*-*~07/1`.
fn is_date(text: &str) -> bool {
    let Some((before, day)) = text.rsplit_once(['-', '~']) else {
        return false;
    };
    // Before the last day of the month comes a month, and before that a year.
    let mut before = before.rsplit('-');
    let month = before
        .next()
        .is_some_and(|month| is_component(month, 1, 12));
    let year = before.next().is_none_or(is_year);
    is_component(day, 1, 31) && month && year && before.next().is_none()
}

fn is_year(text: &str) -> bool {
    // Two digits are those of a century.
    is_component(text, 1970, 2199) || is_component(text, 0, 99)
}

/// `03:00`, `*:0/15`, `10:00:59.5`.
fn is_time(text: &str) -> bool {
    let mut parts = text.split(':');
    let hour = parts.next().is_some_and(|part| is_component(part, 0, 23));
    let minute = parts.next().is_some_and(|part| is_component(part, 0, 59));
    let second = parts.next().is_none_or(is_second);
    hour && minute && second && parts.next().is_none()
}

/// Of a second there are fractions.
fn is_second(text: &str) -> bool {
    text.split(',').all(|part| {
        let ends = part.split("..").flat_map(|end| end.split('/'));
        let mut whole = ends.map(|end| end.split_once('.').unwrap_or((end, "0")));
        let fractions = whole
            .clone()
            .all(|(_, fraction)| fraction.bytes().all(|byte| byte.is_ascii_digit()));
        fractions && whole.all(|(seconds, _)| is_component(seconds, 0, 59))
    })
}

/// `*`, or a list of numbers and ranges within bounds, each with its repetition.
fn is_component(text: &str, low: u32, high: u32) -> bool {
    text == "*" || text.split(',').all(|part| is_part(part, low, high))
}

fn is_part(text: &str, low: u32, high: u32) -> bool {
    let (range, every) = text.split_once('/').unwrap_or((text, "1"));
    let (from, to) = range.split_once("..").unwrap_or((range, range));
    let bounds = number(from).zip(number(to));
    let within = bounds.is_some_and(|(from, to)| low <= from && from <= to && to <= high);
    within && number(every).is_some_and(|every| every > 0)
}

fn number(text: &str) -> Option<u32> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    const GOOD: &[&str] = &[
        "daily",
        "WEEKLY",
        "semi-annually",
        "daily UTC",
        "daily Europe/Berlin",
        "Mon",
        "Mon,Tue",
        "Mon..Fri",
        "mon-fri 10:00",
        "Mon..Fri,Sun *-*-* 1:2:3",
        "*-*-*",
        "*:0/15",
        "*:00/15:00",
        "10:00:59.5",
        "2020-02-30",
        "69-1-1",
        "*-*~1",
        "*-*~07/1",
        "03-05",
        "@1395716396",
        "*-1..3-*",
        "0/2:00",
        "*-*-1,15 03:00",
        "*-*-01 03:00:00.1/0.5",
        "4,5:00",
        "*:*:*",
        "*-*",
        "10:00:00,30",
        "1..5/2:0",
        "Wed, 17:48",
        "Wed-Wed,Wed *-1",
        "Sat 04:00 UTC",
        "Mon *-*-1..7 6:00",
    ];
    const BAD: &[&str] = &[
        "",
        "dayly",
        "25:00",
        "24:00",
        "23:60",
        "10:00:60",
        "2020-13-01",
        "2020-12-32",
        "1969-01-01",
        "05",
        "@x",
        "@",
        "*-3..1-*",
        "hourly # x",
        "*-*-* 4:00 # x",
        "noon",
        "12:00pm",
        "12:00 AM",
        "Sat,Sun 10",
        "Sat, Sun 10:00",
        "Sat,,Sun",
        "Mo 4:00",
        "*-*-*T03:00",
        "2012-01-01T03:00:00Z",
        "daily, weekly",
        "*",
        "1:2:3:4",
        "12-12-12-12",
        "Mon *",
        "0:0/0",
        "*-0-1",
        "2200-1-1",
        "..5:0",
        "5..:0",
        "*/2:0",
        "1/2/3:0",
        "-1:0",
        "+1:0",
        "1: 0",
        "every day",
        "3:00 daily",
    ];

    #[test]
    fn what_systemd_reads_is_told_from_what_it_ignores() {
        for text in GOOD {
            assert!(is_valid(text), "{text}");
        }
        for text in BAD {
            assert!(!is_valid(text), "{text}");
        }
    }

    #[test]
    #[ignore = "needs systemd-analyze"]
    fn systemd_agrees() {
        for text in GOOD.iter().chain(BAD) {
            let output = Command::new("systemd-analyze")
                .args(["calendar", "--", text])
                .output()
                .unwrap();
            assert_eq!(output.status.success(), is_valid(text), "{text}");
        }
    }
}
