//! What is to be known of the machine to judge the figures.

use std::fs;
use std::process::Command;

/// Prints it as a list.
pub(crate) fn print() {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("* processor: {}, {cores} cores", processor());
    println!("* kernel: {}", read("/proc/sys/kernel/osrelease"));
    println!("* load at the start: {}", read("/proc/loadavg"));
    for program in ["NetworkManager", "nm-online", "dbus-daemon", "curl"] {
        println!("* {program}: {}", version(program));
    }
    println!();
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    let name = line.and_then(|line| line.split(": ").nth(1));
    name.unwrap_or(std::env::consts::ARCH).to_owned()
}

fn read(file: &str) -> String {
    fs::read_to_string(file)
        .unwrap_or_default()
        .trim()
        .to_owned()
}

fn version(program: &str) -> String {
    let Ok(output) = Command::new(program).arg("--version").output() else {
        return "not installed".to_owned();
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let text = text.lines().next().unwrap_or_default();
    if text.is_empty() {
        "installed".to_owned()
    } else {
        text.to_owned()
    }
}

/// Whether a program can be found.
pub(crate) fn has(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
}
