//! GRUB's one-shot entry: a variable in its environment, which the menu deletes when it has read it.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::sys::stat::{major, minor};
use nix::sys::statfs::{EXT4_SUPER_MAGIC, FsType, MSDOS_SUPER_MAGIC, statfs};

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
    /// through the device mapper or a RAID. What it cannot delete, it would boot again and again.
    pub(super) fn can_delete(&self) -> bool {
        let kind = statfs(&self.folder).map(|found| found.filesystem_type());
        let device = fs::metadata(&self.folder).map(|found| found.dev());
        kind.is_ok_and(is_overwritten)
            && device.is_ok_and(|device| is_plain_disk(Path::new("/sys"), device))
    }

    fn environment(&self) -> io::Result<String> {
        match fs::read_to_string(self.folder.join("grubenv")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
            read => read,
        }
    }

    /// Over the blocks where it lies: GRUB does not read the journal, so that after a power cut it would find the file that a
    /// rename has replaced, and boot what was taken back.
    fn write(&self, environment: &str) -> io::Result<()> {
        let path = self.folder.join("grubenv");
        match OpenOptions::new().write(true).open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.create(environment),
            Err(error) => Err(error),
            Ok(mut file) => {
                file.write_all(environment.as_bytes())?;
                file.sync_all()
            }
        }
    }

    fn create(&self, environment: &str) -> io::Result<()> {
        let temporary = self.folder.join("grubenv.new");
        let mut file = File::create(&temporary)?;
        file.write_all(environment.as_bytes())?;
        file.sync_all()?;
        fs::rename(temporary, self.folder.join("grubenv"))?;
        File::open(&self.folder)?.sync_all()
    }
}

/// Whether this kind of file system writes over a block where it lies.
fn is_overwritten(kind: FsType) -> bool {
    [EXT4_SUPER_MAGIC, MSDOS_SUPER_MAGIC].contains(&kind)
}

/// sysfs has a folder of its own for each of the others, in the device's or in that of the disk whose partition it is. A device
/// that it does not know is none.
fn is_plain_disk(sysfs: &Path, device: u64) -> bool {
    let found = format!("dev/block/{}:{}", major(device), minor(device));
    let Ok(found) = fs::canonicalize(sysfs.join(found)) else {
        return false;
    };
    let disk = found.parent().unwrap_or(&found);
    let kinds = ["dm", "md", "bcache"];
    let is_kind = |kind: &&str| found.join(kind).is_dir() || disk.join(kind).is_dir();
    !kinds.iter().any(is_kind)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use nix::sys::stat::makedev;
    use nix::sys::statfs::{BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC};

    use super::*;

    const MENU: &str = "if [ \"${next_entry}\" ]; then\nset default=\"${next_entry}\"\nset next_entry=\nsave_env next_entry\nfi\n\
                        menuentry \"NixOS\" {\nlinux /x init=/nix/store/cand/init\n}\n";

    /// sysfs with a device 8:1, in this folder; `kind` is below `holder`.
    fn is_plain(folder: &str, holder: &str, kind: &str) -> bool {
        let sysfs = tempfile::tempdir().unwrap();
        let at = |name: &str| sysfs.path().join(name);
        fs::create_dir_all(at("dev/block")).unwrap();
        fs::create_dir_all(at(folder)).unwrap();
        fs::create_dir_all(at(holder).join(kind)).unwrap();
        symlink(at(folder), at("dev/block/8:1")).unwrap();
        is_plain_disk(sysfs.path(), makedev(8, 1))
    }

    #[test]
    fn a_partition_of_a_disk_is_plain_and_a_device_that_combines_others_is_not() {
        assert!(is_plain("devices/sda/sda1", "devices/sda/sda1", "holders"));
        assert!(!is_plain("devices/dm-0", "devices/dm-0", "dm"));
        assert!(!is_plain("devices/md0/md0p1", "devices/md0", "md"));
        assert!(!is_plain("devices/bcache0", "devices/bcache0", "bcache"));
    }

    #[test]
    fn a_device_that_sysfs_does_not_know_is_not_plain() {
        let sysfs = tempfile::tempdir().unwrap();
        assert!(!is_plain_disk(sysfs.path(), makedev(8, 1)));
    }

    #[test]
    fn a_file_system_that_copies_what_is_written_is_not_overwritten() {
        assert!(is_overwritten(EXT4_SUPER_MAGIC) && is_overwritten(MSDOS_SUPER_MAGIC));
        for kind in [BTRFS_SUPER_MAGIC, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC] {
            assert!(!is_overwritten(kind));
        }
    }

    #[test]
    fn the_one_shot_entry_is_written_and_taken_back_where_the_environment_lies() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("grub.cfg"), MENU).unwrap();
        let grub = Grub::of(folder.path()).unwrap();
        let candidate = Path::new("/nix/store/cand");
        grub.set_one_shot(Some(candidate)).unwrap();
        // The blocks that GRUB knows.
        let [file, same] = ["grubenv", "same"].map(|name| folder.path().join(name));
        fs::hard_link(file, &same).unwrap();
        grub.set_one_shot(None).unwrap();
        assert_eq!(grub.one_shot(), None);
        let known = fs::read_to_string(&same).unwrap();
        assert_eq!(loader::grub_variable(&known, "next_entry"), None);
        grub.set_one_shot(Some(candidate)).unwrap();
        assert_eq!(grub.one_shot().as_deref(), Some(candidate));
        let known = fs::read_to_string(same).unwrap();
        assert_eq!(loader::grub_variable(&known, "next_entry"), Some("NixOS"));
    }
}
