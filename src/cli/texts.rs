//! The longer texts of `--help` and of the man pages: examples, and the tables made from the code.

use std::fmt::Write as _;

use crate::exit::{Row, TABLE};

pub(super) const MAIN: &str = "\
Examples:
  Is now a good time?
      upgrade-gate check --target https://cache.nixos.org
  Wait for it, ten minutes at most:
      upgrade-gate wait-online --timeout 10min
  Upgrade when it can succeed, and retry if it is interrupted:
      upgrade-gate run --profile nixos-upgrade -- nixos-rebuild switch --upgrade
  What is being waited for?
      upgrade-gate status";

pub(super) const WAIT_ONLINE: &str = "\
Examples:
  Wait for a binary cache, for as long as it takes:
      upgrade-gate wait-online --target nix-cache:https://cache.nixos.org
  Ignore metered and battery once:
      upgrade-gate wait-online --allow metered,on_battery
  In a unit of Type=oneshot, before the work begins; TimeoutStartSec=infinity lets it wait:
      ExecStartPre=upgrade-gate wait-online --profile nixos-upgrade
  A finite --timeout in ExecStartPre= fails the unit when it is over. To skip the unit instead:
      ExecCondition=upgrade-gate wait-online --exec-condition --timeout 10min
  In a unit of Type=notify that others require, as upgrade-gate@.service is:
      ExecStart=upgrade-gate wait-online --stay --profile %i";

pub(super) const CHECK: &str = "\
Examples:
  Print the verdict, as text or as JSON:
      upgrade-gate check --profile nixos-upgrade
      upgrade-gate check --profile nixos-upgrade --json
  Skip a unit when it could not succeed now:
      ExecCondition=upgrade-gate check --exec-condition --profile fwupd-refresh";

pub(super) const RUN: &str = "\
Examples:
  By hand:
      upgrade-gate run --profile nixos-upgrade -- nixos-rebuild switch --upgrade
  As the command of a unit, with Type=exec and SuccessExitStatus=75:
      ExecStart=upgrade-gate run --profile fwupd-refresh -- fwupdmgr refresh
  Run the ExecStartPre= of the unit behind the gate too:
      ExecStart=upgrade-gate run --exec-start-pre='/bin/mount /backup' -- /usr/bin/backup
  Ignore on_battery and recent once:
      upgrade-gate run --allow on_battery,recent -- nixos-rebuild boot";

pub(super) const STATUS: &str = "\
Examples:
  What is being waited for, and why:
      upgrade-gate status
  Follow:
      upgrade-gate status --follow
  For a bar or a monitor:
      upgrade-gate status --json --follow

A gate that does not run as root is shown with its user, who can write anything there.";

pub(super) const LINT: &str = "\
Examples:
  Does it try again, when, and how often?
      upgrade-gate lint fwupd-refresh
  Simulate an outage of 8h, with attempts that take 30s to fail:
      upgrade-gate lint nixos-upgrade --outage 8h --attempt 30s
  Everything on this machine; exits with 1 if there are findings:
      upgrade-gate lint --all
  The services of your own user manager:
      upgrade-gate lint --user --all
  Without systemd, from the unit files below a directory:
      upgrade-gate lint --all --root /mnt
  A file of a repository, with its drop-ins and timers; exits with 1 if there are findings, for CI:
      upgrade-gate lint ./units/my.service

The rules UG001, UG002, … are explained one by one in docs/lint.md.
Units are read from systemd; with --root DIR or --global, from the files below DIR, or /.";

pub(super) const DROP_IN: &str = "\
Modes:
  run        each command of ExecStart= is run by `upgrade-gate run`, which waits, and runs it again
             if a suspend or the network interrupted it; for commands that end. ExecStartPre= is
             run behind the gate too
  companion  upgrade-gate@PROFILE.service waits, and holds the profile's locks; for daemons, and
             any other service
  pre        `upgrade-gate wait-online` is the first ExecStartPre=
  condition  the service is skipped, without failing, while the gate is held
Without --mode it is run, or companion if part of the service would run before its gate is open,
or would treat \"not now\" (75) as success. The drop-in says why.

Examples:
  Show it:
      upgrade-gate drop-in fwupd-refresh
  Install, remove; it is upgrade-gate.conf in /etc/systemd/system/fwupd-refresh.service.d:
      upgrade-gate drop-in fwupd-refresh --write && systemctl daemon-reload
      upgrade-gate drop-in fwupd-refresh --remove && systemctl daemon-reload
  All instances of a template, each with its own profile:
      upgrade-gate drop-in backup@ --profile %p-%i
  A service of your user manager:
      upgrade-gate drop-in --user backup --write && systemctl --user daemon-reload
  For a system that is not running, from its files:
      upgrade-gate --root /mnt drop-in fwupd-refresh --mode companion
  For an image or a package that is being built:
      upgrade-gate drop-in --units DIR --output DIR --program /usr/bin/upgrade-gate fwupd-refresh
  On NixOS the module writes it: services.upgrade-gate.units.";

pub(super) const WATCH: &str = "\
Follows the gate of the profile that [watch] names, and exits with 0 on SIGTERM. Needs systemd.

Examples:
  As the command of a unit of Type=notify, with ExecReload=kill -HUP $MAINPID:
      ExecStart=upgrade-gate watch
  Run a unit whenever connectivity is verified:
      WantedBy=upgrade-gate-online.target
  Start units again that failed while offline, in upgrade-gate.toml:
      [watch]
      rearm = [\"fwupd-refresh.service\"]";

pub(super) const GUARD: &str = "\
Examples:
  Build a system, try it for ten minutes, and keep it if nothing is worse then:
      nixos-rebuild build && upgrade-gate guard try ./result
  Keep it only if somebody can still log in and says so:
      upgrade-gate guard try ./result --within 5min --confirm
      upgrade-gate guard confirm
  What is under way, and what boots if the power fails now?
      upgrade-gate guard status
  Does the way back work on this machine?
      upgrade-gate guard drill
  On a system other than NixOS, by the commands of a profile:
      upgrade-gate guard try --profile apt-upgrade

Until a NixOS system is kept, the boot loader's default is the one before: docs/guard.md.";

pub(super) const CONFIG: &str = "\
Examples:
  Check every file, and show the effective values:
      upgrade-gate config
  What `auto` stands for in one profile:
      upgrade-gate config --profile nixos-upgrade";

pub(super) const COMPLETIONS: &str = "\
Examples:
  For every user's bash:
      upgrade-gate completions bash > /usr/share/bash-completion/completions/upgrade-gate";

pub(super) const MAN: &str = "\
Examples:
  Read the page:
      upgrade-gate man | man -l -
  Install all pages:
      upgrade-gate man /usr/share/man/man1";

pub(super) const TARGET: &str = "\
What must be reached; repeated: all of them

nix-cache:URL          a Nix binary cache answers
https://HOST/PATH      any answer below 500 over verified TLS
http://HOST/PATH       the answer is 204
ssh://HOST[:PORT]      the banner is SSH's
tcp://HOST:PORT        the connection is accepted (weak: captive portals accept too)
auto                   what the profile's upgrade needs, detected";

pub(super) const ALLOW: &str = "Ignore these holds once: metered, on_battery, battery_low, recent";

pub(super) const EXEC_CONDITION: &str =
    "Exit as ExecCondition= needs it: 0 open, 1 not now, 255 for everything else";

pub(super) const EXEC_START_PRE: &str = "\
A command line, as systemd reads it, to run before COMMAND in each attempt; repeatable

For what a unit had as ExecStartPre=. It may have words, quotes and escapes; of the prefixes only - (a failure is ignored), \
@ (the next word is argv[0]) and : (nothing is substituted) are supported, and variables and specifiers are not substituted. The first one that fails ends the attempt with its exit code, as COMMAND itself would.";

pub(super) const STAY: &str = "Once open, send READY=1, hold the profile's inhibitor locks, and exit on suspend or when the route changes";

pub(super) const STAY_LONG: &str = "\
Once open, stay: take the profile's inhibitor locks, send READY=1 to systemd, and exit with 0 when the machine goes to \
sleep or has slept, or when the route changes or disappears

For a unit of Type=notify that others require and come after: their next start then waits for the gate again.";

/// The main examples and the exit codes, for `--help`.
pub(super) fn main_with_exit_codes() -> String {
    let mut text = format!("{MAIN}\n\nExit codes:");
    for Row { code, meaning, .. } in TABLE {
        // Writing to a String does not fail.
        let _ = write!(text, "\n  {code:<5} {meaning}");
    }
    text
}
