//! What the README shows of `lint` and `drop-in` is what they print.

use std::fs;
use std::path::Path;
use std::process::Command;

const README: &str = include_str!("../../README.md");

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

#[test]
fn the_readme_shows_what_lint_and_drop_in_print() {
    let root = root();
    for words in ["lint fwupd-refresh", "drop-in fwupd-refresh"] {
        let shown = format!("$ upgrade-gate {words}\n{}", said(root.path(), words));
        assert!(README.contains(&shown), "the README lacks\n{shown}");
    }
}
