//! resolv.conf: its name servers, and a hint for its changes; the resolver itself is the system's.

use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use nix::sys::inotify::AddWatchFlags;

use crate::sys::files;
use crate::sys::limits;
use crate::sys::watches::Watches;

/// As many name servers as the resolver asks (`MAXNS`, resolv.conf(5)).
const SERVERS: usize = 3;

/// No resolv.conf is longer; a device or a mistake may be.
const LONGEST: u64 = 64 * 1024;

/// As many links as the kernel follows (`path_resolution(7)`).
const LINKS: usize = 40;

/// How often the watches are set again where what they watch does not rest.
const ARMINGS: u32 = 3;

/// A line `nameserver` of resolv.conf(5).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NameServer {
    /// Its address.
    pub(super) address: IpAddr,
    /// Of a link-local address, the interface: `wlan0` in `fe80::1%wlan0`.
    pub(super) scope: Option<String>,
}

/// The name servers the resolver asks: the first three, what cannot be read passed over, as it does.
pub(super) fn name_servers(content: &[u8]) -> impl Iterator<Item = NameServer> {
    content
        .split(|byte| *byte == b'\n')
        .filter_map(name_server)
        .take(SERVERS)
}

// The keyword stands at the very beginning of its line; a comment may follow the address.
fn name_server(line: &[u8]) -> Option<NameServer> {
    let line = std::str::from_utf8(line).ok()?;
    let rest = line.strip_prefix("nameserver")?;
    let blank = |c| c == ' ' || c == '\t';
    let value = rest.strip_prefix(blank)?.trim_start_matches(blank);
    let value = value.split([' ', '\t', ';', '#', '\r']).next()?;
    let (address, scope) = match value.split_once('%') {
        Some((address, scope)) => (address, Some(scope.to_owned())),
        None => (value, None),
    };
    Some(NameServer {
        address: address.parse().ok()?,
        scope,
    })
}

/// The addresses that the resolver of the machine asks: what the file names, or the machine itself (resolv.conf(5)).
pub fn asked(path: &Path) -> Vec<IpAddr> {
    let content = read(path).unwrap_or_default();
    let named: Vec<_> = name_servers(&content)
        .map(|server| server.address)
        .collect();
    match named.as_slice() {
        [] => vec![Ipv4Addr::LOCALHOST.into()],
        _ => named,
    }
}

/// The file's content; none if it is not there, cannot be read, or is not a file.
pub(super) fn read(path: &Path) -> Option<Vec<u8>> {
    let file = files::open(path).ok()?;
    let mut content = Vec::new();
    file.take(LONGEST).read_to_end(&mut content).ok()?;
    Some(content)
}

/// A hint for the content of a file that is written in place, replaced, or reached over links that move.
#[derive(Debug)]
pub(super) struct ResolvConf {
    path: PathBuf,
    watched: Option<WatchedDirs>,
    content: Option<Vec<u8>>,
}

impl ResolvConf {
    /// Watches first and reads then. Needs a tokio runtime with I/O.
    pub(super) fn watch(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            watched: WatchedDirs::arm_or_warn(path),
            content: read(path),
        }
    }

    /// Waits until the content is another one; cancel-safe.
    pub(super) async fn changed(&mut self) {
        loop {
            match &self.watched {
                Some(watched) => watched.changed().await,
                None => std::future::pending().await,
            }
            // The links on the way may lead elsewhere now.
            self.watched = WatchedDirs::arm_or_warn(&self.path);
            let content = read(&self.path);
            if content != self.content {
                self.content = content;
                return;
            }
        }
    }
}

/// The directories in which the file, or a link on the way to it, can be replaced.
#[derive(Debug)]
struct WatchedDirs {
    watches: Watches,
    names: Vec<OsString>,
}

impl WatchedDirs {
    fn arm_or_warn(path: &Path) -> Option<Self> {
        Self::arm(path)
            .inspect_err(|error| {
                tracing::warn!(
                    "cannot watch {} for changes ({}); raise fs.inotify.max_user_instances",
                    path.display(),
                    limits::refusal(error)
                );
            })
            .ok()
    }

    // What appears or moves while the watches are set would be missed: then they are set again.
    fn arm(path: &Path) -> std::io::Result<Self> {
        let mut expected = stations(path);
        for _ in 0..ARMINGS {
            let watched = Self::at(&expected)?;
            let found = stations(path);
            if found == expected {
                return Ok(watched);
            }
            expected = found;
        }
        Self::at(&expected)
    }

    fn at(stations: &[(PathBuf, OsString)]) -> std::io::Result<Self> {
        let watches = Watches::new()?;
        for (directory, _) in stations {
            // One that has gone meanwhile shows in the one above it the next time.
            let _ = watches.add(directory, changes());
        }
        Ok(Self {
            watches,
            names: stations.iter().map(|(_, name)| name.clone()).collect(),
        })
    }

    async fn changed(&self) {
        let concerns = |name: &OsStr| self.names.iter().any(|known| known == name);
        if self.watches.changed(concerns).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

fn changes() -> AddWatchFlags {
    AddWatchFlags::IN_CREATE
        | AddWatchFlags::IN_CLOSE_WRITE
        | AddWatchFlags::IN_MOVE
        | AddWatchFlags::IN_DELETE
        | AddWatchFlags::IN_DELETE_SELF
        | AddWatchFlags::IN_MOVE_SELF
        | AddWatchFlags::IN_ONLYDIR
}

/// For the path and each link it leads over, the nearest directory that exists and the name to expect
/// in it.
fn stations(path: &Path) -> Vec<(PathBuf, OsString)> {
    let mut found = Vec::new();
    let mut next = Some(path.to_owned());
    while let Some(path) = next.filter(|_| found.len() < LINKS) {
        found.extend(station(&path));
        next = std::fs::read_link(&path)
            .ok()
            .map(|target| path.parent().unwrap_or(Path::new("/")).join(target));
    }
    found
}

fn station(path: &Path) -> Option<(PathBuf, OsString)> {
    let existing = |above: &&Path| above.parent().is_some_and(Path::is_dir);
    let below = path.ancestors().find(existing)?;
    let name = below.file_name().unwrap_or(OsStr::new(""));
    Some((below.parent()?.to_owned(), name.to_owned()))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use proptest::prelude::*;
    use tempfile::TempDir;

    use super::*;

    fn parsed(content: &str) -> Vec<String> {
        name_servers(content.as_bytes())
            .map(|server| match server.scope {
                Some(scope) => format!("{} on {scope}", server.address),
                None => server.address.to_string(),
            })
            .collect()
    }

    #[test]
    fn name_servers_are_read_as_the_resolver_reads_them() {
        let content = "# made by hand\nsearch example.org\nnameserver 192.0.2.53\n\
                       nameserver\t2001:db8::53 # the other\nnameserver fe80::1%wlan0\n";
        let expected = ["192.0.2.53", "2001:db8::53", "fe80::1 on wlan0"];
        assert_eq!(parsed(content), expected);
    }

    #[test]
    fn what_is_no_name_server_is_passed_over() {
        let content = " nameserver 192.0.2.1\n;nameserver 192.0.2.2\nnameserver192.0.2.3\n\
                       nameserver\nnameserver banana\nnameserver 192.0.2.4\r\n";
        assert_eq!(parsed(content), ["192.0.2.4"]);
    }

    #[test]
    fn where_no_name_server_is_named_the_machine_itself_is_asked() {
        let (_folder, path) = etc();
        assert_eq!(asked(&path), [IpAddr::from([127, 0, 0, 1])]);
        fs::write(&path, "nameserver 192.0.2.53\n").unwrap();
        assert_eq!(asked(&path), [IpAddr::from([192, 0, 2, 53])]);
    }

    #[test]
    fn only_three_name_servers_are_asked() {
        assert_eq!(parsed(&"nameserver 192.0.2.1\n".repeat(4)).len(), 3);
    }

    proptest! {
        #[test]
        fn any_content_is_read_without_a_panic(content: Vec<u8>) {
            prop_assert!(name_servers(&content).count() <= SERVERS);
        }

        #[test]
        fn a_well_formed_address_is_found(address: IpAddr, blanks in "[ \t]{1,4}") {
            let line = format!("nameserver{blanks}{address}\n");
            prop_assert_eq!(parsed(&line), [address.to_string()]);
        }
    }

    fn etc() -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("resolv.conf");
        (folder, path)
    }

    async fn hints(conf: &mut ResolvConf) {
        let deadline = std::time::Duration::from_secs(30);
        tokio::time::timeout(deadline, conf.changed())
            .await
            .unwrap();
    }

    // The content is compared with what was read last: where an unwanted hint had come for `same`, the
    // hint for "changed" would come with `same` as its content.
    async fn rings_only_for_another_content(conf: &mut ResolvConf, write: impl Fn(&str)) {
        write("same");
        write("changed");
        hints(conf).await;
        assert_eq!(conf.content.as_deref(), Some("changed".as_bytes()));
    }

    #[tokio::test]
    async fn a_file_written_in_place_rings() {
        let (_folder, path) = etc();
        fs::write(&path, "same").unwrap();
        let mut conf = ResolvConf::watch(&path);
        rings_only_for_another_content(&mut conf, |text| fs::write(&path, text).unwrap()).await;
    }

    #[tokio::test]
    async fn a_file_replaced_by_another_rings() {
        let (folder, path) = etc();
        fs::write(&path, "same").unwrap();
        let mut conf = ResolvConf::watch(&path);
        let replace = |text: &str| {
            let new = folder.path().join("resolv.conf.tmp");
            fs::write(&new, text).unwrap();
            fs::rename(&new, &path).unwrap();
        };
        rings_only_for_another_content(&mut conf, replace).await;
    }

    #[tokio::test]
    async fn the_same_content_again_rings_nothing() {
        let (_folder, path) = etc();
        fs::write(&path, "same").unwrap();
        let mut conf = ResolvConf::watch(&path);
        fs::write(&path, "same").unwrap();
        // The event is there, so one poll sees it and goes back to waiting.
        conf.watched.as_ref().unwrap().watches.have_events().await;
        assert!(futures::poll!(std::pin::pin!(conf.changed())).is_pending());
    }

    #[tokio::test]
    async fn the_target_of_a_link_rings_in_a_directory_that_did_not_exist() {
        let (folder, path) = etc();
        symlink("run/resolve/stub.conf", &path).unwrap();
        let mut conf = ResolvConf::watch(&path);
        fs::create_dir_all(folder.path().join("run/resolve")).unwrap();
        fs::write(folder.path().join("run/resolve/stub.conf"), "new").unwrap();
        hints(&mut conf).await;
        assert_eq!(read(&path).as_deref(), Some("new".as_bytes()));
    }

    #[tokio::test]
    async fn a_link_that_moves_is_followed_to_its_new_target() {
        let (folder, path) = etc();
        for name in ["old", "new"] {
            fs::create_dir(folder.path().join(name)).unwrap();
            fs::write(folder.path().join(name).join("conf"), name).unwrap();
        }
        symlink("old/conf", &path).unwrap();
        let mut conf = ResolvConf::watch(&path);
        fs::remove_file(&path).unwrap();
        symlink("new/conf", &path).unwrap();
        hints(&mut conf).await;
        fs::write(folder.path().join("new/conf"), "newer").unwrap();
        hints(&mut conf).await;
        assert_eq!(conf.content.as_deref(), Some("newer".as_bytes()));
    }

    #[tokio::test]
    async fn a_file_taken_away_rings() {
        let (_folder, path) = etc();
        fs::write(&path, "same").unwrap();
        let mut conf = ResolvConf::watch(&path);
        fs::remove_file(&path).unwrap();
        hints(&mut conf).await;
        assert_eq!(conf.content, None);
    }

    #[test]
    fn links_in_a_circle_come_to_an_end() {
        let (_folder, path) = etc();
        symlink(&path, &path).unwrap();
        assert_eq!(stations(&path).len(), LINKS);
        assert_eq!(read(&path), None);
    }
}
