//! Topic patterns.

use leveret_tests::requests::{bind, bind_exchange, exchange, queue, unbind};
use leveret_tests::{Publish, Server};

/// Patterns, the keys they match, and keys that they don't.
const CASES: [(&str, &[&str], &[&str]); 17] = [
    ("a.b", &["a.b"], &["a", "a.b.c", "a.B", "a.*", ""]),
    ("", &[""], &["a", "."]),
    ("*", &["a", "#", "*", "a b"], &["", "a.b", "."]),
    ("#", &["", "a", "a.b", ".", "a..b"], &[]),
    ("#.#", &["", "a", "a.b", "."], &[]),
    ("*.*", &["a.b", ".", "a.", ".a"], &["", "a", "a.b.c", ".."]),
    ("a.*", &["a.b", "a."], &["a", "a.b.c", "b.a"]),
    ("*.a", &["b.a", ".a"], &["a", "b.b.a"]),
    ("a.#", &["a", "a.b", "a.b.c", "a."], &["", "b", "ab", "b.a"]),
    ("#.a", &["a", "b.a", "c.b.a", ".a"], &["", "a.b", "ba"]),
    (
        "a.#.b",
        &["a.b", "a.x.b", "a.x.y.b", "a..b"],
        &["a", "b", "a.b.c", "ab"],
    ),
    ("#.*", &["a", "a.b", "."], &[""]),
    ("*.#", &["a", "a.b", "."], &[""]),
    ("*.#.*", &["a.b", "a.b.c", ".", ".."], &["", "a"]),
    ("#.b.#", &["b", "a.b", "b.c", "a.b.c"], &["", "a", "a.bb.c"]),
    ("a*", &["a*"], &["ab", "a"]),
    ("a#", &["a#"], &["a", "ab", "a.b"]),
];

#[test]
fn patterns_match_as_in_rabbitmq() {
    let server = Server::start();
    let mut client = server.client();
    for (number, (pattern, matching, others)) in CASES.iter().enumerate() {
        let name = format!("q{number}");
        let topic = format!("t{number}");
        client.call(1, exchange(&topic, "topic"));
        client.call(1, queue(&name));
        client.call(1, bind(&name, &topic, pattern));
        for key in matching.iter().chain(*others) {
            client.publish(1, &Publish::to(&topic, key).body(*key));
        }
        assert_eq!(client.drain(1, &name), *matching, "pattern {pattern:?}");
    }
}

#[test]
fn all_patterns_of_one_exchange_are_asked() {
    let server = Server::start();
    let mut client = server.client();
    for (number, (pattern, _, _)) in CASES.iter().enumerate() {
        let name = format!("q{number}");
        client.call(1, queue(&name));
        client.call(1, bind(&name, "amq.topic", pattern));
    }
    let keys: std::collections::BTreeSet<&str> = CASES
        .iter()
        .flat_map(|(_, matching, others)| matching.iter().chain(*others))
        .copied()
        .collect();
    for key in &keys {
        client.publish(1, &Publish::to("amq.topic", key).body(*key));
    }
    for (number, (pattern, matching, others)) in CASES.iter().enumerate() {
        let found = client.drain(1, &format!("q{number}"));
        for key in *matching {
            let copies = found.iter().filter(|body| body == key).count();
            assert_eq!(copies, 1, "{pattern:?} and {key:?}");
        }
        for key in *others {
            assert!(
                !found.iter().any(|body| body == key),
                "{pattern:?} and {key:?}"
            );
        }
    }
}

#[test]
fn more_than_two_hashes_are_refused() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    client.call(1, bind("q", "amq.topic", "#.a.#"));
    for (key, count) in [("#.a.#.b.#", 3), ("#.#.#.#", 4)] {
        let text = format!(
            "PRECONDITION_FAILED - Topic binding key '{key}' uses {count} '#' wildcards, at most 2 are allowed"
        );
        client.expect_refused(1, bind("q", "amq.topic", key), 406, &text);
        client.expect_refused(1, bind_exchange("amq.direct", "amq.topic", key), 406, &text);
    }
    // Not words of their own, so no wildcards; and other exchanges don't look.
    client.call(1, bind("q", "amq.topic", "a#.b#.c#"));
    client.call(1, bind("q", "amq.direct", "#.#.#"));
}

#[test]
fn the_longest_keys_are_matched_in_no_time() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    let words = |count: usize, word: &str| vec![word; count].join(".");
    let key = words(128, "a");
    assert_eq!(key.len(), 255);
    client.call(
        1,
        bind("q", "amq.topic", &format!("#.{}.#.b", words(60, "*"))),
    );
    client.call(
        1,
        bind("q", "amq.topic", &format!("#.{}.#", words(120, "*"))),
    );
    for _ in 0..100 {
        client.publish(1, &Publish::to("amq.topic", &key));
    }
    assert_eq!(client.counts(1, "q"), (100, 0));
}

#[test]
fn unbinding_one_pattern_leaves_the_others() {
    let server = Server::start();
    let mut client = server.client();
    client.call(1, queue("q"));
    for key in ["a.*", "a.#", "#"] {
        client.call(1, bind("q", "amq.topic", key));
    }
    client.call(1, unbind("q", "amq.topic", "#"));
    client.publish(1, &Publish::to("amq.topic", "b").body("b"));
    client.publish(1, &Publish::to("amq.topic", "a").body("a"));
    client.call(1, unbind("q", "amq.topic", "a.#"));
    client.publish(1, &Publish::to("amq.topic", "a").body("no"));
    client.publish(1, &Publish::to("amq.topic", "a.b").body("a.b"));
    client.call(1, unbind("q", "amq.topic", "a.*"));
    client.publish(1, &Publish::to("amq.topic", "a.b").body("no"));
    assert_eq!(client.drain(1, "q"), ["a", "a.b"]);
}
