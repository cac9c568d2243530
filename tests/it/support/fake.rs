//! What the fakes of the services have in common.
//!
//! A fake is a table of properties behind `org.freedesktop.DBus.Properties`, so it can also hang, refuse,
//! talk nonsense, vanish and return. Needs `tokio`, `futures`, `nix` and `zbus`; runs on the caller's runtime.

use std::collections::{BTreeMap, HashMap};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures::StreamExt;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tokio::sync::Notify;
use zbus::message::Type;
use zbus::{Connection, DynamicType, Message, MessageStream, OwnedVariant, Variant, connection};

/// Far beyond any machine's load; only a test that fails waits so long.
const GENEROUS: Duration = Duration::from_secs(60);

/// How a fake answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// As it should.
    #[default]
    Well,
    /// Not at all, until it is well again: then it answers what it was asked meanwhile.
    Hung,
    /// With an error.
    Refusing,
    /// With something of another type.
    Nonsense,
}

#[derive(Default)]
struct State {
    mood: Mood,
    properties: BTreeMap<(String, String), BTreeMap<String, OwnedVariant>>,
    waiting: Vec<Message>,
    asked: usize,
    /// logind's inhibitor locks: mode and the other end of each lock.
    locks: Vec<(String, OwnedFd)>,
    knows_block_weak: bool,
    refuses_locks: bool,
}

/// One service on the bus.
pub struct Fake {
    name: &'static str,
    connection: Connection,
    state: Arc<Mutex<State>>,
    was_asked: Arc<Notify>,
}

impl Fake {
    /// Connects to the bus at `address`; the name is taken by [`Fake::appear`].
    pub async fn new(address: &str, name: &'static str) -> Self {
        let connection = connection::Builder::address(address).build().await.unwrap();
        let state = Arc::new(Mutex::new(State {
            knows_block_weak: true,
            ..State::default()
        }));
        let was_asked = Arc::new(Notify::new());
        let fake = Self {
            name,
            connection,
            state,
            was_asked,
        };
        tokio::spawn(serve(
            fake.connection.clone(),
            fake.state.clone(),
            fake.was_asked.clone(),
        ));
        fake
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Sets a property, and says nothing.
    pub fn set(&self, path: &str, interface: &str, name: &str, value: impl Into<Variant<'static>>) {
        let value = value.into().try_into_owned().unwrap();
        let object = (path.to_owned(), interface.to_owned());
        self.state()
            .properties
            .entry(object)
            .or_default()
            .insert(name.to_owned(), value);
    }

    /// Removes a property, as in a version that does not have it yet.
    pub fn unset(&self, path: &str, interface: &str, name: &str) {
        let object = (path.to_owned(), interface.to_owned());
        self.state()
            .properties
            .entry(object)
            .or_default()
            .remove(name);
    }

    /// Sets a property, and says so by `PropertiesChanged`.
    pub async fn change(
        &self,
        path: &str,
        interface: &str,
        name: &str,
        value: impl Into<Variant<'static>>,
    ) {
        let value = value.into();
        self.set(path, interface, name, value.try_clone().unwrap());
        let changed = HashMap::from([(name, value)]);
        let body = (interface, changed, Vec::<&str>::new());
        self.emit(
            path,
            "org.freedesktop.DBus.Properties",
            "PropertiesChanged",
            &body,
        )
        .await;
    }

    /// Sends a signal.
    pub async fn emit<B: serde::Serialize + DynamicType>(
        &self,
        path: &str,
        interface: &str,
        member: &str,
        body: &B,
    ) {
        self.connection
            .emit_signal(None::<()>, path, interface, member, body)
            .await
            .unwrap();
    }

    /// A signal from it, to be sent with [`Fake::send_all`] as often as one likes.
    pub fn signal<B: serde::Serialize + DynamicType>(
        &self,
        path: &str,
        interface: &str,
        member: &str,
        body: &B,
    ) -> Message {
        let signal = Message::signal(path, interface, member);
        let sender = self.connection.unique_name().unwrap();
        signal.sender(sender).build(body).unwrap()
    }

    /// Sends messages in one go.
    pub async fn send_all(&self, messages: &[Message]) {
        self.connection.send_all(messages).await.unwrap();
    }

    /// Sends logind's `PrepareForSleep` to one connection, past all match rules, in its own name.
    pub async fn forge_sleep(&self, destination: &str, begins: bool) {
        self.connection
            .emit_signal(
                Some(destination),
                "/org/freedesktop/login1",
                "org.freedesktop.login1.Manager",
                "PrepareForSleep",
                &begins,
            )
            .await
            .unwrap();
    }

    /// Takes its name on the bus.
    pub async fn appear(&self) {
        self.connection.request_name(self.name).await.unwrap();
    }

    /// Gives its name up.
    pub async fn vanish(&self) {
        self.connection.release_name(self.name).await.unwrap();
    }

    /// Changes how it answers, and answers what it has been asked while hung.
    pub async fn be(&self, mood: Mood) {
        let waiting = {
            let mut state = self.state();
            state.mood = mood;
            if mood == Mood::Hung {
                Vec::new()
            } else {
                std::mem::take(&mut state.waiting)
            }
        };
        for call in waiting {
            answer(&self.connection, &self.state, &call).await;
        }
    }

    /// Is as before systemd 257, which came with `block-weak`.
    pub fn forget_block_weak(&self) {
        self.state().knows_block_weak = false;
    }

    /// Answers questions, but gives out no inhibitor lock, as polkit does to service users.
    pub fn refuse_locks(&self) {
        self.state().refuses_locks = true;
    }

    /// Whether the lock of this number has been given back.
    pub fn released(&self, number: usize) -> bool {
        let state = self.state();
        let mut end = [PollFd::new(
            state.locks[number].1.as_fd(),
            PollFlags::empty(),
        )];
        poll(&mut end, PollTimeout::ZERO).unwrap();
        end[0].any() == Some(true)
    }

    /// Waits until it has been given back. A child that another test forks has it too, until it executes its program.
    pub async fn until_released(&self, number: usize) {
        let given_back = async {
            while !self.released(number) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let waited = tokio::time::timeout(GENEROUS, given_back).await;
        waited.expect("the lock is given back");
    }

    /// The modes of the inhibitor locks that it gave out.
    pub fn locks(&self) -> Vec<String> {
        self.state()
            .locks
            .iter()
            .map(|(mode, _)| mode.clone())
            .collect()
    }

    /// How many calls it has got.
    pub fn asked(&self) -> usize {
        self.state().asked
    }

    /// Waits until it has got so many calls.
    pub async fn until_asked(&self, times: usize) {
        while self.asked() < times {
            self.was_asked.notified().await;
        }
    }
}

async fn serve(connection: Connection, state: Arc<Mutex<State>>, was_asked: Arc<Notify>) {
    let mut messages = MessageStream::from(&connection);
    while let Some(Ok(message)) = messages.next().await {
        if message.message_type() != Type::MethodCall {
            continue;
        }
        let is_hung = {
            let mut state = state.lock().unwrap();
            state.asked += 1;
            if state.mood == Mood::Hung {
                state.waiting.push(message.clone());
            }
            state.mood == Mood::Hung
        };
        if !is_hung {
            answer(&connection, &state, &message).await;
        }
        was_asked.notify_one();
    }
}

async fn answer(connection: &Connection, state: &Mutex<State>, call: &Message) {
    let header = call.header();
    let reply = reply(&mut state.lock().unwrap(), call);
    let sent = match reply {
        Ok(Reply::One(value)) => connection.reply(&header, &value).await,
        Ok(Reply::All(values)) => connection.reply(&header, &values).await,
        Ok(Reply::Lock(lock)) => connection.reply(&header, &zbus::OwnedFd::from(lock)).await,
        Ok(Reply::Nonsense) => connection.reply(&header, &("nonsense", 7_u8)).await,
        Err(name) => {
            connection
                .reply_error(&header, name, &"so says the fake")
                .await
        }
    };
    // A caller that has gone away does not mind.
    let _ = sent;
}

enum Reply {
    One(OwnedVariant),
    All(BTreeMap<String, OwnedVariant>),
    Lock(OwnedFd),
    Nonsense,
}

fn reply(state: &mut State, call: &Message) -> Result<Reply, &'static str> {
    let header = call.header();
    let path = header.path().map_or("", |path| path.as_str());
    let body = call.body();
    match (
        state.mood,
        header.member().map_or("", |member| member.as_str()),
    ) {
        (Mood::Refusing, _) => Err("org.freedesktop.DBus.Error.AccessDenied"),
        (Mood::Nonsense, _) => Ok(Reply::Nonsense),
        (_, "Get") => {
            let (interface, name): (String, String) = body.deserialize().unwrap();
            let object = state.properties.get(&(path.to_owned(), interface));
            let value = object.and_then(|object| object.get(&name));
            let value = value.ok_or("org.freedesktop.DBus.Error.UnknownProperty")?;
            Ok(Reply::One(value.try_clone().unwrap()))
        }
        (_, "GetAll") => {
            let interface: String = body.deserialize().unwrap();
            let object = state.properties.get(&(path.to_owned(), interface));
            let all = object.ok_or("org.freedesktop.DBus.Error.UnknownInterface")?;
            let copy = |(k, v): (&String, &OwnedVariant)| (k.clone(), v.try_clone().unwrap());
            Ok(Reply::All(all.iter().map(copy).collect()))
        }
        (_, "Inhibit") => {
            let (_, _, _, mode): (String, String, String, String) = body.deserialize().unwrap();
            if state.refuses_locks {
                return Err("org.freedesktop.DBus.Error.AccessDenied");
            }
            if mode == "block-weak" && !state.knows_block_weak {
                return Err("org.freedesktop.DBus.Error.InvalidArgs");
            }
            let (kept, given) = std::io::pipe().unwrap();
            state.locks.push((mode, kept.into()));
            Ok(Reply::Lock(given.into()))
        }
        _ => Err("org.freedesktop.DBus.Error.UnknownMethod"),
    }
}
