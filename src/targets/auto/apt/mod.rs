//! apt's mirrors: sources.list(5) for which hosts are asked, apt.conf(5) for how.

mod conf;
mod list;
mod proxy;
mod settings;
#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use self::list::AptSource;
use self::settings::AptSettings;
use super::need::{Candidate, Need};
use super::place::{Place, invalid, tcp, url, web};
use super::ssh::Destination;
use super::world::MachineView;
use crate::targets::Target;

/// How every signed index begins: an http mirror's proof.
const SIGNED: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
/// The names of files in a folder of sources.
const SOURCES: &[&str] = &["list", "sources"];
/// The names of files in a folder of configuration; they may have no ending.
const NAMES_IN_PARTS: &[&str] = &["conf", ""];

/// One `any` of all mirrors: apt goes on without those it cannot reach, and a dead third-party
/// repository must not hold the gate indefinitely.
pub(super) fn needs(commands: &[Vec<String>], world: &MachineView<'_>) -> Vec<Need> {
    let mut settings = AptSettings::read(commands, world);
    let mut needs: Vec<Need> = std::mem::take(&mut settings.warnings)
        .into_iter()
        .map(Need::Warning)
        .collect();
    let apt = Apt {
        logins: logins(&settings, world),
        settings,
        world,
    };
    let mut mirrors = Vec::new();
    for (source, origin) in apt.sources(&mut needs) {
        mirrors.extend(apt.candidates(&source, &origin));
    }
    needs.push(Need::Any(once_each_host(mirrors)));
    needs
}

/// Over https any answer proves the host, so one question is enough.
fn once_each_host(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut seen = HashSet::new();
    candidates.retain(|candidate| match &candidate.place {
        Place::Targets(targets) => match targets.as_slice() {
            [https @ Target::Https { .. }] => seen.insert(https.origin()),
            _ => true,
        },
        _ => true,
    });
    candidates
}

struct Apt<'a> {
    settings: AptSettings,
    /// The beginnings of http URLs that apt sends a login to.
    logins: Vec<String>,
    world: &'a MachineView<'a>,
}

impl Apt<'_> {
    /// All sources, and where each is written.
    fn sources(&self, needs: &mut Vec<Need>) -> Vec<(AptSource, String)> {
        let main = self.settings.path("dir::etc::sourcelist", "sources.list");
        let folder = self
            .settings
            .path("dir::etc::sourceparts", "sources.list.d");
        let files = std::iter::once(main).chain(parts(&folder, SOURCES, self.world));
        let mut sources = Vec::new();
        for file in files {
            let shown = file.display().to_string();
            for found in self.file(&file) {
                match found {
                    Ok(source) => sources.push((source, shown.clone())),
                    Err(line) => {
                        needs.push(Need::Warning(format!(
                            "{shown}:{line}: apt refuses this source"
                        )));
                    }
                }
            }
        }
        sources
    }

    fn file(&self, path: &Path) -> list::AptSourceList {
        let text = self.world.read(path).unwrap_or_default();
        let arch = self
            .settings
            .get("apt::architecture")
            .unwrap_or(architecture());
        match path.extension() {
            Some(ending) if ending == "sources" => list::deb822(&text, arch),
            _ => list::one_line(&text, arch),
        }
    }

    /// Where a source is fetched from: more than one place for a list of mirrors.
    fn candidates(&self, source: &AptSource, origin: &str) -> Vec<Candidate> {
        let (method, rest) = source.uri.split_once(':').unwrap_or_default();
        match method {
            "mirror+file" | "mirror+copy" => self.mirrors(source, rest, origin),
            _ => vec![self.candidate(source, method, rest, origin)],
        }
    }

    /// Each line of a list of mirrors is a base of the same archive; what follows a tab says when it is taken.
    fn mirrors(&self, source: &AptSource, rest: &str, origin: &str) -> Vec<Candidate> {
        let path = format!("/{}", rest.trim_matches('/'));
        let Some(text) = self.world.read(path.as_ref()) else {
            let why = Place::Unknown("this list of mirrors cannot be read".to_owned());
            return vec![Candidate::new(why, &source.uri, origin)];
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let uris = lines
            .filter_map(|line| line.split('\t').next())
            .map(str::trim);
        let sources = uris.filter(|uri| !uri.is_empty()).map(|uri| AptSource {
            uri: uri.to_owned(),
            suite: source.suite.clone(),
        });
        let found = sources.map(|mirror| {
            let (method, rest) = mirror.uri.split_once(':').unwrap_or_default();
            self.candidate(&mirror, method, rest, &path)
        });
        found.collect()
    }

    fn candidate(&self, source: &AptSource, method: &str, rest: &str, origin: &str) -> Candidate {
        let place = self.place(source, method, rest);
        let candidate = Candidate::new(place, &source.uri, origin);
        let asked = asked_by(method).filter(|_| !candidate.is_local());
        let Some(host) = asked.and_then(|_| host(rest)) else {
            return candidate;
        };
        // A list of mirrors is fetched by the method that it names.
        let method = method.strip_prefix("mirror+").unwrap_or(method);
        let method = if method == "mirror" { "http" } else { method };
        match proxy::via(&self.settings, method, &host) {
            Ok(via) => Candidate { via, ..candidate },
            Err(why) => Candidate {
                place: Place::Unknown(why),
                ..candidate
            },
        }
    }

    fn place(&self, source: &AptSource, method: &str, rest: &str) -> Place {
        let lists =
            method == "mirror" || method.starts_with("mirror+") || method.contains("+mirror");
        match (method, asked_by(method)) {
            ("file" | "copy" | "cdrom", _) => Place::Local,
            ("ftp", _) => ftp(rest),
            ("ssh", _) => match Destination::of(&source.uri) {
                Some(destination) => Place::Ssh(destination),
                None => Place::Unknown("it has no host".to_owned()),
            },
            (_, None) => Place::Unknown(format!("apt's method {method} is not known")),
            (_, Some(scheme)) if lists => web(&format!("{scheme}:{rest}")),
            (_, Some(scheme)) => self.index(&format!("{scheme}:{rest}"), &source.suite),
        }
    }

    /// The signed index of a suite. With a login only the port is probed over http: the refusal proves nothing there.
    fn index(&self, base: &str, suite: &str) -> Place {
        let logged_in = has_login(base) || self.logins.iter().any(|login| base.starts_with(login));
        match index(base, suite).parse() {
            Ok(Target::Http { .. }) if logged_in => web(base),
            Ok(Target::Http { url, .. }) => Place::Targets(vec![Target::Http {
                url,
                expect: Some(SIGNED.to_owned()),
            }]),
            Ok(https) => Place::Targets(vec![https]),
            Err(_) => invalid(base),
        }
    }
}

/// A suite that ends with a slash is a folder of its own, below no `dists/`.
fn index(base: &str, suite: &str) -> String {
    let base = base.trim_end_matches('/');
    match suite.strip_suffix('/') {
        Some(folder) => format!("{base}/{}/InRelease", folder.trim_matches(['.', '/']))
            .replace("//InRelease", "/InRelease"),
        None => format!("{base}/dists/{suite}/InRelease"),
    }
}

/// Whether a host is asked by http or https: `tor+https`, `mirror+http`, and any other method on top of one of these.
fn asked_by(method: &str) -> Option<&'static str> {
    match method.rsplit('+').next() {
        Some("https") => Some("https"),
        Some("http" | "mirror") => Some("http"),
        _ => None,
    }
}

fn host(rest: &str) -> Option<String> {
    let url = url(&format!("http:{rest}"))?;
    Some(url.host_str()?.trim_matches(['[', ']']).to_owned())
}

fn ftp(rest: &str) -> Place {
    let url = url(&format!("ftp:{rest}"));
    let found = url
        .as_ref()
        .and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    match found {
        Some((host, port)) => Place::Weak(tcp(host, port)),
        None => invalid(&format!("ftp:{rest}")),
    }
}

fn has_login(base: &str) -> bool {
    let rest = base.split_once("//").map_or(base, |(_, rest)| rest);
    rest.split('/')
        .next()
        .is_some_and(|authority| authority.contains('@'))
}

/// `machine http://HOST/PATH` in auth.conf(5): only what names http is sent over it.
fn logins(settings: &AptSettings, world: &MachineView<'_>) -> Vec<String> {
    let folder = settings.path("dir::etc::netrcparts", "auth.conf.d");
    let main = settings.path("dir::etc::netrc", "auth.conf");
    let files = parts(&folder, &["conf"], world).into_iter().chain([main]);
    let texts: Vec<String> = files.filter_map(|path| world.read(&path)).collect();
    let words: Vec<&str> = texts
        .iter()
        .flat_map(|text| text.split_whitespace())
        .collect();
    let machines = words.windows(2).filter(|pair| pair[0] == "machine");
    let http = machines.filter(|pair| pair[1].starts_with("http://"));
    http.map(|pair| pair[1].trim_end_matches('/').to_owned())
        .collect()
}

/// The files of a folder that apt reads, in the order of their names.
fn parts(folder: &Path, endings: &[&str], world: &MachineView<'_>) -> Vec<PathBuf> {
    let mut paths = world.list(&folder.to_string_lossy(), "");
    paths.retain(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-:.".contains(c);
        endings.contains(&ending)
            && !name.starts_with('.')
            && !name.ends_with('.')
            && name.chars().all(plain)
    });
    paths
}

/// The next word of a line, its quotes removed, and what follows. A word may have blanks in quotes and in brackets.
fn word(text: &str) -> Option<(String, &str)> {
    let text = text.trim_start();
    let mut closing = None;
    let end = text.find(|c: char| {
        match closing {
            Some(sign) if sign == c => closing = None,
            Some(_) => {}
            None if c == '"' => closing = Some('"'),
            None if c == '[' => closing = Some(']'),
            None => return c.is_whitespace(),
        }
        false
    });
    let (word, rest) = text.split_at(end.unwrap_or(text.len()));
    (closing.is_none() && !word.is_empty()).then(|| (word.replace('"', ""), rest.trim_start()))
}

/// This machine's architecture, as Debian calls it.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "i386",
        "arm" => "armhf",
        "powerpc64" => "ppc64el",
        "loongarch64" => "loong64",
        "mips64" => "mips64el",
        other => other,
    }
}
