//! Whether a system is older than another: Nix takes a stale flake without a word when the network fails it.

use std::fs;
use std::path::Path;

use super::Nixos;

/// Release and day of a NixOS version, such as `25.11.20251103.a1b2c3d`; a version without a day tells nothing.
type Dated = (u32, u32, u32);

impl Nixos {
    /// The versions of a system and of the one it would follow, if it is the older one.
    pub fn is_older(&self, system: &Path, than: &Path) -> Option<[String; 2]> {
        let [old, new] = [system, than].map(|path| self.version(path));
        let (old, new) = (old?, new?);
        let is_older = dated(&old)? < dated(&new)?;
        is_older.then_some([old, new])
    }

    fn version(&self, system: &Path) -> Option<String> {
        let text = fs::read_to_string(self.inside(&system.join("nixos-version"))).ok()?;
        Some(text.trim().to_owned())
    }
}

fn dated(version: &str) -> Option<Dated> {
    let mut parts = version.split('.');
    let mut number = |digits: usize| {
        let part = parts.next()?;
        let all = part.bytes().all(|byte| byte.is_ascii_digit());
        (all && part.len() == digits).then(|| part.parse().ok())?
    };
    Some((number(2)?, number(2)?, number(8)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_as_old_as_its_release_and_then_its_day() {
        assert!(dated("25.05.20251103.a") < dated("25.11.20250601.b"));
        assert!(dated("25.11.20251102.b") < dated("25.11.20251103.a"));
        for other in [
            "25.11pre-git",
            "25.11.abc",
            "25.11.2025.x",
            "",
            "x",
            "25.11",
        ] {
            assert_eq!(dated(other), None, "{other}");
        }
    }
}
