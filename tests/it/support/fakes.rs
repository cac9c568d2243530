//! Fakes of the services on the system bus, with the properties and the signals of the real ones.

use std::collections::HashMap;
use std::ops::Deref;

use zbus::{Message, Variant};

use super::fake::Fake;

macro_rules! fake {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        pub struct $name(Fake);

        impl Deref for $name {
            type Target = Fake;

            fn deref(&self) -> &Fake {
                &self.0
            }
        }
    };
}

fake!(
    /// systemd-logind: awake, on external power.
    Logind
);
fake!(
    /// NetworkManager: connected, with a check that works.
    NetworkManager
);
fake!(
    /// systemd-networkd: online.
    Networkd
);
fake!(
    /// UPower: on mains, with a battery at 80 %.
    UPower
);

impl Logind {
    const PATH: &str = "/org/freedesktop/login1";
    const MANAGER: &str = "org.freedesktop.login1.Manager";

    /// Starts it.
    pub async fn start(address: &str) -> Self {
        let fake = Fake::new(address, "org.freedesktop.login1").await;
        for name in ["PreparingForSleep", "PreparingForShutdown"] {
            fake.set(Self::PATH, Self::MANAGER, name, false);
        }
        fake.set(Self::PATH, Self::MANAGER, "OnExternalPower", true);
        fake.appear().await;
        Self(fake)
    }

    /// Sets a property; the real one tells nobody either.
    pub fn put(&self, name: &str, value: impl Into<Variant<'static>>) {
        self.set(Self::PATH, Self::MANAGER, name, value);
    }

    /// Goes to sleep, or has woken up.
    pub async fn sleep(&self, begins: bool) {
        self.put("PreparingForSleep", begins);
        self.emit(Self::PATH, Self::MANAGER, "PrepareForSleep", &begins)
            .await;
    }

    /// Shuts down, or has thought better of it.
    pub async fn shutdown(&self, begins: bool) {
        self.put("PreparingForShutdown", begins);
        self.emit(Self::PATH, Self::MANAGER, "PrepareForShutdown", &begins)
            .await;
    }
}

impl NetworkManager {
    const PATH: &str = "/org/freedesktop/NetworkManager";
    const MANAGER: &str = "org.freedesktop.NetworkManager";

    /// Starts it.
    pub async fn start(address: &str) -> Self {
        let fake = Fake::new(address, "org.freedesktop.NetworkManager").await;
        for (name, number) in [("State", 70_u32), ("Connectivity", 4), ("Metered", 4)] {
            fake.set(Self::PATH, Self::MANAGER, name, number);
        }
        for name in ["ConnectivityCheckAvailable", "ConnectivityCheckEnabled"] {
            fake.set(Self::PATH, Self::MANAGER, name, true);
        }
        fake.appear().await;
        Self(fake)
    }

    /// Sets a property, and tells nobody.
    pub fn put(&self, name: &str, value: impl Into<Variant<'static>>) {
        self.set(Self::PATH, Self::MANAGER, name, value);
    }

    /// Is of a version without this property.
    pub fn lacks(&self, name: &str) {
        self.unset(Self::PATH, Self::MANAGER, name);
    }

    /// What it sends when its state has become this one.
    pub fn signals(&self, state: u32) -> [Message; 2] {
        let changed = HashMap::from([("State", Variant::from(state))]);
        let body = (Self::MANAGER, changed, Vec::<&str>::new());
        let properties = "org.freedesktop.DBus.Properties";
        [
            self.signal(Self::PATH, properties, "PropertiesChanged", &body),
            self.signal(Self::PATH, Self::MANAGER, "StateChanged", &state),
        ]
    }

    /// Changes its state, with both signals.
    pub async fn set_state(&self, state: u32) {
        self.change(Self::PATH, Self::MANAGER, "State", state).await;
        self.emit(Self::PATH, Self::MANAGER, "StateChanged", &state)
            .await;
    }
}

impl Networkd {
    const PATH: &str = "/org/freedesktop/network1";
    const MANAGER: &str = "org.freedesktop.network1.Manager";

    /// Starts it.
    pub async fn start(address: &str) -> Self {
        let fake = Fake::new(address, "org.freedesktop.network1").await;
        fake.set(Self::PATH, Self::MANAGER, "OnlineState", "online");
        fake.set(Self::PATH, Self::MANAGER, "OperationalState", "routable");
        fake.appear().await;
        Self(fake)
    }

    /// Changes its `OperationalState`.
    pub async fn set_operational_state(&self, state: &'static str) {
        self.change(Self::PATH, Self::MANAGER, "OperationalState", state)
            .await;
    }
}

impl UPower {
    const PATH: &str = "/org/freedesktop/UPower";
    const MANAGER: &str = "org.freedesktop.UPower";
    const DISPLAY_DEVICE: &str = "/org/freedesktop/UPower/devices/DisplayDevice";
    const DEVICE: &str = "org.freedesktop.UPower.Device";

    /// Starts it.
    pub async fn start(address: &str) -> Self {
        let fake = Fake::new(address, "org.freedesktop.UPower").await;
        fake.set(Self::PATH, Self::MANAGER, "OnBattery", false);
        fake.set(Self::DISPLAY_DEVICE, Self::DEVICE, "IsPresent", true);
        fake.set(Self::DISPLAY_DEVICE, Self::DEVICE, "Type", 2_u32);
        fake.set(Self::DISPLAY_DEVICE, Self::DEVICE, "Percentage", 80_f64);
        fake.appear().await;
        Self(fake)
    }

    /// Runs on battery, or on mains.
    pub async fn set_on_battery(&self, on_battery: bool) {
        self.change(Self::PATH, Self::MANAGER, "OnBattery", on_battery)
            .await;
    }

    /// Has this charge.
    pub async fn set_percentage(&self, percentage: f64) {
        self.change(Self::DISPLAY_DEVICE, Self::DEVICE, "Percentage", percentage)
            .await;
    }
}
