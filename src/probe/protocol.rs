//! What the gate and its probe child say to each other: one JSON line each way.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::targets::{Via, Wanted};

/// What the child is asked, on its standard input. Proxies come from the environment, as Nix has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeRequest {
    /// What must be reached.
    pub wanted: Wanted,
    /// How URLs of these origins are asked that are not asked as the environment says.
    #[serde(default)]
    pub proxies: BTreeMap<String, Via>,
    /// nix.conf's `ssl-cert-file`: used after `NIX_SSL_CERT_FILE` and `SSL_CERT_FILE`.
    pub ssl_cert_file: Option<PathBuf>,
}

/// What the child answers, on its standard output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeAnswer {
    /// Every address that the route is about: the targets' own, or their proxies'.
    pub addresses: Vec<IpAddr>,
    /// What came out of it.
    pub verdict: ProbeResult,
}

/// Reached, or the failure that explains most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeResult {
    /// Every group was; the targets that answered, as they are written.
    Reached(Vec<String>),
    /// A group was not.
    Failed {
        /// A reason's label (`crate::gate::reason`).
        reason: String,
        /// The target.
        target: String,
        /// What happened, for people.
        detail: String,
        /// See `crate::gate::event::Failure::may_be_portal`.
        may_be_portal: bool,
    },
}
