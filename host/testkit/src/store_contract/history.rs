//! Pages for people.

use std::time::Duration;

use bytes::Bytes;
use hookmill_core::event::{Channels, Event};
use hookmill_core::id::{AttemptId, EventId};
use hookmill_core::limits::{EVENT_BODY_BYTES_MAX, READ_BYTES_MAX, READ_ROWS_MAX};
use hookmill_core::plugin::{LogLevel, LogLine, PluginDigest, World};
use hookmill_core::policy::Ordering;
use hookmill_core::port::Store;
use hookmill_core::port::store::{
    Appended, AttemptQuery, AttemptRecord, AttemptResult, AttemptTrigger, AttemptsOf, Completion,
    EventLookup, EventQuery, Finished, Found, PageFrom,
};
use hookmill_core::trace::{AttemptTrace, SentHeader, SentRequest, SentTo, SentValue, TraceLine};
use http::{HeaderName, Method};

use super::Factory;
use super::fixture::{
    NOW, append, application_id, at, attempt, endpoint_id, event, finish, finished, furnish, load, name,
    new_event,
};

/// All events of a tenant, newest first.
#[must_use]
pub fn all_events(application: u128) -> EventQuery {
    EventQuery {
        application: application_id(application),
        from: PageFrom::Newest,
        limit: 100,
        event_types: Vec::new(),
        channel: None,
        before: None,
        after: None,
    }
}

/// All attempts of an event or endpoint of a tenant, newest first.
#[must_use]
pub fn attempts_of(application: u128, of: AttemptsOf) -> AttemptQuery {
    AttemptQuery {
        application: application_id(application),
        of,
        from: PageFrom::Newest,
        limit: 100,
        result: None,
        before: None,
        after: None,
    }
}

/// Pages go on towards older and newer events, always answered newest first.
pub async fn pages_go_both_ways(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    for number in 1..=5 {
        let accepted_at = at(u64::try_from(number).expect("a small number"));
        append(&store, new_event(event(number, 1, accepted_at), &[])).await;
        append(&store, new_event(event(number, 2, accepted_at.after(Duration::from_secs(1))), &[])).await;
    }
    let id = |number: u64| EventId::new(at(number), u128::from(number));
    let check = async |from, limit, expect: &[u64]| {
        let query = EventQuery { from, limit, ..all_events(1) };
        let page = store.events(query).await.expect("a store reads").items;
        let found: Vec<_> = page.iter().map(|event| event.id).collect();
        let expect: Vec<_> = expect.iter().map(|number| id(*number)).collect();
        assert_eq!(found, expect, "{from:?}");
    };
    check(PageFrom::Newest, 2, &[5, 4]).await;
    check(PageFrom::OlderThan(id(4)), 2, &[3, 2]).await;
    check(PageFrom::OlderThan(id(2)), 2, &[1]).await;
    check(PageFrom::OlderThan(id(1)), 2, &[]).await;
    check(PageFrom::NewerThan(id(1)), 2, &[3, 2]).await;
    check(PageFrom::NewerThan(id(3)), 2, &[5, 4]).await;
    check(PageFrom::NewerThan(id(4)), 2, &[5]).await;
    check(PageFrom::NewerThan(id(5)), 2, &[]).await;
    let found = store.event(application_id(1), EventLookup::Id(id(3))).await.expect("a store reads");
    assert_eq!(found.map(|event| event.id), Some(id(3)));
    assert_eq!(store.event(application_id(2), EventLookup::Id(id(3))).await, Ok(None));
}

/// Attempts are listed by event, by endpoint and by both.
pub async fn attempts_are_found_by_event_and_endpoint(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let mut number = 0;
    for (sent, endpoints) in [(event(1, 1, NOW), vec![11, 12]), (event(2, 1, NOW), vec![11])] {
        append(&store, new_event(sent, &endpoints)).await;
        for endpoint in endpoints {
            let delivery = load(&store, endpoint, Ordering::Unordered, NOW).await.deliveries.remove(0);
            number += 1;
            finish(&store, finished(&delivery, number, NOW, Completion::Delivered)).await;
        }
    }
    let store = factory.reopen(store);
    let id = |number| AttemptId::new(NOW, number);
    let check = async |query: AttemptQuery, expect: &[u128]| {
        let page = store.attempts(query.clone()).await.expect("a store reads").items;
        let found: Vec<_> = page.iter().map(|attempt| attempt.id).collect();
        let expect: Vec<_> = expect.iter().map(|number| id(*number)).collect();
        assert_eq!(found, expect, "{query:?}");
    };
    let event_id = |number| EventId::new(NOW, number);
    let of_event = |application, endpoint| attempts_of(application, AttemptsOf::Event(event_id(1), endpoint));
    let of_endpoint = |application| attempts_of(application, AttemptsOf::Endpoint(endpoint_id(11)));
    check(of_event(1, None), &[2, 1]).await;
    check(of_event(2, None), &[]).await;
    check(of_endpoint(1), &[3, 1]).await;
    check(of_endpoint(2), &[]).await;
    check(of_event(1, Some(endpoint_id(12))), &[2]).await;
    check(AttemptQuery { limit: 1, ..of_endpoint(1) }, &[3]).await;
    check(AttemptQuery { from: PageFrom::OlderThan(id(2)), ..of_endpoint(1) }, &[1]).await;
    check(AttemptQuery { from: PageFrom::NewerThan(id(1)), limit: 1, ..of_endpoint(1) }, &[3]).await;
    check(AttemptQuery { limit: 1, ..of_event(1, None) }, &[2]).await;
    check(AttemptQuery { from: PageFrom::OlderThan(id(2)), ..of_event(1, None) }, &[1]).await;
    check(AttemptQuery { from: PageFrom::NewerThan(id(1)), limit: 1, ..of_event(1, None) }, &[2]).await;
    let found = store.attempt(application_id(1), event_id(1), id(2)).await.expect("a store reads");
    assert_eq!(found.map(|attempt| attempt.endpoint), Some(endpoint_id(12)));
    assert_eq!(store.attempt(application_id(2), event_id(1), id(2)).await, Ok(None));
    assert_eq!(store.attempt(application_id(1), event_id(2), id(2)).await, Ok(None));
}

/// Types, channels, results and times narrow a page.
pub async fn filters_narrow_a_page(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    for (number, event_type, channels) in
        [(1, "a", vec!["eu"]), (2, "b", vec!["eu", "us"]), (3, "a", vec![]), (4, "c", vec!["e"])]
    {
        let channels = channels.into_iter().map(name).collect();
        let sent = Event {
            event_type: name(event_type),
            channels: Channels::new(channels).expect("distinct channels"),
            ..event(number, 1, at(u64::try_from(number).expect("a small number")))
        };
        append(&store, new_event(sent, &[11])).await;
        let delivery = load(&store, 11, Ordering::Unordered, at(9)).await.deliveries.remove(0);
        let completion = if number % 2 == 0 { Completion::Delivered } else { Completion::Dropped };
        finish(&store, finished(&delivery, number, delivery.due, completion)).await;
    }
    let check = async |query: EventQuery, expect: &[u64]| {
        let page = store.events(query.clone()).await.expect("a store reads").items;
        let found: Vec<_> = page.iter().map(|event| event.accepted_at().0 - NOW.0).collect();
        assert_eq!(found, expect, "{query:?}");
    };
    check(EventQuery { event_types: vec![name("a"), name("c")], ..all_events(1) }, &[4, 3, 1]).await;
    check(EventQuery { event_types: vec![name("a")], limit: 1, ..all_events(1) }, &[3]).await;
    check(EventQuery { channel: Some(name("eu")), ..all_events(1) }, &[2, 1]).await;
    check(EventQuery { before: Some(at(3)), ..all_events(1) }, &[2, 1]).await;
    check(EventQuery { after: Some(at(3)), ..all_events(1) }, &[4]).await;
    check(EventQuery { after: Some(at(1)), before: Some(at(4)), ..all_events(1) }, &[3, 2]).await;

    let check = async |query: AttemptQuery, expect: &[u64]| {
        let page = store.attempts(query.clone()).await.expect("a store reads").items;
        let found: Vec<_> = page.iter().map(|attempt| attempt.id.created_at().0 - NOW.0).collect();
        assert_eq!(found, expect, "{query:?}");
    };
    let of_endpoint = || attempts_of(1, AttemptsOf::Endpoint(endpoint_id(11)));
    check(AttemptQuery { result: Some(AttemptResult::Dropped), ..of_endpoint() }, &[3, 1]).await;
    check(AttemptQuery { result: Some(AttemptResult::Delivered), limit: 1, ..of_endpoint() }, &[4]).await;
    check(AttemptQuery { before: Some(at(3)), ..of_endpoint() }, &[2, 1]).await;
    check(AttemptQuery { after: Some(at(3)), ..of_endpoint() }, &[4]).await;
}

/// An attempt comes back with all that was recorded of it.
pub async fn every_field_of_an_attempt_comes_back(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    append(&store, new_event(event(1, 1, NOW), &[11])).await;
    let delivery = load(&store, 11, Ordering::Unordered, NOW).await.deliveries.remove(0);
    let plain = attempt(&delivery, 1, NOW);
    let full = AttemptRecord {
        id: AttemptId::new(NOW, 2),
        number: 2,
        duration: Duration::from_micros(1_234_567),
        result: AttemptResult::Failed,
        status: Some(503),
        failure_code: Some("timeout".into()),
        detail: "no answer \u{23f3}".into(),
        response: Bytes::from_static(b"\0half an ans\xff"),
        trigger: AttemptTrigger::Manual,
        plugin: Some((PluginDigest::of(b"component"), 37_593)),
        next_due: Some(at(5)),
        sent_to: SentTo::Elsewhere("https://elsewhere.example/?token=hunter2".into()),
        trace: Some(Box::new(trace())),
        ..plain.clone()
    };
    let split = AttemptRecord { id: AttemptId::new(NOW, 3), result: AttemptResult::Split, ..plain.clone() };
    for recorded in [&plain, &full, &split] {
        let completion = Completion::Retry { due: at(5), prepared: None };
        finish(&store, Finished { delivery: delivery.id, attempt: Box::new(recorded.clone()), completion })
            .await;
    }
    let store = factory.reopen(store);
    let alone = store.attempt(plain.application, plain.event, full.id).await;
    assert_eq!(alone, Ok(Some(full.clone())), "a single attempt is read with its trace");
    let listed = AttemptRecord { trace: None, ..full };
    let page = store.attempts(attempts_of(1, AttemptsOf::Event(plain.event, None))).await;
    assert_eq!(page.map(|page| page.items), Ok(vec![split, listed, plain]));
}

/// An attempt says where it went, wherever its endpoint is today.
pub async fn attempts_keep_where_they_went(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let mut recorded = Vec::new();
    for number in 1..=3 {
        append(&store, new_event(event(number, 1, NOW), &[11])).await;
        let delivery = load(&store, 11, Ordering::Unordered, NOW).await.deliveries.remove(0);
        let url = format!("https://receiver.example/{}", number / 2);
        let sent = AttemptRecord { sent_to: SentTo::Endpoint(url.into()), ..attempt(&delivery, number, NOW) };
        recorded.push(sent.clone());
        let (delivery, completion) = (delivery.id, Completion::Delivered);
        finish(&store, Finished { delivery, attempt: Box::new(sent), completion }).await;
    }
    recorded.reverse();
    let store = factory.reopen(store);
    let page = store.attempts(attempts_of(1, AttemptsOf::Endpoint(endpoint_id(11)))).await;
    assert_eq!(page.map(|page| page.items), Ok(recorded));
}

fn trace() -> AttemptTrace {
    let line = |level, message: &str| LogLine { level, message: message.into() };
    let header = |name, value| SentHeader { name: HeaderName::from_static(name), value };
    AttemptTrace {
        logs: vec![
            TraceLine {
                world: World::Transform,
                line: line(LogLevel::Error, "at run (plugin.js:3)\nat main"),
            },
            TraceLine { world: World::Classifier, line: line(LogLevel::Debug, "\u{23f3}") },
        ],
        request: Some(SentRequest {
            method: Method::PUT,
            headers: vec![
                header("x-kind", SentValue::Plain("invoice".into())),
                header("authorization", SentValue::Secret("Bearer {{secrets.token}}".into())),
                header("x-api-key", SentValue::Withheld),
            ],
            body_bytes: 70_000,
            body: Some(Bytes::from_static(b"\0any bytes\xff")),
        }),
    }
}

/// A filter that matches nothing ends a read after a bounded number of rows, and so do large bodies; whoever goes on from
/// there comes to the end, in both directions.
pub async fn a_read_is_bounded_and_says_where_to_go_on(factory: &impl Factory) {
    let store = std::sync::Arc::new(factory.create());
    furnish(&*store).await;
    let rows = READ_ROWS_MAX as u128 + 5;
    let calls: Vec<_> = (1..=rows)
        .map(|number| {
            let store = std::sync::Arc::clone(&store);
            tokio::spawn(async move { store.append(new_event(event(number, 1, NOW), &[])).await })
        })
        .collect();
    for call in calls {
        assert!(matches!(call.await.expect("no call panics"), Ok(Appended::Stored(_))));
    }
    let id = |number: u128| EventId::new(NOW, number);
    let nothing = |from| EventQuery { event_types: vec![name("never")], from, ..all_events(1) };
    let read = async |query| store.events(query).await.expect("a store reads");
    let first = read(nothing(PageFrom::Newest)).await;
    assert_eq!((first.items.len(), first.rows_read), (0, READ_ROWS_MAX));
    assert_eq!(first.stopped_at, Some(id(6)));
    let last = read(nothing(PageFrom::OlderThan(id(6)))).await;
    assert_eq!(last, Found { items: vec![], stopped_at: None, rows_read: 5 });
    let upward = read(nothing(PageFrom::NewerThan(id(1)))).await;
    assert_eq!((upward.items.len(), upward.stopped_at), (0, Some(id(READ_ROWS_MAX as u128 + 1))));

    let large = |number| Event {
        body: vec![b'1'; EVENT_BODY_BYTES_MAX].into(),
        ..event(number, 2, at(u64::try_from(number).expect("a small number")))
    };
    for number in 1..=6 {
        append(&*store, new_event(large(number), &[])).await;
    }
    let page = read(EventQuery { limit: 6, ..all_events(2) }).await;
    let fitting = READ_BYTES_MAX / EVENT_BODY_BYTES_MAX;
    assert_eq!((page.items.len(), page.rows_read), (fitting, fitting));
    assert_eq!(page.stopped_at, page.items.last().map(|event| event.id));
}
