import pytest
from pika import BasicProperties
from pika.compat import long

from refusals import channel_error
from session import fetch


def reached(channel, queue, exchange, key, headers=None):
    channel.basic_publish(exchange, key, b"m", BasicProperties(headers=headers))
    return fetch(channel, queue) is not None


def test_the_default_exchange_routes_by_queue_name(session, channel):
    queue, other = session.queue(channel), session.queue(channel)
    assert reached(channel, queue, "", queue)
    assert not reached(channel, queue, "", other)


def test_a_direct_exchange_compares_the_whole_key(session, channel):
    exchange, queue = session.exchange(channel, "direct"), session.queue(channel)
    channel.queue_bind(queue, exchange, "red")
    assert reached(channel, queue, exchange, "red")
    for key in ("Red", "re", "red.", "", "r*"):
        assert not reached(channel, queue, exchange, key)


def test_a_fanout_exchange_ignores_the_key(session, channel):
    exchange, queue = session.exchange(channel, "fanout"), session.queue(channel)
    channel.queue_bind(queue, exchange, "a")
    for key in ("a", "b", ""):
        assert reached(channel, queue, exchange, key)


# A word may be empty; `*` is one word, `#` any number of them.
TOPICS = [
    ("a.b", ["a.b"], ["a", "a.b.c", "a.", ""]),
    ("*", ["a"], ["", "a.b", "."]),
    ("#", ["", "a", "a.b.c", "."], []),
    ("a.*", ["a.b", "a."], ["a", "a.b.c", "b.a"]),
    ("*.*", ["a.b", ".", "a.", ".a"], ["a", "", "a.b.c"]),
    ("a.#", ["a", "a.b", "a.b.c"], ["b", "ab", "", "b.a"]),
    ("#.b", ["b", "a.b", "a.c.b"], ["b.a", "ab", ""]),
    ("a.#.b", ["a.b", "a.x.b", "a.x.y.b"], ["a", "b", "a.b.c"]),
    ("*.#.*", ["a.b", "a.b.c"], ["a", ""]),
    ("a*", ["a*"], ["ab", "a"]),
]


@pytest.mark.parametrize("pattern, matching, others", TOPICS, ids=[row[0] for row in TOPICS])
def test_topic_pattern(session, channel, pattern, matching, others):
    exchange, queue = session.exchange(channel, "topic"), session.queue(channel)
    channel.queue_bind(queue, exchange, pattern)
    for key in matching:
        assert reached(channel, queue, exchange, key), key
    for key in others:
        assert not reached(channel, queue, exchange, key), key


HEADERS = {
    "all by default": ({"a": "1", "b": 2}, [{"a": "1", "b": 2, "c": 3}], [{"a": "1"}, {}, None]),
    "any": ({"x-match": "any", "a": "1", "b": 2}, [{"a": "1"}, {"b": 2, "a": "x"}], [{"a": "x"}, None]),
    "empty all": ({"x-match": "all"}, [{}, {"a": 1}, None], []),
    "empty any": ({"x-match": "any"}, [], [{}, {"a": 1}, None]),
    "void is presence": ({"a": None}, [{"a": 1}, {"a": "x"}], [{"b": 1}]),
    "x- keys ignored": ({"a": "1", "x-b": "2"}, [{"a": "1"}], [{"x-b": "2"}]),
    "all-with-x": ({"x-match": "all-with-x", "x-b": "2"}, [{"x-b": "2"}], [{}]),
    # A Python int goes out as 32 bits, pika's long as 64.
    "numbers by value": ({"a": 1}, [{"a": 1}, {"a": long(1)}], [{"a": "1"}, {"a": True}]),
    "lists": ({"a": [1, "two"]}, [{"a": [1, "two"]}], [{"a": [1]}]),
}


@pytest.mark.parametrize("case", HEADERS)
def test_headers_exchange(session, channel, case):
    arguments, matching, others = HEADERS[case]
    exchange, queue = session.exchange(channel, "headers"), session.queue(channel)
    channel.queue_bind(queue, exchange, arguments=arguments)
    for headers in matching:
        assert reached(channel, queue, exchange, "", headers), headers
    for headers in others:
        assert not reached(channel, queue, exchange, "", headers), headers


def test_an_unknown_x_match_is_refused_with_406(session, channel):
    with channel_error(406, "PRECONDITION_FAILED - Invalid x-match field value"):
        channel.queue_bind(session.queue(channel), "amq.headers", arguments={"x-match": "some"})
