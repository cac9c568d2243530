//! What a body must say, and how it is unpacked. Pure.

use std::borrow::Cow;

use miniz_oxide::inflate::{
    DecompressError, decompress_to_vec_with_limit, decompress_to_vec_zlib_with_limit,
};

/// How much of a body is looked at, packed and unpacked.
pub(super) const LIMIT: usize = 64 * 1024;

/// The store that substitutes are for; Nix refuses a cache that names another.
const STORE: &str = "/nix/store";

/// How much of a server's own words is told to people.
const QUOTED: usize = 60;

/// What is expected of a body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected<'a> {
    /// It begins like this.
    Beginning(&'a str),
    /// It is a binary cache's `nix-cache-info`.
    CacheInfo,
}

/// What a body turns out to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Body {
    /// Not what is expected.
    #[default]
    Foreign,
    /// What is expected.
    Expected,
    /// A cache's, but for this store.
    OtherStore(String),
    /// It has this `Content-Encoding`, which is not known here.
    Unreadable(String),
}

impl Expected<'_> {
    /// Judges the beginning of a body; `None` if more of it is needed to tell.
    pub(super) fn judge(self, text: &[u8], ended: bool) -> Option<Body> {
        let found = match self {
            Self::Beginning(prefix) => beginning(prefix.as_bytes(), text),
            Self::CacheInfo => cache_info(text, ended),
        };
        found.or(ended.then_some(Body::Foreign))
    }
}

fn beginning(prefix: &[u8], text: &[u8]) -> Option<Body> {
    if text.starts_with(prefix) {
        return Some(Body::Expected);
    }
    (!prefix.starts_with(text)).then_some(Body::Foreign)
}

/// Lines in any order, a value with space around it, as Nix reads them. Nix passes over a first line that begins with a
/// byte order mark, and takes the cache.
fn cache_info(text: &[u8], ended: bool) -> Option<Body> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let mut whole = lines.filter(|line| ended || line.ends_with(b"\n"));
    let store = whole.find_map(store_dir)?;
    Some(if store == STORE.as_bytes() {
        Body::Expected
    } else {
        Body::OtherStore(quoted(store))
    })
}

fn store_dir(line: &[u8]) -> Option<&[u8]> {
    let value = line.trim_ascii_start().strip_prefix(b"StoreDir:")?;
    Some(value.trim_ascii())
}

fn quoted(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes)
        .chars()
        .take(QUOTED)
        .collect()
}

/// The codings of a body (RFC 9110, section 8.4), in the order in which they were applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Codings(Vec<Coding>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Coding {
    Gzip,
    Deflate,
}

impl Codings {
    /// Reads the values of `Content-Encoding`; the error is a coding that is not known.
    pub(super) fn parse<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Self, String> {
        let names = values.flat_map(|value| value.split(|byte| *byte == b','));
        let names = names.map(|name| name.trim_ascii().to_ascii_lowercase());
        let known = names.filter_map(|name| match name.as_slice() {
            b"" | b"identity" => None,
            b"gzip" | b"x-gzip" => Some(Ok(Coding::Gzip)),
            b"deflate" => Some(Ok(Coding::Deflate)),
            other => Some(Err(quoted(other))),
        });
        known.collect::<Result<_, _>>().map(Self)
    }

    /// Unpacks as much as there is, up to [`LIMIT`].
    pub(super) fn unpack<'a>(&self, packed: &'a [u8]) -> Cow<'a, [u8]> {
        let layers = self.0.iter().rev();
        layers.fold(Cow::Borrowed(packed), |packed, coding| {
            Cow::Owned(coding.unpack(&packed))
        })
    }
}

impl Coding {
    fn unpack(self, packed: &[u8]) -> Vec<u8> {
        match self {
            Self::Gzip => after_gzip_header(packed).map_or_else(Vec::new, inflate),
            // zlib's format is meant, and some servers send what is inside of it, as curl knows too.
            Self::Deflate => {
                let text = as_far_as(decompress_to_vec_zlib_with_limit(packed, LIMIT));
                if text.is_empty() {
                    inflate(packed)
                } else {
                    text
                }
            }
        }
    }
}

fn inflate(packed: &[u8]) -> Vec<u8> {
    as_far_as(decompress_to_vec_with_limit(packed, LIMIT))
}

/// What comes out before the end of what has arrived, before the limit, or before what cannot be unpacked.
fn as_far_as(unpacked: Result<Vec<u8>, DecompressError>) -> Vec<u8> {
    unpacked.unwrap_or_else(|DecompressError { mut output, .. }| {
        // What was made room for and not filled is zero.
        let end = output.iter().rposition(|byte| *byte != 0);
        output.truncate(end.map_or(0, |last| last + 1));
        output
    })
}

/// What follows a gzip header (RFC 1952, section 2.3), if it is whole.
fn after_gzip_header(packed: &[u8]) -> Option<&[u8]> {
    let [0x1f, 0x8b, 8, flags, _, _, _, _, _, _, rest @ ..] = packed else {
        return None;
    };
    let has = |flag: u8| flags & flag != 0;
    let mut rest = rest;
    if has(4) {
        let (length, extra) = rest.split_first_chunk()?;
        rest = extra.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    // A file's name and a comment, each with a zero at its end.
    for _ in [8, 16].into_iter().filter(|flag| has(*flag)) {
        rest = rest.splitn(2, |byte| *byte == 0).nth(1)?;
    }
    rest.get(if has(2) { 2 } else { 0 }..)
}

#[cfg(test)]
mod tests {
    use miniz_oxide::deflate::{compress_to_vec, compress_to_vec_zlib};

    use super::*;

    fn whole(text: &str) -> Body {
        Expected::CacheInfo.judge(text.as_bytes(), true).unwrap()
    }

    #[test]
    fn a_cache_is_known_by_its_store_wherever_the_line_stands() {
        for text in [
            "StoreDir: /nix/store",
            "StoreDir:/nix/store\n",
            "Priority: 41\nWantMassQuery: 1\nStoreDir: /nix/store\n",
            "\u{feff}StoreDir: /nix/store\r\nPriority: 30\r\n",
            "# a cache\n\n  StoreDir:\t/nix/store  \n",
        ] {
            assert_eq!(whole(text), Body::Expected, "{text:?}");
        }
        for text in [
            "",
            "<html>\n",
            "Priority: 41\n",
            "storedir: /nix/store",
            "XStoreDir: /nix/store",
        ] {
            assert_eq!(whole(text), Body::Foreign, "{text:?}");
        }
    }

    #[test]
    fn a_cache_for_another_store_is_named_by_it() {
        for other in ["/gnu/store", "/nix/store2", "/nix/store/", ""] {
            let text = format!("WantMassQuery: 1\nStoreDir: {other}\n");
            assert_eq!(whole(&text), Body::OtherStore(other.to_owned()));
        }
        let endless = format!("StoreDir: {}\n", "x".repeat(LIMIT / 2));
        assert_eq!(whole(&endless), Body::OtherStore("x".repeat(QUOTED)));
    }

    #[test]
    fn a_line_that_has_not_ended_yet_says_nothing() {
        let judge = |text: &str| Expected::CacheInfo.judge(text.as_bytes(), false);
        assert_eq!(judge("StoreDir: /nix/store"), None);
        assert_eq!(judge("Priority: 1\nStoreDir: /ni"), None);
        assert_eq!(judge("StoreDir: /nix/store\nWant"), Some(Body::Expected));
    }

    #[test]
    fn a_beginning_is_told_as_soon_as_it_can_be() {
        let judge = |text: &str| Expected::Beginning("online").judge(text.as_bytes(), false);
        assert_eq!(judge("on"), None);
        assert_eq!(judge("offline"), Some(Body::Foreign));
        assert_eq!(judge("online\n"), Some(Body::Expected));
        let cut_short = Expected::Beginning("online").judge(b"on", true);
        assert_eq!(cut_short, Some(Body::Foreign));
    }

    fn codings(values: &[&str]) -> Result<Codings, String> {
        Codings::parse(values.iter().map(|value| value.as_bytes()))
    }

    #[test]
    fn codings_are_known_by_all_their_spellings() {
        use Coding::{Deflate, Gzip};
        assert_eq!(codings(&[]), Ok(Codings(Vec::new())));
        assert_eq!(codings(&["identity", ""]), Ok(Codings(Vec::new())));
        let both = codings(&["Deflate, X-GZIP", "gzip"]);
        assert_eq!(both, Ok(Codings(vec![Deflate, Gzip, Gzip])));
        assert_eq!(codings(&["gzip, br"]), Err("br".to_owned()));
    }

    const TEXT: &[u8] = b"StoreDir: /nix/store\nPriority: 40\n";

    /// gzip's header with these flags and fields, and the text.
    fn gzip(flags: u8, fields: &[u8]) -> Vec<u8> {
        let header = [0x1f, 0x8b, 8, flags, 0, 0, 0, 0, 0, 3];
        [&header[..], fields, &compress_to_vec(TEXT, 6), &[0; 8]].concat()
    }

    #[test]
    fn a_gzip_header_may_have_any_of_its_fields() {
        let codings = codings(&["gzip"]).unwrap();
        let fields = b"\x03\0abcname\0comment\0\xff\xff";
        for (flags, fields) in [(0, &b""[..]), (8, b"name\0"), (2 | 4 | 8 | 16, fields)] {
            let packed = gzip(flags, fields);
            assert_eq!(codings.unpack(&packed), TEXT, "{flags}");
            for length in 0..10 + fields.len() {
                assert!(codings.unpack(&packed[..length]).is_empty());
            }
        }
    }

    #[test]
    fn what_is_packed_is_unpacked_as_far_as_it_has_arrived() {
        let packed = compress_to_vec(&gzip(0, &[]), 6);
        let both = codings(&["gzip, deflate"]).unwrap();
        assert_eq!(both.unpack(&packed), TEXT);
        let cut_short = both.unpack(&packed[..packed.len() - 12]).into_owned();
        assert!(TEXT.starts_with(&cut_short) && cut_short.starts_with(b"StoreDir: /nix/store\n"));
        assert_eq!(codings(&[]).unwrap().unpack(TEXT), TEXT);
        assert!(codings(&["gzip"]).unwrap().unpack(TEXT).is_empty());
    }

    #[test]
    fn a_bomb_is_unpacked_no_further_than_the_limit() {
        let packed = compress_to_vec_zlib(&vec![b'x'; 100 * LIMIT], 9);
        assert_eq!(codings(&["deflate"]).unwrap().unpack(&packed).len(), LIMIT);
    }
}
