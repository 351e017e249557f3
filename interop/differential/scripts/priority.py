"""Priorities of messages, and single active consumers."""

from differential.script import script

from .consume import filled


@script
def order(t):
    """Higher first, in order within a level; above the maximum is the maximum, absent is 0."""
    queue = filled(t, 0, {"x-max-priority": 3})
    channel = t.channel()
    for body, properties in ((b"none", {}), (b"1a", {"priority": 1}), (b"9", {"priority": 9}), (b"3", {"priority": 3}),
                             (b"0", {"priority": 0}), (b"1b", {"priority": 1}), (b"255", {"priority": 255})):  # fmt: skip
        channel.fill(queue, body, **properties)
    for _ in range(8):
        channel.get(queue)


@script
def without_priorities(t):
    """Without x-max-priority, or with 0, priorities are no matter."""
    for maximum in ({}, {"x-max-priority": 0}):
        queue = filled(t, 0, maximum, f"q{len(maximum)}")
        channel = t.channel()
        channel.fill(queue, b"low", priority=0)
        channel.fill(queue, b"high", priority=5)
        channel.get(queue)
        channel.get(queue)


@script
def requeued_messages(t):
    """What comes back stands where it was in its level."""
    queue = filled(t, 0, {"x-max-priority": 2})
    channel = t.channel()
    for body, priority in ((b"1", 1), (b"2a", 2), (b"2b", 2), (b"0", 0)):
        channel.fill(queue, body, priority=priority)
    for _ in range(3):
        channel.get(queue, no_ack=False)
    channel.nack(3, multiple=True)
    channel.quiet()
    for _ in range(4):
        channel.get(queue)


@script
def levels_expire_by_themselves(t):
    """A message of a lower level expires behind one of a higher level."""
    queue = filled(t, 0, {"x-max-priority": 2})
    channel = t.channel()
    channel.fill(queue, b"high", priority=2)
    channel.fill(queue, b"low", priority=1, expiration="200")
    channel.quiet(1)
    channel.declare(queue, passive=True)


@script
def drop_head_of_a_priority_queue(t):
    """Whom a full priority queue drops."""
    queue = filled(t, 0, {"x-max-priority": 2, "x-max-length": 2})
    channel = t.channel()
    for body, priority in ((b"2", 2), (b"0", 0), (b"1", 1)):
        channel.fill(queue, body, priority=priority)
    for _ in range(3):
        channel.get(queue)


@script
def single_active_consumer(t):
    """One consumer gets all, though its prefetch be used up; then the next one takes over."""
    queue = filled(t, 0, {"x-single-active-consumer": True})
    connection = t.connection()
    first, second = connection.channel(1), connection.channel(2)
    first.qos(1)
    first.consume(queue, "1")
    second.consume(queue, "2")
    t.channel().fill(queue, b"1", b"2", b"3")
    first.wait()
    second.quiet()
    first.ack(1)
    first.wait()
    first.call("basic.cancel", consumer_tag="1")
    second.wait()
    first.nack(2)
    second.wait()


@script
def single_active_consumer_by_priority(t):
    """The next is the one of highest priority, of equals the oldest."""
    queue = filled(t, 0, {"x-single-active-consumer": True})
    connection = t.connection()
    channels = [connection.channel(number) for number in range(1, 5)]
    for number, (channel, priority) in enumerate(zip(channels, (0, 1, 5, 5), strict=True)):
        channel.consume(queue, str(number), {"x-priority": priority}, no_ack=True)
    publisher = t.channel()
    publisher.fill(queue, b"1")
    for channel in channels:
        channel.quiet()
    channels[0].call("basic.cancel", consumer_tag="0")
    publisher.fill(queue, b"2")
    for channel in channels:
        channel.quiet()


@script
def single_active_consumer_and_others(t):
    """Nobody is exclusive there; get is allowed."""
    queue = filled(t, 1, {"x-single-active-consumer": True})
    t.channel().consume(queue, exclusive=True)
    t.channel().get(queue)
