//! The command line of `nix` itself: its subcommand, and which of its words are installables. Pure.

use super::search_path::is_fetched;

/// A word that is no option.
struct Operand<'a> {
    word: &'a String,
    /// It follows an option that is not known here, and may be its value.
    doubtful: bool,
}

/// What `nix` is told, apart from the options that all programs of Nix have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct NixCommand<'a> {
    /// The flakes that must be fetched.
    pub(super) flakes: Vec<&'a String>,
    /// `nix flake update`, and the inputs that it names.
    pub(super) updates: Option<Vec<&'a String>>,
    /// `nix profile upgrade`, and the elements that it names.
    pub(super) upgrades: Option<Vec<&'a String>>,
    /// `nix upgrade-nix`.
    pub(super) upgrades_nix: bool,
}

/// The subcommands of `nix` that take installables or flakes (nix3-installable), and how many.
const INSTALLABLES: [(&[&str], usize); 24] = [
    (&["run"], 1),
    (&["build"], usize::MAX),
    (&["shell"], usize::MAX),
    (&["copy"], usize::MAX),
    (&["path-info"], usize::MAX),
    (&["develop"], 1),
    (&["eval"], 1),
    (&["bundle"], 1),
    (&["search"], 1),
    (&["edit"], 1),
    (&["log"], 1),
    (&["why-depends"], 2),
    (&["print-dev-env"], 1),
    (&["profile", "install"], usize::MAX),
    (&["profile", "add"], usize::MAX),
    (&["derivation", "show"], usize::MAX),
    (&["registry", "pin"], 1),
    (&["flake", "metadata"], 1),
    (&["flake", "show"], 1),
    (&["flake", "check"], 1),
    (&["flake", "lock"], 1),
    (&["flake", "archive"], 1),
    (&["flake", "prefetch"], 1),
    (&["flake", "clone"], 1),
];

/// The options of `nix` that take no value.
const FLAGS: [&str; 33] = [
    "-L",
    "--print-build-logs",
    "-v",
    "--verbose",
    "-q",
    "--quiet",
    "-K",
    "--keep-failed",
    "-i",
    "--ignore-env",
    "--ignore-environment",
    "--accept-flake-config",
    "--all",
    "--all-systems",
    "--commit-lock-file",
    "--debug",
    "--derivation",
    "--dry-run",
    "--fallback",
    "--impure",
    "--json",
    "--keep-going",
    "--offline",
    "--print-out-paths",
    "--pure-eval",
    "--raw",
    "--read-only",
    "--rebuild",
    "--recreate-lock-file",
    "--recursive",
    "--refresh",
    "--repair",
    "--show-trace",
];

/// Those that take two.
const PAIRS: [&str; 8] = [
    "--option",
    "--override-input",
    "--override-flake",
    "--arg",
    "--argstr",
    "--arg-from-file",
    "--redirect",
    "--set-env-var",
];

/// Those that take one; any other may.
const SINGLES: [&str; 14] = [
    "-I",
    "--include",
    "-f",
    "--file",
    "-j",
    "--max-jobs",
    "--cores",
    "-o",
    "--out-link",
    "--log-format",
    "--store",
    "--eval-store",
    "--update-input",
    "--profile",
];

/// Those whose value is a flake.
const FLAKE_OPTIONS: [&str; 4] = ["--flake", "--inputs-from", "-t", "--template"];

/// The schemes of a flake that no other argument begins with.
const SCHEMES: [&str; 6] = [
    "github:",
    "gitlab:",
    "sourcehut:",
    "git+",
    "hg+",
    "tarball+",
];

/// Reads the words of a command that begins with `nix`.
pub(super) fn read(words: &[String]) -> NixCommand<'_> {
    let operands = operands(words);
    let is_mentioned = |word: &&String| has_scheme(word);
    let of_options = words.windows(2).filter(|pair| is_flake_option(&pair[0]));
    let mut flakes: Vec<&String> = words.iter().skip(1).filter(is_mentioned).collect();
    flakes.extend(of_options.map(|pair| &pair[1]).filter(|word| is_name(word)));
    if !words.iter().any(|word| is_of_a_file(word)) {
        flakes.extend(installables(&operands));
    }
    let mut command = NixCommand {
        updates: rest(&operands, &["flake", "update"]),
        upgrades: rest(&operands, &["profile", "upgrade"]),
        upgrades_nix: rest(&operands, &["upgrade-nix"]).is_some(),
        flakes,
    };
    if let Some(inputs) = &mut command.updates {
        // An older Nix takes a flake here.
        let (of_flakes, named) = inputs.iter().partition(|word| is_flake(word));
        *inputs = named;
        command.flakes.extend::<Vec<_>>(of_flakes);
    }
    command
}

/// The words up to those of the program that is run.
fn operands(words: &[String]) -> Vec<Operand<'_>> {
    let mut found = Vec::new();
    let mut rest = words.get(1..).unwrap_or_default();
    let mut doubtful = false;
    while let [word, after @ ..] = rest {
        if matches!(word.as_str(), "--" | "-c" | "--command") {
            break;
        }
        rest = after.get(values(word)..).unwrap_or_default();
        if !word.starts_with('-') {
            found.push(Operand { word, doubtful });
        }
        doubtful = word.starts_with('-') && !is_known(word);
    }
    found
}

/// How many of the next words belong to this option.
fn values(word: &str) -> usize {
    match word {
        _ if PAIRS.contains(&word) => 2,
        _ if SINGLES.contains(&word) || is_flake_option(word) => 1,
        _ => 0,
    }
}

fn is_known(word: &str) -> bool {
    let is_flag = FLAGS.contains(&word) || word.starts_with("--no-") || word.contains('=');
    let is_verbose = word.len() > 1 && word[1..].bytes().all(|byte| byte == b'v');
    is_flag || is_verbose || values(word) > 0
}

fn is_flake_option(word: &str) -> bool {
    FLAKE_OPTIONS.contains(&word)
}

fn is_of_a_file(word: &str) -> bool {
    matches!(word, "-f" | "--file" | "--expr" | "-E")
}

/// The operands after this subcommand.
fn after<'a, 'b>(operands: &'b [Operand<'a>], names: &[&str]) -> Option<&'b [Operand<'a>]> {
    // What may be a value is taken for the subcommand only where nothing else is it.
    let first = operands.iter().position(|operand| !operand.doubtful);
    let from = operands.get(first.unwrap_or(0)..)?;
    let is_named = |(operand, name): (&Operand<'_>, &&str)| operand.word == *name;
    let begins = from.len() >= names.len() && from.iter().zip(names).all(is_named);
    begins.then(|| &from[names.len()..])
}

fn rest<'a>(operands: &[Operand<'a>], names: &[&str]) -> Option<Vec<&'a String>> {
    let own = after(operands, names)?.iter();
    let certain = own.filter(|operand| !operand.doubtful);
    Some(certain.map(|operand| operand.word).collect())
}

fn installables<'a>(operands: &[Operand<'a>]) -> Vec<&'a String> {
    let found = INSTALLABLES
        .iter()
        .find_map(|(names, count)| Some((after(operands, names)?, *count)));
    let (named, count) = found.unwrap_or_default();
    // A doubtful word leaves the place of an installable free.
    let (doubtful, certain): (Vec<_>, Vec<_>) = named.iter().partition(|operand| operand.doubtful);
    let certain = certain.into_iter().take(count).map(|operand| operand.word);
    let doubtful = doubtful.into_iter().map(|operand| operand.word);
    let certain = certain.filter(|word| is_name(word) || is_fetched(word));
    certain
        .chain(doubtful.filter(|word| is_marked(word)))
        .collect()
}

fn has_scheme(word: &str) -> bool {
    SCHEMES.iter().any(|scheme| word.starts_with(scheme))
}

fn is_flake(word: &str) -> bool {
    has_scheme(word) || is_fetched(word) || word.starts_with(['.', '/']) || word.contains(':')
}

/// `NAME[/REF][#ATTRIBUTE]` or `flake:NAME…`: a flake by its name in a registry.
fn is_name(word: &str) -> bool {
    let reference = word.split('#').next().unwrap_or_default();
    let id = reference.strip_prefix("flake:").unwrap_or(reference);
    let name = id.split(['/', '?']).next().unwrap_or_default();
    let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    is_name && !id.contains(':')
}

/// Such a name that nothing else looks like.
fn is_marked(word: &str) -> bool {
    is_name(word) && (word.contains('#') || word.starts_with("flake:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<String> {
        line.split(' ').map(ToOwned::to_owned).collect()
    }

    #[test]
    fn a_flake_is_found_where_an_installable_is_and_nothing_else_is_taken_for_one() {
        for (line, flakes) in [
            ("nix run nixpkgs#hello", "nixpkgs#hello"),
            (
                "nix --option a b run -L flake:corp/v1#x -- y#z",
                "flake:corp/v1#x",
            ),
            ("nix profile install corp#x", "corp#x"),
            ("nix develop corp -c make all#1", "corp"),
            ("nix build nixpkgs --max-jobs auto", "nixpkgs"),
            ("nix build -L -vv --impure --no-link nixpkgs", "nixpkgs"),
            ("nix build --unheard-of nixpkgs", ""),
            ("nix build --unheard-of nixpkgs#x", "nixpkgs#x"),
            (
                "nix build --extra-experimental-features flakes corp",
                "corp",
            ),
            (
                "nix --extra-experimental-features flakes build corp",
                "corp",
            ),
            ("nix flake show corp", "corp"),
            ("nix copy --to ssh://h corp#x", "corp#x"),
            ("nix why-depends corp#a corp#b c", "corp#a corp#b"),
            ("nix build https://h/f.tar.gz", "https://h/f.tar.gz"),
            ("nix flake init -t corp#t", "corp#t"),
            ("nix flake update --flake corp", "corp"),
            ("nix run ./x#y corp#z", ""),
            ("nix run corp#x y#z", "corp#x"),
            ("nix build --max-jobs auto", ""),
            ("nix build ./x#y", ""),
            ("nix build /nix/store/a-b.drv^out", ""),
            ("nix build -f default.nix hello", ""),
            ("nix store gc", ""),
            ("nix flake update nixpkgs", ""),
            ("nix fmt nixpkgs", ""),
            ("nix", ""),
        ] {
            let words = words(line);
            let found: Vec<_> = read(&words).flakes.into_iter().cloned().collect();
            assert_eq!(found.join(" "), flakes, "{line}");
        }
    }

    #[test]
    fn what_is_looked_up_again_is_found_behind_options() {
        let found = words("nix --option a b flake update home --commit-lock-file nixpkgs");
        let expected = [&found[6], &found[8]];
        assert_eq!(read(&found).updates.unwrap(), expected);
        let found = words("nix flake update /etc/nixos");
        let read_ = read(&found);
        assert_eq!(
            (read_.updates, read_.flakes),
            (Some(vec![]), vec![&found[3]])
        );
        let found = words("nix profile upgrade --profile /p hello");
        assert_eq!(read(&found).upgrades.unwrap(), ["hello"]);
        assert!(read(&words("nix upgrade-nix")).upgrades_nix);
    }
}
