"""Bindings and routing: direct, fanout, topic, headers, exchange to exchange, CC and BCC."""

from differential.amqp import Typed
from differential.script import script


def routed(t, channel, exchange, queue, *keys, **properties):
    """Publishes under each key, mandatory, and gets one message for each that was routed."""
    for key in keys:
        channel.publish(exchange, key, key, mandatory=True, **properties)
    channel.quiet()
    count = channel.declare(queue, passive=True).get("message-count", 0)
    for _ in range(count):
        channel.get(queue)


@script
def default_exchange(t):
    """The default exchange routes by queue name, and nothing can be bound to it."""
    queue, exchange = t.queue(), t.exchange()
    channel = t.channel()
    channel.declare(queue)
    channel.exchange(exchange)
    routed(t, channel, "", queue, queue, t.name("none"))
    t.channel().bind(queue, "", "k")
    t.channel().call("queue.unbind", queue=queue, exchange="", routing_key=queue)
    for name in ("exchange.bind", "exchange.unbind"):
        t.channel().call(name, source="", destination=exchange)
        t.channel().call(name, source=exchange, destination="")


@script
def missing_ends(t):
    """A missing exchange is told before a missing queue; for exchanges the source first."""
    queue, exchange = t.queue(), t.exchange()
    channel = t.channel()
    channel.declare(queue)
    channel.exchange(exchange)
    t.channel().bind(t.name("none"), t.name("nox"), "k")
    t.channel().bind(t.name("none"), exchange, "k")
    t.channel().bind(queue, t.name("nox"), "k")
    for source, destination in (("nox", "noy"), ("nox", "x"), ("x", "noy")):
        t.channel().call("exchange.bind", source=t.name(source), destination=t.name(destination))


@script
def unbinding_what_is_missing(t):
    """Unbinding is idempotent, also where exchange or queue are missing."""
    queue, exchange = t.queue(), t.exchange()
    channel = t.channel()
    channel.declare(queue)
    channel.exchange(exchange)
    for name, other in ((queue, exchange), (t.name("none"), exchange), (queue, t.name("nox"))):
        channel.call("queue.unbind", queue=name, exchange=other, routing_key="k")
    for source, destination in ((exchange, exchange), (t.name("nox"), exchange), (exchange, t.name("nox"))):
        channel.call("exchange.unbind", source=source, destination=destination, routing_key="k")


@script
def identity(t):
    """A binding is source, destination, key and arguments with their types; a repeated one is the same."""
    queue, exchange = t.queue(), t.exchange()
    channel = t.channel()
    channel.declare(queue)
    channel.exchange(exchange)
    channel.bind(queue, exchange, "k")
    channel.bind(queue, exchange, "k")
    channel.bind(queue, exchange, "k", {"a": 1, "b": 2})
    channel.bind(queue, exchange, "k", {"a": Typed("l", 1), "b": 2})
    routed(t, channel, exchange, queue, "k")
    channel.call("queue.unbind", queue=queue, exchange=exchange, routing_key="k")
    routed(t, channel, exchange, queue, "k")
    channel.call("queue.unbind", queue=queue, exchange=exchange, routing_key="k", arguments={"b": 2, "a": 1})
    routed(t, channel, exchange, queue, "k")
    channel.call("queue.unbind", queue=queue, exchange=exchange, routing_key="k",
                 arguments={"b": 2, "a": Typed("l", 1)})  # fmt: skip
    routed(t, channel, exchange, queue, "k")


@script
def direct(t):
    """direct compares keys octet by octet."""
    queue, exchange = t.queue(), t.exchange()
    channel = t.channel()
    channel.declare(queue)
    channel.exchange(exchange)
    channel.bind(queue, exchange, "key")
    channel.bind(queue, exchange, "")
    channel.bind(queue, exchange, "#")
    routed(t, channel, exchange, queue, "key", "Key", "", "#", "other", "key ")


@script
def fanout(t):
    """fanout ignores keys; a queue gets one copy."""
    queue, other, exchange = t.queue(), t.queue("other"), t.exchange()
    channel = t.channel()
    channel.declare(queue)
    channel.declare(other)
    channel.exchange(exchange, "fanout")
    routed(t, channel, exchange, queue, "k")
    channel.bind(queue, exchange, "1")
    channel.bind(queue, exchange, "2")
    channel.bind(other, exchange, "3")
    routed(t, channel, exchange, queue, "k", "", "1")
    channel.declare(other, passive=True)


TOPICS = {
    "*": ["a", "", "a.b", "."],
    "#": ["a", "", "a.b", ".", "..", "a.b.c.d"],
    "*.*": [".", "a.", ".a", "a.b", "a", "a.b.c"],
    "a.#": ["a", "a.", "a.b", "a.b.c", "b", "", "ab"],
    "#.a": ["a", ".a", "b.a", "c.b.a", "a.b", ""],
    "#.#": ["", "a", "a.b"],
    "#.*": ["", "a", "a.b", "."],
    "*.#": ["", "a", "a.b", "."],
    "*.#.*": ["", "a", "a.b", "a.b.c"],
    "a.#.b": ["a.b", "a.x.b", "a.x.y.b", "a", "ab", "a..b"],
    "a.*.b": ["a.b", "a.x.b", "a..b", "a.x.y.b"],
    "a*": ["a*", "ab", "a"],
    "a#": ["a#", "a", "ab"],
    "a.b": ["a.b", "a", "a.b.", "A.b"],
    "": ["", "a", "."],
    ".": [".", "", "a."],
    "*.a.#.b.*": ["x.a.b.y", "x.a.m.n.b.y", "x.a.b", "a.b.y", "x.a.b.b.y"],
}


@script
def topic(t):
    """topic: a star is one word, a hash any number of them; words may be empty."""
    channel = t.channel()
    for pattern, keys in TOPICS.items():
        queue, exchange = t.queue("q " + pattern), t.exchange("x " + pattern)
        channel.declare(queue)
        channel.exchange(exchange, "topic")
        channel.bind(queue, exchange, pattern)
        got(channel, queue, exchange, keys)


def got(channel, queue, exchange, keys):
    """Publishes under all keys, and gets what was routed."""
    channel.call("confirm.select")
    for key in keys:
        channel.publish(exchange, key, key)
    channel.confirmed()
    for _ in keys:
        channel.get(queue)


@script
def topic_with_several_bindings(t):
    """However many patterns match, a queue gets one copy; unbinding takes one pattern away."""
    queue, exchange = t.queue(), t.exchange()
    channel = t.channel()
    channel.declare(queue)
    channel.exchange(exchange, "topic")
    for pattern in ("a.*", "a.#", "#", "*.b"):
        channel.bind(queue, exchange, pattern)
    routed(t, channel, exchange, queue, "a.b")
    for pattern in ("#", "a.#", "*.b"):
        channel.call("queue.unbind", queue=queue, exchange=exchange, routing_key=pattern)
        routed(t, channel, exchange, queue, "a.b", "a", "c")


@script
def topic_with_many_hashes(t):
    """A key with three hashes and more."""
    channel = t.channel()
    queue, exchange = t.queue(), t.exchange()
    channel.declare(queue)
    channel.exchange(exchange, "topic")
    channel.bind(queue, exchange, "#.a.#")
    channel.bind(queue, exchange, "#.a.#.b.#")


@script
def headers(t):
    """headers: all or any of the binding's arguments, by value."""
    channel = t.channel()
    matches = [
        ({"a": 1, "b": 2}, {"a": 1, "b": 2}, {"a": 1}, {"a": 1, "b": 2, "c": 3}, {}),
        ({"x-match": "all", "a": 1}, {"a": 1}, {"a": 2}, {"b": 1}),
        ({"x-match": "any", "a": 1, "b": 2}, {"a": 1}, {"b": 2}, {"a": 2, "b": 1}, {}),
        ({"x-match": "all"}, {}, {"a": 1}),
        ({"x-match": "any"}, {}, {"a": 1}),
        ({}, {}, {"a": 1}),
        ({"x-other": 1, "a": 1}, {"a": 1}, {"a": 1, "x-other": 2}),
        ({"x-match": "all-with-x", "x-other": 1, "a": 1}, {"a": 1}, {"a": 1, "x-other": 1}),
        ({"x-match": "any-with-x", "x-other": 1, "a": 1}, {"x-other": 1}, {"a": 1}, {"b": 1}),
        ({"a": None}, {"a": 1}, {"a": None}, {"a": "text"}, {"b": 1}),
    ]
    for at, (arguments, *messages) in enumerate(matches):
        match(t, channel, at, arguments, messages)


@script
def header_values(t):
    """headers: numbers are equal by value, strings by octets; other types are never equal."""
    channel = t.channel()
    one = [Typed(tag, 1) for tag in ("b", "B", "s", "u", "I", "i", "l", "L", "T")]
    values = [
        *one, Typed("d", 1.0), Typed("f", 1.0), Typed("d", 1.5), "1", Typed("x", b"1"), True, Typed("t", 2), False, None,
        Typed("D", (0, 1)), Typed("D", (1, 10)), {"k": 1}, {"k": Typed("l", 1)}, [1], [Typed("l", 1)], "", {}, [],
    ]  # fmt: skip
    bound = [
        Typed("I", 1), Typed("l", 1), Typed("d", 1.0), "1", Typed("x", b"1"), True, {"k": 1}, [1], Typed("T", 1),
        Typed("D", (0, 1)), "",
    ]  # fmt: skip
    for at, value in enumerate(bound):
        match(t, channel, at, {"a": value}, [{"a": other} for other in values])


def match(t, channel, at, arguments, messages):
    queue, exchange = t.queue(f"q{at}"), t.exchange(f"x{at}")
    channel.declare(queue)
    channel.exchange(exchange, "headers")
    channel.bind(queue, exchange, "", arguments)
    channel.call("confirm.select")
    for number, message in enumerate(messages):
        channel.publish(exchange, "", str(number), headers=message)
    channel.confirmed()
    matched = []
    # One line for all of them.
    with channel.unrecorded():
        while (message := channel.get(queue)).get("body") is not None:
            matched.append(message["body"].decode())
    channel.note(f"matched by {arguments}", numbers=matched)


@script
def headers_of_messages_without_any(t):
    """headers: a message without headers is as one with none."""
    channel = t.channel()
    for at, arguments in enumerate(({}, {"x-match": "any"}, {"a": None})):
        queue, exchange = t.queue(f"q{at}"), t.exchange(f"x{at}")
        channel.declare(queue)
        channel.exchange(exchange, "headers")
        channel.bind(queue, exchange, "", arguments)
        channel.publish(exchange, "", b"", mandatory=True)
        channel.quiet()
        channel.get(queue)


@script
def bad_x_match(t):
    """x-match is one of four words, where a headers exchange is bound."""
    queue, exchange, other = t.queue(), t.exchange(), t.exchange("direct")
    channel = t.channel()
    channel.declare(queue)
    channel.exchange(exchange, "headers")
    channel.exchange(other)
    for value in ("bogus", 5, True, "", "ALL", None):
        t.channel().bind(queue, exchange, "", {"x-match": value})
    t.channel().bind(queue, other, "", {"x-match": "bogus"})
    t.channel().call("queue.unbind", queue=queue, exchange=exchange, arguments={"x-match": "bogus"})
    t.channel().call("exchange.bind", destination=other, source=exchange, arguments={"x-match": "bogus"})


@script
def exchange_to_exchange(t):
    """exchange.bind leads from source to destination, with the message's own key."""
    channel = t.channel()
    source, destination, queue = t.exchange("source"), t.exchange("destination"), t.queue()
    channel.exchange(source, "topic")
    channel.exchange(destination, "direct")
    channel.declare(queue)
    channel.call("exchange.bind", destination=destination, source=source, routing_key="a.#")
    channel.bind(queue, destination, "a.b")
    routed(t, channel, source, queue, "a.b", "a.c", "b")
    routed(t, channel, destination, queue, "a.b")
    channel.call("exchange.unbind", destination=destination, source=source, routing_key="a.#")
    routed(t, channel, source, queue, "a.b")


@script
def circles_of_exchanges(t):
    """Circles are allowed; each exchange is visited once."""
    channel = t.channel()
    first, second, queue = t.exchange("first"), t.exchange("second"), t.queue()
    for exchange in (first, second):
        channel.exchange(exchange, "fanout")
        channel.call("exchange.bind", destination=exchange, source=exchange)
    channel.declare(queue)
    channel.call("exchange.bind", destination=first, source=second)
    channel.call("exchange.bind", destination=second, source=first)
    channel.bind(queue, first)
    channel.bind(queue, second)
    routed(t, channel, first, queue, "k")
    channel.call("queue.unbind", queue=queue, exchange=first)
    routed(t, channel, first, queue, "k")


@script
def cc_and_bcc(t):
    """CC and BCC add keys; BCC is not delivered; the key that is delivered is the message's own."""
    channel = t.channel()
    queues = [t.queue(f"q{at}") for at in range(4)]
    for queue in queues:
        channel.declare(queue)
    headers = {"CC": [queues[1], 5, queues[0]], "BCC": [queues[2]], "other": "kept"}
    channel.publish("", queues[0], b"1", headers=headers)
    channel.publish("", queues[0], b"2", headers={"BCC": [queues[2]]})
    channel.publish("", t.name("none"), b"3", mandatory=True, headers={"CC": [t.name("nor this")]})
    channel.publish("", t.name("none"), b"4", mandatory=True, headers={"BCC": [queues[3]]})
    channel.publish("", queues[3], b"5", headers={"CC": [], "BCC": []})
    channel.quiet()
    for queue in queues:
        for _ in range(3):
            channel.get(queue)


@script
def cc_over_other_exchanges(t):
    """CC counts for topic and fanout exchanges as well, and once for each queue."""
    channel = t.channel()
    queue, exchange = t.queue(), t.exchange()
    channel.declare(queue)
    channel.exchange(exchange, "topic")
    channel.bind(queue, exchange, "a.*")
    channel.publish(exchange, "b", b"", headers={"CC": ["a.1", "a.2"]})
    channel.quiet()
    channel.get(queue)
    channel.get(queue)


@script
def cc_of_another_type(t):
    """CC and BCC are arrays."""
    for header in ("CC", "BCC"):
        for value in ("text", 5, {"a": 1}, None):
            channel = t.channel()
            channel.publish("", t.name("none"), b"", headers={header: value})
            channel.wait()
