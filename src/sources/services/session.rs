//! One connection to the bus, from its first message to its end.
//!
//! Signals and replies are taken from one queue, in the order in which the bus sent them: a reply can
//! then never undo a signal that is newer, and a flood from one service cannot push out another's.

use std::collections::HashMap;
use std::convert::Infallible;

use futures::{FutureExt, StreamExt};
use tokio::sync::Notify;
use zbus::message::{Header, Type};
use zbus::{Connection, Message, MessageStream};

use crate::bus::follower::{DEADLINE, Follower, FollowerStep};
use crate::bus::messages;
use crate::bus::properties::{Properties, error_text};
use crate::gate::backoff::Backoff;
use crate::gate::event::Report;
use crate::gate::time::Monotonic;
use crate::sources::logind;
use crate::sources::services::reports::{EventSink, FollowedService, ReceiverGone};
use crate::sys::clock;

/// How a session ends.
enum SessionEnd {
    /// Nobody listens any more.
    ReceiverGone,
    /// The bus closed the connection.
    Closed,
    /// The bus is there, and no use; the text says why.
    Useless(String),
}

impl From<ReceiverGone> for SessionEnd {
    fn from(ReceiverGone: ReceiverGone) -> Self {
        Self::ReceiverGone
    }
}

/// The questions to the bus itself that are still open: matches, and owners of names.
struct SessionSetup {
    open: HashMap<u32, Option<FollowedService>>,
    deadline: Monotonic,
}

struct Session<'a> {
    connection: Connection,
    messages: MessageStream,
    followers: Vec<(FollowedService, Follower)>,
    setup: SessionSetup,
    sink: &'a mut EventSink,
    backoff: &'a mut Backoff,
    power_changed: &'a Notify,
}

/// Follows all services until the connection ends; the report is what is to be said of them then.
pub(super) async fn run(
    connection: Connection,
    sink: &mut EventSink,
    backoff: &mut Backoff,
    power_changed: &Notify,
) -> Result<Report<Properties>, ReceiverGone> {
    let follower = |kind: FollowedService| (kind, Follower::new(kind.service()));
    let deadline = clock::now().monotonic.after(DEADLINE);
    let mut session = Session {
        messages: MessageStream::from(&connection),
        connection,
        followers: FollowedService::ALL.map(follower).into(),
        setup: SessionSetup {
            open: HashMap::new(),
            deadline,
        },
        sink,
        backoff,
        power_changed,
    };
    match session.follow().await {
        Err(SessionEnd::ReceiverGone) => Err(ReceiverGone),
        Err(SessionEnd::Closed) => Ok(Report::Absent),
        Err(SessionEnd::Useless(why)) => Ok(Report::Unknown(why)),
    }
}

impl Session<'_> {
    async fn follow(&mut self) -> Result<Infallible, SessionEnd> {
        self.subscribe().await?;
        loop {
            self.act(clock::now().monotonic).await?;
            let wakes_at = self.wakes_at();
            tokio::select! {
                message = self.messages.next() => self.take_all(message).await?,
                () = until(wakes_at) => {}
                () = self.power_changed.notified() => self.ask_logind(),
                () = self.sink.closed() => return Err(SessionEnd::ReceiverGone),
            }
        }
    }

    /// Asks everything that is to be asked of the bus, in one go.
    ///
    /// The owners come before the services' signals, so that none arrives from an owner not yet known.
    async fn subscribe(&mut self) -> Result<(), SessionEnd> {
        let mut batch = Vec::new();
        for kind in FollowedService::ALL {
            let name = kind.service().name;
            batch.push((None, messages::follow_owner(name)));
            batch.push((Some(kind), messages::owner_of(name)));
        }
        for service in FollowedService::ALL.map(FollowedService::service) {
            let signals = service.signals.iter();
            batch.extend(signals.map(|s| (None, messages::follow_signal(service, s))));
        }
        let mut calls = Vec::new();
        for (purpose, call) in batch {
            let call = call.map_err(|error| SessionEnd::Useless(error.to_string()))?;
            self.setup.open.insert(messages::serial(&call), purpose);
            calls.push(call);
        }
        self.send(&calls).await
    }

    /// Does what is due.
    async fn act(&mut self, now: Monotonic) -> Result<(), SessionEnd> {
        if !self.setup.open.is_empty() && self.setup.deadline <= now {
            return Err(SessionEnd::Useless(
                "the system bus does not answer".to_owned(),
            ));
        }
        for index in 0..self.followers.len() {
            let (kind, follower) = &mut self.followers[index];
            match follower.step(now) {
                FollowerStep::Rest => {}
                FollowerStep::Say(report) => self.sink.report(*kind, report).await?,
                FollowerStep::Ask => self.ask(index, now).await?,
            }
        }
        Ok(())
    }

    async fn ask(&mut self, index: usize, now: Monotonic) -> Result<(), SessionEnd> {
        let (_, follower) = &mut self.followers[index];
        let owner = follower.owner().unwrap_or_default();
        let questions = follower.service.questions.iter();
        let calls: zbus::Result<Vec<_>> = questions.map(|q| messages::ask(owner, q)).collect();
        let calls = calls.map_err(|error| SessionEnd::Useless(error.to_string()))?;
        let serials: Vec<_> = calls.iter().map(messages::serial).collect();
        follower.asked(&serials, now);
        self.send(&calls).await
    }

    /// A bus that stops reading must not stop us.
    async fn send(&self, calls: &[Message]) -> Result<(), SessionEnd> {
        match tokio::time::timeout(DEADLINE, self.connection.send_all(calls)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(SessionEnd::Closed),
            Err(_) => Err(SessionEnd::Useless(
                "the system bus does not accept messages".to_owned(),
            )),
        }
    }

    fn wakes_at(&self) -> Option<Monotonic> {
        let setup = (!self.setup.open.is_empty()).then_some(self.setup.deadline);
        let followers = self.followers.iter().filter_map(|(_, f)| f.wakes_at());
        followers.chain(setup).min()
    }

    /// Takes this message and those that wait behind it, as many as zbus queues: then what is due gets
    /// its turn, however long a flood lasts.
    async fn take_all(&mut self, first: Option<zbus::Result<Message>>) -> Result<(), SessionEnd> {
        let now = clock::now().monotonic;
        let mut next = Some(first);
        for _ in 0..self.connection.max_queued().get() {
            match next {
                Some(Some(Ok(message))) => self.take(&message, now).await?,
                Some(_) => return Err(SessionEnd::Closed),
                None => break,
            }
            next = self.messages.next().now_or_never();
        }
        Ok(())
    }

    async fn take(&mut self, message: &Message, now: Monotonic) -> Result<(), SessionEnd> {
        let header = message.header();
        match message.message_type() {
            Type::Signal => self.signal(message, &header, now).await,
            Type::MethodReturn | Type::Error => match header.reply_serial() {
                Some(serial) => self.reply(message, serial.get(), now).await,
                None => Ok(()),
            },
            Type::MethodCall => Ok(()),
        }
    }

    async fn reply(
        &mut self,
        reply: &Message,
        serial: u32,
        now: Monotonic,
    ) -> Result<(), SessionEnd> {
        if let Some(purpose) = self.setup.open.remove(&serial) {
            self.set_up(purpose, reply, now).await?;
            if self.setup.open.is_empty() {
                self.backoff.reset();
            }
            return Ok(());
        }
        for (kind, follower) in &mut self.followers {
            if let Some(question) = follower.question(serial) {
                let answer = Properties::from_reply(question, reply);
                let step = follower.answered(serial, answer, now);
                return say(self.sink, *kind, step).await;
            }
        }
        Ok(())
    }

    async fn set_up(
        &mut self,
        purpose: Option<FollowedService>,
        reply: &Message,
        now: Monotonic,
    ) -> Result<(), SessionEnd> {
        match (purpose, reply.message_type()) {
            (Some(kind), Type::Error) => self.owner_is(kind, None, now).await,
            (Some(kind), _) => {
                let owner = reply.body().deserialize().ok();
                self.owner_is(kind, owner, now).await
            }
            (None, Type::Error) => Err(SessionEnd::Useless(format!(
                "cannot subscribe to signals on the system bus: {}",
                error_text(reply)
            ))),
            (None, _) => Ok(()),
        }
    }

    /// A signal counts only if it comes from the service: anyone on the bus may send one like it to us.
    async fn signal(
        &mut self,
        signal: &Message,
        header: &Header<'_>,
        now: Monotonic,
    ) -> Result<(), SessionEnd> {
        let Some(sender) = header.sender() else {
            return Ok(());
        };
        if sender == "org.freedesktop.DBus" {
            return self.owner_changed(signal, header, now).await;
        }
        let follows = |f: &Follower| f.owner() == Some(sender.as_str()) && sends(f, header);
        let Some((kind, follower)) = self.followers.iter_mut().find(|(_, f)| follows(f)) else {
            return Ok(());
        };
        let member = header.member().map_or("", |member| member.as_str());
        match signal
            .body()
            .deserialize()
            .ok()
            .and_then(|begins| logind::event(member, begins))
        {
            Some(event) if *kind == FollowedService::Logind => {
                Ok(self.sink.happened(event).await?)
            }
            _ => {
                follower.changed(now);
                Ok(())
            }
        }
    }

    async fn owner_changed(
        &mut self,
        signal: &Message,
        header: &Header<'_>,
        now: Monotonic,
    ) -> Result<(), SessionEnd> {
        let is_member = header.member().is_some_and(|m| m == "NameOwnerChanged");
        let body = signal.body();
        let Ok((name, _, owner)) = body.deserialize::<(&str, &str, &str)>() else {
            return Ok(());
        };
        match FollowedService::ALL
            .into_iter()
            .find(|kind| kind.service().name == name)
        {
            Some(kind) if is_member => self.owner_is(kind, Some(owner.to_owned()), now).await,
            _ => Ok(()),
        }
    }

    /// No owner, or an empty name for it, means that the service is not there.
    async fn owner_is(
        &mut self,
        kind: FollowedService,
        owner: Option<String>,
        now: Monotonic,
    ) -> Result<(), SessionEnd> {
        let owner = owner.filter(|owner| !owner.is_empty());
        for (_, follower) in self.followers.iter_mut().filter(|(k, _)| *k == kind) {
            let step = follower.is_owned_by(owner.clone(), now);
            say(self.sink, kind, step).await?;
        }
        Ok(())
    }

    /// logind does not say when the external power comes or goes, so it is asked when the kernel does.
    fn ask_logind(&mut self) {
        let now = clock::now().monotonic;
        let is_logind =
            |(kind, _): &&mut (FollowedService, Follower)| *kind == FollowedService::Logind;
        let logind = self.followers.iter_mut().filter(is_logind);
        logind.for_each(|(_, follower)| follower.changed(now));
    }
}

async fn say(
    sink: &mut EventSink,
    kind: FollowedService,
    step: FollowerStep,
) -> Result<(), SessionEnd> {
    match step {
        FollowerStep::Say(report) => Ok(sink.report(kind, report).await?),
        FollowerStep::Rest | FollowerStep::Ask => Ok(()),
    }
}

fn sends(follower: &Follower, header: &Header<'_>) -> bool {
    let (path, interface, member) = (header.path(), header.interface(), header.member());
    follower.service.signals.iter().any(|signal| {
        path.is_some_and(|path| path == signal.path)
            && interface.is_some_and(|interface| interface == signal.interface)
            && member.is_some_and(|member| member == signal.member)
    })
}

async fn until(point: Option<Monotonic>) {
    match point {
        Some(point) => clock::sleep_until(point).await,
        None => std::future::pending().await,
    }
}
