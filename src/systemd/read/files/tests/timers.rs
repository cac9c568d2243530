//! Which timers start a unit.

use super::*;

fn timers(root: &Root, name: &str) -> Vec<String> {
    let timers = root.read(name).unit.timers;
    timers.into_iter().map(|timer| timer.name).collect()
}

const DAILY: &str = "[Timer]\nOnCalendar=daily\n";
const PLAIN: &str = "[Service]\nExecStart=/bin/a\n";

#[test]
fn an_instance_enabled_by_a_link_is_a_unit_and_so_is_what_it_starts() {
    let root = Root::new()
        .with(&format!("{LIB}/a@.timer"), DAILY)
        .with(&format!("{LIB}/a@.service"), PLAIN)
        .with(&format!("{LIB}/b@.service"), PLAIN)
        .with(
            &format!("{LIB}/c.timer"),
            "[Timer]\nOnCalendar=daily\nUnit=b@c.service\n",
        )
        .link(
            &format!("{ETC}/timers.target.wants/a@x.timer"),
            "../a@.timer",
        )
        .link(
            &format!("{ETC}/timers.target.wants/gone@x.timer"),
            "../gone@.timer",
        )
        .link(
            &format!("{ETC}/multi-user.target.wants/b@d.service"),
            &format!("/{LIB}/b@.service"),
        );
    let expected = [
        "a@x.service",
        "a@x.timer",
        "b@c.service",
        "b@d.service",
        "c.timer",
    ];
    assert_eq!(root.files().names(), expected);
    assert_eq!(timers(&root, "a@x.service"), ["a@x.timer"]);
    assert_eq!(
        timers(&root, "a@y.service"),
        ["a@y.timer"],
        "not enabled, as any other may be"
    );
    assert_eq!(timers(&root, "b@c.service"), ["c.timer"]);
    assert!(timers(&root, "b@d.service").is_empty());
}

#[test]
fn a_timer_that_starts_a_target_starts_what_the_target_pulls_in() {
    let root = Root::new()
        .with(
            &format!("{ETC}/all.timer"),
            "[Timer]\nOnCalendar=daily\nUnit=all.target\n",
        )
        .with(
            &format!("{ETC}/all.target"),
            "[Unit]\nWants=wanted.service\nRequires=required.service\n",
        )
        .with(&format!("{ETC}/wanted.service"), PLAIN)
        .with(&format!("{ETC}/required.service"), PLAIN)
        .with(&format!("{ETC}/linked.service"), PLAIN)
        .with(
            &format!("{ETC}/installed.service"),
            &format!("{PLAIN}[Install]\nWantedBy=all.target\n"),
        )
        .with(
            &format!("{ETC}/other.service"),
            &format!("{PLAIN}[Install]\nWantedBy=multi-user.target\n"),
        )
        .link(
            &format!("{ETC}/all.target.wants/linked.service"),
            "../linked.service",
        );
    for name in ["wanted", "required", "linked", "installed"] {
        assert_eq!(
            timers(&root, &format!("{name}.service")),
            ["all.timer"],
            "{name}"
        );
    }
    assert!(timers(&root, "other.service").is_empty() && timers(&root, "all.service").is_empty());
}
