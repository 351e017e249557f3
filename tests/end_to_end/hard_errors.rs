//! What ends a connection.

use leveret_tests::requests::{passive_queue, queue};
use leveret_tests::{Frame, Publish, Server, method_frame};
use leveret_wire::method::{basic, channel, connection};

#[test]
fn channel_0_takes_no_second_open_and_no_channel_class() {
    let server = Server::start();
    let text = "CHANNEL_ERROR - unexpected method in connection state running";
    let open = connection::Open {
        virtual_host: "/".into(),
    };
    server.client().expect_fatal(0, open, 504, text);
    server
        .client()
        .expect_fatal(0, connection::TuneOk::default(), 504, text);
    server
        .client()
        .expect_fatal(0, connection::StartOk::default(), 504, text);
    server
        .client()
        .expect_fatal(0, connection::Blocked { reason: "r".into() }, 504, text);
    server.client().expect_fatal(0, channel::Open {}, 504, text);
    server.client().expect_fatal(0, queue("q"), 504, text);
}

#[test]
fn class_connection_has_no_place_on_a_channel() {
    let server = Server::start();
    let text = "COMMAND_INVALID - unimplemented method";
    for octets in [
        method_frame(1, 10, 50, &[0, 200, 0, 0, 0, 0, 0]),
        method_frame(1, 10, 51, &[]),
        method_frame(1, 10, 40, b"\x01/\x00\x00"),
    ] {
        let mut client = server.client();
        client.write(&octets);
        client.expect_hard_error(503, text);
    }
}

#[test]
fn what_only_a_server_says_is_refused() {
    let server = Server::start();
    let text = "COMMAND_INVALID - unimplemented method";
    server.client().expect_fatal(1, basic::QosOk {}, 503, text);
    server.client().expect_fatal(
        1,
        basic::ConsumeOk {
            consumer_tag: "c".into(),
        },
        503,
        text,
    );
    server
        .client()
        .expect_fatal(1, basic::GetEmpty {}, 503, text);
    server
        .client()
        .expect_fatal(1, basic::RecoverOk {}, 503, text);
    server.client().expect_fatal(
        1,
        leveret_wire::method::queue::DeclareOk::default(),
        503,
        text,
    );
    server
        .client()
        .expect_fatal(1, leveret_wire::method::exchange::BindOk {}, 503, text);
    server
        .client()
        .expect_fatal(1, leveret_wire::method::tx::CommitOk {}, 503, text);
    server
        .client()
        .expect_fatal(1, basic::Deliver::default(), 503, text);
    server
        .client()
        .expect_fatal(1, basic::Return::default(), 503, text);
}

#[test]
fn an_unknown_method_is_not_implemented() {
    let server = Server::start();
    for (channel, class, method) in [
        (1, 60, 130),
        (1, 99, 1),
        (0, 10, 99),
        (1, 0, 0),
        (1, 40, 41),
    ] {
        let mut client = server.client();
        client.write(&method_frame(channel, class, method, b"whatever"));
        let text = format!("NOT_IMPLEMENTED - unknown class/method {class}/{method}");
        let close = client.expect_hard_error(540, &text);
        assert_eq!((close.class_id, close.method_id), (class, method));
    }
}

#[test]
fn content_has_no_place_on_channel_0() {
    let server = Server::start();
    let mut client = server.client();
    client.send_frame(&Frame::new(3, 0, [1, 2, 3]));
    client.expect_hard_error(505, "UNEXPECTED_FRAME - type 3, all octets = <<1,2,3>>");
    let mut client = server.client();
    client.send_frame(&Frame::new(2, 0, [7; 20]));
    client.expect_hard_error(
        505,
        "UNEXPECTED_FRAME - type 2, first 16 octets = <<7,7,7,7,7,7,7,7,7,7,7,7,7,7,7,7>>",
    );
}

/// Publish a method and whatever follows it, and be told 505 with 60/40.
fn out_of_sequence(server: &Server, after_method: &[Vec<u8>], text: &str) {
    let mut client = server.client();
    client.call(1, queue("q"));
    client.write(&Publish::to_queue("q").method(1));
    for octets in after_method {
        client.write(octets);
    }
    let close = client.expect_hard_error(505, text);
    assert_eq!((close.class_id, close.method_id), (60, 40));
}

#[test]
fn a_header_must_follow_a_publish() {
    let server = Server::start();
    let text = "UNEXPECTED_FRAME - expected content header for class 60, got non content header frame instead";
    let publish = Publish::to_queue("q").body("body");
    let body = Frame::new(3, 1, *b"body").octets();
    let close = method_frame(1, 20, 40, &[0, 200, 0, 0, 0, 0, 0]);
    out_of_sequence(&server, &[publish.method(1)], text);
    out_of_sequence(&server, &[body], text);
    out_of_sequence(&server, &[close], text);
    let mut weighed = publish.header_payload();
    weighed[3] = 1;
    out_of_sequence(&server, &[Frame::new(2, 1, weighed).octets()], text);
}

#[test]
fn the_header_must_be_of_class_basic() {
    let server = Server::start();
    let mut header = Publish::to_queue("q").body("b").header_payload();
    header[1] = 50;
    out_of_sequence(
        &server,
        &[Frame::new(2, 1, header).octets()],
        "UNEXPECTED_FRAME - expected content header for class 60, got one for class 50 instead",
    );
}

#[test]
fn a_body_must_follow_a_header() {
    let server = Server::start();
    let text = "UNEXPECTED_FRAME - expected content body, got non content body frame instead";
    let publish = Publish::to_queue("q").body("body");
    let close = method_frame(1, 20, 40, &[0, 200, 0, 0, 0, 0, 0]);
    for wrong in [publish.header(1), publish.method(1), close] {
        out_of_sequence(&server, &[publish.header(1), wrong.clone()], text);
        let piece = Frame::new(3, 1, *b"bo").octets();
        out_of_sequence(&server, &[publish.header(1), piece, wrong], text);
    }
}

#[test]
fn content_must_follow_a_method() {
    let server = Server::start();
    let text = "UNEXPECTED_FRAME - expected method frame, got non method frame instead";
    let publish = Publish::to_queue("q").body("body");
    for octets in [publish.header(1), Frame::new(3, 1, *b"body").octets()] {
        let mut client = server.client();
        client.call(1, queue("q"));
        client.write(&octets);
        let close = client.expect_hard_error(505, text);
        assert_eq!((close.class_id, close.method_id), (0, 0));
    }
    // One body frame too many comes when the message is complete.
    let mut client = server.client();
    client.call(1, queue("q"));
    client.publish(1, &publish);
    client.send_frame(&Frame::new(3, 1, *b"more"));
    client.expect_hard_error(505, text);
}

#[test]
fn after_our_close_only_close_and_close_ok_count() {
    let server = Server::start();
    let mut client = server.client();
    client.send(0, channel::Open {});
    client.expect_connection_close(
        504,
        "CHANNEL_ERROR - unexpected method in connection state running",
    );
    client.send(1, queue("ignored"));
    client.publish_text(1, "ignored", "ignored");
    client.send(0, channel::Open {});
    client.call(0, connection::Close::default());
    client.answer_close();
    let mut other = server.client();
    other.expect_refused(
        1,
        passive_queue("ignored"),
        404,
        "NOT_FOUND - no queue 'ignored' in vhost '/'",
    );
}

#[test]
fn who_does_not_answer_our_close_is_dropped() {
    let server = Server::build(|builder| {
        builder.configure(|config| config.limits.close_timeout_seconds = 1)
    });
    let mut client = server.client();
    client.send(0, channel::Open {});
    client.expect_connection_close(
        504,
        "CHANNEL_ERROR - unexpected method in connection state running",
    );
    client.expect_end();
}

#[test]
fn a_hard_error_cleans_up_before_it_is_told() {
    let server = Server::start();
    let mut client = server.client();
    let exclusive = leveret_wire::method::queue::Declare {
        exclusive: true,
        ..queue("e")
    };
    client.call(1, exclusive);
    client.call(1, queue("q"));
    client.publish_text(1, "q", "m");
    client.get(1, "q", false).unwrap();
    client.send(0, channel::Open {});
    client.expect_connection_close(
        504,
        "CHANNEL_ERROR - unexpected method in connection state running",
    );
    let mut other = server.client();
    other.expect_refused(
        1,
        passive_queue("e"),
        404,
        "NOT_FOUND - no queue 'e' in vhost '/'",
    );
    let got = other.get(1, "q", true).unwrap();
    assert!(got.redelivered());
}

#[test]
fn what_was_published_before_the_error_is_kept() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    let mut octets = Vec::new();
    for number in 0..10 {
        octets.extend(Publish::to_queue("q").body(number.to_string()).octets(1));
    }
    octets.extend(method_frame(1, 99, 99, &[]));
    client.write(&octets);
    client.expect_hard_error(540, "NOT_IMPLEMENTED - unknown class/method 99/99");
    assert_eq!(server.client().counts(1, "q"), (10, 0));
}
