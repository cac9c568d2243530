//! Targets of the web: `nix-cache`, `https` and `http`, and what explains their failure.

use reqwest::Url;

use super::body::{Body, Expected};
use super::fault::{Fault, FaultKind, Progress};
use super::judge::{self, Heard, Speaker, same_site};
use super::proxy::bare_host;
use super::wire::{Reply, Web};

/// How far redirects are followed, as Nix does.
const REDIRECTS: usize = 10;

/// `nix-cache:`, with redirects followed as Nix follows them.
pub(super) async fn nix_cache(web: &Web<'_>, progress: &Progress, url: &str) -> Result<(), Fault> {
    let mut trail = Trail::new(cache_info(parse(url)?));
    loop {
        let got = web.get(&trail.here, progress).await;
        let mut reply = got.map_err(|fault| trail.blame(fault))?;
        if let Some(next) = reply.location(&trail.here).filter(|_| trail.goes_on()) {
            trail.follow(next);
            continue;
        }
        let expected = Some(Expected::CacheInfo);
        return trail
            .judge(&mut reply, expected, progress, judge::nix_cache)
            .await;
    }
}

/// `https:`, with redirects taken for what they are: an answer.
pub(super) async fn https(web: &Web<'_>, progress: &Progress, url: &str) -> Result<(), Fault> {
    let trail = Trail::new(parse(url)?);
    let mut reply = web.get(&trail.here, progress).await?;
    trail.judge(&mut reply, None, progress, judge::https).await
}

/// `http:`, known by a 204 or by how its body begins.
pub(super) async fn http(
    web: &Web<'_>,
    progress: &Progress,
    url: &str,
    expect: Option<&str>,
) -> Result<(), Fault> {
    let trail = Trail::new(parse(url)?);
    let mut reply = web.get(&trail.here, progress).await?;
    let expect = expect.filter(|text| !text.is_empty());
    let expected = expect.map(Expected::Beginning);
    trail
        .judge(&mut reply, expected, progress, judge::http)
        .await
}

/// Whether `url` is asked over https and directly, so that a portal can be in between.
pub(super) fn is_direct_https(web: &Web<'_>, url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| url.scheme() == "https" && !web.takes_proxy(&url))
}

/// Asks the host of `url` over plain http whether a portal answers in its place.
pub(super) async fn portal_on_http(web: &Web<'_>, url: &str) -> bool {
    let Some(plain) = over_http(url).filter(|plain| !web.takes_proxy(plain)) else {
        return false;
    };
    let trail = Trail::new(plain);
    match web.get(&trail.here, &Progress::default()).await {
        Ok(mut reply) => {
            let mut heard = trail.hear(&reply);
            match reply.body(Expected::CacheInfo).await {
                Some(body) => heard.body = body,
                None => return false,
            }
            judge::portal_on_http(&heard)
        }
        Err(_) => false,
    }
}

/// A request and the redirects it went through.
struct Trail {
    first: Url,
    here: Url,
    hops: usize,
    /// Every hop so far was https.
    verified: bool,
    /// A hop was at another site than the first.
    elsewhere: bool,
}

impl Trail {
    fn new(url: Url) -> Self {
        Self {
            first: url.clone(),
            verified: url.scheme() == "https",
            here: url,
            hops: 0,
            elsewhere: false,
        }
    }

    fn goes_on(&self) -> bool {
        self.hops < REDIRECTS
    }

    fn follow(&mut self, next: Url) {
        self.hops += 1;
        self.verified &= next.scheme() == "https";
        self.elsewhere |= self.is_elsewhere(&next);
        self.here = next;
    }

    fn is_elsewhere(&self, url: &Url) -> bool {
        !same_site(bare_host(url), bare_host(&self.first))
    }

    /// Judges an answer, reading its body only if the verdict hangs on it.
    async fn judge(
        &self,
        reply: &mut Reply,
        expected: Option<Expected<'_>>,
        progress: &Progress,
        verdict: fn(&Heard) -> Result<(), FaultKind>,
    ) -> Result<(), Fault> {
        let mut heard = self.hear(reply);
        if verdict(&heard).is_ok() {
            return Ok(());
        }
        let is_success = (200..300).contains(&heard.status);
        if let Some(expected) = expected.filter(|_| is_success) {
            progress.now(self.unfinished("has not finished its answer in time"));
            let body = reply.body(expected).await;
            heard.body = body.ok_or_else(|| self.unfinished("ends its answer too early"))?;
        }
        verdict(&heard).map_err(|kind| self.odd(kind, &heard))
    }

    fn hear(&self, reply: &Reply) -> Heard {
        let leads_elsewhere = reply
            .location(&self.here)
            .is_some_and(|next| self.is_elsewhere(&next));
        Heard {
            status: reply.status(),
            body: Body::Foreign,
            itself: self.here.origin() == self.first.origin(),
            elsewhere: self.elsewhere || leads_elsewhere,
            speaker: match (self.verified, reply.forwarded) {
                (true, _) => Speaker::Verified,
                (false, true) => Speaker::Proxy,
                (false, false) => Speaker::Anybody,
            },
        }
    }

    /// A failure further down the trail is a portal's doing if plain http was led astray.
    fn blame(&self, fault: Fault) -> Fault {
        if !self.elsewhere || self.verified {
            return fault;
        }
        let (origin, to) = (bare_host(&self.first), bare_host(&self.here));
        let detail = format!("{origin} is redirected to {to}: {}", fault.detail);
        Fault::new(FaultKind::Portal, detail)
    }

    fn odd(&self, kind: FaultKind, heard: &Heard) -> Fault {
        let (from, status) = (self.speaker(), heard.status);
        let detail = match (kind, &heard.body) {
            (FaultKind::Portal, _) => format!("{from} answers {status}, like a captive portal"),
            (FaultKind::Proxy, _) => format!("the proxy answers {status} in place of {from}"),
            (_, Body::OtherStore(store)) => {
                format!("{from} is a cache for the store \"{store}\", not for /nix/store")
            }
            (_, Body::Unreadable(coding)) => {
                let instead = self.without_body();
                format!(
                    "{from} sends its answer in the Content-Encoding \"{coding}\", which this program cannot read, but \
                     Nix may; the target {instead} needs no body"
                )
            }
            (_, Body::Broken) => {
                format!("{from} sends a compressed answer that is damaged or cut short")
            }
            _ => format!("{from} answers with the unexpected HTTP status {status}"),
        };
        Fault::new(kind, detail)
    }

    fn unfinished(&self, what: &str) -> Fault {
        Fault::new(FaultKind::Silence, format!("{} {what}", self.speaker()))
    }

    /// Who answers, for people.
    fn speaker(&self) -> String {
        let (origin, at) = (bare_host(&self.first), bare_host(&self.here));
        if at == origin {
            return origin.to_owned();
        }
        format!("{at}, to which {origin} redirects,")
    }

    /// A target for the same server that is judged without a body.
    fn without_body(&self) -> String {
        let first = without_login(&self.first);
        if first.scheme() == "https" {
            return first.to_string();
        }
        let host = first.host_str().unwrap_or_default();
        let port = first.port_or_known_default().unwrap_or(80);
        format!("tcp://{host}:{port}")
    }
}

fn parse(url: &str) -> Result<Url, Fault> {
    let parsed = Url::parse(url).ok().filter(Url::has_host);
    parsed
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| {
            Fault::new(
                FaultKind::Malformed,
                format!("{url} is not an http or https URL"),
            )
        })
}

/// A substituter's URL may carry store parameters (`?priority=10`), which never reach the server.
fn cache_info(mut url: Url) -> Url {
    let path = format!("{}/nix-cache-info", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    url
}

fn over_http(url: &str) -> Option<Url> {
    let mut url = Url::parse(url).ok()?;
    url.set_scheme("http").ok()?;
    url.set_port(None).ok()?;
    Some(without_login(&url))
}

fn without_login(url: &Url) -> Url {
    let mut url = url.clone();
    // Only a URL without a host refuses, and that has no login.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(url: &str) -> String {
        cache_info(Url::parse(url).unwrap()).to_string()
    }

    #[test]
    fn a_caches_url_keeps_its_path_and_loses_its_store_parameters() {
        let expected = "https://h/path/nix-cache-info";
        assert_eq!(info("https://h/path/?priority=10"), expected);
        assert_eq!(info("https://h/path"), expected);
        assert_eq!(info("http://h:81"), "http://h:81/nix-cache-info");
    }

    #[test]
    fn the_question_over_http_carries_no_credentials() {
        let plain = over_http("https://me:secret@h:8443/a").unwrap();
        assert_eq!(plain.as_str(), "http://h/a");
    }

    #[test]
    fn a_trail_is_verified_only_if_every_hop_is() {
        let url = |text: &str| Url::parse(text).unwrap();
        let mut trail = Trail::new(url("http://cache.org"));
        trail.follow(url("https://login.hotel"));
        assert!(!trail.verified);
        assert!(trail.elsewhere);
        let mut trail = Trail::new(url("https://cache.org"));
        trail.follow(url("https://www.cache.org"));
        assert!(trail.verified);
        assert!(!trail.elsewhere);
    }

    #[test]
    fn what_is_not_of_the_web_is_not_asked() {
        for text in ["", "https://", "ftp://x", "x.org", "file:///etc"] {
            assert_eq!(
                parse(text).unwrap_err().kind,
                FaultKind::Malformed,
                "{text}"
            );
        }
    }
}
