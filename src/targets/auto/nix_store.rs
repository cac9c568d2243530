//! The spellings of a substituter: a Nix store's URL → where it is. Pure.

use std::collections::BTreeMap;

use reqwest::Url;

use super::place::{Place, invalid, url};
use super::ssh::Destination;
use crate::targets::Target;

/// Where a substituter is. Several targets are ways to prove the same one.
pub(super) fn place(written: &str) -> Place {
    let base = written.split('?').next().unwrap_or_default();
    let Some((scheme, _)) = base.split_once("://") else {
        return without_scheme(base);
    };
    match scheme {
        "http" | "https" => cache(written),
        "s3" => s3(written),
        "ssh" | "ssh-ng" | "mounted-ssh-ng" => match Destination::of(written) {
            Some(destination) => Place::Ssh(destination),
            None => Place::Unknown("it names no host".into()),
        },
        "file" | "local" | "unix" | "dummy" | "local-overlay" => Place::Local,
        _ => Place::Unknown(format!("Nix has no store type {scheme}://")),
    }
}

/// Without `://`, a single word is one of Nix's own, and what has a slash is a folder.
fn without_scheme(base: &str) -> Place {
    match base {
        "" | "auto" | "daemon" | "local" => Place::Local,
        path if path.contains('/') => Place::Local,
        _ => Place::Unknown("Nix refuses it; a substituter's URL begins with https://".into()),
    }
}

fn cache(written: &str) -> Place {
    let target = url(written).and_then(|url| format!("nix-cache:{url}").parse().ok());
    match target {
        Some(target) => Place::Targets(vec![target]),
        None => invalid(written),
    }
}

/// The bucket where Nix asks for it: below its own name, unless that has dots or an endpoint is given.
fn s3(written: &str) -> Place {
    let Some((bucket, options)) = bucket(written) else {
        return Place::Unknown("it names no bucket".into());
    };
    let option = |name: &str| options.get(name).map(String::as_str);
    let scheme = option("scheme").unwrap_or("https");
    let region = option("region").unwrap_or("us-east-1");
    let base = match option("endpoint") {
        None => format!("{scheme}://s3.{region}.amazonaws.com"),
        Some(endpoint) if endpoint.contains("://") => endpoint.to_owned(),
        Some(endpoint) => format!("{scheme}://{endpoint}"),
    };
    let below_its_name = match option("addressing-style") {
        Some(style) => style == "virtual" || (style == "auto" && option("endpoint").is_none()),
        None => option("endpoint").is_none(),
    };
    let base = base.trim_end_matches('/');
    match base.split_once("://") {
        Some((scheme, host)) if below_its_name && !bucket.contains('.') => {
            object_store(&format!("{scheme}://{bucket}.{host}"))
        }
        _ => object_store(&format!("{base}/{bucket}")),
    }
}

fn bucket(written: &str) -> Option<(String, BTreeMap<String, String>)> {
    let url = Url::parse(written).ok()?;
    let bucket = url.host_str().filter(|host| !host.is_empty())?.to_owned();
    Some((bucket, url.query_pairs().into_owned().collect()))
}

/// A private bucket refuses in XML, which over http is the only proof there is.
fn object_store(base: &str) -> Place {
    let targets = match url(&format!("{base}/nix-cache-info")) {
        Some(info) if info.scheme() == "https" => vec![Target::Https { url: info.into() }],
        Some(info) if info.scheme() == "http" => {
            let refusal = Target::Http {
                url: info.into(),
                expect: Some("<?xml".into()),
            };
            let public = format!("nix-cache:{base}").parse().ok();
            public.into_iter().chain([refusal]).collect()
        }
        _ => return Place::Unknown("its endpoint is neither https:// nor http://".into()),
    };
    Place::Targets(targets)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_http_endpoint_may_prove_itself_by_its_refusal() {
        let Place::Targets(targets) = place("s3://b/x?endpoint=http://minio:9000") else {
            panic!("an endpoint is probed");
        };
        assert_eq!(targets[0].to_string(), "nix-cache:http://minio:9000/b");
        assert_eq!(targets[1].to_string(), "http://minio:9000/b/nix-cache-info");
    }

    proptest! {
        #[test]
        fn any_substituter_is_read_without_a_panic(
            text in prop_oneof![".*", "(s3|ssh|https)://[a-z0-9.:@\\[\\]?=&/%-]*"],
        ) {
            let _ = place(&text);
        }
    }
}
