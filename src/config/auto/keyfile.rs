//! Key files as `GLib` writes them (fwupd, NetworkManager): `[group]` and `key=value`. Pure.

/// The last value of a key in a group; `None` if it is not there.
pub(super) fn value<'a>(text: &'a str, group: &str, key: &str) -> Option<&'a str> {
    let mut inside = false;
    let mut found = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|line| line.strip_suffix(']'))
        {
            inside = name == group;
        } else if let Some((name, value)) = line.split_once('=')
            && inside
            && name.trim() == key
        {
            found = Some(value.trim());
        }
    }
    found
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
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_panic(text in "(?s).*", group in ".*", key in ".*") {
            let _ = value(&text, &group, &key);
        }
    }
}
