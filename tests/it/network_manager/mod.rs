//! The real binary with the real NetworkManager, and with none: in network namespaces, as root.
//!
//! Each test runs in namespaces of its own, the processes' too: whatever it starts dies with it.

mod alone;
mod by_name;
mod gate;
mod manager;
mod online;
mod portal;
mod restarts;
mod world;

use std::time::Duration;

/// Long enough for a machine under load; nothing waits for it to pass.
const DEADLINE: Duration = Duration::from_secs(60);

/// What takes longer was not told by an event, but found by a look whose turn came.
const MISSED: Duration = Duration::from_secs(20);

/// Of what each test has its own.
const OWN: &[&str] = &[
    "--net",
    "--mount",
    "--pid",
    "--fork",
    "--kill-child",
    "--mount-proc",
];

/// Declares a test that runs in namespaces of its own: the test binary runs itself again there.
macro_rules! in_a_world {
    ($(fn $name:ident() $body:block)*) => {$(
        #[test]
        #[ignore = "needs root, NetworkManager, dbus-daemon, iproute2, dnsmasq"]
        fn $name() {
            let (_, module) = module_path!().split_once("::").unwrap();
            let name = format!("{module}::{}", stringify!($name));
            if crate::namespace::enter_with(crate::network_manager::OWN, &name) {
                $body
            }
        }
    )*};
}
use in_a_world;

/// Awake time since some moment, for what a person reads with `--nocapture`.
struct Stopwatch(upgrade_gate::gate::time::Monotonic);

impl Stopwatch {
    fn start() -> Self {
        Self(upgrade_gate::sys::clock::now().monotonic)
    }

    fn passed(&self) -> Duration {
        upgrade_gate::sys::clock::now().monotonic.since(self.0)
    }

    /// Tells what took how long, which must be less than what a missed event would cost.
    fn tell(&self, what: &str) {
        let passed = self.passed();
        eprintln!("{what}: {} ms", passed.as_millis());
        assert!(passed < MISSED, "{what} took {passed:?}");
    }
}
