//! What went wrong with one target, as typed evidence, and the label it gets. Pure.

use std::cell::RefCell;

use crate::gate::reason::Reason;
use crate::gate::time::Wall;

/// One thing that went wrong: what kind, and the particulars for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) kind: FaultKind,
    /// A short clause that names host, address or status; no full stop.
    pub(super) detail: String,
}

/// The kinds that are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FaultKind {
    /// A name did not resolve, or not in time.
    Name,
    /// The kernel has no route to it.
    NoRoute,
    /// No connection came about, or nothing was said on it.
    Silence,
    /// The proxy could not be reached or refused.
    Proxy,
    /// TLS failed.
    Certificate(Doubt),
    /// There are no CA certificates to judge by.
    Roots,
    /// A captive portal answered.
    Portal,
    /// Somebody answered, but not as the target does.
    Answer,
    /// We cannot even ask: the target or the environment is malformed, or the system lets us have no more.
    Malformed,
}

/// Why TLS failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The certificate is no longer valid.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// It is made out to another name.
    Name,
    /// It is issued by somebody unknown.
    Issuer,
    /// OpenSSL may accept it, and our TLS cannot.
    Unsupported,
    /// Anything else: not TLS at all, an alert, a broken chain.
    Other,
}

/// What else is known when a label is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Circumstances {
    /// The machine's own date.
    pub(super) wall: Wall,
    /// When this program was built.
    pub(super) built: Wall,
    /// The target is asked over `https`, and not through a proxy.
    pub(super) https: bool,
    /// Plain http to the same host is answered by someone else.
    pub(super) foreign_on_http: bool,
}

/// A label and whether a portal remains a possible explanation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label {
    pub(super) reason: Reason,
    pub(super) may_be_portal: bool,
}

impl Fault {
    pub(super) fn new(kind: FaultKind, detail: impl Into<String>) -> Self {
        let detail = detail.into();
        Self { kind, detail }
    }
}

/// What it means for a target if its time runs out now.
#[derive(Debug, Default)]
pub(super) struct Progress(RefCell<Option<Fault>>);

impl Progress {
    /// Notes what is being waited for.
    pub(super) fn now(&self, fault: Fault) {
        self.0.replace(Some(fault));
    }

    /// The fault at a deadline.
    pub(super) fn out_of_time(&self) -> Fault {
        let waiting = self.0.take();
        waiting.unwrap_or_else(|| Fault::new(FaultKind::Silence, "it was not reached in time"))
    }
}

impl FaultKind {
    /// Whether a captive portal causes this where it intercepts `https`.
    pub(super) const fn portals_do_this(self) -> bool {
        matches!(
            self,
            Self::Silence
                | Self::Certificate(
                    Doubt::Name | Doubt::Issuer | Doubt::Unsupported | Doubt::Other
                )
        )
    }
}

/// Chooses the label. It explains; it never changes whether a target was reached.
pub(super) fn label(kind: FaultKind, around: &Circumstances) -> Label {
    let suspicious = around.https && kind.portals_do_this();
    let reason = if suspicious && around.foreign_on_http {
        Reason::Portal
    } else {
        plain_label(kind, around)
    };
    Label {
        reason,
        may_be_portal: suspicious && !around.foreign_on_http,
    }
}

fn plain_label(kind: FaultKind, around: &Circumstances) -> Reason {
    match kind {
        FaultKind::Name => Reason::Dns,
        FaultKind::NoRoute => Reason::NoRoute,
        FaultKind::Silence => Reason::Unreachable,
        FaultKind::Proxy => Reason::Proxy,
        FaultKind::Certificate(Doubt::Expired | Doubt::NotYetValid)
            if around.wall < around.built =>
        {
            Reason::Clock
        }
        FaultKind::Certificate(_) | FaultKind::Roots => Reason::Tls,
        FaultKind::Portal => Reason::Portal,
        FaultKind::Answer => Reason::UnexpectedAnswer,
        FaultKind::Malformed => Reason::Unknown,
    }
}

/// How much a reason explains when several targets fail: 0 explains most.
///
/// What concerns the whole network comes first, what concerns one host last: a portal also breaks
/// names and certificates, a wrong clock every certificate, a lost route the name servers too, dead DNS every target.
pub(super) fn rank(reason: Reason) -> usize {
    const ORDER: [Reason; 8] = [
        Reason::Portal,
        Reason::Clock,
        Reason::NoRoute,
        Reason::Proxy,
        Reason::Dns,
        Reason::Unreachable,
        Reason::Tls,
        Reason::UnexpectedAnswer,
    ];
    ORDER
        .iter()
        .position(|r| *r == reason)
        .unwrap_or(ORDER.len())
}

/// When this program was built.
pub(super) fn built() -> Wall {
    let seconds = env!("UPGRADE_GATE_BUILD_EPOCH").parse().unwrap_or(0);
    Wall(std::time::Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn around(https: bool, foreign_on_http: bool) -> Circumstances {
        Circumstances {
            wall: Wall(Duration::from_secs(2000)),
            built: Wall(Duration::from_secs(1000)),
            https,
            foreign_on_http,
        }
    }

    #[test]
    fn every_kind_has_its_label() {
        use Doubt::{Expired, Issuer, NotYetValid, Other, Unsupported};
        let table = [
            (FaultKind::Name, Reason::Dns, false),
            (FaultKind::NoRoute, Reason::NoRoute, false),
            (FaultKind::Silence, Reason::Unreachable, true),
            (FaultKind::Proxy, Reason::Proxy, false),
            (FaultKind::Certificate(Expired), Reason::Tls, false),
            (FaultKind::Certificate(NotYetValid), Reason::Tls, false),
            (FaultKind::Certificate(Doubt::Name), Reason::Tls, true),
            (FaultKind::Certificate(Issuer), Reason::Tls, true),
            (FaultKind::Certificate(Unsupported), Reason::Tls, true),
            (FaultKind::Certificate(Other), Reason::Tls, true),
            (FaultKind::Roots, Reason::Tls, false),
            (FaultKind::Portal, Reason::Portal, false),
            (FaultKind::Answer, Reason::UnexpectedAnswer, false),
            (FaultKind::Malformed, Reason::Unknown, false),
        ];
        for (kind, reason, may_be_portal) in table {
            let expected = Label {
                reason,
                may_be_portal,
            };
            assert_eq!(label(kind, &around(true, false)), expected, "{kind:?}");
        }
    }

    #[test]
    fn a_foreign_answer_on_http_makes_a_doubtful_https_failure_a_portal() {
        let kinds = [
            FaultKind::Silence,
            FaultKind::Certificate(Doubt::Name),
            FaultKind::Certificate(Doubt::Issuer),
        ];
        for kind in kinds {
            let said = label(kind, &around(true, true));
            assert_eq!(said.reason, Reason::Portal, "{kind:?}");
            assert!(!said.may_be_portal);
        }
        let expired = FaultKind::Certificate(Doubt::Expired);
        assert_eq!(label(expired, &around(true, true)).reason, Reason::Tls);
    }

    #[test]
    fn a_silent_host_that_is_not_asked_over_https_is_never_called_a_portal() {
        let said = label(FaultKind::Silence, &around(false, true));
        assert_eq!(said.reason, Reason::Unreachable);
        assert!(!said.may_be_portal);
    }

    #[test]
    fn a_date_before_the_build_makes_validity_a_matter_of_the_clock() {
        let at = |seconds| Circumstances {
            wall: Wall(Duration::from_secs(seconds)),
            ..around(true, false)
        };
        for doubt in [Doubt::Expired, Doubt::NotYetValid] {
            let kind = FaultKind::Certificate(doubt);
            assert_eq!(label(kind, &at(0)).reason, Reason::Clock);
            assert_eq!(label(kind, &at(999)).reason, Reason::Clock);
            assert_eq!(label(kind, &at(1000)).reason, Reason::Tls);
        }
        let issuer = FaultKind::Certificate(Doubt::Issuer);
        assert_eq!(label(issuer, &at(0)).reason, Reason::Tls);
    }

    #[test]
    fn what_concerns_the_whole_network_explains_more() {
        let mut reasons = [
            Reason::UnexpectedAnswer,
            Reason::Unknown,
            Reason::Dns,
            Reason::Portal,
        ];
        reasons.sort_by_key(|r| rank(*r));
        let expected = [
            Reason::Portal,
            Reason::Dns,
            Reason::UnexpectedAnswer,
            Reason::Unknown,
        ];
        assert_eq!(reasons, expected);
    }

    #[test]
    fn the_build_date_is_known() {
        assert!(built() > Wall(Duration::ZERO));
    }
}
