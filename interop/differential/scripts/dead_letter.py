"""Dead letters: reasons, keys, headers, circles."""

from differential.amqp import Typed
from differential.script import script


def letterbox(t, channel, arguments=None, key="letters"):
    """A queue that dead-letters to another one over the default exchange; the names of both."""
    queue, letters = t.queue(), t.queue("letters")
    channel.declare(letters)
    target = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": letters} if key else {}
    channel.declare(queue, {**target, **(arguments or {})})
    return queue, letters


@script
def rejected(t):
    """Rejected without requeue: reason rejected."""
    channel = t.channel()
    queue, letters = letterbox(t, channel)
    channel.fill(queue, b"1", b"2", content_type="text/plain", delivery_mode=2, message_id="m")
    channel.get(queue, no_ack=False)
    channel.get(queue, no_ack=False)
    channel.reject(1, requeue=False)
    channel.nack(2, requeue=False)
    channel.quiet()
    channel.get(letters)
    channel.get(letters)


@script
def expired(t):
    """Expired: the expiration goes into the history."""
    channel = t.channel()
    queue, letters = letterbox(t, channel, {"x-message-ttl": 300})
    channel.fill(queue, b"by queue")
    channel.fill(queue, b"by message", expiration="100", headers={"a": 1, "z": 2})
    channel.quiet(1.2)
    channel.get(letters)
    channel.get(letters)


@script
def own_keys(t):
    """Without a key for dead letters a message keeps its own, and those of CC."""
    channel = t.channel()
    exchange, queue, first, second = t.exchange(), t.queue(), t.queue("first"), t.queue("second")
    channel.exchange(exchange)
    for name, key in ((first, queue), (second, "copy")):
        channel.declare(name)
        channel.bind(name, exchange, key)
    channel.declare(queue, {"x-dead-letter-exchange": exchange})
    channel.fill(queue, b"", headers={"CC": ["copy"]})
    channel.get(queue, no_ack=False)
    channel.reject(1, requeue=False)
    channel.quiet()
    channel.get(first)
    channel.get(second)


@script
def own_keys_of_bcc(t):
    """Keys of BCC in a dead letter."""
    channel = t.channel()
    exchange, queue, first, second = t.exchange(), t.queue(), t.queue("first"), t.queue("second")
    channel.exchange(exchange)
    for name, key in ((first, queue), (second, "blind")):
        channel.declare(name)
        channel.bind(name, exchange, key)
    channel.declare(queue, {"x-dead-letter-exchange": exchange})
    channel.fill(queue, b"", headers={"BCC": ["blind"]})
    channel.get(queue, no_ack=False)
    channel.reject(1, requeue=False)
    channel.quiet()
    channel.get(first)
    channel.get(second)


@script
def given_key_removes_cc(t):
    """With a key for dead letters CC is removed."""
    channel = t.channel()
    queue, letters = letterbox(t, channel)
    channel.fill(queue, b"", headers={"CC": ["copy"], "kept": True})
    channel.get(queue, no_ack=False)
    channel.reject(1, requeue=False)
    channel.quiet()
    channel.get(letters)


@script
def missing_exchange(t):
    """Where the exchange is missing the message is lost; it may be declared later."""
    channel = t.channel()
    exchange, queue, letters = t.exchange(), t.queue(), t.queue("letters")
    channel.declare(queue, {"x-dead-letter-exchange": exchange})
    channel.declare(letters)
    channel.fill(queue, b"1", b"2")
    channel.get(queue, no_ack=False)
    channel.reject(1, requeue=False)
    channel.quiet()
    channel.exchange(exchange, "fanout")
    channel.bind(letters, exchange)
    channel.get(queue, no_ack=False)
    channel.reject(2, requeue=False)
    channel.quiet()
    channel.get(letters)
    channel.get(letters)


@script
def every_queue_gets_its_own(t):
    """Each queue of the exchange gets the letter."""
    channel = t.channel()
    exchange, queue = t.exchange(), t.queue()
    channel.exchange(exchange, "fanout")
    channel.declare(queue, {"x-dead-letter-exchange": exchange})
    for word in ("a", "b"):
        channel.declare(t.queue(word))
        channel.bind(t.name(word), exchange)
    channel.fill(queue, b"1")
    channel.get(queue, no_ack=False)
    channel.reject(1, requeue=False)
    channel.quiet()
    channel.get(t.name("a"))
    channel.get(t.name("b"))


@script
def same_death_again(t):
    """The same death again is counted, and its entry comes first."""
    channel = t.channel()
    queue, letters = letterbox(t, channel)
    channel.fill(queue, b"1")
    for turn in range(2):
        tag = channel.get(queue, no_ack=False)["delivery-tag"]
        channel.reject(tag, requeue=False)
        channel.quiet()
        # Its history goes back with it, as it came.
        channel.get(letters)
        if turn == 0:
            channel.fill(queue, b"1", headers=[("x-death", Typed("A", [death(t, "rejected", 1), death(t, "expired", 4)]))])


def death(t, reason, count):
    return {
        "count": Typed("l", count), "reason": reason, "queue": t.name("q"), "time": Typed("T", 1700000000),
        "exchange": "", "routing-keys": [t.name("q")],
    }  # fmt: skip


@script
def two_deaths(t):
    """The newest death comes first; the first one is told by headers of its own."""
    channel = t.channel()
    first, second, letters = t.queue("first"), t.queue("second"), t.queue("letters")
    channel.declare(letters)
    channel.declare(second, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": letters})
    channel.declare(first, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": second, "x-message-ttl": 200})
    channel.fill(first, b"1")
    channel.quiet(1)
    channel.get(second, no_ack=False)
    channel.reject(1, requeue=False)
    channel.quiet()
    channel.get(letters)


@script
def history_of_another_type(t):
    """An x-death that is no history is replaced."""
    for at, value in enumerate(("text", 5, {"a": 1}, [1, "two"], [], None)):
        channel = t.channel()
        queue, letters = t.queue(f"q{at}"), t.queue(f"letters{at}")
        channel.declare(letters)
        channel.declare(queue, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": letters})
        channel.fill(queue, b"", headers={"x-death": value})
        channel.get(queue, no_ack=False)
        channel.reject(1, requeue=False)
        channel.quiet()
        channel.get(letters)


@script
def circle_of_expiry(t):
    """A message that only expires does not go in circles."""
    channel = t.channel()
    queue = t.queue()
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue, "x-message-ttl": 200}
    channel.declare(queue, arguments)
    channel.fill(queue, b"1")
    channel.quiet(1)
    channel.declare(queue, passive=True)


@script
def circle_with_a_reject(t):
    """With a reject in between a circle is allowed."""
    channel = t.channel()
    first, second = t.queue("first"), t.queue("second")
    channel.declare(first, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": second, "x-message-ttl": 200})
    channel.declare(second, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": first})
    channel.fill(first, b"1")
    for tag in (1, 2):
        channel.quiet(1)
        channel.get(second, no_ack=False)
        channel.reject(tag, requeue=False)
    channel.quiet(1)
    channel.get(second)


@script
def circle_without_a_reject(t):
    """Without one the message is dropped where it would come a second time."""
    channel = t.channel()
    first, second = t.queue("first"), t.queue("second")
    channel.declare(first, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": second, "x-message-ttl": 200})
    channel.declare(second, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": first, "x-message-ttl": 200})
    channel.fill(first, b"1")
    channel.quiet(1.5)
    channel.declare(first, passive=True)
    channel.declare(second, passive=True)


@script
def reject_to_itself(t):
    """A queue may be its own letterbox for what is rejected."""
    channel = t.channel()
    queue = t.queue()
    channel.declare(queue, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue})
    channel.fill(queue, b"1")
    for tag in (1, 2):
        channel.get(queue, no_ack=False)
        channel.reject(tag, requeue=False)
        channel.quiet()
    channel.get(queue)


@script
def purged_and_deleted(t):
    """What is purged or deleted with its queue is not dead-lettered."""
    channel = t.channel()
    queue, letters = letterbox(t, channel)
    channel.fill(queue, b"1", b"2")
    channel.call("queue.purge", queue=queue)
    channel.fill(queue, b"3")
    channel.call("queue.delete", queue=queue)
    channel.quiet()
    channel.get(letters)


@script
def priority_and_other_properties(t):
    """All properties but the expiration stay."""
    channel = t.channel()
    queue, letters = letterbox(t, channel)
    channel.fill(
        queue, b"body", priority=7, correlation_id="c", reply_to="r", message_id="m", timestamp=5, type="t",
        user_id="guest", app_id="a", cluster_id="cl", content_encoding="gzip", expiration="60000", delivery_mode=1,
    )  # fmt: skip
    channel.get(queue, no_ack=False)
    channel.reject(1, requeue=False)
    channel.quiet()
    channel.get(letters)


@script
def headers_are_sorted(t):
    """Where headers are edited they are sorted by key, and coded anew."""
    channel = t.channel()
    queue, letters = letterbox(t, channel)
    headers = [("z", 1), ("b", Typed("t", 7)), ("a", Typed("L", 5)), ("z", 2), ("n", {"y": 1, "x": 2}), ("Z", 3)]
    channel.fill(queue, b"", headers=headers)
    channel.get(queue, no_ack=False)
    channel.reject(1, requeue=False)
    channel.quiet()
    channel.get(letters)


@script
def over_topic_exchanges(t):
    """A dead letter is routed as any message."""
    channel = t.channel()
    exchange, queue, letters = t.exchange(), t.queue(), t.queue("letters")
    channel.exchange(exchange, "topic")
    channel.declare(queue, {"x-dead-letter-exchange": exchange, "x-dead-letter-routing-key": "dead.letter"})
    channel.declare(letters)
    channel.bind(letters, exchange, "dead.#")
    channel.fill(queue, b"1")
    channel.get(queue, no_ack=False)
    channel.reject(1, requeue=False)
    channel.quiet()
    channel.get(letters)


@script
def settled_in_a_transaction(t):
    """A reject in a transaction dead-letters with the commit."""
    channel = t.channel()
    queue, letters = letterbox(t, channel)
    channel.fill(queue, b"1")
    holder = t.channel()
    holder.call("tx.select")
    holder.get(queue, no_ack=False)
    holder.reject(1, requeue=False)
    holder.quiet()
    channel.get(letters)
    holder.call("tx.commit")
    holder.quiet()
    channel.get(letters)
