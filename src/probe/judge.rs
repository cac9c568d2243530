//! Whether an HTTP answer is the target's own. Pure: what was heard in, a verdict out.

use super::body::Body;
use super::fault::FaultKind;

/// What was heard at the end of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Heard {
    /// The HTTP status.
    pub(super) status: u16,
    /// What the body is, as far as it was read.
    pub(super) body: Body,
    /// Whose word it is.
    pub(super) speaker: Speaker,
    /// The very server that was asked speaks, and not one to which it redirects.
    pub(super) itself: bool,
    /// A redirect led, or leads, to another site.
    pub(super) elsewhere: bool,
}

/// Whose word an answer is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Speaker {
    /// Anybody's on the way: a hop was plain http.
    #[default]
    Anybody,
    /// The target's: every hop was verified TLS.
    Verified,
    /// Anybody's, and an HTTP proxy handed it on, or made it up.
    Proxy,
}

/// `nix-cache:`: 200 and the right body, whoever it comes from; over verified TLS also a private cache's own 401 and 403.
///
/// Another's refusal (a login page, a store behind a redirect) says nothing of the cache: curl takes no login there.
pub(super) fn nix_cache(heard: &Heard) -> Result<(), FaultKind> {
    match heard.status {
        200 if heard.body == Body::Expected => Ok(()),
        401 | 403 if heard.itself && heard.speaker == Speaker::Verified => Ok(()),
        _ => Err(stranger(heard)),
    }
}

/// `https:`: any status below 500; that it came over verified TLS is a matter of the connection.
pub(super) fn https(heard: &Heard) -> Result<(), FaultKind> {
    if heard.speaker == Speaker::Verified && heard.status < 500 {
        Ok(())
    } else {
        Err(stranger(heard))
    }
}

/// `http:`: 204, or a success whose body begins as expected.
pub(super) fn http(heard: &Heard) -> Result<(), FaultKind> {
    match heard.status {
        204 => Ok(()),
        200..300 if heard.body == Body::Expected => Ok(()),
        _ => Err(stranger(heard)),
    }
}

/// Whether plain http to a host that is silent or doubtful over TLS is answered by a portal.
///
/// Hosts send http to their own https, which is no sign of a portal.
pub(super) fn portal_on_http(heard: &Heard) -> bool {
    stranger(heard) == FaultKind::Portal
}

/// Two names that belong together: the same, or one below the other (`www.`).
pub(super) fn same_site(one: &str, other: &str) -> bool {
    let below = |long: &str, short: &str| {
        long.strip_suffix(short)
            .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    };
    !one.is_empty() && !other.is_empty() && (below(one, other) || below(other, one))
}

fn stranger(heard: &Heard) -> FaultKind {
    let verified = heard.speaker == Speaker::Verified;
    match heard.status {
        407 | 502..=504 if heard.speaker == Speaker::Proxy => FaultKind::Proxy,
        _ if verified => FaultKind::Answer,
        // RFC 6585: Network Authentication Required.
        511 => FaultKind::Portal,
        200..500 if heard.elsewhere => FaultKind::Portal,
        200..300 if heard.body == Body::Foreign => FaultKind::Portal,
        _ => FaultKind::Answer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(status: u16) -> Heard {
        Heard {
            status,
            ..Heard::default()
        }
    }

    fn verified(status: u16) -> Heard {
        Heard {
            speaker: Speaker::Verified,
            itself: true,
            ..plain(status)
        }
    }

    fn expected(mut heard: Heard) -> Heard {
        heard.body = Body::Expected;
        heard
    }

    #[test]
    fn a_nix_cache_is_known_by_its_body_or_over_tls_by_its_refusal() {
        assert_eq!(nix_cache(&expected(plain(200))), Ok(()));
        assert_eq!(nix_cache(&expected(verified(200))), Ok(()));
        assert_eq!(nix_cache(&verified(401)), Ok(()));
        assert_eq!(nix_cache(&verified(403)), Ok(()));
        assert_eq!(nix_cache(&plain(401)), Err(FaultKind::Answer));
        assert_eq!(nix_cache(&plain(200)), Err(FaultKind::Portal));
        assert_eq!(nix_cache(&verified(200)), Err(FaultKind::Answer));
        assert_eq!(nix_cache(&verified(404)), Err(FaultKind::Answer));
        assert_eq!(nix_cache(&expected(plain(404))), Err(FaultKind::Answer));
    }

    #[test]
    fn a_refusal_counts_only_from_the_server_that_was_asked() {
        for status in [401, 403] {
            let of_another = Heard {
                itself: false,
                ..verified(status)
            };
            assert_eq!(nix_cache(&of_another), Err(FaultKind::Answer), "{status}");
        }
        let delivered = Heard {
            itself: false,
            elsewhere: true,
            ..expected(verified(200))
        };
        assert_eq!(nix_cache(&delivered), Ok(()));
    }

    #[test]
    fn a_cache_of_no_use_is_no_portal() {
        for body in [
            Body::OtherStore("/gnu/store".to_owned()),
            Body::Unreadable("br".to_owned()),
        ] {
            let heard = Heard { body, ..plain(200) };
            assert_eq!(nix_cache(&heard), Err(FaultKind::Answer));
        }
    }

    #[test]
    fn an_https_target_answers_with_anything_but_a_server_error() {
        for status in [200, 204, 301, 401, 404, 499] {
            assert_eq!(https(&verified(status)), Ok(()), "{status}");
        }
        assert_eq!(https(&verified(500)), Err(FaultKind::Answer));
        assert_eq!(https(&verified(503)), Err(FaultKind::Answer));
        assert!(https(&plain(200)).is_err());
    }

    #[test]
    fn an_http_target_needs_204_or_its_body() {
        assert_eq!(http(&plain(204)), Ok(()));
        assert_eq!(http(&expected(plain(200))), Ok(()));
        assert_eq!(http(&plain(200)), Err(FaultKind::Portal));
        assert_eq!(http(&plain(511)), Err(FaultKind::Portal));
        assert_eq!(http(&plain(404)), Err(FaultKind::Answer));
        assert_eq!(http(&plain(302)), Err(FaultKind::Answer));
    }

    #[test]
    fn whoever_is_led_elsewhere_over_plain_http_meets_a_portal() {
        for status in [200, 302, 401, 403, 404] {
            let elsewhere = Heard {
                elsewhere: true,
                ..plain(status)
            };
            assert_eq!(nix_cache(&elsewhere), Err(FaultKind::Portal), "{status}");
        }
        let verified = Heard {
            elsewhere: true,
            ..verified(404)
        };
        assert_eq!(nix_cache(&verified), Err(FaultKind::Answer));
    }

    #[test]
    fn a_gateway_error_is_the_proxys_only_if_there_is_one() {
        for status in [407, 502, 503, 504] {
            let forwarded = Heard {
                speaker: Speaker::Proxy,
                ..plain(status)
            };
            assert_eq!(http(&forwarded), Err(FaultKind::Proxy), "{status}");
            assert_eq!(http(&plain(status)), Err(FaultKind::Answer), "{status}");
        }
    }

    #[test]
    fn sites_are_the_same_or_below_one_another() {
        assert!(same_site("example.org", "example.org"));
        assert!(same_site("www.example.org", "example.org"));
        assert!(same_site("example.org", "www.example.org"));
        assert!(!same_site("badexample.org", "example.org"));
        assert!(!same_site("login.hotel", "cache.nixos.org"));
        assert!(!same_site("", "cache.nixos.org"));
    }
}
