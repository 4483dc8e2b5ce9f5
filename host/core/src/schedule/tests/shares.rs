//! How places and memory are shared.

use super::*;

/// Lets an application have one delivery at each of so many endpoints; answers those that start.
fn fill(
    scheduler: &mut Scheduler,
    application: ApplicationId,
    endpoints: u64,
    from: u64,
) -> Vec<PendingDelivery> {
    let mut running = Vec::new();
    for id in from..from + endpoints {
        let endpoint = EndpointId::new(UnixMillis(2), u128::from(id));
        let terms = EndpointTerms { application, ..terms(Ordering::Unordered) };
        scheduler.endpoint_changed(endpoint, Some(terms), START);
        scheduler.appended(delivery(id, endpoint, None, START), START);
        running.extend(start(scheduler, START));
    }
    running
}

#[test]
fn an_application_with_many_slow_endpoints_leaves_places_to_others() {
    let mut scheduler = Scheduler::new(BreakerConfig::ENDPOINT);
    let slow = fill(&mut scheduler, application(1), 3000, 0);
    let expect = (ROUTER_CONCURRENCY_MAX - ROUTER_CONCURRENCY_RESERVE) / 2;
    assert_eq!(slow.len(), expect);
    // The next one, and the twentieth of the same kind, start at once.
    for number in 2..20 {
        let running = fill(&mut scheduler, application(number), 3000, u64::from(number) * 10_000);
        assert!(running.len() >= 4, "{} places for application {number}", running.len());
    }
}

#[test]
fn a_place_that_is_freed_goes_to_the_application_that_has_least() {
    let mut scheduler = Scheduler::new(BreakerConfig::ENDPOINT);
    let mut running = Vec::new();
    for number in 1..=60 {
        running.push(fill(&mut scheduler, application(number), 1000, u64::from(number) * 10_000));
    }
    assert!(running.last().unwrap().is_empty(), "all places are taken");
    let waiting = |row: &PendingDelivery, number: u64| {
        let first = EndpointId::new(UnixMillis(2), u128::from(number * 10_000));
        row.endpoint >= first
    };
    let first = running.iter().position(Vec::is_empty).unwrap() as u64 + 1;
    for row in running[0].iter().take(20) {
        scheduler.finished(&ended(row), START);
        let next = start(&mut scheduler, START).expect("a place is free");
        assert!(waiting(&next, first), "{next:?} is of an application that has some");
    }
}

#[test]
fn large_events_of_one_application_leave_memory_to_others() {
    let mut scheduler = Scheduler::new(BreakerConfig::ENDPOINT);
    let terms_of = |number| EndpointTerms {
        application: application(number),
        concurrency: 1024,
        ..terms(Ordering::Unordered)
    };
    let mut id = 0;
    for number in 0..40 {
        scheduler.endpoint_changed(endpoint(number), Some(terms_of(1)), START);
        for _ in 0..10 {
            id += 1;
            let row = sized_delivery(id, endpoint(number), None, START, EVENT_BODY_BYTES_MAX);
            scheduler.appended(row, START);
        }
    }
    while start(&mut scheduler, START).is_some() {}
    let used = scheduler.memory_bytes();
    assert!(used <= BODIES_BYTES_MAX / 2, "{used} bytes of one application");
    scheduler.endpoint_changed(endpoint(100), Some(terms_of(2)), START);
    let row = sized_delivery(id + 1, endpoint(100), None, START, EVENT_BODY_BYTES_MAX);
    scheduler.appended(row, START);
    assert_eq!(start(&mut scheduler, START).map(|row| row.endpoint), Some(endpoint(100)));
}

#[test]
fn an_event_for_many_endpoints_is_in_memory_once() {
    let mut scheduler = Scheduler::new(BreakerConfig::ENDPOINT);
    let event = sized_delivery(0, endpoint(0), None, START, EVENT_BODY_BYTES_MAX).event;
    let mut started = Vec::new();
    for number in 0..200 {
        scheduler.endpoint_changed(endpoint(number), Some(terms(Ordering::Unordered)), START);
        // Each with a copy of its own, as loads bring them.
        let row = PendingDelivery {
            event: Arc::new(Event::clone(&event)),
            ..delivery(u64::from(number), endpoint(number), None, START)
        };
        scheduler.appended(row, START);
        started.extend(start(&mut scheduler, START));
    }
    assert_eq!(started.len(), 200);
    assert!(started.iter().all(|row| Arc::ptr_eq(&row.event, &started[0].event)));
    assert!(scheduler.memory_bytes() < 2 * EVENT_BODY_BYTES_MAX);
    for row in &started {
        scheduler.finished(&ended(row), START);
    }
    assert_eq!(scheduler.memory_bytes(), 0);
}

#[test]
fn more_than_was_set_aside_for_a_plugin_is_made_again_with_the_most() {
    let mut scheduler = Scheduler::new(BreakerConfig::ENDPOINT);
    let shaping = EndpointTerms { makes_requests: true, concurrency: 1024, ..terms(Ordering::Unordered) };
    scheduler.endpoint_changed(endpoint(0), Some(shaping), START);
    for id in 0..2 {
        scheduler.appended(sized_delivery(id, endpoint(0), None, START, 1000), START);
    }
    let Action::Start { delivery, made_bytes } = scheduler.poll(START) else { panic!("it starts") };
    assert_eq!(made_bytes, MADE_EXPECTED_BYTES + 1000 * MADE_EXPECTED_BODIES);
    let again = DeliveryEnd { again_due: Some(START), health: Health::NotSent, ..ended(&delivery) };
    scheduler.made_more(&again, START);
    let Action::Load(load) = scheduler.poll(START) else { panic!("the store has it as it was") };
    assert!(!load.except.contains(&delivery.id));
    let loaded = Loaded { deliveries: vec![delivery], next_due: None };
    scheduler.loaded(endpoint(0), loaded, START);
    let mut started = Vec::new();
    while let Action::Start { delivery, made_bytes } = scheduler.poll(START) {
        assert_eq!(made_bytes, MADE_ATTEMPT_BYTES);
        started.push(delivery.id);
    }
    started.sort_unstable();
    assert_eq!(started, [DeliveryId(0), DeliveryId(1)]);
}

#[test]
fn what_plugins_may_make_is_set_aside_until_it_is_known() {
    let mut scheduler = Scheduler::new(BreakerConfig::ENDPOINT);
    let shaping = EndpointTerms { makes_requests: true, concurrency: 1024, ..terms(Ordering::Unordered) };
    scheduler.endpoint_changed(endpoint(0), Some(shaping), START);
    // Of one event, so that its body is not what is short.
    let large = |id| sized_delivery(id, endpoint(0), None, START, 300_000);
    for id in 0..100 {
        scheduler.appended(PendingDelivery { event: large(0).event, ..large(id) }, START);
    }
    let mut started = Vec::new();
    while let Some(row) = start(&mut scheduler, START) {
        started.push(row);
    }
    assert_eq!(started.len(), (MADE_BYTES_MAX - MADE_RESERVE_BYTES) / 2 / MADE_ATTEMPT_BYTES);
    // Another application has its own share.
    let other = EndpointTerms { application: application(1), ..shaping };
    scheduler.endpoint_changed(endpoint(1), Some(other), START);
    scheduler.appended(PendingDelivery { endpoint: endpoint(1), ..large(100) }, START);
    assert_eq!(start(&mut scheduler, START).map(|row| row.endpoint), Some(endpoint(1)));
    for row in &started[..2] {
        scheduler.made(endpoint(0), row.id, 500);
    }
    assert!(start(&mut scheduler, START).is_some());
    assert!(start(&mut scheduler, START).is_none());
}
