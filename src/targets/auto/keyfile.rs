//! Files of `[group]` and `key = value` (fwupd, NetworkManager, flatpak, dnf, pacman, …). Pure.

/// One value, and the group that it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyfileEntry<'a> {
    pub(super) group: &'a str,
    pub(super) key: &'a str,
    /// Without the blanks around it.
    pub(super) value: &'a str,
}

/// All values in the order of the file. A line that is neither a group nor a value is passed over.
pub(super) fn entries(text: &str) -> impl Iterator<Item = KeyfileEntry<'_>> {
    let mut group = "";
    let lines = text.lines().map(str::trim);
    let lines = lines.filter(|line| !line.starts_with(['#', ';']));
    lines.filter_map(move |line| {
        let name = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'));
        group = name.unwrap_or(group);
        let (key, value) = line.split_once('=').filter(|_| name.is_none())?;
        let (key, value) = (key.trim(), value.trim());
        Some(KeyfileEntry { group, key, value })
    })
}

/// The names of the groups that have a value, each once.
pub(super) fn groups(text: &str) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for KeyfileEntry { group, .. } in entries(text) {
        if !names.contains(&group) {
            names.push(group);
        }
    }
    names
}

/// The last value of a key in a group; `None` if it is not there.
pub(super) fn value<'a>(text: &'a str, group: &str, key: &str) -> Option<&'a str> {
    let found = entries(text).filter(|entry| entry.group == group && entry.key == key);
    found.last().map(|entry| entry.value)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_group_asked_for_counts_and_its_last_value() {
        let text = "key=lost\n[a]\nkey = 1\n# key=2\nkey=3\n[b]\nkey=4\nempty=\n";
        assert_eq!(value(text, "a", "key"), Some("3"));
        assert_eq!(value(text, "b", "key"), Some("4"));
        assert_eq!(value(text, "b", "empty"), Some(""));
        assert_eq!(value(text, "c", "key"), None);
        assert_eq!(groups(text), ["", "a", "b"]);
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s).*", group in ".*", key in ".*") {
            let _ = value(&text, &group, &key);
        }
    }
}
