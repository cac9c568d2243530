//! Which commands a command line really runs: wrappers (`env`, `timeout`, `sudo` …) and shell scripts are looked through. Pure.

mod script;
mod variables;
mod wrapper;

pub use self::variables::Variables;
use self::wrapper::WRAPPERS;

/// How deep wrappers may stand in each other: `env sh -c "sudo sh -c …"`.
const DEPTH: usize = 16;

/// The commands that `words`, a program and its arguments, really runs, each as its own words.
///
/// A wrapper gives way to what it runs, `sh -c SCRIPT` to the simple commands of the script. Variables are not
/// expanded, and what a script file does is not known: `sh FILE ARG…` is `FILE ARG…`. Never empty, unless there are no words
/// or a script runs nothing.
pub fn commands<W: AsRef<str>>(words: &[W]) -> Vec<Vec<String>> {
    runs(words).into_iter().map(|run| run.words).collect()
}

/// A command that is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// Its program and arguments.
    pub words: Vec<String>,
    /// What the command line sets for it.
    pub variables: Variables,
}

/// The same as [`commands`], each with the variables that are set for it on the way.
pub fn runs<W: AsRef<str>>(words: &[W]) -> Vec<Run> {
    let words: Vec<String> = words.iter().map(|word| word.as_ref().to_owned()).collect();
    run_by(&words, &Variables::new(), DEPTH)
}

/// The name of the program in a word that may be a path.
pub fn program(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// A word as a long option with a value of its own, `--NAME=VALUE`; any other is a name.
pub fn option(word: &str) -> (&str, Option<&str>) {
    match word.split_once('=') {
        Some((name, value)) if name.starts_with("--") => (name, Some(value)),
        _ => (word, None),
    }
}

fn run_by(words: &[String], variables: &Variables, depth: usize) -> Vec<Run> {
    let Some(first) = words.first() else {
        return Vec::new();
    };
    let itself = || {
        vec![Run {
            words: words.to_vec(),
            variables: variables.clone(),
        }]
    };
    if depth == 0 {
        return itself();
    }
    match inner(program(first), &words[1..]) {
        Inner::Command(inner) if !inner.is_empty() => {
            let before = &words[1..words.len() - inner.len()];
            let variables = [variables.clone(), variables::of_wrapper(before)].concat();
            run_by(inner, &variables, depth - 1)
        }
        Inner::Script { text, arguments } => of_script(&text, arguments, variables, depth - 1),
        Inner::Command(_) | Inner::Nothing => itself(),
    }
}

/// The commands of a script, in which `$@` stands for its arguments.
fn of_script(text: &str, arguments: &[String], variables: &Variables, depth: usize) -> Vec<Run> {
    let expand = |word: String| match word.as_str() {
        "$@" | "$*" => arguments.to_vec(),
        _ => vec![word],
    };
    let simple = script::split(text).into_iter();
    let expanded = simple.map(|words| words.into_iter().flat_map(expand).collect::<Vec<_>>());
    let mut set = variables.clone();
    let mut runs = Vec::new();
    for words in expanded {
        let (own, lasting) = variables::of_script(&words);
        let all = [set.clone(), own].concat();
        runs.extend(run_by(script::without_keywords(&words), &all, depth));
        set.extend(lasting);
    }
    runs
}

/// What a command runs in its turn.
enum Inner<'a> {
    Command(&'a [String]),
    Script {
        text: String,
        /// `$1` and so on.
        arguments: &'a [String],
    },
    Nothing,
}

fn inner<'a>(name: &str, rest: &'a [String]) -> Inner<'a> {
    match name.trim_start_matches('-') {
        "sh" | "bash" | "rbash" | "dash" | "ash" | "zsh" | "ksh" | "mksh" | "fish" => shell(rest),
        "busybox" | "toybox" => Inner::Command(rest),
        "eval" => script(&rest.join(" "), &[]),
        "runuser"
            if rest
                .iter()
                .any(|word| word.starts_with("-u") || word.starts_with("--user")) =>
        {
            wrapped("runuser", rest)
        }
        "su" | "runuser" | "script" => of_option(rest, "-c", "--command").unwrap_or(Inner::Nothing),
        "sg" => match (of_option(rest, "-c", "--command"), rest) {
            (Some(inner), _) => inner,
            (None, [_group, text]) => script(text, &[]),
            (None, _) => Inner::Nothing,
        },
        // Before an option there is no architecture.
        "setarch" if rest.first().is_some_and(|word| word.starts_with('-')) => {
            wrapped("linux64", rest)
        }
        "env" => split_string(rest).unwrap_or_else(|| wrapped("env", rest)),
        "command" if rest.iter().any(|word| word == "-v" || word == "-V") => Inner::Nothing,
        "ip" => match rest.iter().position(|word| word == "exec") {
            Some(at) => Inner::Command(rest.get(at + 2..).unwrap_or_default()),
            None => Inner::Nothing,
        },
        name => wrapped(name, rest),
    }
}

fn script<'a>(text: &str, arguments: &'a [String]) -> Inner<'a> {
    let text = text.to_owned();
    Inner::Script { text, arguments }
}

/// `-c` may stand among other letters, and the script comes after all options, each `o` of which has a value.
fn shell(words: &[String]) -> Inner<'_> {
    let mut rest = words;
    let mut is_script = false;
    while let [word, after @ ..] = rest {
        rest = match word.as_str() {
            "--" | "-" => after,
            "--rcfile" | "--init-file" => after.get(1..).unwrap_or_default(),
            long if long.starts_with("--") => after,
            letters if letters.len() > 1 && letters.starts_with(['-', '+']) => {
                is_script |= letters.starts_with('-') && letters.contains('c');
                let values = letters.matches(['o', 'O']).count();
                after.get(values..).unwrap_or_default()
            }
            _ => break,
        };
    }
    match rest {
        [text, after @ ..] if is_script => script(text, after.get(1..).unwrap_or_default()),
        rest => Inner::Command(rest),
    }
}

/// The script of `su -c SCRIPT`, wherever the option stands.
fn of_option<'a>(words: &'a [String], short: &str, long: &str) -> Option<Inner<'a>> {
    let text = words.iter().enumerate().find_map(|(at, word)| {
        let attached = word
            .strip_prefix(long)
            .and_then(|rest| rest.strip_prefix('='));
        let is_it = word == long || ends_in(word, short);
        let apart = || is_it.then(|| words.get(at + 1))?;
        attached.or_else(|| apart().map(String::as_str))
    });
    text.map(|text| script(text, &[]))
}

/// Whether the last of the letters in a word is this option's: `-lc`.
fn ends_in(word: &str, short: &str) -> bool {
    let letters = word.strip_prefix('-').unwrap_or_default();
    let all_letters = letters.chars().all(|c| c.is_ascii_alphabetic());
    all_letters && letters.ends_with(short.trim_start_matches('-'))
}

/// `env -S "COMMAND ARG…"`, as the first line of a script has it.
fn split_string(words: &[String]) -> Option<Inner<'_>> {
    let text = words.iter().enumerate().find_map(|(at, word)| {
        let attached = word
            .strip_prefix("-S")
            .or_else(|| word.strip_prefix("--split-string="));
        let own = attached.filter(|text| !text.is_empty());
        let apart = word == "-S" || word == "--split-string";
        own.or_else(|| words.get(at + 1).map(String::as_str).filter(|_| apart))
    });
    text.map(|text| script(text, &[]))
}

fn wrapped<'a>(name: &str, words: &'a [String]) -> Inner<'a> {
    let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.name == name) else {
        return Inner::Nothing;
    };
    let rest = wrapper.after_options(words);
    match rest.get(wrapper.operands..).unwrap_or_default() {
        // flock FILE -c SCRIPT
        [option, text, ..] if option == "-c" || option == "--command" => script(text, &[]),
        rest => Inner::Command(wrapper.after_options(rest)),
    }
}

#[cfg(test)]
mod tests;
