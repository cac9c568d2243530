//! Where things are on a NixOS system, and which system each of them is.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::grub::Grub;
use crate::guard::facts::Side;
use crate::guard::loader;
use crate::sys::files;

/// The variables of systemd-boot.
const EFI: &str = "4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";
/// Where the EFI system partition may be.
const BOOT: &[&str] = &["boot", "efi", "boot/efi"];

/// Paths below a root.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    pub(super) root: PathBuf,
}

impl Paths {
    /// A path of the machine, below the root.
    pub(super) fn inside(&self, path: &Path) -> PathBuf {
        files::below(&self.root, path)
    }

    /// The same as text, for a command line.
    pub(super) fn text(&self, path: &Path) -> String {
        self.inside(path).to_string_lossy().into_owned()
    }

    pub(super) fn profile(&self) -> PathBuf {
        self.root.join("nix/var/nix/profiles/system")
    }

    fn gcroots(&self) -> PathBuf {
        self.root.join("nix/var/nix/gcroots/upgrade-gate")
    }

    pub(super) fn gcroot(&self, side: Side) -> PathBuf {
        self.gcroots().join(match side {
            Side::Baseline => "baseline",
            Side::Candidate => "candidate",
        })
    }

    pub(super) fn current_system(&self) -> Option<PathBuf> {
        fs::read_link(self.root.join("run/current-system")).ok()
    }

    /// The generation of the system profile, and its system.
    pub(super) fn profile_system(&self) -> Option<(u64, PathBuf)> {
        let number = number(&fs::read_link(self.profile()).ok()?)?;
        Some((number, self.generation(number)?))
    }

    /// The system of a generation.
    /// The number of the last generation, if it is this system's and the profile has gone back from it.
    pub(super) fn newest_generation(&self, system: &Path) -> Option<u64> {
        let names = files::entries(&self.root.join("nix/var/nix/profiles"));
        let numbers = names.iter().filter_map(|path| number(path));
        let newest = numbers.max()?;
        let (current, _) = self.profile_system()?;
        (newest > current && self.generation(newest).as_deref() == Some(system)).then_some(newest)
    }

    pub(super) fn generation(&self, number: u64) -> Option<PathBuf> {
        let link = format!("nix/var/nix/profiles/system-{number}-link");
        fs::read_link(self.root.join(link)).ok()
    }

    /// What boots next, a one-shot entry aside; none where no boot loader of these says.
    pub(super) fn boot_default(&self) -> Option<PathBuf> {
        let variable = self.efi_variable("LoaderEntryDefault");
        let entry = variable.or_else(|| {
            let conf = self.read_boot("loader/loader.conf")?;
            loader::default_entry(&conf).map(ToOwned::to_owned)
        });
        if let Some(entry) = entry {
            return self.entry_system(&entry);
        }
        let grub = || loader::grub_default(&self.read_boot("grub/grub.cfg")?);
        let extlinux = || loader::extlinux_default(&self.read_boot("extlinux/extlinux.conf")?);
        grub().or_else(extlinux)
    }

    /// What the next boot tries, once.
    pub(super) fn one_shot(&self) -> Option<PathBuf> {
        match self.efi_variable("LoaderEntryOneShot") {
            Some(entry) => self.entry_system(&entry),
            None => self.grub()?.one_shot(),
        }
    }

    /// GRUB, if it is the boot loader and has one-shot entries.
    pub(super) fn grub(&self) -> Option<Grub> {
        if self.systemd_boot().is_some() {
            return None;
        }
        let mut folders = BOOT.iter().map(|boot| self.root.join(boot).join("grub"));
        folders.find_map(|folder| Grub::of(&folder))
    }

    /// The folder of GRUB's boot partition, if kernels are copied there.
    pub(super) fn grub_copies(&self) -> Option<PathBuf> {
        let mut places = BOOT.iter().map(|boot| self.root.join(boot));
        let boot = places.find(|boot| boot.join("grub/grub.cfg").is_file())?;
        let menu = fs::read_to_string(boot.join("grub/grub.cfg")).ok()?;
        loader::grub_copies_kernels(&menu).then_some(boot)
    }

    /// The boot partition of systemd-boot, which has one-shot entries.
    pub(super) fn systemd_boot(&self) -> Option<PathBuf> {
        let mut places = BOOT.iter().map(|boot| self.root.join(boot));
        places.find(|boot| boot.join("loader/loader.conf").is_file())
    }

    /// The id of the entry that boots this system: its file's name, without what counts its tries.
    pub(super) fn entry_of(&self, system: &Path) -> Option<String> {
        let entries = self.entries();
        let (name, _) = entries.iter().find(|(_, boots)| boots == system)?;
        Some(without_tries(name))
    }

    fn entry_system(&self, id: &str) -> Option<PathBuf> {
        let wanted = without_tries(id);
        let entries = self.entries();
        let found = entries
            .into_iter()
            .find(|(name, _)| without_tries(name) == wanted);
        found.map(|(_, system)| system)
    }

    fn entries(&self) -> Vec<(String, PathBuf)> {
        let folders = BOOT
            .iter()
            .map(|boot| self.root.join(boot).join("loader/entries"));
        let files = folders
            .filter_map(|folder| fs::read_dir(folder).ok())
            .flatten()
            .flatten();
        let entries = files.filter_map(|file| {
            let text = fs::read_to_string(file.path()).ok()?;
            let name = file.file_name().into_string().ok()?;
            Some((name, loader::system_of_entry(&text)?))
        });
        entries.collect()
    }

    fn efi_variable(&self, name: &str) -> Option<String> {
        let path = format!("sys/firmware/efi/efivars/{name}-{EFI}");
        loader::efi_text(&fs::read(self.root.join(path)).ok()?)
    }

    fn read_boot(&self, name: &str) -> Option<String> {
        let mut files = BOOT.iter().map(|boot| self.root.join(boot).join(name));
        files.find_map(|path| fs::read_to_string(path).ok())
    }

    /// Protects a system from the garbage collector, durably.
    pub(super) fn add_root(&self, side: Side, system: &Path) -> io::Result<()> {
        fs::create_dir_all(self.gcroots())?;
        let link = self.gcroot(side);
        let temporary = link.with_extension("new");
        files::remove(&temporary)?;
        symlink(system, &temporary)?;
        fs::rename(temporary, link)?;
        File::open(self.gcroots())?.sync_all()
    }

    pub(super) fn remove_roots(&self) -> io::Result<()> {
        files::remove(&self.gcroot(Side::Candidate))?;
        files::remove(&self.gcroot(Side::Baseline))
    }

    /// Flushes every file system that an upgrade writes to.
    pub(super) fn sync(&self, state: &Path) -> io::Result<()> {
        let fixed = ["nix/store", "nix/var/nix"].map(|path| self.root.join(path));
        let boot = BOOT.iter().map(|path| self.root.join(path));
        let boot = boot.filter(|path| path.is_dir());
        for path in fixed.into_iter().chain(boot).chain([state.to_owned()]) {
            nix::unistd::syncfs(File::open(path)?)?;
        }
        Ok(())
    }

    /// What a crash of the builder leaves behind makes every later one fail.
    pub(super) fn remove_leftover(&self) -> io::Result<()> {
        let mut leftovers = BOOT
            .iter()
            .map(|boot| self.root.join(boot).join("loader/loader.tmp"));
        leftovers.try_for_each(|path| files::remove(&path))
    }
}

/// `nixos-x+2-1.conf` is the entry `nixos-x.conf`.
fn without_tries(name: &str) -> String {
    let stem = name.strip_suffix(".conf").unwrap_or(name);
    let counted = stem
        .rsplit_once('+')
        .filter(|(_, tries)| tries.chars().all(|c| c.is_ascii_digit() || c == '-'));
    format!("{}.conf", counted.map_or(stem, |(stem, _)| stem))
}

/// The number of a generation's link.
fn number(link: &Path) -> Option<u64> {
    let name = link.file_name()?.to_str()?;
    name.strip_prefix("system-")?
        .strip_suffix("-link")?
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_known_without_what_counts_its_tries() {
        for name in [
            "nixos-ab.conf",
            "nixos-ab+3.conf",
            "nixos-ab+2-1.conf",
            "nixos-ab",
        ] {
            assert_eq!(without_tries(name), "nixos-ab.conf");
        }
        assert_eq!(without_tries("a+b.conf"), "a+b.conf");
    }
}
