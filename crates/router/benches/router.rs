//! What a route and a change cost, with few and with many bindings, and under keys and patterns
//! made to hurt.

mod setup;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use leveret_router::{ExchangeKind, RouteRequest, RouteScratch, Router};
use leveret_wire::{AMQPValue, FieldTable, RawTable, encode_table};
use setup::{EXCHANGE, binding, keyed, queue, router};
use std::hint::black_box;

/// Route the keys in turn; how many queues each of them reaches is checked once before.
fn bench_route(
    criterion: &mut Criterion,
    group: &str,
    parameter: impl std::fmt::Display,
    router: &Router<u64>,
    keys: &[String],
    queues_each: usize,
) {
    let (mut scratch, mut queues) = (RouteScratch::new(), Vec::new());
    let mut route = |key: &String| {
        let request = RouteRequest {
            routing_key: key.as_bytes(),
            ..RouteRequest::default()
        };
        router.route(EXCHANGE.as_bytes(), &request, &mut scratch, &mut queues);
        queues.len()
    };
    for key in keys {
        assert_eq!(route(key), queues_each, "{key}");
    }
    let mut keys = keys.iter().cycle();
    criterion.benchmark_group(group).bench_function(
        BenchmarkId::from_parameter(parameter),
        |bencher| {
            bencher.iter(|| keys.next().map(|key| route(black_box(key))));
        },
    );
}

fn default_exchange(criterion: &mut Criterion) {
    let mut router = Router::new();
    for id in 0..100_000_u64 {
        router.add_queue(&queue(id), id);
    }
    let (mut scratch, mut queues) = (RouteScratch::new(), Vec::new());
    let names: Vec<String> = (0..1000).map(|number| queue(number * 97)).collect();
    let mut names = names.iter().cycle();
    criterion.bench_function("default exchange/100000 queues", |bencher| {
        bencher.iter(|| {
            let request = RouteRequest {
                routing_key: names.next().map_or(b"", String::as_bytes),
                ..RouteRequest::default()
            };
            router.route(b"", &request, &mut scratch, &mut queues)
        });
    });
}

fn direct(criterion: &mut Criterion) {
    for count in [100, 100_000_u64] {
        let router = router(
            ExchangeKind::Direct,
            keyed((0..count).map(|id| format!("orders.eu.{id}"))),
        );
        let keys: Vec<String> = (0..100)
            .map(|number| format!("orders.eu.{}", number * count / 100))
            .collect();
        bench_route(criterion, "direct", count, &router, &keys, 1);
    }
    let fanout = router(ExchangeKind::Fanout, keyed((0..100).map(|_| String::new())));
    bench_route(criterion, "fanout", 100, &fanout, &["k".into()], 100);
}

/// A mix as applications have it: `region.service.*`, `region.#`-like ones under their own region,
/// and exact keys.
fn topic(criterion: &mut Criterion) {
    for count in [100, 1000, 100_000_u64] {
        let patterns = (0..count).map(|id| match id % 4 {
            0 => format!("region{}.service{}.*", id / 40, id % 40),
            1 => format!("region{}.service{}.#", id / 40, id % 40 - 1),
            2 => format!("region{}.service{}.created", id / 40, id % 40 - 2),
            _ => format!("#.urgent.{id}"),
        });
        let router = router(ExchangeKind::Topic, keyed(patterns));
        let keys: Vec<String> = (0..count / 40)
            .take(1000)
            .map(|region| format!("region{region}.service8.created"))
            .collect();
        bench_route(criterion, "topic", count, &router, &keys, 3);
    }
}

/// 10,000 patterns with `#` and keys of 128 words (goal: under 1 ms each).
fn topic_adversarial(criterion: &mut Criterion) {
    let group = "topic adversarial, 10000 bindings, 128 words";
    // One octet a word, so that 128 of them fit into a key; nine longer ones to make it a hundred.
    let single = ('!'..='~')
        .filter(|word| !matches!(word, '#' | '*' | '.'))
        .map(String::from);
    let words: Vec<String> = single
        .chain((0..9).map(|number| format!("w{number}")))
        .collect();
    let many_words: Vec<&str> = words
        .iter()
        .take(91)
        .map(String::as_str)
        .cycle()
        .take(128)
        .collect();
    let pairs = (0..10_000).map(|id| format!("#.{}.#.{}", words[id / 100], words[id % 100]));
    let matched = router(ExchangeKind::Topic, keyed(pairs));
    // The last word closes a pair with each of the 91 words before it.
    bench_route(
        criterion,
        group,
        "#.a.#.b",
        &matched,
        &[many_words.join(".")],
        91,
    );

    let a_128 = vec![vec!["a"; 128].join(".")];
    // Every prefix of stars and a's, in all ways, then a gap: all are live at once.
    let heads = |tail: &'static str| {
        (0..10_000_u32).map(move |id| {
            let words: Vec<&str> = (0..14)
                .map(|bit| if id >> bit & 1 == 1 { "a" } else { "*" })
                .collect();
            words.join(".") + tail
        })
    };
    let one_gap = router(ExchangeKind::Topic, keyed(heads(".#.b")));
    bench_route(criterion, group, "{a,*}^14.#.b", &one_gap, &a_128, 0);
    let two_gaps = router(ExchangeKind::Topic, keyed(heads(".#.b.#")));
    bench_route(criterion, group, "{a,*}^14.#.b.#", &two_gaps, &a_128, 0);
    let stars = router(ExchangeKind::Topic, keyed(heads(".#.*.b.#")));
    bench_route(criterion, group, "{a,*}^14.#.*.b.#", &stars, &a_128, 0);
    let deep = (0..10_000).map(|id| {
        format!(
            "#.a{}.#.{}b{id}",
            ".*".repeat(id % 100),
            "a.".repeat(id / 1000)
        )
    });
    let deep = router(ExchangeKind::Topic, keyed(deep));
    bench_route(criterion, group, "#.a.*^n.#.a^m.b", &deep, &a_128, 0);
    let all = router(ExchangeKind::Topic, keyed(heads(".#")));
    bench_route(
        criterion,
        group,
        "{a,*}^14.# (all match)",
        &all,
        &a_128,
        10_000,
    );
}

fn table(entries: impl IntoIterator<Item = (String, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in entries {
        table.insert(key.into(), value);
    }
    table
}

fn bench_headers(
    criterion: &mut Criterion,
    name: &str,
    router: &Router<u64>,
    message: &FieldTable,
    queues_each: usize,
) {
    let mut octets = Vec::new();
    encode_table(message, &mut octets);
    let Ok(headers) = RawTable::parse(&octets) else {
        return;
    };
    let request = RouteRequest {
        headers: Some(headers),
        ..RouteRequest::default()
    };
    let (mut scratch, mut queues) = (RouteScratch::new(), Vec::new());
    router.route(EXCHANGE.as_bytes(), &request, &mut scratch, &mut queues);
    assert_eq!(queues.len(), queues_each, "{name}");
    criterion
        .benchmark_group("headers")
        .bench_function(name, |bencher| {
            bencher.iter(|| {
                router.route(
                    EXCHANGE.as_bytes(),
                    black_box(&request),
                    &mut scratch,
                    &mut queues,
                )
            });
        });
}

fn headers(criterion: &mut Criterion) {
    let number = |number: u64| AMQPValue::LongLongInt(i64::try_from(number).unwrap_or(0));
    for count in [10_000, 100_000_u64] {
        for mode in ["all", "any"] {
            let rules = (0..count).map(|id| {
                let customer = ("customer".to_string(), number(id));
                let region = (
                    "region".to_string(),
                    number(if mode == "all" { id % 10 } else { id }),
                );
                let mode = ("x-match".to_string(), AMQPValue::LongString(mode.into()));
                (String::new(), table([customer, region, mode]))
            });
            let router = router(ExchangeKind::Headers, rules);
            let message = table([
                ("customer".to_string(), number(count - 7)),
                ("region".to_string(), number(3)),
                ("format".to_string(), AMQPValue::LongString("pdf".into())),
            ]);
            let queues_each = if mode == "all" { 1 } else { 2 };
            bench_headers(
                criterion,
                &format!("{mode}/{count}"),
                &router,
                &message,
                queues_each,
            );
        }
    }
    // 10,000 bindings of 100 headers each of which one differs, all others being met (goal: under 5
    // ms).
    for mode in ["all", "any"] {
        let rules = (0..10_000_u64).map(|id| {
            let shared = (0..99).map(|header| (format!("h{header}"), number(header)));
            let own = ("own".to_string(), number(id));
            let mode = ("x-match".to_string(), AMQPValue::LongString(mode.into()));
            (String::new(), table(shared.chain([own, mode])))
        });
        let router = router(ExchangeKind::Headers, rules);
        let message = table(
            (0..99)
                .map(|header| (format!("h{header}"), number(header)))
                .chain([("own".to_string(), number(42))]),
        );
        let queues_each = if mode == "all" { 1 } else { 10_000 };
        bench_headers(
            criterion,
            &format!("{mode}/10000 of 100 headers"),
            &router,
            &message,
            queues_each,
        );
    }
    // All rules are combinations of the same few terms, so that none is rare.
    let bits = |id: u64| (0..17).map(move |bit| (format!("h{bit}"), number(id >> bit & 1)));
    let router = router(
        ExchangeKind::Headers,
        (0..100_000).map(|id| (String::new(), table(bits(id)))),
    );
    bench_headers(
        criterion,
        "all/100000 of 17 bits",
        &router,
        &table(bits(77_777)),
        1,
    );
}

fn changes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("unbind and bind again at 100000");
    for kind in [
        ExchangeKind::Direct,
        ExchangeKind::Fanout,
        ExchangeKind::Headers,
        ExchangeKind::Topic,
    ] {
        let arguments = |id: u64| {
            table([(
                "customer".to_string(),
                AMQPValue::LongString(id.to_string().into_bytes().into()),
            )])
        };
        let all = (0..100_000).map(|id| (format!("orders.{}.#.{id}", id % 100), arguments(id)));
        let mut router = router(kind, all);
        let mut next = 0;
        group.bench_function(kind.name(), |bencher| {
            bencher.iter_batched(
                || {
                    next = (next + 7919) % 100_000;
                    binding(
                        next,
                        format!("orders.{}.#.{next}", next % 100),
                        arguments(next),
                    )
                },
                |binding| {
                    let removed = router.unbind(&binding);
                    (router.bind(binding), removed)
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
    let all = (0..100_000_u64).map(|id| format!("k{id}"));
    let mut router = router(ExchangeKind::Direct, keyed(all));
    let mut next = 0;
    criterion.bench_function("remove a queue and add it again at 100000", |bencher| {
        bencher.iter(|| {
            next = (next + 7919) % 100_000;
            let removed = router.remove_queue(&queue(next));
            router.add_queue(&queue(next), next);
            (
                router.bind(binding(next, format!("k{next}"), FieldTable::default())),
                removed,
            )
        });
    });
}

criterion_group!(
    benches,
    default_exchange,
    direct,
    topic,
    topic_adversarial,
    headers,
    changes
);
criterion_main!(benches);
