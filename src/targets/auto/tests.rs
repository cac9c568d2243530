//! Whole worlds in temporary folders, and the rows of docs/targets.md.

use std::cell::Cell;
use std::fs;

use super::*;

/// A root folder with these files.
pub(super) fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

/// A machine that consists of these files; ssh resolves `jump` by a jump host and everything else as it is.
pub(super) fn derived(
    files: &[(&str, &str)],
    env: &Env,
    profile: &str,
    flake: Option<&str>,
    line: &str,
) -> Derived {
    let root = machine(files);
    let ssh = |arguments: &[String]| match arguments.last().map(String::as_str) {
        Some("jump") => Ok("hostname jump\nproxyjump bastion\n".to_owned()),
        host => Ok(format!(
            "hostname {}.resolved\nport 2222\n",
            host.unwrap_or_default()
        )),
    };
    let world = MachineView {
        root: root.path(),
        cwd: Path::new("/home"),
        env,
        ssh: &ssh,
    };
    let command: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    derive(profile, flake, &command, &world)
}

/// The groups as text: targets joined by `|`.
pub(super) fn groups(derived: &Derived) -> Vec<String> {
    let shown = |group: &Vec<Target>| {
        let targets: Vec<_> = group.iter().map(ToString::to_string).collect();
        targets.join(" | ")
    };
    derived.groups.iter().map(shown).collect()
}

fn nixos(files: &[(&str, &str)], flake: Option<&str>, line: &str) -> Derived {
    derived(files, &Env::default(), "nixos-upgrade", flake, line)
}

pub(super) const CACHE: &str = "nix-cache:https://cache.nixos.org";

#[test]
fn substituters_of_the_command_that_cannot_be_probed_leave_those_of_nix_conf() {
    let files = [("/etc/nix/nix.conf", "substituters = https://mine\n")];
    let line = "nixos-rebuild switch --option substituters \"https://a";
    let found = nixos(&files, None, line);
    assert_eq!(groups(&found), ["nix-cache:https://mine"]);
    let warning = "the command: substituter \"https://a";
    assert!(
        found.warnings[0].starts_with(warning),
        "{:?}",
        found.warnings
    );
}

#[test]
fn a_plain_nixos_reaches_the_default_cache_and_the_channels_of_root() {
    let channels = "https://channels.nixos.org/nixos-25.11 nixos\n# no\nfile:///x y\n";
    let world = [("/root/.nix-channels", channels)];
    let derived = nixos(&world, None, "nixos-rebuild switch --upgrade");
    assert_eq!(
        groups(&derived),
        [CACHE, "https://channels.nixos.org/nixos-25.11"]
    );
    assert_eq!(derived.warnings, [""; 0]);
}

#[test]
fn the_search_path_takes_the_place_of_its_own_channels_only() {
    let channels = "https://c.example/nixos nixos\nhttps://c.example/hm home-manager\n";
    let registry = r#"{"flakes":[{"from":{"type":"indirect","id":"corp"},
        "to":{"type":"sourcehut","owner":"~a","repo":"b"}}]}"#;
    let files = [
        ("/root/.nix-channels", channels),
        ("/etc/nix/registry.json", registry),
    ];
    let env = |nix_path: &str| Env {
        nix_path: Some(nix_path.to_owned()),
        ..Env::default()
    };
    let of = |nix_path: &str, line: &str| {
        groups(&derived(&files, &env(nix_path), "x", None, line))[1..].join(" ")
    };
    let (nixos, home) = ("https://c.example/nixos", "https://c.example/hm");
    let rebuild = "nixos-rebuild switch";
    assert_eq!(of("nixos-config=/etc/x", rebuild), [nixos, home].join(" "));
    assert_eq!(
        of("nixpkgs=flake:corp", rebuild),
        ["https://git.sr.ht/", home].join(" ")
    );
    let set = "env NIX_PATH=home-manager=https://e.example/h:/x nixos-rebuild switch";
    assert_eq!(of("", set), ["https://e.example/h", nixos].join(" "));
    let named = "nixos-rebuild switch -I nixpkgs=https://e.example/n";
    assert_eq!(of("", named), ["https://e.example/n", home].join(" "));
    // What is only in the environment need not be looked up.
    assert_eq!(of("nixpkgs=flake:corp", "nix-store --gc"), "");
    assert_eq!(
        of("", "nix-build https://e.example/b"),
        "https://e.example/b"
    );
}

#[test]
fn nh_without_a_flake_takes_that_of_its_variables() {
    let of = |line: &str| groups(&nixos(&[], None, line))[1..].join(" ");
    let os = "env NH_FLAKE=gitlab:a/b NH_OS_FLAKE=sourcehut:~a/b nh os switch";
    assert_eq!(of(os), "https://git.sr.ht/");
    assert_eq!(
        of("env FLAKE=gitlab:a/b nh home switch"),
        "https://gitlab.com/"
    );
    assert_eq!(of("env FLAKE=gitlab:a/b nh clean all"), "");
    assert_eq!(
        of("env FLAKE=gitlab:a/b nh os switch sourcehut:~a/b"),
        "https://git.sr.ht/"
    );
}

#[test]
fn an_upgrade_of_a_profile_reaches_the_flakes_that_it_was_installed_from() {
    let manifest = r#"{"version":3,"elements":{
        "a":{"originalUrl":"gitlab:a/a"},"b":{"originalUrl":"sourcehut:~a/b"},"c":{"storePaths":[]}}}"#;
    let old = r#"{"version":2,"elements":[{"originalUrl":"gitlab:o/o"}]}"#;
    let env = Env {
        home: Some("/h".into()),
        ..Env::default()
    };
    let of = |file: (&str, &str), line: &str| {
        groups(&derived(&[file], &env, "x", None, line))[1..].join(" ")
    };
    let place = "/h/.nix-profile/manifest.json";
    let (a, b) = ("https://gitlab.com/", "https://git.sr.ht/");
    let all = [a, b].join(" ");
    assert_eq!(of((place, manifest), "nix profile upgrade --all"), all);
    assert_eq!(of((place, manifest), "nix profile upgrade b"), b);
    assert_eq!(of((place, manifest), "nix profile list"), "");
    let xdg = "/h/.local/state/nix/profile/manifest.json";
    assert_eq!(of((xdg, old), "nix profile upgrade 0"), a);
    assert_eq!(of((place, "[]"), "nix profile upgrade --all"), "");
    let newest = of((place, manifest), "nix upgrade-nix");
    assert!(newest.starts_with("https://github.com/NixOS/nixpkgs/raw/"));
}

#[test]
fn nix_conf_is_read_with_includes_users_files_environment_and_command() {
    let files = [
        (
            "/etc/nix/nix.conf",
            "substituters = https://a\n!include gone\ninclude more.conf\nssl-cert-file = /ca\n",
        ),
        (
            "/etc/nix/more.conf",
            "extra-substituters = file:///x ssh-ng://host\n",
        ),
        (
            "/root/.config/nix/nix.conf",
            "extra-substituters = https://user\n",
        ),
        (
            "/etc/xdg/nix/nix.conf",
            "extra-substituters = https://xdg\n",
        ),
    ];
    let env = Env {
        home: Some("/root".into()),
        nix_config: Some("extra-substituters = https://env".into()),
        ..Env::default()
    };
    let line = "nixos-rebuild switch --option extra-substituters https://command";
    let derived = derived(&files, &env, "nixos-upgrade", Some("/etc/nixos"), line);
    let expected = "nix-cache:https://a | ssh://host.resolved:2222 | nix-cache:https://xdg | \
                    nix-cache:https://user | nix-cache:https://env | nix-cache:https://command";
    assert_eq!(groups(&derived), [expected]);
    assert_eq!(derived.ssl_cert_file, Some("/ca".into()));
    assert_eq!(derived.warnings, [""; 0]);
}

#[test]
fn a_line_that_nix_refuses_and_an_include_that_is_gone_or_loops_are_named_with_file_and_line() {
    let files = [(
        "/etc/nix/nix.conf",
        "lonely\ninclude gone\ninclude nix.conf\nsubstituters = word\n",
    )];
    let derived = nixos(&files, Some("."), "");
    let places: Vec<_> = derived
        .warnings
        .iter()
        .map(|warning| &warning[..20])
        .collect();
    let expected = [1, 2, 3, 4].map(|line| format!("/etc/nix/nix.conf:{line}:"));
    assert_eq!(places, expected);
    assert!(derived.groups.is_empty());
}

#[test]
fn an_include_loop_spelt_differently_each_time_ends() {
    let files = [("/etc/nix/nix.conf", "include ../nix/nix.conf\n")];
    let derived = nixos(&files, Some("."), "");
    assert!(
        derived
            .warnings
            .iter()
            .any(|warning| warning.contains("includes itself"))
    );
}

#[test]
fn behind_a_jump_host_nothing_is_probed_and_that_is_said() {
    let derived = nixos(&[], Some("git+ssh://git@jump/config"), "");
    assert_eq!(groups(&derived), [CACHE]);
    assert!(
        derived
            .notes
            .iter()
            .any(|note| note.contains("not probed: ssh reaches it by ProxyJump bastion"))
    );
}

#[test]
fn the_profile_names_the_flake_before_the_command_does() {
    let derived = nixos(&[], Some("gitlab:a/b"), "nixos-rebuild --flake github:a/b");
    assert_eq!(groups(&derived)[1..], ["https://gitlab.com/"]);
}

#[test]
fn inputs_of_a_local_flake_that_are_looked_up_again_are_reached() {
    let lock = r#"{"root":"r","nodes":{"r":{"inputs":{"nixpkgs":"n"}},
        "n":{"original":{"type":"indirect","id":"nixpkgs"}}}}"#;
    let registry = r#"{"version":2,"flakes":[{"from":{"type":"indirect","id":"nixpkgs"},
        "to":{"type":"sourcehut","owner":"~a","repo":"b"}}]}"#;
    let files = [
        ("/etc/nixos/flake.nix", ""),
        ("/etc/nixos/flake.lock", lock),
        ("/etc/nix/registry.json", registry),
    ];
    let updated = nixos(&files, None, "nixos-rebuild boot --update-input nixpkgs");
    assert_eq!(groups(&updated), [CACHE, "https://git.sr.ht/"]);
    let updated = nixos(&files, None, "nix flake update");
    assert_eq!(groups(&updated), [CACHE, "https://git.sr.ht/"]);
    assert_eq!(groups(&nixos(&files, None, "nixos-rebuild boot")), [CACHE]);
}

#[test]
fn a_name_that_no_file_knows_means_the_global_registry() {
    let derived = nixos(&[], Some("nixpkgs"), "");
    assert_eq!(
        groups(&derived)[1..],
        ["https://channels.nixos.org/flake-registry.json"]
    );
}

#[test]
fn fwupd_needs_each_remote_that_is_enabled_and_has_its_login() {
    let remote = |rest: &str| format!("[fwupd Remote]\n{rest}\n");
    let lvfs = remote("Enabled=true\nMetadataURI=https://cdn.fwupd.org/firmware.xml.zst");
    let off = remote("Enabled=false\nMetadataURI=https://off.example/x");
    let embargo = remote("Enabled=true\nRequiresAuth=true\nMetadataURI=https://auth.example/x");
    let local = remote("Enabled=true\nMetadataURI=file:///usr/share/x");
    let own = remote("Enabled=true\nMetadataURI=https://own.example/x");
    let files = [
        ("/etc/fwupd/remotes.d/lvfs.conf", lvfs.as_str()),
        ("/etc/fwupd/remotes.d/off.conf", &off),
        ("/etc/fwupd/remotes.d/embargo.conf", &embargo),
        ("/etc/fwupd/remotes.d/vendor.conf", &local),
        ("/var/lib/fwupd/remotes.d/own.conf", &own),
    ];
    let derived = derived(&files, &Env::default(), "fwupd-refresh", None, "");
    assert_eq!(
        groups(&derived),
        [
            "https://own.example/x",
            "https://cdn.fwupd.org/firmware.xml.zst"
        ]
    );
}

#[test]
fn other_profiles_take_the_first_source_there_is() {
    let page = (
        "/usr/lib/NetworkManager/conf.d/c.conf",
        "[connectivity]\nuri=http://nm.example/\n",
    );
    let apt = (
        "/etc/apt/sources.list",
        "deb http://deb.example/debian s main\n",
    );
    let of = |files: &[_]| derived(files, &Env::default(), "other", None, "");
    assert!(of(&[]).groups.is_empty());
    let expect = |expect: &str, url: &str| Target::Http {
        url: url.into(),
        expect: Some(expect.into()),
    };
    let expected = expect("NetworkManager is online", "http://nm.example/");
    assert_eq!(of(&[page]).groups, [[expected]]);
    let expected = expect(
        "-----BEGIN PGP SIGNED MESSAGE-----",
        "http://deb.example/debian/dists/s/InRelease",
    );
    assert_eq!(of(&[page, apt]).groups, [[expected]]);
    assert_eq!(
        groups(&of(&[page, apt, ("/etc/nix/nix.conf", "")])),
        [CACHE]
    );
    let off = (
        "/etc/NetworkManager/conf.d/d.conf",
        "[connectivity]\nenabled=false\n",
    );
    assert!(of(&[page, off]).groups.is_empty());
}

#[test]
fn apts_own_profiles_take_its_mirrors_whatever_else_there_is() {
    let apt = (
        "/etc/apt/sources.list",
        "deb https://deb.example/debian s main\n",
    );
    let world = [("/etc/nix/nix.conf", ""), apt];
    for profile in ["apt-daily", "apt-daily-upgrade"] {
        let found = derived(&world, &Env::default(), profile, None, "");
        assert_eq!(
            groups(&found),
            ["https://deb.example/debian/dists/s/InRelease"]
        );
    }
}

#[test]
fn ssh_is_not_asked_where_no_ssh_url_is() {
    let asked = Cell::new(false);
    let ssh = |_: &[String]| {
        asked.set(true);
        Err(String::new())
    };
    let root = tempfile::tempdir().unwrap();
    let world = MachineView {
        root: root.path(),
        cwd: Path::new("/"),
        env: &Env::default(),
        ssh: &ssh,
    };
    derive("nixos-upgrade", Some("github:a/b"), &[], &world);
    assert!(!asked.get());
}

#[test]
fn credentials_are_never_shown() {
    let files = [(
        "/etc/nix/nix.conf",
        "substituters = https://me:secret@c.example/ s3://me:secret@b\ninclude https://me:secret@h\nme:secret@h\n",
    )];
    let derived = nixos(&files, Some("git+https://me:secret@g.example/x"), "");
    assert_eq!(derived.groups.len(), 2);
    assert!(!format!("{derived:?}").contains("secret"));
}

#[test]
fn the_documentation_tells_how_each_spelling_is_read() {
    let text = include_str!("../../../docs/targets.md");
    let (_, text) = text.split_once("## Substituters").unwrap();
    let (substituters, flakes) = text.split_once("## Flakes").unwrap();
    let (flakes, _) = flakes.split_once("## apt").unwrap();
    let caches = check(substituters, nix_store::place, " or ");
    let flakes = check(flakes, flake::place, " and ");
    assert!(caches > 10 && flakes > 10, "the tables are found");
}

fn check(text: &str, place: fn(&str) -> Place, joint: &str) -> usize {
    let rows = text
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.strip_suffix(" |"));
    let rows = rows.filter_map(|row| row.split_once("` | "));
    let rows =
        rows.map(|(written, probed)| assert_eq!(told(place(written), joint), probed, "{written}"));
    rows.count()
}

fn told(place: Place, joint: &str) -> String {
    match place {
        Place::Targets(targets) => {
            let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
            targets.join(joint)
        }
        Place::Weak(target) => format!("{target}, weakly"),
        Place::Ssh(_) => "what `ssh -G` says".into(),
        Place::Local => "nothing".into(),
        Place::Registry { .. } => "the flake registries".into(),
        Place::Unknown(_) => "not understood".into(),
    }
}
