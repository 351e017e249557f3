"""What an orderly restart of the broker keeps, and what not."""

from differential.script import script


def declared_again(t, *queues):
    """Looks whether queues are there, each on a channel of its own."""
    connection = t.connection()
    for number, queue in enumerate(queues, 1):
        connection.channel(number).declare(queue, passive=True)


@script
def queues(t):
    """Durable queues survive, auto-delete ones too; transient and exclusive ones do not."""
    channel = t.channel()
    durable, transient, exclusive, automatic = (t.queue(word) for word in ("d", "t", "e", "a"))
    channel.declare(durable, {"x-max-length": 5}, durable=True)
    channel.declare(transient)
    channel.declare(exclusive, durable=True, exclusive=True)
    channel.declare(automatic, durable=True, auto_delete=True)
    channel.connection.call("connection.close", reply_code=200)
    yield
    declared_again(t, durable, transient, exclusive, automatic)
    t.channel().declare(durable, {"x-max-length": 5}, durable=True)
    t.channel().declare(durable, {"x-max-length": 6}, durable=True)


@script
def auto_delete_queue_with_a_consumer(t):
    """A durable auto-delete queue whose consumer went with the broker."""
    channel = t.channel()
    queue = t.queue()
    channel.declare(queue, durable=True, auto_delete=True)
    channel.consume(queue)
    yield
    declared_again(t, queue)


@script
def exchanges(t):
    """Durable exchanges survive as they are, transient ones do not."""
    channel = t.channel()
    durable, transient = t.exchange("d"), t.exchange("t")
    channel.exchange(durable, "topic", {"alternate-exchange": "ae"}, durable=True, internal=True, auto_delete=True)
    channel.exchange(transient, "topic")
    channel.connection.call("connection.close", reply_code=200)
    yield
    t.channel().exchange(durable, "topic", {"alternate-exchange": "ae"}, durable=True, internal=True, auto_delete=True)
    t.channel().exchange(transient, passive=True)


@script
def bindings(t):
    """Bindings between two durable ends survive, others do not."""
    channel = t.channel()
    exchange, inner, queue = t.exchange("x"), t.exchange("inner"), t.queue()
    channel.exchange(exchange, "direct", durable=True)
    channel.exchange(inner, "fanout", durable=True)
    channel.declare(queue, durable=True)
    channel.bind(queue, exchange, "k")
    channel.bind(queue, inner)
    channel.call("exchange.bind", destination=inner, source=exchange, routing_key="e")
    channel.connection.call("connection.close", reply_code=200)
    yield
    channel = t.channel()
    for key in ("k", "e", "none"):
        channel.publish(exchange, key, key, mandatory=True)
    channel.wait()
    channel.quiet()
    channel.get(queue)
    channel.get(queue)


@script
def bindings_of_transient_queues(t):
    """A queue that is declared anew has none of its old bindings."""
    channel = t.channel()
    exchange, queue = t.exchange("x"), t.queue()
    channel.exchange(exchange, "direct", durable=True)
    channel.declare(queue)
    channel.bind(queue, exchange, "k")
    channel.connection.call("connection.close", reply_code=200)
    yield
    channel = t.channel()
    channel.declare(queue)
    channel.publish(exchange, "k", b"", mandatory=True)
    channel.wait()


@script
def messages(t):
    """Persistent messages survive in order with all they have, transient ones do not."""
    channel = t.channel()
    queue = t.queue()
    channel.declare(queue, durable=True)
    channel.fill(queue, b"1", delivery_mode=2, headers={"a": 1}, priority=5, timestamp=7)
    channel.fill(queue, b"2", delivery_mode=1)
    channel.fill(queue, b"3")
    channel.fill(queue, b"x" * 200000, delivery_mode=2)
    channel.connection.call("connection.close", reply_code=200)
    yield
    channel = t.channel()
    for _ in range(3):
        channel.get(queue)


@script
def unacknowledged_messages(t):
    """What was out is back and marked, what nobody saw is not."""
    channel = t.channel()
    queue = t.queue()
    channel.declare(queue, durable=True)
    channel.fill(queue, b"1", b"2", b"3", delivery_mode=2)
    channel.get(queue, no_ack=False)
    channel.get(queue, no_ack=False)
    channel.ack(1)
    channel.quiet()
    channel.connection.call("connection.close", reply_code=200)
    yield
    channel = t.channel()
    for _ in range(3):
        channel.get(queue)


@script
def shutdown_is_told(t):
    """Connections are closed with the reason."""
    connection = t.connection()
    connection.channel(1).declare(t.queue(), exclusive=True)
    yield
    connection.wait()


@script
def deadlines(t):
    """A message's deadline and a queue's limits survive."""
    channel = t.channel()
    queue, limited = t.queue(), t.queue("limited")
    channel.declare(queue, durable=True)
    channel.declare(limited, {"x-max-length": 1}, durable=True)
    channel.fill(queue, b"short", delivery_mode=2, expiration="500")
    channel.fill(queue, b"long", delivery_mode=2, expiration="600000")
    channel.fill(limited, b"1", delivery_mode=2)
    channel.quiet(1)
    channel.connection.call("connection.close", reply_code=200)
    yield
    channel = t.channel()
    channel.get(queue)
    channel.get(queue)
    channel.fill(limited, b"2", delivery_mode=2)
    channel.get(limited)
    channel.get(limited)


@script
def purged_and_deleted(t):
    """What was purged, acknowledged or deleted stays gone."""
    channel = t.channel()
    queue, deleted = t.queue(), t.queue("deleted")
    for name in (queue, deleted):
        channel.declare(name, durable=True)
        channel.fill(name, b"1", b"2", delivery_mode=2)
    channel.call("queue.purge", queue=queue)
    channel.call("queue.delete", queue=deleted)
    channel.fill(queue, b"3", delivery_mode=2)
    channel.connection.call("connection.close", reply_code=200)
    yield
    channel = t.channel()
    channel.get(queue)
    channel.get(queue)
    channel.declare(deleted, passive=True)


@script
def quorum_queues(t):
    """A quorum queue keeps transient messages too, and counts of returns."""
    channel = t.channel()
    queue = t.queue()
    channel.declare(queue, {"x-queue-type": "quorum"}, durable=True)
    channel.fill(queue, b"1", b"2", delivery_mode=1)
    channel.get(queue, no_ack=False)
    channel.nack(1)
    channel.quiet()
    channel.connection.call("connection.close", reply_code=200)
    yield
    channel = t.channel()
    channel.get(queue)
    channel.get(queue)


@script
def priorities(t):
    """Priorities survive."""
    channel = t.channel()
    queue = t.queue()
    channel.declare(queue, {"x-max-priority": 3}, durable=True)
    channel.fill(queue, b"low", delivery_mode=2, priority=1)
    channel.fill(queue, b"high", delivery_mode=2, priority=3)
    channel.connection.call("connection.close", reply_code=200)
    yield
    channel = t.channel()
    channel.get(queue)
    channel.get(queue)
