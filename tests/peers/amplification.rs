//! Publishes that mean much work.

use std::time::{Duration, Instant};

use leveret_tests::client::encoded;
use leveret_tests::requests::{bind, exchange, queue, table};
use leveret_tests::{Client, Method, Properties, Publish};
use leveret_wire::AMQPValue;
use leveret_wire::method::queue as queues;

use crate::pulse::{Pulse, milliseconds};
use crate::{Line, Scene};

/// Requests that are sent before their answers are read.
const RUN: usize = 500;

/// Bind `q` so often.
fn bind_all(client: &mut Client, binds: impl Iterator<Item = queues::Bind>) {
    let binds: Vec<queues::Bind> = binds.collect();
    for run in binds.chunks(RUN) {
        let octets: Vec<u8> = run
            .iter()
            .flat_map(|bind| encoded(1, &bind.clone().into_class()))
            .collect();
        client.write(&octets);
        for _ in run {
            let _: queues::BindOk = client.expect(1);
        }
    }
}

/// Publish and get back, so often: the 99th percentile.
fn round_trips(client: &mut Client, count: u32, publish: impl Fn(u32) -> Publish) -> Duration {
    let mut times = Vec::new();
    for number in 0..count {
        let publish = publish(number);
        let began = Instant::now();
        client.publish(1, &publish);
        assert!(client.get(1, "q", true).is_some(), "nothing was routed");
        times.push(began.elapsed());
    }
    times.sort_unstable();
    times[times.len() * 99 / 100]
}

/// 10,000 bindings with two `#`, and keys of 128 words, each another one.
pub(crate) fn topic(scene: &Scene) -> Vec<Line> {
    let broker = scene.broker("");
    let mut client = broker.client();
    client.call(1, queue("q"));
    client.call(1, exchange("x", "topic"));
    let direct = round_trips(&mut client, 1_000, |_| Publish::to_queue("q"));
    bind_all(
        &mut client,
        (0..10_000).map(|number| bind("q", "x", &format!("#.w{number}.#.a"))),
    );
    // 128 words, in 255 octets: all but the last of one letter.
    let p99 = round_trips(&mut client, 1_000, |number| {
        let key = format!("w{number}.{}a", "a.".repeat(122));
        Publish::to("x", key)
    });
    vec![Line::new(
        "publish and get by a topic exchange with 10,000 bindings `#.w.#.a`, keys of 124 words, none seen before",
        format!(
            "p99 {} ms (without the exchange {} ms)",
            milliseconds(p99),
            milliseconds(direct)
        ),
        "1 ms for the routing",
    )]
}

/// 10,000 bindings with 100 headers each.
pub(crate) fn headers(scene: &Scene) -> Vec<Line> {
    let broker = scene.broker("");
    let mut client = broker.client();
    client.call(1, queue("q"));
    client.call(1, exchange("x", "headers"));
    let direct = round_trips(&mut client, 1_000, |_| Publish::to_queue("q"));
    let names: Vec<String> = (0..100).map(|number| format!("h{number}")).collect();
    let rule = |number: i32| {
        table(names.iter().enumerate().map(|(at, name)| {
            // They differ in the last one only.
            let value = if at == 99 { number } else { 1 };
            (name.as_str(), AMQPValue::LongInt(value))
        }))
    };
    bind_all(
        &mut client,
        (0..10_000).map(|number| queues::Bind {
            arguments: rule(number),
            ..bind("q", "x", "")
        }),
    );
    let p99 = round_trips(&mut client, 500, |number| {
        let headers = rule(i32::try_from(number).unwrap() * 7);
        Publish::to("x", "").properties(&Properties::new().headers(&headers))
    });
    vec![Line::new(
        "publish and get by a headers exchange with 10,000 bindings of 100 headers",
        format!(
            "p99 {} ms (without the exchange {} ms)",
            milliseconds(p99),
            milliseconds(direct)
        ),
        "5 ms for the routing",
    )]
}

/// One message of 1 MiB to 100,000 queues.
pub(crate) fn fanout(scene: &Scene) -> Vec<Line> {
    const QUEUES: usize = 100_000;
    let broker = scene.broker("");
    let mut client = broker.client();
    client.call(1, exchange("x", "fanout"));
    let names: Vec<String> = (0..QUEUES).map(|number| format!("q{number}")).collect();
    for run in names.chunks(RUN) {
        let octets: Vec<u8> = run
            .iter()
            .flat_map(|name| {
                let mut both = encoded(1, &queue(name).into_class());
                both.extend(encoded(1, &bind(name, "x", "").into_class()));
                both
            })
            .collect();
        client.write(&octets);
        for _ in run {
            let _: queues::DeclareOk = client.expect(1);
            let _: queues::BindOk = client.expect(1);
        }
    }
    let before = broker.resident_kib();
    let pulse = Pulse::start(broker.address());
    std::thread::sleep(Duration::from_millis(500));
    let began = Instant::now();
    client.publish(1, &Publish::to("x", "").body(vec![b'b'; 1 << 20]));
    client.expect_quiet(1);
    let took = began.elapsed();
    let others = pulse.stop();
    let grown = broker.resident_kib().saturating_sub(before) >> 10;
    vec![
        Line::new(
            "one message of 1 MiB to 100,000 queues",
            format!("{} ms, {grown} MiB more resident", milliseconds(took)),
            "the body once",
        ),
        Line::new("another client meanwhile", others, "p99 100 ms"),
    ]
}
