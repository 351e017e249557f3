"""Exchange types of RabbitMQ's plugins."""

from differential.script import script


def bound(t, channel, kind, arguments, *keys):
    """An exchange of the type, and a queue for each binding key."""
    exchange = t.exchange()
    channel.exchange(exchange, kind, arguments)
    queues = []
    for at, key in enumerate(keys):
        queues.append(t.queue(f"q{at}"))
        channel.declare(queues[-1])
        channel.bind(queues[-1], exchange, key)
    return exchange, queues


def counts(channel, queues):
    """How many messages the queues have. Which has how many is the exchange's to say, so it is not recorded."""
    with channel.unrecorded():
        return [channel.declare(queue, passive=True).get("message-count", 0) for queue in queues]


@script
def consistent_hash(t):
    """x-consistent-hash: each message goes to one queue, the same for the same key."""
    channel = t.channel()
    exchange, queues = bound(t, channel, "x-consistent-hash", {}, "1", "1")
    channel.call("confirm.select")
    for _ in range(4):
        channel.publish(exchange, "same", b"", mandatory=True)
    channel.confirmed()
    channel.note("counts", of=sorted(counts(channel, queues)))


@script
def consistent_hash_weights(t):
    """x-consistent-hash: a binding key is a weight."""
    for key in ("0", "-1", "word", "", "1.5"):
        channel = t.channel()
        bound(t, channel, "x-consistent-hash", {}, key)


@script
def consistent_hash_arguments(t):
    """x-consistent-hash: what is hashed is the key, a header or a property."""
    for arguments in ({"hash-header": "h"}, {"hash-property": "message_id"}, {"hash-property": "correlation_id"},
                      {"hash-property": "app_id"}, {"hash-header": "h", "hash-property": "message_id"},
                      {"hash-header": 5}, {"hash-property": 5}):  # fmt: skip
        t.channel().exchange(t.exchange(), "x-consistent-hash", arguments)


@script
def random(t):
    """x-random: each message goes to one queue."""
    channel = t.channel()
    exchange, queues = bound(t, channel, "x-random", {}, "1", "2")
    channel.call("confirm.select")
    for _ in range(10):
        channel.publish(exchange, "any", b"", mandatory=True)
    channel.confirmed()
    channel.note("sum of counts", of=sum(counts(channel, queues)))


@script
def recent_history(t):
    """x-recent-history: a queue that is bound gets the last messages."""
    channel = t.channel()
    exchange = t.exchange()
    queue = t.queue()
    channel.exchange(exchange, "x-recent-history", {"x-recent-history-length": 2})
    channel.call("confirm.select")
    for body in (b"1", b"2", b"3"):
        channel.publish(exchange, "k", body)
    channel.confirmed()
    channel.declare(queue)
    channel.bind(queue, exchange, "")
    channel.quiet()
    for _ in range(3):
        channel.get(queue)
    channel.publish(exchange, "k", b"4", headers={"x-recent-history-no-store": True})
    channel.confirmed()
    channel.get(queue)


@script
def recent_history_length(t):
    """x-recent-history: the length is a positive number."""
    for value in (0, -1, "5", True):
        t.channel().exchange(t.exchange(), "x-recent-history", {"x-recent-history-length": value})


@script
def modulus_hash(t):
    """x-modulus-hash: each message goes to one queue, the same for the same key."""
    channel = t.channel()
    exchange, queues = bound(t, channel, "x-modulus-hash", {}, "", "")
    channel.call("confirm.select")
    for _ in range(4):
        channel.publish(exchange, "same", b"", mandatory=True)
    channel.confirmed()
    channel.note("counts", of=sorted(counts(channel, queues)))
