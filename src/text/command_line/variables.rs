//! The variables that a command line sets for the commands it runs. Pure.

use super::script::{is_assignment, without_keywords};

/// Variables and their values; the last of a name counts, and an empty one is unset.
pub type Variables = Vec<(String, String)>;

/// Those that a wrapper's words before its command set: `env A=b -u C`, `sudo A=b`.
pub(super) fn of_wrapper(words: &[String]) -> Variables {
    let unset = words.iter().enumerate().filter_map(|(at, word)| {
        let attached = word.strip_prefix("--unset=").or(word.strip_prefix("-u"));
        let next = || words.get(at + 1).map(String::as_str);
        attached.map(|name| if name.is_empty() { next() } else { Some(name) })?
    });
    let unset = unset.map(|name| (name.to_owned(), String::new()));
    unset.chain(assignments(words)).collect()
}

/// What a simple command of a script sets: for itself, and for all that come after it.
pub(super) fn of_script(words: &[String]) -> (Variables, Variables) {
    let command = without_keywords(words);
    let own = known(&words[..words.len() - command.len()]);
    match command {
        [] => (Variables::new(), own),
        [first, rest @ ..] if DECLARING.contains(&first.as_str()) => (own, known(rest)),
        [first, rest @ ..] if first == "unset" => {
            let names = rest.iter().filter(|word| !word.starts_with('-'));
            let unset = names.map(|name| (name.clone(), String::new()));
            (own, unset.collect())
        }
        _ => (own, Variables::new()),
    }
}

/// The shell's own commands whose arguments set variables.
const DECLARING: [&str; 4] = ["export", "declare", "typeset", "readonly"];

/// What a script sets to a value that nothing is put into.
fn known(words: &[String]) -> Variables {
    let is_known = |value: &str| !value.contains(['$', '`']);
    assignments(words)
        .filter(|(_, value)| is_known(value))
        .collect()
}

fn assignments(words: &[String]) -> impl Iterator<Item = (String, String)> {
    let set = words.iter().filter(|word| is_assignment(word));
    set.filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
}
