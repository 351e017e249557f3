"""Quorum queues and streams."""

from differential.script import script

QUORUM = {"x-queue-type": "quorum"}
STREAM = {"x-queue-type": "stream"}


def quorum(t, arguments=None, word="q"):
    """A channel, and a quorum queue."""
    queue = t.queue(word)
    channel = t.channel()
    channel.declare(queue, {**QUORUM, **(arguments or {})}, durable=True)
    return channel, queue


@script
def declare(t):
    """A quorum queue is durable, shared, lasting, and named by the client."""
    channel, queue = quorum(t)
    channel.declare(queue, QUORUM, durable=True)
    channel.declare(queue, passive=True)
    t.channel().declare(queue, durable=True)
    t.channel().declare(t.queue("transient"), QUORUM)
    t.channel().declare(t.queue("exclusive"), QUORUM, durable=True, exclusive=True)
    t.channel().declare(t.queue("auto-delete"), QUORUM, durable=True, auto_delete=True)
    t.channel().declare("", QUORUM, durable=True)
    t.channel().declare(t.queue("all"), QUORUM, exclusive=True, auto_delete=True)


@script
def publish_and_get(t):
    """It takes and gives messages as others do."""
    channel, queue = quorum(t)
    channel.fill(queue, b"1", b"2", headers={"a": 1})
    channel.get(queue, no_ack=False)
    channel.get(queue)
    channel.ack(1)
    channel.get(queue)
    channel.call("queue.purge", queue=queue)


@script
def delivery_count(t):
    """x-delivery-count tells how often a message came back."""
    channel, queue = quorum(t)
    channel.fill(queue, b"1", headers={"x-delivery-count": 77, "z": 1})
    for tag in (1, 2):
        channel.get(queue, no_ack=False)
        channel.nack(tag)
        channel.quiet()
    channel.get(queue)


@script
def delivery_count_of_consumers(t):
    """A consumer sees the count too."""
    channel, queue = quorum(t)
    channel.fill(queue, b"1")
    consumer = t.channel()
    consumer.consume(queue)
    consumer.wait()
    consumer.nack(1)
    consumer.wait()
    consumer.ack(2)


@script
def delivery_limit(t):
    """After x-delivery-limit returns a message is dead-lettered."""
    letters = t.queue("letters")
    channel, queue = quorum(
        t, {"x-delivery-limit": 1, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": letters}
    )
    channel.declare(letters)
    channel.fill(queue, b"1")
    for tag in (1, 2):
        channel.get(queue, no_ack=False)
        channel.nack(tag)
        channel.quiet(1)
    channel.get(queue)
    channel.get(letters)


@script
def default_delivery_limit(t):
    """Without x-delivery-limit."""
    channel, queue = quorum(t)
    channel.fill(queue, b"1")
    with channel.unrecorded():
        for tag in range(1, 22):
            channel.get(queue, no_ack=False)
            channel.nack(tag)
    channel.quiet(1)
    channel.get(queue)


@script
def requeued_messages_keep_their_place(t):
    """What is given back stands where it was."""
    channel, queue = quorum(t)
    channel.fill(queue, b"1", b"2", b"3")
    channel.get(queue, no_ack=False)
    channel.get(queue, no_ack=False)
    channel.nack(2, multiple=True)
    channel.quiet()
    for _ in range(3):
        channel.get(queue)


@script
def requeued_messages_of_a_queue_with_a_limit(t):
    """The same with x-delivery-limit."""
    channel, queue = quorum(t, {"x-delivery-limit": 20})
    channel.fill(queue, b"1", b"2", b"3")
    channel.get(queue, no_ack=False)
    channel.get(queue, no_ack=False)
    channel.nack(2, multiple=True)
    channel.quiet()
    for _ in range(3):
        channel.get(queue)


@script
def rejected(t):
    """Rejected messages are dead-lettered."""
    letters = t.queue("letters")
    channel, queue = quorum(t, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": letters})
    channel.declare(letters)
    channel.fill(queue, b"1", headers={"a": 1})
    channel.get(queue, no_ack=False)
    channel.reject(1, requeue=False)
    channel.quiet(1)
    channel.get(letters)


@script
def expired(t):
    """Messages expire."""
    letters = t.queue("letters")
    channel, queue = quorum(
        t, {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": letters, "x-message-ttl": 300}
    )
    channel.declare(letters)
    channel.fill(queue, b"1")
    channel.quiet(2)
    channel.get(letters)
    channel.get(queue)


@script
def what_it_does_not_support(t):
    """Global qos, conditions of delete, and get beside a single active consumer."""
    channel, queue = quorum(t)
    consumer = t.channel()
    consumer.qos(1, is_global=True)
    consumer.consume(queue)
    t.channel().call("queue.delete", queue=queue, if_empty=True)
    t.channel().call("queue.delete", queue=queue, if_unused=True)
    _, active = quorum(t, {"x-single-active-consumer": True}, "active")
    t.channel().get(active)


@script
def global_qos_after_consume(t):
    """Global qos on a channel that consumes from a quorum queue."""
    channel, queue = quorum(t)
    channel.consume(queue)
    channel.qos(1, is_global=True)


@script
def exclusive_consumer(t):
    """Exclusive consumers."""
    channel, queue = quorum(t)
    channel.consume(queue, exclusive=True)
    t.channel().consume(queue)


@script
def length(t):
    """The oldest goes beyond x-max-length."""
    channel, queue = quorum(t, {"x-max-length": 2})
    channel.fill(queue, b"1", b"2", b"3")
    channel.quiet(1)
    for _ in range(3):
        channel.get(queue)


@script
def reject_publish(t):
    """reject-publish refuses, some messages late."""
    channel, queue = quorum(t, {"x-max-length": 1, "x-overflow": "reject-publish"})
    with channel.unrecorded():
        for _ in range(10):
            channel.fill(queue, b"x")
            channel.quiet(0.2)
        refused = any(event.name == "basic.nack" for event in channel.events)
    channel.note("something was refused", so=refused)


@script
def single_active_consumer(t):
    """One consumer gets all."""
    channel, queue = quorum(t, {"x-single-active-consumer": True})
    other = t.channel()
    channel.consume(queue, "1", no_ack=True)
    other.consume(queue, "2", no_ack=True)
    publisher = t.channel()
    publisher.fill(queue, b"1", b"2")
    channel.wait(2)
    channel.call("basic.cancel", consumer_tag="1")
    publisher.fill(queue, b"3")
    other.wait()


@script
def delete(t):
    """Deleting one cancels its consumers and counts its messages."""
    channel, queue = quorum(t)
    channel.fill(queue, b"1", b"2")
    consumer = t.channel()
    consumer.qos(1)
    consumer.consume(queue)
    consumer.wait()
    channel.call("queue.delete", queue=queue)
    consumer.wait()
    channel.call("queue.delete", queue=queue)


@script
def streams(t):
    """Streams: consuming needs a prefetch and acks; get and purge there are none."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue, STREAM, durable=True)
    channel.fill(queue, b"1", b"2")
    t.channel().get(queue)
    t.channel().call("queue.purge", queue=queue)
    t.channel().consume(queue)
    consumer = t.channel()
    consumer.qos(5)
    consumer.consume(queue, arguments={"x-stream-offset": "first"})
    consumer.wait(2)
