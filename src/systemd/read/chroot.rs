//! Paths below another root directory, whose symbolic links are resolved as if it were `/`.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::sys::files::below;

/// As many links as the kernel follows (`path_resolution(7)`).
const MAX_LINKS: usize = 40;

/// Where `path`, which is absolute below `root`, leads to: an absolute path below `root` without links.
///
/// What does not exist is not a link. Nothing if the links go round in circles.
pub(super) fn resolve(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut left = components(path);
    let mut resolved = PathBuf::from("/");
    let mut links = 0;
    while let Some(name) = left.pop_front() {
        if name == ".." {
            resolved.pop();
            continue;
        }
        let next = resolved.join(&name);
        let Ok(target) = fs::read_link(below(root, &next)) else {
            resolved = next;
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return None;
        }
        if target.is_absolute() {
            resolved = PathBuf::from("/");
        }
        for name in components(&target).into_iter().rev() {
            left.push_front(name);
        }
    }
    Some(resolved)
}

fn components(path: &Path) -> VecDeque<OsString> {
    let names = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    names.collect()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_never_lead_out_of_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        fs::create_dir_all(root.join("etc/static")).unwrap();
        symlink("/etc/static", root.join("etc/systemd")).unwrap();
        symlink("../../../../etc/x", root.join("etc/static/a")).unwrap();
        let resolved = resolve(root, Path::new("/etc/systemd/a"));
        assert_eq!(resolved, Some(PathBuf::from("/etc/x")));
        let absent = resolve(root, Path::new("/no/./such/../file"));
        assert_eq!(absent, Some(PathBuf::from("/no/file")));
    }

    #[test]
    fn a_circle_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        symlink("b", dir.path().join("a")).unwrap();
        symlink("a", dir.path().join("b")).unwrap();
        assert_eq!(resolve(dir.path(), Path::new("/a")), None);
    }
}
