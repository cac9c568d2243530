//! Limits of the system that stand in the way, named for people: the error, and the setting behind it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

use nix::errno::Errno;
use nix::libc::rlim_t;
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};
use nix::sys::signal::Signal;

/// What the kernel's refusal means: `Too many open files: RLIMIT_NOFILE is 8 (LimitNOFILE= in a unit)`.
pub(crate) fn refusal(error: &io::Error) -> String {
    let text = error.to_string();
    // std puts "(os error 24)" behind the system's own words.
    let text = text.split(" (os error").next().unwrap_or_default();
    let cause = match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EAGAIN) => processes(),
        Some(Errno::EMFILE) => limit(Resource::RLIMIT_NOFILE, "RLIMIT_NOFILE", "LimitNOFILE="),
        Some(Errno::EFBIG) => limit(Resource::RLIMIT_FSIZE, "RLIMIT_FSIZE", "LimitFSIZE="),
        Some(Errno::ENOMEM) => Some(memory().unwrap_or_else(|| "memory runs out".to_owned())),
        _ => None,
    };
    cause.map_or_else(|| text.to_owned(), |cause| format!("{text}: {cause}"))
}

/// Whether so many more files can be opened. Libraries panic where they cannot, or take it for something else.
pub(crate) fn spare_descriptors(wanted: usize) -> io::Result<()> {
    let first = OwnedFd::from(File::open("/")?);
    let more = (1..wanted).map(|_| first.as_fd().try_clone_to_owned());
    more.collect::<io::Result<Vec<_>>>().map(drop)
}

/// How a child ended that should have answered: `was killed by SIGKILL (…)`.
pub(crate) fn ending(status: ExitStatus) -> String {
    let cause = memory().map_or_else(String::new, |limit| format!("; {limit}"));
    match status.signal().map(Signal::try_from) {
        Some(Ok(Signal::SIGKILL)) if cause.is_empty() => {
            "was killed by SIGKILL, as the kernel does when memory runs out (MemoryMax= in a unit)"
                .to_owned()
        }
        Some(Ok(signal)) => format!("was killed by {signal}{cause}"),
        Some(Err(_)) => format!("was killed by a signal{cause}"),
        None => format!("exited with {}{cause}", status.code().unwrap_or_default()),
    }
}

fn processes() -> Option<String> {
    let limit = finite(Resource::RLIMIT_NPROC)?;
    Some(format!(
        "no more processes and threads are allowed: RLIMIT_NPROC is {limit} (LimitNPROC= in a unit), or TasksMax= is reached"
    ))
}

fn memory() -> Option<String> {
    limit(Resource::RLIMIT_AS, "RLIMIT_AS", "LimitAS=")
        .or_else(|| limit(Resource::RLIMIT_DATA, "RLIMIT_DATA", "LimitDATA="))
}

fn limit(resource: Resource, name: &str, setting: &str) -> Option<String> {
    let limit = finite(resource)?;
    Some(format!("{name} is {limit} ({setting} in a unit)"))
}

fn finite(resource: Resource) -> Option<rlim_t> {
    let (soft, _) = getrlimit(resource).ok()?;
    (soft != RLIM_INFINITY).then_some(soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_in_the_systems_words_with_the_limit() {
        let text = refusal(&Errno::EMFILE.into());
        assert!(
            text.starts_with("Too many open files: RLIMIT_NOFILE is "),
            "{text}"
        );
        assert!(text.ends_with(" (LimitNOFILE= in a unit)"), "{text}");
        let text = refusal(&Errno::EAGAIN.into());
        assert!(text.contains("TasksMax="), "{text}");
        assert_eq!(refusal(&Errno::EACCES.into()), "Permission denied");
        assert_eq!(refusal(&io::Error::other("odd")), "odd");
    }

    #[test]
    fn a_few_more_descriptors_are_always_there() {
        assert!(spare_descriptors(8).is_ok());
    }

    #[test]
    fn a_child_that_died_is_told_by_the_signals_name() {
        let died = ending(ExitStatus::from_raw(Signal::SIGABRT as i32));
        assert!(died.starts_with("was killed by SIGABRT"), "{died}");
        let exited = ending(ExitStatus::from_raw(3 << 8));
        assert!(exited.starts_with("exited with 3"), "{exited}");
    }
}
