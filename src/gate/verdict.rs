//! What the gate says.

use std::fmt;

use super::reason::Reason;
use super::time::Monotonic;

/// Open, or held and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The upgrade may run now.
    Open(Evidence),
    /// It may not; never empty, the first is the one to name.
    Held(Vec<Hold>),
}

/// One condition that is not met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    /// The stable reason.
    pub reason: Reason,
    /// The particulars, for people: `cache.nixos.org does not resolve`. Never ends in a full stop.
    pub detail: String,
    /// When it is looked at again if no hint comes before; `None` if only a hint will do.
    pub look_again: Option<Monotonic>,
}

/// What the gate opened on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// The epoch in which its gathering began.
    pub epoch: u64,
    /// What answered, for people; for a guess, what it was guessed from; empty if nothing has to be reached.
    pub what: String,
    /// Nothing was proven: there is merely a route to somewhere.
    pub guess: bool,
}

/// Why an [`Evidence`] proves nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The machine goes to sleep.
    Sleep,
    /// The machine has slept.
    Resume,
    /// The route is another, or is lost.
    Routes,
}

impl fmt::Display for Loss {
    /// A clause for people: `the machine goes to sleep`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sleep => "the machine is going to sleep",
            Self::Resume => "the machine has slept",
            Self::Routes => "the route changed or disappeared",
        })
    }
}

impl Hold {
    /// Whether it holds because something is unknown.
    pub fn is_unknown(&self) -> bool {
        self.reason == Reason::Unknown
    }
}

impl Verdict {
    /// The hold to name, if held.
    pub fn hold(&self) -> Option<&Hold> {
        match self {
            Self::Open(_) => None,
            Self::Held(holds) => holds.first(),
        }
    }
}
