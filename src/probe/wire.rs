//! One HTTP request, without redirects: over TLS or not, through a proxy or not.

use std::collections::{BTreeMap, HashMap};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, HeaderValue, LOCATION};
use reqwest::{Client, Response, Url, redirect};

use super::body::{self, Body, Codings, Expected};
use super::client_certificate::ClientCertificate;
use super::connect;
use super::distrust::untrusted;
use super::fault::{Fault, FaultKind, Progress};
use super::names::{Known, Names, Purpose, still_resolving};
use super::proxy::{self, Protocol, Proxy, bare_host};
use super::roots::Tls;
use crate::probe::messages::{lost, no_route, place, silent};
use crate::targets::{Target, Via};

/// Everything a request needs to know of this machine.
pub(super) struct Web<'a> {
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// How URLs of these origins are asked that are not asked as the environment says.
    pub(super) proxies: &'a BTreeMap<String, Via>,
    pub(super) tls: Tls,
    pub(super) names: &'a Names,
}

/// An answer's head; its body is still on the wire.
#[derive(Debug)]
pub(super) struct Reply {
    response: Response,
    /// An HTTP proxy forwarded the request, so that the answer may be its own.
    pub(super) forwarded: bool,
}

/// How many header lines an answer may have.
const HEADERS: usize = 1000;

/// How a URL's host is reached.
struct UrlRoute {
    proxy: Option<Proxy>,
    /// The target, for people.
    place: String,
    /// The target that asks the same place without TLS; no proxy is taken there.
    tcp: Option<String>,
    /// Whom the connection is made to: the target or its proxy.
    peer: Vec<SocketAddr>,
    known: Known,
}

impl Web<'_> {
    /// Sends `GET url`, and returns the answer's head.
    pub(super) async fn get(&self, url: &Url, progress: &Progress) -> Result<Reply, Fault> {
        let route = self.route(url, progress).await?;
        let certificate = Arc::<ClientCertificate>::default();
        let client = self.client(url, &route, &certificate)?;
        progress.now(silent(&route.place));
        // Nix reads packed answers too, but then none is packed needlessly.
        let request = client.get(url.clone()).header(ACCEPT_ENCODING, "identity");
        match request.send().await {
            Ok(response) => Ok(Reply {
                response,
                forwarded: route.forwards(url),
            }),
            Err(error) => Err(route.explain(&error, certificate.was_asked_for())),
        }
    }

    /// Whether a proxy is taken to `url`, however badly it is configured.
    pub(super) fn takes_proxy(&self, url: &Url) -> bool {
        !matches!(self.proxy(url), Ok(None))
    }

    fn proxy(&self, url: &Url) -> Result<Option<Proxy>, String> {
        match self.proxies.get(&url.origin().ascii_serialization()) {
            Some(via) => proxy::given(url, via, self.env),
            None => proxy::choose(url, self.env),
        }
    }

    async fn route(&self, url: &Url, progress: &Progress) -> Result<UrlRoute, Fault> {
        let proxy = self
            .proxy(url)
            .map_err(|text| Fault::new(FaultKind::Proxy, text))?;
        let target = (bare_host(url), url.port_or_known_default().unwrap_or(80));
        let (mut known, mut peer) = (HashMap::new(), Vec::new());
        let mut place_known = place(target.0, target.1, &[]);
        if let Some(proxy) = &proxy {
            let routes = (proxy.host(), proxy.port());
            peer = self.resolve(routes, Purpose::Routes, progress).await?;
            known.insert(routes.0.to_owned(), peer.clone());
            place_known = format!("{place_known} through the proxy {}", proxy.shown());
        }
        if let Some(purpose) = purpose_of_the_target(proxy.as_ref()) {
            let found = self.resolve(target, purpose, progress).await?;
            if purpose == Purpose::Routes {
                place_known = place(target.0, target.1, &found);
                peer.clone_from(&found);
            }
            known.insert(target.0.to_owned(), found);
        }
        let tcp = Target::Tcp {
            host: target.0.to_owned(),
            port: target.1,
        };
        Ok(UrlRoute {
            tcp: proxy.is_none().then(|| tcp.to_string()),
            proxy,
            place: place_known,
            peer,
            known: Known(known),
        })
    }

    async fn resolve(
        &self,
        (host, port): (&str, u16),
        purpose: Purpose,
        progress: &Progress,
    ) -> Result<Vec<SocketAddr>, Fault> {
        progress.now(still_resolving(host));
        self.names.addresses(host, port, purpose).await
    }

    fn client(
        &self,
        url: &Url,
        route: &UrlRoute,
        certificate: &Arc<ClientCertificate>,
    ) -> Result<Client, Fault> {
        let proxy_url = route.proxy.as_ref().map(|proxy| &proxy.url);
        let over_tls = [Some(url), proxy_url]
            .into_iter()
            .flatten()
            .any(|url| url.scheme() == "https");
        let mut tls = self.tls.settings(over_tls)?;
        tls.client_auth_cert_resolver = certificate.clone();
        let builder = Client::builder()
            .tls_backend_preconfigured(tls)
            .http1_only()
            // curl, and so Nix, passes over header lines that it cannot read.
            .http1_ignore_invalid_headers_in_responses(true)
            .http1_allow_spaces_after_header_name_in_responses(true)
            .http1_allow_obsolete_multiline_headers_in_responses(true)
            .http1_max_headers(HEADERS)
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .pool_max_idle_per_host(0)
            .user_agent(concat!("upgrade-gate/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(connect::LIMIT)
            .dns_resolver(Arc::new(Known(route.known.0.clone())))
            .no_proxy();
        let builder = match proxy_url {
            Some(proxy) => builder.proxy(reqwest::Proxy::all(proxy.clone()).map_err(malformed)?),
            None => builder,
        };
        builder.build().map_err(malformed)
    }
}

/// Why the target's own name is resolved, if it is: a proxy is told the name, save by old SOCKS.
fn purpose_of_the_target(proxy: Option<&Proxy>) -> Option<Purpose> {
    match proxy.map(Proxy::protocol) {
        None => Some(Purpose::Routes),
        Some(Protocol::SocksResolvedHere) => Some(Purpose::ForTheProxy),
        Some(Protocol::Http | Protocol::SocksResolvedThere) => None,
    }
}

impl UrlRoute {
    fn forwards(&self, url: &Url) -> bool {
        let by = self.proxy.as_ref().map(Proxy::protocol);
        by == Some(Protocol::Http) && url.scheme() == "http"
    }

    fn explain(&self, error: &reqwest::Error, wants_certificate: bool) -> Fault {
        if let Some(tls) = find::<rustls::Error>(error) {
            let place = self.tls_peer(error);
            return untrusted(&place, self.tcp.as_deref(), tls, wants_certificate);
        }
        match &self.proxy {
            _ if error.is_connect() && !connect::is_routable(&self.peer) => self.unroutable(),
            Some(proxy) if error.is_connect() => refused_by(proxy, error),
            _ => self.unanswered(error),
        }
    }

    fn unroutable(&self) -> Fault {
        match &self.proxy {
            Some(proxy) => no_route(&format!("the proxy {}", proxy.shown())),
            None => no_route(&self.place),
        }
    }

    fn unanswered(&self, error: &reqwest::Error) -> Fault {
        if error.is_timeout() {
            let within = connect::LIMIT.as_secs();
            return silent(&format!("{} within {within} s", self.place));
        }
        if let Some(io) = find::<io::Error>(error) {
            return lost(&self.place, io);
        }
        let why = deepest(error).to_string();
        // hyper's words for what is not HTTP; it keeps the type to itself.
        let odd = ["invalid ", "message head", "received unexpected"];
        if odd.iter().any(|words| why.starts_with(words)) {
            let detail = format!("{} does not speak HTTP: {why}", self.place);
            return Fault::new(FaultKind::Answer, detail);
        }
        lost(&self.place, &io::ErrorKind::UnexpectedEof.into())
    }

    /// Whose certificate was judged: an https proxy has its own.
    fn tls_peer(&self, error: &reqwest::Error) -> String {
        let in_tunnel = causes(error).any(|cause| cause.to_string().starts_with("tunnel error"));
        match &self.proxy {
            Some(proxy) if in_tunnel => format!("the proxy {}", proxy.shown()),
            _ => self.place.clone(),
        }
    }
}

fn refused_by(proxy: &Proxy, error: &reqwest::Error) -> Fault {
    let shown = format!("the proxy {}", proxy.shown());
    if error.is_timeout() {
        let within = connect::LIMIT.as_secs();
        return Fault::new(
            FaultKind::Proxy,
            format!("no answer from {shown} within {within} s"),
        );
    }
    let detail = match find::<io::Error>(error) {
        Some(io) => lost(&shown, io).detail,
        None => format!("{shown} refuses: {}", deepest(error)),
    };
    Fault::new(FaultKind::Proxy, detail)
}

fn malformed(error: reqwest::Error) -> Fault {
    Fault::new(
        FaultKind::Malformed,
        format!("cannot be asked: {}", error.without_url()),
    )
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let here = next?;
        next = here.source();
        Some(here)
    })
}

fn deepest<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    causes(error).last().unwrap_or(error)
}

/// Finds a cause of type `T`, also inside of I/O errors, whose `source` skips what they wrap.
fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    causes(error).find_map(|cause| {
        cause.downcast_ref::<T>().or_else(|| {
            let wrapped = cause.downcast_ref::<io::Error>()?.get_ref()?;
            find::<T>(wrapped)
        })
    })
}

/// The login of our own for the server that it is for, and none that a redirect brings along.
fn with_login_of(from: &Url, mut url: Url) -> Url {
    let (user, password) = if url.origin() == from.origin() {
        (from.username(), from.password())
    } else {
        ("", None)
    };
    // Only a URL without a host refuses, and that is asked by nobody.
    let _ = url.set_username(user);
    let _ = url.set_password(password);
    url
}

impl Reply {
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Where a redirect leads, seen from `from`.
    pub(super) fn location(&self, from: &Url) -> Option<Url> {
        if !matches!(self.status(), 301 | 302 | 303 | 307 | 308) {
            return None;
        }
        let location = self.response.headers().get(LOCATION)?;
        let url = from.join(location.to_str().ok()?).ok()?;
        matches!(url.scheme(), "http" | "https").then(|| with_login_of(from, url))
    }

    /// What the body turns out to be; reads no further than it takes to tell. None if it is cut short before that.
    pub(super) async fn body(&mut self, expected: Expected<'_>) -> Option<Body> {
        let values = self.response.headers().get_all(CONTENT_ENCODING);
        let codings = match Codings::parse(values.iter().map(HeaderValue::as_bytes)) {
            Ok(codings) => codings,
            Err(unknown) => return Some(Body::Unreadable(unknown)),
        };
        let mut packed = Vec::new();
        loop {
            let chunk = self.response.chunk().await.ok()?;
            packed.extend_from_slice(chunk.as_deref().unwrap_or_default());
            packed.truncate(body::LIMIT);
            let unpacked = codings.unpack(&packed);
            if chunk.is_none() && unpacked.is_broken {
                return Some(Body::Broken);
            }
            let is_full = packed.len().max(unpacked.text.len()) >= body::LIMIT;
            let ended = chunk.is_none() || is_full;
            if let Some(found) = expected.judge(&unpacked.text, ended) {
                return Some(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;
    use crate::probe::tests::black_hole::BlackHole;
    use crate::sys::clock;

    /// Answers one request with 204.
    fn server() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
        });
        address
    }

    async fn status_of(addresses: Vec<SocketAddr>) -> u16 {
        let names = Names::default();
        let env = |_: &str| None;
        let web = Web {
            env: &env,
            proxies: &BTreeMap::new(),
            tls: Tls::new(&env, None),
            names: &names,
        };
        let route = UrlRoute {
            proxy: None,
            place: String::new(),
            tcp: None,
            peer: addresses.clone(),
            known: Known(HashMap::from([("x.test".to_owned(), addresses)])),
        };
        let url = Url::parse("http://x.test/").unwrap();
        let client = web.client(&url, &route, &Arc::default()).unwrap();
        client.get(url).send().await.unwrap().status().as_u16()
    }

    #[tokio::test]
    async fn dead_ipv6_delays_ipv4_by_its_head_start_only() {
        let dead = BlackHole::new("[::1]:0");
        let before = clock::now().monotonic;
        assert_eq!(status_of(vec![dead.address, server()]).await, 204);
        let took = clock::now().monotonic.since(before);
        // Far below the seconds that a dead address may take, and generous for a busy machine.
        assert!(took < connect::LIMIT / 2, "{took:?}");
    }

    #[tokio::test]
    async fn refused_ipv6_gives_way_to_ipv4() {
        let gone = TcpListener::bind("[::1]:0").unwrap().local_addr().unwrap();
        assert_eq!(status_of(vec![gone, server()]).await, 204);
    }

    #[test]
    fn a_cause_is_found_inside_of_io_errors() {
        let tls = rustls::Error::DecryptError;
        let wrapped = io::Error::other(io::Error::other(tls));
        assert!(find::<rustls::Error>(&wrapped).is_some());
        let plain = io::Error::from(io::ErrorKind::TimedOut);
        assert!(find::<rustls::Error>(&plain).is_none());
    }
}
