//! Asks the kernel over rtnetlink and waits for its answer; apart from what is asked.

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use netlink_packet_core::{NLM_F_DUMP, NLM_F_DUMP_INTR, NLM_F_MULTIPART, NLMSG_DONE, NLMSG_ERROR};
use netlink_sys::protocols::NETLINK_ROUTE;
use nix::errno::Errno;
use tokio::time::timeout;

use super::message::{Message, messages, request};
use crate::sources::netlink::{Opening, Port};

/// The kernel answers before it returns from taking the request; this is for what stands in between
/// (gVisor, a debugger).
const DEADLINE: Duration = Duration::from_secs(1);

/// A dump that something changed under is read again so often.
const READINGS: u32 = 3;

/// What the kernel says to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KernelAnswer {
    /// Everything asked for.
    Given,
    /// Everything asked for, but it changed while it was read (`NLM_F_DUMP_INTR`).
    Torn,
    /// An error of the question's, such as `ENETUNREACH`.
    Refused(Errno),
}

/// A socket for questions, which hears no notices.
#[derive(Debug)]
pub(super) struct Queries {
    port: Port,
    sequence: u32,
}

impl Queries {
    /// Opens the socket.
    pub(super) fn open() -> Result<Self> {
        let port = Port::open(&Opening {
            protocol: NETLINK_ROUTE,
            groups: 0,
            receive_buffer: None,
        })?;
        port.check_strictly();
        Ok(Self { port, sequence: 0 })
    }

    /// Asks for one object, handed to `take`.
    pub(super) async fn one(
        &mut self,
        kind: u16,
        body: &[u8],
        take: impl FnMut(Message),
    ) -> Result<KernelAnswer> {
        self.ask(kind, 0, body, take).await
    }

    /// Asks for all objects of a kind and keeps what `read` makes of them.
    ///
    /// What changes meanwhile is read again, a few times; where it never rests, notices say so anyway.
    pub(super) async fn all<T>(
        &mut self,
        kind: u16,
        body: &[u8],
        read: impl Fn(Message) -> Option<T>,
    ) -> Result<Vec<T>> {
        let mut found = Vec::new();
        for _ in 0..READINGS {
            found.clear();
            let take = |message: Message| found.extend(read(message));
            match self.ask(kind, NLM_F_DUMP, body, take).await? {
                KernelAnswer::Torn => {}
                KernelAnswer::Given => break,
                KernelAnswer::Refused(errno) => return Err(errno.into()),
            }
        }
        Ok(found)
    }

    async fn ask(
        &mut self,
        kind: u16,
        flags: u16,
        body: &[u8],
        mut take: impl FnMut(Message),
    ) -> Result<KernelAnswer> {
        self.sequence = self.sequence.wrapping_add(1);
        self.port.send(&request(kind, flags, self.sequence, body))?;
        let mut torn = false;
        loop {
            let datagram = timeout(DEADLINE, self.port.receive())
                .await
                .map_err(|_| too_late(kind))??;
            let answer = hear(datagram, self.sequence, &mut torn, &mut take);
            if let Some(answer) = answer {
                return Ok(answer);
            }
        }
    }
}

fn too_late(kind: u16) -> Error {
    let text = format!("the kernel did not answer rtnetlink request {kind} within 1 s");
    Error::new(ErrorKind::TimedOut, text)
}

// The answer, once it is complete. What carries another number answers an older question.
fn hear(
    datagram: &[u8],
    sequence: u32,
    torn: &mut bool,
    take: &mut impl FnMut(Message),
) -> Option<KernelAnswer> {
    for message in messages(datagram).filter(|message| message.sequence == sequence) {
        *torn |= message.flags & NLM_F_DUMP_INTR != 0;
        let complete = if *torn {
            KernelAnswer::Torn
        } else {
            KernelAnswer::Given
        };
        match message.kind {
            NLMSG_DONE | NLMSG_ERROR => return Some(refusal(message.payload).unwrap_or(complete)),
            _ => take(message),
        }
        if message.flags & NLM_F_MULTIPART == 0 {
            return Some(complete);
        }
    }
    None
}

// Both kinds of ending begin with the negated error number, or zero.
fn refusal(payload: &[u8]) -> Option<KernelAnswer> {
    let code = i32::from_ne_bytes(payload.get(..4)?.try_into().ok()?);
    (code < 0).then(|| KernelAnswer::Refused(Errno::from_raw(code.wrapping_neg())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(datagram: &[u8]) -> (Option<KernelAnswer>, usize) {
        let mut taken = 0;
        let answer = hear(datagram, 7, &mut false, &mut |_| taken += 1);
        (answer, taken)
    }

    #[test]
    fn one_object_completes_an_answer() {
        assert_eq!(
            heard(&request(24, 0, 7, &[0; 12])),
            (Some(KernelAnswer::Given), 1)
        );
    }

    #[test]
    fn the_answer_to_an_older_question_is_passed_over() {
        assert_eq!(heard(&request(24, 0, 6, &[0; 12])), (None, 0));
    }

    #[test]
    fn a_dump_goes_on_until_it_says_that_it_is_done() {
        let mut datagram = request(16, NLM_F_MULTIPART, 7, &[0; 16]);
        assert_eq!(heard(&datagram), (None, 1));
        datagram.extend(request(NLMSG_DONE, NLM_F_MULTIPART, 7, &[0; 4]));
        assert_eq!(heard(&datagram), (Some(KernelAnswer::Given), 1));
    }

    #[test]
    fn a_dump_that_was_interrupted_is_called_torn() {
        let mut datagram = request(16, NLM_F_MULTIPART | NLM_F_DUMP_INTR, 7, &[0; 16]);
        datagram.extend(request(NLMSG_DONE, NLM_F_MULTIPART, 7, &[0; 4]));
        assert_eq!(heard(&datagram).0, Some(KernelAnswer::Torn));
    }

    #[test]
    fn an_error_is_a_refusal_with_its_number() {
        let code = (-101_i32).to_ne_bytes();
        let answer = heard(&request(NLMSG_ERROR, 0, 7, &code)).0;
        assert_eq!(answer, Some(KernelAnswer::Refused(Errno::ENETUNREACH)));
    }
}
