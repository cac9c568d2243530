//! Nix's search path: the entries of `-I` and of `NIX_PATH`, as far as they are fetched. Pure.

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// `<NAME>`; an entry without one stands for all that is in it.
    pub(super) name: Option<String>,
    pub(super) location: Location,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Location {
    Url(String),
    Flake(String),
    Local,
}

impl Entry {
    /// `[NAME=]LOCATION`, as after `-I`.
    pub(super) fn of(written: &str) -> Self {
        let (name, location) = match written.split_once('=') {
            Some((name, location)) if !is_url(written) => (Some(name.to_owned()), location),
            _ => (None, written),
        };
        Self {
            name,
            location: Location::of(location),
        }
    }

    /// Whether it takes the place of this channel. NixOS has `nixpkgs` in the channel `nixos`.
    pub(super) fn replaces(&self, channel: &str) -> bool {
        let name = self.name.as_deref();
        name == Some(channel) || (name, channel) == (Some("nixpkgs"), "nixos")
    }
}

impl Location {
    /// A URL, `channel:NAME`, `flake:REFERENCE`, or a path.
    pub(super) fn of(written: &str) -> Self {
        let (channel, flake) = (
            written.strip_prefix("channel:"),
            written.strip_prefix("flake:"),
        );
        match (channel, flake) {
            (Some(channel), _) => Self::Url(format!(
                "https://nixos.org/channels/{channel}/nixexprs.tar.xz"
            )),
            (_, Some(reference)) => Self::Flake(reference.to_owned()),
            _ if is_fetched(written) => Self::Url(written.to_owned()),
            _ => Self::Local,
        }
    }
}

/// Whether it is at a URL that Nix fetches over HTTP.
pub(super) fn is_fetched(written: &str) -> bool {
    ["https://", "http://"]
        .iter()
        .any(|scheme| written.starts_with(scheme))
}

/// What Nix takes for a URL, in whose scheme a colon ends nothing.
fn is_url(written: &str) -> bool {
    let scheme = |(scheme, rest): (&str, &str)| {
        matches!(scheme, "channel" | "flake")
            || (rest.starts_with("//")
                && ["http", "https", "file", "git", "s3", "ssh"].contains(&scheme))
    };
    written.split_once(':').is_some_and(scheme)
}

/// The entries of `NIX_PATH`, which colons separate but those of a scheme.
pub(super) fn entries(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(':').map(|colon| end(rest, colon));
        let (entry, after) = rest.split_at(end.unwrap_or(rest.len()));
        entries.push(Entry::of(entry));
        rest = after.get(1..).unwrap_or_default();
    }
    entries
}

/// Where the entry ends whose first colon is here.
fn end(text: &str, colon: usize) -> usize {
    let start = text[..colon].rfind('=').map_or(0, |equals| equals + 1);
    let next = || text[colon + 1..].find(':').map(|next| colon + 1 + next);
    if is_url(&text[start..]) {
        next().unwrap_or(text.len())
    } else {
        colon
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nix_path_is_split_where_nix_splits_it() {
        let entry = |name: Option<&str>, location| Entry {
            name: name.map(ToOwned::to_owned),
            location,
        };
        let url = |url: &str| Location::Url(url.to_owned());
        let found =
            entries("nixpkgs=flake:nixpkgs/x:/a/b:home=https://h/x?a=b:channel:c:https://e/?a=b");
        let expected = [
            entry(Some("nixpkgs"), Location::Flake("nixpkgs/x".into())),
            entry(None, Location::Local),
            entry(Some("home"), url("https://h/x?a=b")),
            entry(None, url("https://nixos.org/channels/c/nixexprs.tar.xz")),
            entry(None, url("https://e/?a=b")),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn an_entry_takes_the_place_of_its_own_channel_only() {
        assert!(Entry::of("nixpkgs=/x").replaces("nixos"));
        assert!(Entry::of("home=/x").replaces("home"));
        assert!(!Entry::of("home=/x").replaces("nixos"));
        assert!(!Entry::of("/x").replaces("nixos"));
    }

    proptest! {
        #[test]
        fn any_search_path_is_read_without_a_panic(text in "[a-z:=/é]*|.*") {
            let _ = entries(&text);
        }
    }
}
