//! What a source of targets says is needed. [`Derived`](super::Derived) makes targets and notes of it.

use super::place::Place;
use crate::targets::Via;
use crate::text::secret;

/// One thing that a source says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Need {
    /// All that this place is probed as.
    All(Candidate),
    /// One of all that these places are probed as.
    Any(Vec<Candidate>),
    /// Something is needed that cannot be derived.
    Unknown(String),
    /// What is wrong in files of others, with file and line.
    Warning(String),
}

/// A place that something is fetched from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Candidate {
    pub(super) place: Place,
    /// As it is written, without what is secret.
    pub(super) written: String,
    /// Where it is written.
    pub(super) origin: String,
    /// How it is asked, if not as the environment says.
    pub(super) via: Option<Via>,
}

impl Candidate {
    /// A place that is asked as the environment says.
    pub(super) fn new(place: Place, written: &str, origin: impl Into<String>) -> Self {
        Self {
            place,
            written: secret::url(written),
            origin: origin.into(),
            via: None,
        }
    }

    pub(super) fn is_local(&self) -> bool {
        self.place == Place::Local
    }

    /// The note about it: that it is probed, or why not.
    pub(super) fn note(&self, probed: &Result<String, String>) -> String {
        let Self {
            written, origin, ..
        } = self;
        let how = match &self.via {
            None => String::new(),
            Some(Via::Direct) => ", without a proxy".to_owned(),
            Some(Via::Proxy(url)) => format!(", through the proxy {}", secret::url(url)),
        };
        secret::text(&match probed {
            Ok(what) => format!("{written}: {what}{how} ({origin})"),
            Err(why) => format!("{written} is not probed: {why} ({origin})"),
        })
    }
}
