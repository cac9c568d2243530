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

/// The entries of a menu of GRUB, each by what `next_entry` names it, with its system: the titles of its submenus and its own.
pub fn grub_entries(grub_cfg: &str) -> Vec<(String, PathBuf)> {
    let mut open: Vec<Option<String>> = Vec::new();
    let mut found = Vec::new();
    for line in grub_cfg.lines().map(str::trim) {
        if line.ends_with('{') {
            open.push(grub_title(line));
        } else if line == "}" {
            open.pop();
        } else if let Some(system) = system_of(line).filter(|_| line.starts_with("linux")) {
            let titles: Vec<_> = open.iter().flatten().cloned().collect();
            found.push((titles.join(">"), system));
        }
    }
    found
}

/// The title of an entry or a submenu; a `>` in it is doubled.
fn grub_title(line: &str) -> Option<String> {
    let keyword = ["menuentry", "submenu"];
    let rest = keyword.iter().find_map(|word| line.strip_prefix(word))?;
    let rest = rest.trim_start();
    let quote = rest.chars().next().filter(|c| ['"', '\''].contains(c))?;
    let (title, _) = rest[1..].split_once(quote)?;
    Some(title.replace('>', ">>"))
}

/// Whether kernels were copied beside this menu of GRUB, which NixOS does where GRUB cannot read the store.
pub fn grub_copies_kernels(grub_cfg: &str) -> bool {
    let mut kernels = grub_cfg.lines().filter_map(|line| {
        let (command, rest) = line.trim().split_once(' ')?;
        command.starts_with("linux").then_some(rest)
    });
    kernels.any(|rest| {
        let kernel = rest.split_whitespace().next();
        kernel.is_some_and(|kernel| kernel.contains("/kernels/"))
    })
}

/// The variable of GRUB's environment that names the entry of the next boot, and that the menu deletes then: `next_entry`, or, in
/// older menus of NixOS, `saved_entry`.
pub fn grub_one_shot(grub_cfg: &str) -> Option<&'static str> {
    let lines: Vec<_> = grub_cfg.lines().map(str::trim).collect();
    let takes = |name: &&str| {
        let steps = [
            format!("set default=\"${{{name}}}\""),
            format!("set {name}="),
            format!("save_env {name}"),
        ];
        steps.iter().all(|step| lines.contains(&step.as_str()))
    };
    ["next_entry", "saved_entry"].into_iter().find(takes)
}

/// The first line of GRUB's environment, and the length in bytes of a new one; GRUB never makes it longer.
const GRUB_HEADER: &str = "# GRUB Environment Block";
const GRUB_LENGTH: usize = 1024;

/// A variable of GRUB's environment.
pub fn grub_variable<'a>(environment: &'a str, name: &str) -> Option<&'a str> {
    let mut lines = environment.lines().filter_map(|line| line.split_once('='));
    let (_, value) = lines.find(|(found, _)| *found == name)?;
    Some(value).filter(|value| !value.is_empty())
}

/// GRUB's environment with another value of a variable, or without it; none if there is no room, or the value has what would
/// have to be escaped.
pub fn grub_environment(environment: &str, name: &str, value: Option<&str>) -> Option<String> {
    // What follows the last line is padding.
    let (before, _) = environment.rsplit_once('\n').unwrap_or((GRUB_HEADER, ""));
    let is_other = |line: &&str| line.split_once('=').is_none_or(|(found, _)| found != name);
    let mut lines: Vec<_> = before.lines().filter(is_other).map(str::to_owned).collect();
    if let Some(value) = value {
        let plain = !value.contains(['\\', '\n']);
        lines.push(plain.then(|| format!("{name}={value}"))?);
    }
    let text = lines.join("\n") + "\n";
    let length = environment.len().max(GRUB_LENGTH);
    let padding = length.checked_sub(text.len())?;
    Some(text + &"#".repeat(padding))
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

    /// As NixOS writes it, with the bodies shortened.
    fn menu() -> String {
        let entry = |title: &str, system: &str| {
            format!(
                "menuentry \"{title}\" --class nixos --unrestricted {{\n  linux ($drive1)//kernels/x init=/nix/store/{system}/init quiet\n}}\n"
            )
        };
        let header = "function savedefault {\n  true\n}\nif [ \"${next_entry}\" ]; then\n  set default=\"${next_entry}\"\n  \
                      set next_entry=\n  save_env next_entry\n  set timeout=1\nelse\n  set default=\"0\"\nfi\n";
        format!(
            "{header}{}submenu \"NixOS - All configurations\" --class submenu {{\n{}{}}}\n",
            entry("NixOS", "base"),
            entry("NixOS - Configuration 2 (a > b)", "cand"),
            entry("NixOS - Configuration 1 (x)", "base"),
        )
    }

    #[test]
    fn an_entry_of_grub_is_named_by_the_titles_on_the_way_to_it() {
        let found = grub_entries(&menu());
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(
            names,
            [
                "NixOS",
                "NixOS - All configurations>NixOS - Configuration 2 (a >> b)",
                "NixOS - All configurations>NixOS - Configuration 1 (x)",
            ]
        );
        assert_eq!(found[1].1, PathBuf::from("/nix/store/cand"));
        assert_eq!(grub_default(&menu()), Some("/nix/store/base".into()));
    }

    #[test]
    fn a_menu_of_grub_that_does_not_delete_the_one_shot_entry_has_none() {
        assert_eq!(grub_one_shot(&menu()), Some("next_entry"));
        let old = menu().replace("next_entry", "saved_entry");
        assert_eq!(grub_one_shot(&old), Some("saved_entry"));
        let keeps = menu().replace("  save_env next_entry\n", "");
        assert_eq!(grub_one_shot(&keeps), None);
    }

    #[test]
    fn a_menu_of_grub_shows_whether_its_kernels_were_copied() {
        assert!(grub_copies_kernels(&menu()));
        let read = menu().replace("//kernels/x", "/store/linux/bzImage");
        assert!(!grub_copies_kernels(&read));
        assert!(!grub_copies_kernels("# linux /kernels/x\nlinux"));
    }

    #[test]
    fn a_longer_environment_of_grub_stays_as_long_so_that_nothing_of_it_is_left() {
        let long = format!("{GRUB_HEADER}\nother=1\n{}", "#".repeat(2048));
        let set = grub_environment(&long, "next_entry", Some("a")).unwrap();
        assert_eq!(set.len(), long.len());
    }

    #[test]
    fn grubs_environment_keeps_its_length_and_its_other_variables() {
        let set = grub_environment("", "next_entry", Some("a>b")).unwrap();
        assert_eq!(set.len(), 1024);
        assert!(set.starts_with("# GRUB Environment Block\nnext_entry=a>b\n###"));
        assert_eq!(grub_variable(&set, "next_entry"), Some("a>b"));
        let both = grub_environment(&set, "other", Some("1")).unwrap();
        let cleared = grub_environment(&both, "next_entry", None).unwrap();
        assert_eq!(grub_variable(&cleared, "next_entry"), None);
        assert_eq!(
            (grub_variable(&cleared, "other"), cleared.len()),
            (Some("1"), 1024)
        );
        for value in ["a\\b", &"x".repeat(1024)] {
            assert_eq!(grub_environment(&set, "next_entry", Some(value)), None);
        }
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
            let _ = (grub_default(&text), grub_entries(&text), grub_one_shot(&text), extlinux_default(&text));
            let _ = grub_copies_kernels(&text);
            let _ = (grub_variable(&text, "a"), grub_environment(&text, "a", Some(&text)));
        }
    }
}
