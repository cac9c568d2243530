//! Which files make up a unit: the search path, aliases, masks, templates and drop-ins (systemd.unit(5)).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use super::chroot;
use super::scope::UnitPaths;
use crate::sys::files;

/// All names in the search path, as they were when it was read.
#[derive(Debug)]
pub(super) struct UnitSearch {
    root: PathBuf,
    paths: UnitPaths,
    /// The directories that are there, and what lies in them.
    dirs: Vec<(PathBuf, BTreeSet<String>)>,
    /// The links in `.wants` and `.requires` directories.
    links: Vec<DependencyLink>,
    /// By a unit's own name, the other names that lead to it.
    aliases: BTreeMap<String, BTreeSet<String>>,
}

/// `OWNER.wants/NAME` or `OWNER.requires/NAME`.
#[derive(Debug)]
struct DependencyLink {
    owner: String,
    kind: &'static str,
    name: String,
}

/// The file that defines a unit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fragment {
    /// There is none.
    None,
    /// It is a link to /dev/null, or empty.
    Masked(PathBuf),
    /// This one, as named in the search path.
    File(PathBuf),
}

/// A name looked up.
#[derive(Debug)]
pub(super) struct FoundUnit {
    /// The unit's own name, to which aliases lead.
    pub(super) name: String,
    pub(super) fragment: Fragment,
    /// In the order in which later ones win.
    pub(super) drop_ins: Vec<PathBuf>,
}

impl UnitSearch {
    pub(super) fn below(root: &Path, paths: UnitPaths) -> Self {
        let mut real = BTreeSet::new();
        let dirs = paths.search.iter().filter_map(|dir| {
            let resolved = chroot::resolve(root, dir)?;
            let names = list(&files::below(root, &resolved));
            // /lib is often /usr/lib.
            (!names.is_empty() && real.insert(resolved)).then(|| (dir.clone(), names))
        });
        let mut search = Self {
            dirs: dirs.collect(),
            root: root.to_owned(),
            paths,
            links: Vec::new(),
            aliases: BTreeMap::new(),
        };
        search.links = search.read_links();
        search.aliases = search.read_aliases();
        search
    }

    /// The names of all units that end in `suffix` and can be loaded: of templates the instances that have a file or a link
    /// of their own.
    pub(super) fn names(&self, suffix: &str) -> BTreeSet<&str> {
        let files = self.dirs.iter().flat_map(|(_, names)| names);
        let links = self.links.iter().map(|link| &link.name);
        let instances = links.filter(|name| self.entry(name).is_some());
        let all = files.chain(instances).map(String::as_str);
        all.filter(|name| name.ends_with(suffix) && !name.contains("@."))
            .collect()
    }

    pub(super) fn find(&self, wanted: &str) -> FoundUnit {
        let (name, fragment) = self.follow(wanted);
        let names = self.all_names(&name, wanted);
        FoundUnit {
            drop_ins: self.drop_ins(&names),
            name,
            fragment,
        }
    }

    /// The units in whose `.wants` and `.requires` directories it lies.
    pub(super) fn wanted_by(&self, name: &str) -> BTreeSet<String> {
        let links = self.links.iter().filter(|link| link.name == name);
        links.map(|link| link.owner.clone()).collect()
    }

    /// What lies in the `.wants` (or `.requires`) directories of a unit.
    pub(super) fn linked(&self, name: &str, kind: &str) -> BTreeSet<String> {
        let own = |link: &&DependencyLink| link.owner == name && link.kind == kind;
        let links = self.links.iter().filter(own);
        links.map(|link| link.name.clone()).collect()
    }

    /// system.conf (or user.conf) and its drop-ins, in the order in which later ones win (systemd-system.conf(5)).
    pub(super) fn configuration(&self) -> Vec<PathBuf> {
        let name = self.paths.configuration_name;
        let dirs = self.paths.configuration.iter();
        let mut mains = dirs.clone().map(|dir| dir.join(name));
        let main = mains.find(|path| self.is_there(path));
        let mut drop_ins = BTreeMap::new();
        for dir in dirs.map(|dir| dir.join(format!("{name}.d"))) {
            self.add_conf_files(&dir, &mut drop_ins);
        }
        main.into_iter().chain(drop_ins.into_values()).collect()
    }

    /// The bytes of a file of the search path; no unit file is longer than this, a mistake may be.
    pub(super) fn read(&self, path: &Path) -> std::io::Result<Vec<u8>> {
        // The link of a drop-in that is masked.
        if chroot::resolve(&self.root, path).as_deref() == Some(Path::new("/dev/null")) {
            return Ok(Vec::new());
        }
        files::read(&self.outside(path), 4 << 20)
    }

    /// Follows aliases to the unit's own name and its file.
    fn follow(&self, wanted: &str) -> (String, Fragment) {
        let mut name = wanted.to_owned();
        let mut seen = BTreeSet::new();
        while seen.insert(name.clone()) {
            let Some(path) = self.entry(&name) else { break };
            let Some(real) = chroot::resolve(&self.root, &path) else {
                // A link to itself: what is wrong with it shows when it is read.
                return (name, Fragment::File(path));
            };
            match fs::metadata(files::below(&self.root, &real)) {
                _ if real == Path::new("/dev/null") => return (name, Fragment::Masked(path)),
                Err(_) => return (name, Fragment::None),
                Ok(metadata) if metadata.is_file() && metadata.len() == 0 => {
                    return (name, Fragment::Masked(path));
                }
                Ok(_) => {}
            }
            let target = file_name(&real);
            // A link to a file of another name, which the search path has too, is an alias.
            if target == file_name(&path) || self.entry(&target).is_none() {
                return (name, Fragment::File(path));
            }
            name = instantiated(&target, &name);
        }
        (name, Fragment::None)
    }

    /// The first entry of that name, or of its template.
    fn entry(&self, name: &str) -> Option<PathBuf> {
        let names = [Some(name.to_owned()), template(name)];
        names.into_iter().flatten().find_map(|name| {
            let dirs = self.dirs.iter();
            let mut having = dirs.filter(|(_, names)| names.contains(&name));
            having.next().map(|(dir, _)| dir.join(name))
        })
    }

    /// The unit's own name and its aliases: each one's drop-ins count.
    fn all_names(&self, name: &str, wanted: &str) -> BTreeSet<String> {
        let mut all = BTreeSet::from([name.to_owned(), wanted.to_owned()]);
        all.extend(self.aliases.get(name).into_iter().flatten().cloned());
        all
    }

    fn read_links(&self) -> Vec<DependencyLink> {
        let mut links = Vec::new();
        for (dir, entries) in &self.dirs {
            for entry in entries {
                let Some((owner, kind)) = owner(entry) else {
                    continue;
                };
                let names = list(&self.outside(&dir.join(entry)));
                links.extend(names.into_iter().map(|name| DependencyLink {
                    owner: owner.to_owned(),
                    kind,
                    name,
                }));
            }
        }
        links
    }

    fn read_aliases(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut aliases = BTreeMap::<_, BTreeSet<_>>::new();
        for alias in self.names("") {
            if self.entry(alias).is_some_and(|path| self.is_link(&path)) {
                let (name, _) = self.follow(alias);
                aliases.entry(name).or_default().insert(alias.to_owned());
            }
        }
        aliases
    }

    /// Sorted by file name; of several with one name only the first directory's is read.
    fn drop_ins(&self, names: &BTreeSet<String>) -> Vec<PathBuf> {
        let mut found = BTreeMap::new();
        for dir in self.drop_in_dirs(names) {
            self.add_conf_files(&dir, &mut found);
        }
        found.into_values().collect()
    }

    /// Adds the `*.conf` files of a directory whose names are not there yet.
    fn add_conf_files(&self, dir: &Path, found: &mut BTreeMap<String, PathBuf>) {
        let names = list(&self.outside(dir)).into_iter();
        for name in names.filter(|name| name.rsplit_once('.').is_some_and(|(_, end)| end == "conf"))
        {
            found.entry(name.clone()).or_insert_with(|| dir.join(name));
        }
    }

    /// The most important first; the type's (`service.d`) last.
    fn drop_in_dirs(&self, names: &BTreeSet<String>) -> Vec<PathBuf> {
        let mut dirs = Vec::new();
        for name in names {
            for (dir, entries) in &self.dirs {
                let there = chain(name).into_iter().map(|link| format!("{link}.d"));
                let there = there.filter(|link| entries.contains(link));
                dirs.extend(there.map(|link| dir.join(link)));
            }
        }
        let kind = names.first().and_then(|name| name.rsplit_once('.'));
        let of_type = kind
            .map(|(_, suffix)| format!("{suffix}.d"))
            .unwrap_or_default();
        dirs.extend(self.dirs.iter().map(|(dir, _)| dir.join(&of_type)));
        dirs
    }

    /// Where a path is for the rest of the machine.
    pub(super) fn outside(&self, path: &Path) -> PathBuf {
        let resolved = chroot::resolve(&self.root, path);
        files::below(&self.root, &resolved.unwrap_or_else(|| path.to_owned()))
    }

    /// Whether a path leads to a regular file.
    pub(super) fn is_file(&self, path: &Path) -> bool {
        self.outside(path).is_file()
    }

    fn is_there(&self, path: &Path) -> bool {
        fs::symlink_metadata(files::below(&self.root, path)).is_ok()
            || fs::symlink_metadata(self.outside(path)).is_ok()
    }

    fn is_link(&self, path: &Path) -> bool {
        let parent = path.parent().unwrap_or(Path::new("/"));
        let own = self.outside(parent).join(file_name(path));
        fs::symlink_metadata(own).is_ok_and(|metadata| metadata.is_symlink())
    }
}

/// The unit that a `.wants` or `.requires` directory belongs to.
fn owner(entry: &str) -> Option<(&str, &'static str)> {
    ["wants", "requires"]
        .into_iter()
        .find_map(|kind| Some((entry.strip_suffix(kind)?.strip_suffix('.')?, kind)))
}

/// The names under which drop-ins of a unit are looked for: `a-b@c.service`, `a-b@.service`, `a-@c.service`, ….
fn chain(name: &str) -> Vec<String> {
    let mut chain = vec![name.to_owned()];
    chain.extend(template(name));
    let Some((stem, suffix)) = name.rsplit_once('.') else {
        return chain;
    };
    let (prefix, instance) = match stem.split_once('@') {
        Some((prefix, instance)) => (prefix, Some(instance)),
        None => (stem, None),
    };
    for (dash, _) in prefix
        .match_indices('-')
        .collect::<Vec<_>>()
        .into_iter()
        .rev()
    {
        if dash == 0 || dash + 1 == prefix.len() {
            continue;
        }
        let shorter = &prefix[..=dash];
        chain.push(match instance {
            Some(instance) => format!("{shorter}@{instance}.{suffix}"),
            None => format!("{shorter}.{suffix}"),
        });
        chain.extend(instance.map(|_| format!("{shorter}@.{suffix}")));
    }
    chain
}

/// `a@.service` of `a@b.service`.
fn template(name: &str) -> Option<String> {
    let (prefix, rest) = name.split_once('@')?;
    let (instance, suffix) = rest.rsplit_once('.')?;
    (!instance.is_empty()).then(|| format!("{prefix}@.{suffix}"))
}

/// The name an alias leads to: of a template the alias's instance.
fn instantiated(target: &str, alias: &str) -> String {
    let instance = alias
        .split_once('@')
        .and_then(|(_, rest)| rest.rsplit_once('.'))
        .map_or("", |(instance, _)| instance);
    match target.split_once("@.") {
        Some((prefix, suffix)) => format!("{prefix}@{instance}.{suffix}"),
        None => target.to_owned(),
    }
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

/// The names in a directory; none if there is none.
fn list(dir: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    names.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_ins_are_looked_for_under_the_template_and_each_prefix() {
        let names = chain("a-b-c@x.service");
        let expected = [
            "a-b-c@x.service",
            "a-b-c@.service",
            "a-b-@x.service",
            "a-b-@.service",
            "a-@x.service",
            "a-@.service",
        ];
        assert_eq!(names, expected);
        assert_eq!(chain("a.service"), ["a.service"]);
        assert_eq!(chain("a-.service"), ["a-.service"]);
        assert_eq!(chain("-.mount"), ["-.mount"]);
    }

    #[test]
    fn an_alias_of_a_template_keeps_its_instance() {
        assert_eq!(instantiated("b@.service", "a@x.service"), "b@x.service");
        assert_eq!(instantiated("b.service", "a.service"), "b.service");
        assert_eq!(template("a@.service"), None);
        assert_eq!(template("a@b.c.service").as_deref(), Some("a@.service"));
    }
}
