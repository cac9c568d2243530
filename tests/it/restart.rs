//! The start limit against systemd's own `ratelimit_below`, in a small program that links libsystemd-shared.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use upgrade_gate::systemd::start_limit::RateLimit;
use upgrade_gate::systemd::unit::StartLimit;
use upgrade_gate::systemd::version::Version;

const PREFIX: &str = "libsystemd-shared-";

/// systemd's private library, whose name has systemd's version.
fn library() -> (PathBuf, Version) {
    let arch = format!("/usr/lib/{}-linux-gnu/systemd", std::env::consts::ARCH);
    let folders = [&arch, "/usr/lib/systemd", "/usr/lib64/systemd"];
    let entries = folders
        .iter()
        .filter_map(|folder| Path::new(folder).read_dir().ok());
    let files = entries.flatten().filter_map(|entry| {
        let path = entry.unwrap().path();
        let version = path.file_name()?.to_str()?.strip_prefix(PREFIX)?;
        Some((path.clone(), Version::parse(version)?))
    });
    files
        .max_by_key(|(_, version)| *version)
        .expect("libsystemd-shared is installed")
}

/// What the program in ratelimit.c answers.
fn ask(library: &Path, questions: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("ratelimit");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/ratelimit.c");
    let mut cc = Command::new("cc");
    cc.args(["-D_GNU_SOURCE", "-rdynamic", "-o"]);
    let built = cc.arg(&program).arg(source).arg("-ldl").output().unwrap();
    let said = String::from_utf8_lossy(&built.stderr);
    assert!(built.status.success(), "{said}");
    let mut child = Command::new(&program)
        .arg(library)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let questions = questions.to_owned();
    // Aside, for more is asked and answered than pipes hold.
    let asking = std::thread::spawn(move || stdin.write_all(questions.as_bytes()).unwrap());
    let output = child.wait_with_output().unwrap();
    asking.join().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap()
}

/// Numbers that are the same at every run: splitmix64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// A limit, and when starts are asked for.
struct Case {
    interval: u64,
    burst: u32,
    times: Vec<u64>,
}

impl Case {
    /// Small numbers, so that windows end at, just before and just after a start; one in ten has no end.
    fn draw(numbers: &mut Numbers) -> Self {
        let interval = match numbers.below(10) {
            0 => u64::MAX,
            _ => numbers.below(40),
        };
        let longest_gap = 1 + numbers.below(30);
        let mut now = 1 + numbers.below(1_000_000_000);
        let times = (0..60).map(|_| {
            now += numbers.below(longest_gap);
            now
        });
        let times = times.collect();
        let burst = u32::try_from(numbers.below(8)).unwrap();
        Self {
            interval,
            burst,
            times,
        }
    }

    fn question(&self) -> String {
        let mut line = format!("{} {}", self.interval, self.burst);
        for now in &self.times {
            write!(line, " {now}").unwrap();
        }
        line + "\n"
    }

    fn answer(&self) -> String {
        let finite = self.interval != u64::MAX;
        let mut limit = RateLimit::new(StartLimit {
            interval: finite.then_some(Duration::from_micros(self.interval)),
            burst: self.burst,
        });
        let times = self.times.iter().copied().map(Duration::from_micros);
        times
            .map(|now| if limit.allows(now) { '1' } else { '0' })
            .collect()
    }
}

#[test]
#[ignore = "needs cc and libsystemd-shared"]
fn the_start_limit_is_ratelimit_below() {
    let (library, version) = library();
    let mut numbers = Numbers(0);
    let cases: Vec<_> = (0..5_000).map(|_| Case::draw(&mut numbers)).collect();
    let questions: String = cases.iter().map(Case::question).collect();
    let answers = ask(&library, &questions);
    let mut answers = answers.lines();
    for case in &cases {
        assert_eq!(answers.next(), Some(&*case.answer()), "{}", case.question());
    }
    // As linux/time.h numbers the clocks: CLOCK_BOOTTIME since 262 (systemd#42919), CLOCK_MONOTONIC before.
    let boottime = version >= Version(262);
    let clock = if boottime { "7" } else { "1" };
    assert_eq!(
        answers.next(),
        Some(clock),
        "the clock that {version} reads"
    );
}

#[test]
#[ignore = "needs cc and libsystemd-shared"]
fn the_posted_settings_are_never_refused_by_ratelimit_below() {
    let (library, _) = library();
    // Every 20.001 s, then every 20 s: by that hair the limit of 5 in 100 s would bite.
    let starts = |every: u64| (0..500).map(move |number| 1 + number * every);
    let question = |every| {
        let times = starts(every).map(|at| at.to_string());
        format!("100000000 5 {}\n", times.collect::<Vec<_>>().join(" "))
    };
    let answers = ask(&library, &(question(20_001_000) + &question(20_000_000)));
    let refused: Vec<_> = answers.lines().map(|line| line.find('0')).collect();
    assert_eq!(refused[..2], [None, Some(5)]);
}
