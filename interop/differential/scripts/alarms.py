"""The memory alarm, raised and ended by the control command."""

from differential.script import script


def raised(t):
    t.control("set_vm_memory_high_watermark", "absolute", "1")


def ended(t):
    t.control("set_vm_memory_high_watermark", "0.9")


@script(controls=True, alone=True)
def publisher_and_consumer(t):
    """Who publishes is told, and stops; who consumes goes on and is told nothing."""
    queue = t.queue()
    consumer = t.channel()
    consumer.declare(queue)
    publisher = t.channel()
    publisher.publish("", queue, b"before")
    consumer.consume(queue, no_ack=True)
    consumer.wait()
    raised(t)
    publisher.publish("", queue, b"held back")
    publisher.connection.wait()
    consumer.quiet()
    consumer.qos(5)
    ended(t)
    publisher.connection.wait()
    consumer.wait()


@script(controls=True, alone=True)
def without_the_capability(t):
    """A client that does not know connection.blocked is held back without a word."""
    queue = t.queue()
    publisher = t.channel(properties={"capabilities": {"publisher_confirms": True}})
    publisher.declare(queue)
    raised(t)
    publisher.publish("", queue, b"held back")
    publisher.connection.quiet()
    ended(t)
    publisher.quiet()
    publisher.get(queue)


@script(controls=True, alone=True)
def connected_while_it_lasts(t):
    """A connection that is opened meanwhile may do all but publish."""
    queue = t.queue()
    raised(t)
    channel = t.channel()
    channel.declare(queue)
    channel.publish("", queue, b"held back")
    channel.connection.wait()
    ended(t)
    channel.connection.wait()
    channel.get(queue)
