//! How a unit waits for the network in a way of its own, well or not. Pure.
//!
//! There is no list of all ways: a loop until a command succeeds is a wait, whatever the command, unless it asks about this
//! machine alone; and so is a program of which it is known, or its name says, that it does nothing but ask for the network.

use super::local::is_local;
use super::upgraders::says;
use super::words::{commands, program, text};
use crate::systemd::restart::ExecPhase;
use crate::systemd::unit::Exec;
use crate::text::command_line;

/// Whether this command line goes on only when there is a network, as far as it knows.
pub(super) fn holds_back(exec: &Exec) -> bool {
    loops(&text(exec)).iter().any(Loop::is_wait)
        || commands(exec).iter().any(|words| is_waiter(words))
}

/// Whether this command line waits for a network, or asks for one, before the unit's work begins.
pub(super) fn waits(phase: ExecPhase, exec: &Exec) -> bool {
    if holds_back(exec) {
        return true;
    }
    let commands = commands(exec);
    let before_work = match (phase, commands.len()) {
        // What is asked after the work, or is the work, holds nothing back.
        (ExecPhase::Start, count) => &commands[..count.saturating_sub(1)],
        _ => &commands[..],
    };
    let asks = |words: &Vec<String>| {
        is_delay(words) || is_query(words) || (phase != ExecPhase::Start && is_download(words))
    };
    // Of one that is ignored nothing is left but the time it takes.
    let ignored = exec.prefixes.ignore_failure;
    before_work.iter().any(|words| {
        if ignored {
            is_delay(words)
        } else {
            asks(words)
        }
    })
}

/// Programs that ask for the network, and with which words; any, if there are none.
const QUERIES: &[(&str, &[&str])] = &[
    ("arping", &[]),
    ("curl", &["-I", "--head", "/dev/null"]),
    ("dig", &[]),
    ("drill", &[]),
    ("fping", &[]),
    ("getent", &["hosts", "ahosts", "ahostsv4", "ahostsv6"]),
    ("host", &[]),
    ("ip", &["route get"]),
    ("kdig", &[]),
    ("nc", &["-z"]),
    ("ncat", &["-z"]),
    ("netcat", &["-z"]),
    ("nmcli", &[]),
    ("nslookup", &[]),
    ("ping", &[]),
    ("ping4", &[]),
    ("ping6", &[]),
    ("resolvectl", &["query"]),
    ("systemd-resolve", &[]),
    ("tcping", &[]),
    ("traceroute", &[]),
    ("wget", &["--spider", "/dev/null"]),
];

fn is_query(words: &[String]) -> bool {
    let name = program(&words[0]);
    let known = QUERIES.iter().find(|(query, _)| *query == name);
    known.is_some_and(|(_, with)| {
        with.is_empty() || with.iter().any(|phrase| says(&words[1..], phrase))
    })
}

/// Before the work: it fails without a network, and the work is not begun.
fn is_download(words: &[String]) -> bool {
    matches!(
        program(&words[0]),
        "curl" | "wget" | "nc" | "ncat" | "netcat"
    )
}

/// A sleep that is longer than Wi-Fi needs, or of which it is not known how long it is.
fn is_delay(words: &[String]) -> bool {
    const LONG: u32 = 10;
    let is_long = |word: &String| match word.trim_end_matches(char::is_alphabetic) {
        seconds if seconds == word || word.ends_with('s') => {
            seconds.parse().is_ok_and(|seconds: u32| seconds >= LONG)
        }
        _ => true,
    };
    program(&words[0]) == "sleep"
        && words[1..]
            .iter()
            .any(|word| is_long(word) || word.starts_with('$'))
}

/// A program that does nothing but wait: `apt-helper wait-online`, `wait-for-it.sh`.
fn is_waiter(words: &[String]) -> bool {
    is_called_wait(program(&words[0])) || words[1..].iter().any(|word| word == "wait-online")
}

/// `wait-for-it.sh`, `systemd-networkd-wait-online`, `check-internet`.
fn is_called_wait(name: &str) -> bool {
    let words: Vec<_> = name.split(|c: char| !c.is_ascii_alphanumeric()).collect();
    let has = |list: &[&str]| {
        words
            .iter()
            .any(|word| list.contains(&word.to_ascii_lowercase().as_str()))
    };
    // It would wait for what it is not known to: see UG004.
    name != "nm-online"
        && has(&[
            "wait", "wait4", "waitfor", "await", "check", "ensure", "is", "test", "until",
        ])
        && has(&[
            "connection",
            "connectivity",
            "connected",
            "dns",
            "host",
            "inet",
            "internet",
            "it",
            "net",
            "network",
            "online",
        ])
}

/// `until CONDITION; do BODY; done`, or `while` or `for`.
#[derive(Debug)]
struct Loop<'t> {
    keyword: &'t str,
    condition: &'t str,
    body: &'t str,
}

impl Loop<'_> {
    /// Whether it goes on until a command succeeds that asks about more than this machine.
    fn is_wait(&self) -> bool {
        let asked = match self.keyword {
            "until" => asks_outside(self.condition),
            "while" => asks_outside(self.condition) && self.condition.contains(['!', '[']),
            _ => false,
        };
        asked || (self.leaves() && self.tries_again())
    }

    fn leaves(&self) -> bool {
        let ends = ["break", "exit", "return", "exec"];
        tokens(self.body)
            .iter()
            .any(|(_, word)| ends.contains(word))
    }

    fn tries_again(&self) -> bool {
        let commands = script_commands(self.body);
        let pauses = |words: &Vec<String>| program(&words[0]) == "sleep" || is_query(words);
        commands.iter().any(pauses) && asks_outside(self.body)
    }
}

/// The loops in a text, within whatever quotes; of those in each other the inner ones may be cut short.
fn loops(text: &str) -> Vec<Loop<'_>> {
    let tokens = tokens(text);
    let heads = tokens.iter().enumerate();
    let heads = heads.filter(|(_, (_, word))| matches!(*word, "until" | "while" | "for"));
    let found = heads.filter_map(|(index, (start, keyword))| {
        let rest = &tokens[index + 1..];
        let at = |end: &str| {
            rest.iter()
                .find(|(_, word)| *word == end)
                .map(|(at, _)| *at)
        };
        let (opens, closes) = (at("do")?, at("done").unwrap_or(text.len()));
        Some(Loop {
            keyword,
            condition: text.get(start + keyword.len()..opens)?,
            body: text.get(opens + "do".len()..closes)?,
        })
    });
    found.collect()
}

/// The words of a text that is a script, or has one in it, and where each begins.
fn tokens(text: &str) -> Vec<(usize, &str)> {
    let is_gap = |c: char| c.is_whitespace() || ";&|()`'\"".contains(c);
    let words = text.split(is_gap).filter(|word| !word.is_empty());
    let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
    words.map(|word| (start(word), word)).collect()
}

fn script_commands(script: &str) -> Vec<Vec<String>> {
    command_line::commands(&["sh", "-c", script])
}

fn asks_outside(script: &str) -> bool {
    let commands = script_commands(script);
    let mut programs = commands.iter().map(|words| program(&words[0]));
    script.contains("/dev/tcp/") || programs.any(|name| !is_local(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::systemd::exec_line;

    fn waits_in(phase: ExecPhase, line: &str) -> bool {
        waits(phase, &exec_line::parse(line).commands[0])
    }

    fn script(phase: ExecPhase, text: &str) -> bool {
        let exec = Exec {
            path: "/bin/sh".to_owned(),
            argv: ["/bin/sh", "-c", text].map(str::to_owned).into(),
            ..Exec::default()
        };
        waits(phase, &exec)
    }

    #[test]
    fn a_loop_until_a_command_succeeds_is_a_wait_whatever_the_command() {
        for text in [
            "until ping -c1 example.org; do sleep 5; done; exec work",
            "until host example.org >/dev/null 2>&1\ndo\n sleep 2\ndone\nwork",
            "until /opt/bin/reachable; do sleep 1; done && work",
            "while ! curl -sf https://example.org; do sleep 2; done; work",
            "while [ \"$$(nmcli -t -f STATE g)\" != connected ]; do sleep 1; done; work",
            "for i in $$(seq 30); do ssh nas true && break; sleep 2; done; work",
            "while true; do nc -z example.org 443 && break; sleep 1; done; work",
            "timeout 300 bash -c 'until getent hosts example.org; do sleep 1; done'; work",
            "until (echo > /dev/tcp/example.org/443) 2>/dev/null; do sleep 1; done; work",
            "until ip route | grep -q default; do sleep 1; done; work",
        ] {
            assert!(script(ExecPhase::Start, text), "{text}");
            assert!(script(ExecPhase::StartPre, text), "{text}");
        }
    }

    #[test]
    fn a_loop_that_asks_about_this_machine_or_has_no_end_is_no_wait() {
        for text in [
            "until [ -S /run/a.sock ]; do sleep 1; done; work",
            "until systemctl is-active -q network-online.target; do sleep 1; done; work",
            "while pgrep apt; do sleep 1; done; work",
            "while fuser -s /var/lib/dpkg/lock; do sleep 1; done; work",
            "while true; do work; sleep 3600; done",
            "for f in *.conf; do scp $$f nas: || exit 1; done",
            "while read -r line; do work $$line; done < list",
            "echo waiting until later; work",
        ] {
            assert!(!script(ExecPhase::Start, text), "{text}");
        }
    }

    #[test]
    fn a_program_that_only_asks_is_a_wait_before_the_work() {
        for line in [
            "/bin/ping -c1 example.org",
            "/usr/bin/getent hosts example.org",
            "/usr/bin/nmcli networking connectivity check",
            "/usr/bin/wget -q --spider https://example.org",
            "/lib/systemd/systemd-networkd-wait-online",
            "/usr/local/bin/wait-for-it.sh example.org:443",
            "/usr/local/bin/check-internet",
            "/bin/sleep 30",
            "/bin/sh -c 'sleep $$((RANDOM % 600))'",
            "/usr/lib/apt/apt-helper wait-online",
        ] {
            assert!(waits_in(ExecPhase::StartPre, line), "{line}");
        }
        for line in [
            "/usr/bin/getent passwd me",
            "-/bin/ping -c1 example.org",
            "/bin/sleep 2",
            "/bin/mkdir -p /run/a",
            "/usr/local/bin/check-disk",
            "/usr/bin/nm-online -s",
        ] {
            assert!(!waits_in(ExecPhase::StartPre, line), "{line}");
        }
    }

    #[test]
    fn in_the_work_itself_only_what_comes_before_something_else_is_a_wait() {
        assert!(script(ExecPhase::Start, "ping -c1 example.org && work"));
        assert!(script(ExecPhase::Start, "sleep 1m; work"));
        assert!(waits_in(
            ExecPhase::Start,
            "/opt/wait-for-it.sh example.org:443 -- /usr/bin/work"
        ));
        assert!(!script(ExecPhase::Start, "work && ping -c1 example.org"));
        assert!(!script(
            ExecPhase::Start,
            "curl -fsSL https://example.org/install | sh"
        ));
        assert!(!waits_in(ExecPhase::Start, "/usr/bin/dig example.org"));
    }
}
