//! Targets of the web: `nix-cache`, `https` and `http`, and what explains their failure.

use reqwest::Url;

use super::fault::{Fault, Kind, Progress};
use super::judge::{self, Heard, Speaker, same_site};
use super::proxy::bare_host;
use super::wire::{Reply, Web};

/// How far redirects are followed, as Nix does.
const REDIRECTS: usize = 10;

/// What a cache's `nix-cache-info` begins with.
const STORE_DIR: &str = "StoreDir:";

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
        let heard = trail.hear(&mut reply, Some(STORE_DIR)).await;
        return judge::nix_cache(heard).map_err(|kind| trail.odd(kind, heard.status));
    }
}

/// `https:`, with redirects taken for what they are: an answer.
pub(super) async fn https(web: &Web<'_>, progress: &Progress, url: &str) -> Result<(), Fault> {
    let trail = Trail::new(parse(url)?);
    let mut reply = web.get(&trail.here, progress).await?;
    let heard = trail.hear(&mut reply, None).await;
    judge::https(heard).map_err(|kind| trail.odd(kind, heard.status))
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
    let heard = trail.hear(&mut reply, expect).await;
    judge::http(heard).map_err(|kind| trail.odd(kind, heard.status))
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
        Ok(mut reply) => judge::portal_on_http(trail.hear(&mut reply, Some(STORE_DIR)).await),
        Err(_) => false,
    }
}

/// A request and the redirects it went through.
struct Trail {
    origin: String,
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
            origin: bare_host(&url).to_owned(),
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
        !same_site(bare_host(url), &self.origin)
    }

    async fn hear(&self, reply: &mut Reply, expect: Option<&str>) -> Heard {
        let leads_elsewhere = reply
            .location(&self.here)
            .is_some_and(|next| self.is_elsewhere(&next));
        let begins = match expect {
            Some(prefix) => reply.begins_with(prefix.as_bytes()).await,
            None => false,
        };
        Heard {
            status: reply.status(),
            begins,
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
        let Self { origin, here, .. } = self;
        let to = bare_host(here);
        let detail = format!("{origin} is redirected to {to}: {}", fault.detail);
        Fault::new(Kind::Portal, detail)
    }

    fn odd(&self, kind: Kind, status: u16) -> Fault {
        let at = bare_host(&self.here);
        let from = if at == self.origin {
            self.origin.clone()
        } else {
            format!("{at}, to which {} redirects,", self.origin)
        };
        let detail = match kind {
            Kind::Portal => format!("{from} answers {status} in a captive portal's manner"),
            Kind::Proxy => format!("the proxy answers {status} in place of {from}"),
            _ => format!("{from} answers {status}, not as the target does"),
        };
        Fault::new(kind, detail)
    }
}

fn parse(url: &str) -> Result<Url, Fault> {
    let parsed = Url::parse(url).ok().filter(Url::has_host);
    parsed
        .filter(|url| matches!(url.scheme(), "http" | "https"))
        .ok_or_else(|| {
            Fault::new(
                Kind::Malformed,
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
    url.set_username("").ok()?;
    url.set_password(None).ok()?;
    Some(url)
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
            assert_eq!(parse(text).unwrap_err().kind, Kind::Malformed, "{text}");
        }
    }
}
