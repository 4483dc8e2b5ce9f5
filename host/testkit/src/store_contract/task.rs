//! Background tasks.

use hookmill_core::delivery::DeadReason;
use hookmill_core::event::Event;
use hookmill_core::id::{EventId, TaskId};
use hookmill_core::limits::ENDPOINT_TASKS_KEPT_MAX;
use hookmill_core::policy::Ordering;
use hookmill_core::port::Store;
use hookmill_core::port::store::{
    AttemptTrigger, Change, Completion, DeadLetterQuery, PageFrom, StoreError, TaskQuery, TaskStep,
};
use hookmill_core::task::{BackgroundTask, Period, TaskKind, TaskPosition, TaskStatus};

use super::Factory;
use super::fixture::{
    NOW, append, application_id, at, conflict, endpoint_id, event, finish, finished, furnish, load, name,
    new_event, unordered,
};

/// A task of endpoint 11 that runs.
fn task(number: u128, kind: TaskKind) -> BackgroundTask {
    BackgroundTask {
        id: TaskId::new(NOW, number),
        kind,
        application: application_id(1),
        endpoint: endpoint_id(11),
        period: Period { since: NOW, until: at(100) },
        status: TaskStatus::Running,
        position: None,
        sent: 0,
        updated_at: NOW,
    }
}

fn step(task: BackgroundTask, events: &[u128]) -> TaskStep {
    TaskStep {
        task,
        events: events.iter().map(|number| (EventId::new(NOW, *number), None)).collect(),
        due: at(50),
    }
}

/// A dead letter is sent again once, however often and by whatever it is asked for.
pub async fn a_dead_letter_is_sent_again_once(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let keyed = Event { ordering_key: Some(name("k")), ..event(1, 1, NOW) };
    append(&store, new_event(keyed, &[11, 12])).await;
    append(&store, new_event(event(2, 1, NOW), &[11])).await;
    append(&store, new_event(event(3, 1, NOW), &[])).await;
    for delivery in load(&store, 11, Ordering::Unordered, NOW).await.deliveries {
        let number = u128::from(delivery.id.0);
        finish(&store, finished(&delivery, number, at(7), Completion::Dead(DeadReason::Exhausted))).await;
    }
    let query =
        DeadLetterQuery { application: application_id(1), endpoint: endpoint_id(11), after: 0, limit: 9 };
    let letters = store.dead_letters(query).await.expect("a store reads");
    let shown: Vec<_> =
        letters.iter().map(|letter| (letter.event, letter.ordering_key.clone(), letter.died_at)).collect();
    let id = |number| EventId::new(NOW, number);
    assert_eq!(shown, [(id(1), Some(name("k")), at(7)), (id(2), None, at(7))]);
    let rest = DeadLetterQuery { after: letters[0].number, ..query };
    assert_eq!(store.dead_letters(rest).await.map(|letters| letters.len()), Ok(1));
    let foreign = DeadLetterQuery { application: application_id(2), ..query };
    assert_eq!(store.dead_letters(foreign).await, Ok(vec![]));

    let running = task(1, TaskKind::Recover);
    store.apply(vec![Change::PutTask(running)]).await.expect("the first");
    let ahead = BackgroundTask {
        position: Some(TaskPosition::DeadLetter(letters[0].number)),
        updated_at: at(1),
        ..running
    };
    assert_eq!(store.resume(step(ahead, &[1, 2, 3, 9])).await, Ok(2), "one is not dead, one not there");
    assert_eq!(store.resume(step(ahead, &[1, 2])).await, Ok(0));
    let store = factory.reopen(store);
    assert_eq!(store.task(running.id).await, Ok(Some(BackgroundTask { sent: 2, ..ahead })));
    let due = load(&store, 11, Ordering::Unordered, at(50)).await.deliveries;
    assert_eq!(due.iter().map(|delivery| delivery.trigger).collect::<Vec<_>>(), [AttemptTrigger::Manual; 2]);
    assert_eq!(store.dead_letters(query).await, Ok(vec![]));

    // It fails again, and a person's resend ends the letter as well.
    finish(&store, finished(&due[1], 90, at(60), Completion::Dead(DeadReason::Exhausted))).await;
    store.redeliver(application_id(1), id(2), vec![unordered(11)], at(61)).await.expect("a stored event");
    assert_eq!(store.dead_letters(query).await, Ok(vec![]));
    assert_eq!(store.resume(step(ahead, &[2])).await, Ok(0));
}

/// An event is replayed where nothing is known of it at the endpoint, and nowhere else.
pub async fn what_was_never_sent_is_replayed_once(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    for (number, endpoints) in [(1, vec![]), (2, vec![11]), (3, vec![11]), (4, vec![11]), (5, vec![12])] {
        append(&store, new_event(event(number, 1, NOW), &endpoints)).await;
    }
    append(&store, new_event(event(6, 2, NOW), &[])).await;
    let due = load(&store, 11, Ordering::Unordered, NOW).await.deliveries;
    finish(&store, finished(&due[0], 1, NOW, Completion::Delivered)).await;
    finish(&store, finished(&due[1], 2, NOW, Completion::Dead(DeadReason::Exhausted))).await;
    let running = task(1, TaskKind::ReplayMissing);
    store.apply(vec![Change::PutTask(running)]).await.expect("the first");
    assert_eq!(store.resume(step(running, &[1, 2, 3, 4, 5, 6])).await, Ok(2), "the first and the fifth");
    assert_eq!(store.resume(step(running, &[1, 2, 3, 4, 5, 6])).await, Ok(0));
    store.apply(vec![Change::DeleteEndpoint(endpoint_id(11))]).await.expect("an endpoint");
    assert_eq!(store.resume(step(running, &[1])).await, Ok(0));
    assert_eq!(store.task(running.id).await, Ok(None), "it goes with its endpoint");
}

/// One runs at a time, a period that grew begins again, the oldest are forgotten.
pub async fn tasks_are_listed_and_one_runs_at_a_time(factory: &impl Factory) {
    let store = factory.create();
    furnish(&store).await;
    let first = task(1, TaskKind::Recover);
    let put = |task| store.apply(vec![Change::PutTask(task)]);
    assert_eq!(
        put(BackgroundTask { endpoint: endpoint_id(99), ..first }).await,
        Err(StoreError::NotFound { what: "the endpoint" })
    );
    assert_eq!(put(first).await, Ok(()));
    assert_eq!(put(task(2, TaskKind::ReplayMissing)).await, conflict("the endpoint's background task"));
    let grown = BackgroundTask { period: Period { since: NOW, until: at(200) }, ..first };
    assert_eq!(put(grown).await, Ok(()));
    let stale = BackgroundTask { status: TaskStatus::Finished, ..first };
    assert_eq!(store.resume(step(stale, &[])).await, Ok(0));
    assert_eq!(store.task(first.id).await, Ok(Some(grown)), "its period is another");
    let ended = BackgroundTask { status: TaskStatus::Finished, ..grown };
    assert_eq!(store.resume(step(ended, &[])).await, Ok(0));
    assert_eq!(store.task(first.id).await, Ok(Some(ended)));

    let kept = ENDPOINT_TASKS_KEPT_MAX as u128;
    for number in 2..=kept + 1 {
        let status = if number == kept + 1 { TaskStatus::Running } else { TaskStatus::Failed };
        put(BackgroundTask { status, ..task(number, TaskKind::ReplayMissing) }).await.expect("one that runs");
    }
    let all = TaskQuery { application: None, status: None, kind: None, from: PageFrom::Newest, limit: 100 };
    let list = async |query: TaskQuery| {
        let tasks = store.tasks(query).await.expect("a store reads");
        tasks.iter().map(|task| task.id).collect::<Vec<_>>()
    };
    let id = |number| TaskId::new(NOW, number);
    assert_eq!(list(all.clone()).await, (2..=kept + 1).rev().map(id).collect::<Vec<_>>());
    let check = async |query: TaskQuery, expect: &[u128]| {
        let expect: Vec<_> = expect.iter().map(|number| id(*number)).collect();
        assert_eq!(list(query.clone()).await, expect, "{query:?}");
    };
    check(TaskQuery { status: Some(TaskStatus::Running), ..all.clone() }, &[kept + 1]).await;
    check(TaskQuery { kind: Some(TaskKind::Recover), ..all.clone() }, &[]).await;
    check(TaskQuery { application: Some(application_id(2)), ..all.clone() }, &[]).await;
    check(TaskQuery { from: PageFrom::OlderThan(id(4)), limit: 1, ..all.clone() }, &[3]).await;
    check(
        TaskQuery { from: PageFrom::NewerThan(id(3)), limit: 2, application: Some(application_id(1)), ..all },
        &[5, 4],
    )
    .await;
}
