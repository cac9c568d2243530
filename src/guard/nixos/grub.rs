//! GRUB's one-shot entry: a variable in its environment, which the menu deletes when it has read it.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};
use nix::sys::statfs::{EXT4_SUPER_MAGIC, MSDOS_SUPER_MAGIC, statfs};

use crate::guard::loader;

/// GRUB's folder, with a menu that has one-shot entries.
#[derive(Clone, Debug)]
pub(super) struct Grub {
    folder: PathBuf,
    menu: String,
    /// The variable.
    name: &'static str,
}

impl Grub {
    /// The GRUB of this folder.
    pub(super) fn of(folder: &Path) -> Option<Self> {
        let menu = fs::read_to_string(folder.join("grub.cfg")).ok()?;
        let name = loader::grub_one_shot(&menu)?;
        Some(Self {
            folder: folder.to_owned(),
            menu,
            name,
        })
    }

    /// The system of the one-shot entry.
    pub(super) fn one_shot(&self) -> Option<PathBuf> {
        let environment = self.environment().ok()?;
        let entry = loader::grub_variable(&environment, self.name)?;
        let mut entries = loader::grub_entries(&self.menu).into_iter();
        entries.find_map(|(name, system)| (name == entry).then_some(system))
    }

    /// Has the next boot try this system, once; none clears it.
    pub(super) fn set_one_shot(&self, system: Option<&Path>) -> Result<(), String> {
        let entry = match system {
            Some(system) => {
                let mut entries = loader::grub_entries(&self.menu).into_iter();
                let entry = entries.find(|(_, boots)| boots == system);
                Some(entry.ok_or("the candidate has no boot entry")?.0)
            }
            None => None,
        };
        let environment = self.environment().map_err(|error| error.to_string())?;
        let changed = loader::grub_environment(&environment, self.name, entry.as_deref());
        let changed = changed.ok_or("GRUB's environment has no room for the entry's name")?;
        self.write(&changed).map_err(|error| error.to_string())
    }

    /// Whether GRUB can delete the variable, which it does in place: not on file systems that copy what is written, and not
    /// through the device mapper or a RAID. What it cannot delete, it would boot for ever.
    pub(super) fn can_delete(&self) -> bool {
        let kind = statfs(&self.folder).map(|found| found.filesystem_type());
        let device = fs::metadata(&self.folder).map(|found| found.dev());
        let plain = kind.is_ok_and(|kind| [EXT4_SUPER_MAGIC, MSDOS_SUPER_MAGIC].contains(&kind));
        plain && device.is_ok_and(is_plain_disk)
    }

    fn environment(&self) -> io::Result<String> {
        match fs::read_to_string(self.folder.join("grubenv")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            read => read,
        }
    }

    fn write(&self, environment: &str) -> io::Result<()> {
        let temporary = self.folder.join("grubenv.new");
        let mut file = File::create(&temporary)?;
        file.write_all(environment.as_bytes())?;
        file.sync_all()?;
        fs::rename(temporary, self.folder.join("grubenv"))?;
        File::open(&self.folder)?.sync_all()
    }
}

/// sysfs has a folder of its own for each of the others, in the device's or in that of the disk whose partition it is.
fn is_plain_disk(device: u64) -> bool {
    let found = format!("/sys/dev/block/{}:{}", major(device), minor(device));
    let found = fs::canonicalize(found).unwrap_or_default();
    let disk = found.parent().unwrap_or(&found);
    let kinds = ["dm", "md", "bcache"];
    let is_kind = |kind: &&str| found.join(kind).is_dir() || disk.join(kind).is_dir();
    !kinds.iter().any(is_kind)
}
