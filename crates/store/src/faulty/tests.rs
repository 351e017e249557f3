use super::*;
use crate::MemoryStore;
use crate::conformance::{self, Notice, append, contents, fetch, put, wait};

#[test]
fn without_faults_it_conforms() {
    conformance::run(|| FaultyStore::new(MemoryStore::new()));
    conformance::run_with_crashes(
        || FaultyStore::new(MemoryStore::new()),
        |store| FaultyStore::new(store.inner().reopen()),
    );
}

#[test]
fn the_nth_call_fails_and_takes_nothing() {
    let store = FaultyStore::new(MemoryStore::new());
    let queue = store.next_queue_id();
    store.fail(Call::Append, 2, StoreError::Full);
    append(&store, vec![put(queue, 0, "m")]);
    let mut refused = vec![put(queue, 1, "m")];
    assert_eq!(store.append(&mut refused), Err(StoreError::Full));
    assert_eq!(refused.len(), 1);
    append(&store, refused);
    assert_eq!(contents(&store, queue).len(), 2);
    store.fail(Call::Fetch, 1, StoreError::Unavailable("the cable".into()));
    assert!(fetch(&store, queue, 0, conformance::EVERYTHING).is_err());
    assert_eq!(contents(&store, queue).len(), 2);
    for call in [
        Call::Change,
        Call::DropQueue,
        Call::Claim,
        Call::Definitions,
    ] {
        store.fail(call, 1, StoreError::Conflict);
    }
    assert_eq!(store.change(vec![]), Err(StoreError::Conflict));
    assert_eq!(store.drop_queue(queue), Err(StoreError::Conflict));
    assert_eq!(store.claim(queue), Err(StoreError::Conflict));
    assert_eq!(store.definitions(), Err(StoreError::Conflict));
}

#[test]
fn reports_are_held_and_released() {
    let store = FaultyStore::new(MemoryStore::new());
    let queue = store.next_queue_id();
    store.hold();
    let (ticket, _) = append(&store, vec![put(queue, 0, "m")]);
    let (waiter, told) = Notice::pair();
    store.on_durable(ticket, waiter);
    assert!(told.recv_timeout(Duration::from_millis(50)).is_err());
    assert_eq!(store.durable(), Ticket::NONE);
    store.release();
    assert_eq!(told.recv().unwrap(), (ticket, Ok(())));
    assert_eq!(store.durable(), ticket);
}

#[test]
fn a_failed_report_poisons() {
    let store = FaultyStore::new(MemoryStore::new());
    let queue = store.next_queue_id();
    let poisoned = StoreError::Poisoned("the disk".into());
    store.fail(Call::Report, 2, poisoned.clone());
    let (first, _) = append(&store, vec![put(queue, 0, "m")]);
    assert_eq!(wait(&store, first), Ok(()));
    let (second, _) = append(&store, vec![put(queue, 1, "m")]);
    assert_eq!(store.durable(), first, "what is going to fail was durable");
    assert_eq!(wait(&store, second), Err(poisoned.clone()));
    assert_eq!(store.durable(), first);
    assert_eq!(
        store.append(&mut vec![put(queue, 2, "m")]),
        Err(poisoned.clone())
    );
    assert_eq!(wait(&store, second), Err(poisoned));
    assert!(store.usage().poisoned);
}

#[test]
fn poisoning_fails_what_is_held() {
    let store = FaultyStore::new(MemoryStore::new());
    store.hold();
    let (ticket, _) = append(&store, vec![put(store.next_queue_id(), 0, "m")]);
    let (waiter, told) = Notice::pair();
    store.on_durable(ticket, waiter);
    std::thread::sleep(Duration::from_millis(20));
    store.poison("pulled the plug");
    let poisoned = StoreError::Poisoned("pulled the plug".into());
    assert_eq!(told.recv().unwrap().1, Err(poisoned));
}
