//! Packages whose data cannot go back: whether the units of two systems run other major versions of one.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::Nixos;
use crate::sys::files::entries;

impl Nixos {
    /// The first of these packages that differs, with the versions of both systems. One that only one of them has does not.
    pub fn migrates(&self, packages: &[String], old: &Path, new: &Path) -> Option<[String; 3]> {
        if packages.is_empty() {
            return None;
        }
        let [old, new] = [old, new].map(|system| self.unit_texts(system));
        packages.iter().find_map(|package| {
            let [old, new] = [&old, &new].map(|text| majors(text, package));
            let differs = old != new && !old.is_empty() && !new.is_empty();
            let shown = |majors: BTreeSet<&str>| majors.into_iter().collect::<Vec<_>>().join(", ");
            differs.then(|| [package.clone(), shown(old), shown(new)])
        })
    }

    /// All unit files and drop-ins of a system.
    fn unit_texts(&self, system: &Path) -> String {
        let folder = self.inside(system).join("etc/systemd/system");
        let files = entries(&folder);
        let drop_ins = files.iter().flat_map(|path| entries(path));
        let texts = files.iter().cloned().chain(drop_ins);
        let texts = texts.filter_map(|path| fs::read_to_string(path).ok());
        texts.collect::<Vec<_>>().join("\n")
    }
}

/// The major versions of a package, or of one whose name begins with its, among the store paths of a text.
fn majors<'a>(text: &'a str, package: &str) -> BTreeSet<&'a str> {
    let paths = text.split("/nix/store/").skip(1);
    paths.filter_map(|path| major(path, package)).collect()
}

/// `HASH-NAME-VERSION/…`: the version begins after the first dash that a digit follows, as Nix has it.
fn major<'a>(path: &'a str, package: &str) -> Option<&'a str> {
    let (_, name) = path.split_once('-')?;
    let rest = name.strip_prefix(package)?;
    let (at, _) = rest
        .match_indices('-')
        .find(|(at, _)| rest[at + 1..].starts_with(|c: char| c.is_ascii_digit()))?;
    let named = at == 0 || rest.starts_with('-');
    let within = !rest[..at].contains(|c: char| c == '/' || c.is_whitespace());
    let version = &rest[at + 1..];
    let end = version.find(|c: char| !c.is_ascii_digit());
    Some(&version[..end.unwrap_or(version.len())]).filter(|_| named && within)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<&str> {
        majors(text, "postgresql").into_iter().collect()
    }

    #[test]
    fn a_major_version_is_read_from_a_store_path() {
        let unit =
            "ExecStart=/nix/store/00ab-postgresql-16.4/bin/postgres -D /var/lib/postgresql/17\n";
        assert_eq!(found(unit), ["16"]);
        let path =
            "PATH=/nix/store/0-coreutils-9.5/bin:/nix/store/1-postgresql-and-plugins-16.4/bin\n";
        assert_eq!(found(path), ["16"]);
    }

    #[test]
    fn what_only_looks_like_it_is_passed_over() {
        for text in [
            "/nix/store/0-unit-script-postgresql-start/bin/postgresql-start 17-1",
            "/nix/store/0-postgresqlfoo-3.1/bin/x",
            "/nix/store/0-postgresql/bin/a-2",
            "/nix/store/0-postgresql",
            "postgresql-15",
        ] {
            assert_eq!(found(text), Vec::<&str>::new(), "{text}");
        }
    }
}
