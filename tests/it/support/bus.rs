//! A private system bus: one within this process, or the real `dbus-daemon`.
//!
//! Needs the crates `busd`, `tempfile`, `zbus` and `zruntime`. Both end when they are dropped.

use std::future::poll_fn;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::task::Poll;
use std::thread::JoinHandle;

/// A bus in a thread of its own.
pub struct TestBus {
    path: PathBuf,
    stop: Option<zruntime::Event>,
    thread: Option<JoinHandle<()>>,
}

impl TestBus {
    /// Starts a bus whose socket is `path`.
    pub fn start(path: &Path) -> Self {
        let address = format!("unix:path={}", path.display());
        let (sender, receiver) = mpsc::channel();
        let thread = std::thread::spawn(move || zruntime::block_on(serve(address, sender)));
        let stop = Some(receiver.recv().unwrap());
        Self {
            path: path.to_owned(),
            stop,
            thread: Some(thread),
        }
    }

    /// Its address, as in `DBUS_SYSTEM_BUS_ADDRESS`.
    pub fn address(&self) -> String {
        format!("unix:path={}", self.path.display())
    }
}

/// The bus dies, as a bus does: everyone is disconnected and the socket is gone.
impl Drop for TestBus {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            stop.notify(usize::MAX);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(address: String, ready: mpsc::Sender<zruntime::Event>) {
    let mut bus = busd::bus::Bus::for_address(Some(&address)).await.unwrap();
    let stop = zruntime::Event::new();
    let mut stopped = pin!(stop.listen());
    ready.send(stop).unwrap();
    {
        let mut running = pin!(bus.run());
        poll_fn(
            |cx| match (stopped.as_mut().poll(cx), running.as_mut().poll(cx)) {
                (Poll::Pending, Poll::Pending) => Poll::Pending,
                _ => Poll::Ready(()),
            },
        )
        .await;
    }
    let clients: Vec<_> = bus
        .peers()
        .peers()
        .await
        .values()
        .map(|p| p.conn().clone())
        .collect();
    for client in clients {
        let _ = client.close().await;
    }
    let _ = bus.cleanup().await;
}

/// The real thing, with a policy that allows everything.
pub struct DbusDaemon {
    child: Child,
    address: String,
}

impl DbusDaemon {
    /// Starts a daemon that keeps its socket, and what it is configured with, in `folder`.
    ///
    /// It starts services described in `folder/services` on demand.
    pub fn start(folder: &Path) -> Self {
        let config = folder.join("bus.conf");
        let folder = folder.display();
        let text = format!(
            r#"<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={folder}/bus</listen>
<servicedir>{folder}/services</servicedir><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/>
<allow own="*"/><allow user="*"/></policy></busconfig>"#
        );
        std::fs::write(&config, text).unwrap();
        let mut child = Command::new("dbus-daemon")
            .arg(format!("--config-file={}", config.display()))
            .args(["--nofork", "--print-address=1"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("dbus-daemon is installed");
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut address)
            .unwrap();
        Self {
            child,
            address: address.trim().to_owned(),
        }
    }

    /// Its address, as in `DBUS_SYSTEM_BUS_ADDRESS`.
    pub fn address(&self) -> String {
        self.address.clone()
    }
}

impl Drop for DbusDaemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
