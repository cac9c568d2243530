//! The kernel's uevents as a hint for the power supply.

use netlink_sys::protocols::NETLINK_KOBJECT_UEVENT;

use crate::sources::netlink::{Opening, Port};
use crate::sys::limits;

/// The kernel's own multicast group; udev's is the second.
const KERNEL: u32 = 1;

/// Rings when a power supply changes. In a container it may never ring: the kernel sends uevents to the
/// network namespaces of the initial user namespace only.
#[derive(Debug)]
pub struct PowerHint(Option<Port>);

impl PowerHint {
    /// Listens from now on; where that is forbidden the hint is silent, and says so once. Needs a tokio
    /// runtime with I/O.
    pub fn listen() -> Self {
        let opening = Opening {
            protocol: NETLINK_KOBJECT_UEVENT,
            groups: KERNEL,
            receive_buffer: None,
        };
        let port = Port::open(&opening).inspect_err(|error| {
            let why = limits::refusal(error);
            tracing::warn!("cannot listen for changes of the power supply ({why}); allow AF_NETLINK in RestrictAddressFamilies=");
        });
        Self(port.ok())
    }

    /// Waits for a change of any power supply; cancel-safe.
    pub async fn changed(&mut self) {
        let Some(port) = &mut self.0 else {
            return std::future::pending().await;
        };
        // An error is an overrun (ENOBUFS): a change may have been lost.
        while port.receive().await.is_ok_and(|event| !is_of_power(event)) {}
        // A change of several supplies comes as several events, and one look is enough.
        while port.try_receive().unwrap_or(true) {}
    }
}

// `change@/devices/…`, then KEY=value, each with a zero byte at its end.
fn is_of_power(event: &[u8]) -> bool {
    event
        .split(|byte| *byte == 0)
        .any(|line| line == b"SUBSYSTEM=power_supply")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_power_supply_rings() {
        let event = b"change@/devices/ac\0ACTION=change\0SUBSYSTEM=power_supply\0SEQNUM=7\0";
        assert!(is_of_power(event));
    }

    #[test]
    fn other_devices_ring_nothing() {
        assert!(!is_of_power(
            b"add@/devices/veth0\0ACTION=add\0SUBSYSTEM=net\0"
        ));
        assert!(!is_of_power(
            b"change@/SUBSYSTEM=power_supply/x\0SUBSYSTEM=usb\0"
        ));
        assert!(!is_of_power(b""));
    }
}
