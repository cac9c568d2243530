//! What is refused, with which exit code, and what is only warned of: through the real binary.

use crate::harness::{Says, World};

async fn refused(world: &World, words: &str, code: i32, says: &str) {
    let output = world.ran(words).await;
    // What is wrong with the configuration is the answer of `config`.
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert_eq!(output.status.code(), Some(code), "{words}: {said}");
    assert!(said.contains(says), "{words}: {said}");
}

#[tokio::test]
async fn wrong_arguments_are_64_and_name_what_is_wrong() {
    let world = World::without_bus(Says::Good);
    for (words, says) in [
        ("check --target nonsense", "nonsense"),
        ("check --target gopher://x", "gopher"),
        ("check --target tcp://x", "--target"),
        ("check --settle infinity --target tcp://x:1", "infinity"),
        ("check --timeout 5parsecs", "5parsecs"),
        ("check --allow asleep", "only these can be waived"),
        ("check --profile ../etc/passwd", "invalid profile name"),
    ] {
        refused(&world, words, 64, says).await;
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_78_with_file_line_and_key() {
    let world = World::without_bus(Says::Good);
    world.configure("settle = '1s'\nsetle = '2s'");
    for words in ["check", "wait-online", "run -- true", "config"] {
        let says = "etc/upgrade-gate/upgrade-gate.toml:3: profile.default.setle";
        refused(&world, words, 78, says).await;
    }
}

#[tokio::test]
async fn nothing_to_decide_from_is_69_at_once() {
    let world = World::without_bus(Says::Good);
    world.configure("targets = []");
    refused(&world, "check", 78, ":2: profile.default.targets").await;
    world.write("etc/upgrade-gate/upgrade-gate.toml", "");
    for words in ["check", "wait-online", "run -- true"] {
        refused(&world, words, 69, "give --target").await;
    }
}

#[tokio::test]
async fn a_guess_is_allowed_only_where_it_is_asked_for_and_is_marked() {
    let world = World::without_bus(Says::Good);
    world.configure("allow_guess = true");
    let output = world.ran("check --json").await;
    let said = String::from_utf8_lossy(&output.stdout);
    // The machine of the test may have no route.
    let guessed = said.contains(r#""guess":true"#);
    let held = said.contains(r#""verdict":"held""#);
    assert_eq!(
        output.status.code(),
        Some(if guessed { 0 } else { 75 }),
        "{said}"
    );
    assert!(guessed || held, "{said}");
}

#[tokio::test]
async fn an_exec_condition_skips_only_for_a_verdict() {
    let world = World::without_bus(Says::Nothing);
    let target = world.target.written();
    let check = format!("check --exec-condition --target {target}");
    assert_eq!(world.ran(&check).await.status.code(), Some(1));
    world.target.say(Says::Good);
    assert_eq!(world.ran(&check).await.status.code(), Some(0));
    refused(
        &world,
        "check --exec-condition --nonsense",
        255,
        "--nonsense",
    )
    .await;
    refused(
        &world,
        "check --exec-condition --profile /",
        255,
        "invalid profile name",
    )
    .await;
    world.configure("attempts = 'many'");
    refused(&world, &check, 255, ":2: profile.default.attempts").await;
}

#[tokio::test]
async fn an_exec_condition_that_nothing_can_be_derived_for_guesses_and_says_so() {
    let world = World::without_bus(Says::Good);
    for words in [
        "check --exec-condition",
        "check --exec-condition --profile apt-daily",
    ] {
        let output = world.ran(words).await;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        // The machine of the test may have no route.
        let expected = i32::from(!said.contains("open on a guess"));
        assert_eq!(output.status.code(), Some(expected), "{said}");
        assert!(said.contains("warning: no target for profile"), "{said}");
    }
}

#[tokio::test]
async fn sources_that_are_all_on_this_machine_need_no_network() {
    let world = World::without_bus(Says::Good);
    world.write("etc/apt/sources.list", "deb cdrom:[Debian 12]/ s main\n");
    for words in [
        "check --profile apt-daily",
        "check --profile apt-daily --exec-condition",
        "run --profile apt-daily -- true",
    ] {
        let output = world.ran(words).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(0), "{words}: {said}");
    }
    let output = world.ran("check --profile apt-daily").await;
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        said.contains("open: everything it needs is on this machine"),
        "{said}"
    );
}

#[tokio::test]
async fn a_login_is_neither_refused_nor_shown() {
    let world = World::without_bus(Says::Nothing);
    let login = |target: &str| target.replacen("://", "://me:secret@", 1);
    let target = login(&world.target.written());
    let says = world.target.written();
    refused(&world, &format!("check --target {target}"), 75, &says).await;
    world.configure(&format!(
        "targets = [{target:?}]\nflake = \"git+https://me:secret@h.example/x\""
    ));
    for words in [
        "check",
        "config",
        "config --json",
        "wait-online --timeout 100ms --json",
    ] {
        let output = world.ran(words).await;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(!said.contains("secret"), "{words}: {said}");
    }
    world.configure("\"https://me:secret@h/\" = 1\nmetered = \"https://me:sec/secret@h\"\n\"\" = https://me:secret@h");
    for words in [
        "check",
        "config --json",
        "check --profile https://me:secret@h",
        "check https://me:secret@h",
    ] {
        let output = world.ran(words).await;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            !output.status.success() && !said.contains("secret"),
            "{words}: {said}"
        );
    }
}

#[tokio::test]
async fn a_deadline_that_passes_is_75_and_1_as_an_exec_condition() {
    let world = World::without_bus(Says::Nothing);
    let mut gate = world.gate("--timeout 300ms");
    gate.held("unreachable").await;
    assert_eq!(gate.ends().await.code(), Some(75));
    let mut gate = world.gate("--timeout 300ms --exec-condition");
    assert_eq!(gate.ends().await.code(), Some(1));
}

#[tokio::test]
async fn nonsense_in_nix_conf_is_a_warning_and_no_hold() {
    let world = World::without_bus(Says::Good);
    let address = world.target.written().replace("nix-cache:", "");
    world.write(
        "etc/nix/nix.conf",
        &format!("this is no setting\nsubstituters = {address}\ninclude /no/such/file\n"),
    );
    let output = world.ran("wait-online").await;
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("etc/nix/nix.conf:1"), "{said}");
    assert!(said.contains("warning"), "{said}");
}

#[tokio::test]
async fn a_nix_conf_of_bytes_that_are_no_text_stops_nothing() {
    let world = World::without_bus(Says::Good);
    let address = world.target.written().replace("nix-cache:", "");
    let mut bytes = vec![0xff, 0xfe, 0, b'\n'];
    bytes.extend(format!("substituters = {address}\n").into_bytes());
    std::fs::create_dir_all(world.path("etc/nix")).unwrap();
    std::fs::write(world.path("etc/nix/nix.conf"), bytes).unwrap();
    let checked = world.ran("check").await;
    assert_eq!(checked.status.code(), Some(0), "{checked:?}");
}

#[tokio::test]
async fn the_command_line_beats_the_file() {
    let world = World::without_bus(Says::Good);
    world.configure("targets = ['tcp://127.0.0.1:1']\nsettle = '1h'");
    let output = world.ran("check --timeout 5s").await;
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    world.gate("").opens_and_ends().await;
}
