//! The probe child itself: the real binary against real servers on loopback.

mod network;
mod openssl;
mod proxies;
mod trust;
mod web;

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use upgrade_gate::probe::protocol::{ProbeAnswer, ProbeRequest, ProbeResult};
use upgrade_gate::targets::{Target, Wanted};

use crate::support::http::{Reply, Server};
use crate::support::tls::{Ca, Validity, https};

const CACHE: &str = "StoreDir: /nix/store\nWantMassQuery: 1\n";

/// One run of the child.
#[derive(Default)]
struct Probe {
    groups: Vec<Vec<Target>>,
    env: BTreeMap<&'static str, String>,
    ssl_cert_file: Option<std::path::PathBuf>,
}

impl Probe {
    fn of(target: Target) -> Self {
        Self::all(vec![vec![target]])
    }

    fn all(groups: Vec<Vec<Target>>) -> Self {
        Self {
            groups,
            ..Self::default()
        }
    }

    fn env(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.env.insert(name, value.into());
        self
    }

    fn trusting(self, ca: &Ca, folder: &tempfile::TempDir) -> Self {
        let file = ca.write(folder.path());
        self.env("NIX_SSL_CERT_FILE", file.display().to_string())
    }

    fn run(self) -> ProbeAnswer {
        let request = ProbeRequest {
            wanted: Wanted {
                groups: self.groups,
            },
            ssl_cert_file: self.ssl_cert_file,
            ..ProbeRequest::default()
        };
        let request = serde_json::to_vec(&request).unwrap();
        serde_json::from_slice(&child(&request, &self.env)).unwrap()
    }

    fn reached(self) -> Vec<String> {
        match self.run().verdict {
            ProbeResult::Reached(targets) => targets,
            failed @ ProbeResult::Failed { .. } => panic!("{failed:?}"),
        }
    }

    #[track_caller]
    fn fails(self, expected: &str) -> Failed {
        match self.run().verdict {
            ProbeResult::Failed {
                reason,
                detail,
                may_be_portal,
                target,
            } => {
                assert_eq!(reason, expected, "{target}: {detail}");
                Failed {
                    detail,
                    may_be_portal,
                }
            }
            reached @ ProbeResult::Reached(_) => panic!("{reached:?}"),
        }
    }
}

#[derive(Debug)]
struct Failed {
    detail: String,
    may_be_portal: bool,
}

fn child(request: &[u8], env: &BTreeMap<&'static str, String>) -> Vec<u8> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_upgrade-gate"))
        .arg("__probe")
        .env_clear()
        .envs(env)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(request).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    output.stdout
}

fn cache(url: impl std::fmt::Display) -> Target {
    Target::NixCache {
        url: url.to_string(),
    }
}

fn secure(url: impl std::fmt::Display) -> Target {
    Target::Https {
        url: url.to_string(),
    }
}

fn plain(url: impl std::fmt::Display) -> Target {
    Target::Http {
        url: url.to_string(),
        expect: None,
    }
}

fn expecting(server: &Server, expect: &str) -> Target {
    Target::Http {
        url: http_url(server),
        expect: Some(expect.to_owned()),
    }
}

fn ssh(port: u16) -> Target {
    Target::Ssh {
        host: "127.0.0.1".to_owned(),
        port,
    }
}

fn tcp(port: u16) -> Target {
    Target::Tcp {
        host: "127.0.0.1".to_owned(),
        port,
    }
}

fn http_url(server: &Server) -> String {
    format!("http://{}", server.address())
}

fn https_url(server: &Server) -> String {
    format!("https://{}", server.address())
}

fn answering(reply: Reply) -> Server {
    Server::start(move |_| reply.clone())
}

/// An HTTPS server for 127.0.0.1, whose issuer is known.
fn trusted(reply: Reply) -> (Server, Ca, tempfile::TempDir) {
    let ca = Ca::new();
    let config = ca.issue("127.0.0.1", Validity::Now);
    let server = https(config, move |_| reply.clone());
    (server, ca, tempfile::tempdir().unwrap())
}
