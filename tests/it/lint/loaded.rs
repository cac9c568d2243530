//! What is asked besides of units that systemd has loaded.

use super::ids;
use super::machine::Machine;
use super::systemd::Unit;

#[tokio::test]
async fn a_timer_that_starts_a_target_starts_the_services_of_the_target() {
    let service = Unit::service("u.service")
        .with("After", vec!["network-online.target"])
        .with("WantedBy", vec!["all.target", "gone.target"]);
    let target = Unit::service("all.target").with("TriggeredBy", vec!["all.timer"]);
    let bus = Machine::with(vec![service, target, Unit::timer("all.timer")]).await;
    let said = bus.lint("u").await;
    assert!(
        said.out.contains("UG003") && said.out.contains("all.timer"),
        "{said:?}"
    );
}

#[tokio::test]
async fn lines_that_systemd_has_ignored_are_read_from_the_files_of_what_it_has_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let fragment = file("u.service", "[Service]\nRestart=on-failure # x\n");
    let drop_in = file("u.conf", "[Service]\nStartLimitIntervalSec=0\n");
    let timer = file("u.timer", "[Timer]\nOnCalendar=dayly\n");
    let service = Unit::service("u.service")
        .with("FragmentPath", fragment.clone())
        .with("DropInPaths", vec![drop_in.clone()])
        .with("TriggeredBy", vec!["u.timer"]);
    let timer_unit = Unit::timer("u.timer").with("FragmentPath", timer.clone());
    let bus = Machine::with(vec![service, timer_unit]).await;
    let told = bus.lint("u --json").await.json();
    let findings = told["units"][0]["findings"].as_array().unwrap();
    let said: Vec<_> = findings
        .iter()
        .filter_map(|found| found["what"].as_str())
        .collect();
    assert_eq!(ids(&told["units"][0]), ["UG017"; 3]);
    for (said, file) in said.iter().zip([fragment, drop_in, timer]) {
        assert!(said.starts_with(&format!("{file}:2: ")), "{said}");
    }
}
