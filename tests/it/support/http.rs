//! A TCP server that answers each connection as a closure says: HTTP, SSH banners, or nothing at all.
//!
//! ```ignore
//! let server = Server::start(|head| match head {
//!     head if head.starts_with("GET /nix-cache-info ") => Reply::ok("StoreDir: /nix/store\n"),
//!     _ => Reply::status("404 Not Found", ""),
//! });
//! let url = format!("nix-cache:http://{}", server.address());
//! ```

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What is sent back on one connection, before it is closed.
#[derive(Clone, Debug, Default)]
pub struct Reply(Vec<Step>);

#[derive(Clone, Debug)]
enum Step {
    Send(Vec<u8>),
    Pause(Duration),
    Endless(Vec<u8>),
    Hang,
}

impl Reply {
    /// 200 with this body.
    pub fn ok(body: &str) -> Self {
        Self::status("200 OK", body)
    }

    /// A status line's code and words, and a body with its length.
    pub fn status(status: &str, body: &str) -> Self {
        let length = body.len();
        Self::raw(format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
        ))
    }

    /// A redirect.
    pub fn redirect(to: &str) -> Self {
        Self::raw(format!(
            "HTTP/1.1 302 Found\r\nLocation: {to}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ))
    }

    /// These very bytes.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self(vec![Step::Send(bytes.into())])
    }

    /// Says nothing and keeps the connection until the client closes it.
    pub fn hang() -> Self {
        Self(vec![Step::Hang])
    }

    /// Waits before what follows.
    pub fn after(pause: Duration, then: Self) -> Self {
        let mut steps = vec![Step::Pause(pause)];
        steps.extend(then.0);
        Self(steps)
    }

    /// Sends `then` after what there is.
    #[must_use]
    pub fn and(mut self, then: Self) -> Self {
        self.0.extend(then.0);
        self
    }

    /// Goes on sending these bytes until the client closes the connection.
    #[must_use]
    pub fn endlessly(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.push(Step::Endless(bytes.into()));
        self
    }

    fn send(self, stream: &mut dyn Stream) -> io::Result<()> {
        for step in self.0 {
            match step {
                Step::Send(bytes) => stream.write_all(&bytes)?,
                Step::Pause(pause) => std::thread::sleep(pause),
                Step::Hang => drop(io::copy(stream, &mut io::sink())),
                Step::Endless(bytes) => loop {
                    stream.write_all(&bytes)?;
                },
            }
            stream.flush()?;
        }
        stream.finish();
        Ok(())
    }
}

/// A connection, plain or over TLS.
pub trait Stream: Read + Write {
    /// Says that nothing more comes.
    fn finish(&mut self) {}
}

impl Stream for TcpStream {}

/// A listening server; dropping it stops it.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    heads: Heads,
}

/// The request heads seen so far.
pub type Heads = Arc<Mutex<Vec<String>>>;

impl Server {
    /// Serves HTTP on 127.0.0.1: each request's head is turned into a reply.
    pub fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::http(listener("127.0.0.1:0"), answer)
    }

    /// Serves HTTP on a listener of one's own.
    pub fn http(
        listener: TcpListener,
        answer: impl Fn(&str) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let heads = Heads::default();
        let seen = heads.clone();
        Self::serve(listener, heads, move |mut stream| {
            respond(&mut stream, &seen, &answer);
        })
    }

    /// Serves any protocol in which the server speaks first.
    pub fn speaking_first(reply: Reply) -> Self {
        let listener = listener("127.0.0.1:0");
        Self::serve(listener, Heads::default(), move |mut stream| {
            let _ = reply.clone().send(&mut stream);
        })
    }

    /// Runs `connection` on a thread of its own for each connection.
    pub fn serve(
        listener: TcpListener,
        heads: Heads,
        connection: impl Fn(TcpStream) + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let stopping = Arc::new(AtomicBool::new(false));
        let (stop, connection) = (stopping.clone(), Arc::new(connection));
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stop.load(Ordering::SeqCst) {
                    break;
                }
                let connection = connection.clone();
                std::thread::spawn(move || connection(stream));
            }
        });
        Self {
            address,
            stopping,
            heads,
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The request heads seen so far.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.address);
    }
}

/// A listener on a port that the kernel chooses.
pub fn listener(address: &str) -> TcpListener {
    TcpListener::bind(address).unwrap()
}

/// An address at which nobody listens.
pub fn closed() -> SocketAddr {
    listener("127.0.0.1:0").local_addr().unwrap()
}

/// Reads a request's head, and sends what is answered to it.
pub fn respond(stream: &mut dyn Stream, seen: &Heads, answer: &dyn Fn(&str) -> Reply) {
    if let Some(head) = head(stream) {
        seen.lock().unwrap().push(head.clone());
        let _ = answer(&head).send(stream);
    }
}

/// Reads up to the empty line.
pub fn head(stream: &mut dyn Stream) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0]);
    }
    String::from_utf8(head).ok()
}
