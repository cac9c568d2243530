use proptest::prelude::*;

use super::*;

/// The commands of a line, whose words are separated by blanks; `|` separates them in what comes back.
fn of(words: &[&str]) -> String {
    let shown: Vec<String> = commands(words)
        .iter()
        .map(|words| words.join(" "))
        .collect();
    shown.join(" | ")
}

fn line(text: &str) -> String {
    of(&text.split(' ').collect::<Vec<_>>())
}

#[test]
fn a_command_is_found_with_the_variables_that_are_set_for_it() {
    let of = |words: &[&str]| {
        let run = runs(words).pop().unwrap();
        let set = run.variables.iter();
        let set: Vec<_> = set.map(|(name, value)| format!("{name}={value}")).collect();
        set.join(" ")
    };
    for script in [
        "A=b apt-get update",
        "A=b; apt-get update",
        "export A=b; apt-get update",
        "true && export A='b' && nice apt-get update",
        "env A=b apt-get update",
    ] {
        assert_eq!(of(&["sh", "-c", script]), "A=b", "{script}");
        assert_eq!(of(&["sudo", "X=y", "sh", "-c", script]), "X=y A=b");
    }
    assert_eq!(of(&["sh", "-c", "A=b true; apt-get update"]), "");
    assert_eq!(of(&["sh", "-c", "A=b; unset A; apt-get update"]), "A=b A=");
    assert_eq!(of(&["env", "-u", "A", "apt-get", "update"]), "A=");
    assert_eq!(of(&["apt-get", "-o", "A=b"]), "");
}

#[test]
fn a_wrapper_gives_way_to_the_command_it_runs() {
    for wrapped in [
        "apt-get update",
        "/usr/bin/env apt-get update",
        "env -i -u X A=b C=d apt-get update",
        "nice apt-get update",
        "nice -n 19 apt-get update",
        "nice -10 apt-get update",
        "ionice -c 3 apt-get update",
        "ionice -c2 -n0 nice apt-get update",
        "timeout 10m apt-get update",
        "timeout --foreground -k 5 --signal=INT 10 apt-get update",
        "flock /run/lock apt-get update",
        "flock -w 10 /run/lock apt-get update",
        "flock -nE 75 /run/lock -- apt-get update",
        "systemd-inhibit --what sleep --why=x apt-get update",
        "sudo -nu root A=b apt-get update",
        "sudo -u root -- apt-get update",
        "chrt -i 0 apt-get update",
        "chrt --idle 0 apt-get update",
        "taskset -c 0,1 apt-get update",
        "setpriv --reuid 0 --clear-groups apt-get update",
        "stdbuf -oL apt-get update",
        "systemd-run --wait -p Nice=5 --unit=x apt-get update",
        "systemd-cat -t x apt-get update",
        "ip netns exec blue apt-get update",
        "busybox timeout 5 apt-get update",
        "runuser -u root -- apt-get update",
        "runuser -u root apt-get update",
        "chroot /mnt apt-get update",
        "env - A=b apt-get update",
        "run0 -u root --nice 5 --setenv=A=b apt-get update",
        "run0 -D / -- apt-get update",
        "eatmydata -- apt-get update",
        "torsocks -i apt-get update",
        "proxychains4 -q -f /etc/p.conf apt-get update",
        "tini -s -- apt-get update",
        "dumb-init -r 15:2 apt-get update",
        "setarch x86_64 -R apt-get update",
        "setarch -R apt-get update",
        "linux32 apt-get update",
        "xargs -r -n 1 apt-get update",
        "strace -f -o /tmp/x apt-get update",
        "numactl --cpunodebind 0 apt-get update",
        "cgexec -g cpu:low apt-get update",
        "cpulimit -l 50 -- apt-get update",
        "firejail --quiet apt-get update",
        "ssh-agent apt-get update",
    ] {
        assert_eq!(
            line(wrapped).replace("/usr/bin/", ""),
            "apt-get update",
            "{wrapped}"
        );
    }
}

#[test]
fn a_wrapper_that_runs_nothing_is_the_command() {
    for words in [
        "timeout",
        "sudo -v",
        "env",
        "ionice -p 1",
        "command -v nix",
        "su - me",
        "ip link",
    ] {
        assert_eq!(line(words), words);
    }
    assert_eq!(of(&[]), "");
}

#[test]
fn a_script_is_found_wherever_the_shell_looks_for_it() {
    let script = "apt-get update && apt-get -y upgrade";
    let expected = "apt-get update | apt-get -y upgrade";
    for words in [
        &["sh", "-c", script][..],
        &["/bin/bash", "-lc", script],
        &["bash", "-euo", "pipefail", "-c", script],
        &["bash", "-ceuo", "pipefail", script],
        &["bash", "--norc", "-c", "--", script],
        &["zsh", "-o", "x", "-c", script, "zsh"],
        &["busybox", "sh", "-c", script],
        &["env", "A=b", "sh", "-ec", script],
        &["su", "-", "me", "-c", script],
        &[
            "runuser",
            "me",
            "--command=apt-get update && apt-get -y upgrade",
        ],
        &["flock", "/lock", "-c", script],
        &["script", "-q", "/dev/null", "-c", script],
        &["script", "-qec", script, "/dev/null"],
        &["su", "-lc", script, "me"],
        &["sg", "backup", "-c", script],
        &["sg", "backup", script],
        &["fish", "-c", script],
        &[
            "sudo",
            "sh",
            "-c",
            "eval 'apt-get update; apt-get -y upgrade'",
        ],
    ] {
        assert_eq!(of(words), expected, "{words:?}");
    }
    assert_eq!(line("bash -e /usr/bin/x update"), "/usr/bin/x update");
    assert_eq!(of(&["env", "-S", "nice apt-get update"]), "apt-get update");
}

#[test]
fn the_arguments_of_a_script_stand_where_it_takes_them() {
    assert_eq!(
        of(&["sh", "-c", "exec nice \"$@\"", "_", "apt-get", "update"]),
        "apt-get update"
    );
}

#[test]
fn a_script_is_taken_apart_as_a_shell_does() {
    for (script, expected) in [
        ("a 'b c' \"d \\\" e\" f\\ g", "a b c d \" e f g"),
        ("a; b & c | d || e\nf", "a | b | c | d | e | f"),
        ("if ! ping -c1 h; then exit 1; fi", "ping -c1 h | exit 1"),
        (
            "until host x >/dev/null 2>&1; do sleep 2; done",
            "host x | sleep 2",
        ),
        ("A=b C='d e' x", "x"),
        ("A=$(date +%F) x", "date +%F | x"),
        (
            "x \"`y z`\" $((1+2)) ${a b}",
            "y z | x `y z` $((1+2)) ${a b}",
        ),
        ("for i in 1 2; do x $i; done", "x $i"),
        ("(cd /x && y) <in >out", "cd /x | y"),
        ("x # y; z\nw", "x | w"),
        ("x a#b", "x a#b"),
        ("x \\\ny", "x y"),
        ("diff <(a) <(b)", "diff | a | b"),
        ("'a;b' '' c", "a;b  c"),
        ("", ""),
        ("x '", "x "),
    ] {
        assert_eq!(of(&["sh", "-c", script]), expected, "{script}");
    }
}

proptest! {
    #[test]
    fn no_command_line_is_too_odd(words in proptest::collection::vec(prop_oneof![
        ".{0,12}", "(sh|-c|-S|env|flock|timeout|su|ip|exec|--|-u|eval)", "[a$(){}'\"`\\\\;<>|& \n#]{0,20}",
    ], 0..6)) {
        let _ = commands(&words);
    }
}
