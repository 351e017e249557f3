"""Tracing of a vhost (the firehose), switched by the control command."""

from differential.amqp import Typed
from differential.script import script

VHOST = "traced"


def watcher(t):
    """A channel that is given every copy."""
    copies = t.name("copies")
    channel = t.channel(vhost=VHOST)
    channel.declare(copies, exclusive=True)
    channel.bind(copies, "amq.rabbitmq.trace", "#")
    channel.consume(copies, no_ack=True)
    return channel


@script(defined=True, controls=True, alone=True)
def publishes_and_deliveries(t):
    """What is published, fetched, given back and delivered again is copied, with what it was."""
    copies = watcher(t)
    queue, exchange = t.name("q"), t.name("x")
    channel = t.channel(vhost=VHOST)
    channel.declare(queue, exclusive=True)
    channel.exchange(exchange, "fanout", auto_delete=True)
    channel.bind(queue, exchange)
    t.control("trace_on", "-p", VHOST)
    headers = {"colour": "red", "number": 7, "CC": Typed("A", [Typed("S", b"other")])}
    channel.publish(exchange, "key", b"body", content_type="text/plain", priority=3, delivery_mode=2,
                    message_id="m-1", timestamp=1700000000, app_id="app", headers=headers)  # fmt: skip
    copies.wait()
    channel.get(queue, no_ack=False)
    copies.wait()
    channel.nack(1)
    consumer = channel.connection.channel(2)
    consumer.consume(queue)
    copies.wait()
    channel.publish("", t.name("nowhere"), b"lost")
    copies.wait()
    t.control("trace_off", "-p", VHOST)
    channel.publish(exchange, "key", b"not traced")
    copies.quiet()


@script(defined=True, controls=True, alone=True)
def plain_message(t):
    """A message without properties, published to a queue."""
    copies = watcher(t)
    queue = t.name("q")
    channel = t.channel(vhost=VHOST)
    channel.declare(queue, exclusive=True)
    t.control("trace_on", "-p", VHOST)
    channel.publish("", queue, b"")
    copies.wait()
    t.control("trace_off", "-p", VHOST)


@script(defined=True, controls=True, alone=True)
def transaction(t):
    """A publish in a transaction that is committed."""
    copies = watcher(t)
    queue = t.name("q")
    channel = t.channel(vhost=VHOST)
    channel.declare(queue, exclusive=True)
    t.control("trace_on", "-p", VHOST)
    channel.call("tx.select")
    channel.publish("", queue, b"m")
    channel.call("tx.commit")
    copies.wait()
    t.control("trace_off", "-p", VHOST)
