//! The repositories of dnf and zypper: `.repo` files.

use super::keyfile::{self, Entry};
use super::need::{Candidate, Need};
use super::place::{Place, via, web};
use super::world::World;
use crate::config::target::Via;

/// Where one of them has its files.
pub(super) struct Program {
    main: &'static str,
    folders: &'static [&'static str],
}

pub(super) const DNF: Program = Program {
    main: "/etc/dnf/dnf.conf",
    folders: &[
        "/etc/yum.repos.d",
        "/etc/yum/repos.d",
        "/etc/distro.repos.d",
    ],
};
pub(super) const ZYPPER: Program = Program {
    main: "/etc/zypp/zypp.conf",
    folders: &["/etc/zypp/repos.d"],
};

/// One `any` of all that are enabled: a dead third-party repository must not hold the gate indefinitely.
pub(super) fn needs(program: &Program, world: &World<'_>) -> Vec<Need> {
    let main = joined(&world.read(program.main.as_ref()).unwrap_or_default());
    let variables = Variables::of(world);
    let reposdir = keyfile::value(&main, "main", "reposdir").unwrap_or_default();
    let named: Vec<&str> = reposdir
        .split([',', ' '])
        .filter(|dir| !dir.is_empty())
        .collect();
    let folders = if named.is_empty() {
        program.folders.to_vec()
    } else {
        named
    };
    let files = folders
        .iter()
        .flat_map(|folder| world.list(folder, ".repo"));
    let own = [(main.clone(), program.main.to_owned())];
    let texts =
        files.filter_map(|path| Some((joined(&world.read(&path)?), path.display().to_string())));
    let found = own.into_iter().chain(texts).flat_map(|(text, origin)| {
        let repository = |group| repository(&text, group, &main, &variables, &origin);
        keyfile::groups(&text)
            .into_iter()
            .flat_map(repository)
            .collect::<Vec<_>>()
    });
    vec![Need::Any(found.collect())]
}

/// A line that begins with a blank goes on with the value before it.
fn joined(text: &str) -> String {
    text.replace("\n ", " ").replace("\n\t", " ")
}

/// What one repository is fetched from; nothing if it is disabled.
fn repository(
    text: &str,
    group: &str,
    main: &str,
    variables: &Variables,
    origin: &str,
) -> Vec<Candidate> {
    let value = |key| keyfile::value(text, group, key).filter(|value| !value.is_empty());
    let off =
        |word: &str| ["0", "no", "false", "off"].contains(&word.to_ascii_lowercase().as_str());
    if group == "main" || value("enabled").is_some_and(off) {
        return Vec::new();
    }
    let sources = ["metalink", "mirrorlist", "baseurl"]
        .into_iter()
        .filter_map(value);
    let urls = sources
        .take(1)
        .flat_map(|urls| urls.split([',', ' ', '\t']));
    let proxy = value("proxy").or_else(|| keyfile::value(main, "main", "proxy"));
    let urls = urls
        .filter(|url| !url.is_empty())
        .map(|url| variables.expand(url));
    let candidates = urls.map(|url| Candidate {
        via: proxy.and_then(via_of),
        ..Candidate::new(place(&url), &url, format!("{origin}, {group}"))
    });
    candidates.collect()
}

fn via_of(proxy: &str) -> Option<Via> {
    match proxy {
        "" => None,
        "_none_" => Some(Via::Direct),
        url => Some(via(url)),
    }
}

fn place(url: &str) -> Place {
    let local = ["file:", "cd:", "dvd:", "hd:", "iso:", "dir:", "/", "media:"];
    if local.iter().any(|prefix| url.starts_with(prefix)) {
        return Place::Local;
    }
    if url.contains('$') && !url.starts_with("https://") {
        return Place::Unknown("its variables are not known".to_owned());
    }
    web(url)
}

/// `$releasever` and what else stands in URLs. In a path they do not matter: any answer of the host proves it.
struct Variables(Vec<(String, String)>);

impl Variables {
    fn of(world: &World<'_>) -> Self {
        let release = world.read("/etc/os-release".as_ref()).unwrap_or_default();
        let mut entries = keyfile::entries(&release);
        let version = entries.find(|Entry { key, .. }| *key == "VERSION_ID");
        let version = version.map(|entry| entry.value.trim_matches('"').to_owned());
        let arch = std::env::consts::ARCH.to_owned();
        let mut all: Vec<_> = version
            .map(|value| ("releasever".to_owned(), value))
            .into_iter()
            .collect();
        all.extend([
            ("basearch".to_owned(), arch.clone()),
            ("arch".to_owned(), arch),
        ]);
        for path in world
            .list("/etc/dnf/vars", "")
            .iter()
            .chain(&world.list("/etc/yum/vars", ""))
        {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            let value = world.read(path).unwrap_or_default();
            all.push((name.into_owned(), value.trim().to_owned()));
        }
        // $releasever before $release.
        all.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        Self(all)
    }

    fn expand(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| {
            text.replace(&format!("${{{name}}}"), value)
                .replace(&format!("${name}"), value)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_enabled_repository_is_fetched_from_the_first_kind_of_source_that_it_has() {
        let text = "[fedora]\nmetalink=https://m.example/metalink?repo=f-$releasever&token=secret\nbaseurl=https://never.example\n\
                    [off]\nenabled=0\nbaseurl=https://off.example\n\
                    [two]\nbaseurl=https://me:secret@a.example/$x/\n  http://b.example/${releasever}\nproxy=_none_\n\
                    [local]\nbaseurl=file:///srv\n";
        let text = joined(text);
        let variables = Variables(vec![("releasever".into(), "42".into())]);
        let of = |group| repository(&text, group, "[main]\nproxy=http://p:1\n", &variables, "x");
        assert_eq!(of("fedora")[0].place, web("https://m.example/metalink"));
        assert_eq!(of("fedora")[0].via, Some(via("http://p:1")));
        assert!(of("off").is_empty());
        let two = of("two");
        assert_eq!(two[0].written, "https://a.example/$x/");
        assert_eq!(two[1].place, web("http://b.example/42"));
        assert_eq!(two[1].via, Some(Via::Direct));
        assert!(of("local")[0].is_local());
    }
}
