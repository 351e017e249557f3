"""ack, nack, reject, recover, and prefetch."""

from differential.script import script

from .consume import filled


def holding(t, count, take=None):
    """A channel that holds so many messages of a queue."""
    queue = filled(t, count)
    channel = t.channel()
    for _ in range(take or count):
        channel.get(queue, no_ack=False)
    return channel, queue


@script
def unknown_tags(t):
    """A tag that is not outstanding is a soft error."""
    for name in ("basic.ack", "basic.nack", "basic.reject"):
        for tag in (0, 5, 2**64 - 1):
            channel = t.channel()
            channel.send(name, delivery_tag=tag)
            channel.wait()


@script
def acking_twice(t):
    """A tag is settled once."""
    channel, _ = holding(t, 2)
    channel.ack(1)
    channel.ack(1)
    channel.wait()


@script
def tags_of_other_channels(t):
    """Each channel has its own tags."""
    channel, _ = holding(t, 1)
    other = channel.connection.channel(2)
    other.ack(1)
    other.wait()


@script
def no_ack_tags(t):
    """What needs no ack has no tag to acknowledge."""
    queue = filled(t, 1)
    channel = t.channel()
    channel.get(queue)
    channel.ack(1)
    channel.wait()


@script
def multiple(t):
    """multiple settles all up to the tag, which must be outstanding itself."""
    channel, queue = holding(t, 6)
    channel.ack(2)
    channel.ack(4, multiple=True)
    channel.quiet()
    channel.ack(2, multiple=True)
    channel.wait()
    watcher = t.channel()
    watcher.quiet()
    watcher.get(queue)
    watcher.get(queue)
    watcher.get(queue)


@script
def multiple_of_a_settled_tag(t):
    """multiple up to a tag that was settled settles nothing."""
    channel, queue = holding(t, 4)
    channel.ack(3)
    channel.ack(3, multiple=True)
    channel.wait()
    watcher = t.channel()
    watcher.quiet()
    for _ in range(4):
        watcher.get(queue)


@script
def multiple_0(t):
    """Tag 0 with multiple is everything, and no error if there is nothing."""
    channel, queue = holding(t, 3)
    channel.ack(0, multiple=True)
    channel.ack(0, multiple=True)
    channel.nack(0, multiple=True)
    channel.quiet()
    channel.call("channel.close", reply_code=200)
    t.channel().get(queue)


@script
def multiple_beyond_the_last(t):
    """multiple up to a tag that never was is an error."""
    channel, _ = holding(t, 2)
    channel.ack(9, multiple=True)
    channel.wait()


@script
def nack_multiple(t):
    """nack with multiple restores all in order."""
    channel, queue = holding(t, 5, take=3)
    channel.nack(3, multiple=True)
    channel.quiet()
    for _ in range(5):
        channel.get(queue)


@script
def nack_without_requeue(t):
    """Without requeue the message is gone."""
    channel, queue = holding(t, 4)
    channel.nack(1, requeue=False)
    channel.reject(2, requeue=False)
    channel.nack(4, multiple=True, requeue=False)
    channel.quiet()
    channel.get(queue)


@script
def reject_with_requeue(t):
    """A message that is given back is delivered again."""
    channel, queue = holding(t, 1)
    channel.reject(1)
    channel.quiet()
    channel.get(queue, no_ack=False)
    channel.reject(2)
    channel.quiet()
    channel.get(queue)


@script
def requeue_to_a_consumer(t):
    """What is given back goes to a waiting consumer at once, its own too."""
    queue = filled(t, 1)
    channel = t.channel()
    channel.consume(queue)
    channel.wait()
    channel.nack(1)
    channel.wait()
    channel.reject(2)
    channel.wait()
    channel.ack(3)


@script
def recover(t):
    """recover-ok comes, then everything again, with new tags and marked."""
    queue = filled(t, 3)
    channel = t.channel()
    channel.consume(queue)
    channel.wait(3)
    channel.ack(2)
    channel.call("basic.recover", requeue=True)
    channel.wait(2)


@script
def recover_async(t):
    """recover-async has no answer."""
    queue = filled(t, 2)
    channel = t.channel()
    channel.consume(queue)
    channel.wait(2)
    channel.send("basic.recover-async", requeue=True)
    channel.wait(2)
    channel.quiet()


@script
def recover_without_requeue(t):
    """recover without requeue is not implemented."""
    t.channel().call("basic.recover", requeue=False)
    t.channel().call("basic.recover-async", requeue=False)


@script
def recover_of_cancelled_consumers(t):
    """What cancelled consumers and gets took goes back to the queue."""
    queue = filled(t, 2)
    channel = t.channel()
    channel.consume(queue)
    channel.wait(2)
    channel.call("basic.cancel", consumer_tag="c")
    channel.call("basic.recover", requeue=True)
    channel.quiet()
    channel.get(queue, no_ack=False)
    channel.call("basic.recover", requeue=True)
    channel.quiet()
    channel.get(queue)
    channel.get(queue)


@script
def prefetch_size(t):
    """A prefetch in octets is not implemented."""
    t.channel().call("basic.qos", prefetch_size=5)


@script
def prefetch(t):
    """A limit is for the consumers that start later; 0 is none."""
    queue = filled(t, 6)
    channel = t.channel()
    channel.qos(2)
    channel.consume(queue)
    channel.wait(2)
    channel.qos(0)
    channel.quiet()
    channel.ack(1)
    channel.wait()
    channel.quiet()


@script
def prefetch_of_each_consumer(t):
    """Each consumer has the limit of its start."""
    connection = t.connection()
    channel = connection.channel(1)
    first, second = filled(t, 3, word="first"), filled(t, 3, word="second")
    channel.qos(1)
    channel.consume(first, "1")
    channel.wait()
    channel.qos(2)
    channel.consume(second, "2")
    channel.wait(2)
    channel.quiet()


@script
def global_prefetch(t):
    """With global the limit is the channel's, at once, and counts what get took."""
    first, second = filled(t, 5, word="first"), filled(t, 5, word="second")
    channel = t.channel()
    channel.get(first, no_ack=False)
    channel.qos(2, is_global=True)
    channel.consume(first, "1")
    channel.wait()
    channel.consume(second, "2")
    channel.quiet()
    with channel.unrecorded():
        before = len(channel.events)
        channel.ack(2)
        channel.quiet()
        deliveries = [event.name for event in channel.events[before:]].count("basic.deliver")
    # Whose consumer is next is not said.
    channel.note("after one ack", deliveries=deliveries)


@script
def raising_a_global_prefetch(t):
    """Raising the limit lets deliveries out at once, lifting it all of them."""
    queue = filled(t, 6)
    channel = t.channel()
    channel.qos(1, is_global=True)
    channel.consume(queue)
    channel.wait()
    channel.quiet()
    channel.qos(3, is_global=True)
    channel.wait(2)
    channel.quiet()
    channel.qos(0, is_global=True)
    channel.wait(3)


@script
def both_limits(t):
    """A consumer's own limit and the channel's hold together."""
    queue = filled(t, 6)
    channel = t.channel()
    channel.qos(1)
    channel.qos(3, is_global=True)
    channel.consume(queue, "1")
    channel.wait()
    channel.quiet()
    channel.ack(1)
    channel.wait()
    channel.quiet()


@script
def own_prefetch_after_a_global_one(t):
    """A limit without global after one with it."""
    queue = filled(t, 6)
    channel = t.channel()
    channel.qos(2, is_global=True)
    channel.qos(5)
    channel.consume(queue)
    channel.wait(2)
    channel.quiet()
    channel.qos(4)
    channel.quiet()


@script
def no_ack_with_prefetch(t):
    """Prefetch is no matter to a no-ack consumer."""
    queue = filled(t, 4)
    channel = t.channel()
    channel.qos(1)
    channel.consume(queue, no_ack=True)
    channel.wait(4)


@script
def no_ack_with_a_global_prefetch(t):
    """A channel's limit that is used up, and its no-ack consumers."""
    first, second = filled(t, 1, word="first"), filled(t, 2, word="second")
    channel = t.channel()
    channel.qos(1, is_global=True)
    channel.consume(first, "1")
    channel.wait()
    channel.consume(second, "2", no_ack=True)
    channel.quiet()
    channel.ack(1)
    channel.quiet()


@script(slow=True)
def consumer_timeout(t):
    """A delivery that is out for longer than the consumer timeout closes its channel."""
    queue = filled(t, 1, {"x-consumer-timeout": 20000})
    channel = t.channel()
    channel.consume(queue)
    channel.wait()
    channel.wait(1, within=60)


@script(slow=True)
def consumer_timeout_of_a_queue_without_one(t):
    """A queue that has no timeout of its own."""
    queue = filled(t, 1)
    channel = t.channel()
    channel.consume(queue)
    channel.wait()
    channel.quiet(40)
