//! The unit's own directories, as the command is to find them: without the one that is there for us.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// The variables by which systemd names them, separated by colons (systemd.exec(5)).
pub(super) const VARIABLES: [&str; 2] = ["RUNTIME_DIRECTORY", "STATE_DIRECTORY"];

/// The list without `…/upgrade-gate/UNIT`, which a drop-in has added; a command may expect one directory alone.
pub(super) fn of_command(list: &OsStr) -> OsString {
    let all = list.as_bytes().split(|byte| *byte == b':');
    let theirs: Vec<_> = all.filter(|path| !is_ours(path)).collect();
    OsString::from_vec(theirs.join(&b':'))
}

fn is_ours(path: &[u8]) -> bool {
    let mut parts = Path::new(OsStr::from_bytes(path)).components();
    parts.any(|part| part.as_os_str() == "upgrade-gate")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_for_us_is_left_out() {
        for (list, left) in [
            ("/run/a:/run/upgrade-gate/a", "/run/a"),
            (
                "/var/lib/private/upgrade-gate/a:/var/lib/b:/c",
                "/var/lib/b:/c",
            ),
            ("/run/upgrade-gate/a", ""),
            ("/run/upgrade-gate-x", "/run/upgrade-gate-x"),
            ("", ""),
        ] {
            assert_eq!(of_command(list.as_ref()), left, "{list}");
        }
    }
}
