//! Where the system bus is, or a user's, and how to get there in time.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use zbus::address::Transport;
use zbus::address::transport::UnixSocket;
use zbus::{Address, Connection, connection};

/// How long a bus may take to let us in.
const DEADLINE: Duration = Duration::from_secs(5);

/// How long a call may take by default, as with sd-bus.
const METHOD_TIMEOUT: Duration = Duration::from_secs(25);

/// A bus's address; there may be none.
#[derive(Clone, Debug)]
pub struct BusAddress {
    address: Option<Address>,
    name: &'static str,
}

const SYSTEM: &str = "system bus";
const USER: &str = "user bus";

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// Nobody listens there: there is no bus.
    #[error("there is no {}{}", .0.name, at(.0))]
    NoBus(BusAddress),
    /// Something is there, and does not let us in.
    #[error("failed to connect to the {}{}: {}", .0.name, at(.0), .1)]
    Refused(BusAddress, zbus::Error),
    /// Something is there, and says nothing.
    #[error("the {}{} does not answer", .0.name, at(.0))]
    Silent(BusAddress),
}

fn at(address: &BusAddress) -> String {
    address
        .address
        .as_ref()
        .map(|a| format!(" at {a}"))
        .unwrap_or_default()
}

impl BusAddress {
    /// `$DBUS_SYSTEM_BUS_ADDRESS`, or where the bus is by default.
    pub fn system() -> Self {
        match std::env::var("DBUS_SYSTEM_BUS_ADDRESS") {
            Ok(text) => Self::parse(&text),
            Err(_) => Self {
                address: Address::system().ok(),
                name: SYSTEM,
            },
        }
    }

    /// The bus of this process's user: `$DBUS_SESSION_BUS_ADDRESS`, or `bus` in `$XDG_RUNTIME_DIR`.
    pub fn user() -> Self {
        let address = match std::env::var("DBUS_SESSION_BUS_ADDRESS") {
            Ok(text) => Self::parse(&text).address,
            Err(_) => Address::session().ok(),
        };
        Self {
            address,
            name: USER,
        }
    }

    /// `system bus` or `user bus`.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The first address of the semicolon-separated list that can be used; an empty list means no bus.
    ///
    /// A `guid=` in it is ignored: it names one life of the bus, and a restarted one is followed too.
    pub fn parse(text: &str) -> Self {
        let address = text.split(';').find_map(|address| address.parse().ok());
        Self {
            address: address.map(|address: Address| Address::new(address.transport().clone())),
            name: SYSTEM,
        }
    }

    /// The file that is the bus's socket, if it is one.
    pub(crate) fn socket(&self) -> Option<&Path> {
        match self.address.as_ref()?.transport() {
            Transport::Unix(unix) => match unix.path() {
                UnixSocket::File(path) => Some(path),
                _ => None,
            },
            _ => None,
        }
    }

    /// Connects, or says within five seconds why it cannot.
    pub async fn connect(&self) -> Result<Connection, ConnectError> {
        let Some(address) = self.address.clone() else {
            return Err(ConnectError::NoBus(self.clone()));
        };
        let builder = connection::Builder::address(address).method_timeout(METHOD_TIMEOUT);
        match tokio::time::timeout(DEADLINE, builder.build()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) if nobody_listens(&error) => Err(ConnectError::NoBus(self.clone())),
            Ok(Err(error)) => Err(ConnectError::Refused(self.clone(), error)),
            Err(_) => Err(ConnectError::Silent(self.clone())),
        }
    }
}

fn nobody_listens(error: &zbus::Error) -> bool {
    matches!(error, zbus::Error::Connection(error, _)
        if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused | ErrorKind::NotADirectory))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_of_the_first_usable_address_is_the_one_to_wait_for() {
        let address = BusAddress::parse("launchd:env=X;unix:path=/run/bus;unix:path=/other");
        assert_eq!(address.socket(), Some(Path::new("/run/bus")));
    }

    #[test]
    fn an_empty_or_unusable_list_means_no_bus() {
        for text in ["", ";", "nonsense", "unix:"] {
            assert!(BusAddress::parse(text).address.is_none(), "{text:?}");
        }
    }

    #[test]
    fn the_guid_of_a_bus_that_may_be_restarted_is_ignored() {
        let guid = "919eb647d805169d424c9f766b03940e";
        let BusAddress { address, .. } =
            BusAddress::parse(&format!("unix:path=/run/bus,guid={guid}"));
        assert!(address.unwrap().guid().is_none());
    }

    #[test]
    fn an_abstract_socket_is_no_file() {
        assert_eq!(BusAddress::parse("unix:abstract=bus").socket(), None);
    }
}
