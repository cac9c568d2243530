//! Readers that do not read, and then do.

use std::io::{BufRead, BufReader, PipeReader, pipe};
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::path::Path;

use super::*;

fn output(sink: impl Sink + 'static) -> &'static Output {
    let output = Output::new(|| Err(io::ErrorKind::NotFound.into()), plain_notice);
    output.lock().sink = Some(Box::new(sink));
    Box::leak(Box::new(output))
}

/// A socket, and an output to it.
fn datagrams(dir: &Path) -> (UnixDatagram, &'static Output) {
    let path = dir.join("socket");
    let reader = UnixDatagram::bind(&path).unwrap();
    let address = SocketAddr::from_pathname(&path).unwrap();
    (reader, output(Datagram::to(address).unwrap()))
}

/// Says numbers until the reader takes no more; how many were said.
fn fill(output: &'static Output) -> u32 {
    let mut said = 0;
    while output.lock().queue.is_empty() {
        output.say(format!("{said}\n")).unwrap();
        said += 1;
    }
    said
}

fn received(reader: &UnixDatagram) -> String {
    let mut buffer = [0; 100];
    let length = reader.recv(&mut buffer).unwrap();
    String::from_utf8(buffer[..length].to_vec()).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

/// Lets the runtime run until nothing waits.
async fn all_is_sent(output: &'static Output) {
    while !output.lock().queue.is_empty() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[test]
fn a_service_that_reads_again_gets_everything_in_its_order() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, output) = datagrams(dir.path());
    runtime().block_on(async {
        let said = fill(output);
        output.say("last\n").unwrap();
        // Nothing more is said: the room alone wakes the task.
        let reading = std::thread::spawn(move || {
            let lines = (0..=said).map(|_| received(&reader));
            lines.collect::<Vec<_>>()
        });
        all_is_sent(output).await;
        let lines = reading.join().unwrap();
        let expected = (0..said).map(|number| format!("{number}\n"));
        assert!(lines.iter().cloned().eq(expected.chain(["last\n".into()])));
        assert!(!output.lock().awaited);
    });
}

#[test]
fn a_pipe_that_is_read_again_gets_whole_lines_and_how_many_were_lost() {
    let (reader, writer) = pipe().unwrap();
    let output = output(Stream::of(writer));
    let lines = 20_000_u32;
    let read = runtime().block_on(async {
        for number in 0..lines {
            output.say(format!("line {number}\n")).unwrap();
        }
        let reading = std::thread::spawn(move || until(reader, "line 19999"));
        all_is_sent(output).await;
        reading.join().unwrap()
    });
    let (notices, kept): (Vec<_>, Vec<_>) = read.iter().partition(|line| line.contains(" lost: "));
    assert_eq!(notices.len(), 1, "{notices:?}");
    let lost = lines as usize - kept.len();
    let expected = format!("upgrade-gate: warning: {lost} lines were lost");
    assert!(notices[0].starts_with(&expected), "{notices:?}");
    assert!(kept.iter().all(|line| line.starts_with("line ")));
}

fn until(reader: PipeReader, last: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for line in BufReader::new(reader).lines() {
        lines.push(line.unwrap());
        if lines.last().is_some_and(|line| line == last) {
            break;
        }
    }
    lines
}

#[test]
fn what_is_outdated_is_never_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, output) = datagrams(dir.path());
    let said = fill(output);
    let status = |waiting: &[u8]| waiting.starts_with(b"STATUS=");
    for text in ["STATUS=a", "READY=1", "STATUS=b"] {
        output.say_instead(status, text).unwrap();
    }
    for number in 0..said - 1 {
        assert_eq!(received(&reader), format!("{number}\n"));
    }
    output.sends_all();
    let rest: Vec<_> = (0..3).map(|_| received(&reader)).collect();
    assert_eq!(rest, [&*format!("{}\n", said - 1), "READY=1", "STATUS=b"]);
}

#[test]
fn what_is_worth_nothing_later_is_not_kept() {
    let (_reader, writer) = pipe().unwrap();
    let output = output(Stream::of(writer));
    fill(output);
    output.say_now_or_never("a redrawn line");
    assert!(!format!("{:?}", output.lock().queue).contains("redrawn"));
}

#[test]
fn the_end_waits_for_a_reader_that_reads() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, output) = datagrams(dir.path());
    let said = fill(output);
    reader.set_read_timeout(Some(20 * LONGEST)).unwrap();
    let reading = std::thread::spawn(move || {
        let lines = (0..said).map(|_| received(&reader));
        lines.collect::<Vec<_>>()
    });
    flush_all(&[output]);
    let lines = reading.join().unwrap();
    assert_eq!(lines[lines.len() - 1], format!("{}\n", said - 1));
}

#[test]
fn the_end_does_not_wait_for_those_who_never_read() {
    let dir = tempfile::tempdir().unwrap();
    let (_socket, datagrams) = datagrams(dir.path());
    let (_pipe, writer) = pipe().unwrap();
    let pipe = output(Stream::of(writer));
    fill(datagrams);
    fill(pipe);
    let began = clock::now().monotonic;
    flush_all(&[datagrams, pipe]);
    let took = clock::now().monotonic.since(began);
    assert!(took >= FLUSH_TIMEOUT, "{took:?}");
    assert!(!pipe.lock().queue.is_empty());
}

#[test]
fn a_socket_that_is_made_again_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let (reader, output) = datagrams(dir.path());
    drop(reader);
    assert!(output.say("nobody").is_err());
    std::fs::remove_file(dir.path().join("socket")).unwrap();
    let again = UnixDatagram::bind(dir.path().join("socket")).unwrap();
    output.say("somebody").unwrap();
    assert_eq!(received(&again), "somebody");
}

#[test]
fn without_a_place_to_say_it_that_is_an_error() {
    let nowhere = Output::new(|| Err(io::ErrorKind::NotFound.into()), plain_notice);
    assert!(nowhere.open().is_err());
    assert!(Box::leak(Box::new(nowhere)).say("x").is_err());
}
