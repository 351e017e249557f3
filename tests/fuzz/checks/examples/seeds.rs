//! Writes the seeds of the corpora: `cargo run -p leveret-fuzz-checks --example seeds`.

#![allow(
    clippy::unwrap_used,
    reason = "a seed that cannot be made is a mistake here"
)]

use std::fs;
use std::path::Path;

use leveret_store::fuzz::{SEGMENT_HEADER, seal};
use leveret_wire::{
    ArrayBuilder, FrameHeader, FrameKind, PropertiesBuilder, Property, RawValue, TableBuilder,
    parse_method,
};

type Seed = (&'static str, String, Vec<u8>);

fn main() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let mut seeds = Vec::new();
    seeds.extend(frames());
    seeds.extend(methods());
    seeds.extend(tables());
    seeds.extend(content_headers());
    seeds.extend(connections());
    seeds.extend(patterns());
    seeds.extend(log_records());
    seeds.extend(definitions());
    seeds.extend(configs());
    seeds.extend(proxy_headers());
    for (target, name, octets) in seeds {
        let folder = corpus.join(target);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(format!("seed-{name}")), octets).unwrap();
    }
}

fn frame(kind: FrameKind, channel: u16, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader {
        kind: kind.octet(),
        channel,
        size: u32::try_from(payload.len()).unwrap(),
    };
    [&header.octets()[..], payload, &[0xCE]].concat()
}

/// A length in one octet, then the octets.
fn sized(octets: impl AsRef<[u8]>) -> Vec<u8> {
    let octets = octets.as_ref();
    [&[u8::try_from(octets.len()).unwrap()], octets].concat()
}

/// Every type of value there is.
fn every_value() -> Vec<u8> {
    let mut deaths = ArrayBuilder::new();
    let mut death = TableBuilder::new();
    death
        .put(b"count", &RawValue::I64(3))
        .put(b"time", &RawValue::Timestamp(1_700_000_000));
    deaths
        .push(&RawValue::Table(death.as_table()))
        .push(&RawValue::Void);
    let mut table = TableBuilder::new();
    table
        .put(b"x-death", &RawValue::Array(deaths.as_array()))
        .put(b"t", &RawValue::Bool(true))
        .put(b"x", &RawValue::ByteArray(b"\0\xff"))
        .put(
            b"D",
            &RawValue::Decimal {
                scale: 2,
                value: 314,
            },
        )
        .put(b"f", &RawValue::F32(0.5))
        .put(b"d", &RawValue::F64(1e100))
        .put(b"b", &RawValue::I8(-1))
        .put(b"s", &RawValue::I16(-2))
        .put(b"I", &RawValue::I32(-3))
        .put(b"l", &RawValue::I64(i64::MIN))
        .put(b"S", &RawValue::LongString("läng".as_bytes()))
        .put(b"F", &RawValue::Table(death.as_table()))
        .put(b"B", &RawValue::U8(1))
        .put(b"u", &RawValue::U16(2))
        .put(b"i", &RawValue::U32(3))
        .put(b"V", &RawValue::Void)
        .put(b"V", &RawValue::Bool(false));
    table.into_content()
}

/// The content of a table that holds a table, and so on.
fn nested(levels: u32) -> Vec<u8> {
    let mut content = Vec::new();
    for inner in (0..levels - 1).rev() {
        content.extend_from_slice(b"\x00F");
        content.extend_from_slice(&(inner * 6).to_be_bytes());
    }
    content
}

fn every_property(body_size: u64) -> Vec<u8> {
    let headers = every_value();
    let mut builder = PropertiesBuilder::new();
    for property in [
        Property::ContentType,
        Property::ContentEncoding,
        Property::CorrelationId,
        Property::ReplyTo,
        Property::Expiration,
        Property::MessageId,
        Property::Type,
        Property::UserId,
        Property::AppId,
        Property::ClusterId,
    ] {
        builder.text(property, Some(b"60000"));
    }
    builder
        .headers(Some(&headers))
        .delivery_mode(Some(2))
        .priority(Some(5))
        .timestamp(Some(1_700_000_000));
    builder.build(body_size).unwrap()
}

fn frames() -> Vec<Seed> {
    let publish = |body: &[u8], header: &[u8]| {
        let mut frames = frame(FrameKind::Method, 1, b"\0\x3c\0\x28\0\0\x02ex\x03key\x01");
        frames.extend(frame(FrameKind::Header, 1, header));
        if !body.is_empty() {
            frames.extend(frame(FrameKind::Body, 1, body));
        }
        frames
    };
    let plain = PropertiesBuilder::new().build(4).unwrap();
    let empty = PropertiesBuilder::new()
        .delivery_mode(Some(1))
        .build(0)
        .unwrap();
    let ack = frame(FrameKind::Method, 1, b"\0\x3c\0\x50\0\0\0\0\0\0\0\x07\x01");
    let heartbeat = frame(FrameKind::Heartbeat, 0, b"");
    let long = PropertiesBuilder::new().build(100).unwrap();
    let several = [
        publish(b"body", &plain),
        ack,
        heartbeat,
        publish(b"", &empty),
    ]
    .concat();
    [
        ("publish", 0, publish(b"body", &plain)),
        ("publish-empty", 0, publish(b"", &empty)),
        (
            "publish-properties",
            0,
            publish(b"body", &every_property(4)),
        ),
        ("publish-over-limit", 1, publish(&[b'L'; 100], &long)),
        ("several", 2, several),
        ("cut", 0, publish(b"body", &plain)[..30].to_vec()),
        ("bad-end", 0, b"\x03\0\x01\0\0\0\x01xy".to_vec()),
        ("unknown-type", 0, b"\x09\0\x01\0\0\0\x01x\xce".to_vec()),
        ("too-large", 0, b"\x03\0\x01\x7f\0\0\0".to_vec()),
    ]
    .map(|(name, limit, octets)| ("frame", name.to_owned(), [&[limit], &octets[..]].concat()))
    .to_vec()
}

fn methods() -> Vec<Seed> {
    let mut seeds = Vec::new();
    for class in [10, 20, 30, 40, 50, 60, 85, 90] {
        for method in 10..130_u16 {
            let ids = [0, class, method.to_be_bytes()[0], method.to_be_bytes()[1]];
            // Zeros are empty names and tables: as many as the method has.
            let payload = (0..32).map(|len| [&ids[..], &vec![0; len]].concat());
            let payload = payload
                .into_iter()
                .find(|payload| parse_method(payload).is_ok());
            if let Some(payload) = payload {
                seeds.push(("method", format!("{class}-{method}"), payload));
            }
        }
    }
    let table = every_value();
    let len = u32::try_from(table.len()).unwrap().to_be_bytes();
    let declare = [&b"\0\x32\0\x0a\0\0\x01q\x02"[..], &len, &table].concat();
    let bind = [&b"\0\x28\0\x1e\0\0\x01a\x01b\x03k.#\0"[..], &len, &table].concat();
    seeds.push(("method", "declare-arguments".into(), declare));
    seeds.push(("method", "exchange-bind-arguments".into(), bind));
    let publish = b"\0\x3c\0\x28\0\0\x02ex\x03key\x03".to_vec();
    seeds.push(("method", "publish-names".into(), publish));
    seeds
}

fn tables() -> Vec<Seed> {
    let limited = |depth, entries| [&[1, depth, entries, 1], &every_value()[..]].concat();
    vec![
        (
            "table",
            "every-value".into(),
            [&[0], &every_value()[..]].concat(),
        ),
        ("table", "utf8".into(), [&[2], &every_value()[..]].concat()),
        ("table", "limited".into(), limited(2, 40)),
        ("table", "limited-below".into(), limited(1, 5)),
        (
            "table",
            "nested-64".into(),
            [&[0], &nested(64)[..]].concat(),
        ),
        (
            "table",
            "nested-65".into(),
            [&[0], &nested(65)[..]].concat(),
        ),
        (
            "table",
            "voids".into(),
            [&b"\0\x01aA\0\0\0\x64"[..], &[b'V'; 100]].concat(),
        ),
    ]
}

fn content_headers() -> Vec<Seed> {
    let headers = every_value();
    let with_headers = PropertiesBuilder::new()
        .headers(Some(&headers))
        .build(7)
        .unwrap();
    let mut continued = every_property(7);
    continued[13] |= 1;
    let mut unknown = every_property(7);
    unknown[13] |= 2;
    vec![
        ("content_header", "every-property".into(), every_property(7)),
        ("content_header", "headers".into(), with_headers),
        (
            "content_header",
            "none".into(),
            PropertiesBuilder::new().build(0).unwrap(),
        ),
        ("content_header", "continued".into(), continued),
        ("content_header", "unknown-flag".into(), unknown),
    ]
}

/// See `Action::read` of the check.
fn connections() -> Vec<Seed> {
    let publish = [&[5, 1, 1, b'k'][..], &sized(b"body")].concat();
    let pieces = [
        &[9, 1, 6, 1, 0, 10, 7, 1][..],
        &sized(b"01234"),
        &[7, 1],
        &sized(b"56789"),
    ];
    let declare = [&[2, 20, 1][..], &sized(b"\0\0\x01q\0\0\0\0\0")].concat();
    let handshake = [
        &[23, 2, 16, 0, 17, 0, 7, 5, 18, 4, 1][..],
        &publish,
        &[13, 14],
    ]
    .concat();
    let errors: [&[u8]; 5] = [
        &[0, 9, 3, 0, 1, 0, 0, 0, 1, b'x', b'y'],
        &[1, 9, 0, 1, 1, b'x'],
        &[6, 2, 0, 1],
        &[9, 1, 6, 1, 0xff, 0xff],
        &[8, 1, 0x20, 0],
    ];
    let mut seeds = vec![
        ("handshake".to_owned(), [&[0], &handshake[..]].concat()),
        ("bad-login".to_owned(), vec![0, 23, 2, 16, 1, 19, 10]),
        (
            "publishes".to_owned(),
            [&[1], &publish[..], &publish].concat(),
        ),
        ("pieces".to_owned(), [&[1], &pieces.concat()[..]].concat()),
        (
            "declare".to_owned(),
            [&[1], &declare[..], &publish].concat(),
        ),
        (
            "deliver".to_owned(),
            vec![1, 21, 1, 0x1f, 0xff, 10, 1, 4, 1, 21, 1, 0, 5],
        ),
        (
            "alarm".to_owned(),
            [&[1, 23, 0], &publish[..], &[23, 3], &publish].concat(),
        ),
        (
            "soft-error".to_owned(),
            [&[1, 20, 1], &publish[..], &[11, 1, 4, 1]].concat(),
        ),
        ("secret".to_owned(), vec![1, 15, 4, 2, 12, 13, 14]),
        (
            "timers".to_owned(),
            vec![
                0, 23, 2, 16, 0, 17, 0, 7, 5, 18, 19, 4, 12, 19, 30, 22, 1, 19, 90,
            ],
        ),
    ];
    for (number, error) in errors.into_iter().enumerate() {
        seeds.push((
            format!("error-{number}"),
            [&[1], error, &publish, &[14]].concat(),
        ));
    }
    seeds
        .into_iter()
        .map(|(name, octets)| ("connection", name, octets))
        .collect()
}

fn patterns() -> Vec<Seed> {
    let topics = |patterns: &[&str], unbound: u8, key: &str| {
        let mut octets = vec![0, u8::try_from(patterns.len()).unwrap()];
        octets.extend(patterns.iter().flat_map(sized));
        octets.push(unbound);
        octets.extend(sized(key));
        octets
    };
    let mut any = TableBuilder::new();
    any.put(b"x-match", &RawValue::LongString(b"any-with-x"))
        .put(b"x-a", &RawValue::I32(1))
        .put(b"b", &RawValue::Void);
    let mut all = TableBuilder::new();
    all.put(b"x-a", &RawValue::F64(1.0))
        .put(b"b", &RawValue::LongString(b"v"));
    let mut sent = TableBuilder::new();
    sent.put(b"x-a", &RawValue::U8(1))
        .put(b"b", &RawValue::ByteArray(b"v"));
    let (any, all) = (any.into_content(), all.into_content());
    let headers = [
        &[1, 2][..],
        &sized(&any),
        &sized(&all),
        &[0],
        &sent.into_content(),
    ]
    .concat();
    let every = [&[1, 1][..], &sized(every_value()), &[0], &every_value()].concat();
    let expression = |negated: u8, ahead: &str, rest: &str, name: &str, is_ahead: u8| {
        let parts = [
            &[2, negated][..],
            &sized(ahead),
            &sized(rest),
            &sized(name),
            &[is_ahead],
        ];
        parts.concat()
    };
    let variable = |before: &str, name: &str, key: &str| {
        [&[3][..], &sized(before), &sized(name), &sized(key)].concat()
    };
    vec![
        (
            "patterns",
            "topics".into(),
            topics(&["a.*", "#", "a.#.b", "#.b.#", "*.b", ""], 1, "a.b"),
        ),
        (
            "patterns",
            "topics-hashes".into(),
            topics(&["#.#", "#.a.#", "#.#.#"], 0, "a.a.a.a.a"),
        ),
        (
            "patterns",
            "topics-empty".into(),
            topics(&["", "*", "#.*"], 0, ""),
        ),
        ("patterns", "headers".into(), headers),
        ("patterns", "headers-every".into(), every),
        (
            "patterns",
            "ahead".into(),
            expression(1, "amq.", ".*", "orders", 1),
        ),
        (
            "patterns",
            "class".into(),
            expression(0, "", "^(a|b)[^x-z]{2,3}\\w$", "aqq0", 0),
        ),
        (
            "patterns",
            "look".into(),
            expression(0, "", "^(?!amq\\.).*", "amq.gen", 0),
        ),
        (
            "patterns",
            "variable".into(),
            variable("o.", "a.b", "o.a.b"),
        ),
        (
            "patterns",
            "variable-odd".into(),
            variable("", "{vhost}.*", "x"),
        ),
    ]
}

fn log_records() -> Vec<Seed> {
    let place = (0x5eed, 3);
    let entry = |numbers: &[u64]| -> Vec<u8> {
        numbers
            .iter()
            .flat_map(|number| number.to_le_bytes())
            .collect()
    };
    let message = b"\0\x04\0\0\0\x0e\0\0\0\x04\x01x\x01k\0\x3c\0\0\0\0\0\0\0\0\0\x04\0\0body";
    let put = [&entry(&[1, 7])[..], message].concat();
    let changes = [
        &entry(&[5, 2])[..],
        b"\x01\x01\0\0\0k\x01\0\0\0v\x02\x01\0\0\0k",
    ]
    .concat();
    let mut segment = vec![0; SEGMENT_HEADER];
    seal(&mut segment, place, (5, 0, 0, 0), &entry(&[40]));
    seal(&mut segment, place, (1, 0, 1, 4), &put);
    seal(&mut segment, place, (2, 0, 1, 0), &entry(&[1, 0, 7]));
    seal(
        &mut segment,
        place,
        (3, 0, 1, 0),
        &[&entry(&[1, 0, 7])[..], &[2, 0, 0, 0]].concat(),
    );
    seal(&mut segment, place, (4, 0, 0, 0), &changes);
    let mut torn = segment.clone();
    torn.truncate(segment.len() - 20);
    let snapshot = [
        &entry(&[1, 2, 2])[..],
        b"\x01\0\0\0a\x01\0\0\0b\x01\0\0\0c\0\0\0\0",
    ]
    .concat();
    // See `check_sealed`: newest, count, then kind, content, count and a vouched place each.
    let mut sealed = vec![2, 1, 6];
    for (kind, content, count, vouched) in [
        (4, &b""[..], 0, 0),
        (0, &put, 1, 0),
        (0, &put, 1, 0),
        (1, &entry(&[1, 0, 7]), 1, 0),
        (3, &changes, 0, 0),
        (4, b"", 0, 4),
    ] {
        sealed.push(kind);
        sealed.extend(sized(content));
        sealed.extend([count, vouched]);
    }
    let older = [&[3, 0][..], &sealed[2..], &[0, 0, 40, 1, 0, 90, 0x80]].concat();
    let damaged = [&sealed[..], &[1, 9, 0, 40, 1]].concat();
    vec![
        (
            "log_records",
            "segment".into(),
            [&[0, 1], &segment[..]].concat(),
        ),
        (
            "log_records",
            "segment-torn".into(),
            [&[0, 1], &torn[..]].concat(),
        ),
        (
            "log_records",
            "segment-older".into(),
            [&[0, 0], &torn[..]].concat(),
        ),
        (
            "log_records",
            "snapshot".into(),
            [&[1], &snapshot[..]].concat(),
        ),
        ("log_records", "sealed".into(), [&sealed[..], &[0]].concat()),
        ("log_records", "sealed-damaged".into(), damaged),
        ("log_records", "sealed-older".into(), older),
    ]
}

fn definitions() -> Vec<Seed> {
    let rabbitmq = include_bytes!("../../../fixtures/rabbitmq-3.10.8-definitions.json").to_vec();
    let small = |text: &str| text.as_bytes().to_vec();
    [
        ("rabbitmq", rabbitmq),
        ("empty", small("{}")),
        (
            "topology",
            small(
                r#"{"vhosts":[{"name":"v"}],"users":[{"name":"u","password":"p","tags":"a,b"}],
"permissions":[{"user":"u","vhost":"v","configure":"^a","write":".*","read":""}],
"exchanges":[{"name":"x","vhost":"v","type":"topic","arguments":{"alternate-exchange":"amq.fanout"}},
{"name":"h","vhost":"v","type":"x-consistent-hash"},{"name":"d","vhost":"v","type":"x-delayed-message","arguments":{"x-delayed-type":"direct"}}],
"queues":[{"name":"q","vhost":"v","arguments":{"x-message-ttl":1,"x-max-priority":3,"x-dead-letter-exchange":"x"}}],
"bindings":[{"source":"x","vhost":"v","destination":"q","destination_type":"queue","routing_key":"a.#"},
{"source":"h","vhost":"v","destination":"x","destination_type":"exchange","routing_key":"3"}]}"#,
            ),
        ),
        (
            "policies",
            small(
                r#"{"policies":[{"vhost":"/","name":"p","pattern":"^(?!amq\\.).*","apply-to":"queues","priority":-1,
"definition":{"max-length":5,"overflow":"drop-head","expires":1000}}],
"parameters":[{"vhost":"/","component":"vhost-limits","name":"limits","value":{"max-queues":3}},
{"vhost":"/","component":"operator_policy","name":"o","value":{"pattern":"","definition":[["max-length",1]]}}],
"global_parameters":[{"name":"g","value":[1.5,null,true]}],
"topic_permissions":[{"user":"guest","vhost":"/","exchange":"amq.topic","write":"^{username}","read":"."}]}"#,
            ),
        ),
        ("refused", small(r#"{"users":[{"name":"u","password_hash":"!","tags":[]}]}"#)),
        ("cut", small(r#"{"queues":[{"name":"q","#)),
    ]
    .map(|(name, octets)| ("definitions", name.to_owned(), octets))
    .to_vec()
}

fn configs() -> Vec<Seed> {
    let ours = "listen = [\"0.0.0.0:5672\", \"[::1]:0\", \":1\"]\ndata_dir = \"/tmp/x\"\nproxy_sources = \"10.0.0.0/8\"\n\
        [default_user]\nname = \"orders\"\npassword = \"correct horse\"\n[limits]\nmax_message_size = 67_108_864\n\
        [log]\nlevel = \"info,leveret_store=debug\"\nformat = \"json\"\n[memory]\nhigh_watermark = 0.6\n\
        [tls]\nlisten = \":5671\"\ncertificate = \"c.pem\"\nkey = [\"k.pem\"]\nverify = \"peer\"\nca = \"ca.pem\"\n";
    let theirs = "# RabbitMQ's\nlisteners.tcp.default = 5673\nlisteners.tcp.local = ::1:5672\nlisteners.ssl.default = 5671\n\
        ssl_options.certfile = /c.pem\nssl_options.keyfile = /k.pem\nssl_options.versions.1 = tlsv1.3\n\
        default_user = app\ndefault_pass = 'a#b c' # quoted\nloopback_users.guest = false\nheartbeat = 10\n\
        vm_memory_high_watermark.relative = 0.6\ndisk_free_limit.absolute = 2GB\nprometheus.tcp.port = 1\n\
        prometheus.tcp.ip = ::\nlog.console.level = debug\nchannel_max = 128\nconsumer_timeout = 1000\n";
    [
        ("ours", [b"\0", ours.as_bytes()].concat()),
        ("theirs", [b"\x01", theirs.as_bytes()].concat()),
        ("ours-unknown", b"\0[limits]\nframe_mx = 1\n".to_vec()),
        ("ours-range", b"\0threads = 0\n".to_vec()),
        ("ours-syntax", b"\0listen = [\n\"a\",\n".to_vec()),
        (
            "theirs-unknown",
            b"\x01listeners.tpc.default = 1\n".to_vec(),
        ),
        (
            "theirs-ignored",
            b"\x01cluster_partition_handling = pause_minority\n".to_vec(),
        ),
    ]
    .map(|(name, octets)| ("config", name.to_owned(), octets))
    .to_vec()
}

fn proxy_headers() -> Vec<Seed> {
    let v2 = b"\r\n\r\n\0\r\nQUIT\n";
    let four = [
        &v2[..],
        b"\x21\x11\0\x0c\x7f\0\0\x01\x0a\0\0\x02\x16\x28\x16\x29AMQP",
    ]
    .concat();
    let six = [&v2[..], b"\x21\x21\0\x24", &[0xfe; 32], b"\0\x01\0\x02"].concat();
    let notes = [
        &v2[..],
        b"\x21\x11\0\x10\x7f\0\0\x01\x0a\0\0\x02\x16\x28\x16\x29\x04\0\x01x",
    ];
    [
        (
            "four",
            b"PROXY TCP4 127.0.0.1 10.0.0.2 1 65535\r\nAMQP".to_vec(),
        ),
        ("six", b"PROXY TCP6 ::1 fe80::1 1 2\r\n".to_vec()),
        ("unknown", b"PROXY UNKNOWN what follows\r\n".to_vec()),
        ("binary-four", four),
        ("binary-six", six),
        ("binary-notes", notes.concat()),
        ("binary-local", [&v2[..], b"\x20\0\0\0"].concat()),
        ("none", b"AMQP\0\0\x09\x01".to_vec()),
    ]
    .map(|(name, octets)| ("proxy", name.to_owned(), octets))
    .to_vec()
}
