//! One publish that means much work: it ends, and costs no more than it must.

use leveret_tests::requests::{bind, bind_exchange, exchange, queue, table, text};
use leveret_tests::{Program, Publish, Server};
use leveret_wire::method::exchange::Declare;

#[test]
fn a_body_is_held_once_however_many_queues_have_it() {
    const QUEUES: u64 = 300;
    const BODY_KIB: u64 = 1_024;
    let folder = tempfile::tempdir().unwrap();
    let program = Program::serve(folder.path(), &[]);
    let mut client = program.client();
    client.call(1, exchange("x", "fanout"));
    for number in 0..QUEUES {
        let name = format!("q{number}");
        client.call(1, queue(&name));
        client.call(1, bind(&name, "x", ""));
    }
    let before = program.resident_kib();
    let body = vec![b'b'; 1 << 20];
    client.publish(1, &Publish::to("x", "").body(body.clone()));
    client.expect_quiet(1);
    let grown = program.resident_kib().saturating_sub(before);
    assert!(grown < QUEUES * BODY_KIB / 4, "{grown} KiB more");
    for number in [0, QUEUES / 2, QUEUES - 1] {
        let got = client.get(1, &format!("q{number}"), true).unwrap();
        assert!(got.content.body == body);
    }
}

#[test]
fn messages_sent_one_by_one_take_little_more_memory_than_they_are() {
    // Both sides of where bodies are taken out of the read buffer by reference.
    for (count, size) in [(2_000, 16 << 10), (500, 70_000)] {
        let folder = tempfile::tempdir().unwrap();
        let program = Program::serve(folder.path(), &[]);
        let mut client = program.client();
        client.call(1, queue("q"));
        client.confirm_select(1);
        let before = program.resident_kib();
        for number in 1..=count {
            client.publish(1, &Publish::to_queue("q").body(vec![b'b'; size]));
            client.expect_confirms(1, number, number);
        }
        let grown = program.resident_kib().saturating_sub(before);
        let sent = count * size as u64 / 1024;
        assert!(
            grown > sent / 2,
            "{grown} KiB for {sent} KiB: it is elsewhere"
        );
        assert!(grown < 3 * sent, "{grown} KiB for {sent} KiB");
    }
}

/// Exchange `e{number}` with `e{number + 1}` as its alternate.
fn with_alternate(number: u32) -> Declare {
    Declare {
        arguments: table([("alternate-exchange", text(&format!("e{}", number + 1)))]),
        ..exchange(&format!("e{number}"), "direct")
    }
}

#[test]
fn long_chains_of_exchanges_have_their_end() {
    const LENGTH: u32 = 1_000;
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    for number in 0..LENGTH {
        client.call(1, with_alternate(number));
    }
    client.call(1, exchange(&format!("e{LENGTH}"), "fanout"));
    client.call(1, bind("q", &format!("e{LENGTH}"), ""));
    client.publish(1, &Publish::to("e0", "k").body("by alternates"));
    assert_eq!(client.drain(1, "q"), ["by alternates"]);

    for number in 0..LENGTH {
        client.call(1, exchange(&format!("f{number}"), "fanout"));
    }
    for number in 0..LENGTH {
        // The last leads back to the first, and each to the queue.
        let next = format!("f{}", (number + 1) % LENGTH);
        client.call(1, bind_exchange(&next, &format!("f{number}"), ""));
        client.call(1, bind("q", &format!("f{number}"), ""));
    }
    client.publish(1, &Publish::to("f0", "k").body("by bindings"));
    assert_eq!(client.drain(1, "q"), ["by bindings"]);
}
