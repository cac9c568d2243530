//! `check`: it takes one look, leaves out what only a waiting gate needs, and is not held up by what hangs.

use std::net::UdpSocket;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use crate::harness::{GENEROUS, Says, World};
use crate::namespace::enter_mounts;
use crate::support::http::{Reply, Server};

/// Far above the deadline of one second, and far below what the hanging peers would take.
const IN_TIME: Duration = Duration::from_secs(8);

async fn checks_in_time(world: &World, target: &str) -> Output {
    let arguments = format!("check --json --timeout 1s --target {target}");
    let output = tokio::time::timeout(IN_TIME, world.ran(&arguments));
    let output = output.await.expect("it ends in time");
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    output
}

/// What its descriptors are, and how many children it has.
fn costs(pid: u32) -> (Vec<String>, usize) {
    let descriptors = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    let links = descriptors
        .flatten()
        .map(|fd| std::fs::read_link(fd.path()));
    let links = links.flatten().map(|link| link.display().to_string());
    let tasks = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let children = tasks
        .flatten()
        .map(|task| std::fs::read_to_string(task.path().join("children")));
    let children = children
        .flatten()
        .map(|text| text.split_whitespace().count());
    (links.collect(), children.sum())
}

#[tokio::test]
async fn a_look_without_a_bus_watches_no_file_and_starts_no_child() {
    let world = World::without_bus(Says::Nothing);
    let silent = Server::start(|_| Reply::hang());
    let mut command = world.command(&format!("check --target http://{}", silent.address()));
    let mut child = command.spawn().unwrap();
    let asked = async {
        while silent.heads().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(GENEROUS, asked).await.unwrap();
    let (descriptors, children) = costs(child.id().unwrap());
    assert!(
        descriptors.iter().any(|link| link.starts_with("socket:")),
        "{descriptors:?}"
    );
    assert!(
        !descriptors.iter().any(|link| link.contains("inotify")),
        "{descriptors:?}"
    );
    assert_eq!(children, 0);
    child.kill().await.unwrap();
}

#[tokio::test]
async fn a_server_that_sends_a_byte_a_second_does_not_outlast_the_deadline() {
    let world = World::without_bus(Says::Nothing);
    let server = Server::start(|_| {
        let head = Reply::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n");
        let byte = || Reply::after(Duration::from_secs(1), Reply::raw("x"));
        (0..100).fold(head, |reply, _| reply.and(byte()))
    });
    checks_in_time(&world, &format!("nix-cache:http://{}", server.address())).await;
}

#[tokio::test]
#[ignore = "needs root"]
async fn name_servers_that_never_answer_do_not_outlast_the_deadline() {
    if !enter_mounts("gate::one_look::name_servers_that_never_answer_do_not_outlast_the_deadline") {
        return;
    }
    let world = World::without_bus(Says::Nothing);
    let black_hole = UdpSocket::bind("127.0.0.77:53").unwrap();
    world.write("resolv.conf", "nameserver 127.0.0.77\noptions timeout:30\n");
    world.write("nsswitch.conf", "hosts: dns\n");
    for name in ["resolv.conf", "nsswitch.conf"] {
        bind(&world.path(name), &format!("/etc/{name}"));
    }
    checks_in_time(&world, "tcp://host.example:1").await;
    black_hole.set_nonblocking(true).unwrap();
    assert!(black_hole.recv(&mut [0; 512]).is_ok(), "it was never asked");
}

fn bind(file: &Path, over: &str) {
    let mount = Command::new("mount")
        .arg("--bind")
        .args([file.as_os_str(), over.as_ref()])
        .status();
    assert!(mount.unwrap().success());
}
