//! The trie against a table of known answers, and against the definition.

use super::*;
use crate::targets::Collector;
use proptest::prelude::*;

/// The numbers of the patterns that match, sorted.
fn matches(index: &TopicIndex<usize>, key: &[u8], scratch: &mut TopicScratch) -> Vec<usize> {
    let (mut queues, mut exchanges) = (Vec::new(), Vec::new());
    let mut collector = Collector {
        queues: &mut queues,
        exchanges: &mut exchanges,
        sets: 0,
    };
    index.collect(key, scratch, &mut collector);
    queues.sort_unstable();
    queues.dedup();
    queues
}

fn index_of<'a>(patterns: impl IntoIterator<Item = &'a str>) -> TopicIndex<usize> {
    let mut index = TopicIndex::new(SecretState::default());
    for (number, pattern) in patterns.into_iter().enumerate() {
        index.insert(pattern.as_bytes(), Target::Queue(number));
    }
    index
}

/// The definition: try every way.
fn naive(pattern: &[&str], key: &[&str]) -> bool {
    match (pattern.split_first(), key.split_first()) {
        (None, _) => key.is_empty(),
        (Some((&"#", rest)), _) => (0..=key.len()).any(|taken| naive(rest, &key[taken..])),
        (Some(_), None) => false,
        (Some((word, rest)), Some((first, others))) => {
            (*word == "*" || word == first) && naive(rest, others)
        }
    }
}

fn naive_split(key: &str) -> Vec<&str> {
    if key.is_empty() {
        Vec::new()
    } else {
        key.split('.').collect()
    }
}

/// What RabbitMQ answers: pattern, keys that match, keys that do not.
const KNOWN: &[(&str, &[&str], &[&str])] = &[
    ("", &[""], &["a", ".", "a."]),
    ("a", &["a"], &["", "b", "a.", ".a", "a.a", "A"]),
    ("*", &["a", "*", "#"], &["", "a.b", "."]),
    ("#", &["", "a", ".", "a.b.c", "..."], &[]),
    ("*.*", &[".", "a.", ".a", "a.b"], &["", "a", "..", "a.b.c"]),
    ("a.#", &["a", "a.", "a.b", "a.b.c"], &["", "b", "b.a", "ab"]),
    ("#.a", &["a", ".a", "b.a", "a.a"], &["", "a.b", "a."]),
    ("#.#", &["", "a", ".", "a.b.c"], &[]),
    ("#.*", &["a", ".", "a.b"], &[""]),
    ("*.#", &["a", ".", "a.b"], &[""]),
    ("*.#.*", &[".", "a.b", "a.b.c"], &["", "a"]),
    ("#.*.#", &["a", ".", "a.b"], &[""]),
    (
        "a.#.b",
        &["a.b", "a.x.b", "a.b.b", "a..b"],
        &["a", "b", "a.b.c", "ab"],
    ),
    ("#.a.#", &["a", "x.a", "a.x", "x.a.x"], &["", "x", "aa"]),
    ("a*", &["a*"], &["ab", "a", "a.b"]),
    ("a#", &["a#"], &["a", "ab", "a.b"]),
    ("*a.#b", &["*a.#b"], &["a.b", "xa.b"]),
    ("a..b", &["a..b"], &["a.b", "a.x.b"]),
    ("a.*.b", &["a..b", "a.x.b"], &["a.b", "a.x.x.b"]),
    (".", &["."], &["", "a", "..", "a."]),
    (
        "*.orange.*",
        &["quick.orange.rabbit"],
        &["orange", "quick.orange", "quick.orange.male.rabbit"],
    ),
    (
        "lazy.#",
        &["lazy", "lazy.pink.rabbit", "lazy.orange.new.rabbit"],
        &["quick.lazy"],
    ),
];

#[test]
fn known_answers() {
    let mut scratch = TopicScratch::default();
    for (pattern, hits, misses) in KNOWN {
        let index = index_of([*pattern]);
        for hit in *hits {
            assert_eq!(
                matches(&index, hit.as_bytes(), &mut scratch),
                [0],
                "{pattern:?} matches {hit:?}"
            );
        }
        for miss in *misses {
            assert!(
                matches(&index, miss.as_bytes(), &mut scratch).is_empty(),
                "{pattern:?} does not match {miss:?}"
            );
        }
    }
}

#[test]
fn known_answers_in_one_trie() {
    let index = index_of(KNOWN.iter().map(|(pattern, ..)| *pattern));
    let mut scratch = TopicScratch::default();
    for (number, (pattern, hits, misses)) in KNOWN.iter().enumerate() {
        for hit in *hits {
            assert!(
                matches(&index, hit.as_bytes(), &mut scratch).contains(&number),
                "{pattern:?} {hit:?}"
            );
        }
        for miss in *misses {
            assert!(
                !matches(&index, miss.as_bytes(), &mut scratch).contains(&number),
                "{pattern:?} {miss:?}"
            );
        }
    }
}

/// RabbitMQ 4.3.1 fixed that an empty key reached queues bound with other keys.
#[test]
fn an_empty_key_reaches_no_foreign_queue() {
    let index = index_of(["a", "a.b", "*", "*.*", ".", "a.#", "#.a"]);
    assert!(matches(&index, b"", &mut TopicScratch::default()).is_empty());
}

#[test]
fn keys_need_not_be_utf8() {
    let index = index_of(["a.*", "#.b"]);
    let mut scratch = TopicScratch::default();
    assert_eq!(matches(&index, b"a.\xff\xfe", &mut scratch), [0]);
    assert_eq!(matches(&index, b"\xff.\x00.b", &mut scratch), [1]);
}

#[test]
fn a_pattern_in_use_by_others_stays() {
    let mut index = index_of(["a.b", "a.b.c", "a.#"]);
    let mut scratch = TopicScratch::default();
    index.remove(b"a.b.c", Target::Queue(1));
    index.remove(b"a.zzz", Target::Queue(0));
    index.remove(b"a", Target::Queue(0));
    assert_eq!(matches(&index, b"a.b", &mut scratch), [0, 2]);
    assert_eq!(matches(&index, b"a.b.c", &mut scratch), [2]);
}

/// What a gap knows makes searches short; it must not remember what is gone.
#[test]
fn a_gap_forgets_what_is_removed() {
    let mut index = index_of(["#", "#.a", "#.b", "#.a.b", "#.a.#", "#.a.#.c"]);
    let rest = |index: &TopicIndex<usize>| {
        let gap = index.nodes.get(ROOT).unwrap().gap.unwrap();
        let rest = index.nodes.get(gap).unwrap().rest.as_ref().unwrap();
        (rest.tails.clone(), rest.gaps_below)
    };
    assert_eq!(rest(&index), (vec![(1, 2), (2, 1)], 1));
    index.remove(b"#.a.#", Target::Queue(4));
    index.remove(b"#.a", Target::Queue(1));
    assert_eq!(rest(&index), (vec![(1, 1), (2, 1)], 1));
    index.remove(b"#.a.#.c", Target::Queue(5));
    index.remove(b"#.a.b", Target::Queue(3));
    assert_eq!(rest(&index), (vec![(1, 1)], 0));
    index.remove(b"#.b", Target::Queue(2));
    assert_eq!(rest(&index), (vec![], 0));
}

#[test]
fn two_bindings_to_one_queue_are_two() {
    let mut index = index_of([]);
    let mut scratch = TopicScratch::default();
    for _ in 0..2 {
        index.insert(b"#.a", Target::Queue(7));
    }
    index.remove(b"#.a", Target::Queue(7));
    assert_eq!(matches(&index, b"x.a", &mut scratch), [7]);
    index.remove(b"#.a", Target::Queue(7));
    assert!(matches(&index, b"x.a", &mut scratch).is_empty());
}

/// Patterns that cost naive matchers years: every word can be where a `#` ends.
#[test]
fn adversarial_patterns_take_no_time() {
    let patterns: Vec<String> = (0..1000)
        .map(|number| {
            format!(
                "#.a{}.#.{}",
                ".*".repeat(number % 90),
                "a.".repeat(number / 90) + "b"
            )
        })
        .collect();
    let index = index_of(patterns.iter().map(String::as_str));
    let key = "a.".repeat(127) + "a";
    let mut scratch = TopicScratch::default();
    assert!(matches(&index, key.as_bytes(), &mut scratch).is_empty());
    assert_eq!(
        matches(&index, (key + ".b").as_bytes(), &mut scratch).len(),
        1000
    );
}

#[test]
fn a_key_too_long_for_the_wire_matches_nothing() {
    let index = index_of(["#"]);
    let mut scratch = TopicScratch::default();
    for (dots, matched) in [(62, 1), (63, 1), (64, 1), (318, 1), (319, 0), (5000, 0)] {
        assert_eq!(
            matches(&index, ".".repeat(dots).as_bytes(), &mut scratch).len(),
            matched,
            "{dots}"
        );
    }
}

#[test]
fn a_key_of_255_dots_has_256_words() {
    let index = index_of(["#", "#.*", "*.#.*.#"]);
    let key = ".".repeat(255);
    assert_eq!(split(key.as_bytes()).count(), 256);
    assert_eq!(
        matches(&index, key.as_bytes(), &mut TopicScratch::default()),
        [0, 1, 2]
    );
}

fn word() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["", "a", "b", "c"])
}

fn pattern() -> impl Strategy<Value = String> {
    let words = prop_oneof![6 => word(), 3 => Just("*"), 3 => Just("#"), 1 => Just("a#")];
    prop::collection::vec(words, 0..7).prop_map(|mut words| {
        let mut hashes = 0;
        words.retain(|word| {
            hashes += usize::from(*word == "#");
            *word != "#" || hashes <= TOPIC_HASHES_MAX
        });
        words.join(".")
    })
}

fn key() -> impl Strategy<Value = String> {
    prop::collection::vec(word(), 0..9).prop_map(|words| words.join("."))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn the_trie_matches_what_the_definition_does(
        patterns in prop::collection::vec(pattern(), 1..24),
        removed in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        keys in prop::collection::vec(key(), 1..24),
    ) {
        let mut index = index_of(patterns.iter().map(String::as_str));
        let mut bound: Vec<usize> = (0..patterns.len()).collect();
        let mut scratch = TopicScratch::default();
        for place in removed {
            if bound.is_empty() {
                break;
            }
            let number = bound.swap_remove(place.index(bound.len()));
            index.remove(patterns[number].as_bytes(), Target::Queue(number));
        }
        bound.sort_unstable();
        for key in &keys {
            let expected: Vec<usize> = bound
                .iter()
                .copied()
                .filter(|number| naive(&naive_split(&patterns[*number]), &naive_split(key)))
                .collect();
            let found = matches(&index, key.as_bytes(), &mut scratch);
            prop_assert_eq!(found, expected, "{} in {:?}", key, &patterns);
        }
        for number in bound {
            index.remove(patterns[number].as_bytes(), Target::Queue(number));
        }
        prop_assert_eq!((index.nodes.len(), index.words.len()), (1, 0));
    }

    /// Long keys have sets of places of more than one machine word.
    #[test]
    fn the_trie_matches_long_keys(
        key in prop::collection::vec(word(), 50..140),
        cuts in prop::collection::vec(
            (0..5_usize, 0..5_usize, prop::option::of(word()), any::<bool>()),
            1..12,
        ),
        patterns in prop::collection::vec(pattern(), 0..12),
    ) {
        let mut patterns = patterns;
        for (head, tail, middle, star) in cuts {
            let mut words: Vec<&str> = key[..head].to_vec();
            words.push("#");
            if let Some(middle) = middle {
                words.extend([middle, if star { "*" } else { "a" }, "#"]);
            }
            words.extend(&key[key.len() - tail..]);
            patterns.push(words.join("."));
        }
        let index = index_of(patterns.iter().map(String::as_str));
        let expected: Vec<usize> = (0..patterns.len())
            .filter(|number| naive(&naive_split(&patterns[*number]), &key))
            .collect();
        let found = matches(&index, key.join(".").as_bytes(), &mut TopicScratch::default());
        prop_assert_eq!(found, expected, "{:?} in {:?}", &key, &patterns);
    }
}
