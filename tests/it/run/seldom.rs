//! `at_most_every`: a success is remembered, a failure is not, and a person may insist.

use crate::harness::{Says, World};

async fn runs(world: &World, options: &str, script: &str) -> (Option<i32>, String) {
    let mut run = world.run(options, script);
    (run.ends().await.code(), run.heard())
}

#[tokio::test]
async fn a_recent_success_is_enough_even_without_a_network() {
    let world = World::without_bus(Says::Good);
    world.configure("at_most_every = '20h'");
    assert_eq!(runs(&world, "", "echo run >> runs").await.0, Some(0));
    world.target.say(Says::Nothing);
    let (code, heard) = runs(&world, "", "echo run >> runs").await;
    assert_eq!(code, Some(0), "{heard}");
    assert!(heard.contains("recent"), "{heard}");
    assert_eq!(world.lines("runs"), 1);
}

#[tokio::test]
async fn a_person_may_insist() {
    let world = World::without_bus(Says::Good);
    world.configure("at_most_every = '20h'");
    for _ in 0..2 {
        assert_eq!(
            runs(&world, "--allow recent", "echo run >> runs").await.0,
            Some(0)
        );
    }
    assert_eq!(world.lines("runs"), 2);
}

#[tokio::test]
async fn a_failure_is_not_a_success() {
    let world = World::without_bus(Says::Good);
    world.configure("at_most_every = '20h'");
    for _ in 0..2 {
        assert_eq!(
            runs(&world, "", "echo run >> runs; exit 5").await.0,
            Some(5)
        );
    }
    assert_eq!(world.lines("runs"), 2);
}

#[tokio::test]
async fn a_stamp_of_another_version_or_of_nonsense_is_a_warning_and_the_upgrade_is_due() {
    let world = World::without_bus(Says::Good);
    world.configure("at_most_every = '20h'");
    let stamp = "var/lib/upgrade-gate/last-success/default.json";
    for text in ["{\"version\":99}", "nonsense", ""] {
        world.write(stamp, text);
        let (code, heard) = runs(&world, "", "true").await;
        assert_eq!(code, Some(0));
        assert!(heard.contains("warning: "), "{heard}");
        assert!(heard.contains("attempt_started"), "{heard}");
    }
}
