//! What the documentation shows of `lint` and `drop-in` is what they print, and the files that README and CONTRIBUTING name
//! are there.

use std::fs;
use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../../README.md");
const CONTRIBUTING: &str = include_str!("../../CONTRIBUTING.md");
const LINT: &str = include_str!("../../docs/lint.md");
const UNITS: &str = include_str!("../../docs/units.md");

/// A service as fwupd's, the restart lines that are pasted into it, its timer, and a systemd by its library's name.
const FILES: &[(&str, &str)] = &[
    (
        "usr/lib/systemd/system/fwupd-refresh.service",
        "[Unit]\nWants=network-online.target\nAfter=network-online.target\n\
         [Service]\nType=oneshot\nUser=fwupd-refresh\nSuccessExitStatus=2\nExecStart=/usr/bin/fwupdmgr refresh\n",
    ),
    (
        "etc/systemd/system/fwupd-refresh.service.d/override.conf",
        "[Unit]\nStartLimitIntervalSec=100\nStartLimitBurst=5\n[Service]\nRestart=on-failure\nRestartSec=20\n",
    ),
    (
        "usr/lib/systemd/system/fwupd-refresh.timer",
        "[Timer]\nOnCalendar=*-*-* 6,18:00\nRandomizedDelaySec=12h\nPersistent=true\n",
    ),
    ("usr/lib/systemd/libsystemd-shared-257.so", ""),
];

fn root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in FILES {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

fn said(root: &Path, words: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_upgrade-gate"))
        .arg("--root")
        .arg(root)
        .args(words.split(' '))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// Whether the page shows the command with what it prints.
fn shows(page: &str, words: &str) {
    let root = root();
    let shown = format!("$ upgrade-gate {words}\n{}", said(root.path(), words));
    assert!(page.contains(&shown), "the page lacks\n{shown}");
}

#[test]
fn the_page_of_lint_shows_what_lint_prints() {
    shows(LINT, "lint fwupd-refresh");
}

#[test]
fn the_page_of_units_shows_what_drop_in_prints() {
    shows(UNITS, "drop-in fwupd-refresh");
}

fn are_there(files: &[&str]) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    assert!(files.len() > 5, "only {} found", files.len());
    for file in files {
        assert!(root.join(file).exists(), "{file}");
    }
}

#[test]
fn every_file_that_the_readme_links_to_is_there() {
    let links = README.split("](").skip(1);
    let links = links.filter_map(|link| link.split([')', '#']).next());
    are_there(
        &links
            .filter(|link| !link.contains("://"))
            .collect::<Vec<_>>(),
    );
}

/// Of what CONTRIBUTING names, sources move most.
#[test]
fn every_source_that_contributing_names_is_there() {
    let spans = CONTRIBUTING.split('`').skip(1).step_by(2);
    let sources = spans.filter(|span| span.starts_with("src/") || span.starts_with("tests/it/"));
    are_there(
        &sources
            .filter(|path| !path.contains("NAME"))
            .collect::<Vec<_>>(),
    );
}
