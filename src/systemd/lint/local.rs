//! Programs that need nothing but this machine. Pure.

/// Whether a program of this name asks about this machine alone, works on its files, or only looks at what another command
/// has said.
pub(super) fn is_local(name: &str) -> bool {
    LOCAL.binary_search(&name).is_ok()
}

/// In the order of bytes.
#[rustfmt::skip]
const LOCAL: &[&str] = &[
    ":", "[", "[[", "awk", "basename", "blkid", "break", "busctl", "cat", "cd", "chgrp", "chmod", "chown", "cmp",
    "comm", "continue", "cp", "cut", "date", "df", "diff", "dirname", "docker", "echo", "egrep", "exec", "exit",
    "export", "expr", "false", "fgrep", "find", "findmnt", "fuser", "getconf", "grep", "gzip", "head", "hostname",
    "id", "inotifywait", "install", "journalctl", "kill", "let", "ln", "local", "logger", "loginctl", "ls", "lsblk",
    "lsof", "mkdir", "mkfifo", "mktemp", "modprobe", "mount", "mountpoint", "mv", "mysqladmin", "nice",
    "nix-collect-garbage", "pg_isready", "pgrep", "pidof", "pkill", "podman", "printf", "pwd", "read", "readlink",
    "realpath", "redis-cli", "return", "rm", "rmdir", "sed", "seq", "set", "setfacl", "sha256sum", "shift", "sleep",
    "sort", "stat", "sync", "sysctl", "systemctl", "systemd-notify", "systemd-tmpfiles", "tail", "tar", "tee", "test",
    "timedatectl", "touch", "tr", "trap", "true", "tty", "udevadm", "umask", "uname", "uniq", "unset", "wait", "wc",
    "xargs", "xset", "zcat",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_in_order() {
        assert!(LOCAL.is_sorted());
        assert!(is_local("mkdir") && is_local("[") && !is_local("git"));
    }
}
