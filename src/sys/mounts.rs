//! Mounts, as the kernel lists them.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// A line of `proc_pid_mountinfo(5)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mount {
    /// Where it is mounted.
    pub(crate) point: PathBuf,
    /// The file system, such as `overlay`.
    pub(crate) kind: String,
    /// The options of the file system.
    pub(crate) options: String,
}

/// The mount that has this path, as this process sees it; none if it is not known.
pub(crate) fn of(path: &Path) -> Option<Mount> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    innermost(&mounts, &fs::canonicalize(path).ok()?)
}

/// The last of the deepest: one may hide another at the same place.
fn innermost(mounts: &str, path: &Path) -> Option<Mount> {
    let mounts = mounts.lines().filter_map(mount);
    let above = mounts.filter(|mount| path.starts_with(&mount.point));
    above.max_by_key(|mount| mount.point.components().count())
}

fn mount(line: &str) -> Option<Mount> {
    let (place, system) = line.split_once(" - ")?;
    let mut system = system.split(' ');
    Some(Mount {
        point: unescaped(place.split(' ').nth(4)?),
        kind: system.next()?.to_owned(),
        options: system.nth(1)?.to_owned(),
    })
}

/// A blank, a tab, a line's end and a backslash are written as `\` and three octal digits.
fn unescaped(text: &str) -> PathBuf {
    let mut bytes = Vec::new();
    let mut parts = text.split('\\');
    bytes.extend(parts.next().unwrap_or_default().as_bytes());
    for part in parts {
        let code = part
            .get(..3)
            .and_then(|code| u8::from_str_radix(code, 8).ok());
        bytes.extend(code);
        bytes.extend(part.get(3..).unwrap_or_default().as_bytes());
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: &str = "\
22 1 0:20 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/run/rootfs,upperdir=/run/overlay/rw,workdir=/run/overlay/work
30 22 0:25 / /run rw,nosuid,nodev shared:5 - tmpfs tmpfs rw,size=10%,mode=755
31 22 8:1 / /srv/my\\040disk rw - ext4 /dev/sda1 rw
32 22 8:2 / /srv/my\\040disk rw - btrfs /dev/sda2 rw,subvol=/@guard
torn line
";

    #[test]
    fn the_innermost_mount_has_a_path_and_the_last_one_of_a_place() {
        let of = |path: &str| innermost(LIVE, Path::new(path)).map(|mount| mount.kind);
        assert_eq!(of("/var/lib/upgrade-gate").as_deref(), Some("overlay"));
        assert_eq!(of("/run/x").as_deref(), Some("tmpfs"));
        assert_eq!(of("/runs").as_deref(), Some("overlay"));
        assert_eq!(of("/srv/my disk/a").as_deref(), Some("btrfs"));
        assert_eq!(innermost("", Path::new("/")), None);
    }

    #[test]
    fn this_process_has_a_root() {
        assert_eq!(of(Path::new("/")).unwrap().point, Path::new("/"));
    }
}
