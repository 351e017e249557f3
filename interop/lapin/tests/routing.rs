use lapin::ExchangeKind::{self, Direct, Fanout, Headers, Topic};
use lapin::types::AMQPValue::{self, Boolean, ByteArray, LongInt, LongLongInt, Void};
use lapin::types::{FieldTable, ShortString};
use lapin::{BasicProperties, Channel};

use crate::refusal::assert_error;
use crate::session::{Session, fetch, long, publish_with, scenario, table};

/// A queue bound to an exchange of its own.
struct Bound {
    channel: Channel,
    exchange: ShortString,
    queue: ShortString,
}

impl Bound {
    async fn new(s: &Session, kind: ExchangeKind, key: &str, arguments: FieldTable) -> Self {
        let channel = s.channel().await;
        let (exchange, queue) = (s.exchange(&channel, kind).await, s.queue(&channel).await);
        channel.queue_bind(queue.clone(), exchange.clone(), key.into(), Default::default(), arguments).await.unwrap();
        Self { channel, exchange, queue }
    }

    async fn reached(&self, key: &str, headers: FieldTable) -> bool {
        let properties = BasicProperties::default().with_headers(headers);
        publish_with(&self.channel, self.exchange.as_str(), key, b"m", properties).await;
        fetch(&self.channel, &self.queue).await.is_some()
    }
}

#[tokio::test]
async fn the_default_exchange_routes_by_queue_name() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let (queue, other) = (s.queue(&channel).await, s.queue(&channel).await);
        publish_with(&channel, "", queue.as_str(), b"m", Default::default()).await;
        assert!(fetch(&channel, &queue).await.is_some());
        assert!(fetch(&channel, &other).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn a_direct_exchange_compares_the_whole_key() {
    scenario(|s| async move {
        let bound = Bound::new(&s, Direct, "red", FieldTable::default()).await;
        assert!(bound.reached("red", FieldTable::default()).await);
        for key in ["Red", "re", "red.", "", "#"] {
            assert!(!bound.reached(key, FieldTable::default()).await, "{key:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_fanout_exchange_ignores_the_key() {
    scenario(|s| async move {
        let bound = Bound::new(&s, Fanout, "a", FieldTable::default()).await;
        for key in ["a", "b", ""] {
            assert!(bound.reached(key, FieldTable::default()).await, "{key:?}");
        }
    })
    .await;
}

/// Pattern, keys that match, keys that do not. A word may be empty; `*` is one word, `#` any number of them.
const TOPICS: [(&str, &[&str], &[&str]); 11] = [
    ("a.b", &["a.b"], &["a", "a.b.c", "a.", ""]),
    ("*", &["a"], &["", "a.b", "."]),
    ("#", &["", "a", "a.b.c", "."], &[]),
    ("a.*", &["a.b", "a."], &["a", "a.b.c", "b.a"]),
    ("*.*", &["a.b", ".", "a.", ".a"], &["a", "", "a.b.c"]),
    ("a.#", &["a", "a.b", "a.b.c"], &["b", "ab", "", "b.a"]),
    ("#.b", &["b", "a.b", "a.c.b"], &["b.a", "ab", ""]),
    ("a.#.b", &["a.b", "a.x.b", "a.x.y.b"], &["a", "b", "a.b.c"]),
    ("#.*", &["a", "a.b"], &[""]),
    ("*.#.*", &["a.b", "a.b.c"], &["a", ""]),
    ("a#", &["a#"], &["ab", "a"]),
];

#[tokio::test]
async fn topic_patterns() {
    scenario(|s| async move {
        for (pattern, matching, others) in TOPICS {
            let bound = Bound::new(&s, Topic, pattern, FieldTable::default()).await;
            for key in matching {
                assert!(bound.reached(key, FieldTable::default()).await, "{pattern:?} must match {key:?}");
            }
            for key in others {
                assert!(!bound.reached(key, FieldTable::default()).await, "{pattern:?} must not match {key:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_topic_exchange_serves_many_patterns_at_once() {
    scenario(|s| async move {
        let channel = s.channel().await;
        let exchange = s.exchange(&channel, Topic).await;
        let mut queues = Vec::new();
        for i in 0..200 {
            let queue = s.queue(&channel).await;
            let key = format!("group.{}.{i}", i % 10);
            channel
                .queue_bind(queue.clone(), exchange.clone(), key.into(), Default::default(), Default::default())
                .await
                .unwrap();
            queues.push(queue);
        }
        let all = s.queue(&channel).await;
        channel
            .queue_bind(all.clone(), exchange.clone(), "group.*.42".into(), Default::default(), Default::default())
            .await
            .unwrap();
        publish_with(&channel, exchange.as_str(), "group.2.42", b"m", Default::default()).await;
        let mut reached = Vec::new();
        for (i, queue) in queues.iter().enumerate() {
            if fetch(&channel, queue).await.is_some() {
                reached.push(i);
            }
        }
        assert_eq!(reached, [42]);
        assert!(fetch(&channel, &all).await.is_some());
    })
    .await;
}

/// Whether a binding with these arguments takes a message with those headers.
async fn assert_headers<const B: usize, const H: usize>(
    s: &Session,
    arguments: [(&str, AMQPValue); B],
    headers: [(&str, AMQPValue); H],
    expected: bool,
) {
    let shown = format!("{arguments:?} and {headers:?}");
    let bound = Bound::new(s, Headers, "", table(arguments)).await;
    assert_eq!(bound.reached("", table(headers)).await, expected, "{shown}");
}

#[tokio::test]
async fn headers_match_all_by_default() {
    scenario(|s| async move {
        let both = [("a", long("1")), ("b", LongInt(2))];
        assert_headers(&s, both.clone(), [("a", long("1")), ("b", LongInt(2)), ("c", Void)], true).await;
        assert_headers(&s, both.clone(), [("a", long("1"))], false).await;
        assert_headers(&s, both, [("a", long("x")), ("b", LongInt(2))], false).await;
        assert_headers(&s, [("x-match", long("all"))], [], true).await;
    })
    .await;
}

#[tokio::test]
async fn headers_match_any_if_asked() {
    scenario(|s| async move {
        let any = [("x-match", long("any")), ("a", long("1")), ("b", LongInt(2))];
        assert_headers(&s, any.clone(), [("b", LongInt(2))], true).await;
        assert_headers(&s, any.clone(), [("a", long("x"))], false).await;
        assert_headers(&s, any, [], false).await;
        assert_headers(&s, [("x-match", long("any"))], [("a", Void)], false).await;
    })
    .await;
}

#[tokio::test]
async fn headers_with_x_count_only_if_asked() {
    scenario(|s| async move {
        assert_headers(&s, [("a", long("1")), ("x-b", long("2"))], [("a", long("1"))], true).await;
        let with_x = [("x-match", long("all-with-x")), ("a", long("1")), ("x-b", long("2"))];
        assert_headers(&s, with_x.clone(), [("a", long("1"))], false).await;
        assert_headers(&s, with_x, [("a", long("1")), ("x-b", long("2"))], true).await;
        let any_with_x = [("x-match", long("any-with-x")), ("x-b", long("2"))];
        assert_headers(&s, any_with_x, [("x-b", long("2"))], true).await;
    })
    .await;
}

#[tokio::test]
async fn header_values_compare_by_value_within_their_kind() {
    scenario(|s| async move {
        assert_headers(&s, [("a", LongInt(1))], [("a", LongLongInt(1))], true).await;
        assert_headers(&s, [("a", LongInt(1))], [("a", long("1"))], false).await;
        assert_headers(&s, [("a", Boolean(true))], [("a", LongInt(1))], false).await;
        assert_headers(&s, [("a", long("x"))], [("a", ByteArray(b"x".to_vec().into()))], true).await;
        assert_headers(&s, [("a", Void)], [("a", LongInt(7))], true).await;
        assert_headers(&s, [("a", Void)], [("b", LongInt(7))], false).await;
    })
    .await;
}

#[tokio::test]
async fn an_unknown_x_match_is_refused_with_406() {
    scenario(|s| async move {
        for (value, text) in [(long("some"), "Invalid x-match field value"), (LongInt(5), "Invalid x-match field type")]
        {
            let channel = s.channel().await;
            let queue = s.queue(&channel).await;
            let arguments = table([("x-match", value)]);
            let bind = channel.queue_bind(queue, "amq.headers".into(), "".into(), Default::default(), arguments);
            assert_error(&bind.await.unwrap_err(), 406, text);
        }
    })
    .await;
}
