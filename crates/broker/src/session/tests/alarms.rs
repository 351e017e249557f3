//! Resource alarms, as far as sessions hear of them.

use leveret_store::{Call, FaultyStore, MemoryStore, StoreError};

use super::rig::{Node, declare_durable, persistent};
use crate::{Alarm, Limits, Time};

#[test]
fn every_connection_hears_of_the_first_alarm_and_of_the_end_of_the_last() {
    let node = Node::new();
    let mut client = node.client();
    client.skip();
    node.broker.raise_alarm(Alarm::Memory);
    assert!(client.is_woken());
    assert_eq!(client.heard(), ["block low on memory"]);
    node.broker.raise_alarm(Alarm::FreeDisk);
    assert_eq!(client.heard(), ["block low on disk & memory"]);
    node.broker.raise_alarm(Alarm::FreeDisk);
    assert!(client.heard().is_empty(), "it is raised already");
    node.broker.clear_alarm(Alarm::Memory);
    assert_eq!(client.heard(), ["block low on disk"]);
    node.broker.clear_alarm(Alarm::FreeDisk);
    assert_eq!(client.heard(), ["unblock"]);
    node.broker.clear_alarm(Alarm::FreeDisk);
    assert!(client.heard().is_empty());
}

#[test]
fn a_connection_that_comes_during_an_alarm_hears_of_it() {
    let node = Node::new();
    node.broker.raise_alarm(Alarm::Memory);
    let mut client = node.client();
    assert_eq!(client.heard(), ["block low on memory"]);
}

#[test]
fn a_full_store_is_an_alarm_until_it_has_had_room_for_a_while() {
    let node = Node::on(FaultyStore::new(MemoryStore::new()), Limits::default());
    let mut publisher = node.client();
    let mut other = node.client();
    publisher.call(1, declare_durable("d"));
    publisher.skip();
    other.skip();
    node.store.fail(Call::Append, 1, StoreError::Full);
    publisher.publish(1, persistent("d", "m"));
    publisher.try_flush().unwrap_err();
    assert_eq!(other.heard(), ["block low on disk"]);
    // Whoever watches the disk knows of another alarm.
    node.broker.raise_alarm(Alarm::FreeDisk);
    node.broker.clear_alarm(Alarm::FreeDisk);
    assert_eq!(other.heard().last().unwrap(), "block low on disk");
    node.broker.check_store(Time(4_999));
    assert!(node.broker.is_raised(Alarm::StoreFull));
    node.broker.check_store(Time(5_000));
    assert_eq!(other.heard(), ["unblock"]);
    assert!(!node.broker.is_raised(Alarm::StoreFull));
}
