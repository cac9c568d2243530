//! The programs that run the command among their arguments, and how their options are told from it. Pure.

use super::script;

/// A program that runs the command among its arguments.
pub(super) struct Wrapper {
    pub(super) name: &'static str,
    /// The letters of its options that have a value.
    letters: &'static str,
    /// Its long options whose value may be the next word.
    long: &'static [&'static str],
    /// How many words come before the command.
    pub(super) operands: usize,
}

const fn wrapper(
    name: &'static str,
    letters: &'static str,
    long: &'static [&'static str],
    operands: usize,
) -> Wrapper {
    Wrapper {
        name,
        letters,
        long,
        operands,
    }
}

pub(super) const WRAPPERS: &[Wrapper] = &[
    wrapper("builtin", "", &[], 0),
    wrapper("catchsegv", "", &[], 0),
    wrapper("cgexec", "g", &[], 0),
    wrapper("choom", "np", &["adjust", "pid"], 0),
    wrapper("chroot", "", &["userspec", "groups"], 1),
    wrapper("chronic", "", &[], 0),
    wrapper(
        "chrt",
        "pTPD",
        &["sched-runtime", "sched-deadline", "sched-period", "pid"],
        1,
    ),
    wrapper("command", "", &[], 0),
    wrapper("dbus-run-session", "", &["config-file"], 0),
    wrapper("doas", "uC", &[], 0),
    wrapper("env", "uC", &["unset", "chdir"], 0),
    wrapper("eatmydata", "", &[], 0),
    wrapper("cpulimit", "lpe", &["limit", "pid", "exe"], 0),
    wrapper("exec", "a", &[], 0),
    wrapper("firejail", "", &[], 0),
    wrapper("flock", "wE", &["wait", "timeout", "conflict-exit-code"], 1),
    wrapper(
        "ionice",
        "cnpPu",
        &["class", "classdata", "pid", "pgid", "uid"],
        0,
    ),
    wrapper("linux32", "", &[], 0),
    wrapper("linux64", "", &[], 0),
    wrapper("nice", "n", &["adjustment"], 0),
    wrapper("nohup", "", &[], 0),
    wrapper("nsenter", "tSGW", &["target", "setuid", "setgid"], 0),
    wrapper(
        "numactl",
        "iwmNCpP",
        &[
            "interleave",
            "weighted-interleave",
            "membind",
            "cpunodebind",
            "physcpubind",
            "preferred",
            "preferred-many",
        ],
        0,
    ),
    wrapper("pkexec", "", &["user"], 0),
    wrapper("prlimit", "p", &["pid"], 0),
    wrapper("proxychains", "f", &[], 0),
    wrapper("proxychains4", "f", &[], 0),
    wrapper(
        "run0",
        "ugDM",
        &[
            "unit",
            "property",
            "description",
            "slice",
            "user",
            "group",
            "nice",
            "chdir",
            "setenv",
            "background",
            "machine",
            "lightweight",
            "area",
            "shell-prompt-prefix",
        ],
        0,
    ),
    wrapper("runuser", "ugG", &["user", "group", "supp-group"], 0),
    wrapper(
        "setpriv",
        "",
        &[
            "ambient-caps",
            "inh-caps",
            "bounding-set",
            "ruid",
            "euid",
            "rgid",
            "egid",
            "reuid",
            "regid",
            "groups",
            "securebits",
            "pdeathsig",
            "selinux-label",
            "apparmor-profile",
            "landlock-access",
            "landlock-rule",
            "seccomp-filter",
        ],
        0,
    ),
    wrapper("setarch", "", &[], 1),
    wrapper("setsid", "", &[], 0),
    wrapper("ssh-agent", "aEOPt", &[], 0),
    wrapper("stdbuf", "ioe", &["input", "output", "error"], 0),
    wrapper(
        "sudo",
        "ughpCDRTUrt",
        &[
            "user",
            "group",
            "host",
            "prompt",
            "close-from",
            "chdir",
            "chroot",
            "command-timeout",
            "role",
            "type",
        ],
        0,
    ),
    wrapper(
        "systemd-cat",
        "tp",
        &[
            "identifier",
            "priority",
            "stderr-priority",
            "level-prefix",
            "namespace",
        ],
        0,
    ),
    wrapper("systemd-inhibit", "", &["what", "who", "why", "mode"], 0),
    wrapper(
        "systemd-run",
        "upEHMC",
        &[
            "unit",
            "property",
            "setenv",
            "host",
            "machine",
            "description",
            "slice",
            "uid",
            "gid",
            "nice",
            "working-directory",
            "service-type",
            "on-active",
            "on-boot",
            "on-startup",
            "on-unit-active",
            "on-unit-inactive",
            "on-calendar",
            "timer-property",
            "background",
            "root-directory",
        ],
        0,
    ),
    wrapper(
        "strace",
        "abeEIoOpPsSuUX",
        &["trace", "output", "user", "string-limit"],
        0,
    ),
    wrapper("dumb-init", "r", &["rewrite"], 0),
    wrapper("taskset", "p", &["pid"], 1),
    wrapper("time", "fo", &["format", "output"], 0),
    wrapper("tini", "pe", &[], 0),
    wrapper("torsocks", "uapP", &["user", "pass", "address", "port"], 0),
    wrapper("timeout", "sk", &["signal", "kill-after"], 1),
    wrapper("unbuffer", "", &[], 0),
    wrapper(
        "unshare",
        "RwSGl",
        &["root", "wd", "setuid", "setgid", "propagation", "setgroups"],
        0,
    ),
    wrapper(
        "xargs",
        "adEILnPs",
        &[
            "arg-file",
            "delimiter",
            "max-lines",
            "max-args",
            "max-procs",
            "max-chars",
            "process-slot-var",
        ],
        0,
    ),
];

impl Wrapper {
    /// What follows the options, and the variables that are set for the command.
    pub(super) fn after_options<'a>(&self, words: &'a [String]) -> &'a [String] {
        let mut rest = words;
        while let [word, after @ ..] = rest {
            rest = match word.as_str() {
                "--" => return after,
                // env's -i.
                "-" if self.name == "env" => after,
                option if option.len() > 1 && option.starts_with('-') => after
                    .get(usize::from(self.has_value_apart(option))..)
                    .unwrap_or_default(),
                word if script::is_assignment(word) => after,
                _ => break,
            };
        }
        rest
    }

    fn has_value_apart(&self, option: &str) -> bool {
        match option.strip_prefix("--") {
            Some(long) => self.long.contains(&long),
            // What follows the letter in its own word is the value.
            None => option.find(|letter| self.letters.contains(letter)) == Some(option.len() - 1),
        }
    }
}
