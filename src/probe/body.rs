//! What a body must say, and how it is unpacked. Pure.

use std::borrow::Cow;

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::{
    TINFL_FLAG_PARSE_ZLIB_HEADER, TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF,
};
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

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
    /// What is packed in it has no end, or another checksum.
    Broken,
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

/// Lines in any order, a value with space around it, as Nix reads them: every store that is named must be its own, up to the
/// end. Nix passes over a first line that begins with a byte order mark, and takes the cache.
fn cache_info(text: &[u8], ended: bool) -> Option<Body> {
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    let lines = text.split_inclusive(|byte| *byte == b'\n');
    let whole = lines.filter(|line| ended || line.ends_with(b"\n"));
    let mut stores = whole.filter_map(store_dir);
    match stores.clone().find(|store| *store != STORE.as_bytes()) {
        Some(other) => Some(Body::OtherStore(quoted(other))),
        None => stores.next().filter(|_| ended).map(|_| Body::Expected),
    }
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
            b"" | b"identity" | b"none" => None,
            b"gzip" | b"x-gzip" => Some(Ok(Coding::Gzip)),
            b"deflate" => Some(Ok(Coding::Deflate)),
            other => Some(Err(quoted(other))),
        });
        known.collect::<Result<_, _>>().map(Self)
    }

    /// Unpacks as much as there is, up to [`LIMIT`].
    pub(super) fn unpack<'a>(&self, packed: &'a [u8]) -> Unpacked<'a> {
        let begin = Unpacked {
            text: Cow::Borrowed(packed),
            is_broken: false,
        };
        self.0.iter().rev().fold(begin, |outer, coding| {
            let inner = coding.unpack(&outer.text);
            Unpacked {
                is_broken: outer.is_broken || inner.is_broken,
                ..inner
            }
        })
    }
}

/// What came out before the end of what has arrived, before the limit, or before what cannot be unpacked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unpacked<'a> {
    pub(super) text: Cow<'a, [u8]>,
    /// The end is missing, or the checksum is another's.
    pub(super) is_broken: bool,
}

impl Coding {
    fn unpack(self, packed: &[u8]) -> Unpacked<'static> {
        match self {
            Self::Gzip => match after_gzip_header(packed) {
                Some(rest) => gunzip(rest),
                None => unpacked(Vec::new(), false),
            },
            // zlib's format is meant, and some servers send what is inside of it, as curl knows too.
            Self::Deflate => match inflate(packed, TINFL_FLAG_PARSE_ZLIB_HEADER) {
                (text, ..) if text.is_empty() => {
                    let (text, status, _) = inflate(packed, 0);
                    unpacked(text, !is_whole(status))
                }
                (text, status, _) => unpacked(text, !is_whole(status)),
            },
        }
    }
}

fn unpacked(text: Vec<u8>, is_broken: bool) -> Unpacked<'static> {
    let text = Cow::Owned(text);
    Unpacked { text, is_broken }
}

/// What follows the header: packed, then a checksum and the length (RFC 1952, section 2.3.1).
fn gunzip(packed: &[u8]) -> Unpacked<'static> {
    let (text, status, used) = inflate(packed, 0);
    let is_right = || {
        let trailer = packed.get(used..).and_then(<[u8]>::first_chunk);
        trailer.is_some_and(|sum| u32::from_le_bytes(*sum) == crc32(&text))
    };
    let is_broken = !is_whole(status) || (status == TINFLStatus::Done && !is_right());
    unpacked(text, is_broken)
}

/// Its end has come, or the limit.
fn is_whole(status: TINFLStatus) -> bool {
    matches!(status, TINFLStatus::Done | TINFLStatus::HasMoreOutput)
}

/// What comes out, why no more, and how much was used for it.
fn inflate(packed: &[u8], flags: u32) -> (Vec<u8>, TINFLStatus, usize) {
    let mut text = vec![0; LIMIT];
    let flags = flags | TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
    let mut state = DecompressorOxide::new();
    let (status, used, length) = decompress(&mut state, packed, &mut text, 0, flags);
    text.truncate(length);
    (text, status, used)
}

/// The checksum of gzip (RFC 1952, section 8).
fn crc32(bytes: &[u8]) -> u32 {
    let shifted = |sum: u32| (sum >> 1) ^ (0xedb8_8320 & (sum & 1).wrapping_neg());
    !bytes.iter().fold(!0, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| shifted(sum))
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
        let both = "StoreDir: /nix/store\nPriority: 1\nStoreDir: /gnu/store";
        assert_eq!(whole(both), Body::OtherStore("/gnu/store".to_owned()));
        assert_eq!(
            whole("StoreDir: /nix/store\nStoreDir: /nix/store\n"),
            Body::Expected
        );
        let endless = format!("StoreDir: {}\n", "x".repeat(LIMIT / 2));
        assert_eq!(whole(&endless), Body::OtherStore("x".repeat(QUOTED)));
    }

    #[test]
    fn a_line_that_has_not_ended_yet_says_nothing() {
        let judge = |text: &str| Expected::CacheInfo.judge(text.as_bytes(), false);
        assert_eq!(judge("StoreDir: /nix/store"), None);
        assert_eq!(judge("Priority: 1\nStoreDir: /ni"), None);
        assert_eq!(judge("StoreDir: /nix/store\nWant"), None);
        let other = Body::OtherStore("/gnu/store".to_owned());
        assert_eq!(judge("StoreDir: /gnu/store\nWant"), Some(other));
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
        let sum = crc32(TEXT).to_le_bytes();
        [
            &header[..],
            fields,
            &compress_to_vec(TEXT, 6),
            &sum,
            &[0; 4],
        ]
        .concat()
    }

    #[test]
    fn a_gzip_header_may_have_any_of_its_fields() {
        let codings = codings(&["gzip"]).unwrap();
        let fields = b"\x03\0abcname\0comment\0\xff\xff";
        for (flags, fields) in [(0, &b""[..]), (8, b"name\0"), (2 | 4 | 8 | 16, fields)] {
            let packed = gzip(flags, fields);
            assert_eq!(codings.unpack(&packed), unpacked(TEXT.to_vec(), false));
            for length in 0..10 + fields.len() {
                assert!(codings.unpack(&packed[..length]).text.is_empty());
            }
        }
    }

    #[test]
    fn what_is_packed_is_unpacked_as_far_as_it_has_arrived() {
        let packed = compress_to_vec(&gzip(0, &[]), 6);
        let both = codings(&["gzip, deflate"]).unwrap();
        assert_eq!(both.unpack(&packed), unpacked(TEXT.to_vec(), false));
        let cut_short = both.unpack(&packed[..packed.len() - 12]);
        assert!(cut_short.is_broken && TEXT.starts_with(&cut_short.text));
        assert!(cut_short.text.starts_with(b"StoreDir: /nix/store\n"));
        assert_eq!(codings(&[]).unwrap().unpack(TEXT).text, TEXT);
        let gzip = codings(&["gzip"]).unwrap();
        assert!(gzip.unpack(TEXT).text.is_empty());
    }

    #[test]
    fn what_is_packed_is_whole_with_its_end_and_its_checksum() {
        let packed = gzip(0, &[]);
        let codings = codings(&["gzip"]).unwrap();
        for cut in [5, 8, 9, 12] {
            let cut_short = &packed[..packed.len() - cut];
            assert!(codings.unpack(cut_short).is_broken, "{cut}");
        }
        let mut wrong = packed.clone();
        let sum = packed.len() - 8;
        wrong[sum] ^= 1;
        assert!(codings.unpack(&wrong).is_broken);
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_bomb_is_unpacked_no_further_than_the_limit() {
        let packed = compress_to_vec_zlib(&vec![b'x'; 100 * LIMIT], 9);
        let found = codings(&["deflate"]).unwrap().unpack(&packed);
        assert_eq!((found.text.len(), found.is_broken), (LIMIT, false));
    }
}
