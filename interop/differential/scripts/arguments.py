"""Arguments of queues: what is accepted, refused and compared."""

from differential.amqp import Typed
from differential.script import script


def declared(t, key, values, other=None, **flags):
    """Declares a queue with each value of the argument, each on a channel of its own."""
    connection = t.connection()
    for number, value in enumerate(values, 1):
        queue = t.queue(f"{connection.label}{number}")
        connection.channel(number).declare(queue, {key: value, **(other or {})}, **flags)


NOT_INTEGERS = ["5", 5.0, True, None, Typed("D", (0, 5)), Typed("T", 5), [5], {"a": 5}, Typed("x", b"5")]
INTEGERS = [Typed(tag, 5) for tag in ("b", "B", "s", "u", "I", "i", "l", "L")]


@script
def message_ttl(t):
    """x-message-ttl: 0 to 315360000000."""
    declared(t, "x-message-ttl", [*INTEGERS, *NOT_INTEGERS, 0, -1, 315360000000, 315360000001, Typed("l", -(2**63))])


@script
def expires(t):
    """x-expires: 1 to 315360000000."""
    declared(t, "x-expires", [60000, 0, -1, 315360000000, 315360000001, "5", 60000.0])


@script
def max_length(t):
    """x-max-length and x-max-length-bytes: 0 and more."""
    for key in ("x-max-length", "x-max-length-bytes"):
        declared(t, key, [*INTEGERS, *NOT_INTEGERS, 0, -1, 2**62])


@script
def overflow(t):
    """x-overflow: one of three words."""
    words = ["drop-head", "reject-publish", "reject-publish-dlx", "bogus", "", 5, True, None, "Drop-Head"]
    declared(t, "x-overflow", words)


@script
def dead_letter_exchange(t):
    """x-dead-letter-exchange: a long string."""
    declared(t, "x-dead-letter-exchange", ["x", "", 5, True, None, ["x"], Typed("x", b"x"), "x" * 300])


@script
def dead_letter_routing_key(t):
    """x-dead-letter-routing-key: a long string, with an exchange only."""
    declared(t, "x-dead-letter-routing-key", ["k", "", 5])
    declared(t, "x-dead-letter-routing-key", ["k", "", 5, None, True], {"x-dead-letter-exchange": "x"})


@script
def long_dead_letter_routing_key(t):
    """x-dead-letter-routing-key of more than 255 octets."""
    declared(t, "x-dead-letter-routing-key", ["k" * 256], {"x-dead-letter-exchange": "x"})


@script
def dead_letter_strategy(t):
    """x-dead-letter-strategy: for quorum queues."""
    quorum = {"x-queue-type": "quorum"}
    words = ["at-most-once", "at-least-once", "bogus", 5]
    declared(t, "x-dead-letter-strategy", words)
    declared(t, "x-dead-letter-strategy", words, quorum, durable=True)


@script
def max_priority(t):
    """x-max-priority: 0 to 255."""
    declared(t, "x-max-priority", [0, 1, 255, 256, -1, "5", True, 5.0])


@script
def single_active_consumer(t):
    """x-single-active-consumer: a bool."""
    declared(t, "x-single-active-consumer", [True, False, "true", 1, None])


@script
def queue_type(t):
    """x-queue-type: a word that is known."""
    declared(t, "x-queue-type", ["classic", "bogus", "", 5, True, "Classic", None])


@script
def queue_mode_and_version(t):
    """x-queue-mode: default or lazy; x-queue-version: 1 or 2."""
    declared(t, "x-queue-mode", ["default", "lazy", "bogus", 5, ""])
    declared(t, "x-queue-version", [1, 2, 3, 0, -1, "2", True, Typed("l", 2)])


@script
def master_locators(t):
    """x-queue-master-locator: a strategy that is known, and one that is not."""
    for value in ("min-masters", "client-local", "bogus", 5):
        declared(t, "x-queue-master-locator", [value])


@script
def leader_locators(t):
    """x-queue-leader-locator is for quorum queues."""
    declared(t, "x-queue-leader-locator", ["client-local", "bogus", 5])
    quorum = {"x-queue-type": "quorum"}
    declared(t, "x-queue-leader-locator", ["client-local", "balanced", "bogus", 5], quorum, durable=True)


@script
def delivery_limit(t):
    """x-delivery-limit: for quorum queues, whatever it says."""
    declared(t, "x-delivery-limit", [5, "a"])
    declared(t, "x-delivery-limit", [5, 0, -1, "a"], {"x-queue-type": "quorum"}, durable=True)


@script
def arguments_of_quorum_queues(t):
    """What belongs to quorum queues, and what does not."""
    quorum = {"x-queue-type": "quorum"}
    for key, values in (
        ("x-max-in-memory-length", [5, 0, -1, "5"]), ("x-max-in-memory-bytes", [5, -1]),
        ("x-quorum-initial-group-size", [1, 0, -1, "5"]), ("x-max-priority", [5]), ("x-queue-mode", ["lazy"]),
        ("x-queue-version", [2]), ("x-queue-master-locator", ["min-masters"]), ("x-max-age", ["1h"]),
        ("x-overflow", ["drop-head", "reject-publish", "reject-publish-dlx"]), ("x-expires", [60000]),
        ("x-message-ttl", [60000]), ("x-max-length", [5]), ("x-max-length-bytes", [5]),
        ("x-single-active-consumer", [True]), ("x-initial-cluster-size", [1]),
    ):  # fmt: skip
        declared(t, key, values, quorum, durable=True)
    for key, value in (("x-max-in-memory-length", 5), ("x-quorum-initial-group-size", 1)):
        declared(t, key, [value])


@script
def arguments_of_streams(t):
    """What belongs to streams is refused elsewhere."""
    for key, values in (
        ("x-max-age", ["1h", 5]), ("x-stream-max-segment-size-bytes", [500000, -1, "5"]),
        ("x-initial-cluster-size", [1, 0]),
    ):  # fmt: skip
        declared(t, key, values)


@script
def bad_max_age(t):
    """x-max-age that is no age."""
    declared(t, "x-max-age", ["bogus"])


@script
def unknown_arguments(t):
    """Other arguments are accepted and not compared."""
    queue = t.queue()
    t.channel().declare(queue, {"x-unknown": 5, "y": [None]})
    t.channel().declare(queue, {"x-unknown": "other"})
    t.channel().declare(queue)


@script
def checked_only_when_created(t):
    """The arguments of a queue that exists are compared and not checked."""
    queue = t.queue()
    t.channel().declare(queue)
    t.channel().declare(queue, {"x-message-ttl": "text"})
    t.channel().declare(queue, {"x-queue-type": "bogus"})
    t.channel().declare(queue, {"x-queue-type": "classic"})
    t.channel().declare(queue, {"x-queue-type": "quorum"})


EQUIVALENCES = [
    ("x-max-length", 1000), ("x-message-ttl", 60000), ("x-expires", 60000), ("x-max-length-bytes", 1000),
    ("x-max-priority", 5), ("x-overflow", "drop-head"), ("x-dead-letter-exchange", "x"), ("x-queue-mode", "lazy"),
    ("x-queue-version", 2), ("x-single-active-consumer", True), ("x-queue-master-locator", "min-masters"),
]  # fmt: skip


@script
def equivalence(t):
    """What is missing, added or different is refused; integers are equal by value."""
    for at, (key, value) in enumerate(EQUIVALENCES):
        queue, plain = t.queue(f"q{at}"), t.queue(f"plain{at}")
        connection = t.connection()
        others = [Typed("l", value), Typed("i", value), value + 1, str(value)] if type(value) is int else ["other"]
        connection.channel(1).declare(queue, {key: value})
        connection.channel(2).declare(queue)
        connection.channel(3).declare(plain)
        connection.channel(4).declare(plain, {key: value})
        for number, other in enumerate([value, *others], 5):
            connection.channel(number).declare(queue, {key: other})


@script
def equivalence_of_types(t):
    """The words for types in refusals."""
    queue = t.queue()
    t.channel().declare(queue)
    values = [*INTEGERS, *NOT_INTEGERS, Typed("f", 0.5)]
    connection = t.connection()
    for number, value in enumerate(values, 1):
        connection.channel(number).declare(queue, {"x-max-length": value})


@script
def values_before_types(t):
    """Which of several bad arguments is told."""
    connection = t.connection()
    for number, arguments in enumerate(
        (
            {"x-max-age": "1h", "x-message-ttl": "text"}, {"x-expires": 0, "x-message-ttl": -1},
            {"x-queue-type": "quorum", "x-max-priority": "text"}, {"x-queue-type": "bogus", "x-expires": 0},
            {"x-dead-letter-routing-key": "k", "x-expires": 0}, {"x-dead-letter-exchange": 5, "x-expires": 0},
        ), 1,
    ):  # fmt: skip
        connection.channel(number).declare(t.queue(f"q{number}"), arguments, durable=True)
