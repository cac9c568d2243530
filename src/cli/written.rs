//! The arguments as they are written, before clap reads them or when it cannot. Pure.

use std::ffi::OsString;

use crate::text::secret;

/// The other spelling of `wait-online`.
const WAIT_ONLINE_FLAG: &str = "--wait-online";

/// What clap says, which quotes the argument that it does not understand.
pub fn complaint(error: &clap::Error, argv: &[OsString]) -> String {
    let words = argv.iter().filter_map(|word| word.to_str());
    let values = words.flat_map(|word| [Some(word), word.split_once('=').map(|(_, value)| value)]);
    let text = error.render().to_string();
    let shown = values.flatten().fold(text, |text, word| {
        let shown = secret::url(word);
        if shown == word {
            text
        } else {
            text.replace(word, &shown)
        }
    });
    secret::text(&shown)
}

/// With `--wait-online` among our own arguments, the same command line with `wait-online` as the command. A name given by
/// `--argv0` may be that word, too.
pub(super) fn respelt(argv: &[OsString]) -> Vec<OsString> {
    let mut words = argv.to_vec();
    let mut pairs = own(argv).windows(2);
    let found = pairs.position(|pair| pair[1] == WAIT_ONLINE_FLAG && pair[0] != "--argv0");
    if let Some(at) = found.map(|at| at + 1) {
        words.remove(at);
        words.insert(1.min(words.len()), OsString::from("wait-online"));
    }
    words
}

/// The arguments that are ours: all before `--`.
fn own(argv: &[OsString]) -> &[OsString] {
    let end = argv.iter().position(|word| word == "--");
    &argv[..end.unwrap_or(argv.len())]
}

/// Whether arguments that do not parse ask for `--exec-condition`: then no other code may be read as "skip the unit". A
/// misspelt one counts as well.
pub fn asks_exec_condition(argv: &[OsString]) -> bool {
    own(argv).iter().any(|word| {
        let word = word.to_string_lossy();
        // `--exec-start-pre` of `run` is another.
        word.starts_with("--exec") && !word.starts_with("--exec-s")
    })
}
