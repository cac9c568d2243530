//! What the services say, and how they fail to.

use super::*;

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
        operational_state: "routable".into(),
    };
    let known = [
        Event::Logind(Report::Known(AWAKE)),
        Event::NetworkManager(Report::Known(connected())),
        Event::Networkd(Report::Known(online)),
        Event::UPower(Report::Known(Power {
            on_battery: false,
            percentage: Some(80),
        })),
        Event::ExternalPower(Report::Known(true)),
    ];
    assert_eq!(first, known);
    assert_eq!(network_manager.asked(), 1);
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
        assert!(
            matches!(first[4], Event::ExternalPower(Report::Unknown(_))),
            "{first:?}"
        );
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
    let huge = String::leak("x".repeat(1 << 16));
    networkd.set_operational_state(huge).await;
    let known = |event| match event {
        Event::Networkd(Report::Known(online)) => Some(online.operational_state),
        _ => None,
    };
    assert_eq!(gate.next_of(known).await, huge[..200]);
}

#[tokio::test]
async fn logind_is_asked_for_the_external_power_when_the_kernel_tells_of_a_change() {
    let (_folder, bus) = bus();
    let logind = Logind::start(&bus.address()).await;
    let mut gate = Gate::at(&bus.address());
    assert_eq!(gate.external_power().await, Report::Known(true));
    logind.put("OnExternalPower", false);
    gate.hint.notify_one();
    assert_eq!(gate.external_power().await, Report::Known(false));
}

#[tokio::test]
async fn upower_is_followed_until_it_is_gone() {
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
    assert_eq!(gate.upower().await, power(false, 80));
    upower.set_on_battery(true).await;
    assert_eq!(gate.upower().await, power(true, 80));
    upower.set_percentage(79.9).await;
    assert_eq!(gate.upower().await, power(true, 79));
    upower.vanish().await;
    assert_eq!(gate.upower().await, Report::Absent);
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
