//! Where this program is, as a unit should have it.

use std::path::{Path, PathBuf};

use crate::systemd::read::scope::Scope;

/// Where distributions have the program, by names that stay when it is replaced by a newer one.
const PLACES: &[&str] = &[
    "/usr/bin/upgrade-gate",
    "/run/current-system/sw/bin/upgrade-gate",
    "/usr/local/bin/upgrade-gate",
    "/nix/var/nix/profiles/default/bin/upgrade-gate",
];
/// Of these, the ones where an administrator installs it.
const INSTALLED: [&str; 2] = ["/usr/bin/upgrade-gate", "/usr/local/bin/upgrade-gate"];
/// What belongs to one person, and may be hidden from services (`ProtectHome=`).
const HOMES: &[&str] = &["/root", "/home", "/var/home", "/run/user"];

/// It is somewhere that no unit of the system should name.
#[derive(Debug, thiserror::Error)]
#[error(
    "{own} is in a home directory, which may be hidden from services; install it first: install -m 755 {own} /usr/local/bin/upgrade-gate",
    own = .0.display()
)]
pub(super) struct InHome(PathBuf);

/// The path of this program; of another system's, the usual one.
pub(super) fn path(root: &Path, scope: Scope) -> Result<PathBuf, InHome> {
    let usual = PathBuf::from(PLACES[0]);
    if root != Path::new("/") {
        return Ok(usual);
    }
    let own = std::env::current_exe().and_then(|path| path.canonicalize());
    let Ok(own) = own else { return Ok(usual) };
    let mut places = PLACES.iter().map(PathBuf::from);
    if let Some(place) = places.find(|place| place.canonicalize().is_ok_and(|path| path == own)) {
        return Ok(place);
    }
    let home = std::env::var_os("HOME").map(PathBuf::from);
    if scope == Scope::User || !is_in_home(&own, home.as_deref()) {
        return Ok(own);
    }
    let installed = INSTALLED
        .iter()
        .map(PathBuf::from)
        .find(|path| path.is_file());
    installed.ok_or(InHome(own))
}

fn is_in_home(path: &Path, home: Option<&Path>) -> bool {
    // A service user's home may be `/`.
    let home = home.filter(|home| home.parent().is_some());
    let homes = HOMES.iter().map(Path::new).chain(home);
    homes.into_iter().any(|home| path.starts_with(home))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_below_somebodys_home_is_nothing_for_the_system() {
        let home = Some(Path::new("/srv/people/me"));
        for path in [
            "/root/.cargo/bin/upgrade-gate",
            "/home/a/bin/upgrade-gate",
            "/var/home/a/upgrade-gate",
            "/srv/people/me/upgrade-gate",
        ] {
            assert!(is_in_home(Path::new(path), home), "{path}");
        }
        for path in ["/opt/upgrade-gate", "/rootfs/upgrade-gate", "/usr/bin/a"] {
            assert!(!is_in_home(Path::new(path), home), "{path}");
        }
        assert!(!is_in_home(Path::new("/opt/a"), Some(Path::new("/"))));
    }

    #[test]
    fn what_to_type_is_said() {
        let said = InHome("/root/.cargo/bin/upgrade-gate".into()).to_string();
        let typed = "install -m 755 /root/.cargo/bin/upgrade-gate /usr/local/bin/upgrade-gate";
        assert!(said.ends_with(typed), "{said}");
    }
}
