//! An outage drawn for a terminal: a bar that is true to scale, and below it the times. Plain ASCII, for consoles and
//! journals show it too.

use std::iter;
use std::time::Duration;

use crate::systemd::simulate::{OutageEnding, StartSeries, Timeline};
use crate::text::span::Span;

/// The columns in front of the bar.
const MARGIN: usize = 9;
/// A run of more starts than this is condensed.
const LONG_RUN: u64 = 4;
/// A timeline of more lines than twice this, too.
const HALF_STORY: usize = 6;

const FAILS: char = 'x';
const REFUSED: char = '!';
const SUCCEEDS: char = 'o';
const HANGS: char = '>';

/// Draws the timeline, `width` columns wide but for long words. The lines are separated by newlines.
pub fn draw(timeline: &Timeline, width: usize) -> String {
    let bar = Bar::new(timeline, width.clamp(40, 160) - MARGIN);
    let lines = condensed(lines(timeline));
    let widest = lines.iter().map(|line| line.time().len()).max();
    [
        format!("outage   {}", bar.outage()),
        format!("starts   {}", bar.marks(timeline)),
        format!("         {}", bar.scale()),
    ]
    .into_iter()
    .chain(lines.iter().map(|line| line.written(widest.unwrap_or(0))))
    .collect::<Vec<_>>()
    .join("\n")
}

/// As systemd writes it; to the millisecond below a minute, for that is where start limits are hit.
fn span(span: Duration) -> String {
    let rounded = match span.as_secs() {
        0..60 => Duration::new(span.as_secs(), span.subsec_millis() * 1_000_000),
        seconds => Duration::from_secs(seconds),
    };
    let written = Span::Finite(rounded).to_string();
    match written.strip_suffix("000s") {
        Some(fraction) => format!("{}s", fraction.trim_end_matches('0')),
        None => written,
    }
}

/// The time from the outage's beginning until a little after the last thing that happens, in columns.
struct Bar {
    outage: Duration,
    end: Duration,
    columns: usize,
}

impl Bar {
    fn new(timeline: &Timeline, columns: usize) -> Self {
        let last = timeline.ending.at().max(timeline.outage);
        let end = last.saturating_add(last / 16);
        Self {
            outage: timeline.outage,
            end: end.max(Duration::from_millis(1)),
            columns,
        }
    }

    fn column(&self, at: Duration) -> usize {
        let last = self.columns - 1;
        let part = at.min(self.end).as_nanos() * last as u128 / self.end.as_nanos();
        usize::try_from(part).unwrap_or(last)
    }

    fn outage(&self) -> String {
        let out = match self.column(self.outage) {
            0 if !self.outage.is_zero() => 1,
            out => out,
        };
        "#".repeat(out) + &"-".repeat(self.columns - out)
    }

    fn marks(&self, timeline: &Timeline) -> String {
        let mut marks = vec![' '; self.columns];
        for run in &timeline.starts {
            self.mark_run(&mut marks, *run);
        }
        for at in &timeline.refused {
            marks[self.column(*at)] = REFUSED;
        }
        let last = self.column(timeline.ending.at());
        match timeline.ending {
            OutageEnding::Survives { .. } => marks[last] = SUCCEEDS,
            OutageEnding::Hangs { .. } => marks[last..].fill(HANGS),
            _ => {}
        }
        marks.into_iter().collect::<String>().trim_end().to_owned()
    }

    /// Starts that are closer to each other than columns are not looked at one by one: there may be billions.
    fn mark_run(&self, marks: &mut [char], run: StartSeries) {
        let (first, last) = (self.column(run.first), self.column(run.last()));
        if run.every.as_nanos() <= self.end.as_nanos() / self.columns as u128 {
            return marks[first..=last].fill(FAILS);
        }
        for at in run.times() {
            marks[self.column(at)] = FAILS;
        }
    }

    /// `0`, and the outage's length where it ends.
    fn scale(&self) -> String {
        let outage = span(self.outage);
        let room = self.column(self.outage).saturating_sub(2);
        format!("0 {outage:>room$}")
    }
}

/// A line below the bar.
#[derive(Clone, Debug, PartialEq, Eq)]
enum TimelineLine {
    /// What happens at this time, and its mark in the bar.
    Event(Duration, char, String),
    /// Starts that are left out, the first at this time, and the time between two of them if it is always the same.
    More(Duration, u64, Option<Duration>),
}

impl TimelineLine {
    const fn at(&self) -> Duration {
        match self {
            Self::Event(at, ..) | Self::More(at, ..) => *at,
        }
    }

    fn time(&self) -> String {
        match self {
            Self::Event(at, ..) => span(*at),
            Self::More(..) => "...".to_owned(),
        }
    }

    fn written(&self, widest: usize) -> String {
        let time = self.time();
        match self {
            Self::Event(_, mark, text) => format!("{mark} {time:>widest$}  {text}"),
            Self::More(_, count, None) => format!("  {time:>widest$}  {count} more"),
            Self::More(_, count, Some(every)) => {
                format!("  {time:>widest$}  {count} more, every {}", span(*every))
            }
        }
    }

    /// How many starts it stands for.
    const fn starts(&self) -> u64 {
        match self {
            Self::Event(_, FAILS, _) => 1,
            Self::Event(..) => 0,
            Self::More(_, count, _) => *count,
        }
    }
}

/// All there is to tell, in order.
fn lines(timeline: &Timeline) -> Vec<TimelineLine> {
    let mut runs = timeline.starts.clone();
    let mut refused = timeline.refused.clone();
    // What the ending tells of is not told twice.
    match (timeline.ending, runs.last_mut()) {
        (OutageEnding::Survives { .. } | OutageEnding::Hangs { .. }, Some(last)) => last.count -= 1,
        (OutageEnding::LimitHit { .. }, _) => drop(refused.pop()),
        _ => {}
    }
    let refused = refused
        .into_iter()
        .map(|at| TimelineLine::Event(at, REFUSED, "refused: the start limit is hit".to_owned()));
    let fails = format!("fails after {}", span(timeline.attempt.unwrap_or_default()));
    let starts = runs.into_iter().flat_map(|run| starts(run, &fails));
    let mut lines: Vec<_> = starts.chain(refused).collect();
    lines.sort_by_key(TimelineLine::at);
    lines.push(ending(timeline));
    lines
}

fn starts(run: StartSeries, fails: &str) -> Vec<TimelineLine> {
    let event = |at| TimelineLine::Event(at, FAILS, fails.to_owned());
    if run.count <= LONG_RUN {
        let count = usize::try_from(run.count).unwrap_or(0);
        return run.times().take(count).map(event).collect();
    }
    let more = run.first.saturating_add(run.every * 2);
    let first = run.times().take(2).map(event);
    first
        .chain([TimelineLine::More(more, run.count - 3, Some(run.every))])
        .chain([event(run.last())])
        .collect()
}

/// Leaves out the middle of what is too long.
fn condensed(lines: Vec<TimelineLine>) -> Vec<TimelineLine> {
    let end = lines.len().saturating_sub(HALF_STORY);
    if end <= HALF_STORY {
        return lines;
    }
    let middle = &lines[HALF_STORY..end];
    let left_out = middle
        .iter()
        .map(TimelineLine::starts)
        .fold(0, u64::saturating_add);
    let more = TimelineLine::More(middle[0].at(), left_out, None);
    let head = lines[..HALF_STORY].iter().cloned();
    let tail = lines[end..].iter().cloned();
    head.chain(iter::once(more)).chain(tail).collect()
}

/// The last line.
fn ending(timeline: &Timeline) -> TimelineLine {
    let (mark, text) = match timeline.ending {
        OutageEnding::Survives { .. } => {
            let number = timeline.count();
            (
                SUCCEEDS,
                format!("succeeds: start {number} is the first after the outage"),
            )
        }
        OutageEnding::LimitHit { starts, .. } => (
            REFUSED,
            format!("refused after {starts} starts: the start limit; no restart follows"),
        ),
        OutageEnding::GivesUp { why, .. } => (' ', format!("no restart: {why}")),
        OutageEnding::Hangs { .. } => (HANGS, "hangs: no timeout ends it".to_owned()),
        OutageEnding::WaitsForEver { .. } => {
            (' ', "waits indefinitely: RestartSec=infinity".to_owned())
        }
        OutageEnding::Unknown { .. } => (' ', "not simulated any further".to_owned()),
    };
    TimelineLine::Event(timeline.ending.at(), mark, text)
}

#[cfg(test)]
mod tests;
