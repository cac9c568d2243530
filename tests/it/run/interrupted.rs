//! What counts as interrupted, and what must not: suspends, a restarted NetworkManager, a target that is lost.

use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::harness::{GENEROUS, Gate, Says, World, appears};
use crate::support::fakes::{Logind, NetworkManager};

/// Says that it ran, then waits until the test lets it go on; only the first run does.
const ONCE_HELD: &str = "echo run >> runs; [ $(wc -l < runs) -gt 1 ] && exit 0; \
    : > started; until [ -e go ]; do sleep 0.02; done;";

async fn ended(run: &mut Gate) -> Value {
    run.tells("attempt_ended").await
}

#[tokio::test]
async fn a_switch_that_restarts_networkmanager_and_exits_4_runs_once() {
    let world = World::new(Says::Good);
    let _logind = Logind::start(&world.address()).await;
    world.configure("final_exit_status = [4, 100]");
    let manager = NetworkManager::start(&world.address()).await;
    let mut run = world.run("", &format!("{ONCE_HELD} exit 4"));
    appears(&world.path("started")).await;
    manager.set_state(20).await;
    manager.vanish().await;
    world.target.say(Says::Nothing);
    manager.appear().await;
    world.write("go", "");
    assert_eq!(ended(&mut run).await["outcome"], "final");
    assert_eq!(run.ends().await.code(), Some(4));
    assert_eq!(world.lines("runs"), 1);
}

#[tokio::test]
async fn a_switch_that_has_happened_and_exits_1_amid_a_suspend_and_no_network_runs_once() {
    let world = World::new(Says::Good);
    let link = world.path("current-system");
    std::os::unix::fs::symlink("/old", &link).unwrap();
    world.configure(&format!("final_if_changed = ['{}']", link.display()));
    let logind = Logind::start(&world.address()).await;
    let manager = NetworkManager::start(&world.address()).await;
    let script = format!("{ONCE_HELD} ln -sfn /new current-system; exit 1");
    let mut run = world.run("", &script);
    appears(&world.path("started")).await;
    manager.vanish().await;
    logind.sleep(true).await;
    logind.sleep(false).await;
    world.target.say(Says::Nothing);
    manager.appear().await;
    world.write("go", "");
    assert_eq!(ended(&mut run).await["outcome"], "final");
    assert_eq!(run.ends().await.code(), Some(1));
    assert_eq!(world.lines("runs"), 1);
}

#[tokio::test]
async fn a_failure_with_the_network_as_it_was_is_the_commands_own_and_never_repeated() {
    let world = World::new(Says::Good);
    let _logind = Logind::start(&world.address()).await;
    let manager = NetworkManager::start(&world.address()).await;
    let mut run = world.run("", &format!("{ONCE_HELD} exit 3"));
    appears(&world.path("started")).await;
    manager.vanish().await;
    manager.appear().await;
    world.write("go", "");
    assert_eq!(ended(&mut run).await["outcome"], "failed");
    assert_eq!(run.ends().await.code(), Some(3));
    assert_eq!(world.lines("runs"), 1);
}

#[tokio::test]
async fn a_suspend_in_the_middle_interrupts_and_the_upgrade_is_done_again_when_awake() {
    let world = World::new(Says::Good);
    let logind = Logind::start(&world.address()).await;
    let mut run = world.run("", &format!("{ONCE_HELD} exit 1"));
    appears(&world.path("started")).await;
    logind.sleep(true).await;
    logind.sleep(false).await;
    world.write("go", "");
    let first = ended(&mut run).await;
    assert_eq!(first["outcome"], "interrupted", "{first}");
    assert_eq!(first["detail"], "the machine was suspended");
    run.opens().await;
    assert_eq!(ended(&mut run).await["outcome"], "succeeded");
    let summary = run.tells("summary").await;
    assert_eq!(summary["attempts"], 2);
    assert_eq!(run.ends().await.code(), Some(0));
    assert_eq!(world.lines("runs"), 2);
}

#[tokio::test]
async fn a_suspend_is_seen_though_we_were_frozen_until_the_command_had_failed() {
    let world = World::new(Says::Good);
    world.configure("attempts = 1");
    world.write("sys/power/suspend_stats/success", "3\n");
    let logind = Logind::start(&world.address()).await;
    let mut run = world.run("", &format!("echo $$ > pid; {ONCE_HELD} exit 1"));
    appears(&world.path("started")).await;
    run.signal(Signal::SIGSTOP);
    world.write("sys/power/suspend_stats/success", "4\n");
    world.write("go", "");
    is_over(&world).await;
    run.signal(Signal::SIGCONT);
    let first = ended(&mut run).await;
    assert_eq!(first["detail"], "the machine was suspended", "{first}");
    assert_eq!(run.ends().await.code(), Some(75));
    drop(logind);
}

/// Waits until the command that wrote its `pid` has ended; nobody has waited for it.
async fn is_over(world: &World) {
    let pid = std::fs::read_to_string(world.path("pid")).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    let look = async {
        while !std::fs::read_to_string(&stat).unwrap().contains(") Z ") {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(GENEROUS, look).await.expect("it ends");
}

#[tokio::test]
async fn a_target_lost_each_time_is_tried_up_to_the_limit_and_then_75() {
    let world = World::new(Says::Good);
    let _logind = Logind::start(&world.address()).await;
    world.configure("attempts = 2");
    let script = "echo run >> runs; read -r _ < fifo; exit 1";
    nix::unistd::mkfifo(&world.path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut run = world.run("", script);
    for _ in 0..2 {
        world.target.say(Says::Good);
        run.tells("attempt_started").await;
        world.target.say(Says::Nothing);
        std::fs::write(world.path("fifo"), "go\n").unwrap();
        let end = ended(&mut run).await;
        assert_eq!(end["outcome"], "interrupted", "{end}");
        assert_eq!(end["exit_status"], 1);
    }
    let summary = run.tells("summary").await;
    let detail = summary["detail"].as_str().unwrap().to_owned();
    assert!(detail.starts_with("interrupted 2 times"), "{detail}");
    assert_eq!(run.ends().await.code(), Some(75));
    assert_eq!(world.lines("runs"), 2);
}

#[tokio::test]
async fn an_attempt_that_takes_too_long_gets_sigterm_and_its_polite_0_counts_for_nothing() {
    let world = World::new(Says::Good);
    let _logind = Logind::start(&world.address()).await;
    world.configure("attempts = 1\nattempt_timeout = '1s'");
    let script = "trap ': > told; exit 0' TERM; while :; do sleep 0.02; done";
    let mut run = world.run("", script);
    let end = ended(&mut run).await;
    assert_eq!(end["outcome"], "interrupted", "{end}");
    assert!(end["detail"].as_str().unwrap().contains("attempt_timeout"));
    assert_eq!(run.ends().await.code(), Some(75));
    assert!(world.path("told").exists());
}

#[tokio::test]
async fn a_running_command_is_left_alone_when_a_condition_fails() {
    let world = World::new(Says::Good);
    let _logind = Logind::start(&world.address()).await;
    let manager = NetworkManager::start(&world.address()).await;
    let mut run = world.run("", &format!("{ONCE_HELD} exit 0"));
    appears(&world.path("started")).await;
    let path = "/org/freedesktop/NetworkManager";
    let interface = "org.freedesktop.NetworkManager";
    manager.change(path, interface, "Metered", 1_u32).await;
    world.write("go", "");
    assert_eq!(ended(&mut run).await["outcome"], "succeeded");
    assert_eq!(run.ends().await.code(), Some(0));
}
