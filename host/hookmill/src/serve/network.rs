//! What the process asks of the machine's network.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::net::TcpListener;

use crate::failure::{Exit, Failure};

/// Takes the port.
///
/// # Errors
/// A port that is taken, or an address that is not this machine's.
pub(super) async fn listen(address: SocketAddr) -> Result<TcpListener, Failure> {
    TcpListener::bind(address).await.map_err(|error| not_listening(address, &error))
}

pub(super) fn not_listening(address: SocketAddr, error: &io::Error) -> Failure {
    let failure = |code, message| Failure::new(Exit::NotStarted, code, message);
    match error.kind() {
        ErrorKind::AddrInUse => failure("address_in_use", format!("{address} is taken by another process"))
            .hint("stop that process, or choose another port with --listen; port 0 takes a free one"),
        ErrorKind::AddrNotAvailable => {
            failure("address_not_available", format!("{address} is no address of this machine"))
                .hint("listen at one of its own addresses, or at 0.0.0.0 or [::] for all of them")
        }
        ErrorKind::PermissionDenied => {
            failure("address_not_permitted", format!("this user may not listen at {address}"))
                .hint("choose a port from 1024 on with --listen, or grant CAP_NET_BIND_SERVICE")
        }
        _ => failure("address_not_usable", format!("{address} can't be listened at: {error}"))
            .hint("choose another address with --listen"),
    }
}

/// Raises the limit on open files as far as the system lets a process raise it by itself.
///
/// Each connection in and out is one. Many systems give 1024 unless asked, with a hard limit of a hundred times that.
pub(super) fn raise_open_files_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => tracing::debug!(from = ?current, to = ?maximum, "raised the limit on open files"),
        Err(error) => tracing::warn!(%error, limit = ?current, "the limit on open files could not be raised"),
    }
}

/// The addresses of this machine's interfaces, where deliveries are not sent unless that is allowed.
pub(super) fn own_addresses() -> Vec<IpAddr> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => interfaces.iter().map(if_addrs::Interface::ip).collect(),
        Err(error) => {
            tracing::warn!(%error, "this machine's own public addresses are not known and so not kept from deliveries");
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_port_that_is_taken_is_told() {
        let taken = listen("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = taken.local_addr().unwrap();
        let failure = listen(address).await.expect_err("it is taken");
        assert_eq!((failure.exit, failure.code.as_ref()), (Exit::NotStarted, "address_in_use"));
        assert!(failure.message.contains(&address.to_string()), "{failure}");
    }

    #[tokio::test]
    async fn an_address_of_another_machine_is_told() {
        // TEST-NET-1 (RFC 5737) is nobody's.
        let failure = listen("192.0.2.1:0".parse().unwrap()).await.expect_err("it is not ours");
        assert_eq!(failure.code, "address_not_available");
    }

    #[test]
    fn loopback_is_among_the_machines_own_addresses() {
        assert!(own_addresses().iter().any(IpAddr::is_loopback));
    }
}
