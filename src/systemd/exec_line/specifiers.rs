//! The specifiers of command lines (systemd.unit(5), "Specifiers"). Pure.

/// Those that some systemd from 252 on knows; `%c`, `%r` and `%R` are deprecated, and load.
const KNOWN: &str = "aAbBcCdDEfgGhHiIjJlLmMnNopPqrRsStTuUvVwWyY";

/// Whether systemd knows all specifiers in a command's words. It refuses letters and digits that it does not know, which a
/// later one may, and takes any other character as it is.
///
/// # Errors
///
/// The first unknown one, and what to write in its place.
pub(super) fn all_known(first: &str, words: &[String]) -> Result<(), String> {
    let mut words = std::iter::once(first).chain(words.iter().map(String::as_str));
    match words.find_map(unknown_specifier) {
        None => Ok(()),
        Some(letter) => Err(format!(
            "%{letter} is not a specifier; a percent sign is written %%"
        )),
    }
}

/// The first specifier in a value that no systemd knows.
pub(in crate::systemd) fn unknown_specifier(word: &str) -> Option<char> {
    let mut chars = word.chars();
    while chars.by_ref().any(|c| c == '%') {
        let letter = chars.next()?;
        if letter.is_ascii_alphanumeric() && !KNOWN.contains(letter) {
            return Some(letter);
        }
    }
    None
}
