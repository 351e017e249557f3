"""Publishing: checks, returns, confirms."""

from differential.script import script


@script
def missing_exchange(t):
    """Publishing to a missing exchange closes the channel; what follows is lost."""
    queue = t.queue()
    watcher = t.channel()
    watcher.declare(queue)
    channel = t.channel()
    channel.publish(t.name("nox"), "k", b"")
    channel.publish_anyway("", queue, b"lost")
    channel.wait()
    watcher.quiet()
    watcher.get(queue)


@script
def immediate(t):
    """immediate is not implemented, whatever else is wrong."""
    for exchange in ("", t.name("nox")):
        channel = t.channel()
        channel.publish(exchange, "k", b"", immediate=True)
        channel.wait()


@script
def user_id(t):
    """user_id must be the user's."""
    queue = t.queue()
    t.channel().declare(queue)
    for user in ("guest", "other", "", "Guest"):
        channel = t.channel()
        channel.publish("", queue, b"", user_id=user)
        channel.quiet()
        channel.get(queue)


@script
def expiration(t):
    """expiration is a number of milliseconds in digits."""
    queue = t.queue()
    t.channel().declare(queue)
    for text in ("60000", "+60000", "315360000000", "060000"):
        channel = t.channel()
        channel.publish("", queue, b"", expiration=text)
        channel.quiet()
        channel.get(queue)
    for text in ("abc", "-1", "1.5", "315360000001", "", " 5", "5 ", "+", "0x10", "99999999999999999999999", "-0x"):
        channel = t.channel()
        channel.publish("", queue, b"", expiration=text)
        channel.wait()


@script
def expiration_of_minus_zero(t):
    """Minus zero is zero."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue)
    channel.publish("", queue, b"", expiration="-0")
    channel.quiet()
    channel.get(queue)


@script
def delivery_mode(t):
    """delivery_mode is 1 or 2."""
    for mode in (0, 3, 255):
        channel = t.channel()
        channel.publish("", t.name("none"), b"", delivery_mode=mode)
        channel.wait()


@script
def order_of_checks(t):
    """Which of several mistakes is told."""
    internal = t.exchange("internal")
    t.channel().exchange(internal, internal=True)
    wrong = {"user_id": "other", "expiration": "abc", "headers": {"CC": 5}, "delivery_mode": 7}
    for exchange in (t.name("nox"), internal, "amq.direct"):
        channel = t.channel()
        channel.publish(exchange, "k", b"", reply_to="amq.rabbitmq.reply-to", **wrong)
        channel.wait()
    while wrong:
        channel = t.channel()
        channel.publish("amq.direct", "k", b"", **wrong)
        channel.wait()
        del wrong[next(iter(wrong))]


@script
def returns(t):
    """What cannot be routed comes back if it is mandatory, with properties and body, and else is dropped."""
    channel = t.channel()
    key = t.name("none")
    channel.publish("", key, b"gone")
    channel.publish("", key, b"back", mandatory=True, headers={"a": 1}, content_type="text/plain", priority=3)
    channel.publish("amq.topic", key, b"x" * 200000, mandatory=True)
    channel.publish("amq.fanout", "", b"", mandatory=True)
    channel.wait(3)
    channel.quiet()


@script
def returns_show_bcc(t):
    """The BCC header of a message that comes back."""
    channel = t.channel()
    channel.publish("", t.name("none"), b"", mandatory=True, headers={"BCC": ["nobody"], "CC": ["none"]})
    channel.wait()


@script
def confirms(t):
    """From confirm.select on publishes are numbered and confirmed, unroutable ones too."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue, durable=True)
    channel.publish("", queue, b"before")
    channel.call("confirm.select")
    for body in (b"1", b"2"):
        channel.publish("", queue, body)
    channel.publish("", t.name("none"), b"3")
    channel.publish("", queue, b"4", delivery_mode=2)
    channel.confirmed()
    channel.call("confirm.select")
    channel.publish("", queue, b"5")
    channel.confirmed()


@script
def return_before_confirm(t):
    """The return of a message comes before its confirm."""
    channel = t.channel()
    channel.call("confirm.select")
    channel.publish("", t.name("none"), b"", mandatory=True)
    channel.confirmed()
    channel.quiet()


@script
def confirms_of_fanouts(t):
    """A message in several queues is confirmed once."""
    channel = t.channel()
    exchange = t.exchange()
    channel.exchange(exchange, "fanout")
    for word, durable in (("a", True), ("b", True), ("c", False)):
        channel.declare(t.queue(word), durable=durable)
        channel.bind(t.name(word), exchange)
    channel.call("confirm.select")
    channel.publish(exchange, "", b"", delivery_mode=2)
    channel.confirmed()
    channel.quiet()


@script
def confirm_of_a_message_without_a_queue_later(t):
    """Confirms of a channel are not disturbed by the deletion of a queue."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue, durable=True)
    channel.call("confirm.select")
    channel.publish("", queue, b"1", delivery_mode=2)
    channel.confirmed()
    channel.call("queue.delete", queue=queue)
    channel.publish("", queue, b"2", delivery_mode=2)
    channel.confirmed()


@script
def confirms_end_with_the_channel(t):
    """A channel's new life begins without confirms."""
    connection = t.connection()
    channel = connection.channel(1)
    channel.call("confirm.select")
    channel.call("channel.close", reply_code=200)
    channel.call("channel.open")
    channel.publish("", t.name("none"), b"")
    channel.quiet()


@script
def confirm_and_tx(t):
    """A channel confirms or is transactional."""
    channel = t.channel()
    channel.call("confirm.select")
    channel.call("tx.select")
    channel = t.channel()
    channel.call("tx.select")
    channel.call("tx.select")
    channel.call("confirm.select")


@script
def soft_error_with_confirms(t):
    """A soft error ends the confirms."""
    channel = t.channel()
    channel.call("confirm.select")
    channel.publish(t.name("nox"), "", b"")
    channel.wait()
    channel.quiet()


@script
def timestamps_and_types_are_opaque(t):
    """Properties that are the clients' own are relayed, whatever they say."""
    queue = t.queue()
    channel = t.channel()
    channel.declare(queue)
    channel.publish("", queue, b"", timestamp=0, type="", app_id="x" * 255, cluster_id="c", priority=0)
    channel.quiet()
    channel.get(queue)


@script
def two_queues_have_two_messages(t):
    """The same message in two queues is two messages."""
    channel = t.channel()
    exchange, first, second = t.exchange(), t.queue("first"), t.queue("second")
    channel.exchange(exchange, "fanout")
    for queue in (first, second):
        channel.declare(queue)
        channel.bind(queue, exchange)
    channel.call("confirm.select")
    channel.publish(exchange, "", b"1")
    channel.confirmed()
    channel.get(first, no_ack=False)
    channel.nack(1)
    channel.quiet()
    channel.get(first)
    channel.get(second)
