"""What users may do, with the users and permissions of `definitions.json`: bob may configure what begins with c, write
to what begins with w and read what begins with r."""

from differential.script import script

VHOST = "walls"


def owner(t, *queues, exchange=None):
    """A channel of somebody who may do everything, with these queues and a topic exchange."""
    channel = t.channel(vhost=VHOST)
    for queue in queues:
        channel.declare(queue, auto_delete=True)
    if exchange:
        channel.exchange(exchange, "topic", auto_delete=False)
    return channel


def bob(t, **options):
    return t.channel(vhost=VHOST, user="bob", **options)


@script(defined=True)
def open_without_permission(t):
    """Who has no permission in a vhost does not get in."""
    t.connection(vhost=VHOST, user="nobody")


@script(defined=True)
def open_of_an_unknown_vhost(t):
    """A vhost that there is not, asked for by somebody who is known."""
    t.connection(vhost="nowhere", user="bob")


@script(defined=True)
def declare_and_delete(t):
    """Declaring and deleting queues needs configure, of what is there and of what is not."""
    for name in (t.name("c"), t.name("w"), t.name("r"), t.name("other")):
        bob(t).declare(name, auto_delete=True)
        bob(t).call("queue.delete", queue=name)


@script(defined=True)
def server_named_queue(t):
    """The name that the server makes up must be allowed."""
    bob(t).declare("")


@script(defined=True)
def exchanges(t):
    """Declaring and deleting exchanges needs configure."""
    for name in (t.name("c"), t.name("w"), t.name("r")):
        bob(t).exchange(name)
        bob(t).call("exchange.delete", exchange=name)


@script(defined=True)
def alternate_exchange(t):
    """An exchange with an alternate one: read of itself, write of that one."""
    bob(t).exchange(t.name("c"), arguments={"alternate-exchange": "amq.fanout"})
    bob(t).exchange(t.name("cr"), arguments={"alternate-exchange": t.name("w")})


@script(defined=True)
def dead_letter_exchange(t):
    """A queue with a dead-letter exchange: read of itself, write of that one."""
    for exchange in (t.name("w"), t.name("r")):
        bob(t).declare(t.name("c"), {"x-dead-letter-exchange": exchange}, auto_delete=True)


@script(defined=True)
def consume_get_purge(t):
    """Reading needs read; what is not there is not told apart."""
    readable, writable = t.name("r"), t.name("w")
    owner(t, readable, writable)
    for name in (readable, writable, t.name("r-none"), t.name("w-none")):
        bob(t).get(name)
        bob(t).consume(name)
        bob(t).call("queue.purge", queue=name)


@script(defined=True)
def publish(t):
    """Publishing needs write of the exchange, before it is known whether there is one."""
    for exchange in (t.name("w-none"), t.name("r-none"), "amq.fanout", ""):
        channel = bob(t)
        channel.publish(exchange, t.name("key"), b"m", mandatory=True)
        channel.wait()


@script(defined=True)
def publish_with_confirms(t):
    """A refused publish is not confirmed, it ends the channel."""
    channel = bob(t)
    channel.call("confirm.select")
    channel.publish("amq.fanout", "k", b"m")
    channel.wait()


@script(defined=True)
def bind_and_unbind(t):
    """Binding needs write of the queue and read of the exchange, in this order."""
    queues = [t.name(word) for word in ("w", "r", "c")]
    exchanges = [t.name(word) for word in ("rx", "wx")]
    channel = owner(t, *queues)
    for exchange in exchanges:
        channel.exchange(exchange, auto_delete=False)
    for method in ("queue.bind", "queue.unbind"):
        for queue in queues:
            for exchange in exchanges:
                bob(t).call(method, queue=queue, exchange=exchange, routing_key="k")
    bob(t).call("queue.bind", queue=t.name("w-none"), exchange=t.name("r-none"), routing_key="k")


@script(defined=True)
def bind_exchanges(t):
    """Binding exchanges needs write of the destination and read of the source."""
    names = [t.name(word) for word in ("w", "r", "c")]
    channel = t.channel(vhost=VHOST)
    for name in names:
        channel.exchange(name, auto_delete=False)
    for destination in names:
        for source in names:
            bob(t).call("exchange.bind", destination=destination, source=source, routing_key="k")


@script(defined=True)
def passive_declare(t):
    """Looking whether something is there."""
    known = t.name("x")
    owner(t, known)
    bob(t).declare(known, passive=True)
    bob(t).exchange("amq.fanout", passive=True)
    t.channel(vhost=VHOST, user="reader").declare(known, passive=True)


@script(defined=True)
def topic_keys_of_publishes(t):
    """Where a user has topic permissions for an exchange they bound the keys that it publishes with."""
    for key in ("writer.a", "writer", "other.a", ""):
        channel = t.channel(vhost=VHOST, user="writer")
        channel.call("confirm.select")
        channel.publish("amq.topic", key, b"m")
        channel.wait()


@script(defined=True)
def topic_keys_of_other_exchanges(t):
    """An exchange for which there are no topic permissions is not bounded, nor is one of another type."""
    exchange = t.name("topic")
    owner(t, exchange=exchange)
    channel = t.channel(vhost=VHOST, user="writer")
    channel.call("confirm.select")
    channel.publish(exchange, "other.a", b"m")
    channel.publish("amq.direct", "other.a", b"m")
    channel.confirmed()


@script(defined=True)
def topic_keys_of_bindings(t):
    """The keys of bindings are bounded by what may be read; write of the queue comes first."""
    queue = t.name("q")
    owner(t, queue)
    t.channel(vhost=VHOST, user="reader").bind(queue, "amq.topic", "public.a")
    for key in ("public.a", "private.a", "#"):
        t.channel(vhost=VHOST, user="impersonator").bind(queue, "amq.topic", key)
        t.channel(vhost=VHOST, user="impersonator").call(
            "queue.unbind", queue=queue, exchange="amq.topic", routing_key=key
        )
    t.channel(vhost=VHOST, user="writer").bind(queue, "amq.topic", "public.a")


@script(defined=True)
def user_id(t):
    """The property user-id must be the user's name, unless it is an impersonator."""
    for user in ("writer", "impersonator"):
        for claimed in (user, "guest"):
            channel = t.channel(vhost=VHOST, user=user)
            channel.call("confirm.select")
            channel.publish("amq.fanout", "", b"m", user_id=claimed)
            channel.wait()


@script(defined=True)
def transaction(t):
    """What may not be published is refused when it is published, not at the commit."""
    channel = bob(t)
    channel.call("tx.select")
    channel.publish("amq.fanout", "", b"m")
    channel.wait()


@script(defined=True)
def settle_and_qos(t):
    """Settling, qos, confirms and transactions need no right."""
    channel = t.channel(vhost=VHOST, user="writer")
    channel.qos(5)
    channel.call("tx.select")
    channel.call("tx.commit")
    t.channel(vhost=VHOST, user="writer").call("confirm.select")
