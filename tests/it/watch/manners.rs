//! Towards systemd: ready when it follows, reloads, and outlives the bus and systemd's own re-execution.

use nix::sys::signal::Signal;

use super::*;

#[tokio::test]
async fn it_is_ready_once_it_follows_and_asks_for_no_time() {
    let machine = Machine::new(Says::Nothing).await;
    let mut watch = machine.watch().await;
    assert!(machine.systemd.calls().contains(&"subscribe".to_owned()));
    assert_eq!(machine.logind.locks(), ["delay"]);
    let told = watch.tells("STATUS=held: unreachable").await;
    assert!(
        !told.iter().any(|text| text.starts_with("EXTEND")),
        "{told:?}"
    );
}

#[tokio::test]
async fn status_shows_it_like_any_other_gate() {
    let machine = Machine::new(Says::Nothing).await;
    let mut watch = machine.watch().await;
    watch.gate.held("unreachable").await;
    watch.tells("STATUS=held: unreachable").await;
    let shown = machine.world.ran("status --json").await;
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["gates"][0]["command"], "watch");
    assert_eq!(shown["gates"][0]["reason"], "unreachable");
}

#[tokio::test]
async fn sighup_reads_the_configuration_anew() {
    let machine = Machine::new(Says::Good).await;
    let mut watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    let text = "[profile.other]\ntargets = ['tcp://127.0.0.1:1']\nsettle = '0'\n[watch]\nprofile = 'other'\n";
    machine
        .world
        .write("etc/upgrade-gate/upgrade-gate.toml", text);
    watch.gate.signal(Signal::SIGHUP);
    let reloading = watch.tells("RELOADING=1").await;
    let reloading = reloading.last().unwrap();
    assert!(reloading.contains("\nMONOTONIC_USEC="), "{reloading}");
    watch.tells("READY=1").await;
    machine.systemd.until_state(TARGET, "inactive").await;
    let status = watch.tells("STATUS=held: unreachable").await;
    assert!(status.last().unwrap().contains("127.0.0.1:1"), "{status:?}");
}

#[tokio::test]
async fn a_wrong_configuration_is_named_and_the_one_in_force_stays() {
    let machine = Machine::new(Says::Good).await;
    let mut watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    machine.configure("rearm_atonce = 2");
    watch.gate.signal(Signal::SIGHUP);
    watch.tells("RELOADING=1").await;
    watch.tells("READY=1").await;
    watch
        .says("upgrade-gate.toml:6: watch.rearm_atonce: unknown key")
        .await;
    watch.says("keeping the previous configuration").await;
    machine.logind.sleep(true).await;
    machine.systemd.until_state(TARGET, "inactive").await;
}

#[tokio::test]
async fn a_reload_that_changes_nothing_leaves_the_target_alone() {
    let machine = Machine::new(Says::Good).await;
    let mut watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    watch.gate.opens().await;
    watch.gate.signal(Signal::SIGHUP);
    watch.tells("RELOADING=1").await;
    watch.tells("READY=1").await;
    watch.gate.opens().await;
    let calls = machine.systemd.calls();
    assert_eq!(
        (machine.systemd.count(START), machine.systemd.count(STOP)),
        (1, 0),
        "{calls:?}"
    );
}

#[tokio::test]
async fn it_outlives_systemd_s_re_execution() {
    let machine = Machine::new(Says::Good).await;
    let _watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    machine.systemd.reexec().await;
    machine.systemd.until("subscribe", 2).await;
    machine.systemd.hold_jobs();
    machine.logind.sleep(true).await;
    machine.systemd.until(STOP, 1).await;
    machine.systemd.finish_jobs().await;
    machine.logind.sleep(false).await;
    machine.systemd.until(START, 2).await;
}

#[tokio::test]
async fn it_outlives_the_bus_and_takes_its_lock_anew() {
    let mut machine = Machine::new(Says::Good).await;
    let mut watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    machine.world.bus = None;
    watch.says("lost the connection to the system bus").await;
    machine.world.start_bus();
    let address = machine.world.address();
    machine.systemd = Systemd::start(&address).await;
    machine.systemd.install(TARGET, Start::Stays);
    machine.systemd.set(TARGET, "active");
    machine.logind = Logind::start(&address).await;
    machine.logind.put("InhibitDelayMaxUSec", 5_000_000_u64);
    watch.says("reconnected to the system bus").await;
    machine.logind.until_asked(5).await;
    // Told as often as it takes the sources to have come back, too.
    let sleep = async {
        while machine.systemd.count(STOP) == 0 {
            machine.logind.sleep(true).await;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let slept = tokio::time::timeout(crate::harness::GENEROUS, sleep).await;
    slept.expect("the target is stopped");
    machine.systemd.until_state(TARGET, "inactive").await;
    assert!(machine.logind.locks().contains(&"delay".to_owned()));
}

#[tokio::test]
async fn a_logind_that_is_restarted_gets_a_lock_anew() {
    let machine = Machine::new(Says::Good).await;
    let _watch = machine.watch().await;
    machine.systemd.until_state(TARGET, "active").await;
    machine.logind.vanish().await;
    machine.logind.appear().await;
    let look = async {
        while machine.logind.locks().len() < 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let taken = tokio::time::timeout(crate::harness::GENEROUS, look).await;
    taken.expect("a lock");
}

#[tokio::test]
async fn without_a_bus_or_without_systemd_it_is_69_and_says_what_it_needs() {
    let text = "[profile.default]\ntargets = ['tcp://127.0.0.1:1']\n";
    for world in [World::without_bus(Says::Good), World::new(Says::Good)] {
        world.write("etc/upgrade-gate/upgrade-gate.toml", text);
        let output = world.ran("watch").await;
        assert_eq!(output.status.code(), Some(69));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            said.contains("cannot ask systemd to start upgrade-gate-online.target"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_wrong_configuration_at_the_start_is_78() {
    let machine = Machine::new(Says::Good).await;
    machine.configure("rearm = 1");
    assert_eq!(machine.world.ran("watch").await.status.code(), Some(78));
}
