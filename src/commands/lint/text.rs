//! What `lint` says to people, within the width of their terminal.

use std::io;

use terminal_size::{Width, terminal_size_of};

use super::{JudgedService, LintReport, Looked};
use crate::systemd::lint::{Diagnosis, Finding, Prediction};
use crate::systemd::timeline;
use crate::text::line::one_line;
use crate::text::span::format_span;

/// A paragraph that is wider is hard to read.
const WIDEST: usize = 96;
const NARROWEST: usize = 40;

/// How wide a line may be: as the terminal is, or as people read best.
pub(super) fn width() -> usize {
    terminal_size_of(io::stdout()).map_or(WIDEST, |(Width(columns), _)| {
        usize::from(columns).clamp(NARROWEST, WIDEST)
    })
}

/// The whole report.
pub(super) fn text(report: &LintReport, width: usize) -> String {
    let mut blocks: Vec<String> = report
        .judged
        .iter()
        .map(|judged| block(judged, report, width))
        .collect();
    if let Some(looked) = report.looked {
        blocks.push(summary(looked, report.judged.len()));
    }
    blocks.join("\n")
}

fn summary(looked: Looked, found: usize) -> String {
    let templates = looked
        .templates
        .map(|count| format!("; templates left out: {count}"));
    format!(
        "{} services checked, {found} with findings{}\n",
        looked.services,
        templates.unwrap_or_default()
    )
}

fn block(judged: &JudgedService, report: &LintReport, width: usize) -> String {
    let mut lines = vec![head(judged)];
    if judged.findings.is_empty() {
        lines.push("  no findings".to_owned());
    }
    let findings = judged.findings.iter();
    lines.extend(findings.flat_map(|finding| finding_lines(finding, width)));
    if report.looked.is_none() {
        lines.extend(
            judged
                .prediction
                .as_ref()
                .into_iter()
                .flat_map(|prediction| prediction_lines(prediction, report, width)),
        );
    }
    lines.join("\n") + "\n"
}

fn head(judged: &JudgedService) -> String {
    let file = judged.unit.fragment.as_ref();
    let file = file.map(|path| format!(" ({})", one_line(&path.to_string_lossy())));
    let transient = if judged.unit.transient {
        ", transient: it disappears when it ends"
    } else {
        ""
    };
    format!(
        "{}{}{transient}",
        one_line(&judged.unit.name),
        file.unwrap_or_default()
    )
}

fn finding_lines(Finding { rule, said }: &Finding, width: usize) -> Vec<String> {
    let mut lines = vec![format!("  {} {}", rule.id, rule.title)];
    lines.extend(wrapped(&one_line(&said.what), width.saturating_sub(8)).map(indented(8)));
    lines.extend(fix(said));
    lines
}

/// The command, the lines of a drop-in, or both.
fn fix(said: &Diagnosis) -> Vec<String> {
    let command = said.command.iter().map(|command| one_line(command));
    let lines = said.lines.iter().map(|line| one_line(line));
    let mut fix = Vec::new();
    if said.command.is_some() {
        fix.push("      fix:".to_owned());
        fix.extend(command.map(indented(10)));
    }
    if !said.lines.is_empty() {
        let or = if said.command.is_some() { "or" } else { "fix" };
        fix.push(format!("      {or}, in a drop-in:"));
        fix.extend(lines.map(indented(10)));
    }
    fix
}

fn prediction_lines(prediction: &Prediction, report: &LintReport, width: usize) -> Vec<String> {
    let outage = format_span(report.assumed.outage);
    match prediction {
        Prediction::Held => vec![format!(
            "  during {outage} without a network: its gate holds it, and no attempts are made"
        )],
        Prediction::Skipped => vec![format!(
            "  during {outage} without a network: each start is skipped, without a failure"
        )],
        Prediction::Tried(starts) => {
            let mut lines = vec![format!("  during {outage} without a network:")];
            let drawn = timeline::draw(starts, width.saturating_sub(4));
            lines.extend(drawn.lines().map(str::to_owned).map(indented(4)));
            lines
        }
    }
}

fn indented(columns: usize) -> impl Fn(String) -> String {
    move |line| format!("{:columns$}{line}", "").trim_end().to_owned()
}

/// The text in lines of at most `width` characters, but for longer words.
fn wrapped(text: &str, width: usize) -> impl Iterator<Item = String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let room = lines
            .last()
            .map_or(0, |line| width.saturating_sub(line.chars().count()));
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if word.chars().count() < room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.into_iter()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paragraph_keeps_within_its_width_but_for_long_words() {
        let lines: Vec<_> = wrapped("one two three extraordinarily four", 9).collect();
        assert_eq!(lines, ["one two", "three", "extraordinarily", "four"]);
    }
}
