//! What systemd's versions differ in.

use std::fmt;

/// systemd's version: the number in front of `257.8-1~deb13u2` and `258~rc1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32);

impl Version {
    /// The oldest that is supported, and what is assumed where the version cannot be known.
    pub const OLDEST: Self = Self(252);
    /// Later than every version that anything here came with.
    pub const NEWEST: Self = Self(u32::MAX);

    /// From the property `Version` of `org.freedesktop.systemd1.Manager`, or the first line of `systemctl --version`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_start_matches(|c: char| !c.is_ascii_digit());
        let end = digits.find(|c: char| !c.is_ascii_digit());
        digits[..end.unwrap_or(digits.len())].parse().ok().map(Self)
    }

    /// `RestartSteps=`, `RestartMaxDelaySec=` and `RestartMode=` are known (NEWS 254).
    pub fn has_restart_steps(self) -> bool {
        self.0 >= 254
    }

    /// `RestartForceExitStatus=` is allowed for a oneshot (NEWS 256).
    pub fn forces_restart_of_oneshots(self) -> bool {
        self.0 >= 256
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "systemd {}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distributions_add_to_the_number() {
        for (text, number) in [
            ("257.8-1~deb13u2", 257),
            ("258~rc1", 258),
            ("v262", 262),
            ("systemd 252 (252.39-1~deb12u1)", 252),
        ] {
            assert_eq!(Version::parse(text), Some(Version(number)), "{text}");
        }
    }

    #[test]
    fn what_has_no_number_is_no_version() {
        assert_eq!(Version::parse("main"), None);
        assert_eq!(Version::parse("99999999999999999999"), None);
    }
}
