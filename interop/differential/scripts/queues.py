"""Queues: declaring, names, exclusive and auto-delete ones, deleting, purging."""

from differential.script import script


@script
def generated_names(t):
    """Without a name a new one is made, a new queue each time."""
    channel = t.channel()
    channel.declare("", exclusive=True)
    channel.declare("", exclusive=True)
    t.also_delete(channel.declare("")["queue"])


@script
def last_declared_queue(t):
    """An empty name is the queue that was declared last on the channel."""
    channel = t.channel()
    channel.declare("", exclusive=True)
    channel.call("queue.bind", exchange="amq.direct", routing_key=t.name("k"))
    channel.call("queue.unbind", exchange="amq.direct", routing_key=t.name("k"))
    channel.consume("", no_ack=True)
    channel.call("basic.cancel", consumer_tag="c")
    channel.publish("amq.direct", t.name("k"), b"", mandatory=True)
    channel.wait()
    channel.get("")
    channel.call("queue.purge")
    channel.call("queue.delete")
    channel.get("")


@script
def last_declared_queue_as_key(t):
    """With an empty name an empty key is the queue's name too."""
    channel = t.channel()
    exchange = t.exchange()
    channel.exchange(exchange)
    queue = channel.declare("", exclusive=True)["queue"]
    channel.call("queue.bind", exchange=exchange)
    channel.publish(exchange, queue, b"by name", mandatory=True)
    channel.quiet()
    channel.get(queue)
    channel.bind(queue, exchange, "")
    channel.publish(exchange, "", b"by empty key", mandatory=True)
    channel.quiet()
    channel.get(queue)
    channel.call("queue.unbind", exchange=exchange)
    channel.publish(exchange, queue, b"", mandatory=True)
    channel.wait()


@script
def passive_declare_sets_the_last_queue(t):
    """A passive declare names the channel's last queue too."""
    queue = t.queue()
    t.channel().declare(queue)
    channel = t.channel()
    channel.declare(queue, passive=True)
    channel.call("queue.purge")


@script
def no_last_declared_queue(t):
    """Without such a queue an empty name is not found."""
    for name in ("queue.purge", "queue.delete", "basic.get", "basic.consume"):
        t.channel().call(name)
    t.channel().call("queue.bind", exchange="amq.direct", routing_key="k")
    t.channel().call("queue.unbind", exchange="amq.direct", routing_key="k")


@script
def passive(t):
    """passive looks only."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue, {"x-max-length": 5})
    channel.declare(queue, passive=True, durable=True, exclusive=True, auto_delete=True)
    channel.declare(queue, {"x-max-length": 7}, passive=True)
    channel.declare(t.name("none"), passive=True)
    channel = t.channel()
    channel.declare("", passive=True)


@script
def counts(t):
    """declare-ok counts ready messages and all consumers."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue)
    channel.fill(queue, b"1", b"2", b"3")
    channel.get(queue, no_ack=False)
    channel.declare(queue)
    channel.declare(queue, passive=True)
    consumer = t.channel()
    consumer.qos(1)
    consumer.consume(queue)
    consumer.wait()
    consumer.consume(queue, "d")
    consumer.wait()
    channel.declare(queue)


@script
def reserved_names(t):
    """Names that begin with amq. are reserved, also those of existing queues."""
    t.channel().declare("amq.new")
    t.channel().declare("amq.new", passive=True)
    channel = t.channel()
    queue = channel.declare("", exclusive=True)["queue"]
    channel.declare(queue, passive=True)
    channel.declare(queue, exclusive=True)
    t.channel().call("queue.delete", queue="amq.new")


@script
def equivalence(t):
    """A queue is declared again only as it is: durable, then auto-delete, then arguments."""
    queue = t.queue()
    t.channel().declare(queue, {"x-max-length": 5}, durable=True)
    for arguments, flags in (
        ({"x-max-length": 5}, {"durable": True}), ({"x-max-length": 5}, {}), ({}, {"durable": True}),
        ({"x-max-length": 5}, {"durable": True, "auto_delete": True}), ({}, {"auto_delete": True}),
        ({}, {"durable": True, "auto_delete": True}), ({}, {"exclusive": True}),
    ):  # fmt: skip
        t.channel().declare(queue, arguments, **flags)


@script
def exclusive_queues_of_others(t):
    """An exclusive queue is its connection's only."""
    queue = t.queue()
    owner = t.channel()
    owner.declare(queue, exclusive=True)
    t.channel().declare(queue, exclusive=True)
    t.channel().declare(queue)
    t.channel().declare(queue, passive=True)
    t.channel().get(queue)
    t.channel().consume(queue)
    t.channel().call("queue.purge", queue=queue)
    t.channel().call("queue.delete", queue=queue)
    t.channel().bind(queue, "amq.direct", "k")
    t.channel().call("queue.unbind", queue=queue, exchange="amq.direct", routing_key="k")
    t.channel().publish("", queue, b"let in")
    owner.quiet()
    owner.get(queue)


@script
def unbinding_what_another_bound(t):
    """A binding of another connection's exclusive queue."""
    queue = t.queue()
    owner = t.channel()
    owner.declare(queue, exclusive=True)
    owner.bind(queue, "amq.direct", queue)
    t.channel().call("queue.unbind", queue=queue, exchange="amq.direct", routing_key=queue)
    owner.publish("amq.direct", queue, b"", mandatory=True)
    owner.quiet()
    owner.get(queue)


@script
def exclusive_flag(t):
    """The exclusive flag must be the same."""
    queue, shared = t.queue(), t.queue("shared")
    connection = t.connection()
    connection.channel(1).declare(queue, exclusive=True)
    connection.channel(2).declare(queue)
    connection.channel(3).declare(queue, exclusive=True)
    connection.channel(4).declare(shared)
    connection.channel(5).declare(shared, exclusive=True)


@script
def exclusive_queues_are_not_durable(t):
    """Whatever durable says of an exclusive queue, it matches."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue, exclusive=True, durable=True)
    channel.declare(queue, exclusive=True)
    channel.declare(queue, exclusive=True, durable=True)
    channel.declare(queue, exclusive=True, auto_delete=True)


@script
def exclusive_queues_outlive_channels(t):
    """An exclusive queue goes with its connection and not with its channel."""
    queue = t.queue()
    connection = t.connection()
    connection.channel(1).declare(queue, exclusive=True)
    connection.channels[1].call("channel.close", reply_code=200)
    connection.channel(2).declare(queue, passive=True)
    connection.drop()
    watcher = t.channel()
    watcher.quiet(1)
    watcher.declare(queue, passive=True)


@script
def auto_delete(t):
    """An auto-delete queue goes with its last consumer, and not before the first; get does not count."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue, auto_delete=True)
    channel.get(queue)
    channel.declare(queue, auto_delete=True)
    channel.consume(queue, "1")
    channel.consume(queue, "2")
    channel.call("basic.cancel", consumer_tag="1")
    channel.declare(queue, passive=True)
    channel.call("basic.cancel", consumer_tag="2")
    channel.quiet()
    channel.declare(queue, passive=True)


@script
def auto_delete_with_channel_and_connection(t):
    """The end of a channel or a connection ends the last consumer too."""
    for how in ("channel", "connection"):
        queue = t.queue(how)
        connection = t.connection()
        channel = connection.channel(1)
        channel.declare(queue, auto_delete=True)
        channel.consume(queue)
        if how == "channel":
            channel.call("channel.close", reply_code=200)
        else:
            connection.call("connection.close", reply_code=200)
        watcher = t.channel()
        watcher.quiet(1)
        watcher.declare(queue, passive=True)


@script
def delete(t):
    """delete-ok counts ready messages; what is missing is deleted already."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue)
    channel.fill(queue, b"1", b"2", b"3")
    channel.get(queue, no_ack=False)
    channel.call("queue.delete", queue=queue)
    channel.ack(1)
    channel.call("queue.delete", queue=queue)
    channel.call("queue.delete", queue=queue, if_unused=True, if_empty=True)


@script
def delete_conditions(t):
    """if-unused asks for consumers, if-empty for ready messages."""
    queue = t.queue()
    holder = t.channel()
    holder.declare(queue)
    holder.fill(queue, b"1")
    holder.qos(1)
    t.channel().call("queue.delete", queue=queue, if_empty=True)
    holder.consume(queue)
    holder.wait()
    t.channel().call("queue.delete", queue=queue, if_unused=True)
    holder.fill(queue, b"2")
    t.channel().call("queue.delete", queue=queue, if_unused=True, if_empty=True)
    t.channel().call("queue.delete", queue=queue, if_empty=True)
    holder.call("basic.cancel", consumer_tag="c")
    t.channel().call("queue.delete", queue=queue, if_unused=True)


@script
def unacked_messages_do_not_count_for_if_empty(t):
    """A queue whose messages are all out is empty."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue)
    channel.fill(queue, b"1")
    channel.get(queue, no_ack=False)
    channel.call("queue.delete", queue=queue, if_empty=True)


@script
def delete_cancels_consumers(t):
    """Consumers of a queue that goes get basic.cancel, before delete-ok on the same channel."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue)
    channel.consume(queue, "1")
    other = t.channel()
    other.consume(queue, "2")
    channel.call("queue.delete", queue=queue)
    channel.quiet()
    other.quiet()
    # The tag is free again.
    other.declare(queue)
    other.consume(queue, "2")


@script
def delete_without_the_capability(t):
    """Without consumer_cancel_notify a client hears nothing of it."""
    queue = t.queue()
    channel = t.channel(properties={"capabilities": {"consumer_cancel_notify": False}})
    channel.declare(queue)
    channel.consume(queue)
    t.channel().call("queue.delete", queue=queue)
    channel.quiet()
    channel.call("basic.cancel", consumer_tag="c")


@script
def acks_after_delete(t):
    """Acknowledging messages of a queue that is gone is fine."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue)
    channel.fill(queue, b"1", b"2", b"3", b"4")
    for _ in range(4):
        channel.get(queue, no_ack=False)
    t.channel().call("queue.delete", queue=queue)
    channel.ack(1)
    channel.nack(2)
    channel.reject(3)
    channel.ack(4, multiple=True)
    channel.quiet()
    channel.call("basic.qos")


@script
def purge(t):
    """purge takes what is ready, and counts it."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue)
    channel.fill(queue, b"1", b"2", b"3")
    channel.get(queue, no_ack=False)
    channel.call("queue.purge", queue=queue)
    channel.call("queue.purge", queue=queue)
    channel.nack(1)
    channel.quiet()
    channel.get(queue)
    channel.call("queue.purge", queue=t.name("none"))


@script
def long_names(t):
    """Names take 255 octets."""
    queue = t.queue("q" * 246)
    channel = t.channel()
    channel.declare(queue)
    channel.declare(queue, passive=True)
