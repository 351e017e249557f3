//! Peers that have logged in, and take too little or do too much.

use std::time::{Duration, Instant};

use leveret_tests::client::encoded;
use leveret_tests::login::PROTOCOL_HEADER;
use leveret_tests::requests::{
    cancel, close_channel, consume, consume_no_ack, delete_queue, nack_up_to, queue,
};
use leveret_tests::{Client, Method, Program, Publish};
use leveret_wire::method::{basic, channel, queue as queues};

use crate::pulse::Pulse;
use crate::{Line, Scene};

/// Time that a client alone is watched.
const ALONE: Duration = Duration::from_secs(5);

/// 1 GiB, in messages of 16 KiB, from one client to another, few of them on their way.
fn flow(broker: &Program) {
    const MESSAGES: usize = 65_536;
    const WINDOW: usize = 256;
    let mut publisher = broker.client();
    publisher.call(1, queue("flow"));
    let mut fast = broker.client();
    fast.call(1, consume_no_ack("flow", "c"));
    let (sent, taken) = std::sync::mpsc::sync_channel(WINDOW);
    let reader = std::thread::spawn(move || {
        for () in taken {
            fast.expect_delivery(1);
        }
    });
    let message = Publish::to_queue("flow")
        .body(vec![b'b'; 16 << 10])
        .octets(1);
    for _ in 0..MESSAGES {
        publisher.write(&message);
        sent.send(()).unwrap();
    }
    drop(sent);
    reader.join().unwrap();
}

/// A consumer that reads nothing, beside which 1 GiB flows to another one.
pub(crate) fn slow_consumer(scene: &Scene) -> Vec<Line> {
    let broker = scene.broker("");
    flow(&broker);
    let pulse = Pulse::start(broker.address());
    flow(&broker);
    let alone = pulse.stop();
    let resident = broker.resident_kib();
    drop(broker);

    let broker = scene.broker("");
    let mut slow = broker.client();
    slow.call(1, queue("slow"));
    slow.call(1, consume("slow", "c"));
    let mut filler = broker.client();
    for _ in 0..2_000 {
        filler.publish(1, &Publish::to_queue("slow").body(vec![b's'; 16 << 10]));
    }
    filler.expect_quiet(1);
    flow(&broker);
    let pulse = Pulse::start(broker.address());
    flow(&broker);
    let beside = pulse.stop();
    let more = (broker.resident_kib().saturating_sub(resident)) >> 10;
    vec![
        Line::new(
            "a consumer that reads nothing, with 31 MiB for it in its queue, and 2 GiB that flow past it",
            format!("{more} MiB more resident than without it"),
            "the messages, once, and 2 MiB",
        ),
        Line::new(
            "another client beside it and the flow",
            format!("{beside} (without it {alone})"),
            "a fifth more at most",
        ),
    ]
}

/// A million messages out on one channel, given back at once.
pub(crate) fn unacked(scene: &Scene) -> Vec<Line> {
    const COUNT: usize = 1_000_000;
    let broker = scene.broker("");
    let mut publisher = broker.client();
    publisher.call(1, queue("q"));
    for first in (0..COUNT).step_by(10_000) {
        let run = first..first + 10_000;
        publisher.publish_all(1, run.map(|at| Publish::to_queue("q").body(at.to_string())));
    }
    publisher.expect_quiet(1);
    let mut consumer = broker.client();
    consumer.call(1, consume("q", "c"));
    for at in 0..COUNT {
        assert_eq!(consumer.expect_delivery(1).text(), at.to_string());
    }
    let resident = broker.resident_kib() >> 10;
    // So that they go back to the queue, and not out again.
    consumer.send(1, cancel("c"));
    let _: basic::CancelOk = consumer.expect(1);
    let pulse = Pulse::start(broker.address());
    std::thread::sleep(Duration::from_millis(200));
    let began = Instant::now();
    consumer.send(1, nack_up_to(0, true));
    consumer.expect_quiet(1);
    let took = began.elapsed();
    let others = pulse.stop();
    assert_eq!(publisher.counts(1, "q").0 as usize, COUNT);
    for at in 0..1_000 {
        let got = publisher.get(1, "q", true).unwrap();
        assert!(got.redelivered() && got.text() == at.to_string());
    }
    vec![
        Line::new(
            "1,000,000 messages unacknowledged on one channel",
            format!("{resident} MiB resident"),
            "none",
        ),
        Line::new(
            "the nack that gives all of them back, in their order",
            format!("{:.2} s", took.as_secs_f64()),
            "2 s",
        ),
        Line::new("another client meanwhile", others, "2 s"),
    ]
}

/// All channels of eight connections opened and closed, for as long as a flood lasts.
pub(crate) fn channel_storms(scene: &Scene) -> Vec<Line> {
    const CHANNELS: u16 = 2_047;
    let broker = scene.broker("");
    let mut clients: Vec<Client> = (0..8).map(|_| Client::connect(broker.address())).collect();
    let mut octets = Vec::new();
    for number in 1..=CHANNELS {
        octets.extend(encoded(number, &channel::Open {}.into_class()));
    }
    for number in 1..=CHANNELS {
        octets.extend(encoded(number, &close_channel().into_class()));
    }
    let mut storm = || {
        for client in &mut clients {
            client.write(&octets);
        }
        for client in &mut clients {
            for number in 1..=CHANNELS {
                let _: channel::OpenOk = client.expect(number);
            }
            for number in 1..=CHANNELS {
                let _: channel::CloseOk = client.expect(number);
            }
        }
    };
    for _ in 0..5 {
        storm();
    }
    let before = broker.resident_kib();
    let began = Instant::now();
    let mut storms: u64 = 0;
    while began.elapsed() < scene.flood() {
        storm();
        storms += 1;
    }
    let grown = broker.resident_kib().saturating_sub(before);
    let channels = storms * 8 * u64::from(CHANNELS);
    vec![Line::new(
        format!(
            "{channels} channels opened and closed in {} s",
            scene.seconds
        ),
        format!("{grown} KiB more resident"),
        "none",
    )]
}

/// Connections that come and go, half of them torn with a reset.
pub(crate) fn torn_connections(scene: &Scene) -> Vec<Line> {
    let broker = scene.broker("");
    let mut steady = broker.client();
    steady.call(1, queue("q"));
    for number in 0..100 {
        steady.publish_text(1, "q", &number.to_string());
    }
    let run = |time: Duration| {
        let began = Instant::now();
        let mut count: u64 = 0;
        while began.elapsed() < time {
            one_connection(&broker, count);
            count += 1;
        }
        count
    };
    run(Duration::from_secs(5));
    wait_for_files(&broker, &mut steady);
    let (resident, files) = (broker.resident_kib(), broker.open_files());
    let count = run(scene.flood());
    wait_for_files(&broker, &mut steady);
    let grown = broker.resident_kib().saturating_sub(resident);
    let left = broker.open_files().saturating_sub(files);
    vec![Line::new(
        format!(
            "{count} connections in {} s, half of them torn by a reset",
            scene.seconds
        ),
        format!("{grown} KiB more resident, {left} more files open"),
        "1 MiB an hour",
    )]
}

fn one_connection(broker: &Program, number: u64) {
    if number.is_multiple_of(2) {
        broker.client().close();
        return;
    }
    // With something unread the system sends a reset in place of an end.
    if number % 4 == 1 {
        let mut client = broker.client();
        client.send(1, consume("q", "c"));
        client.socket().peek(&mut [0]).unwrap();
    } else {
        let mut client = Client::dial(broker.address());
        client.write(PROTOCOL_HEADER);
        client.socket().peek(&mut [0]).unwrap();
    }
}

/// Wait until nothing of those who have gone is there.
fn wait_for_files(broker: &Program, steady: &mut Client) {
    let mut last = broker.open_files();
    loop {
        std::thread::sleep(Duration::from_millis(500));
        let now = broker.open_files();
        if now == last && steady.counts(1, "q") == (100, 0) {
            return;
        }
        last = now;
    }
}

/// A client that opens, declares, consumes, cancels, deletes and closes without end.
pub(crate) fn undo(scene: &Scene) -> Vec<Line> {
    let broker = scene.broker("");
    let alone = Pulse::alone(broker.address(), ALONE);
    let pulse = Pulse::start(broker.address());
    let mut client = Client::connect(broker.address());
    let mut octets = Vec::new();
    for number in 1..=100 {
        let name = format!("restless {number}");
        octets.extend(encoded(number, &channel::Open {}.into_class()));
        octets.extend(encoded(number, &queue(&name).into_class()));
        octets.extend(encoded(number, &consume(&name, "c").into_class()));
        octets.extend(encoded(number, &cancel("c").into_class()));
        octets.extend(encoded(number, &delete_queue(&name).into_class()));
        octets.extend(encoded(number, &close_channel().into_class()));
    }
    let mut round = || {
        client.write(&octets);
        for number in 1..=100 {
            let _: channel::OpenOk = client.expect(number);
            let _: queues::DeclareOk = client.expect(number);
            let _: basic::ConsumeOk = client.expect(number);
            let _: basic::CancelOk = client.expect(number);
            let _: queues::DeleteOk = client.expect(number);
            let _: channel::CloseOk = client.expect(number);
        }
    };
    for _ in 0..1_000 {
        round();
    }
    let before = broker.resident_kib();
    let began = Instant::now();
    let mut rounds: u64 = 0;
    while began.elapsed() < scene.flood() {
        round();
        rounds += 1;
    }
    let beside = pulse.stop();
    let grown = broker.resident_kib().saturating_sub(before);
    vec![
        Line::new(
            format!(
                "{} commands that undo each other in {} s",
                rounds * 600,
                scene.seconds
            ),
            format!("{grown} KiB more resident"),
            "none",
        ),
        Line::new(
            "another client meanwhile",
            format!("{beside} (alone {alone})"),
            "twice at most",
        ),
    ]
}

/// A connection that owns 5,000 queues goes.
pub(crate) fn exclusive_queues(scene: &Scene) -> Vec<Line> {
    const QUEUES: u64 = 5_000;
    let broker = scene.broker("");
    let mut owner = broker.client();
    let mut octets = Vec::new();
    for number in 0..QUEUES {
        let declare = queues::Declare {
            exclusive: true,
            ..queue(&format!("own {number}"))
        };
        octets.extend(encoded(1, &declare.into_class()));
    }
    let began = Instant::now();
    owner.write(&octets);
    for _ in 0..QUEUES {
        let _: queues::DeclareOk = owner.expect(1);
    }
    let declared = began.elapsed();
    let began = Instant::now();
    owner.close();
    let gone = began.elapsed();
    vec![Line::new(
        "5,000 exclusive queues: declared, and deleted with their owner",
        format!(
            "{:.2} s, {:.2} s",
            declared.as_secs_f64(),
            gone.as_secs_f64()
        ),
        "1 s each",
    )]
}
