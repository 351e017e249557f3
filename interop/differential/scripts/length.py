"""Limits of a queue's length, and what happens beyond."""

from differential.script import script


def limited(t, arguments, word="q", **more):
    queue = t.queue(word)
    channel = t.channel()
    channel.declare(queue, {**arguments, **more})
    return channel, queue


def left(channel, queue, count):
    for _ in range(count):
        channel.get(queue)


@script
def drop_head(t):
    """The oldest goes; its publisher is confirmed."""
    for overflow in ({}, {"x-overflow": "drop-head"}):
        channel, queue = limited(t, {"x-max-length": 2, **overflow}, f"q{len(overflow)}")
        channel.fill(queue, b"1", b"2", b"3", b"4")
        left(channel, queue, 3)


@script
def octets(t):
    """x-max-length-bytes counts octets of bodies."""
    channel, queue = limited(t, {"x-max-length-bytes": 10})
    channel.fill(queue, b"12345", b"67890", headers={"long": "x" * 100})
    channel.fill(queue, b"ab", b"cd")
    left(channel, queue, 4)
    channel.fill(queue, b"x" * 11)
    left(channel, queue, 1)


@script
def both_limits(t):
    """Whichever limit is hit first counts."""
    channel, queue = limited(t, {"x-max-length-bytes": 10, "x-max-length": 3})
    channel.fill(queue, b"1", b"2", b"3", b"4")
    channel.fill(queue, b"123456789")
    left(channel, queue, 3)


@script
def zero(t):
    """A queue of length 0 holds nothing, but a consumer may take a message as it comes."""
    channel, queue = limited(t, {"x-max-length": 0})
    channel.fill(queue, b"1")
    channel.get(queue)
    consumer = t.channel()
    consumer.consume(queue, no_ack=True)
    channel.fill(queue, b"2")
    consumer.quiet()


@script
def only_ready_messages_count(t):
    """What is out does not count; given back, it is the oldest and may go itself."""
    channel, queue = limited(t, {"x-max-length": 2})
    channel.fill(queue, b"1", b"2")
    channel.get(queue, no_ack=False)
    channel.fill(queue, b"3")
    channel.declare(queue, passive=True)
    channel.nack(1)
    channel.quiet()
    left(channel, queue, 3)


@script
def reject_publish(t):
    """The new one is refused: with a nack, or without confirms in silence; it is not returned."""
    channel, queue = limited(t, {"x-max-length": 2, "x-overflow": "reject-publish"})
    channel.publish("", queue, b"0")
    channel.quiet()
    channel.fill(queue, b"1")
    channel.call("confirm.select")
    channel.publish("", queue, b"2", mandatory=True)
    channel.confirmed()
    other = t.channel()
    other.publish("", queue, b"3", mandatory=True)
    other.quiet()
    left(channel, queue, 3)
    channel.fill(queue, b"4")
    left(channel, queue, 1)


@script
def reject_publish_with_octets(t):
    """A limit of octets refuses from when it is reached."""
    channel, queue = limited(t, {"x-max-length-bytes": 4, "x-overflow": "reject-publish"})
    for body in (b"123", b"4567", b"8"):
        channel.fill(queue, body)
    left(channel, queue, 3)


@script
def reject_publish_of_length_0(t):
    """With length 0 everything is refused, though somebody waits."""
    channel, queue = limited(t, {"x-max-length": 0, "x-overflow": "reject-publish"})
    consumer = t.channel()
    consumer.consume(queue, no_ack=True)
    channel.fill(queue, b"1")
    consumer.quiet()


@script
def reject_publish_with_a_consumer(t):
    """What a consumer takes does not fill the queue."""
    channel, queue = limited(t, {"x-max-length": 1, "x-overflow": "reject-publish"})
    consumer = t.channel()
    consumer.consume(queue)
    for body in (b"1", b"2", b"3"):
        channel.fill(queue, body)
        consumer.wait()


@script
def reject_publish_in_a_fanout(t):
    """If one queue of several refuses, the publisher gets a nack, and the others keep the message."""
    channel, queue = limited(t, {"x-max-length": 0, "x-overflow": "reject-publish"})
    other, exchange = t.queue("other"), t.exchange()
    channel.declare(other)
    channel.exchange(exchange, "fanout")
    for name in (queue, other):
        channel.bind(name, exchange)
    channel.call("confirm.select")
    channel.publish(exchange, "", b"1", mandatory=True)
    channel.confirmed()
    channel.quiet()
    channel.get(other)


@script
def mixed_confirms(t):
    """Acks and nacks are told apart, in any batch."""
    channel, queue = limited(t, {"x-max-length": 2, "x-overflow": "reject-publish"})
    channel.call("confirm.select")
    for number in range(5):
        channel.publish("", queue, str(number))
        channel.confirmed()
    channel.publish("", t.name("none"), b"")
    channel.confirmed()


@script
def reject_publish_dlx(t):
    """What is refused is dead-lettered too."""
    letters = t.queue("letters")
    channel, queue = limited(t, {"x-max-length": 1, "x-overflow": "reject-publish-dlx", "x-dead-letter-exchange": "",
                                 "x-dead-letter-routing-key": letters})  # fmt: skip
    channel.declare(letters)
    channel.fill(queue, b"1", b"2")
    channel.quiet()
    left(channel, queue, 2)
    left(channel, letters, 2)


@script
def drop_head_with_dead_letters(t):
    """The head that goes is dead-lettered."""
    letters = t.queue("letters")
    channel, queue = limited(t, {"x-max-length": 1, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": letters})
    channel.declare(letters)
    channel.fill(queue, b"1", b"2")
    channel.quiet()
    left(channel, queue, 2)
    left(channel, letters, 2)


@script
def reject_publish_does_not_dead_letter(t):
    """reject-publish dead-letters nothing."""
    letters = t.queue("letters")
    channel, queue = limited(t, {"x-max-length": 1, "x-overflow": "reject-publish", "x-dead-letter-exchange": "",
                                 "x-dead-letter-routing-key": letters})  # fmt: skip
    channel.declare(letters)
    channel.fill(queue, b"1", b"2")
    channel.quiet()
    left(channel, letters, 1)


@script
def full_dead_letter_queue(t):
    """A dead letter that the target refuses is lost."""
    letters = t.queue("letters")
    channel, queue = limited(t, {"x-max-length": 1, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": letters})
    channel.declare(letters, {"x-max-length": 0, "x-overflow": "reject-publish"})
    channel.fill(queue, b"1", b"2")
    channel.quiet()
    channel.get(letters)
