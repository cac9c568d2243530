//! The repositories of dnf and zypper: `.repo` files.

use super::dnf_options::Options;
use super::keyfile::{self, KeyfileEntry};
use super::need::{Candidate, Need};
use super::place::{Place, via, web};
use super::world::MachineView;
use crate::targets::Via;

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
pub(super) fn needs(
    program: &Program,
    commands: &[Vec<String>],
    world: &MachineView<'_>,
) -> Vec<Need> {
    let options = Options::of(commands);
    let path = options.config.clone();
    let path = path.unwrap_or_else(|| program.main.to_owned());
    let setup = Setup {
        main: joined(&world.read(path.as_ref()).unwrap_or_default()),
        variables: DnfVariables::of(world, options.releasever.as_deref()),
        options,
    };
    let own = [(setup.main.clone(), path)];
    let files = setup
        .folders(program)
        .into_iter()
        .flat_map(|folder| world.list(folder, ".repo"));
    let texts =
        files.filter_map(|path| Some((joined(&world.read(&path)?), path.display().to_string())));
    let found = own.into_iter().chain(texts).flat_map(|(text, origin)| {
        let groups = keyfile::groups(&text).into_iter();
        let found = groups.flat_map(|group| setup.repository(&text, group, &origin));
        found.collect::<Vec<_>>()
    });
    vec![Need::Any(found.collect())]
}

/// A line that begins with a blank goes on with the value before it.
fn joined(text: &str) -> String {
    text.replace("\n ", " ").replace("\n\t", " ")
}

/// What holds for all repositories.
struct Setup {
    main: String,
    variables: DnfVariables,
    options: Options,
}

impl Setup {
    /// A key of `[main]`, or of the options.
    fn main(&self, key: &str) -> Option<&str> {
        let set = self.options.of_main(key);
        set.or_else(|| keyfile::value(&self.main, "main", key))
    }

    fn folders<'a>(&'a self, program: &Program) -> Vec<&'a str> {
        let named = self.main("reposdir").unwrap_or_default();
        let named: Vec<&str> = named
            .split([',', ' '])
            .filter(|dir| !dir.is_empty())
            .collect();
        if named.is_empty() {
            program.folders.to_vec()
        } else {
            named
        }
    }

    /// What one repository is fetched from; nothing if it is disabled.
    fn repository(&self, text: &str, group: &str, origin: &str) -> Vec<Candidate> {
        let value = |key| {
            let set = self.options.of_repository(group, key);
            set.or_else(|| keyfile::value(text, group, key))
                .filter(|value| !value.is_empty())
        };
        let off =
            |word: &str| ["0", "no", "false", "off"].contains(&word.to_ascii_lowercase().as_str());
        let in_file = !value("enabled").is_some_and(off);
        if group == "main" || !self.options.enabled(group, in_file) {
            return Vec::new();
        }
        let sources = ["metalink", "mirrorlist", "baseurl"]
            .into_iter()
            .filter_map(value);
        let urls = sources
            .take(1)
            .flat_map(|urls| urls.split([',', ' ', '\t']));
        let proxy = value("proxy").or_else(|| self.main("proxy"));
        let urls = urls
            .filter(|url| !url.is_empty())
            .map(|url| self.variables.expand(url));
        let candidates = urls.map(|url| Candidate {
            via: proxy.and_then(via_of),
            ..Candidate::new(place(&url), &url, format!("{origin}, {group}"))
        });
        candidates.collect()
    }
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
struct DnfVariables(Vec<(String, String)>);

impl DnfVariables {
    fn of(world: &MachineView<'_>, releasever: Option<&str>) -> Self {
        let release = world.read("/etc/os-release".as_ref()).unwrap_or_default();
        let mut entries = keyfile::entries(&release);
        let version = entries.find(|KeyfileEntry { key, .. }| *key == "VERSION_ID");
        let version = version.map(|entry| entry.value.trim_matches('"').to_owned());
        let version = releasever.map(str::to_owned).or(version);
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
        let setup = |line: &str| Setup {
            main: "[main]\nproxy=http://p:1\n".to_owned(),
            variables: DnfVariables(vec![("releasever".into(), "42".into())]),
            options: Options::of(&[line.split(' ').map(str::to_owned).collect()]),
        };
        let plain = setup("dnf");
        let of = |group| plain.repository(&text, group, "x");
        assert_eq!(of("fedora")[0].place, web("https://m.example/metalink"));
        assert_eq!(of("fedora")[0].via, Some(via("http://p:1")));
        assert!(of("off").is_empty());
        let two = of("two");
        assert_eq!(two[0].written, "https://a.example/$x/");
        assert_eq!(two[1].place, web("http://b.example/42"));
        assert_eq!(two[1].via, Some(Via::Direct));
        assert!(of("local")[0].is_local());
        let line = "dnf --repo=off --setopt=proxy=http://q:1 --setopt=fedora.proxy=_none_ --enablerepo=fed*";
        let chosen = setup(line);
        let of = |group| chosen.repository(&text, group, "x");
        assert!(of("two").is_empty());
        assert_eq!(of("off")[0].via, Some(via("http://q:1")));
        assert_eq!(of("fedora")[0].via, Some(Via::Direct));
    }
}
