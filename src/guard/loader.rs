//! What boots next, read from what the boot loader reads. Pure: texts in, a system out.

use std::path::PathBuf;

/// The system in a kernel command line: where its `init=` is.
pub fn system_of(command_line: &str) -> Option<PathBuf> {
    let init = command_line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("init="))?;
    Some(init.strip_suffix("/init")?.into())
}

/// The name of systemd-boot's default entry; none if it is a pattern, which names whatever is newest.
pub fn default_entry(loader_conf: &str) -> Option<&str> {
    let mut lines = loader_conf.lines().filter_map(|line| {
        let (key, value) = line.trim().split_once(char::is_whitespace)?;
        ["default", "preferred"]
            .contains(&key)
            .then(|| value.trim())
    });
    lines
        .next_back()
        .filter(|entry| !entry.contains(['*', '?', '[', '@']))
}

/// The system of a systemd-boot entry.
pub fn system_of_entry(entry: &str) -> Option<PathBuf> {
    let options = entry
        .lines()
        .filter_map(|line| line.trim().strip_prefix("options"));
    options.filter_map(system_of).next_back()
}

/// An EFI variable that systemd-boot keeps, such as `LoaderEntryOneShot`: four bytes of attributes, then UTF-16.
pub fn efi_text(variable: &[u8]) -> Option<String> {
    let units = variable.get(4..)?.chunks_exact(2);
    let units: Vec<u16> = units
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]))
        .collect();
    let text = String::from_utf16(&units).ok()?;
    Some(text.trim_end_matches('\0').to_owned()).filter(|text| !text.is_empty())
}

/// The system of GRUB's default, as NixOS writes it: the first entry, unless the default is another.
pub fn grub_default(grub_cfg: &str) -> Option<PathBuf> {
    let set = |line: &str| {
        let value = line.trim().strip_prefix("set default=")?;
        Some(value.trim_matches(['"', '\'']).to_owned())
    };
    let last = grub_cfg.lines().filter_map(set).next_back();
    if last.is_some_and(|default| default != "0") && !grub_cfg.contains("set default=0") {
        return None;
    }
    let (_, entries) = grub_cfg.split_once("menuentry ")?;
    let linux = |line: &&str| line.trim().starts_with("linux");
    system_of(entries.lines().find(linux)?)
}

/// The system of extlinux's default.
pub fn extlinux_default(conf: &str) -> Option<PathBuf> {
    let value = |line: &str, key: &str| {
        let (found, value) = line.trim().split_once(char::is_whitespace)?;
        found
            .eq_ignore_ascii_case(key)
            .then(|| value.trim().to_owned())
    };
    let default = conf.lines().find_map(|line| value(line, "DEFAULT"))?;
    let of_default = |line: &&str| value(line, "LABEL").as_ref() == Some(&default);
    let after = conf.lines().skip_while(|line| !of_default(line)).skip(1);
    let own = after.take_while(|line| value(line, "LABEL").is_none());
    own.filter_map(|line| value(line, "APPEND"))
        .find_map(|line| system_of(&line))
}

#[cfg(test)]
mod tests {
    use super::*;

    const INIT: &str = "root=/dev/vda init=/nix/store/abc-nixos/init loglevel=4";

    fn system() -> PathBuf {
        "/nix/store/abc-nixos".into()
    }

    #[test]
    fn a_command_line_names_its_system() {
        assert_eq!(system_of(INIT), Some(system()));
        assert_eq!(system_of("root=/dev/vda init=/bin/sh"), None);
    }

    #[test]
    fn systemd_boots_default_is_the_entry_that_it_names() {
        let conf = "timeout 5\ndefault nixos-generation-7.conf\nconsole-mode keep\n";
        assert_eq!(default_entry(conf), Some("nixos-generation-7.conf"));
        let entry = format!("title NixOS\noptions {INIT}\n");
        assert_eq!(system_of_entry(&entry), Some(system()));
    }

    #[test]
    fn a_default_that_is_a_pattern_or_saved_is_not_known() {
        for conf in ["default nixos-*\n", "default @saved\n", "timeout 3\n"] {
            assert_eq!(default_entry(conf), None);
        }
    }

    #[test]
    fn a_variable_of_the_firmware_is_utf_16_behind_its_attributes() {
        let mut variable = vec![7, 0, 0, 0];
        variable.extend("a.conf\0".encode_utf16().flat_map(u16::to_le_bytes));
        assert_eq!(efi_text(&variable).as_deref(), Some("a.conf"));
        assert_eq!(efi_text(&[7, 0, 0, 0]), None);
        assert_eq!(efi_text(&[7]), None);
    }

    #[test]
    fn grubs_default_is_its_first_entry_unless_it_says_otherwise() {
        let entry = format!("menuentry \"NixOS\" {{\n  linux /kernels/x {INIT}\n}}\n");
        let zero = format!("set default=\"0\"\n{entry}menuentry \"old\" {{\n}}\n");
        assert_eq!(grub_default(&zero), Some(system()));
        assert_eq!(grub_default(&format!("set default=\"2\"\n{entry}")), None);
    }

    #[test]
    fn extlinux_has_the_default_by_its_label() {
        let conf = format!(
            "DEFAULT nixos-default\nLABEL other\n  APPEND init=/nix/store/x/init\nLABEL nixos-default\n  APPEND {INIT}\n"
        );
        assert_eq!(extlinux_default(&conf), Some(system()));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text: String, bytes: Vec<u8>) {
            let _ = (default_entry(&text), system_of_entry(&text), efi_text(&bytes));
            let _ = (grub_default(&text), extlinux_default(&text));
        }
    }
}
