//! Words, their quotes and escapes resolved. Pure.

/// What separates words.
pub(super) const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];

/// The words of a value that is not a command, as of `PassEnvironment=`; up to what cannot be read.
pub fn words(value: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = value;
    while let Ok(Some((found, after))) = word(rest, &mut Vec::new()) {
        words.push(found);
        rest = after;
    }
    words
}

/// The words of a value in which systemd keeps no unknown escape, as of `Environment=`, and what is left from the first on that
/// cannot be read.
pub fn strict_words(value: &str) -> (Vec<String>, &str) {
    let mut words = Vec::new();
    let mut rest = value;
    let mut unknown = Vec::new();
    while let Ok(Some((found, after))) = word(rest, &mut unknown) {
        if !unknown.is_empty() {
            return (words, rest);
        }
        words.push(found);
        rest = after;
    }
    (words, rest.trim_start_matches(BLANK))
}

/// Whether this stands in a value as a word of its own, without quotes.
pub fn has_unquoted(value: &str, sought: &str) -> bool {
    let mut rest = value.trim_start_matches(BLANK);
    while let Ok(Some((_, after))) = word(rest, &mut Vec::new()) {
        let written = &rest[..rest.len() - after.len()];
        if written.trim_end_matches(BLANK) == sought {
            return true;
        }
        rest = after.trim_start_matches(BLANK);
    }
    false
}

/// One word, its quotes and escapes resolved, and what follows it; nothing at the end.
///
/// systemd reads a word with an unknown escape once more, and then keeps all unknown ones as they are.
pub(super) fn word<'a>(
    text: &'a str,
    warnings: &mut Vec<String>,
) -> Result<Option<(String, &'a str)>, String> {
    let text = text.trim_start_matches(BLANK);
    if text.is_empty() {
        return Ok(None);
    }
    let mut unknown = false;
    let (bytes, rest) =
        unquoted(text, &mut unknown).ok_or_else(|| format!("a quote is not closed: {text}"))?;
    let word =
        String::from_utf8(bytes).map_err(|_| format!("escapes are not valid UTF-8: {text}"))?;
    if unknown {
        warnings.push(format!("unknown escapes are kept as they are: {word}"));
    }
    Ok(Some((word, rest)))
}

/// The bytes of the first word, and what follows it; nothing if a quote is not closed.
fn unquoted<'a>(text: &'a str, unknown: &mut bool) -> Option<(Vec<u8>, &'a str)> {
    let mut bytes = Vec::new();
    let mut quote = None;
    let mut rest = text;
    while let Some((c, after)) = split_first(rest) {
        rest = after;
        match (quote, c) {
            (_, '\\') => rest = unescaped(after, &mut bytes, unknown),
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, c) if BLANK.contains(&c) => return Some((bytes, after)),
            _ => push(&mut bytes, c),
        }
    }
    quote.is_none().then_some((bytes, rest))
}

/// Appends what the escape stands for, or itself if it is unknown; what follows it.
fn unescaped<'a>(text: &'a str, bytes: &mut Vec<u8>, unknown: &mut bool) -> &'a str {
    if let Some((meant, after)) = escape(text) {
        bytes.extend(meant);
        return after;
    }
    *unknown = true;
    bytes.push(b'\\');
    let Some((c, after)) = split_first(text) else {
        return text;
    };
    push(bytes, c);
    after
}

/// What the escape that begins after a backslash stands for, and what follows it; NUL is none.
fn escape(text: &str) -> Option<(Vec<u8>, &str)> {
    let (c, after) = split_first(text)?;
    let byte = match c {
        'a' => b'\x07',
        'b' => b'\x08',
        'f' => b'\x0c',
        'n' => b'\n',
        'r' => b'\r',
        't' => b'\t',
        'v' => b'\x0b',
        's' => b' ',
        '\\' | '"' | '\'' => c as u8,
        'x' => return digits(after, 2, 16).and_then(|(code, after)| eight_bits(code, after)),
        '0'..='7' => return digits(text, 3, 8).and_then(|(code, after)| eight_bits(code, after)),
        'u' => return digits(after, 4, 16).and_then(|(code, after)| unicode(code, after)),
        'U' => return digits(after, 8, 16).and_then(|(code, after)| unicode(code, after)),
        _ => return None,
    };
    Some((vec![byte], after))
}

fn digits(text: &str, count: usize, radix: u32) -> Option<(u32, &str)> {
    let (digits, after) = text.split_at_checked(count)?;
    let all = digits.chars().all(|digit| digit.is_digit(radix));
    let code = u32::from_str_radix(digits, radix).ok().filter(|_| all)?;
    (code != 0).then_some((code, after))
}

fn eight_bits(code: u32, after: &str) -> Option<(Vec<u8>, &str)> {
    Some((vec![u8::try_from(code).ok()?], after))
}

fn unicode(code: u32, after: &str) -> Option<(Vec<u8>, &str)> {
    Some((char::from_u32(code)?.to_string().into_bytes(), after))
}

fn split_first(text: &str) -> Option<(char, &str)> {
    let first = text.chars().next()?;
    Some((first, &text[first.len_utf8()..]))
}

fn push(bytes: &mut Vec<u8>, c: char) {
    bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}
