//! Whether the boot partition has room for one more system: a commit that fails half-way is undone, each night again.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::Nixos;

impl Nixos {
    /// How many bytes the boot partition lacks for a system's kernel and initrd and a tenth of them; none where they fit, or where
    /// systemd-boot, which copies them, is not there.
    pub fn lacks_space(&self, system: &Path) -> Option<u64> {
        let boot = self.paths.systemd_boot()?;
        let files = ["kernel", "initrd"].map(|name| self.file_of(system, name));
        let new = files.into_iter().flatten();
        let new = new.filter(|file| !is_copied(&boot, file));
        let size = |file: PathBuf| fs::metadata(self.inside(&file)).map_or(0, |file| file.len());
        let wanted: u64 = new.map(size).sum();
        let free = statvfs(&boot).ok()?;
        let free = free.blocks_available() * free.fragment_size();
        (wanted + wanted / 10)
            .checked_sub(free)
            .filter(|lacking| *lacking > 0)
    }

    /// Where a link of a system leads: a file of another package in the store.
    fn file_of(&self, system: &Path, name: &str) -> Option<PathBuf> {
        fs::read_link(self.inside(&system.join(name))).ok()
    }
}

/// Whether the builder has copied this file before: it is named by its package and its own name.
fn is_copied(boot: &Path, file: &Path) -> bool {
    let mut parts = file.iter().skip_while(|part| *part != "store").skip(1);
    let package = parts.next().unwrap_or_default().to_string_lossy();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let copied = [format!("{package}-{name}.efi"), format!("{package}.efi")];
    copied
        .iter()
        .any(|copied| boot.join("EFI/nixos").join(copied).exists())
}
