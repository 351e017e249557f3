//! The alarm of memory: raised by what the process takes, cleared when that or the limit has changed.

use std::time::{Duration, Instant};

use leveret::Alarm;
use leveret::config::Watermark;
use leveret_tests::metrics::Scrape;
use leveret_tests::requests::queue;
use leveret_tests::{PATIENCE, Server};
use leveret_wire::method::connection;

fn start(watermark: Watermark) -> Server {
    Server::build(|builder| {
        builder
            .metrics_listen("127.0.0.1:0".parse().unwrap())
            .configure(|config| config.memory.high_watermark = watermark)
    })
}

#[track_caller]
fn wait_for_alarm(server: &Server, raised: bool) {
    let began = Instant::now();
    while server.running().broker().is_raised(Alarm::Memory) != raised {
        assert!(began.elapsed() < PATIENCE, "the alarm is not {raised}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn over_the_watermark_publishers_are_held_back_until_it_is_raised() {
    for watermark in [Watermark::Absolute(1), Watermark::Relative(0.0)] {
        let server = start(watermark);
        wait_for_alarm(&server, true);
        let scrape = Scrape::of(server.metrics_address());
        let low = scrape.value("rabbitmq_alarms_memory_used_watermark");
        assert_eq!(low.to_string(), "1");
        let mut client = server.client();
        client.call(1, queue("q"));
        client.publish_text(1, "q", "m");
        let blocked: connection::Blocked = client.expect(0);
        assert_eq!(blocked.reason.as_str(), "low on memory");
        server
            .running()
            .set_memory_high_watermark(Watermark::Relative(1.0));
        let _: connection::Unblocked = client.expect(0);
        wait_for_alarm(&server, false);
        client.expect_quiet(1);
        assert_eq!(client.counts(1, "q"), (1, 0));
    }
}

#[test]
fn without_a_watermark_memory_is_never_low() {
    let server = start(Watermark::None);
    let scrape = Scrape::of(server.metrics_address());
    assert!(!scrape.text.contains("rabbitmq_resident_memory_limit_bytes"));
    server
        .running()
        .set_memory_high_watermark(Watermark::Absolute(1 << 50));
    let scrape = Scrape::of(server.metrics_address());
    let limit = scrape.value("rabbitmq_resident_memory_limit_bytes");
    assert!((limit - 2f64.powi(50)).abs() < 1.0);
    assert!(!server.running().broker().is_raised(Alarm::Memory));
}
