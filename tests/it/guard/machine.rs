//! A NixOS system below a root: two generations' worth of store, a profile, a boot loader, and scripts in place of programs.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::{Child, Command};

use super::systemd::Systemd;
use crate::harness::{Says, World};

pub(crate) const BASE: &str = "/nix/store/base";
pub(crate) const CAND: &str = "/nix/store/cand";

/// `switch-to-configuration`, which exits as a file says, and has activated all the same unless it was refused.
const SWITCH: &str = r#"#!/bin/sh
root='@root@'; self='@self@'
if [ "$1" = check ]; then
  [ ! -e "$root/check-$self" ] || { cat "$root/check-$self"; exit 1; }
  exit 0
fi
echo "$self $1" >> "$root/log"
case "$1" in
  test)
    [ -e "$root/slow-$self" ] && sleep "$(cat "$root/slow-$self")"
    [ -e "$root/refuse-$self" ] && exit 1
    ln -sfn "/nix/store/$self" "$root/run/current-system"
    exit "$(cat "$root/exit-$self" 2>/dev/null || echo 0)" ;;
  boot)
    [ -e "$root/full" ] && { echo "No space left on device" >&2; exit 1; }
    if [ -d "$root/boot/grub" ]; then
      { cat "$root/boot/grub/header"; entry() { echo "menuentry \"$1\" {"; echo "linux /x init=$2/init"; echo "}"; }
        entry NixOS "/nix/store/$self"; echo 'submenu "All" {'
        for link in "$root"/nix/var/nix/profiles/system-*-link; do entry "$(basename "$link")" "$(readlink "$link")"; done
        echo "}"; } > "$root/boot/grub/grub.cfg"
      exit 0
    fi
    mkdir -p "$root/boot/loader/entries"
    for link in "$root"/nix/var/nix/profiles/system-*-link; do
      system=$(readlink "$link"); name=$(basename "$system")
      echo "options init=$system/init" > "$root/boot/loader/entries/nixos-$name.conf"
    done
    echo "default nixos-$self.conf" > "$root/boot/loader/loader.conf" ;;
esac
"#;

/// `nix-env`, as far as a profile is set.
const NIX_ENV: &str = r#"#!/bin/sh
root='@root@'; profiles="$root/nix/var/nix/profiles"
echo "nix-env $3 $4" >> "$root/log"
case "$3" in
  --switch-generation) ln -sfn "system-$4-link" "$profiles/system" ;;
  --delete-generations) rm "$profiles/system-$4-link" ;;
  --set)
    n=1; while [ -e "$profiles/system-$n-link" ] || [ -L "$profiles/system-$n-link" ]; do n=$((n + 1)); done
    ln -s "$4" "$profiles/system-$n-link"
    ln -sfn "system-$n-link" "$profiles/system" ;;
esac
"#;

/// `bootctl set-oneshot`, which sets a variable of the firmware.
const BOOTCTL: &str = r#"#!/bin/sh
variable='@root@/@one_shot@'
echo "bootctl $1 $2" >> '@root@/log'
[ -z "$2" ] && { rm -f "$variable"; exit 0; }
mkdir -p "$(dirname "$variable")"
{ printf '\007\000\000\000'; printf '%s' "$2" | sed 's/./&\x00/g'; printf '\000\000'; } > "$variable"
"#;

const ONE_SHOT: &str =
    "sys/firmware/efi/efivars/LoaderEntryOneShot-4a67b082-0a4c-41cf-b6c7-440b29bb8c4f";

pub(crate) struct Machine {
    pub(crate) world: World,
    pub(crate) systemd: Systemd,
    boots: u32,
}

impl Machine {
    pub(crate) async fn new() -> Self {
        let world = World::new(Says::Nothing);
        let systemd = Systemd::start(&world.address()).await;
        let mut machine = Self {
            world,
            systemd,
            boots: 0,
        };
        machine.world.write("etc/machine-id", "0123456789abcdef\n");
        for system in ["base", "cand"] {
            machine.build(system);
        }
        machine.link(BASE, "run/current-system");
        machine.link(BASE, "nix/var/nix/profiles/system-1-link");
        machine.link("system-1-link", "nix/var/nix/profiles/system");
        machine.script("boot/x", "");
        machine
            .world
            .write("boot/loader/loader.conf", "default nixos-base.conf\n");
        let entry = "options init=/nix/store/base/init\n";
        machine
            .world
            .write("boot/loader/entries/nixos-base.conf", entry);
        machine.new_boot();
        machine
    }

    /// Has GRUB in the place of systemd-boot, as NixOS's menu begins.
    pub(crate) fn has_grub(&self) {
        fs::remove_dir_all(self.world.path("boot/loader")).unwrap();
        let header = "if [ \"${next_entry}\" ]; then\n  set default=\"${next_entry}\"\n  set next_entry=\n  save_env next_entry\nelse\n  set default=0\nfi\n";
        self.touch("boot/grub/header", header);
        let entry = "menuentry \"NixOS\" {\nlinux /x init=/nix/store/base/init\n}\n";
        self.touch("boot/grub/grub.cfg", &format!("{header}{entry}"));
    }

    pub(crate) fn build(&self, system: &str) {
        let at = |file: &str| format!("nix/store/{system}/{file}");
        let switch = SWITCH.replace("@self@", system);
        self.script(&at("bin/switch-to-configuration"), &switch);
        self.script(&at("sw/bin/nix-env"), NIX_ENV);
        let bootctl = BOOTCTL.replace("@one_shot@", ONE_SHOT);
        self.script(&at("sw/bin/bootctl"), &bootctl);
        let unit = at("etc/systemd/system/upgrade-gate-guard.service");
        self.world.write(&unit, "[Service]\n");
        let own = at("etc/systemd/system/own.service");
        self.world
            .write(&own, &format!("[Service]\nExecStart={system}\n"));
    }

    pub(crate) fn script(&self, name: &str, text: &str) {
        let root = self.world.root.path().display().to_string();
        self.world.write(name, &text.replace("@root@", &root));
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(self.world.path(name), executable).unwrap();
    }

    pub(crate) fn link(&self, target: &str, name: &str) {
        let path = self.world.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(&path);
        symlink(target, path).unwrap();
    }

    fn new_boot(&mut self) {
        self.boots += 1;
        let boot = format!("boot{}\n", self.boots);
        self.world.write("proc/sys/kernel/random/boot_id", &boot);
    }

    /// The machine is switched off and on: what is the boot default runs.
    pub(crate) fn reboot(&mut self) {
        let default = self.boots_next();
        self.boots(&default);
    }

    /// The boot loader uses up the one-shot entry, and this system comes up.
    pub(crate) fn boots(&mut self, system: &str) {
        self.systemd.reboot();
        self.new_boot();
        let _ = fs::remove_file(self.world.path(ONE_SHOT));
        let _ = fs::remove_file(self.world.path("boot/grub/grubenv"));
        self.link(system, "run/current-system");
    }

    pub(crate) fn command(&self, words: &str) -> Command {
        self.world.command(&format!("guard {words}"))
    }

    /// The binary with these words, and the target that the machine has.
    pub(crate) fn gated(&self, words: &str) -> Command {
        let target = self.world.target.written();
        self.world
            .command(&format!("{words} --settle 0 --target {target}"))
    }

    /// Runs a command of the guard: its exit code, and all that it said.
    pub(crate) async fn runs(&self, words: &str) -> (i32, String) {
        let output = self.command(words).output().await.unwrap();
        let said = [output.stdout, output.stderr].concat();
        (
            output.status.code().unwrap(),
            String::from_utf8(said).unwrap(),
        )
    }

    /// Starts a command, and does not wait.
    pub(crate) fn starts(&self, words: &str) -> Child {
        let null = std::process::Stdio::null;
        self.command(words)
            .stdout(null())
            .stderr(null())
            .spawn()
            .unwrap()
    }

    pub(crate) async fn status(&self) -> Value {
        let (code, said) = self.runs("status --json").await;
        assert_eq!(code, 0, "{said}");
        serde_json::from_str(&said).unwrap()
    }

    /// Waits until this phase is on disk.
    pub(crate) async fn until(&self, phase: &str) {
        let wait = async {
            let words = format!("\"phase\":\"{phase}\"");
            while !fs::read_to_string(self.state()).is_ok_and(|text| text.contains(&words)) {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(crate::harness::GENEROUS, wait).await;
        assert!(
            waited.is_ok(),
            "not {phase}: {:?}",
            fs::read_to_string(self.state())
        );
    }

    /// Waits until nothing is under way any more.
    pub(crate) async fn until_idle(&self) {
        let wait = async {
            let idle = "\"transaction\":null";
            while !fs::read_to_string(self.state()).is_ok_and(|text| text.contains(idle)) {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(crate::harness::GENEROUS, wait).await;
        let state = fs::read_to_string(self.state());
        assert!(
            waited.is_ok(),
            "{state:?} {:?} {}",
            self.systemd.started(),
            self.log()
        );
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.world.path("var/lib/upgrade-gate/guard/state.json")
    }

    pub(crate) fn runs_now(&self) -> String {
        self.target("run/current-system")
    }

    pub(crate) fn profile(&self) -> String {
        let generation = self.target("nix/var/nix/profiles/system");
        self.target(&format!("nix/var/nix/profiles/{generation}"))
    }

    pub(crate) fn boots_next(&self) -> String {
        if let Ok(menu) = fs::read_to_string(self.world.path("boot/grub/grub.cfg")) {
            let (_, first) = menu.split_once("init=").unwrap();
            return first.split_once("/init").unwrap().0.to_owned();
        }
        let conf = fs::read_to_string(self.world.path("boot/loader/loader.conf")).unwrap();
        let name = conf.trim().strip_prefix("default nixos-").unwrap();
        format!("/nix/store/{}", name.strip_suffix(".conf").unwrap())
    }

    fn target(&self, name: &str) -> String {
        let target = fs::read_link(self.world.path(name)).unwrap();
        target.to_str().unwrap().to_owned()
    }

    /// One system runs, is the profile and boots; nothing of the guard is left.
    pub(crate) fn is_wholly(&self, system: &str) {
        let is = (self.runs_now(), self.profile(), self.boots_next());
        assert_eq!(is, (system.into(), system.into(), system.into()));
        let mut left = self.systemd.active("upgrade-gate-guard");
        // What has told somebody stays for the rest of the boot.
        left.retain(|unit| !unit.contains("guard-notify"));
        assert_eq!(left, Vec::<String>::new());
        let roots = self.world.path("nix/var/nix/gcroots/upgrade-gate");
        let left = fs::read_dir(roots).map_or(0, Iterator::count);
        assert_eq!(left, 0, "roots are left");
    }

    /// What the scripts were called for.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.world.path("log")).unwrap_or_default()
    }

    /// Waits until this file is there: its text.
    pub(crate) async fn until_written(&self, name: &str) -> String {
        let wait = async {
            loop {
                if let Ok(text) = fs::read_to_string(self.world.path(name)) {
                    return text;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        };
        let waited = tokio::time::timeout(crate::harness::GENEROUS, wait).await;
        waited.unwrap_or_else(|_| panic!("no {name}: {:?}", self.systemd.started()))
    }

    pub(crate) fn touch(&self, name: &str, text: &str) {
        self.world.write(name, text);
    }

    pub(crate) fn exists(&self, name: &str) -> bool {
        Path::exists(&self.world.path(name))
    }
}
