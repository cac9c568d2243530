//! Names, connections and groups, `ssh` and `tcp` targets, and the gate's side of it all.

use std::ffi::OsString;
use std::time::Duration;

use upgrade_gate::gate::event::{Outcome, ProbeId};
use upgrade_gate::gate::reason::Reason;
use upgrade_gate::probe::Prober;

use super::*;
use crate::namespace::{enter, ip};
use crate::support::http::closed;

#[test]
fn a_connection_that_is_closed_at_once_is_unreachable() {
    let server = Server::speaking_first(Reply::default());
    Probe::of(plain(http_url(&server))).fails("unreachable");
    Probe::of(ssh(server.port())).fails("unreachable");
    let failed = Probe::of(secure(https_url(&server))).fails("unreachable");
    assert!(failed.may_be_portal, "{failed:?}");
}

#[test]
fn a_refused_connection_names_who_refused_it() {
    let nobody = closed();
    let expected = format!("connection refused by {nobody}");
    for target in [
        plain(format!("http://{nobody}")),
        cache(format!("https://{nobody}")),
        ssh(nobody.port()),
        tcp(nobody.port()),
    ] {
        let https = matches!(target, Target::NixCache { .. });
        let failed = Probe::of(target).fails("unreachable");
        assert_eq!(failed.detail, expected);
        assert_eq!(failed.may_be_portal, https);
    }
}

#[test]
fn ssh_is_known_by_its_banner_which_may_follow_other_lines() {
    let pause = Duration::from_millis(20);
    let banner = Reply::after(pause, Reply::raw("SSH-2.0-OpenSSH_10\r\n")).and(Reply::hang());
    let server = Server::speaking_first(Reply::raw("Welcome\r\n").and(banner));
    Probe::of(ssh(server.port())).reached();
    let http = Server::speaking_first(Reply::raw("HTTP/1.1 400 Bad Request\r\n\r\n"));
    Probe::of(ssh(http.port())).fails("unexpected_answer");
    let endless = Server::speaking_first(Reply::default().endlessly("no banner\r\n"));
    Probe::of(ssh(endless.port())).fails("unexpected_answer");
}

#[test]
fn tcp_is_satisfied_by_an_accepted_connection() {
    let server = Server::speaking_first(Reply::hang());
    Probe::of(tcp(server.port())).reached();
}

#[test]
fn a_name_that_nobody_knows_is_a_matter_of_dns() {
    let host = "cache.invalid";
    let targets = [
        cache(format!("https://{host}")),
        plain(format!("http://{host}")),
        Target::Tcp {
            host: host.to_owned(),
            port: 1,
        },
    ];
    for target in targets {
        let failed = Probe::of(target).fails("dns");
        assert!(failed.detail.contains("cache.invalid does not resolve"));
        assert!(!failed.may_be_portal);
    }
}

#[test]
fn when_the_time_is_up_it_is_told_what_was_waited_for() {
    let silent = Server::speaking_first(Reply::hang());
    let targets = [
        plain(http_url(&silent)),
        secure(https_url(&silent)),
        ssh(silent.port()),
    ];
    let waits = targets.map(|target| {
        std::thread::spawn(move || {
            let failed = Probe::of(target).fails("unreachable");
            assert!(failed.detail.contains("no answer from 127"), "{failed:?}");
        })
    });
    let page = Reply::raw("HTTP/1.1 200 OK\r\n\r\n<html>").and(Reply::hang());
    let endless = answering(page);
    // What its end would have said is not known: no portal is made of it.
    let failed = Probe::of(cache(http_url(&endless))).fails("unreachable");
    assert!(
        failed.detail.contains("not finished its answer"),
        "{failed:?}"
    );
    for wait in waits {
        wait.join().unwrap();
    }
}

#[test]
fn all_groups_must_be_reached_and_of_each_group_one_target() {
    let (server, nobody) = (answering(Reply::ok(CACHE)), closed());
    let (good, bad) = (cache(http_url(&server)), tcp(nobody.port()));
    let any = vec![bad.clone(), good.clone()];
    let both = Probe::all(vec![any.clone(), vec![good.clone()]]).reached();
    assert_eq!(both, [good.to_string(), good.to_string()]);
    Probe::all(vec![any, vec![bad]]).fails("unreachable");
}

#[test]
fn a_target_that_hangs_delays_no_other_of_its_group() {
    let silent = Server::speaking_first(Reply::hang());
    let good = answering(Reply::ok(CACHE));
    let any = vec![cache(http_url(&silent)), cache(http_url(&good))];
    assert_eq!(
        Probe::all(vec![any]).reached(),
        [cache(http_url(&good)).to_string()]
    );
}

#[test]
fn the_failure_that_explains_most_is_told() {
    let portal = answering(Reply::redirect("http://login.invalid/"));
    let nobody = closed();
    let groups = vec![vec![tcp(nobody.port())], vec![cache(http_url(&portal))]];
    Probe::all(groups).fails("portal");
}

#[test]
#[ignore = "needs root, to make network namespaces"]
fn a_network_without_a_route_to_the_target_has_a_label_of_its_own() {
    if !enter("probe::network::a_network_without_a_route_to_the_target_has_a_label_of_its_own") {
        return;
    }
    ip(
        "link add here type veth peer name there\nlink set here up\nlink set there up\naddress add 10.7.0.2/24 dev here",
    );
    let far = "203.0.113.5";
    for target in [
        plain(format!("http://{far}")),
        cache(format!("https://{far}")),
        "ssh://203.0.113.5".parse().unwrap(),
        "tcp://[2001:db8::5]:9".parse().unwrap(),
    ] {
        let failed = Probe::of(target).fails("no_route");
        assert!(failed.detail.starts_with("no route to "), "{failed:?}");
        assert!(!failed.may_be_portal, "{failed:?}");
    }
    let behind = Probe::of(cache("https://cache.invalid"));
    let proxy = format!("http://{far}:3128");
    let failed = behind.env("https_proxy", proxy.clone()).fails("no_route");
    let detail = format!("no route to the proxy {proxy}");
    assert_eq!(failed.detail, detail);
}

#[test]
fn nothing_to_probe_and_nonsense_are_unknown() {
    Probe::default().fails("unknown");
    Probe::all(vec![Vec::new()]).fails("unknown");
    Probe::of(cache("ftp://x")).fails("unknown");
    for request in ["", "{", "[]", "{\"wanted\":1}"] {
        let said = child(request.as_bytes(), &BTreeMap::new());
        let answer: ProbeAnswer = serde_json::from_slice(&said).unwrap();
        assert!(
            matches!(&answer.verdict, ProbeResult::Failed { reason, .. } if reason == "unknown"),
            "{answer:?}"
        );
    }
}

fn prober(target: Target) -> Prober {
    let request = ProbeRequest {
        wanted: Wanted {
            groups: vec![vec![target]],
        },
        ..ProbeRequest::default()
    };
    let program = [env!("CARGO_BIN_EXE_upgrade-gate"), "__probe"];
    Prober::with_program(request, program.map(OsString::from).to_vec())
}

#[tokio::test]
async fn the_gates_side_hears_what_the_real_child_found() {
    let server = Server::speaking_first(Reply::raw("SSH-2.0-x\r\n"));
    let mut good = prober(ssh(server.port()));
    good.start(ProbeId(1));
    let finished = good.finished().await;
    assert_eq!(
        finished.outcome,
        Outcome::Reached(ssh(server.port()).to_string())
    );
    assert_eq!(finished.addresses, [server.address().ip()]);
    let nobody = closed();
    let mut bad = prober(tcp(nobody.port()));
    bad.start(ProbeId(2));
    match bad.finished().await.outcome {
        Outcome::Failed(failure) => assert_eq!(failure.reason, Reason::Unreachable),
        Outcome::Reached(what) => panic!("reached {what}"),
    }
}
