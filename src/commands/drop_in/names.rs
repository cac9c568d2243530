//! The names on the command line: of the unit, and of the profile.

use super::super::prepare::Refusal;
use crate::config::profile::check_name;
use crate::exit::Exit;
use crate::systemd::read::{ReadError, service_name};

/// The specifiers that a unit's name fills in.
const SPECIFIERS: &[char] = &['i', 'I', 'j', 'J', 'n', 'N', 'p', 'P'];

/// The name of the service that is meant; that of a template stands for all of its instances.
pub(super) fn unit(word: &str) -> Result<String, Refusal> {
    let name = match service_name(word) {
        Ok(name) => name.into_owned(),
        Err(ReadError::Template(name)) => name,
        Err(error) => return Err(Refusal::new(Exit::Usage, &error)),
    };
    if name.contains('/') {
        let why = format!("invalid unit name {name}: it has a slash");
        return Err(Refusal::new(Exit::Usage, &why));
    }
    Ok(name)
}

/// The profile that is asked for, specifiers in it and all; by default the service's or the template's own name.
pub(super) fn profile(asked: Option<&str>, unit: &str) -> Result<String, Refusal> {
    let stem = unit.strip_suffix(".service").unwrap_or(unit);
    let own = stem.strip_suffix('@').unwrap_or(stem);
    let profile = asked.unwrap_or(own);
    check_name(&filled_in(profile)).map_err(|why| Refusal::new(Exit::Usage, &why))?;
    Ok(profile.to_owned())
}

/// The name with a letter in place of each specifier.
fn filled_in(profile: &str) -> String {
    let mut parts = profile.split('%');
    let first = parts.next().unwrap_or_default();
    let rest = parts.map(|part| match part.strip_prefix(SPECIFIERS) {
        Some(rest) => format!("x{rest}"),
        None => format!("%{part}"),
    });
    first.to_owned() + &rest.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_s_instances_share_a_profile_unless_each_is_to_have_its_own() {
        assert_eq!(profile(None, "bk@.service").unwrap(), "bk");
        assert_eq!(profile(None, "bk@a.service").unwrap(), "bk@a");
        assert_eq!(profile(Some("%i"), "bk@.service").unwrap(), "%i");
        assert_eq!(profile(Some("x-%N"), "bk@.service").unwrap(), "x-%N");
    }

    #[test]
    fn a_profile_that_the_program_would_refuse_is_refused() {
        for name in ["", "a b", "%t", "%%", "a/b", "100%"] {
            let refusal = profile(Some(name), "bk.service").expect_err(name);
            assert_eq!(refusal.exit, Exit::Usage, "{name}");
        }
    }

    #[test]
    fn whatever_systemd_calls_a_service_is_the_name_of_a_profile() {
        let long = "x".repeat(247);
        for stem in ["_a", ".a", "-a", ":a", "bk@srv-my\\x2ddata", &long] {
            let name = format!("{stem}.service");
            assert_eq!(profile(None, &name).unwrap(), stem);
        }
    }
}
