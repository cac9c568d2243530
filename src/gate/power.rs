//! Who speaks for the power: UPower, then logind, then the kernel (R6).

use super::event::{Power, Report};

/// What each of them said last; `None` where one has not spoken yet.
#[derive(Debug, Default)]
pub(super) struct PowerSources {
    pub(super) upower: Option<Report<Power>>,
    /// logind's `OnExternalPower`.
    pub(super) external: Option<Report<bool>>,
    /// `/sys/class/power_supply`.
    pub(super) kernel: Option<Report<Power>>,
}

impl PowerSources {
    /// What is known of the power; `None` while one that comes first may still answer. logind knows no charge, so
    /// that is the kernel's.
    pub(super) fn power(&self) -> Option<Report<Power>> {
        if let Report::Known(power) = self.upower.as_ref()? {
            return Some(Report::Known(*power));
        }
        let external = self.external.as_ref()?;
        let kernel = self.kernel.as_ref()?;
        Some(match external {
            Report::Known(external) => Report::Known(Power {
                on_battery: !external,
                percentage: charge(kernel),
            }),
            Report::Absent | Report::Unknown(_) => kernel.clone(),
        })
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
    const KERNEL: Power = Power {
        on_battery: false,
        percentage: Some(55),
    };

    fn power(
        upower: Option<Report<Power>>,
        external: Option<Report<bool>>,
    ) -> Option<Report<Power>> {
        let kernel = Some(Report::Known(KERNEL));
        PowerSources {
            upower,
            external,
            kernel,
        }
        .power()
    }

    fn hung<T>() -> Report<T> {
        Report::Unknown("does not answer".into())
    }

    #[test]
    fn upower_comes_first() {
        let found = power(Some(Report::Known(UPOWER)), Some(Report::Known(true)));
        assert_eq!(found, Some(Report::Known(UPOWER)));
    }

    #[test]
    fn an_absent_or_hung_upower_leaves_it_to_logind_and_the_charge_to_the_kernel() {
        for upower in [Report::Absent, hung()] {
            let found = power(Some(upower), Some(Report::Known(false)));
            let on_battery = Power {
                on_battery: true,
                percentage: KERNEL.percentage,
            };
            assert_eq!(found, Some(Report::Known(on_battery)));
        }
    }

    #[test]
    fn without_either_the_kernel_speaks() {
        for external in [Report::Absent, hung()] {
            let found = power(Some(Report::Absent), Some(external));
            assert_eq!(found, Some(Report::Known(KERNEL)));
        }
    }

    #[test]
    fn nothing_is_known_before_those_who_come_first_have_spoken() {
        assert_eq!(power(None, Some(Report::Known(true))), None);
        assert_eq!(power(Some(Report::Absent), None), None);
    }
}
