"""Channels: opening, closing, numbers, flow, and what a closing channel ignores."""

from differential import amqp
from differential.script import script


@script
def open_gets_open_ok(t):
    """channel.open is answered with open-ok and an empty channel id."""
    t.connection().unopened(1).call("channel.open", out_of_band="any")


@script
def second_open(t):
    """Opening an open channel is a hard channel error."""
    t.channel().call("channel.open")


@script
def unopened_channels(t):
    """On a number that is not open nothing but open is taken."""
    for name in ("channel.close", "channel.close-ok", "queue.declare", "basic.ack", "channel.flow"):
        t.connection().unopened(3).call(name)


@script
def publish_on_an_unopened_channel(t):
    """On a number that is not open a publish is refused, with or without its content."""
    channel = t.connection().unopened(3)
    channel.publish("", "q", b"body")
    channel.connection.wait()
    t.connection().unopened(3).call("basic.publish")


@script
def content_on_an_unopened_channel(t):
    """Content on a number that is not open."""
    for kind in (amqp.HEADER, amqp.BODY):
        t.connection().unopened(3).frame(kind, b"abc")


@script
def numbers_may_be_any(t):
    """channel_max bounds how many are open and not their numbers."""
    connection = t.connection(channel_max=2)
    connection.unopened(65535).call("channel.open")
    connection.unopened(300).call("channel.open")
    connection.unopened(1).call("channel.open")


@script
def channel_max_counts_open_ones(t):
    """A channel that was closed counts no more."""
    connection = t.connection(channel_max=1)
    for _ in range(3):
        connection.unopened(7).call("channel.open")
        connection.unopened(7).call("channel.close", reply_code=200)


@script
def close_gets_close_ok(t):
    """channel.close is answered with close-ok, and the number is free at once."""
    channel = t.channel()
    channel.call("channel.close", reply_code=200, reply_text="bye")
    channel.call("channel.open")
    channel.call("basic.qos")


@script
def closing_channels_ignore_everything(t):
    """After a soft error all frames, content too, are ignored until close-ok."""
    queue = t.queue()
    watcher = t.channel()
    watcher.declare(queue)
    connection = t.connection()
    connection.answers = False
    channel = connection.channel(1)
    channel.call("queue.declare", queue=t.name("none"), passive=True)
    channel.send("queue.declare", queue=t.queue("other"))
    channel.publish_anyway("", queue, b"lost")
    channel.send("basic.ack", delivery_tag=5)
    channel.quiet()
    watcher.get(queue)
    connection.answers = True
    channel.send("channel.close-ok")
    channel.send("channel.open")
    channel.wait()
    channel.call("queue.declare", queue=t.name("other"), passive=True)


@script
def both_close(t):
    """The client's close is answered while the broker's own waits for close-ok."""
    connection = t.connection()
    connection.answers = False
    channel = connection.channel(1)
    channel.call("queue.declare", queue=t.name("none"), passive=True)
    channel.send("channel.close", reply_code=200)
    channel.wait()
    channel.send("basic.qos")
    channel.quiet()
    channel.send("channel.close-ok")
    channel.send("channel.open")
    channel.wait()
    connection.answers = True


@script
def open_while_closing(t):
    """Opening a channel that waits for close-ok is a second open."""
    connection = t.connection()
    connection.answers = False
    channel = connection.channel(1)
    channel.call("queue.declare", queue=t.name("none"), passive=True)
    connection.answers = True
    channel.call("channel.open")


@script
def other_channels_live_on(t):
    """A soft error ends its own channel only."""
    connection = t.connection()
    first, second = connection.channel(1), connection.channel(2)
    first.call("queue.declare", queue=t.name("none"), passive=True)
    second.call("basic.qos")
    connection.channel(3).call("basic.qos")


@script
def closing_gives_messages_back(t):
    """The end of a channel gives back what is unacknowledged, in place and marked redelivered."""
    queue = t.queue()
    connection = t.connection()
    channel = connection.channel(1)
    channel.declare(queue)
    channel.fill(queue, b"1", b"2", b"3")
    channel.get(queue, no_ack=False)
    channel.get(queue, no_ack=False)
    channel.call("channel.close", reply_code=200)
    other = connection.channel(2)
    for _ in range(3):
        other.get(queue)


@script
def broken_sockets_give_messages_back(t):
    """A socket that breaks is the end of its channels too."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue)
    channel.fill(queue, b"1")
    channel.get(queue, no_ack=False)
    channel.connection.drop()
    watcher = t.channel()
    watcher.consume(queue, no_ack=True)
    watcher.wait()


@script
def earlier_publishes_are_kept(t):
    """What was published before a soft error is kept."""
    queue = t.queue()
    watcher = t.channel()
    watcher.declare(queue)
    channel = t.channel()
    channel.publish("", queue, b"kept")
    channel.call("queue.declare", queue=t.name("none"), passive=True)
    watcher.quiet()
    watcher.get(queue)


@script
def flow(t):
    """flow can be switched on, and not off."""
    channel = t.channel()
    channel.call("channel.flow", active=True)
    channel.call("channel.flow", active=False)


@script
def flow_ok_from_the_client(t):
    """A flow-ok that nobody asked for."""
    t.channel().call("channel.flow-ok", active=True)


@script
def close_ok_from_the_client(t):
    """A close-ok that nobody asked for, on an open channel."""
    channel = t.channel()
    channel.send("channel.close-ok")
    channel.quiet()
    channel.call("basic.qos")


@script
def access_request(t):
    """access.request is answered with ticket 1, and tickets are ignored."""
    channel = t.channel()
    channel.call("access.request", realm="/data", read=True)
    channel.call("queue.declare", ticket=77, queue=t.queue())


@script
def commands_of_many_channels(t):
    """Channels work side by side."""
    connection = t.connection()
    channels = [connection.channel(number) for number in range(1, 30)]
    for channel in channels:
        channel.send("queue.declare", queue=t.queue(f"q{channel.number}"), exclusive=True)
    for channel in channels:
        channel.wait()


@script
def no_wait_is_silent(t):
    """With no-wait success says nothing."""
    channel = t.channel()
    queue, exchange, other = t.queue(), t.exchange(), t.exchange("y")
    channel.send("confirm.select", no_wait=True)
    channel.send("queue.declare", queue=queue, no_wait=True)
    channel.send("exchange.declare", exchange=exchange, type="direct", no_wait=True)
    channel.send("exchange.declare", exchange=other, type="direct", no_wait=True)
    channel.send("queue.bind", queue=queue, exchange=exchange, routing_key="k", no_wait=True)
    channel.send("exchange.bind", destination=exchange, source=other, routing_key="k", no_wait=True)
    channel.quiet()
    channel.publish(other, "k", b"routed")
    channel.confirmed()
    channel.get(queue)
    channel.send("exchange.unbind", destination=exchange, source=other, routing_key="k", no_wait=True)
    channel.send("basic.consume", queue=queue, consumer_tag="c", no_wait=True)
    channel.send("basic.cancel", consumer_tag="c", no_wait=True)
    channel.send("queue.purge", queue=queue, no_wait=True)
    channel.send("queue.delete", queue=queue, no_wait=True)
    channel.send("exchange.delete", exchange=exchange, no_wait=True)
    channel.quiet()
    channel.call("queue.declare", queue=queue, passive=True)


@script
def no_wait_does_not_hide_errors(t):
    """With no-wait errors still close the channel."""
    for name, fields in (
        ("queue.declare", {"queue": "amq.no"}), ("queue.bind", {"queue": "none", "exchange": "none"}),
        ("queue.purge", {"queue": "none"}), ("exchange.declare", {"exchange": "amq.no", "type": "direct"}),
        ("exchange.delete", {"exchange": "amq.direct"}), ("basic.consume", {"queue": "none"}),
    ):  # fmt: skip
        t.channel().call(name, no_wait=True, **fields)


@script
def no_wait_consumer_with_a_generated_tag(t):
    """The client of a no-wait consume without a tag learns it with the first delivery."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue)
    channel.send("basic.consume", queue=queue, no_ack=True, no_wait=True)
    channel.quiet()
    t.channel().publish("", queue, b"1")
    channel.wait()
