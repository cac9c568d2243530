//! Whether what the guard writes outlives the boot.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use nix::sys::statfs::{FsType, TMPFS_MAGIC, statfs};

use crate::commands::prepare::Refusal;
use crate::exit::Exit;
use crate::sys::{clock, mounts};

/// A state that ends with the boot guards nothing.
pub(super) fn refuse_volatile(dir: &Path) -> Result<(), Refusal> {
    let shown = dir.display();
    let why = match upper(dir) {
        Some(upper) if kind(&upper).is_some_and(is_memory) => "on an overlay in memory",
        // One that the initrd mounted is out of reach, and may be on a disk.
        Some(upper) if kind(&upper).is_none() => {
            let upper = upper.display();
            tracing::warn!(
                "guard: {shown} is on an overlay that is written to {upper}, which cannot be seen: in memory, a reboot would forget what is guarded"
            );
            return Ok(());
        }
        None if kind(dir).is_some_and(is_memory) => "in memory",
        _ => return Ok(()),
    };
    let parent = parent(dir).display();
    let why = format!(
        "{shown} is {why}: what is guarded would be forgotten at a reboot. Mount a file system of a disk at {parent}"
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
    let mount = mounts::of(dir).filter(|mount| mount.kind == "overlay")?;
    let mut options = mount.options.split(',');
    let upper = options.find_map(|option| option.strip_prefix("upperdir="))?;
    Some(upper.into())
}
