//! A line of text that others wrote, as it may be shown: the one filter for hostile text. Pure.

/// The text without what would break a line or command a terminal: names and answers come from outside.
pub fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if is_unprintable(c) { ' ' } else { c })
        .collect()
}

/// The same, and not longer than this: a service may say as much as it likes.
pub fn shortened(text: &str, longest: usize) -> String {
    one_line(text).chars().take(longest).collect()
}

/// Control characters, line and paragraph separators, and what turns the writing direction around.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_commands_a_terminal_or_turns_the_text_around_becomes_a_blank() {
        assert_eq!(one_line("a\x1b[2J\nb\u{202e}c\u{9b}ü"), "a [2J b c ü");
        assert_eq!(shortened("a\nbc", 3), "a b");
    }

    proptest! {
        #[test]
        fn a_line_is_one_line_and_no_longer_than_it_may_be(text in ".{0,99}", longest in 0..99_usize) {
            let line = shortened(&text, longest);
            prop_assert!(line.chars().all(|c| !c.is_control()));
            prop_assert!(line.chars().count() <= longest);
        }
    }
}
