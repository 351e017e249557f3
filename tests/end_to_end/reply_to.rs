//! Direct reply-to: a request names a pseudo-queue, its reply comes straight back.

use leveret_tests::requests::{
    bind, cancel, consume, consume_no_ack, delete_queue, passive_queue, purge, queue, table, text,
};
use leveret_tests::{Client, Properties, Publish, Server};
use leveret_wire::AMQPValue;
use leveret_wire::method::basic::Get;

const REPLY_TO: &str = "amq.rabbitmq.reply-to";

/// A requester with its reply consumer `r` on channel 1, and a queue `requests`.
fn requester(server: &Server) -> Client {
    let mut client = server.client();
    client.call(1, queue("requests"));
    client.call(1, consume_no_ack(REPLY_TO, "r"));
    client
}

/// Send a request and learn the address for its reply as the replier sees it.
#[track_caller]
fn request(requester: &mut Client, replier: &mut Client) -> String {
    let properties = Properties::new().reply_to(REPLY_TO);
    requester.publish(1, &Publish::to_queue("requests").properties(&properties));
    requester.expect_quiet(1);
    let got = replier.get(1, "requests", true).unwrap();
    let reply_to = got.content.properties().reply_to().unwrap();
    String::from_utf8(reply_to.to_vec()).unwrap()
}

fn no_queue(name: &str) -> String {
    format!("NOT_FOUND - no queue '{name}' in vhost '/'")
}

#[test]
fn a_reply_comes_from_the_default_exchange_with_its_address_as_key() {
    let server = Server::start();
    let (mut asking, mut answering) = (requester(&server), server.client());
    let address = request(&mut asking, &mut answering);
    assert!(address.starts_with("amq.rabbitmq.reply-to."), "{address}");
    answering.publish_text(1, &address, "one");
    answering.publish_text(1, &address, "two");
    let replies = asking.expect_bodies(1, &["one", "two"]);
    for (reply, tag) in replies.iter().zip(1..) {
        let method = &reply.method;
        assert_eq!(
            (method.exchange.as_str(), method.routing_key.as_str()),
            ("", &*address)
        );
        assert_eq!(
            (method.consumer_tag.as_str(), method.redelivered),
            ("r", false)
        );
        assert_eq!(method.delivery_tag, tag);
    }
}

#[test]
fn the_address_is_the_same_for_the_channels_life_and_nobody_elses() {
    let server = Server::start();
    let (mut asking, mut answering) = (requester(&server), server.client());
    let first = request(&mut asking, &mut answering);
    assert_eq!(request(&mut asking, &mut answering), first);
    let mut other = requester(&server);
    let second = request(&mut other, &mut answering);
    assert_ne!(second, first);
    answering.publish_text(1, &second, "for the other");
    other.expect_bodies(1, &["for the other"]);
    asking.expect_quiet(1);
    // 128 random bits, in 22 characters.
    assert_eq!(first.len(), "amq.rabbitmq.reply-to.".len() + 22);
}

#[test]
fn the_reply_consumer_does_not_acknowledge() {
    let server = Server::start();
    let mut client = server.client();
    client.expect_refused(
        1,
        consume(REPLY_TO, "r"),
        406,
        "PRECONDITION_FAILED - reply consumer cannot acknowledge",
    );
}

#[test]
fn a_channel_has_one_reply_consumer() {
    let server = Server::start();
    let mut client = requester(&server);
    client.open_channel(2);
    client.call(2, consume_no_ack(REPLY_TO, "r"));
    client.expect_refused(
        1,
        consume_no_ack(REPLY_TO, "again"),
        406,
        "PRECONDITION_FAILED - reply consumer already set",
    );
    client.call(1, consume_no_ack(REPLY_TO, "r"));
    client.call(1, cancel("r"));
    client.call(1, consume_no_ack(REPLY_TO, "another"));
}

#[test]
fn arguments_and_exclusivity_mean_nothing_to_it() {
    let server = Server::start();
    for _ in 0..2 {
        let mut client = server.client();
        let odd = leveret_wire::method::basic::Consume {
            exclusive: true,
            arguments: table([
                ("x-priority", text("a")),
                ("x-stream-offset", text("first")),
            ]),
            ..consume_no_ack(REPLY_TO, "r")
        };
        client.call(1, odd);
    }
}

#[test]
fn a_request_needs_a_reply_consumer_on_its_channel() {
    let server = Server::start();
    let mut client = requester(&server);
    client.open_channel(2);
    let properties = Properties::new().reply_to(REPLY_TO);
    let refused = "PRECONDITION_FAILED - fast reply consumer does not exist";
    client.publish(2, &Publish::to_queue("requests").properties(&properties));
    let close = client.expect_channel_close(2, 406, refused);
    assert_eq!((close.class_id, close.method_id), (60, 40));
    client.reopen_channel(2);
    client.call(1, cancel("r"));
    client.publish(1, &Publish::to_queue("requests").properties(&properties));
    client.expect_channel_close(1, 406, refused);
    assert_eq!(client.counts(2, "requests"), (0, 0));
}

#[test]
fn any_other_reply_to_is_left_alone() {
    let server = Server::start();
    let mut client = requester(&server);
    for reply_to in ["elsewhere", "amq.rabbitmq.reply-to.own"] {
        let properties = Properties::new().reply_to(reply_to);
        let publish = Publish::to_queue("requests").properties(&properties);
        client.publish(1, &publish);
        let got = client.get(1, "requests", true).unwrap();
        assert_eq!(got.content.header, publish.header_payload());
    }
}

#[test]
fn only_the_default_exchange_leads_to_it() {
    let server = Server::start();
    let (mut asking, mut answering) = (requester(&server), server.client());
    let address = request(&mut asking, &mut answering);
    answering.publish(
        1,
        &Publish::to("amq.direct", &address)
            .mandatory()
            .body("astray"),
    );
    assert_eq!(answering.expect_return(1).content.text(), "astray");
    answering.publish_text(1, &address, "reply");
    asking.expect_bodies(1, &["reply"]);
}

#[test]
fn copies_reach_it_and_several_only_once() {
    let server = Server::start();
    let (mut asking, mut answering) = (requester(&server), server.client());
    let address = request(&mut asking, &mut answering);
    let copies = |keys: &[&str]| {
        let keys: Vec<AMQPValue> = keys.iter().map(|key| text(key)).collect();
        Properties::new().headers(&table([("CC", AMQPValue::FieldArray(keys.into()))]))
    };
    let twice = Publish::to_queue(&address).properties(&copies(&[&address, &address]));
    answering.publish(1, &twice.body("once"));
    let copy = Publish::to_queue("nowhere").properties(&copies(&[&address]));
    answering.publish(1, &copy.mandatory().body("copy"));
    answering.expect_quiet(1);
    let replies = asking.expect_bodies(1, &["once", "copy"]);
    assert_eq!(replies[1].method.routing_key.as_str(), "nowhere");
    asking.expect_quiet(1);
}

#[test]
fn a_mandatory_reply_is_returned_only_when_nobody_listens() {
    let server = Server::start();
    let (mut asking, mut answering) = (requester(&server), server.client());
    let address = request(&mut asking, &mut answering);
    answering.confirm_select(1);
    answering.publish(1, &Publish::to_queue(&address).mandatory().body("heard"));
    answering.expect_confirms(1, 1, 1);
    asking.expect_bodies(1, &["heard"]);
    asking.call(1, cancel("r"));
    answering.publish(1, &Publish::to_queue(&address).mandatory().body("late"));
    assert_eq!(answering.expect_return(1).content.text(), "late");
    answering.expect_confirms(1, 2, 2);
    answering.publish(1, &Publish::to_queue(&address).body("later"));
    answering.expect_confirms(1, 3, 3);
}

#[test]
fn a_reply_to_a_requester_that_is_gone_is_dropped() {
    let server = Server::start();
    for how in ["channel", "connection", "socket"] {
        let (mut asking, mut answering) = (requester(&server), server.client());
        let address = request(&mut asking, &mut answering);
        match how {
            "channel" => asking.close_channel(1),
            "connection" => asking.close(),
            _ => drop(asking),
        }
        let began = std::time::Instant::now();
        loop {
            answering.send(1, passive_queue(&address));
            match answering.next_event() {
                leveret_tests::Event::Method(1, leveret_wire::AMQPClass::Channel(_)) => break,
                _ => assert!(
                    began.elapsed() < leveret_tests::PATIENCE,
                    "{how}: still there"
                ),
            }
        }
        answering.reopen_channel(1);
        answering.publish(1, &Publish::to_queue(&address).mandatory().body(how));
        assert_eq!(answering.expect_return(1).content.text(), how);
    }
}

#[test]
fn a_malformed_address_is_a_name_that_nobody_has() {
    let server = Server::start();
    let (mut asking, mut answering) = (requester(&server), server.client());
    let address = request(&mut asking, &mut answering);
    let mut changed = address.clone();
    let last = changed.pop().unwrap();
    changed.push(if last == 'A' { 'Q' } else { 'A' });
    let cut = &address[..address.len() - 1];
    let long = format!("{address}{}", "x".repeat(100));
    let junk = [
        "amq.rabbitmq.reply-to.",
        "amq.rabbitmq.reply-to.g2dkAA.xx",
        &changed,
        cut,
        &long,
    ];
    for name in junk {
        answering.publish(1, &Publish::to_queue(name).mandatory().body("m"));
        answering.expect_return(1);
        answering.expect_refused(1, passive_queue(name), 404, &no_queue(name));
    }
    answering.publish(1, &Publish::to("", b"amq.rabbitmq.reply-to.\xff\x00"));
    answering.expect_quiet(1);
    asking.expect_quiet(1);
}

#[test]
fn the_pseudo_queue_can_be_declared_and_an_address_while_somebody_listens() {
    let server = Server::start();
    let (mut asking, mut answering) = (requester(&server), server.client());
    let address = request(&mut asking, &mut answering);
    let durable = leveret_tests::requests::durable_queue(REPLY_TO);
    for declare in [
        passive_queue(REPLY_TO),
        queue(REPLY_TO),
        durable,
        passive_queue(&address),
        queue(&address),
    ] {
        let name = declare.queue.clone();
        let ok = answering.call(1, declare);
        assert_eq!(
            (ok.queue, ok.message_count, ok.consumer_count),
            (name, 0, 1)
        );
    }
    asking.call(1, cancel("r"));
    answering.expect_refused(1, passive_queue(&address), 404, &no_queue(&address));
    answering.expect_refused(1, queue(&address), 404, &no_queue(&address));
    answering.call(1, passive_queue(REPLY_TO));
}

#[test]
fn for_all_else_neither_is_a_queue() {
    let server = Server::start();
    let (mut asking, mut answering) = (requester(&server), server.client());
    let address = request(&mut asking, &mut answering);
    for name in [REPLY_TO, &address] {
        let missing = no_queue(name);
        answering.expect_refused(1, bind(name, "amq.direct", "k"), 404, &missing);
        answering.expect_refused(1, purge(name), 404, &missing);
        let get = Get {
            queue: name.into(),
            no_ack: true,
        };
        answering.expect_refused(1, get, 404, &missing);
        assert_eq!(answering.call(1, delete_queue(name)).message_count, 0);
    }
    answering.expect_refused(1, consume_no_ack(&address, "c"), 404, &no_queue(&address));
    // The pseudo-queue has no messages of its own.
    answering.publish(1, &Publish::to_queue(REPLY_TO).mandatory().body("m"));
    answering.expect_return(1);
    answering.publish_text(1, &address, "reply");
    asking.expect_bodies(1, &["reply"]);
}

#[test]
fn in_a_transaction_request_and_reply_go_with_the_commit() {
    use leveret_wire::method::tx::{Commit, Select};
    let server = Server::start();
    let (mut asking, mut answering) = (requester(&server), server.client());
    asking.call(1, Select {});
    let properties = Properties::new().reply_to(REPLY_TO);
    asking.publish(1, &Publish::to_queue("requests").properties(&properties));
    asking.call(1, Commit {});
    let got = answering.get(1, "requests", true).unwrap();
    let reply_to = got.content.properties().reply_to().unwrap();
    let address = String::from_utf8(reply_to.to_vec()).unwrap();
    answering.call(1, Select {});
    answering.publish_text(1, &address, "reply");
    answering.expect_quiet(1);
    asking.expect_quiet(1);
    answering.call(1, Commit {});
    asking.expect_bodies(1, &["reply"]);
}
