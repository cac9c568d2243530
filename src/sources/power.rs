//! Who speaks for the power: UPower, then logind, then the kernel (R6).

use crate::gate::event::{Power, Report};

/// What each of the two services said, if it has said anything yet.
#[derive(Debug, Default)]
pub(super) struct Speakers {
    pub(super) upower: Option<Report<Power>>,
    /// logind's `OnExternalPower`.
    pub(super) external: Option<Report<bool>>,
}

impl Speakers {
    /// What is known of the power; none while a service that comes first may still answer.
    ///
    /// logind knows no charge, so that is always `sysfs`'s.
    pub(super) fn power(&self, sysfs: impl FnOnce() -> Report<Power>) -> Option<Report<Power>> {
        if let Report::Known(power) = self.upower.as_ref()? {
            return Some(Report::Known(*power));
        }
        Some(match (self.external.as_ref()?, sysfs()) {
            (Report::Known(external), kernel) => Report::Known(Power {
                on_battery: !external,
                percentage: charge(&kernel),
            }),
            (_, kernel) => kernel,
        })
    }

    /// Whether it is logind's word that counts.
    pub(super) fn logind_speaks(&self) -> bool {
        !matches!(self.upower, Some(Report::Known(_)))
            && matches!(self.external, Some(Report::Known(_)))
    }
}

fn charge(power: &Report<Power>) -> Option<u8> {
    match power {
        Report::Known(power) => power.percentage,
        Report::Absent | Report::Unknown(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPOWER: Power = Power {
        on_battery: true,
        percentage: Some(80),
    };
    const SYSFS: Power = Power {
        on_battery: false,
        percentage: Some(55),
    };

    fn speaks(
        upower: Option<Report<Power>>,
        external: Option<Report<bool>>,
    ) -> Option<Report<Power>> {
        Speakers { upower, external }.power(|| Report::Known(SYSFS))
    }

    fn hung<T>() -> Report<T> {
        Report::Unknown("does not answer".into())
    }

    #[test]
    fn upower_comes_first() {
        let said = speaks(Some(Report::Known(UPOWER)), Some(Report::Known(true)));
        assert_eq!(said, Some(Report::Known(UPOWER)));
    }

    #[test]
    fn an_absent_or_hung_upower_leaves_it_to_logind_and_the_charge_to_the_kernel() {
        for upower in [Report::Absent, hung()] {
            let said = speaks(Some(upower), Some(Report::Known(false)));
            let power = Power {
                on_battery: true,
                percentage: SYSFS.percentage,
            };
            assert_eq!(said, Some(Report::Known(power)));
        }
    }

    #[test]
    fn without_either_the_kernel_speaks() {
        for external in [Report::Absent, hung()] {
            assert_eq!(
                speaks(Some(Report::Absent), Some(external)),
                Some(Report::Known(SYSFS))
            );
        }
    }

    #[test]
    fn nothing_is_said_before_those_who_come_first_have_spoken() {
        assert_eq!(speaks(None, Some(Report::Known(true))), None);
        assert_eq!(speaks(Some(Report::Absent), None), None);
    }
}
