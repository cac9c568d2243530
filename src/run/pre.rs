//! The command lines of `--exec-start-pre`: what a unit had as `ExecStartPre=`, run behind the gate.

use std::ffi::OsString;
use std::str::FromStr;

use crate::systemd::exec_line;
use crate::systemd::unit::Exec;

/// One command that is run before COMMAND, in each attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pre {
    /// The program and its arguments.
    pub command: Vec<OsString>,
    /// What it is to find as `argv[0]`, if not its path.
    pub argv0: Option<OsString>,
    /// The prefix `-`: its failure counts as success.
    pub ignore_failure: bool,
}

/// A command line that cannot be run, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPre {
    /// systemd would refuse it, too.
    #[error("invalid command line: {0}")]
    Refused(String),
    /// It has none, or several.
    #[error("give exactly one command line; repeat the option for more")]
    NotOne,
    /// It asks for what only systemd can do.
    #[error("of the prefixes of systemd.service(5) only -, @ and : are supported here")]
    Prefix,
}

impl FromStr for Pre {
    type Err = InvalidPre;

    fn from_str(line: &str) -> Result<Self, InvalidPre> {
        let parsed = exec_line::parse(line);
        if let Some(why) = parsed.refused {
            return Err(InvalidPre::Refused(why));
        }
        match <[Exec; 1]>::try_from(parsed.commands) {
            Ok([exec]) if exec.prefixes.is_plain() => Ok(Self::of(exec)),
            Ok(_) => Err(InvalidPre::Prefix),
            Err(_) => Err(InvalidPre::NotOne),
        }
    }
}

impl Pre {
    fn of(exec: Exec) -> Self {
        let mut argv = exec.argv.into_iter();
        let argv0 = argv.next().filter(|argv0| *argv0 != exec.path);
        let words = std::iter::once(exec.path).chain(argv);
        Self {
            command: words.map(OsString::from).collect(),
            argv0: argv0.map(OsString::from),
            ignore_failure: exec.prefixes.ignore_failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_quotes_and_the_leading_dash_are_systemds() {
        let pre: Pre = "-/bin/mkdir -p 'a b' \"c\\\"d\" $HOME %i".parse().unwrap();
        assert!(pre.ignore_failure);
        assert_eq!(
            pre.command,
            ["/bin/mkdir", "-p", "a b", "c\"d", "$HOME", "%i"]
        );
        assert_eq!(pre.argv0, None);
    }

    #[test]
    fn another_argv0_is_kept() {
        let pre: Pre = "@/bin/busybox mkdir a".parse().unwrap();
        assert_eq!(pre.command, ["/bin/busybox", "a"]);
        assert_eq!(pre.argv0, Some("mkdir".into()));
    }

    #[test]
    fn what_only_systemd_can_do_is_refused() {
        for (line, why) in [
            ("+/bin/a", InvalidPre::Prefix),
            ("!!/bin/a", InvalidPre::Prefix),
            ("|echo", InvalidPre::Prefix),
            ("", InvalidPre::NotOne),
            ("/bin/a ; /bin/b", InvalidPre::NotOne),
        ] {
            assert_eq!(line.parse::<Pre>(), Err(why), "{line}");
        }
        let refused = "bin/a".parse::<Pre>().unwrap_err().to_string();
        assert!(refused.contains("bin/a"), "{refused}");
    }
}
