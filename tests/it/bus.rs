//! The system bus, against fakes of the services on it.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use upgrade_gate::dbus::login1::{InhibitMode, inhibit};
use upgrade_gate::gate::event::{
    Connectivity, Event, Logind as Preparing, NetworkManager as Network, Networkd as Online, Power,
    Report,
};
use upgrade_gate::sources::bus::{BusAddress, Sysfs, watch};

use crate::support::bus::{DbusDaemon, TestBus};
use crate::support::fake::{Fake, Mood};
use crate::support::fakes::{Logind, NetworkManager, Networkd, UPower};

/// Far longer than anything takes, even on a busy machine.
const GENEROUS: Duration = Duration::from_secs(60);

const SYSFS: Power = Power {
    on_battery: false,
    percentage: Some(55),
};
const AWAKE: Preparing = Preparing {
    preparing_for_sleep: false,
    preparing_for_shutdown: false,
};
const ASLEEP: Preparing = Preparing {
    preparing_for_sleep: true,
    preparing_for_shutdown: false,
};

/// Takes the events in the gate's place.
struct Gate {
    events: mpsc::Receiver<Event>,
    bell: Arc<Notify>,
    task: JoinHandle<()>,
}

impl Gate {
    fn at(address: &str) -> Self {
        let (sender, events) = mpsc::channel(64);
        let bell = Arc::new(Notify::new());
        let sysfs = Sysfs {
            read: || Report::Known(SYSFS),
            bell: bell.clone(),
        };
        let task = tokio::spawn(watch(BusAddress::parse(address), sender, sysfs));
        Self { events, bell, task }
    }

    async fn next(&mut self) -> Event {
        timeout(GENEROUS, self.events.recv())
            .await
            .expect("an event in time")
            .expect("a watcher")
    }

    /// The next event that is about what `wanted` picks.
    async fn next_of<T>(&mut self, wanted: impl Fn(Event) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.next().await) {
                return found;
            }
        }
    }

    /// The first reports: one of each kind.
    async fn first(&mut self) -> [Event; 4] {
        let mut found = Vec::new();
        for _ in 0..4 {
            found.push(self.next().await);
        }
        let rank = |event: &Event| match event {
            Event::Logind(_) => 0,
            Event::NetworkManager(_) => 1,
            Event::Networkd(_) => 2,
            _ => 3,
        };
        found.sort_by_key(rank);
        found.try_into().unwrap()
    }

    async fn logind(&mut self) -> Report<Preparing> {
        self.next_of(|e| {
            if let Event::Logind(report) = e {
                Some(report)
            } else {
                None
            }
        })
        .await
    }

    async fn network(&mut self) -> Report<Network> {
        self.next_of(|e| {
            if let Event::NetworkManager(report) = e {
                Some(report)
            } else {
                None
            }
        })
        .await
    }

    async fn power(&mut self) -> Report<Power> {
        self.next_of(|e| {
            if let Event::Power(report) = e {
                Some(report)
            } else {
                None
            }
        })
        .await
    }
}

fn absent() -> [Event; 4] {
    [
        Event::Logind(Report::Absent),
        Event::NetworkManager(Report::Absent),
        Event::Networkd(Report::Absent),
        Event::Power(Report::Known(SYSFS)),
    ]
}

fn connected() -> Network {
    Network {
        state: 70,
        connectivity: Connectivity::Full,
        checks: true,
        metered: false,
    }
}

fn bus() -> (TempDir, TestBus) {
    let folder = tempfile::tempdir().unwrap();
    let bus = TestBus::start(&folder.path().join("bus"));
    (folder, bus)
}

#[tokio::test]
async fn every_service_is_read_once_at_the_start() {
    let (_folder, bus) = bus();
    let address = bus.address();
    let _logind = Logind::start(&address).await;
    let network_manager = NetworkManager::start(&address).await;
    let _networkd = Networkd::start(&address).await;
    let _upower = UPower::start(&address).await;
    let first = Gate::at(&address).first().await;
    let online = Online {
        online_state: "online".into(),
        operational_state: "routable".into(),
    };
    let known = [
        Event::Logind(Report::Known(AWAKE)),
        Event::NetworkManager(Report::Known(connected())),
        Event::Networkd(Report::Known(online)),
        Event::Power(Report::Known(Power {
            on_battery: false,
            percentage: Some(80),
        })),
    ];
    assert_eq!(first, known);
    assert_eq!(network_manager.asked(), 1);
}

#[tokio::test]
async fn a_bus_without_services_has_none_and_the_kernel_speaks_for_the_power() {
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
    logind.sleep(true).await;
    assert_eq!(gate.next().await, Event::PrepareForSleep(true));
}

#[tokio::test]
async fn the_signals_of_a_suspend_arrive_in_order() {
    let (_folder, bus) = bus();
    let logind = Logind::start(&bus.address()).await;
    let network_manager = NetworkManager::start(&bus.address()).await;
    let mut gate = Gate::at(&bus.address());
    gate.first().await;
    logind.sleep(true).await;
    assert_eq!(gate.next().await, Event::PrepareForSleep(true));
    network_manager.set_state(10).await;
    let asleep = Network {
        state: 10,
        ..connected()
    };
    assert_eq!(
        gate.next().await,
        Event::NetworkManager(Report::Known(asleep))
    );
    logind.sleep(false).await;
    logind.shutdown(true).await;
    assert_eq!(gate.next().await, Event::PrepareForSleep(false));
    assert_eq!(gate.next().await, Event::PrepareForShutdown(true));
}

#[tokio::test]
async fn a_gate_started_before_the_resume_is_over_knows_it() {
    let (_folder, bus) = bus();
    let logind = Logind::start(&bus.address()).await;
    logind.put("PreparingForSleep", true);
    let mut gate = Gate::at(&bus.address());
    assert_eq!(gate.logind().await, Report::Known(ASLEEP));
    logind.sleep(false).await;
    gate.next_of(|event| (event == Event::PrepareForSleep(false)).then_some(()))
        .await;
}

#[tokio::test]
async fn a_signal_between_the_subscription_and_the_reading_is_seen_before_the_reading() {
    let (_folder, bus) = bus();
    let logind = Logind::start(&bus.address()).await;
    logind.be(Mood::Hung).await;
    let mut gate = Gate::at(&bus.address());
    logind.until_asked(3).await;
    logind.sleep(true).await;
    logind.be(Mood::Well).await;
    let of_logind =
        |e: Event| matches!(e, Event::PrepareForSleep(_) | Event::Logind(_)).then_some(e);
    assert_eq!(gate.next_of(of_logind).await, Event::PrepareForSleep(true));
    assert_eq!(
        gate.next_of(of_logind).await,
        Event::Logind(Report::Known(ASLEEP))
    );
}

#[tokio::test]
async fn a_service_that_vanishes_is_absent_and_is_read_again_when_it_returns() {
    let (_folder, bus) = bus();
    let logind = Logind::start(&bus.address()).await;
    let mut gate = Gate::at(&bus.address());
    assert_eq!(gate.logind().await, Report::Known(AWAKE));
    logind.vanish().await;
    assert_eq!(gate.logind().await, Report::Absent);
    logind.put("PreparingForSleep", true);
    logind.appear().await;
    assert_eq!(gate.logind().await, Report::Known(ASLEEP));
}

#[tokio::test]
async fn a_service_that_hangs_is_unknown_and_delays_no_other() {
    let (_folder, bus) = bus();
    let _logind = Logind::start(&bus.address()).await;
    let network_manager = NetworkManager::start(&bus.address()).await;
    network_manager.be(Mood::Hung).await;
    let mut gate = Gate::at(&bus.address());
    assert_eq!(gate.logind().await, Report::Known(AWAKE));
    let silent = Report::Unknown("NetworkManager does not answer".to_owned());
    assert_eq!(gate.network().await, silent);
    network_manager.be(Mood::Well).await;
    assert_eq!(gate.network().await, Report::Known(connected()));
}

#[tokio::test]
async fn a_service_that_refuses_or_talks_nonsense_is_unknown() {
    for mood in [Mood::Refusing, Mood::Nonsense] {
        let (_folder, bus) = bus();
        let logind = Logind::start(&bus.address()).await;
        let network_manager = NetworkManager::start(&bus.address()).await;
        logind.be(mood).await;
        network_manager.be(mood).await;
        let first = Gate::at(&bus.address()).first().await;
        assert!(
            matches!(first[0], Event::Logind(Report::Unknown(_))),
            "{first:?}"
        );
        assert!(
            matches!(first[1], Event::NetworkManager(Report::Unknown(_))),
            "{first:?}"
        );
        assert_eq!(first[3], Event::Power(Report::Known(SYSFS)));
    }
}

#[tokio::test]
async fn an_older_network_manager_or_a_wrong_type_costs_only_that_member() {
    let (_folder, bus) = bus();
    let network_manager = NetworkManager::start(&bus.address()).await;
    network_manager.lacks("Metered");
    network_manager.lacks("ConnectivityCheckAvailable");
    network_manager.put("Connectivity", "full");
    let known = Network {
        state: 70,
        connectivity: Connectivity::Unknown,
        checks: false,
        metered: false,
    };
    assert_eq!(
        Gate::at(&bus.address()).network().await,
        Report::Known(known)
    );
}

#[tokio::test]
async fn a_huge_answer_is_cut_short() {
    let (_folder, bus) = bus();
    let networkd = Networkd::start(&bus.address()).await;
    let mut gate = Gate::at(&bus.address());
    gate.first().await;
    networkd
        .set_operational_state(String::leak("x".repeat(1 << 20)))
        .await;
    let Event::Networkd(Report::Known(online)) = gate.next().await else {
        panic!("not known")
    };
    assert_eq!(online.operational_state.len(), 200);
}

#[tokio::test]
async fn logind_speaks_for_the_power_without_upower_and_is_asked_when_the_kernel_rings() {
    let (_folder, bus) = bus();
    let logind = Logind::start(&bus.address()).await;
    let mut gate = Gate::at(&bus.address());
    let power = |on_battery| {
        Report::Known(Power {
            on_battery,
            percentage: SYSFS.percentage,
        })
    };
    assert_eq!(gate.power().await, power(false));
    logind.put("OnExternalPower", false);
    gate.bell.notify_one();
    assert_eq!(gate.power().await, power(true));
}

#[tokio::test]
async fn upower_speaks_for_the_power_while_it_is_there() {
    let (_folder, bus) = bus();
    let _logind = Logind::start(&bus.address()).await;
    let upower = UPower::start(&bus.address()).await;
    let mut gate = Gate::at(&bus.address());
    let power = |on_battery, charge| {
        Report::Known(Power {
            on_battery,
            percentage: Some(charge),
        })
    };
    assert_eq!(gate.power().await, power(false, 80));
    upower.set_on_battery(true).await;
    assert_eq!(gate.power().await, power(true, 80));
    upower.set_percentage(79.9).await;
    assert_eq!(gate.power().await, power(true, 79));
    upower.vanish().await;
    assert_eq!(gate.power().await, Report::Known(SYSFS));
}

#[tokio::test]
async fn a_signal_that_someone_else_sends_in_a_services_name_is_ignored() {
    let (_folder, bus) = bus();
    let logind = Logind::start(&bus.address()).await;
    let mut gate = Gate::at(&bus.address());
    gate.first().await;
    let stranger = Fake::new(&bus.address(), "org.example.Stranger").await;
    // Nobody but the bus knows the watcher's name, so every name that it can have is tried.
    for number in 0..32 {
        stranger.forge_sleep(&format!(":busd.{number}"), true).await;
    }
    logind.sleep(false).await;
    assert_eq!(gate.next().await, Event::PrepareForSleep(false));
}

#[tokio::test]
async fn a_flood_from_one_service_neither_loses_a_signal_of_another_nor_is_it_passed_on() {
    const SIGNALS: u32 = 5000;
    let (_folder, bus) = bus();
    let logind = Logind::start(&bus.address()).await;
    let network_manager = NetworkManager::start(&bus.address()).await;
    let mut gate = Gate::at(&bus.address());
    gate.first().await;
    let before = network_manager.asked();
    let flood = async {
        for number in 0..SIGNALS {
            network_manager.set_state(50).await;
            if number % 500 == 0 {
                logind.sleep(number % 1000 == 0).await;
            }
        }
        network_manager.set_state(20).await;
    };
    let mut sleeps = Vec::new();
    let taken = async {
        loop {
            match gate.next().await {
                Event::PrepareForSleep(begins) => sleeps.push(begins),
                Event::NetworkManager(Report::Known(Network { state: 20, .. })) => return,
                _ => {}
            }
        }
    };
    tokio::join!(flood, taken);
    assert_eq!(sleeps, [true, false].repeat(5));
    let readings = network_manager.asked() - before;
    assert!(readings < 1000, "{readings} readings for {SIGNALS} changes");
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

/// Makes each service one that the bus would start, by a program that leaves a trace.
fn activatable(folder: &Path) {
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
