//! Sources.

use std::sync::Arc;

use hookmill_core::id::SourceId;
use hookmill_core::inbound::{
    Algorithm, Dedupe, Encoding, HmacScheme, RawHmacScheme, TimestampUnit, Verifier,
};
use hookmill_core::plugin::{PluginBinding, PluginDigest, Secret};
use hookmill_core::port::Store;
use hookmill_core::port::store::{Change, StoreError};
use hookmill_core::signature::RotatingKeys;
use hookmill_core::source::{
    EventTypeFrom, Intake, ReplayWindow, Source, SourceState, SuccessStatus, Verification,
};
use zeroize::Zeroizing;

use super::Factory;
use super::fixture::{NOW, application_id, at, conflict, furnish, name};

/// Every field of a source comes back, also after a restart; so does what replaced it, and nothing after its end.
pub async fn every_field_of_a_source_comes_back(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let mut sources = kinds();
    let put = sources.iter().cloned().map(|source| Change::PutSource(Box::new(source))).collect();
    store.apply(put).await.expect("names that are free");
    let store = factory.reopen(store);
    assert_eq!(store.configuration().await.expect("a store reads").sources, sources);

    let last = sources.pop().expect("there are several");
    sources[0] = Source { id: sources[0].id, ..source(9, Verification::None) };
    let changes = vec![
        Change::DeleteSource(last.id),
        Change::PutSource(Box::new(sources[0].clone())),
        Change::DeleteSource(last.id),
    ];
    store.apply(changes).await.expect("sources can change and go");
    assert_eq!(factory.reopen(store).configuration().await.expect("a store reads").sources, sources);
}

/// A name leads to one source. A source feeds a tenant, and goes with it.
pub async fn a_source_has_its_name_alone_and_goes_with_its_tenant(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let put = async |source: Source| store.apply(vec![Change::PutSource(Box::new(source))]).await;
    let (first, second) = (source(1, Verification::None), source(2, Verification::None));
    assert_eq!(put(first.clone()).await, Ok(()));
    let same_name = Source { name: first.name.clone(), ..second.clone() };
    assert_eq!(put(same_name.clone()).await, conflict("the source's name"));
    let nowhere = Source { application: application_id(3), ..second.clone() };
    assert_eq!(put(nowhere).await, Err(StoreError::NotFound { what: "the application" }));
    let elsewhere = Source { application: application_id(2), ..second };
    assert_eq!(put(elsewhere.clone()).await, Ok(()));

    store.apply(vec![Change::DeleteApplication(application_id(1))]).await.expect("a tenant can go");
    assert_eq!(store.configuration().await.expect("a store reads").sources, [elsewhere]);
    let freed = Source { application: application_id(2), ..same_name };
    assert_eq!(put(freed).await, Ok(()), "the name is free again");
}

/// One of each kind, with something in every field.
fn kinds() -> Vec<Source> {
    let mut sources = vec![source(1, Verification::None)];
    for (number, verifier) in (2..).zip(Verifier::PROVIDERS) {
        let secrets = RotatingKeys::new(secret(b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"));
        sources.push(source(number, Verification::Signed { verifier, secrets }));
    }
    let raw = RawHmacScheme {
        header: "x-signature".into(),
        algorithm: Algorithm::Sha512,
        encoding: Encoding::Base64,
        prefix: "v1=".into(),
        input: "{id}.{timestamp}.{{x}}.{body}".into(),
        timestamp: Some(("x-time".into(), TimestampUnit::Milliseconds)),
        id_header: Some("x-id".into()),
    };
    let verifier = Verifier::Hmac(Box::new(HmacScheme::parse(&raw).expect("a sound scheme")));
    let mut secrets = RotatingKeys::new(secret(b"\0not text\xff"));
    secrets.rotate(secret(b"second"), NOW, ReplayWindow::default().get()).expect("one rotation");
    let plugin = PluginBinding {
        plugin: "mailgun".parse().expect("a plugin's name"),
        pinned: Some(PluginDigest::of(b"component")),
        settings: r#"{"k":1}"#.into(),
        secrets: Arc::new([("token".parse().expect("a name"), secret(b"\xc3\x28"))].into_iter().collect()),
    };
    sources.push(Source {
        description: "all \u{1f4e6}".into(),
        state: SourceState::Disabled,
        verify_token: Some(secret(b"meatyhamhock")),
        public_url: Some("https://hooks.example/in/full".parse().expect("an address")),
        replay_window: ReplayWindow::from_secs(7).expect("a window"),
        dedupe: Dedupe::Pointer("/event-data/id".parse().expect("a pointer")),
        success: SuccessStatus::new(204).expect("a success"),
        intake: Intake::Plugin(plugin),
        updated_at: at(4),
        ..source(20, Verification::Signed { verifier, secrets })
    });
    let header = || "x-event".parse().expect("a header");
    let pointer = "/a:b".parse().expect("a pointer");
    let more = [
        (Dedupe::Off, EventTypeFrom::Constant(name("invoice.paid"))),
        (Dedupe::Header(header()), EventTypeFrom::Header(header())),
        (Dedupe::Provider, EventTypeFrom::Pointer(pointer)),
    ];
    for (number, (dedupe, from)) in (30..).zip(more) {
        sources.push(Source { dedupe, intake: Intake::AsItIs(from), ..source(number, Verification::None) });
    }
    sources
}

fn source(number: u128, verification: Verification) -> Source {
    Source {
        id: SourceId::new(NOW, number),
        name: format!("source-{number}").parse().expect("a source's name"),
        application: application_id(1),
        description: String::new(),
        state: SourceState::Enabled,
        success: SuccessStatus::usual(&verification),
        verification,
        verify_token: None,
        public_url: None,
        replay_window: ReplayWindow::default(),
        dedupe: Dedupe::default(),
        intake: Intake::AsItIs(EventTypeFrom::default()),
        created_at: NOW,
        updated_at: NOW,
    }
}

fn secret(bytes: &[u8]) -> Secret {
    Secret::new(Zeroizing::new(bytes.to_vec())).expect("few bytes")
}
