//! One tenant and some strangers do all that they can at once ([`hookmill_tests::assault`]); the other tenant is served,
//! within the memory that there is.

use hookmill_testkit::receiver::{Behaviour, Receiver};
use hookmill_tests::api::Api;
use hookmill_tests::assault::{Attack, payload};
use hookmill_tests::memory::resident_peak_bytes;
use hookmill_tests::router::{DataDir, Options, Router};
use serde_json::json;

use crate::strangers::wrapped;

/// What the router may take under attack, in whichever build the tests run.
const MEMORY_BYTES_MAX: u64 = 400 << 20;
/// What the router may take after a start, whatever waits in the store.
const MEMORY_AFTER_START_BYTES_MAX: u64 = 220 << 20;
/// Kibibytes of address space, which the shell limits.
const ADDRESS_SPACE_KIB: usize = 3 << 20;
/// Rounds of the victim; in each it sends a small, a large and another small event.
const ROUNDS: usize = 5;

/// The tenant that does no wrong.
struct Victim {
    application: String,
    receiver: Receiver,
    sent: usize,
}

impl Victim {
    async fn new(api: &Api) -> Self {
        let receiver = Receiver::start(Behaviour::accepts()).await;
        let application = api.create_application("victim").await;
        let _ = api.create_endpoint(&application, &receiver.url("/"), json!({})).await;
        Self { application, receiver, sent: 0 }
    }

    /// Sends one event after the other, each when the one before was delivered.
    async fn is_served(&mut self, api: &Api) {
        for _ in 0..ROUNDS {
            for bytes in [10, 900_000, 10] {
                let _ = api.send(&self.application, "order.paid", &payload(bytes)).await;
                self.sent += 1;
                let _ = self.receiver.wait_for(self.sent).await;
            }
        }
    }
}

fn check_peak(router: &Router, bytes_max: u64) {
    let peak = resident_peak_bytes(router.process_id());
    assert!(peak < bytes_max, "{} MiB resident", peak >> 20);
}

/// The other tenant's deliveries all arrive, the process stays within its memory and its address space, and starts well with
/// what the attackers left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_tenant_does_all_at_once_and_the_other_is_served() {
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let program = wrapped(&directory, &format!("ulimit -v {ADDRESS_SPACE_KIB}"));
    let options = Options { program, ..Options::default() };
    let data = DataDir::new();
    let router = data.start_with(&options).await;
    let mut victim = Victim::new(router.api()).await;
    victim.is_served(router.api()).await;

    let mut attack = Attack::begin(router.api(), router.address()).await;
    victim.is_served(router.api()).await;
    check_peak(&router, MEMORY_BYTES_MAX);
    attack.stop().await;
    router.kill().await;
    let connections = attack.connections();

    let router = data.start_with(&options).await;
    attack.is_sent_to_again(connections).await;
    victim.is_served(router.api()).await;
    check_peak(&router, MEMORY_AFTER_START_BYTES_MAX);
    drop(attack);
    assert_eq!(router.stop().await, Some(0));
}
