//! What of a unit decides whether, and how, it can be gated.

use super::*;

#[test]
fn what_matters_to_a_gate_is_read_with_the_unit() {
    let around = |unit: &str, text: &str| {
        let root = Root::new()
            .with(&format!("{LIB}/{unit}"), text)
            .with(&format!("{LIB}/listening.socket"), "[Socket]\n");
        root.read(unit).surroundings
    };
    let plain = around(
        "a.service",
        "[Unit]\nBefore=shutdown.target\n[Service]\nExecStopPost=\nWatchdogSec=0\n",
    );
    assert_eq!(plain, Surroundings::default());
    let unit = around(
        "a.service",
        "[Unit]\nBefore=b.service\nSuccessAction=reboot\n",
    );
    assert!(unit.before && unit.success_action);
    let service = "[Service]\nExecStop=/bin/a\nExecStopPost=/bin/b\nExecStop=\nWatchdogSec=1min\n";
    let service = around("a.service", service);
    assert!(!service.stop && service.stop_post && service.watchdog);
    assert!(around("a.service", "[Service]\nSockets=b.socket\n").socket);
    assert!(around("listening.service", "[Service]\n").socket);
    assert!(around("listening@.service", "[Service]\n").socket);
}
