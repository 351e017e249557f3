"""Direct reply-to."""

from differential.script import script

REPLY = "amq.rabbitmq.reply-to"


def requester(t):
    """A channel that waits for replies, the queue of its server, and the name for replies as the server sees it."""
    queue = t.queue("requests")
    channel = t.channel()
    channel.declare(queue)
    channel.consume(REPLY, "r", no_ack=True)
    channel.publish("", queue, b"request", reply_to=REPLY, correlation_id="1")
    channel.quiet()
    server = t.channel()
    name = server.get(queue)["properties.reply-to"] or b"none"
    return channel, server, name


@script
def request_and_reply(t):
    """A reply finds its way to the requester's channel."""
    channel, server, name = requester(t)
    server.publish("", name, b"reply", mandatory=False, correlation_id="1")
    channel.wait()
    server.publish("", name, b"second")
    channel.wait()


@script
def same_name_for_the_channels_life(t):
    """A channel has one name for replies; another one has another."""
    queue = t.queue()
    server = t.channel()
    server.declare(queue)
    for _ in range(2):
        channel = t.channel()
        channel.consume(REPLY, no_ack=True)
        for _ in range(2):
            channel.publish("", queue, b"", reply_to=REPLY)
            channel.quiet()
            server.get(queue)


@script
def consumer_that_acknowledges(t):
    """The consumer of replies is a no-ack one."""
    t.channel().consume(REPLY)


@script
def second_consumer(t):
    """A channel has one consumer of replies; after cancel it may have another."""
    channel = t.channel()
    channel.consume(REPLY, "1", no_ack=True)
    channel.call("basic.cancel", consumer_tag="1")
    channel.consume(REPLY, "2", no_ack=True)
    channel.consume(REPLY, "3", no_ack=True)


@script
def publish_without_a_consumer(t):
    """A request needs the consumer on its own channel."""
    channel = t.channel()
    channel.consume(REPLY, no_ack=True)
    other = channel.connection.channel(2)
    other.publish("", t.name("none"), b"", reply_to=REPLY)
    other.wait()


@script
def mandatory_reply(t):
    """A mandatory reply that is delivered."""
    channel, server, name = requester(t)
    server.call("confirm.select")
    server.publish("", name, b"reply", mandatory=True)
    server.confirmed()
    channel.wait()


@script
def reply_to_nobody(t):
    """A reply to a consumer that is gone is dropped."""
    channel, server, name = requester(t)
    channel.call("basic.cancel", consumer_tag="r")
    server.call("confirm.select")
    server.publish("", name, b"reply")
    server.confirmed()
    channel.quiet()
    server.publish("", name, b"reply", mandatory=True)
    server.confirmed()


@script
def reply_to_a_closed_channel(t):
    """A reply to a channel that is gone is dropped."""
    channel, server, name = requester(t)
    channel.call("channel.close", reply_code=200)
    server.publish("", name, b"reply", mandatory=True)
    server.wait()


@script
def declare(t):
    """Declaring either name looks whether somebody waits there."""
    channel, server, name = requester(t)
    server.declare(REPLY)
    server.declare(REPLY, passive=True)
    server.declare(REPLY, durable=True, exclusive=True)
    server.declare(name, passive=True)
    server.declare(name)
    channel.call("channel.close", reply_code=200)
    server.declare(name, passive=True)


@script
def other_methods(t):
    """What else can be tried with these names."""
    _, server, name = requester(t)
    for queue in (REPLY, name):
        for method in ("queue.purge", "queue.delete", "basic.get"):
            t.channel().call(method, queue=queue)
        t.channel().bind(queue, "amq.direct", "k")
    t.channel().consume(name, no_ack=True)


@script
def malformed_names(t):
    """Names that nobody has."""
    for name in (REPLY + ".", REPLY + ".bogus", REPLY + ".bogus.key", REPLY + ".g1hk.a"):
        channel = t.channel()
        channel.publish("", name, b"", mandatory=True)
        channel.quiet()
        channel = t.channel()
        channel.declare(name, passive=True)


@script
def delivery_tags(t):
    """Whether a reply takes a delivery tag."""
    channel, server, name = requester(t)
    server.publish("", name, b"reply")
    channel.wait()
    queue = t.queue()
    server.declare(queue)
    server.fill(queue, b"1")
    channel.get(queue)


@script
def other_exchanges(t):
    """Only over the default exchange a name for replies is one."""
    channel, server, name = requester(t)
    server.publish("amq.direct", name, b"", mandatory=True)
    server.wait()
    channel.quiet()


@script
def twice_in_cc(t):
    """The same name twice delivers once."""
    channel, server, name = requester(t)
    server.publish("", name, b"reply", headers={"CC": [name, name]})
    channel.wait()
    channel.quiet()
