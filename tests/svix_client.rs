//! The official client of the Svix API works unchanged.

use hookmill_testkit::receiver::{Behaviour, Receiver};
use hookmill_tests::judge;
use hookmill_tests::router::DataDir;

#[tokio::test]
async fn the_python_client_administers_sends_and_reads_back() {
    let receiver = Receiver::start(Behaviour::accepts()).await;
    let data_dir = DataDir::new();
    let router = data_dir.start().await;
    let printed = judge::svix_client(&router, &receiver).await;
    let requests = receiver.wait_for(2).await;
    assert_eq!(requests.len(), 2);
    let secret = printed["secret"].as_str().unwrap();
    let mut delivered: Vec<_> =
        requests.iter().map(|request| request.headers["webhook-id"].clone()).collect();
    delivered.sort();
    // Both messages are in the order of their ids.
    let messages = printed["messages"].as_array().unwrap();
    assert_eq!(delivered, messages.iter().map(|id| id.as_str().unwrap()).collect::<Vec<_>>());
    for request in &requests {
        assert_eq!(request.headers["x-tenant"], "7");
        judge::check(secret, request);
    }
}
