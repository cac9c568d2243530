//! Whole configurations of apt, as `auto` reads them.

use crate::targets::Via;
use crate::targets::auto::tests::derived;
use crate::targets::auto::{Derived, Env};

fn apt(files: &[(&str, &str)]) -> Derived {
    derived(files, &Env::default(), "apt-daily", None, "")
}

fn probed(line: &str) -> String {
    let found = apt(&[("/etc/apt/sources.list", line)]);
    let targets = found.groups.iter().flatten().map(ToString::to_string);
    targets.collect::<Vec<_>>().join(" ")
}

#[test]
fn apt_config_counts_wherever_the_command_sets_it() {
    let files = [
        ("/etc/apt/sources.list", "deb https://a s main\n"),
        ("/other/list", "deb https://b s main\n"),
        ("/other/conf", "Dir::Etc::sourcelist \"/other/list\";"),
    ];
    let of = |line: &str| {
        let found = derived(&files, &Env::default(), "x", None, line);
        let targets = found.groups.iter().flatten().map(ToString::to_string);
        targets.collect::<String>()
    };
    let (own, other) = ("https://a/dists/s/InRelease", "https://b/dists/s/InRelease");
    assert_eq!(of("apt-get update"), own);
    for set in [
        "env APT_CONFIG=/other/conf apt-get update",
        "sudo APT_CONFIG=/other/conf apt-get update",
        "env APT_CONFIG=/other/conf sh -c apt-get",
        "env -S APT_CONFIG=/other/conf\tapt-get",
    ] {
        assert_eq!(of(set), other, "{set}");
    }
    assert_eq!(
        of("env APT_CONFIG=/other/conf env -u APT_CONFIG apt-get"),
        own
    );
    assert_eq!(of("sh -c APT_CONFIG=/other/conf\ttrue;apt-get"), own);
}

#[test]
fn each_kind_of_source_is_probed_where_its_index_is() {
    for (line, expected) in [
        (
            "deb http://a/debian bookworm main",
            "http://a/debian/dists/bookworm/InRelease",
        ),
        ("deb https://a/b/ s c", "https://a/b/dists/s/InRelease"),
        ("deb https://a/flat ./", "https://a/flat/InRelease"),
        ("deb https://a/flat /", "https://a/flat/InRelease"),
        ("deb https://a/flat sub/", "https://a/flat/sub/InRelease"),
        (
            "deb https://me:secret@a/b s c",
            "https://a/b/dists/s/InRelease",
        ),
        ("deb http://me:secret@a/b s c", "tcp://a:80"),
        ("deb mirror+https://a/list s c", "https://a/list"),
        ("deb mirror://a/list s c", "tcp://a:80"),
        ("deb tor+https://a/b s c", "https://a/b/dists/s/InRelease"),
        ("deb tor+http://me@a/b s c", "tcp://127.0.0.1:9050"),
        ("deb ar+https://a/b s c", "https://a/b/dists/s/InRelease"),
        ("deb ftp://a/b s c", "tcp://a:21"),
        ("deb ssh://a/b s c", "ssh://a.resolved:2222"),
        ("deb-src https://a s c", "https://a/dists/s/InRelease"),
        ("deb cdrom:[Debian 12]/ s c", ""),
        ("deb file:/srv/x s c", ""),
        ("deb https://me:p@s/secret@a s c", ""),
        ("deb https://m/e:secret@a/b s c", ""),
        ("deb odd:x s c", ""),
    ] {
        assert_eq!(probed(line), expected, "{line}");
        assert!(
            !format!("{:?}", apt(&[("/etc/apt/sources.list", line)])).contains("secret"),
            "{line}"
        );
    }
}

#[test]
fn one_host_is_asked_once_over_https_and_for_each_suite_over_http() {
    let text = "Types: deb\nURIs: https://a/x https://a/y http://b\nSuites: s t\nComponents: c\n";
    let found = apt(&[("/etc/apt/sources.list.d/x.sources", text)]);
    let shown: Vec<_> = found.groups[0].iter().map(ToString::to_string).collect();
    let expected = [
        "https://a/x/dists/s/InRelease",
        "http://b/dists/s/InRelease",
        "http://b/dists/t/InRelease",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn the_mirrors_of_a_list_on_this_machine_are_probed() {
    let list =
        "# c\nhttps://me:secret@a/debian\tpriority:1 arch:amd64\nhttps://b/debian/\nfile:/srv\n";
    let files = [
        (
            "/etc/apt/sources.list",
            "deb mirror+file:/etc/apt/mirrors/x s main\ndeb mirror+file:/gone s main\n",
        ),
        ("/etc/apt/mirrors/x", list),
    ];
    let found = apt(&files);
    let shown: Vec<_> = found.groups[0].iter().map(ToString::to_string).collect();
    assert_eq!(
        shown,
        [
            "https://a/debian/dists/s/InRelease",
            "https://b/debian/dists/s/InRelease"
        ]
    );
    assert!(
        found
            .notes
            .iter()
            .any(|note| note.contains("cannot be read"))
    );
    assert!(!format!("{found:?}").contains("secret"));
}

#[test]
fn the_proxy_of_apt_is_asked_for_the_target_and_shown_without_its_login() {
    let files = [
        (
            "/etc/apt/sources.list",
            "deb http://a s c\ndeb https://b s c\ndeb http://me@c s c\n",
        ),
        (
            "/etc/apt/apt.conf.d/01x",
            "Acquire::http::Proxy \"http://me:secret@p:3142\";",
        ),
        ("/etc/apt/apt.conf", "Acquire::https::Proxy::b \"DIRECT\";"),
        (
            "/etc/apt/apt.conf.d/x.disabled",
            "Acquire::http::Proxy \"http://never:1\";",
        ),
    ];
    let found = apt(&files);
    assert_eq!(
        found.proxies["http://a"],
        Via::Proxy("http://me:secret@p:3142".into())
    );
    assert_eq!(found.proxies["https://b"], Via::Direct);
    assert_eq!(found.groups[0][2].to_string(), "tcp://p:3142");
    let notes = found.notes.join("\n");
    assert!(
        notes.contains("through the proxy http://p:3142") && !notes.contains("secret"),
        "{notes}"
    );
}

#[test]
fn what_only_a_program_knows_is_not_probed_and_that_is_said() {
    let files = [
        ("/etc/apt/sources.list", "deb http://a s c\n"),
        (
            "/etc/apt/apt.conf.d/auto",
            "Acquire { http { Proxy-Auto-Detect \"/usr/bin/x\"; }; };",
        ),
    ];
    let found = apt(&files);
    assert!(found.groups.is_empty() && !found.is_local());
    assert!(
        found.notes[0].contains("Proxy-Auto-Detect"),
        "{:?}",
        found.notes
    );
}

#[test]
fn sources_that_are_all_on_this_machine_need_no_network() {
    let local = "deb cdrom:[x]/ s c\ndeb file:/srv s c\n";
    assert!(apt(&[("/etc/apt/sources.list", local)]).is_local());
    let odd = "deb file:/srv s c\ndeb odd://x s c\n";
    assert!(!apt(&[("/etc/apt/sources.list", odd)]).is_local());
    assert!(!apt(&[]).is_local());
    let files = [("/etc/apt/sources.list", local)];
    assert!(!derived(&files, &Env::default(), "other", None, "").is_local());
}

#[test]
fn the_sources_are_where_the_configuration_and_the_command_say() {
    let files = [
        ("/etc/apt/sources.list", "deb https://never s c\n"),
        ("/srv/apt/my.list", "deb https://a s c\n"),
        ("/srv/parts/x.list", "deb https://b s c\n"),
        ("/srv/parts/x.list.save", "deb https://never s c\n"),
        (
            "/etc/apt/apt.conf",
            "Dir::Etc \"/srv/apt\"; Dir::Etc::sourceparts \"/srv/parts/\";",
        ),
    ];
    let line = "nice apt-get -o Dir::Etc::sourcelist=my.list update";
    let found = derived(&files, &Env::default(), "other", None, line);
    assert_eq!(found.groups[0].len(), 2, "{:?}", found.groups);
    let line = "apt-get -oDir::Etc::sourcelist=my.list --option=Dir::Etc::sourceparts=- update";
    assert_eq!(
        derived(&files, &Env::default(), "other", None, line).groups[0].len(),
        1
    );
}

#[test]
fn what_apt_refuses_is_a_warning_with_file_and_line_that_quotes_nothing() {
    let files = [
        (
            "/etc/apt/sources.list",
            "deb https://a s c\n\nrpm https://me:secret@b s c\n",
        ),
        ("/etc/apt/apt.conf", "Acquire::x secret secret;\n"),
    ];
    let found = apt(&files);
    assert_eq!(found.groups.len(), 1);
    let expected = [
        "/etc/apt/apt.conf:1: apt refuses this line",
        "/etc/apt/sources.list:3: apt refuses this source",
    ];
    assert_eq!(found.warnings, expected);
}

#[test]
fn a_login_in_auth_conf_makes_a_refusal_over_http_no_proof() {
    let files = [
        (
            "/etc/apt/sources.list",
            "deb http://a/x s c\ndeb http://b/x s c\n",
        ),
        (
            "/etc/apt/auth.conf.d/a.conf",
            "machine http://a/x login me password secret\nmachine b login x password y\n",
        ),
    ];
    let found = apt(&files);
    assert_eq!(found.groups[0][0].to_string(), "tcp://a:80");
    assert_eq!(
        found.groups[0][1].to_string(),
        "http://b/x/dists/s/InRelease"
    );
}

#[test]
fn the_documentation_tells_how_each_source_is_read() {
    let (_, text) = include_str!("../../../../docs/targets.md")
        .split_once("## apt")
        .unwrap();
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let rows: Vec<_> = rows.filter_map(|row| row.split_once("` | ")).collect();
    for (line, expected) in &rows {
        assert_eq!(probed(line), expected.replace("nothing", ""), "{line}");
    }
    assert!(rows.len() > 10, "the table is found");
}
