//! Two runs of one profile: one at a time, and a waiting gate keeps no one out.

use crate::harness::{Says, Target, World, appears};

const HELD: &str = "echo first >> runs; : > started; until [ -e go ]; do sleep 0.02; done";
const QUICK: &str = "echo second >> runs";

#[tokio::test]
async fn the_second_of_two_runs_says_busy_and_runs_when_the_first_is_done() {
    let world = World::without_bus(Says::Good);
    let mut first = world.run("", HELD);
    appears(&world.path("started")).await;
    let mut second = world.run("", QUICK);
    let detail = second.held_even_after_open("busy").await;
    assert!(detail.contains(&format!("PID {}", first.pid())), "{detail}");
    assert_eq!(world.lines("runs"), 1);
    world.write("go", "");
    assert_eq!(first.ends().await.code(), Some(0));
    assert_eq!(second.ends().await.code(), Some(0));
    assert_eq!(world.lines("runs"), 2);
}

#[tokio::test]
async fn the_second_finds_the_work_done_where_once_a_day_is_enough() {
    let world = World::without_bus(Says::Good);
    world.configure("at_most_every = '20h'");
    let mut first = world.run("", HELD);
    appears(&world.path("started")).await;
    let mut second = world.run("", QUICK);
    second.held_even_after_open("busy").await;
    world.write("go", "");
    assert_eq!(first.ends().await.code(), Some(0));
    assert_eq!(second.ends().await.code(), Some(0));
    assert!(second.heard().contains("recent"), "{}", second.heard());
    assert_eq!(world.lines("runs"), 1);
}

#[tokio::test]
async fn a_lock_that_stays_held_is_given_up_at_the_deadline() {
    let world = World::without_bus(Says::Good);
    let mut first = world.run("", HELD);
    appears(&world.path("started")).await;
    let mut second = world.run("--timeout 500ms", QUICK);
    assert_eq!(second.ends().await.code(), Some(75), "{}", second.heard());
    assert!(second.heard().contains("busy"), "{}", second.heard());
    world.write("go", "");
    assert_eq!(first.ends().await.code(), Some(0));
    assert_eq!(world.lines("runs"), 1);
}

#[tokio::test]
async fn a_holder_that_is_killed_leaves_no_lock_behind() {
    let world = World::without_bus(Says::Good);
    let mut first = world.run("", HELD);
    appears(&world.path("started")).await;
    let mut second = world.run("", QUICK);
    second.held_even_after_open("busy").await;
    first.signal(nix::sys::signal::Signal::SIGKILL);
    first.ends().await;
    assert_eq!(second.ends().await.code(), Some(0), "{}", second.heard());
    assert_eq!(world.lines("runs"), 2);
}

#[tokio::test]
async fn a_run_by_hand_is_not_kept_waiting_by_a_gate_that_is_held() {
    let world = World::without_bus(Says::Nothing);
    let mut gated = world.run("", QUICK);
    gated.held("unreachable").await;
    let good = Target::new(Says::Good);
    let words = format!("run --settle 0 --target {} -- true", good.written());
    assert_eq!(world.ran(&words).await.status.code(), Some(0));
    world.target.say(Says::Good);
    assert_eq!(gated.ends().await.code(), Some(0));
    assert_eq!(world.lines("runs"), 1);
}

#[tokio::test]
async fn runs_of_two_profiles_do_not_wait_for_each_other() {
    let world = World::without_bus(Says::Good);
    let mut first = world.run("", HELD);
    appears(&world.path("started")).await;
    let mut other = world.run("--profile fwupd-refresh", QUICK);
    assert_eq!(other.ends().await.code(), Some(0));
    assert!(!other.heard().contains("busy"), "{}", other.heard());
    world.write("go", "");
    assert_eq!(first.ends().await.code(), Some(0));
}
