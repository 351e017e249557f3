//! Delayed exchanges on a node with a clock that the test moves.

mod durable;
mod model;

use std::sync::{Arc, mpsc};

use leveret_store::{Call, FaultyStore, MemoryStore, StoreError};
use leveret_wire::method::{exchange, queue};
use leveret_wire::{
    AMQPClass, AMQPValue, BodyPart, FieldTable, Message, PropertiesBuilder, RawValue, TableBuilder,
};

use super::{DelayedExchange, DelayedId, DelayedPage, RETRY_AFTER};
use crate::scenario::{Client, Scenario, body, message, table, text};
use crate::time::{Clock as _, ManualClock, Time};
use crate::{Broker, BrokerOptions};

/// Declare an exchange of this type, durable.
fn declare(
    client: &mut Client<'_>,
    name: &str,
    kind: &str,
    arguments: &[(&str, AMQPValue)],
) -> Vec<String> {
    client.call(AMQPClass::Exchange(exchange::AMQPMethod::Declare(
        exchange::Declare {
            exchange: name.into(),
            kind: kind.into(),
            durable: true,
            arguments: table(arguments),
            ..exchange::Declare::default()
        },
    )))
}

fn delayed(client: &mut Client<'_>, name: &str, kind: &str) {
    let told = declare(
        client,
        name,
        "x-delayed-message",
        &[("x-delayed-type", text(kind))],
    );
    assert_eq!(told, ["1 exchange.declare-ok"]);
}

fn bind(client: &mut Client<'_>, queue: &str, exchange: &str, key: &str) {
    client.call(AMQPClass::Queue(queue::AMQPMethod::Bind(queue::Bind {
        queue: queue.into(),
        exchange: exchange.into(),
        routing_key: key.into(),
        nowait: false,
        arguments: FieldTable::default(),
    })));
}

fn bind_exchange(client: &mut Client<'_>, destination: &str, source: &str) {
    client.call(AMQPClass::Exchange(exchange::AMQPMethod::Bind(
        exchange::Bind {
            destination: destination.into(),
            source: source.into(),
            routing_key: "".into(),
            nowait: false,
            arguments: FieldTable::default(),
        },
    )));
}

fn delete_exchange(client: &mut Client<'_>, name: &str) {
    client.call(AMQPClass::Exchange(exchange::AMQPMethod::Delete(
        exchange::Delete {
            exchange: name.into(),
            ..exchange::Delete::default()
        },
    )));
}

fn headers(entries: &[(&str, RawValue<'_>)]) -> Vec<u8> {
    let mut table = TableBuilder::new();
    for (key, value) in entries {
        table.put(key.as_bytes(), value);
    }
    table.into_content()
}

/// A persistent message with a delay in milliseconds, and its body as its message-id.
fn later(exchange: &str, key: &str, body: &str, delay: i64) -> Message {
    let headers = headers(&[("x-delay", RawValue::I64(delay))]);
    let mut header = vec![0, 60, 0, 0];
    header.extend((body.len() as u64).to_be_bytes());
    // Flags: headers, delivery-mode, message-id.
    header.extend([0x30, 0x80]);
    header.extend(u32::try_from(headers.len()).unwrap().to_be_bytes());
    header.extend(&headers);
    header.push(2);
    header.push(u8::try_from(body.len()).unwrap());
    header.extend(body.as_bytes());
    let body = BodyPart::Slice(body.as_bytes());
    Message::from_parts(exchange.as_bytes(), key.as_bytes(), &header, body).unwrap()
}

/// A durable queue `q` bound with `q` to the delayed direct exchange `d`.
fn set_up(client: &mut Client<'_>) {
    delayed(client, "d", "direct");
    client.declare_durable("q", &[]);
    bind(client, "q", "d", "q");
}

fn kept(node: &Scenario, name: &str) -> Arc<DelayedExchange> {
    let vhost = node.broker.vhost("/").unwrap();
    vhost.delayed_exchange(name).unwrap()
}

fn page(node: &Scenario, from: Option<DelayedId>, limit: usize) -> DelayedPage {
    let (done, answer) = mpsc::channel();
    kept(node, "d").page(from, limit, Box::new(move |page| done.send(page).unwrap()));
    node.sync();
    answer.try_recv().unwrap().unwrap()
}

fn cancel(node: &Scenario, id: DelayedId) -> Result<bool, StoreError> {
    let (done, answer) = mpsc::channel();
    kept(node, "d").cancel(id, Box::new(move |cancelled| done.send(cancelled).unwrap()));
    // It is looked up, then it reaches the disk.
    node.sync();
    node.sync();
    answer.try_recv().unwrap()
}

#[test]
fn messages_come_when_they_are_due_and_in_order() {
    let node = Scenario::new();
    let mut client = node.client();
    set_up(&mut client);
    for (body, delay) in [
        ("e", 500),
        ("a", 100),
        ("c", 300),
        ("now", 0),
        ("past", -7),
        ("b", 100),
    ] {
        client.publish(later("d", "q", body, delay));
    }
    assert_eq!(client.drain("q"), ["now", "past"]);
    assert_eq!(
        (kept(&node, "d").messages(), kept(&node, "d").bytes()),
        (4, 4)
    );
    assert_eq!(node.broker.queue_totals().delayed, 4);
    node.wait(99);
    assert_eq!(client.drain("q"), [""; 0]);
    node.wait(1);
    assert_eq!(
        client.drain("q"),
        ["a", "b"],
        "those due together as they were published"
    );
    node.wait(400);
    assert_eq!(client.drain("q"), ["c", "e"]);
    assert_eq!(
        (kept(&node, "d").messages(), kept(&node, "d").bytes()),
        (0, 0)
    );
    assert_eq!(node.broker.next_deadline(), None);
}

#[test]
fn the_header_is_negated_and_names_stay() {
    let node = Scenario::new();
    let mut client = node.client();
    set_up(&mut client);
    client.publish(later("d", "q", "m", 10));
    client.publish(later("d", "q", "at once", 0));
    client.told();
    node.wait(10);
    let header = |message: &Message| {
        let headers = message.properties().headers().unwrap();
        headers.get(b"x-delay").unwrap().as_integer()
    };
    let at_once = client.get("q", true).unwrap();
    assert_eq!(header(&at_once), Some(0));
    let message = client.get("q", true).unwrap();
    assert_eq!(header(&message), Some(-10));
    assert_eq!(
        (message.exchange(), message.routing_key()),
        (b"d".as_slice(), b"q".as_slice())
    );
    assert_eq!(message.properties().message_id(), Some(b"m".as_slice()));
    assert!(message.is_persistent());
}

#[test]
fn bindings_are_those_of_the_time_when_it_is_due() {
    let node = Scenario::new();
    let mut client = node.client();
    delayed(&mut client, "d", "topic");
    client.declare("early", &[]);
    bind(&mut client, "early", "d", "a.#");
    client.publish(later("d", "a.b", "1", 100));
    client.told();
    client.delete("early");
    client.declare("late", &[]);
    bind(&mut client, "late", "d", "*.b");
    node.wait(100);
    assert_eq!(client.drain("late"), ["1"]);
    // Nobody wants it: it is dropped, as a publish would be.
    client.publish(later("d", "nowhere", "2", 100));
    client.told();
    node.wait(100);
    assert_eq!(kept(&node, "d").messages(), 0);
}

#[test]
fn an_alternate_exchange_is_asked_when_it_is_due() {
    let node = Scenario::new();
    let mut client = node.client();
    let arguments = [
        ("x-delayed-type", text("direct")),
        ("alternate-exchange", text("amq.fanout")),
    ];
    declare(&mut client, "d", "x-delayed-message", &arguments);
    client.declare("q", &[]);
    bind(&mut client, "q", "amq.fanout", "");
    client.publish(later("d", "nowhere", "1", 100));
    assert_eq!(client.drain("q"), [""; 0]);
    node.wait(100);
    assert_eq!(client.drain("q"), ["1"]);
}

#[test]
fn a_message_is_delayed_wherever_it_comes_from_and_once() {
    let node = Scenario::new();
    let mut client = node.client();
    set_up(&mut client);
    delayed(&mut client, "second", "fanout");
    client.declare("q2", &[]);
    bind(&mut client, "q2", "second", "");
    bind_exchange(&mut client, "second", "d");
    bind_exchange(&mut client, "d", "amq.fanout");
    client.declare("direct", &[]);
    bind(&mut client, "direct", "amq.fanout", "");
    client.publish(later("amq.fanout", "q", "1", 100));
    assert_eq!(
        client.drain("direct"),
        ["1"],
        "what is not delayed goes on at once"
    );
    assert_eq!(client.drain("q"), [""; 0]);
    node.wait(100);
    assert_eq!(client.drain("q"), ["1"]);
    assert_eq!(client.drain("q2"), [""; 0]);
    client.publish(later("d", "", "2", 100));
    client.told();
    node.wait(100);
    assert_eq!(
        client.drain("q2"),
        ["2"],
        "the second exchange does not delay it again"
    );
}

#[test]
fn carbon_copies_are_kept_and_blind_ones_not_shown() {
    let node = Scenario::new();
    let mut client = node.client();
    set_up(&mut client);
    for queue in ["cc", "bcc"] {
        client.declare(queue, &[]);
        bind(&mut client, queue, "d", queue);
    }
    let mut copies = leveret_wire::ArrayBuilder::new();
    copies.push(&RawValue::LongString(b"cc"));
    let mut blind = leveret_wire::ArrayBuilder::new();
    blind.push(&RawValue::LongString(b"bcc"));
    let headers = headers(&[
        ("x-delay", RawValue::I32(50)),
        ("CC", RawValue::Array(copies.as_array())),
        ("BCC", RawValue::Array(blind.as_array())),
    ]);
    client.publish(message(
        "d",
        "q",
        "m",
        PropertiesBuilder::new().headers(Some(&headers)),
    ));
    client.told();
    node.wait(50);
    for queue in ["q", "cc", "bcc"] {
        let message = client.get(queue, true).unwrap();
        let headers = message.properties().headers().unwrap();
        assert!(headers.get(b"CC").is_some());
        assert_eq!(headers.get(b"BCC"), None);
    }
}

#[test]
fn time_to_live_begins_in_the_queue() {
    let node = Scenario::new();
    let mut client = node.client();
    set_up(&mut client);
    let headers = headers(&[("x-delay", RawValue::I32(1000))]);
    let mut properties = PropertiesBuilder::new();
    properties.expiration(Some(b"100"));
    client.publish(message("d", "q", "m", properties.headers(Some(&headers))));
    client.told();
    node.wait(1099);
    assert_eq!(node.counts().0, 1);
    node.wait(1);
    assert_eq!(node.counts().0, 0);
}

#[test]
fn dead_letters_can_be_delayed() {
    let node = Scenario::new();
    let mut client = node.client();
    set_up(&mut client);
    let arguments = [
        ("x-dead-letter-exchange", text("d")),
        ("x-dead-letter-routing-key", text("q")),
    ];
    client.declare("work", &arguments);
    client.publish(later("", "work", "m", 200));
    client.consume("work", "c", 0);
    client.nack(1, false);
    client.told();
    assert_eq!(client.drain("q"), [""; 0]);
    node.wait(200);
    assert_eq!(client.drain("q"), ["m"]);
    assert_eq!(node.broker.discard_totals().dead_lettered, 1);
}

#[test]
fn a_transaction_delays_with_its_commit() {
    let node = Scenario::new();
    let mut client = node.client();
    set_up(&mut client);
    client.tx_select();
    client.publish(later("d", "q", "m", 100));
    client.told();
    node.wait(100);
    assert_eq!(kept(&node, "d").messages(), 0);
    assert_eq!(client.tx_commit(), ["1 commit-ok"]);
    assert_eq!(kept(&node, "d").messages(), 1);
    node.wait(99);
    assert_eq!(node.counts().0, 0);
    node.wait(1);
    assert_eq!(node.counts().0, 1);
}

#[test]
fn very_long_delays_are_kept() {
    let node = Scenario::new();
    let mut client = node.client();
    set_up(&mut client);
    client.publish(later("d", "q", "ever", i64::MAX));
    client.publish(later("d", "q", "year", 31_536_000_000));
    client.told();
    let node = node.restart(31_535_999_999);
    assert_eq!(node.counts().0, 0);
    node.wait(1);
    assert_eq!(node.client().drain("q"), ["year"]);
    assert_eq!(kept(&node, "d").messages(), 1);
}

#[test]
fn a_delay_that_is_no_number_is_refused() {
    let node = Scenario::new();
    let mut client = node.client();
    set_up(&mut client);
    let headers = headers(&[("x-delay", RawValue::LongString(b"soon"))]);
    let publish = |exchange| {
        message(
            exchange,
            "q",
            "m",
            PropertiesBuilder::new().headers(Some(&headers)),
        )
    };
    client.publish(publish(""));
    client.publish(publish("d"));
    let text =
        "1 close 406 PRECONDITION_FAILED - invalid x-delay 'soon': expected an integer 60 40";
    assert_eq!(client.told(), [text]);
    assert_eq!(node.counts().0, 1, "other exchanges do not look at it");
}

#[test]
fn declarations_are_checked_as_the_plugin_does() {
    let node = Scenario::new();
    let refused = |arguments: &[(&str, AMQPValue)]| {
        let mut client = node.client();
        let told = declare(&mut client, "d", "x-delayed-message", arguments);
        client.close();
        told
    };
    let missing = "1 close 406 PRECONDITION_FAILED - Invalid argument, 'x-delayed-type' must be an existing exchange type 40 10";
    assert_eq!(refused(&[]), [missing]);
    assert_eq!(
        refused(&[("x-delayed-type", AMQPValue::LongInt(1))]),
        [missing]
    );
    assert_eq!(
        refused(&[("x-delayed-type", text("x-delayed-message"))]),
        [
            "1 close 406 PRECONDITION_FAILED - Invalid argument, 'x-delayed-message' can't be used for 'x-delayed-type' 40 10"
        ]
    );
    let mut client = node.client();
    delayed(&mut client, "d", "headers");
    // As with any exchange the type counts, and no argument of it.
    delayed(&mut client, "d", "direct");
    assert_eq!(
        declare(&mut client, "d", "headers", &[]),
        [
            "1 close 406 PRECONDITION_FAILED - inequivalent arg 'type' for exchange 'd' in vhost '/': received 'headers' \
          but current is 'x-delayed-message' 40 10"
        ]
    );
    let node = node.restart(0);
    let mut client = node.client();
    delayed(&mut client, "d", "headers");
}

#[test]
fn delayed_messages_can_be_looked_at_and_cancelled() {
    let node = Scenario::new();
    let mut client = node.client();
    set_up(&mut client);
    for (body, delay) in [("c", 300), ("a", 100), ("bb", 200)] {
        client.publish(later("d", "q", body, delay));
    }
    client.told();
    let first = page(&node, None, 2);
    let ids: Vec<_> = first
        .messages
        .iter()
        .map(|one| one.message_id.clone().unwrap())
        .collect();
    assert_eq!(ids, [b"a".to_vec(), b"bb".to_vec()]);
    let bb = &first.messages[1];
    assert_eq!((bb.body_bytes, bb.persistent), (2, true));
    assert_eq!(
        (bb.exchange.as_slice(), bb.routing_key.as_slice()),
        (b"d".as_slice(), b"q".as_slice())
    );
    assert_eq!(bb.id.due, Time(1_700_000_000_200));
    let rest = page(&node, first.next, 2);
    assert_eq!((rest.messages.len(), rest.next), (1, None));
    assert_eq!(cancel(&node, bb.id), Ok(true));
    assert_eq!(cancel(&node, bb.id), Ok(false), "it is gone");
    let other = DelayedId {
        number: 99,
        ..bb.id
    };
    assert_eq!(cancel(&node, other), Ok(false));
    assert_eq!(
        (kept(&node, "d").messages(), kept(&node, "d").bytes()),
        (2, 2)
    );
    let node = node.restart(1000);
    assert_eq!(node.client().drain("q"), ["a", "c"]);
    assert_eq!(
        cancel(&node, first.messages[0].id),
        Ok(false),
        "it has been routed"
    );
}

#[test]
fn one_message_reaches_many_queues_and_a_full_one_may_refuse_it() {
    let node = Scenario::new();
    let mut client = node.client();
    delayed(&mut client, "d", "fanout");
    client.declare_durable("a", &[]);
    client.declare_durable(
        "full",
        &[
            ("x-max-length", AMQPValue::LongInt(1)),
            ("x-overflow", text("reject-publish")),
        ],
    );
    client.declare("z", &[]);
    for queue in ["a", "full", "z"] {
        bind(&mut client, queue, "d", "");
    }
    for number in 0..1200 {
        client.publish(later("d", "", &number.to_string(), 100));
    }
    client.told();
    node.wait(100);
    assert_eq!(kept(&node, "d").messages(), 0);
    let all: Vec<String> = (0..1200).map(|number| number.to_string()).collect();
    assert_eq!(client.drain("z"), all);
    let node = node.restart(0);
    let mut client = node.client();
    assert_eq!(client.drain("a"), all);
    assert_eq!(client.drain("full"), ["0"]);
    assert_eq!(kept(&node, "d").messages(), 0);
    assert_eq!(body(&later("", "", "x", 1)), "x");
}
