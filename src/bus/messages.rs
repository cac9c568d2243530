//! The few messages that are sent to the bus and the services.

use std::fmt::Write as _;

use zbus::Message;
use zbus::message::Flags;

use super::follower::{BusService, Signal};
use super::properties::PropertyQuery;

const BUS: &str = "org.freedesktop.DBus";

/// Asks for the signals that tell when `name` gets or loses its owner.
pub(crate) fn follow_owner(name: &str) -> zbus::Result<Message> {
    add_match(&format!(
        "type='signal',sender='{BUS}',path='/org/freedesktop/DBus',interface='{BUS}',\
         member='NameOwnerChanged',arg0='{name}'"
    ))
}

/// Asks for one signal of a service.
pub(crate) fn follow_signal(service: &BusService, signal: &Signal) -> zbus::Result<Message> {
    let Signal {
        path,
        interface,
        member,
        arg0,
    } = signal;
    let mut rule = format!(
        "type='signal',sender='{}',path='{path}',interface='{interface}',member='{member}'",
        service.name
    );
    if let Some(arg0) = arg0 {
        let _ = write!(rule, ",arg0='{arg0}'");
    }
    add_match(&rule)
}

/// Asks who owns `name`. Unlike a call to the name itself, this starts no service.
pub(crate) fn owner_of(name: &str) -> zbus::Result<Message> {
    to_bus("GetNameOwner", name)
}

/// Asks `owner`, by its unique name, so that nobody is started and nobody else answers.
pub(crate) fn ask(owner: &str, question: &PropertyQuery) -> zbus::Result<Message> {
    let call = |member| {
        Message::method_call(question.path, member)
            .destination(owner)
            .interface("org.freedesktop.DBus.Properties")
            .with_flags(Flags::NO_AUTO_START)
    };
    match question.names {
        [name] => call("Get").build(&(question.interface, name)),
        _ => call("GetAll").build(&question.interface),
    }
}

fn add_match(rule: &str) -> zbus::Result<Message> {
    to_bus("AddMatch", rule)
}

fn to_bus(member: &str, argument: &str) -> zbus::Result<Message> {
    Message::method_call("/org/freedesktop/DBus", member)
        .destination(BUS)
        .interface(BUS)
        .with_flags(Flags::NO_AUTO_START)
        .build(&argument)
}

/// The serial number, by which the reply is known.
pub(crate) fn serial(message: &Message) -> u32 {
    message.primary_header().serial_num().get()
}
