"""Time to live of messages and queues."""

from differential.script import script


@script
def of_the_queue(t):
    """x-message-ttl drops what waits too long."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue, {"x-message-ttl": 300})
    channel.fill(queue, b"1", b"2")
    channel.get(queue)
    channel.quiet(1)
    channel.declare(queue, passive=True)
    channel.get(queue)


@script
def of_the_message(t):
    """expiration does the same for one message, and the lower of both counts."""
    queue, limited = t.queue(), t.queue("limited")
    channel = t.channel()
    channel.declare(queue)
    channel.declare(limited, {"x-message-ttl": 400})
    channel.fill(queue, b"short", expiration="300")
    channel.fill(limited, b"long", expiration="60000")
    channel.fill(limited, b"short", expiration="100")
    channel.quiet(1)
    for name in (queue, limited):
        channel.declare(name, passive=True)
        channel.get(name)


@script
def head_only(t):
    """What stands behind a longer one stays and is counted, and is never delivered late."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue)
    channel.fill(queue, b"long", expiration="60000")
    channel.fill(queue, b"short", expiration="200")
    channel.quiet(1)
    channel.declare(queue, passive=True)
    channel.get(queue)
    channel.get(queue)


@script
def zero(t):
    """With no time to live a message goes to a free consumer or to nobody; it is neither returned nor refused."""
    queue, limited = t.queue(), t.queue("limited")
    channel = t.channel()
    channel.declare(queue)
    channel.declare(limited, {"x-message-ttl": 0})
    channel.call("confirm.select")
    channel.publish("", queue, b"nobody", mandatory=True, expiration="0")
    channel.publish("", limited, b"nobody", mandatory=True)
    channel.confirmed()
    for name in (queue, limited):
        channel.get(name)
        consumer = t.channel()
        consumer.consume(name, no_ack=True)
        channel.publish("", name, b"somebody", expiration="0")
        consumer.wait()
    channel.confirmed()


@script
def out_messages(t):
    """What is out does not expire; given back, it does."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue)
    channel.fill(queue, b"1", expiration="300")
    channel.get(queue, no_ack=False)
    channel.quiet(1)
    channel.nack(1)
    channel.quiet()
    channel.get(queue)


@script
def out_messages_are_acknowledged(t):
    """What is out beyond its time is acknowledged as ever."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue, {"x-message-ttl": 200})
    channel.fill(queue, b"1")
    channel.get(queue, no_ack=False)
    channel.quiet(1)
    channel.ack(1)
    channel.quiet()
    channel.call("basic.qos")


@script
def expires(t):
    """x-expires deletes a queue that nobody uses; publishing is no use."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue, {"x-expires": 700})
    for _ in range(5):
        channel.publish("", queue, b"")
        channel.quiet(0.3)
    channel.declare(queue, passive=True)


@script
def expires_not_while_used(t):
    """Consumers keep a queue, and gets and declares begin anew."""
    consumed, asked = t.queue("consumed"), t.queue("asked")
    channel = t.channel()
    channel.declare(consumed, {"x-expires": 1500})
    channel.declare(asked, {"x-expires": 1500})
    channel.consume(consumed)
    for _ in range(3):
        channel.quiet(0.7)
        channel.get(asked)
        channel.quiet(0.7)
        channel.declare(asked, passive=True)
    channel.declare(consumed, passive=True)
    channel.call("basic.cancel", consumer_tag="c")
    channel.quiet(3)
    channel.declare(consumed, passive=True)


@script
def expired_queues_cancel_nothing_and_dead_letter_nothing(t):
    """What an expired queue held is gone."""
    queue, letters = t.queue(), t.queue("letters")
    channel = t.channel()
    channel.declare(letters)
    arguments = {"x-expires": 400, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": letters}
    channel.declare(queue, arguments)
    channel.fill(queue, b"1")
    channel.quiet(2)
    channel.get(letters)
    channel.declare(queue, passive=True)
