//! Sockets that stand in for systemd's and the journal's: what is sent to them, as text.

use std::path::Path;

use tokio::net::UnixDatagram;
use tokio::sync::mpsc;

use crate::harness::GENEROUS;

/// A socket whose datagrams are collected, as text.
pub(crate) fn receive(path: &Path, read: fn(&[u8]) -> String) -> mpsc::UnboundedReceiver<String> {
    let socket = UnixDatagram::bind(path).unwrap();
    let (tell, told) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        let mut buffer = vec![0; 65536];
        while let Ok(length) = socket.recv(&mut buffer).await {
            if tell.send(read(&buffer[..length])).is_err() {
                return;
            }
        }
    });
    told
}

/// `sd_notify(3)`: assignments, a line each.
pub(crate) fn assignments(datagram: &[u8]) -> String {
    String::from_utf8_lossy(datagram).trim_end().to_owned()
}

/// Waits for what fits, and returns all up to it.
pub(crate) async fn until(
    told: &mut mpsc::UnboundedReceiver<String>,
    wanted: impl Fn(&str) -> bool,
) -> Vec<String> {
    let mut all = Vec::new();
    loop {
        let next = tokio::time::timeout(GENEROUS, told.recv()).await;
        let Ok(Some(text)) = next else {
            panic!("nothing fits in {all:#?}");
        };
        all.push(text);
        if wanted(&all[all.len() - 1]) {
            return all;
        }
    }
}
