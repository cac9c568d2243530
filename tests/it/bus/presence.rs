//! That there is a bus, that there is none, and that it comes and goes.

use super::*;

#[tokio::test]
async fn on_a_bus_without_services_all_are_absent() {
    let (_folder, bus) = bus();
    assert_eq!(Gate::at(&bus.address()).first().await, absent());
}

#[tokio::test]
async fn without_a_bus_every_service_is_absent() {
    let folder = tempfile::tempdir().unwrap();
    let missing = format!("unix:path={}/a/b/bus", folder.path().display());
    for address in [
        "",
        &missing,
        "unix:abstract=nobody-listens-here-upgrade-gate",
    ] {
        assert_eq!(Gate::at(address).first().await, absent(), "{address}");
    }
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on_is_no_bus() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let address = format!("unix:path={}", path.display());
    assert_eq!(Gate::at(&address).first().await, absent());
}

#[tokio::test]
async fn a_bus_that_says_nothing_is_unknown_after_five_seconds() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut gate = Gate::at(&format!("unix:path={}", path.display()));
    let Report::Unknown(why) = gate.logind().await else {
        panic!("not unknown")
    };
    assert!(why.ends_with("does not answer"), "{why}");
}

#[tokio::test]
async fn a_bus_that_comes_later_in_a_folder_that_comes_later_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("run/dbus");
    let path = inner.join("bus");
    let mut gate = Gate::at(&format!("unix:path={}", path.display()));
    assert_eq!(gate.first().await, absent());
    std::fs::create_dir_all(&inner).unwrap();
    let bus = TestBus::start(&path);
    let _logind = Logind::start(&bus.address()).await;
    assert_eq!(gate.logind().await, Report::Known(AWAKE));
}

#[tokio::test]
async fn a_bus_that_dies_takes_its_services_with_it_and_is_followed_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bus");
    let bus = TestBus::start(&path);
    let address = bus.address();
    let logind = Logind::start(&address).await;
    let mut gate = Gate::at(&address);
    assert_eq!(gate.logind().await, Report::Known(AWAKE));
    drop(bus);
    drop(logind);
    assert_eq!(gate.logind().await, Report::Absent);
    let _bus = TestBus::start(&path);
    let logind = Logind::start(&address).await;
    assert_eq!(gate.logind().await, Report::Known(AWAKE));
    assert_eq!(gate.external_power().await, Report::Known(true));
    logind.sleep(true).await;
    assert_eq!(gate.next().await, Event::PrepareForSleep(true));
}

#[tokio::test]
async fn a_watcher_whose_gate_is_gone_ends() {
    let (_folder, bus) = bus();
    for address in [bus.address().as_str(), ""] {
        let mut gate = Gate::at(address);
        gate.first().await;
        drop(gate.events);
        timeout(GENEROUS, gate.task)
            .await
            .expect("it ends")
            .unwrap();
    }
}

#[tokio::test]
async fn a_lock_is_weak_where_logind_knows_that_and_held_until_it_is_dropped() {
    let (_folder, bus) = bus();
    let logind = Logind::start(&bus.address()).await;
    let connection = BusAddress::parse(&bus.address()).connect().await.unwrap();
    let take = |mode| inhibit(&connection, "shutdown", "upgrade-gate", "a test", mode);
    take(InhibitMode::Block).await.unwrap();
    take(InhibitMode::Delay).await.unwrap();
    logind.forget_block_weak();
    take(InhibitMode::Block).await.unwrap();
    assert_eq!(logind.locks(), ["block-weak", "delay", "block"]);
    logind.be(Mood::Refusing).await;
    assert!(take(InhibitMode::Block).await.is_err());
}

#[tokio::test]
#[ignore = "needs dbus-daemon"]
async fn no_service_is_started_by_looking_for_it() {
    let folder = tempfile::tempdir().unwrap();
    activatable(folder.path());
    let bus = DbusDaemon::start(folder.path());
    let mut gate = Gate::at(&bus.address());
    assert_eq!(gate.first().await, absent());
    let connection = BusAddress::parse(&bus.address()).connect().await.unwrap();
    let refused = inhibit(
        &connection,
        "sleep",
        "upgrade-gate",
        "a test",
        InhibitMode::Delay,
    )
    .await;
    assert!(refused.is_err());
    assert!(!folder.path().join("started").exists());
    // The same bus does start a service for a call that lets it: the test can fail.
    let starting = connection
        .call_method(
            Some("org.freedesktop.UPower"),
            "/",
            None::<&str>,
            "Ping",
            &(),
        )
        .await;
    assert!(starting.is_err());
    assert!(folder.path().join("started").exists());
}

#[tokio::test]
#[ignore = "needs dbus-daemon"]
async fn the_real_bus_is_followed_through_a_suspend_and_a_restart_of_a_service() {
    let folder = tempfile::tempdir().unwrap();
    let bus = DbusDaemon::start(folder.path());
    let logind = Logind::start(&bus.address()).await;
    let mut gate = Gate::at(&bus.address());
    assert_eq!(gate.logind().await, Report::Known(AWAKE));
    logind.sleep(true).await;
    logind.sleep(false).await;
    let sleep = |e| {
        if let Event::PrepareForSleep(begins) = e {
            Some(begins)
        } else {
            None
        }
    };
    assert!(gate.next_of(sleep).await);
    assert!(!gate.next_of(sleep).await);
    logind.vanish().await;
    assert_eq!(gate.logind().await, Report::Absent);
    logind.appear().await;
    assert_eq!(gate.logind().await, Report::Known(AWAKE));
    drop(bus);
    assert_eq!(gate.logind().await, Report::Absent);
    let bus = DbusDaemon::start(folder.path());
    let _logind = Logind::start(&bus.address()).await;
    assert_eq!(gate.logind().await, Report::Known(AWAKE));
}

/// Makes each service one that the bus would start, by a program that leaves a trace.
pub(crate) fn activatable(folder: &Path) {
    let services = folder.join("services");
    std::fs::create_dir(&services).unwrap();
    for name in ["login1", "NetworkManager", "network1", "UPower"] {
        let name = format!("org.freedesktop.{name}");
        let trace = folder.join("started").display().to_string();
        let text =
            format!("[D-BUS Service]\nName={name}\nExec=/bin/sh -c 'echo > {trace}; exit 1'\n");
        std::fs::write(services.join(format!("{name}.service")), text).unwrap();
    }
}
