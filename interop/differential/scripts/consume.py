"""Consuming: tags, deliveries, cancelling, exclusive consumers, priorities, get."""

from differential.script import script


def filled(t, count, arguments=None, word="q"):
    """A queue with the messages 1, 2, ..."""
    queue = t.queue(word)
    channel = t.channel()
    channel.declare(queue, arguments)
    channel.fill(queue, *(str(number).encode() for number in range(1, count + 1)))
    return queue


@script
def consume_and_cancel(t):
    """consume-ok comes before the first delivery; after cancel-ok nothing is delivered."""
    queue = filled(t, 2)
    channel = t.channel()
    channel.consume(queue)
    channel.wait(2)
    channel.call("basic.cancel", consumer_tag="c")
    t.channel().fill(queue, b"3")
    channel.quiet()
    channel.ack(2, multiple=True)
    channel.get(queue)


@script
def generated_tags(t):
    """Without a tag the server makes one."""
    queue = filled(t, 1)
    channel = t.channel()
    channel.consume(queue, "")
    channel.wait()
    channel.consume(queue, "")


@script
def tags_in_use(t):
    """A tag is used once on a channel, and on another one again."""
    queue = filled(t, 0)
    connection = t.connection()
    connection.channel(1).consume(queue)
    connection.channel(2).consume(queue)
    connection.channels[1].consume(queue)


@script
def order_of_checks(t):
    """Which of several mistakes of a consume is told."""
    queue, locked = filled(t, 0), t.queue("locked")
    t.channel().declare(locked, exclusive=True)
    channel = t.channel()
    channel.consume(queue)
    channel.consume(t.name("none"))
    t.channel().consume(t.name("none"), arguments={"x-priority": "text"})
    t.channel().consume(locked, arguments={"x-priority": "text"})
    t.channel().consume(queue, exclusive=True, arguments={"x-priority": "text"})
    t.channel().consume(queue, exclusive=True)


@script
def missing_queue(t):
    """A queue must be there."""
    t.channel().consume(t.name("none"))
    t.channel().get(t.name("none"))


@script
def unknown_tags(t):
    """Cancelling what is unknown is fine."""
    channel = t.channel()
    channel.call("basic.cancel", consumer_tag="none")
    channel.call("basic.cancel", consumer_tag="")


@script
def cancelled_tags_are_free(t):
    """A tag that was cancelled may be used again, and its messages may be acknowledged."""
    queue = filled(t, 2)
    channel = t.channel()
    channel.qos(1)
    channel.consume(queue)
    channel.wait()
    channel.call("basic.cancel", consumer_tag="c")
    channel.consume(queue)
    channel.wait()
    channel.ack(1)
    channel.ack(2)
    channel.quiet()
    channel.declare(queue, passive=True)


@script
def exclusive_consumers(t):
    """An exclusive consumer is alone; get is not concerned."""
    queue = filled(t, 2)
    channel = t.channel()
    channel.qos(1)
    channel.consume(queue, exclusive=True)
    channel.wait()
    t.channel().consume(queue)
    t.channel().consume(queue, exclusive=True)
    t.channel().get(queue)
    channel.call("basic.cancel", consumer_tag="c")
    other = t.channel()
    other.consume(queue)
    t.channel().consume(queue, exclusive=True)


@script
def second_consumer_of_the_exclusive_channel(t):
    """An exclusive consumer is alone on its own channel too."""
    queue = filled(t, 0)
    channel = t.channel()
    channel.consume(queue, exclusive=True)
    channel.consume(queue, "d")


@script
def no_local(t):
    """no_local is ignored."""
    queue = filled(t, 0)
    channel = t.channel()
    channel.consume(queue, no_local=True, no_ack=True)
    channel.publish("", queue, b"own")
    channel.wait()


@script
def delivery_tags(t):
    """Delivery tags count over deliveries and gets of a channel, no-ack ones too."""
    queue = filled(t, 5)
    connection = t.connection()
    channel = connection.channel(1)
    channel.get(queue)
    channel.get(queue, no_ack=False)
    channel.consume(queue, no_ack=True)
    channel.wait(3)
    other = filled(t, 1, word="other")
    channel.get(other)
    connection.channel(2).get(other)


@script
def round_robin(t):
    """Consumers of equal priority take turns."""
    queue = filled(t, 0)
    channel = t.channel()
    for tag in "abc":
        channel.consume(queue, tag, no_ack=True)
    t.channel().fill(queue, *(str(number).encode() for number in range(9)))
    channel.wait(9)


@script
def round_robin_passes_over(t):
    """Who has no credit is passed over."""
    queue = filled(t, 0)
    channel = t.channel()
    channel.qos(1)
    channel.consume(queue, "limited")
    channel.qos(0)
    channel.consume(queue, "free")
    t.channel().fill(queue, b"1", b"2", b"3", b"4")
    channel.wait(4)


@script
def consumer_priority(t):
    """A consumer of higher priority goes first while it has credit."""
    queue = filled(t, 0)
    connection = t.connection()
    low, high = connection.channel(1), connection.channel(2)
    low.consume(queue, "low", {"x-priority": -5})
    high.qos(2)
    high.consume(queue, "high", {"x-priority": 10})
    t.channel().fill(queue, b"1", b"2", b"3")
    high.wait(2)
    low.wait(1)
    high.ack(1)
    t.channel().fill(queue, b"4")
    high.wait()
    low.quiet()


@script
def consumer_arguments(t):
    """Of the arguments of consume some are typed, all others are ignored."""
    queue = filled(t, 0)
    for arguments in ({"x-priority": "5"}, {"x-priority": 1.5}, {"x-priority": True}, {"x-other": [1]}):
        t.channel().consume(queue, arguments=arguments)


@script
def credit(t):
    """x-credit that is no table."""
    queue = filled(t, 0)
    t.channel().consume(queue, arguments={"x-credit": 5})


@script
def cancel_on_ha_failover(t):
    """x-cancel-on-ha-failover is a bool."""
    queue = filled(t, 0)
    for value in (True, "true", 1):
        t.channel().consume(queue, arguments={"x-cancel-on-ha-failover": value})


@script
def stream_offset(t):
    """x-stream-offset is for streams only."""
    queue = filled(t, 0)
    for value in ("first", 5, True):
        t.channel().consume(queue, arguments={"x-stream-offset": value})


@script
def get(t):
    """get-ok tells how many are left."""
    queue = filled(t, 3)
    channel = t.channel()
    channel.qos(1, is_global=True)
    for _ in range(4):
        channel.get(queue, no_ack=False)


@script
def get_while_consumed(t):
    """get takes what no consumer has credit for."""
    queue = filled(t, 2)
    channel = t.channel()
    channel.qos(1)
    channel.consume(queue)
    channel.wait()
    channel.get(queue)


@script
def cancel_keeps_messages_out(t):
    """What was delivered stays outstanding after cancel, until the channel ends."""
    queue = filled(t, 2)
    connection = t.connection()
    channel = connection.channel(1)
    channel.consume(queue)
    channel.wait(2)
    channel.call("basic.cancel", consumer_tag="c")
    other = connection.channel(2)
    other.get(queue)
    channel.call("channel.close", reply_code=200)
    other.get(queue)
    other.get(queue)


@script
def redelivered_messages_keep_their_place(t):
    """What comes back stands where it stood, and is marked."""
    queue = filled(t, 6)
    channel = t.channel()
    for _ in range(4):
        channel.get(queue, no_ack=False)
    channel.nack(3)
    channel.nack(1)
    channel.quiet()
    for _ in range(4):
        channel.get(queue)


@script
def consumers_of_many_queues(t):
    """A channel's tags run over all its consumers."""
    channel = t.channel()
    for word in ("a", "b"):
        queue = filled(t, 1, word=word)
        channel.consume(queue, word)
        channel.wait()
    channel.ack(2, multiple=True)
    channel.quiet()
    channel.call("basic.qos")


@script
def auto_delete_queue_of_an_exclusive_consumer(t):
    """With an exclusive consumer its auto-delete queue goes, and its messages with it; acks later are fine."""
    queue, letters = t.queue(), t.queue("letters")
    channel = t.channel()
    channel.declare(letters)
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": letters}
    channel.declare(queue, arguments, auto_delete=True)
    channel.fill(queue, b"1", b"2")
    holder = t.channel()
    holder.get(queue, no_ack=False)
    channel.consume(queue, exclusive=True)
    channel.wait()
    channel.call("basic.cancel", consumer_tag="c")
    holder.ack(1)
    holder.quiet()
    holder.declare(letters, passive=True)
    holder.declare(queue, passive=True)
