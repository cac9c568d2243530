//! A system other than NixOS, which the guard knows by the commands of a profile.

use std::fs;

use super::machine::Machine;

const PROFILE: &str = r#"
[profile.night]
inhibit = []
[profile.night.guard]
enable = true
within = "5s"
settle_after = "0s"
identify = "@root@/identify"
activate = "@root@/activate"
rollback = "@root@/rollback"
"#;

/// A file is the system that runs, another the one that boots next; `became` is what an upgrade leads to.
const SCRIPTS: [(&str, &str); 5] = [
    ("identify", "cat @root@/running"),
    ("boots_next", "cat @root@/next"),
    ("offer", "cat @root@/became"),
    (
        "activate",
        "echo activate >> @root@/log; cat @root@/became > @root@/$(cat @root@/changes)",
    ),
    (
        "rollback",
        "echo rollback $UPGRADE_GATE_BASELINE $UPGRADE_GATE_CANDIDATE $UPGRADE_GATE_SNAPSHOT >> @root@/log
echo $UPGRADE_GATE_BASELINE > @root@/next; [ -e @root@/by_reboot ] || cp @root@/next @root@/running",
    ),
];

struct Other {
    machine: Machine,
}

impl Other {
    /// `changes` is the file that an upgrade changes: what runs, or what boots next.
    async fn new(changes: &str, more: &str) -> Self {
        let machine = Machine::new().await;
        fs::remove_file(machine.world.path("run/current-system")).unwrap();
        let root = machine.world.root.path().display().to_string();
        let profile = format!("{PROFILE}{more}").replace("@root@", &root);
        machine.touch("etc/upgrade-gate/upgrade-gate.toml", &profile);
        for (name, script) in SCRIPTS {
            machine.script(name, &format!("#!/bin/sh\n{script}\n"));
        }
        let files = [
            ("running", "v1"),
            ("next", "v1"),
            ("became", "v2"),
            ("changes", changes),
        ];
        for (name, text) in files {
            machine.touch(name, &format!("{text}\n"));
        }
        let wants = "etc/systemd/system/multi-user.target.wants/upgrade-gate-guard.service";
        machine.link("/usr/lib/systemd/system/upgrade-gate-guard.service", wants);
        Self { machine }
    }

    async fn tries(&self) -> (i32, String) {
        self.machine.runs("try --profile night").await
    }

    fn file(&self, name: &str) -> String {
        let text = fs::read_to_string(self.machine.world.path(name));
        text.unwrap_or_default().trim().to_owned()
    }

    /// The machine goes down and comes up.
    fn boots(&mut self) {
        let next = self.file("next");
        self.machine.touch("running", &format!("{next}\n"));
        self.machine.boots("/none");
        fs::remove_file(self.machine.world.path("run/current-system")).unwrap();
    }

    /// Nothing of the guard is left.
    fn is_clean(&self) {
        let units = self.machine.systemd.active("upgrade-gate-guard");
        assert_eq!(units, Vec::<String>::new());
        for name in ["armed", "hand"] {
            let left = format!("var/lib/upgrade-gate/guard/{name}");
            assert!(!self.machine.exists(&left), "{left}");
        }
    }

    async fn last(&self) -> (String, String, String) {
        let status = self.machine.status().await;
        let last = status["history"]
            .as_array()
            .unwrap()
            .last()
            .unwrap()
            .clone();
        let word = |key: &str| last[key].as_str().unwrap_or_default().to_owned();
        (word("phase"), word("cause"), word("candidate"))
    }
}

#[tokio::test]
async fn an_upgrade_in_place_is_kept_at_the_end_of_the_grace() {
    let other = Other::new("running", "").await;
    let mut tries = other.machine.starts("try --profile night");
    other.machine.until("verifying").await;
    assert!(other.machine.exists("var/lib/upgrade-gate/guard/hand"));
    let said = other.machine.runs("status").await.1;
    assert!(said.contains("baseline: v1\ncandidate: v2\n"), "{said}");
    assert_eq!(tries.wait().await.unwrap().code(), Some(0));
    assert_eq!(
        (other.file("log"), other.file("running")),
        ("activate".into(), "v2".into())
    );
    other.is_clean();
    assert_eq!(other.last().await.0, "confirmed");
}

#[tokio::test]
async fn a_worse_upgrade_is_taken_back_by_its_command_which_knows_what_was_saved() {
    let more = "snapshot = \"/bin/echo 17\"\nchecks = [\"false\"]\n";
    let other = Other::new("running", more).await;
    let (code, said) = other.tries().await;
    assert_eq!(code, 78, "{said}");
    assert!(
        said.contains("guard is on the file system that snapshot saves"),
        "{said}"
    );
    let other = Other::new("running", "checks = [\"false\"]\n").await;
    let (code, said) = other.tries().await;
    assert_eq!(code, 80, "{said}");
    assert_eq!(other.file("log"), "activate\nrollback v1 v2");
    assert_eq!(other.file("running"), "v1");
    other.is_clean();
}

#[tokio::test]
async fn what_is_installed_for_the_next_boot_is_tried_by_it_and_taken_back_by_another() {
    let more = "boots_next = \"@root@/boots_next\"\nchecks = [\"test -e @root@/well\"]\n";
    let mut other = Other::new("next", more).await;
    other.machine.touch("by_reboot", "");
    let (code, said) = other.tries().await;
    assert_eq!((code, said.contains("guard: staged")), (0, true), "{said}");
    let status = other.machine.status().await;
    assert_eq!(
        (&status["phase"], &status["boots_next"]),
        (&"staged".into(), &"v2".into())
    );
    assert_eq!(
        other.machine.systemd.active("upgrade-gate-guard"),
        Vec::<String>::new()
    );
    other.boots();
    assert_eq!(other.machine.runs("act").await.0, 0);
    other.machine.until("undoing").await;
    other.machine.systemd.until_started("reboot.target").await;
    other.boots();
    assert_eq!(other.machine.runs("act").await.0, 0);
    assert_eq!(other.file("running"), "v1");
    assert_eq!(
        other.last().await,
        ("undone".into(), "unhealthy".into(), "v2".into())
    );
    other.is_clean();
}

#[tokio::test]
async fn a_staged_upgrade_that_does_not_come_up_is_denied_by_its_offer() {
    let more = "boots_next = \"@root@/boots_next\"\noffer = \"@root@/offer\"\n";
    let mut other = Other::new("next", more).await;
    assert_eq!(other.tries().await.0, 0);
    other.boots();
    // The boot loader has taken another entry than its default.
    other.machine.touch("running", "v1\n");
    assert_eq!(other.machine.runs("act").await.0, 0);
    assert_eq!(other.last().await.0, "candidate_did_not_boot");
    assert_eq!(other.file("next"), "v1");
    let (code, said) = other.tries().await;
    assert_eq!((code, said.contains("denied: v2")), (75, true), "{said}");
}

#[tokio::test]
async fn a_staged_upgrade_that_is_lost_before_its_boot_is_tried_once_more() {
    let more = "boots_next = \"@root@/boots_next\"\noffer = \"@root@/offer\"\n";
    let mut other = Other::new("next", more).await;
    for denied in [false, true] {
        let (code, said) = other.tries().await;
        assert_eq!(code, 0, "{said}");
        other.machine.touch("next", "v1\n");
        other.boots();
        assert_eq!(other.machine.runs("act").await.0, 0);
        assert_eq!(other.last().await.1, "lost");
        let said = other.machine.runs("denied").await.1;
        assert_eq!(said.contains("v2 lost"), denied, "{said}");
    }
}

#[tokio::test]
async fn without_anything_to_upgrade_it_ends_well_and_nothing_is_brought_back() {
    let other = Other::new("running", "checks = [\"false\"]\n").await;
    other.machine.touch("became", "v1\n");
    let (code, said) = other.tries().await;
    assert_eq!(code, 0, "{said}");
    assert_eq!(other.file("log"), "activate");
    assert_eq!(other.last().await.1, "unchanged");
    other.is_clean();
}

#[tokio::test]
async fn an_upgrade_that_fails_is_taken_back_only_if_it_has_changed_something() {
    let other = Other::new("running", "").await;
    other.machine.script(
        "activate",
        "#!/bin/sh\necho activate >> @root@/log; exit 100\n",
    );
    assert_eq!(other.tries().await.0, 80);
    assert_eq!(other.file("log"), "activate");
    let half = "#!/bin/sh\necho half > @root@/running; exit 100\n";
    other.machine.script("activate", half);
    assert_eq!(other.tries().await.0, 80);
    assert_eq!(
        (other.file("log"), other.file("running")),
        ("activate\nrollback v1".into(), "v1".into())
    );
    other.is_clean();
}

#[tokio::test]
async fn a_way_back_that_does_not_lead_back_is_said_loudly_with_what_to_type() {
    let more = "reboot = false\nchecks = [\"false\"]\n";
    let other = Other::new("running", more).await;
    other.machine.script("rollback", "#!/bin/sh\nexit 0\n");
    let (code, said) = other.tries().await;
    let typed = format!(
        "To go back by hand: UPGRADE_GATE_BASELINE=v1 UPGRADE_GATE_CANDIDATE=v2 UPGRADE_GATE_SNAPSHOT='' {}/rollback",
        other.machine.world.root.path().display()
    );
    assert_eq!((code, said.contains(&typed)), (81, true), "{said}");
    // Whoever has repaired it is not overrun by systemd afterwards.
    assert_eq!(other.machine.systemd.active("fallback").len(), 1);
    assert_eq!(other.machine.runs("disarm").await.0, 75);
    assert_eq!(other.machine.runs("reset").await.0, 0);
    other.is_clean();
}

#[tokio::test]
async fn a_kill_in_the_middle_is_finished_by_systemd_and_by_a_copy_of_this_program() {
    let other = Other::new("running", "confirm = true\n").await;
    let mut tries = other.machine.starts("try --profile night");
    other.machine.until("verifying").await;
    tries.kill().await.unwrap();
    other.machine.until_idle().await;
    assert_eq!(other.last().await.1, "not_confirmed");
    assert_eq!(other.file("running"), "v1");
}

#[tokio::test]
async fn what_would_not_go_on_after_a_reboot_or_lacks_a_command_is_refused() {
    let other = Other::new("running", "").await;
    let wants = "etc/systemd/system/multi-user.target.wants/upgrade-gate-guard.service";
    fs::remove_file(other.machine.world.path(wants)).unwrap();
    let (code, said) = other.tries().await;
    assert_eq!(
        (code, said.contains("systemctl enable upgrade-gate-guard")),
        (75, true),
        "{said}"
    );
    let other = Other::new("running", "").await;
    let path = other
        .machine
        .world
        .path("etc/upgrade-gate/upgrade-gate.toml");
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("rollback"))
        .collect();
    fs::write(path, lines.join("\n")).unwrap();
    let (code, said) = other.tries().await;
    assert_eq!((code, said.contains("no rollback")), (78, true), "{said}");
    assert_eq!(other.file("log"), "");
}
