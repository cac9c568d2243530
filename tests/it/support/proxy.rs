//! Proxies: one that forwards and tunnels, one by SOCKS 5; both to one place, whatever is asked for.
//!
//! So a target's name may be one that nothing resolves: only the proxy knows it.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};

use super::http::{Heads, Server, head, listener};

/// An HTTP proxy: tunnels `CONNECT`, and forwards anything else, to `upstream`.
pub fn http(upstream: SocketAddr) -> Server {
    let heads = Heads::default();
    let seen = heads.clone();
    Server::serve(listener("127.0.0.1:0"), heads, move |mut client| {
        let Some(head) = head(&mut client) else {
            return;
        };
        seen.lock().unwrap().push(head.clone());
        let mut server = TcpStream::connect(upstream).unwrap();
        if head.starts_with("CONNECT ") {
            let _ = client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n");
        } else {
            let _ = server.write_all(head.as_bytes());
        }
        join(client, server);
    })
}

/// A SOCKS 5 proxy to `upstream`; its "heads" are the hosts it is asked for.
pub fn socks5(upstream: SocketAddr) -> Server {
    let heads = Heads::default();
    let seen = heads.clone();
    Server::serve(listener("127.0.0.1:0"), heads, move |mut client| {
        if let Ok(host) = negotiate(&mut client) {
            seen.lock().unwrap().push(host);
            join(client, TcpStream::connect(upstream).unwrap());
        }
    })
}

/// RFC 1928, without authentication.
fn negotiate(client: &mut TcpStream) -> io::Result<String> {
    let methods = usize::from(bytes(client, 2)?[1]);
    bytes(client, methods)?;
    client.write_all(&[5, 0])?;
    let kind = bytes(client, 4)?[3];
    let host = match kind {
        3 => {
            let length = usize::from(bytes(client, 1)?[0]);
            String::from_utf8_lossy(&bytes(client, length)?).into_owned()
        }
        1 => format!("{:?}", bytes(client, 4)?),
        _ => format!("{:?}", bytes(client, 16)?),
    };
    bytes(client, 2)?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])?;
    Ok(host)
}

fn bytes(stream: &mut TcpStream, count: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; count];
    stream.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn join(mut one: TcpStream, mut other: TcpStream) {
    let (mut from, mut to) = (one.try_clone().unwrap(), other.try_clone().unwrap());
    let up = std::thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
    let _ = io::copy(&mut other, &mut one);
    let _ = one.shutdown(Shutdown::Both);
    let _ = up.join();
}
