//! What NixOS's switch-to-configuration reads in a unit's files and systemd does not tell.

use std::path::Path;

use crate::systemd::read::{unit_text, values};
use crate::systemd::unit::{Switch, Unit};

/// As the files that systemd has read the unit from have it; a later assignment wins.
pub(super) fn of(root: &Path, unit: &Unit) -> Switch {
    let mut switch = Switch::default();
    for path in unit.fragment.iter().chain(&unit.drop_ins) {
        // What cannot be read has been read by systemd, and is what it is by default.
        let text = super::text(root, path);
        assign(&mut switch, &text);
    }
    switch
}

fn assign(switch: &mut Switch, text: &[u8]) {
    for assignment in unit_text::parse(text).assignments {
        let place = match assignment.key.as_str() {
            "X-RestartIfChanged" => &mut switch.restart_if_changed,
            "X-StopOnRemoval" => &mut switch.stop_on_removal,
            _ => continue,
        };
        *place = values::boolean(&assignment.value).unwrap_or(*place);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::systemd::tests::sample;

    #[test]
    fn a_drop_in_wins_over_the_unit_s_own_file() {
        let root = tempfile::tempdir().unwrap();
        let etc = root.path().join("etc");
        fs::create_dir(&etc).unwrap();
        fs::write(etc.join("u"), "[Service]\nX-RestartIfChanged=false\n").unwrap();
        fs::write(
            etc.join("d"),
            "[Unit]\nX-StopOnRemoval = no\n[Service]\nX-RestartIfChanged=yes\n",
        )
        .unwrap();
        let unit = Unit {
            fragment: Some("/etc/u".into()),
            drop_ins: vec!["/etc/d".into(), "/etc/missing".into()],
            ..sample::unit()
        };
        let expected = Switch {
            restart_if_changed: true,
            stop_on_removal: false,
        };
        assert_eq!(of(root.path(), &unit), expected);
    }
}
