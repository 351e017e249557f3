"""Exchanges: declaring, deleting, flags, alternates."""

from differential.amqp import Typed
from differential.script import script

STANDARD = {
    "amq.direct": "direct", "amq.fanout": "fanout", "amq.topic": "topic", "amq.headers": "headers",
    "amq.match": "headers",
}  # fmt: skip


@script
def standard_exchanges(t):
    """The standard exchanges are there, durable, and may be declared as they are."""
    channel = t.channel()
    for name, kind in STANDARD.items():
        channel.exchange(name, kind, durable=True)
    channel.exchange("amq.rabbitmq.trace", "topic", durable=True, internal=True)


@script
def unknown_types(t):
    """An unknown type is a hard error, looked at before the name."""
    for kind in ("bogus", "Direct", "", "direct "):
        t.channel().exchange(t.exchange(), kind)
    t.channel().exchange("", "bogus")
    t.channel().exchange("amq.new", "bogus")


@script
def types_that_the_server_knows_as_words(t):
    """Words that are no types are refused, whatever else they are."""
    for kind in ("queue", "exchange", "true", "x-none"):
        t.channel().exchange(t.exchange(), kind)


@script
def default_exchange(t):
    """The default exchange is nobody's to declare, look at or delete."""
    t.channel().exchange("")
    t.channel().exchange("", passive=True)
    t.channel().call("exchange.delete", exchange="")


@script
def reserved_names(t):
    """Names that begin with amq. are reserved."""
    t.channel().exchange("amq.new")
    t.channel().exchange("amq.")
    t.channel().exchange(t.exchange("amq"))
    t.channel().exchange("amq.direct", "direct", durable=False)
    t.channel().exchange("amq.new", passive=True)
    t.channel().call("exchange.delete", exchange="amq.direct")
    t.channel().call("exchange.delete", exchange="amq.absent")
    t.channel().call("exchange.delete", exchange="amq.direct", if_unused=True)


@script
def passive(t):
    """passive asks for existence only."""
    exchange = t.exchange()
    channel = t.channel()
    channel.exchange(exchange, "fanout")
    channel.exchange(exchange, "direct", passive=True, durable=True, auto_delete=True)
    channel.exchange(exchange, "bogus", passive=True)
    channel.exchange(exchange, "", passive=True)
    channel.exchange(t.name("none"), passive=True)


@script
def equivalence(t):
    """An exchange is declared again only as it is: type, durable, auto-delete and internal are looked at in order."""
    exchange = t.exchange()
    t.channel().exchange(exchange, "direct")
    for kind, flags in (
        ("direct", {}), ("fanout", {}), ("direct", {"durable": True}), ("direct", {"auto_delete": True}),
        ("direct", {"internal": True}), ("topic", {"durable": True, "internal": True}),
        ("direct", {"durable": True, "auto_delete": True, "internal": True}),
    ):  # fmt: skip
        t.channel().exchange(exchange, kind, **flags)
    second = t.exchange("y")
    t.channel().exchange(second, "fanout", durable=True, auto_delete=True, internal=True)
    t.channel().exchange(second, "fanout", auto_delete=True, internal=True)
    t.channel().exchange(second, "fanout", durable=True, internal=True)
    t.channel().exchange(second, "fanout", durable=True, auto_delete=True)


@script
def equivalence_of_arguments(t):
    """Of the arguments only the alternate exchange is compared."""
    exchange, second = t.exchange(), t.exchange("y")
    t.channel().exchange(exchange, arguments={"x-other": 1})
    t.channel().exchange(exchange, arguments={"x-other": "two"})
    t.channel().exchange(exchange, arguments={"alternate-exchange": "ae"})
    t.channel().exchange(second, arguments={"alternate-exchange": "ae"})
    t.channel().exchange(second, arguments={"alternate-exchange": "ae"})
    t.channel().exchange(second, arguments={"alternate-exchange": "other"})
    t.channel().exchange(second)
    t.channel().exchange(second, arguments={"alternate-exchange": 5})


@script
def alternate_exchange_of_another_type(t):
    """The alternate exchange is a long string."""
    for value in (5, True, None, Typed("x", b"ae"), ["ae"]):
        t.channel().exchange(t.exchange(), arguments={"alternate-exchange": value})


@script
def delete(t):
    """Deleting is idempotent."""
    channel = t.channel()
    exchange = t.exchange()
    channel.exchange(exchange)
    channel.call("exchange.delete", exchange=exchange)
    channel.call("exchange.delete", exchange=exchange)
    channel.call("exchange.delete", exchange=exchange, if_unused=True)
    channel.exchange(exchange, passive=True)


@script
def delete_if_unused(t):
    """if-unused asks for bindings from the exchange, and not for those to it."""
    channel = t.channel()
    source, destination, queue = t.exchange("source"), t.exchange("destination"), t.queue()
    channel.exchange(source)
    channel.exchange(destination)
    channel.call("exchange.bind", destination=destination, source=source)
    channel.call("exchange.delete", exchange=destination, if_unused=True)
    channel.exchange(destination, passive=True)
    channel = t.channel()
    channel.declare(queue)
    channel.bind(queue, source, "k")
    channel.call("exchange.delete", exchange=source, if_unused=True)
    channel = t.channel()
    channel.call("queue.delete", queue=queue)
    channel.call("exchange.delete", exchange=source, if_unused=True)


@script
def delete_takes_bindings_along(t):
    """With an exchange go the bindings from and to it."""
    channel = t.channel()
    first, second, queue = t.exchange("first"), t.exchange("second"), t.queue()
    for exchange in (first, second):
        channel.exchange(exchange, "fanout")
    channel.declare(queue)
    channel.call("exchange.bind", destination=second, source=first)
    channel.bind(queue, second)
    channel.call("exchange.delete", exchange=second)
    channel.exchange(second, "fanout")
    channel.publish(first, "", b"", mandatory=True)
    channel.wait()
    channel.publish(second, "", b"", mandatory=True)
    channel.wait()


@script
def auto_delete(t):
    """An auto-delete exchange goes with the last binding it is the source of, and never before the first."""
    channel = t.channel()
    exchange, queue, other = t.exchange(), t.queue(), t.queue("other")
    channel.exchange(exchange, auto_delete=True)
    channel.declare(queue)
    channel.declare(other)
    channel.exchange(exchange, passive=True)
    channel.bind(queue, exchange, "1")
    channel.bind(other, exchange, "2")
    channel.call("queue.unbind", queue=queue, exchange=exchange, routing_key="1")
    channel.exchange(exchange, passive=True)
    channel.call("queue.delete", queue=other)
    channel.exchange(exchange, passive=True)


@script
def auto_delete_of_a_destination(t):
    """An auto-delete exchange does not go with bindings to it."""
    channel = t.channel()
    source, exchange = t.exchange("source"), t.exchange()
    channel.exchange(source)
    channel.exchange(exchange, auto_delete=True)
    channel.call("exchange.bind", destination=exchange, source=source)
    channel.call("exchange.unbind", destination=exchange, source=source)
    channel.exchange(exchange, passive=True)


@script
def auto_delete_goes_on(t):
    """With a destination that is deleted an auto-delete source goes too."""
    channel = t.channel()
    source, exchange = t.exchange("source"), t.exchange()
    channel.exchange(source, auto_delete=True)
    channel.exchange(exchange)
    channel.call("exchange.bind", destination=exchange, source=source)
    channel.call("exchange.delete", exchange=exchange)
    channel.exchange(source, passive=True)


@script
def internal(t):
    """To an internal exchange nobody publishes, but others lead there."""
    channel = t.channel()
    exchange, outer, queue = t.exchange(), t.exchange("outer"), t.queue()
    channel.exchange(exchange, "fanout", internal=True)
    channel.exchange(outer, "fanout")
    channel.declare(queue)
    channel.call("exchange.bind", destination=exchange, source=outer)
    channel.bind(queue, exchange)
    channel.publish(outer, "", b"through")
    channel.quiet()
    channel.get(queue)
    channel.publish(exchange, "", b"refused")
    channel.wait()


@script
def alternate_exchange(t):
    """What no binding of the exchange matches goes to its alternate, with its key."""
    channel = t.channel()
    exchange, alternate, queue = t.exchange(), t.exchange("alternate"), t.queue()
    channel.exchange(exchange, "direct", {"alternate-exchange": alternate})
    channel.declare(queue)
    channel.publish(exchange, "k", b"nowhere", mandatory=True)
    channel.wait()
    channel.exchange(alternate, "fanout")
    channel.publish(exchange, "k", b"still nowhere", mandatory=True)
    channel.wait()
    channel.bind(queue, alternate)
    channel.publish(exchange, "k", b"there", mandatory=True)
    channel.quiet()
    channel.get(queue)
    channel.bind(queue, exchange, "k")
    channel.publish(exchange, "k", b"once", mandatory=True)
    channel.quiet()
    channel.get(queue)
    channel.get(queue)


@script
def alternates_in_a_circle(t):
    """Alternates follow each other, each exchange once."""
    channel = t.channel()
    first, second, queue = t.exchange("first"), t.exchange("second"), t.queue()
    channel.exchange(first, "direct", {"alternate-exchange": second})
    channel.exchange(second, "direct", {"alternate-exchange": first})
    channel.declare(queue)
    channel.publish(first, "k", b"", mandatory=True)
    channel.wait()
    channel.bind(queue, second, "k")
    channel.publish(first, "k", b"found", mandatory=True)
    channel.quiet()
    channel.get(queue)


@script
def default_exchange_as_alternate(t):
    """The default exchange as alternate."""
    channel = t.channel()
    exchange, queue = t.exchange(), t.queue()
    channel.exchange(exchange, "direct", {"alternate-exchange": ""})
    channel.declare(queue)
    channel.publish(exchange, queue, b"", mandatory=True)
    channel.quiet()
    channel.get(queue)


@script
def alternate_of_a_destination(t):
    """The alternate of an exchange that others lead to counts for it too."""
    channel = t.channel()
    outer, inner, alternate, queue = t.exchange("outer"), t.exchange("inner"), t.exchange("alternate"), t.queue()
    channel.exchange(outer, "fanout")
    channel.exchange(inner, "direct", {"alternate-exchange": alternate})
    channel.exchange(alternate, "fanout")
    channel.declare(queue)
    channel.call("exchange.bind", destination=inner, source=outer)
    channel.bind(queue, alternate)
    channel.publish(outer, "k", b"", mandatory=True)
    channel.quiet()
    channel.get(queue)
