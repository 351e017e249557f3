//! Octets that no client should send: each has its answer, and the broker serves
//! on afterwards.

use leveret_tests::frame::content_header;
use leveret_tests::login::PROTOCOL_HEADER;
use leveret_tests::requests::{bind, consume, queue, table};
use leveret_tests::{Client, Frame, Login, Method, Properties, Publish, Server, method_frame};
use leveret_wire::AMQPValue;
use leveret_wire::method::connection;

/// The broker still does everything for somebody else.
fn serves_on(server: &Server) {
    let mut client = server.client();
    client.call(1, queue("still here"));
    client.publish_text(1, "still here", "m");
    assert_eq!(client.drain(1, "still here"), ["m"]);
    client.close();
}

/// Send octets and be told a hard error; gives class and method id.
fn told(server: &Server, octets: &[u8], code: u16, text: &str) -> (u16, u16) {
    let mut client = server.client();
    client.write(octets);
    let close = client.expect_hard_error(code, text);
    (close.class_id, close.method_id)
}

/// As [`told`], where only the beginning of the text is given.
fn told_roughly(server: &Server, octets: &[u8], codes: &[u16]) -> String {
    let mut client = server.client();
    client.write(octets);
    let close: connection::Close = client.expect(0);
    assert!(codes.contains(&close.reply_code), "{close:?}");
    client.answer_close();
    close.reply_text.to_string()
}

#[test]
fn unknown_frame_types() {
    let server = Server::start();
    for kind in [0, 4, 5, 6, 7, 9, 65, 255] {
        let text = format!("FRAME_ERROR - type {kind}, all octets = <<1,2>>: unknown_frame");
        assert_eq!(
            told(&server, &Frame::new(kind, 1, [1, 2]).octets(), 501, &text),
            (0, 0)
        );
    }
    let text = "FRAME_ERROR - type 4, all octets = <<>>: unknown_frame";
    told(&server, &Frame::new(4, 0, []).octets(), 501, text);
    serves_on(&server);
}

#[test]
fn heartbeats_out_of_place() {
    let server = Server::start();
    let text = "UNEXPECTED_FRAME - type 8, all octets = <<>>";
    told(&server, &Frame::new(8, 1, []).octets(), 505, text);
    let text = "FRAME_ERROR - type 8, all octets = <<1>>: unknown_frame";
    told(&server, &Frame::new(8, 0, [1]).octets(), 501, text);
    serves_on(&server);
}

#[test]
fn a_bad_end_octet() {
    let server = Server::start();
    let mut short = Frame::new(1, 1, [0, 20, 0, 10]).octets();
    *short.last_mut().unwrap() = 205;
    let text = "FRAME_ERROR - type 1, all octets = <<0,20,0,10>>: {invalid_frame_end_marker,205}";
    told(&server, &short, 501, text);
    let mut long = Frame::new(3, 1, [9; 17]).octets();
    *long.last_mut().unwrap() = 0;
    let text = "FRAME_ERROR - type 3, first 16 octets = \
        <<9,9,9,9,9,9,9,9,9,9,9,9,9,9,9,9>>: {invalid_frame_end_marker,0}";
    told(&server, &long, 501, text);
    serves_on(&server);
}

#[test]
fn a_bad_end_octet_ends_the_parsing() {
    let server = Server::build(|builder| {
        builder.configure(|config| config.limits.login_failure_delay_seconds = 1)
    });
    let mut client = server.client();
    let mut octets = Frame::new(1, 1, [0, 20, 0, 10]).octets();
    *octets.last_mut().unwrap() = 205;
    octets.extend(leveret_tests::client::encoded(1, &queue("q").into_class()));
    client.write(&octets);
    client.expect_connection_close(
        501,
        "FRAME_ERROR - type 1, all octets = <<0,20,0,10>>: {invalid_frame_end_marker,205}",
    );
    // A close of ours gets no answer: nothing is read any more. TCP ends by itself.
    client.send(0, connection::Close::default());
    client.expect_end();
    serves_on(&server);
}

#[test]
fn oversized_frames() {
    let server = Server::start();
    // Seven octets are enough to tell.
    let envelope = |kind: u8, size: u32| {
        let mut octets = vec![kind, 0, 1];
        octets.extend_from_slice(&size.to_be_bytes());
        octets
    };
    for (kind, size) in [(1, 131_073), (3, u32::MAX), (2, 0x8000_0000), (77, 200_000)] {
        let text = format!(
            "FRAME_ERROR - type {kind}, all octets = <<>>: {{frame_too_large,{size},131064}}"
        );
        told(&server, &envelope(kind, size), 501, &text);
    }
    let mut small = server.log_in(&Login {
        frame_max: Some(4096),
        ..Login::default()
    });
    small.write(&envelope(3, 4097));
    small.expect_hard_error(
        501,
        "FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,4097,4088}",
    );
    serves_on(&server);
}

#[test]
fn methods_that_do_not_decode() {
    let server = Server::start();
    for payload in [&[][..], &[0], &[0, 60, 0]] {
        let octets = Frame::new(1, 1, payload).octets();
        let listed: Vec<String> = payload.iter().map(u8::to_string).collect();
        let text = format!(
            "FRAME_ERROR - type 1, all octets = <<{}>>: unknown_frame",
            listed.join(",")
        );
        assert_eq!(told(&server, &octets, 501, &text), (0, 0));
    }
    // basic.ack: cut short, and with octets left.
    let short = method_frame(1, 60, 80, &[0, 0, 0]);
    assert_eq!(
        told(
            &server,
            &short,
            501,
            "FRAME_ERROR - cannot decode <<0,0,0>>"
        ),
        (60, 80)
    );
    let long = method_frame(1, 60, 80, &[0, 0, 0, 0, 0, 0, 0, 1, 0, 9]);
    let text = "FRAME_ERROR - cannot decode <<0,0,0,0,0,0,0,1,0,9>>";
    assert_eq!(told(&server, &long, 501, text), (60, 80));
    // queue.declare whose name is longer than the frame, basic.publish likewise, channel.open.
    let declare = method_frame(1, 50, 10, &[0, 0, 200, b'q']);
    assert_eq!(
        told(
            &server,
            &declare,
            501,
            "FRAME_ERROR - cannot decode <<0,0,200,113>>"
        ),
        (50, 10)
    );
    let publish = method_frame(1, 60, 40, &[0, 0, 0, 5, b'k']);
    assert_eq!(
        told(
            &server,
            &publish,
            501,
            "FRAME_ERROR - cannot decode <<0,0,0,5,107>>"
        ),
        (60, 40)
    );
    let open = method_frame(2, 20, 10, &[]);
    assert_eq!(
        told(&server, &open, 501, "FRAME_ERROR - cannot decode <<>>"),
        (20, 10)
    );
    let close = method_frame(0, 10, 50, &[1]);
    assert_eq!(
        told(&server, &close, 501, "FRAME_ERROR - cannot decode <<1>>"),
        (10, 50)
    );
    serves_on(&server);
}

#[test]
fn bad_utf8_in_names() {
    let server = Server::start();
    let text = "FRAME_ERROR - Malformed UTF-8 in shortstr";
    let declare = method_frame(1, 50, 10, b"\0\0\x02\xff\xfe\0\0\0\0\0");
    assert_eq!(told(&server, &declare, 501, text), (0, 0));
    let get = method_frame(1, 60, 70, b"\0\0\x01\x80\0");
    assert_eq!(told(&server, &get, 501, text), (0, 0));
    let overlong = method_frame(1, 60, 30, b"\x02\xc0\x80\0");
    assert_eq!(told(&server, &overlong, 501, text), (0, 0));
    serves_on(&server);
}

/// queue.declare of `q` with these table contents.
fn declare_with(table: &[u8]) -> Vec<u8> {
    let mut arguments = b"\0\0\x01q\0".to_vec();
    arguments.extend_from_slice(&u32::try_from(table.len()).unwrap().to_be_bytes());
    arguments.extend_from_slice(table);
    method_frame(1, 50, 10, &arguments)
}

/// Tables within tables: `levels` of them in one value.
fn nested(levels: usize) -> Vec<u8> {
    // From the inside out: each level is a key of one octet, a tag and a length around the last.
    let mut lengths = Vec::with_capacity(levels);
    let mut length = 0_u32;
    for _ in 0..levels {
        lengths.push(length);
        length += 7;
    }
    let mut octets = Vec::with_capacity(levels * 7);
    for length in lengths.iter().rev() {
        octets.extend_from_slice(b"\x01kF");
        octets.extend_from_slice(&length.to_be_bytes());
    }
    octets
}

#[test]
fn broken_tables_in_arguments() {
    let server = Server::start();
    let broken: [&[u8]; 8] = [
        b"\x01kU\x00\x01",
        b"\x01k?",
        b"\x01k",
        b"\x05k",
        b"\x01kI\x00",
        b"\x01kS\xff\xff\xff\xffx",
        b"\x01kF\x00\x00\x00\x09\x01k",
        b"\x01kA\x00\x00\x00\x02I\x00",
    ];
    for table in broken {
        let text = told_roughly(&server, &declare_with(table), &[502]);
        assert!(text.starts_with("SYNTAX_ERROR - "), "{table:?}: {text}");
    }
    serves_on(&server);
}

#[test]
fn tables_18000_levels_deep() {
    let server = Server::start();
    let deep = nested(18_000);
    assert!(deep.len() > 125_000 && deep.len() < 131_000);
    let text = told_roughly(&server, &declare_with(&deep), &[502]);
    assert!(text.starts_with("SYNTAX_ERROR - "), "{text}");
    let publish = Publish::to("", "nowhere")
        .properties(&Properties::new().header_octets(&deep))
        .body("b");
    let text = told_roughly(&server, &publish.octets(1), &[502]);
    assert!(text.starts_with("SYNTAX_ERROR - "), "{text}");
    // Arrays in arrays are as deep.
    let mut arrays = b"\x01kA".to_vec();
    for level in (0..18_000_u32).rev() {
        arrays.extend_from_slice(&(level * 5).to_be_bytes());
        if level > 0 {
            arrays.push(b'A');
        }
    }
    let text = told_roughly(&server, &declare_with(&arrays), &[502]);
    assert!(text.starts_with("SYNTAX_ERROR - "), "{text}");
    serves_on(&server);
}

#[test]
fn tables_as_deep_as_anybody_needs_are_relayed() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    let publish = Publish::to_queue("q").properties(&Properties::new().header_octets(&nested(60)));
    client.publish(1, &publish);
    assert_eq!(
        client.get(1, "q", true).unwrap().content.header,
        publish.header_payload()
    );
    let text = told_roughly(&server, &declare_with(&nested(70)), &[502]);
    assert_eq!(
        text,
        "SYNTAX_ERROR - field table is nested deeper than 64 levels"
    );
}

#[test]
fn properties_that_do_not_decode() {
    let server = Server::start();
    let bad: [&[u8]; 8] = [
        // Flags without values, values without flags, octets left.
        b"\x80\x00",
        b"\x00\x00x",
        b"\x80\x00\x01ax",
        // A short string, a timestamp and a table cut short.
        b"\x80\x00\x05ab",
        b"\x00\x40\x00\x00",
        b"\x20\x00\x00\x00\x00\x09\x01k",
        // An unknown type in the headers.
        b"\x20\x00\x00\x00\x00\x03\x01k?",
        // More flags announced.
        b"\x00\x01\x00\x00",
    ];
    for properties in bad {
        let publish = Publish::to("", "nowhere")
            .property_octets(properties.to_vec())
            .body("b");
        let text = told_roughly(&server, &publish.octets(1), &[501, 502]);
        assert!(!text.is_empty());
    }
    serves_on(&server);
}

/// basic.publish, then a content header that announces `size`.
fn announced(size: u64) -> Vec<u8> {
    let mut octets = Publish::to("", "nowhere").method(1);
    octets.extend(Frame::new(2, 1, content_header(size, &[0, 0])).octets());
    octets
}

#[test]
fn a_body_longer_than_announced() {
    let server = Server::start();
    let text = "FRAME_ERROR - content body frame exceeds remaining content size";
    let mut octets = announced(4);
    octets.extend(Frame::new(3, 1, *b"five!").octets());
    assert_eq!(told(&server, &octets, 501, text), (60, 40));
    let mut octets = announced(4);
    octets.extend(Frame::new(3, 1, *b"abc").octets());
    octets.extend(Frame::new(3, 1, *b"de").octets());
    assert_eq!(told(&server, &octets, 501, text), (60, 40));
    serves_on(&server);
}

#[test]
fn bodies_of_fantastic_size() {
    let server = Server::start();
    for size in [1 << 63, u64::MAX, 536_870_913] {
        let text = format!(
            "FRAME_ERROR - content body size {size} exceeds maximum allowed size 536870912"
        );
        assert_eq!(told(&server, &announced(size), 501, &text), (60, 40));
    }
    serves_on(&server);
}

#[test]
fn a_body_over_the_default_limit_is_refused_at_its_header() {
    let server = Server::start();
    let mut client = server.client();
    client.open_channel(2);
    client.write(&announced(16_777_217));
    let close: leveret_wire::method::channel::Close = client.expect(1);
    assert_eq!(close.reply_code, 406);
    let text = close.reply_text.as_str();
    assert!(
        text.starts_with("PRECONDITION_FAILED - message size 16777217 is larger than "),
        "{text}"
    );
    assert!(text.ends_with(" max size 16777216"), "{text}");
    // The body is read and thrown away, while others go on.
    let piece = Frame::new(3, 1, vec![0; 131_064]).octets();
    for _ in 0..128 {
        client.write(&piece);
    }
    client.send_frame(&Frame::new(3, 1, vec![0; 16_777_217 - 128 * 131_064]));
    client.expect_quiet(2);
    client.reopen_channel(1);
    client.expect_quiet(1);
}

#[test]
fn many_half_sent_messages_are_bounded() {
    let server = Server::build(|builder| {
        builder.configure(|config| config.limits.max_message_size = 100_000)
    });
    let mut client = server.client();
    // Eight of the largest messages may be under way at once.
    for channel in 2..=20 {
        client.open_channel(channel);
        let mut octets = Publish::to("", "nowhere").method(channel);
        octets.extend(Frame::new(2, channel, content_header(100_000, &[0, 0])).octets());
        octets.extend(Frame::new(3, channel, vec![0; 90_000]).octets());
        if !client.try_write(&octets) {
            break;
        }
        if channel >= 10 {
            break;
        }
    }
    let close: connection::Close = client.expect(0);
    assert_eq!(close.reply_code, 506, "{close:?}");
    client.answer_close();
    serves_on(&server);
}

#[test]
fn streams_that_end_anywhere() {
    let server = Server::start();
    let mut octets = PROTOCOL_HEADER.to_vec();
    octets.extend(leveret_tests::client::encoded(
        0,
        &Login::default().start_ok().into_class(),
    ));
    for end in (0..octets.len()).step_by(7) {
        let mut client = Client::dial(server.address());
        client.write(&octets[..end]);
        client.finish_writing();
        while client.next_frame().is_some() {}
    }
    let publish = Publish::to("", "nowhere")
        .persistent()
        .body("body")
        .octets(1);
    for end in 0..publish.len() {
        let mut client = server.client();
        client.write(&publish[..end]);
        client.finish_writing();
        client.expect_end();
    }
    serves_on(&server);
}

/// Numbers that look random and are the same in every run (splitmix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn octets(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// A conversation of every kind of frame, to be spoilt.
fn conversation() -> Vec<u8> {
    let mut octets = Vec::new();
    let mut say = |method: leveret_wire::AMQPClass| {
        octets.extend(leveret_tests::client::encoded(1, &method));
    };
    say(queue("hostile").into_class());
    say(bind("hostile", "amq.topic", "a.*.#").into_class());
    say(consume("hostile", "c").into_class());
    say(leveret_tests::requests::prefetch(3).into_class());
    say(leveret_wire::method::confirm::Select { nowait: false }.into_class());
    let headers = table([
        (
            "CC",
            AMQPValue::FieldArray(vec![AMQPValue::LongString("hostile".into())].into()),
        ),
        (
            "n",
            AMQPValue::FieldTable(table([("d", AMQPValue::Double(1.5))])),
        ),
    ]);
    let properties = Properties::persistent()
        .headers(&headers)
        .expiration("60000")
        .reply_to("x");
    for key in ["a.b", "hostile"] {
        let publish = Publish::to("amq.topic", key)
            .mandatory()
            .properties(&properties)
            .body("body");
        octets.extend(publish.octets(1));
    }
    let mut say = |method: leveret_wire::AMQPClass| {
        octets.extend(leveret_tests::client::encoded(1, &method));
    };
    say(leveret_tests::requests::ack(1).into_class());
    say(leveret_tests::requests::nack_up_to(0, true).into_class());
    say(leveret_wire::method::basic::Recover { requeue: true }.into_class());
    octets
}

/// Feed a connection and see it end; whatever the broker says consists of whole frames.
fn feed(mut client: Client, octets: &[u8]) {
    if client.try_write(octets) {
        client.finish_writing();
    }
    while client.next_frame().is_some() {}
}

#[test]
fn random_octets_on_1000_connections() {
    let server = Server::start();
    for seed in 0..1_000 {
        let mut numbers = Numbers(seed);
        let length = 1 + numbers.below(400);
        let octets = numbers.octets(length);
        match seed % 4 {
            // Instead of the protocol header, after it, on an open channel.
            0 => {
                let mut client = Client::dial(server.address());
                if client.try_write(&octets) {
                    client.finish_writing();
                }
                let answer = client.read_to_end();
                assert!(answer.is_empty() || answer == PROTOCOL_HEADER, "{answer:?}");
            }
            1 => {
                let mut client = Client::dial(server.address());
                client.expect_start();
                feed(client, &octets);
            }
            2 => feed(server.client(), &octets),
            // Random payloads in frames that are well formed.
            _ => {
                let kind = [1, 2, 3, 8][numbers.below(4)];
                let channel = u16::try_from(numbers.below(3)).unwrap();
                feed(server.client(), &Frame::new(kind, channel, octets).octets());
            }
        }
    }
    serves_on(&server);
}

#[test]
fn spoilt_conversations() {
    let server = Server::start();
    let conversation = conversation();
    feed(server.client(), &conversation);
    for seed in 0..1_000 {
        let mut numbers = Numbers(0x00C0_FFEE ^ seed);
        let mut octets = conversation.clone();
        for _ in 0..=numbers.below(4) {
            let at = numbers.below(octets.len());
            match numbers.below(3) {
                0 => octets[at] = numbers.next().to_le_bytes()[0],
                1 => {
                    octets.remove(at);
                }
                _ => {
                    let extra = numbers.next().to_le_bytes()[0];
                    octets.insert(at, extra);
                }
            }
        }
        feed(server.client(), &octets);
    }
    serves_on(&server);
}
