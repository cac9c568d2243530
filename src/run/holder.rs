//! Who holds the profile's lock: one line in the lock's file, for people.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};

/// The holder's line is short; more than this is not ours.
const HOLDER_LIMIT: u64 = 512;

/// `pid 42 (nixos-upgrade.service)`: this process and, as far as its control group tells, its unit.
pub fn describe_process() -> String {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    describe(std::process::id(), &groups)
}

/// Writes the line in the place of the last holder's.
pub(super) fn write(file: &mut File, us: &str) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{us}")
}

/// The line, or `another process`: it is best effort, and may be caught half written.
pub(super) fn read(file: &File) -> String {
    let mut text = String::new();
    let read = file.take(HOLDER_LIMIT).read_to_string(&mut text);
    match (read, text.lines().next()) {
        (Ok(_), Some(line)) if !line.is_empty() => line.to_owned(),
        _ => "another process".to_owned(),
    }
}

fn describe(pid: u32, groups: &str) -> String {
    match unit_of(groups) {
        Some(unit) => format!("PID {pid} ({unit})"),
        None => format!("PID {pid}"),
    }
}

/// cgroups(7): `hierarchy:controllers:path`; systemd's units end in their type. The innermost one counts.
fn unit_of(groups: &str) -> Option<&str> {
    let is_unit = |part: &&str| matches!(part.rsplit_once('.'), Some((_, "service" | "scope")));
    let mut paths = groups.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.find_map(|path| path.rsplit('/').find(is_unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_unit_is_read_from_the_control_group() {
        let table = [
            (
                "0::/system.slice/nixos-upgrade.service\n",
                Some("nixos-upgrade.service"),
            ),
            (
                "0::/user.slice/user-0.slice/user@0.service/app.slice/run-1.scope",
                Some("run-1.scope"),
            ),
            ("0::/system.slice/a.service/payload", Some("a.service")),
            (
                "12:pids:/\n1:name=systemd:/system.slice/b.service\n0::/",
                Some("b.service"),
            ),
            ("0::/", None),
            ("nonsense", None),
        ];
        for (groups, unit) in table {
            assert_eq!(unit_of(groups), unit, "{groups}");
        }
        assert_eq!(describe(7, table[0].0), "PID 7 (nixos-upgrade.service)");
        assert_eq!(describe(7, ""), "PID 7");
    }
}
