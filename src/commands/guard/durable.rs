//! Whether what the guard writes outlives the boot.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use nix::sys::statfs::{FsType, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, statfs};

use crate::commands::prepare::Refusal;
use crate::exit::Exit;
use crate::sys::clock;

/// A state that ends with the boot guards nothing.
pub(super) fn refuse_volatile(dir: &Path) -> Result<(), Refusal> {
    let written = upper(dir).unwrap_or_else(|| dir.to_owned());
    if !kind(&written).is_some_and(is_memory) {
        return Ok(());
    }
    let why = format!(
        "{} is in memory: what is guarded would be forgotten at a reboot. Mount a file system of a disk at {}",
        dir.display(),
        parent(dir).display()
    );
    Err(Refusal::new(Exit::Config, &why))
}

/// Some systems clear their root at each boot, and a candidate that was tried by a boot would then be in nobody's care. That
/// a directory was there before this boot is the proof to the contrary.
pub(super) fn warn_if_unproven(dir: &Path) {
    let parent = parent(dir);
    let made = fs::metadata(parent).and_then(|parent| parent.created());
    let made = made
        .ok()
        .and_then(|made| made.duration_since(UNIX_EPOCH).ok());
    let booted = clock::wall().0.saturating_sub(clock::now().boottime.0);
    if made.is_some_and(|made| made > booted) {
        tracing::warn!(
            "guard: {} was made in this boot. If a boot clears it, the system that the reboot tries is not verified, and not kept: \
             then mount a file system that stays",
            parent.display()
        );
    }
}

fn parent(dir: &Path) -> &Path {
    dir.parent().unwrap_or(dir)
}

fn kind(path: &Path) -> Option<FsType> {
    statfs(path).ok().map(|found| found.filesystem_type())
}

fn is_memory(kind: FsType) -> bool {
    /// `RAMFS_MAGIC` of statfs(2).
    const RAMFS: i64 = 0x8584_58f6;
    kind == TMPFS_MAGIC || kind.0 == RAMFS
}

/// Where an overlay that has this directory puts what is written.
fn upper(dir: &Path) -> Option<PathBuf> {
    kind(dir).filter(|kind| *kind == OVERLAYFS_SUPER_MAGIC)?;
    let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
    upper_of(&mounts, &fs::canonicalize(dir).ok()?)
}

/// The `upperdir=` of the innermost overlay in a mountinfo (`proc_pid_mountinfo(5)`) that has this path.
fn upper_of(mounts: &str, path: &Path) -> Option<PathBuf> {
    let overlays = mounts.lines().filter_map(|line| {
        let (mount, kind) = line.split_once(" - overlay ")?;
        let point = Path::new(mount.split(' ').nth(4)?);
        path.starts_with(point).then_some((point, kind))
    });
    let (_, kind) = overlays.max_by_key(|(point, _)| point.components().count())?;
    let options = kind.split_once(' ')?.1.split(',');
    let mut upper = options.filter_map(|option| option.strip_prefix("upperdir="));
    upper.next().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: &str = "\
22 1 0:20 / / rw,relatime shared:1 - overlay overlay rw,lowerdir=/run/rootfs,upperdir=/run/overlay/rw,workdir=/run/overlay/work
30 22 0:25 / /run rw,nosuid,nodev shared:5 - tmpfs tmpfs rw,size=10%,mode=755
31 22 8:1 / /srv rw - ext4 /dev/sda1 rw
32 22 0:31 / /srv/box rw - overlay none rw,lowerdir=/a,upperdir=/srv/upper,workdir=/w,xino=off
";

    #[test]
    fn the_innermost_overlay_tells_where_it_is_written() {
        let upper = |path: &str| upper_of(LIVE, Path::new(path));
        let root = Some(PathBuf::from("/run/overlay/rw"));
        assert_eq!(upper("/var/lib/upgrade-gate/guard"), root);
        assert_eq!(upper("/srv/box/a"), Some(PathBuf::from("/srv/upper")));
        assert_eq!(upper("/srv/boxes"), root);
        assert_eq!(upper_of("", Path::new("/")), None);
        assert_eq!(
            upper_of("22 1 0:20 / / - overlay\n1 - overlay x", Path::new("/")),
            None
        );
    }
}
