//! Whether the boot partition has room for one more system: a commit that fails half-way is undone, each night again.

use std::fs;
use std::path::{Path, PathBuf};

use nix::sys::statvfs::statvfs;

use super::Nixos;

impl Nixos {
    /// How many bytes the boot partition lacks for a system's kernel and initrd and a tenth of them; none where they fit, or where
    /// no boot loader copies them.
    pub fn lacks_space(&self, system: &Path) -> Option<u64> {
        let (boot, copies) = self.copies()?;
        let files = ["kernel", "initrd"].map(|name| self.file_of(system, name));
        let new = files.into_iter().flatten();
        let new = new.filter(|file| !is_copied(&copies, file));
        let size = |file: PathBuf| fs::metadata(self.inside(&file)).map_or(0, |file| file.len());
        let wanted: u64 = new.map(size).sum();
        let free = statvfs(&boot).ok()?;
        let free = free.blocks_available() * free.fragment_size();
        (wanted + wanted / 10)
            .checked_sub(free)
            .filter(|lacking| *lacking > 0)
    }

    /// The boot partition, and the folder in it that the builder copies kernels to.
    fn copies(&self) -> Option<(PathBuf, PathBuf)> {
        let systemd_boot = self.paths.systemd_boot();
        let found = systemd_boot.map(|boot| (boot, "EFI/nixos"));
        let grub = || Some((self.paths.grub_copies()?, "kernels"));
        let (boot, folder) = found.or_else(grub)?;
        let copies = boot.join(folder);
        Some((boot, copies))
    }

    /// Where a link of a system leads: a file of another package in the store.
    fn file_of(&self, system: &Path, name: &str) -> Option<PathBuf> {
        fs::read_link(self.inside(&system.join(name))).ok()
    }
}

/// Whether the builder has copied this file before: it is named by its package and its own name; for systemd-boot it ends in `.efi`.
fn is_copied(copies: &Path, file: &Path) -> bool {
    let mut parts = file.iter().skip_while(|part| *part != "store").skip(1);
    let package = parts.next().unwrap_or_default().to_string_lossy();
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let names = [
        format!("{package}-{name}"),
        format!("{package}-{name}.efi"),
        format!("{package}.efi"),
    ];
    names.iter().any(|name| copies.join(name).exists())
}
