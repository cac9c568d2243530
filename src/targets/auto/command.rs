//! What the wrapped command says about what it will reach: nixos-rebuild's and nix's options. Pure.

use crate::text::command_line::{option, program};

/// What was found among the arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct UpgradeArgs {
    /// `--option NAME VALUE`, `--substituters VALUE`, ….
    pub(super) settings: Vec<(String, String)>,
    /// `--flake REF`, or `nix`'s arguments that can be nothing else.
    pub(super) flakes: Vec<String>,
    /// `--no-flake`: /etc/nixos/flake.nix is not meant.
    pub(super) no_flake: bool,
    /// The URLs of `-I NAME=URL` and `-I NAME=channel:NAME`, which take the place of a channel.
    pub(super) search_path: Vec<String>,
    /// The flakes of `--override-input INPUT REF`.
    pub(super) overrides: Vec<String>,
    /// The inputs of `--update-input INPUT`.
    pub(super) updated_inputs: Vec<String>,
    /// `--recreate-lock-file`: all inputs are looked up again.
    pub(super) recreated_lock: bool,
}

/// The schemes of a flake that no other argument of `nix` begins with.
const FLAKE_SCHEMES: [&str; 6] = [
    "github:",
    "gitlab:",
    "sourcehut:",
    "git+",
    "hg+",
    "tarball+",
];

/// Reads what is run; what is not understood is passed over.
pub(super) fn read(commands: &[Vec<String>]) -> UpgradeArgs {
    let mut found = UpgradeArgs::default();
    for words in commands {
        found.words(words);
    }
    found
}

impl UpgradeArgs {
    fn words(&mut self, words: &[String]) {
        let mut rest = words.get(1..).unwrap_or_default();
        while let [word, after @ ..] = rest {
            let (name, value) = option(word);
            let taken = self.option(name, value, after);
            rest = after.get(taken..).unwrap_or_default();
        }
        match words.first().map(|word| program(word)) {
            Some("nix") => self.nix(words),
            Some("nh") => self.nh(words),
            _ => {}
        }
    }

    /// Whether inputs of a flake are looked up again.
    pub(super) fn updates(&self) -> bool {
        self.recreated_lock || !self.updated_inputs.is_empty()
    }

    /// Takes one option; how many of the words after it belong to it.
    fn option(&mut self, name: &str, own: Option<&str>, after: &[String]) -> usize {
        let word = |index: usize| after.get(index).cloned();
        let first = own.map(str::to_owned).or_else(|| word(0));
        let used = usize::from(own.is_none());
        match (name, first) {
            ("--flake" | "-F", Some(reference)) if own.is_some() || !reference.starts_with('-') => {
                self.flakes.push(reference);
                return used;
            }
            // Without a value it means the folder it is started in.
            ("--flake" | "-F", _) => self.flakes.push(".".into()),
            ("--no-flake", _) => self.no_flake = true,
            ("--recreate-lock-file", _) => self.recreated_lock = true,
            ("--no-substitute", _) => self.settings.push(("substitute".into(), "false".into())),
            ("-I", Some(entry)) => {
                self.search(&entry);
                return 1;
            }
            ("--update-input", Some(input)) => {
                self.updated_inputs.push(input);
                return used;
            }
            ("--override-input", Some(_)) => {
                self.overrides.extend(word(1));
                return 2;
            }
            ("--option", Some(name)) => {
                self.settings.extend(word(1).map(|value| (name, value)));
                return 2;
            }
            (name, Some(value)) => return self.setting(name, value, used),
            (_, None) => {}
        }
        0
    }

    fn setting(&mut self, name: &str, value: String, used: usize) -> usize {
        let name = name.strip_prefix("--").unwrap_or_default();
        let known = [
            "substituters",
            "binary-caches",
            "flake-registry",
            "ssl-cert-file",
        ];
        if !known.contains(&name.strip_prefix("extra-").unwrap_or(name)) {
            return 0;
        }
        self.settings.push((name.to_owned(), value));
        used
    }

    fn search(&mut self, entry: &str) {
        let location = entry
            .split_once('=')
            .map_or(entry, |(_, location)| location);
        if let Some(channel) = location.strip_prefix("channel:") {
            let url = format!("https://nixos.org/channels/{channel}/nixexprs.tar.xz");
            self.search_path.push(url);
        } else if location.starts_with("https://") || location.starts_with("http://") {
            self.search_path.push(location.to_owned());
        }
    }

    fn nix(&mut self, words: &[String]) {
        let is_flake = |word: &&String| FLAKE_SCHEMES.iter().any(|scheme| word.starts_with(scheme));
        let named = registry_names(words);
        for flake in words.iter().skip(1).filter(is_flake).chain(named) {
            if !self.overrides.contains(flake) && !self.flakes.contains(flake) {
                self.flakes.push(flake.clone());
            }
        }
        if let [_, flake, update, rest @ ..] = words
            && (flake.as_str(), update.as_str()) == ("flake", "update")
        {
            let inputs = rest
                .iter()
                .take_while(|word| !word.starts_with('-') && !is_flake(word));
            self.updated_inputs.extend(inputs.cloned());
            self.recreated_lock = self.updated_inputs.is_empty();
        }
    }
}

impl UpgradeArgs {
    /// `nh os switch [FLAKE]`, with `--update` or `--update-input INPUT`.
    fn nh(&mut self, words: &[String]) {
        let Some([action, rest @ ..]) = words.get(2..) else {
            return;
        };
        let own = rest.iter().take_while(|word| *word != "--");
        let is_option = |word: &str| word.starts_with('-');
        let is_operand =
            |word: &&String| !is_option(word) && (word.contains([':', '/']) || *word == ".");
        if !is_option(action) {
            self.flakes.extend(own.clone().find(is_operand).cloned());
        }
        self.recreated_lock |= own.clone().any(|word| word == "--update" || word == "-u");
        let inputs = rest.windows(2).filter(|pair| pair[0] == "-U");
        self.updated_inputs
            .extend(inputs.map(|pair| pair[1].clone()));
    }
}

/// The subcommands of `nix` whose first word is an installable or a flake (nix3-installable); others may follow.
const INSTALLABLES: [&[&str]; 16] = [
    &["run"],
    &["build"],
    &["shell"],
    &["develop"],
    &["eval"],
    &["bundle"],
    &["search"],
    &["print-dev-env"],
    &["profile", "install"],
    &["profile", "add"],
    &["flake", "metadata"],
    &["flake", "show"],
    &["flake", "check"],
    &["flake", "archive"],
    &["flake", "prefetch"],
    &["flake", "clone"],
];

/// The installables of `nix` that name a flake in a registry: `nixpkgs#hello`, `flake:nixpkgs`, and a bare name where no
/// option can have it as its value.
fn registry_names(words: &[String]) -> impl Iterator<Item = &String> {
    let after = (1..words.len()).find_map(|at| {
        let begins = |names: &&&[&str]| words[at..].iter().zip(**names).all(|(a, b)| a == b);
        let names = INSTALLABLES.iter().find(begins)?;
        words.get(at + names.len()..)
    });
    let is_end = |word: &&String| matches!(word.as_str(), "--" | "-c" | "--command");
    let own = after.unwrap_or_default().iter();
    let own = own.take_while(move |word| !is_end(word));
    let other = |word: &String| matches!(word.as_str(), "-f" | "--file" | "--expr" | "-E");
    let of_flakes = !own.clone().any(other);
    own.enumerate()
        .filter(move |(at, word)| of_flakes && is_registry_name(word, *at == 0))
        .map(|(_, word)| word)
}

fn is_registry_name(word: &str, first: bool) -> bool {
    let (reference, attribute) = match word.split_once('#') {
        Some((reference, attribute)) => (reference, Some(attribute)),
        None => (word, None),
    };
    let (id, is_marked) = match reference.strip_prefix("flake:") {
        Some(id) => (id, true),
        None => (reference, attribute.is_some()),
    };
    let name = id.split(['/', '?']).next().unwrap_or_default();
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    is_name && !id.contains(':') && (first || is_marked)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(line: &str) -> UpgradeArgs {
        read(&crate::text::command_line::commands(
            &line.split(' ').collect::<Vec<_>>(),
        ))
    }

    #[test]
    fn the_flake_is_found_in_every_spelling() {
        for line in [
            "nixos-rebuild switch --flake github:a/b#c",
            "nixos-rebuild --flake=github:a/b#c switch",
            "nixos-rebuild boot -F github:a/b#c",
            "/run/current-system/sw/bin/nix build github:a/b#c",
            "env A=b nice nh os boot github:a/b#c",
        ] {
            assert_eq!(of(line).flakes, ["github:a/b#c"], "{line}");
        }
        assert_eq!(of("nixos-rebuild --flake --refresh").flakes, ["."]);
        assert_eq!(of("nixos-rebuild switch --flake").flakes, ["."]);
        assert!(of("nixos-rebuild switch").flakes.is_empty());
        assert!(of("cp github:a/b x").flakes.is_empty());
    }

    #[test]
    fn a_flake_by_its_name_in_a_registry_is_found_and_nothing_else_taken_for_one() {
        for (line, flake) in [
            ("nix run nixpkgs#hello", "nixpkgs#hello"),
            (
                "nix --option a b run -L flake:corp/v1#x -- y#z",
                "flake:corp/v1#x",
            ),
            ("nix profile install corp#x", "corp#x"),
            ("nix develop corp -c make all#1", "corp"),
            ("nix build nixpkgs --max-jobs auto", "nixpkgs"),
            ("nix flake show corp", "corp"),
        ] {
            assert_eq!(of(line).flakes, [flake], "{line}");
        }
        for line in [
            "nix build --max-jobs auto",
            "nix build ./x#y",
            "nix build /nix/store/a-b.drv^out",
            "nix build -f default.nix hello",
            "nix store gc",
            "nix flake update nixpkgs",
            "nix run .#x nixpkgs",
            "nix",
        ] {
            assert!(of(line).flakes.is_empty(), "{line}");
        }
    }

    #[test]
    fn settings_are_found_in_every_spelling() {
        let found = of(
            "nix build --option substituters a --extra-substituters b --substituters=c --no-substitute",
        );
        let expected = [
            ("substituters", "a"),
            ("extra-substituters", "b"),
            ("substituters", "c"),
            ("substitute", "false"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(found.settings, expected);
    }

    #[test]
    fn inputs_that_are_looked_up_again_are_found() {
        let found = of(
            "nixos-rebuild --update-input nixpkgs --override-input x github:c/d -I nixpkgs=https://e/f",
        );
        assert_eq!(found.updated_inputs, ["nixpkgs"]);
        assert_eq!(found.overrides, ["github:c/d"]);
        assert_eq!(found.search_path, ["https://e/f"]);
        assert_eq!(
            of("nixos-rebuild switch -I nixpkgs=channel:nixos-25.11").search_path,
            ["https://nixos.org/channels/nixos-25.11/nixexprs.tar.xz"]
        );
        assert!(of("nix flake update --flake /etc/nixos").recreated_lock);
        let found = of("nh os switch -u -U home github:a/b -- --impure");
        assert!(found.recreated_lock);
        assert_eq!(found.flakes, ["github:a/b"]);
        assert_eq!(found.updated_inputs, ["home"]);
        assert_eq!(of("nix flake update nixpkgs").updated_inputs, ["nixpkgs"]);
    }

    proptest! {
        #[test]
        fn any_command_is_read_without_a_panic(
            words in proptest::collection::vec(prop_oneof![
                ".*", "(nix|nh|flake|update|--flake=?|-I|-F|--option|--override-input|--update-input|--substituters)",
            ], 0..8),
        ) {
            let _ = read(&[words]);
        }
    }
}
