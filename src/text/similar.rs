//! The known word a misspelt one was probably meant to be.

/// The nearest of `known`, if it is near enough to be meant: a typing error or two.
pub(crate) fn nearest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let measured = known
        .iter()
        .map(|known| (strsim::levenshtein(word, known), *known));
    let (distance, nearest) = measured.min()?;
    (distance <= (nearest.len() / 3).max(1)).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_is_understood_and_another_word_is_not() {
        let known = ["attempts", "attempt_timeout", "flake", "power", "profile"];
        assert_eq!(nearest("atempts", &known), Some("attempts"));
        assert_eq!(nearest("attempt-timeout", &known), Some("attempt_timeout"));
        assert_eq!(nearest("profiles", &known), Some("profile"));
        assert_eq!(nearest("battery", &known), None);
        assert_eq!(nearest("", &known), None);
        assert_eq!(nearest("x", &[]), None);
    }
}
