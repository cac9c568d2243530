//! What `ssh` would connect to, as `ssh -G` says: aliases, ports and jump hosts are in its configuration.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use reqwest::Url;

use crate::sys::clock;
use crate::sys::limits;
use crate::targets::Target;
use crate::text::secret;

/// The machine an ssh URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u16>,
}

impl Destination {
    /// From `ANY://[user@]host[:port]…`. Nix also takes an IPv6 address without brackets.
    pub(super) fn of(written: &str) -> Option<Self> {
        let (_, rest) = written
            .split_once("://")
            .filter(|_| !secret::is_ambiguous(written))?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (Some(user), host),
            None => (None, authority),
        };
        let bare = host.parse::<std::net::Ipv6Addr>().is_ok();
        let host = if bare {
            format!("[{host}]")
        } else {
            host.to_owned()
        };
        let url = Url::parse(&format!("ssh://{host}")).ok()?;
        let host = url.host_str()?.trim_matches(['[', ']']).to_owned();
        let user = user.and_then(|user| user.split(':').next());
        (!host.is_empty() && !host.starts_with('-')).then(|| Self {
            user: user.filter(|user| !user.is_empty()).map(str::to_owned),
            host,
            port: url.port(),
        })
    }

    /// Asks `ssh -G`; the target to probe.
    ///
    /// # Errors
    /// A sentence why it cannot be probed.
    pub(super) fn target(
        &self,
        ssh: &dyn Fn(&[String]) -> Result<String, String>,
    ) -> Result<Target, String> {
        read(&ssh(&self.arguments())?)
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments = vec!["-G".to_owned()];
        if let Some(port) = self.port {
            arguments.extend(["-p".to_owned(), port.to_string()]);
        }
        if let Some(user) = &self.user {
            arguments.extend(["-l".to_owned(), user.clone()]);
        }
        arguments.extend(["--".to_owned(), self.host.clone()]);
        arguments
    }
}

/// Reads what `ssh -G` prints: `keyword value` lines, keywords in lower case.
fn read(printed: &str) -> Result<Target, String> {
    let value = |keyword| {
        let mut lines = printed.lines().filter_map(|line| line.split_once(' '));
        let found = lines.find(|(name, _)| *name == keyword);
        found
            .map(|(_, value)| value.trim())
            .filter(|value| *value != "none")
    };
    if let Some(jump) = value("proxyjump") {
        return Err(format!("ssh reaches it by ProxyJump {jump}"));
    }
    // The command may hold a password, wherever it wants.
    if value("proxycommand").is_some() {
        return Err("ssh reaches it by ProxyCommand".to_owned());
    }
    let host = value("hostname").ok_or("ssh -G names no host for it")?;
    let port = value("port")
        .and_then(|port| port.parse().ok())
        .unwrap_or(22);
    Ok(Target::Ssh {
        host: host.trim_matches(['[', ']']).to_owned(),
        port,
    })
}

/// How long `ssh -G` may take: it may resolve names (`CanonicalizeHostname`, `Match exec`).
const LIMIT: Duration = Duration::from_secs(5);

/// Runs `ssh` with these arguments, at most 5 s, and returns what it printed.
pub fn run(arguments: &[String]) -> Result<String, String> {
    let mut child = Command::new("ssh")
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| format!("ssh cannot be started: {}", limits::refusal(&error)))?;
    let printed = collect(&mut child);
    // At the end of its output it has nothing more to tell; before, its time is up.
    let _ = child.kill();
    let _ = child.wait();
    printed
}

fn collect(child: &mut Child) -> Result<String, String> {
    let mut pipe = child.stdout.take().ok_or("ssh has no output")?;
    let start = clock::now().monotonic;
    let mut printed = Vec::new();
    loop {
        let left = LIMIT.saturating_sub(clock::now().monotonic.since(start));
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO);
        let mut fds = [PollFd::new(
            std::os::fd::AsFd::as_fd(&pipe),
            PollFlags::POLLIN,
        )];
        match poll(&mut fds, timeout) {
            // Its own end interrupts: SIGCHLD may be caught elsewhere in the process.
            Err(Errno::EINTR) => continue,
            Ok(0) | Err(_) => return Err("ssh -G did not answer within 5 s".into()),
            Ok(_) => {}
        }
        let mut chunk = [0; 4096];
        match pipe.read(&mut chunk) {
            Ok(0) => return Ok(String::from_utf8_lossy(&printed).into_owned()),
            Ok(length) => printed.extend_from_slice(&chunk[..length]),
            Err(error) => return Err(format!("what ssh prints cannot be read: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn asked(written: &str) -> Option<String> {
        Destination::of(written).map(|destination| destination.arguments().join(" "))
    }

    #[test]
    fn ssh_is_asked_about_exactly_what_is_written() {
        assert_eq!(asked("ssh://host").unwrap(), "-G -- host");
        assert_eq!(
            asked("ssh-ng://me@host:22/x?y").unwrap(),
            "-G -p 22 -l me -- host"
        );
        assert_eq!(asked("ssh://[::1]:2222").unwrap(), "-G -p 2222 -- ::1");
        assert_eq!(asked("ssh://2001:db8::1").unwrap(), "-G -- 2001:db8::1");
        assert_eq!(asked("ssh://me:secret@host").unwrap(), "-G -l me -- host");
        assert_eq!(asked("ssh://-oProxyCommand=x"), None);
        assert_eq!(asked("ssh://"), None);
    }

    #[test]
    fn the_answer_of_ssh_is_read() {
        let target = |host: &str, port| {
            Ok(Target::Ssh {
                host: host.into(),
                port,
            })
        };
        assert_eq!(
            read("user me\nhostname h\nport 2222\nproxyjump none\n"),
            target("h", 2222)
        );
        assert_eq!(read("hostname ::1\n"), target("::1", 22));
        assert_eq!(
            read("hostname h\nproxyjump bastion\n"),
            Err("ssh reaches it by ProxyJump bastion".into())
        );
        assert_eq!(
            read("hostname h\nproxycommand nc -x me:secret@proxy %h\n"),
            Err("ssh reaches it by ProxyCommand".into())
        );
        assert!(read("").is_err());
    }

    proptest! {
        #[test]
        fn any_url_and_any_answer_are_read_without_a_panic(text in "(?s).*", url in "ssh://.*") {
            let _ = (read(&text), Destination::of(&url), Destination::of(&text));
        }
    }
}
