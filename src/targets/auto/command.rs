//! What the wrapped command says about what it will reach: nixos-rebuild's and nix's options. Pure.

use super::nix_command;
use super::search_path::{Entry, Location};
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
    /// `-I [NAME=]LOCATION`, which takes the place of a channel.
    pub(super) search_path: Vec<Entry>,
    /// The URLs of files with expressions.
    pub(super) files: Vec<String>,
    /// The flakes of `--override-input INPUT REF`.
    pub(super) overrides: Vec<String>,
    /// The inputs of `--update-input INPUT`.
    pub(super) updated_inputs: Vec<String>,
    /// `--recreate-lock-file`: all inputs are looked up again.
    pub(super) recreated_lock: bool,
    /// `nh os` or `nh home` without a flake: the variables that name it, the first that is set.
    pub(super) flake_variables: &'static [&'static str],
    /// The elements that `nix profile upgrade` names; none: all of them.
    pub(super) upgraded_elements: Option<Vec<String>>,
}

/// Where `nix upgrade-nix` looks for the newest Nix (nix3-upgrade-nix).
const NIX_RELEASES: &str = "https://github.com/NixOS/nixpkgs/raw/master/nixos/modules/installer/tools/nix-fallback-paths.nix";

/// The programs that take an expression by its URL as an operand.
const BUILDERS: [&str; 3] = ["nix-build", "nix-shell", "nix-instantiate"];

fn is_of_nix(program: &str) -> bool {
    program.starts_with("nix") || program == "home-manager"
}

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
        let started = words.first().map(|word| program(word));
        let builds = started.is_some_and(|program| BUILDERS.contains(&program));
        let files = self.files.len();
        let mut rest = words.get(1..).unwrap_or_default();
        while let [word, after @ ..] = rest {
            let (name, value) = option(word);
            let taken = self.option(name, value, after);
            if builds && taken == 0 {
                self.file(word);
            }
            rest = after.get(taken..).unwrap_or_default();
        }
        if !started.is_some_and(is_of_nix) {
            self.files.truncate(files);
        }
        match started {
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
            ("-I" | "--include", Some(entry)) => {
                self.search_path.push(Entry::of(&entry));
                return used;
            }
            ("-f" | "--file", Some(file)) => {
                self.file(&file);
                return used;
            }
            ("--arg" | "--argstr", _) => return 2,
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

    fn nix(&mut self, words: &[String]) {
        let command = nix_command::read(words);
        for flake in command.flakes {
            if !self.overrides.contains(flake) && !self.flakes.contains(flake) {
                self.flakes.push(flake.clone());
            }
        }
        if let Some(inputs) = command.updates {
            self.recreated_lock |= inputs.is_empty();
            self.updated_inputs.extend(inputs.into_iter().cloned());
        }
        if let Some(elements) = command.upgrades {
            let elements = elements.into_iter().cloned().collect();
            self.upgraded_elements = Some(elements);
        }
        if command.upgrades_nix {
            self.files.push(NIX_RELEASES.to_owned());
        }
    }

    /// An expression that is fetched: `nix-build URL`, `nix-env -f channel:NAME`.
    fn file(&mut self, written: &str) {
        if let Location::Url(url) = Location::of(written) {
            self.files.push(url);
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
        if self.flakes.is_empty() {
            self.flake_variables = flake_variables(&words[1]);
        }
        self.recreated_lock |= own.clone().any(|word| word == "--update" || word == "-u");
        let inputs = rest.windows(2).filter(|pair| pair[0] == "-U");
        self.updated_inputs
            .extend(inputs.map(|pair| pair[1].clone()));
    }
}

/// As nh 4 reads them; `FLAKE` is nh 3's.
fn flake_variables(of: &str) -> &'static [&'static str] {
    match of {
        "os" => &["NH_OS_FLAKE", "NH_FLAKE", "FLAKE"],
        "home" => &["NH_HOME_FLAKE", "NH_FLAKE", "FLAKE"],
        _ => &[],
    }
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
        assert_eq!(found.search_path, [Entry::of("nixpkgs=https://e/f")]);
        assert_eq!(
            of("nixos-rebuild switch --include nixpkgs=channel:a").search_path,
            [Entry::of("nixpkgs=channel:a")]
        );
        assert!(of("nix flake update --flake /etc/nixos").recreated_lock);
        let found = of("nh os switch -u -U home github:a/b -- --impure");
        assert!(found.recreated_lock);
        assert_eq!(found.flakes, ["github:a/b"]);
        assert_eq!(found.updated_inputs, ["home"]);
        assert_eq!(of("nix flake update nixpkgs").updated_inputs, ["nixpkgs"]);
    }

    #[test]
    fn an_expression_that_is_fetched_is_found() {
        for line in [
            "nix-build https://e/f.tar.gz -A x",
            "nix-env -iA x -f https://e/f.tar.gz",
            "nix-shell --file=https://e/f.tar.gz",
            "nix-instantiate --argstr url https://no https://e/f.tar.gz",
        ] {
            assert_eq!(of(line).files, ["https://e/f.tar.gz"], "{line}");
        }
        assert!(of("curl -f https://e/f.tar.gz").files.is_empty());
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
