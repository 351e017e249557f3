//! What a restart, a crash and a failing store leave of delayed messages.

use super::*;

#[test]
fn mandatory_is_not_honoured_and_confirms_wait_for_the_disk() {
    let node = Scenario::new();
    let mut client = node.client();
    delayed(&mut client, "d", "direct");
    client.confirm_select();
    client.publish_mandatory(later("d", "nowhere", "1", 100));
    assert_eq!(client.told_unsynced(), [""; 0], "not before it is on disk");
    assert_eq!(client.told(), ["1 ack 1"], "and no return");
    let headers = headers(&[("x-delay", RawValue::I32(5))]);
    client.publish(message(
        "d",
        "q",
        "transient",
        PropertiesBuilder::new().headers(Some(&headers)),
    ));
    assert_eq!(
        client.told_unsynced(),
        ["1 ack 2"],
        "one that does not survive is confirmed at once"
    );
    node.wait(100);
    assert_eq!(client.told(), [""; 0]);
    client.publish_mandatory(later("d", "nowhere", "3", 0));
    assert_eq!(
        client.told(),
        ["1 return 3", "1 ack 3"],
        "not delayed, so it is returned"
    );
}

#[test]
fn what_survives_a_restart_is_routed_however_late() {
    let node = Scenario::new();
    let mut client = node.client();
    set_up(&mut client);
    for (body, delay) in [("2", 2000), ("1", 1000), ("3", 60_000)] {
        client.publish(later("d", "q", body, delay));
    }
    let headers = headers(&[("x-delay", RawValue::I32(1500))]);
    client.publish(message(
        "d",
        "q",
        "transient",
        PropertiesBuilder::new().headers(Some(&headers)),
    ));
    client.told();
    let node = node.restart(5000);
    assert_eq!(node.client().drain("q"), ["1", "2"]);
    assert_eq!(
        (kept(&node, "d").messages(), kept(&node, "d").bytes()),
        (1, 1)
    );
    let node = node.restart(1000);
    node.wait(53_999);
    assert_eq!(node.counts().0, 0);
    node.wait(1);
    let node = node.restart(0);
    assert_eq!(node.client().drain("q"), ["3"], "routed and settled");
    let node = node.restart(0);
    assert_eq!(node.counts().0, 0);
    assert_eq!(kept(&node, "d").messages(), 0);
}

#[test]
fn what_is_delayed_goes_with_its_exchange() {
    let node = Scenario::new();
    let mut client = node.client();
    set_up(&mut client);
    client.publish(later("d", "q", "lost", 100));
    client.told();
    let exchange = kept(&node, "d");
    delete_exchange(&mut client, "d");
    assert_eq!(exchange.messages(), 0);
    delayed(&mut client, "d", "direct");
    bind(&mut client, "q", "d", "q");
    client.publish(later("d", "q", "kept", 200));
    client.told();
    let node = node.restart(1000);
    assert_eq!(node.client().drain("q"), ["kept"]);
}

#[test]
fn a_crash_while_messages_are_routed_loses_none() {
    let node = Scenario::new();
    let mut client = node.client();
    delayed(&mut client, "d", "fanout");
    for queue in ["a", "b"] {
        client.declare_durable(queue, &[]);
        bind(&mut client, queue, "d", "");
    }
    for number in 0..3 {
        client.publish(later("d", "", &number.to_string(), 100));
    }
    client.told();
    node.stand_still(100);
    node.run_unsynced();
    assert_eq!(kept(&node, "d").messages(), 0);
    let crashed = node.crash_at_each_point();
    assert!(crashed.len() > 6);
    for crashed in crashed {
        assert_eq!(kept(&crashed, "d").messages(), 0);
        for queue in ["a", "b"] {
            let mut bodies = crashed.client().drain(queue);
            bodies.sort_unstable();
            bodies.dedup();
            assert_eq!(bodies, ["0", "1", "2"]);
        }
    }
}

#[test]
fn what_the_store_refuses_stays_and_is_tried_again() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let clock = Arc::new(ManualClock::at(Time(1_000)));
    let options = BrokerOptions {
        clock: Arc::clone(&clock) as _,
        ..BrokerOptions::default()
    };
    let broker = Broker::open(options, Arc::clone(&store) as _).unwrap();
    let node = Scenario::from_parts(Arc::new(MemoryStore::manual()), Arc::clone(&clock), broker);
    let mut client = node.client();
    set_up(&mut client);
    client.publish(later("d", "q", "m", 100));
    client.told();
    store.fail(Call::FetchDue, 1, StoreError::Full);
    let mut tries = 0;
    clock.advance(100);
    while kept(&node, "d").messages() > 0 {
        tries += 1;
        assert!(tries < 10_000, "never routed");
        node.broker.run_deadlines(clock.now());
        // The store answers on a thread of its own.
        std::thread::sleep(std::time::Duration::from_millis(2));
        clock.advance(RETRY_AFTER);
        if tries == 1 {
            store.fail(Call::Append, 1, StoreError::Full);
        }
    }
    assert!(tries > 2);
    assert_eq!(client.drain("q"), ["m"]);
}
