//! What the process asks of the machine's network.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use tokio::net::TcpListener;

use crate::failure::{Exit, Failure};

/// Descriptors that are for no connection, beside a sixteenth of all.
const DESCRIPTORS_RESERVED_MIN: usize = 64;
/// So few connections each way that an operator should hear of it.
const DESCRIPTORS_SHORT: usize = 400;

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
/// Answers what it is now; none where there is no limit.
pub(super) fn raise_open_files_limit() -> Option<u64> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: maximum, maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => {
            tracing::debug!(from = ?current, to = ?maximum, "raised the limit on open files");
            maximum
        }
        Err(error) => {
            tracing::warn!(%error, limit = ?current, "the limit on open files could not be raised");
            current
        }
    }
}

/// Descriptors for connections, by who opens them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Descriptors {
    /// Strangers, and whoever else calls the API.
    pub(super) inbound: usize,
    /// Deliveries.
    pub(super) outbound: usize,
}

/// Shares descriptors out, so that strangers who hold connections open take none from deliveries, nor either of them from
/// the store, the compiler's pipes and lookups of names.
pub(super) fn share_descriptors(limit: Option<u64>) -> Descriptors {
    let limit = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    let reserve = (DESCRIPTORS_RESERVED_MIN + limit / 16).min(limit / 2);
    let each = ((limit - reserve) / 2).max(1);
    if each < DESCRIPTORS_SHORT {
        tracing::warn!(
            limit,
            "few files may be open; raise the limit of this service (`LimitNOFILE`, `ulimit -n`)"
        );
    }
    Descriptors { inbound: each, outbound: each }
}

/// The addresses of this machine's interfaces, where deliveries are not sent unless that is allowed.
pub(super) fn own_addresses() -> Option<Vec<IpAddr>> {
    match if_addrs::get_if_addrs() {
        Ok(interfaces) => Some(interfaces.iter().map(if_addrs::Interface::ip).collect()),
        Err(error) => {
            tracing::warn!(%error, "this machine's own public addresses are not known and so not kept from deliveries");
            None
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
    fn descriptors_are_shared_out() {
        let check = |limit: Option<u64>, expect: usize| {
            assert_eq!(
                share_descriptors(limit),
                Descriptors { inbound: expect, outbound: expect },
                "{limit:?}"
            );
        };
        check(Some(1), 1);
        check(Some(64), 16);
        check(Some(512), 208);
        check(Some(1024), 448);
        check(Some(65_536), 30_688);
        let all = share_descriptors(None);
        assert!(all.inbound > 1 << 30);
    }

    #[test]
    fn loopback_is_among_the_machines_own_addresses() {
        assert!(own_addresses().unwrap().iter().any(IpAddr::is_loopback));
    }
}
