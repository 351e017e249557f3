"""Policies and operator policies, as `definitions.json` has them for the vhost `ruled`."""

from differential.script import script


def channel(t):
    return t.channel(vhost="ruled")


def filled(t, word, count=4, arguments=None):
    """A queue to which so many messages were published, and its channel."""
    queue = t.name(word)
    on = channel(t)
    on.declare(queue, arguments, exclusive=True)
    on.fill(queue, *(str(number).encode() for number in range(count)))
    return on, queue



def emptied(on, queue):
    """Takes what there is, and one look more."""
    for _ in range(5):
        on.get(queue)


@script(defined=True)
def length(t):
    """A length by policy, and the lower one of the operator's policy."""
    emptied(*filled(t, "all"))
    emptied(*filled(t, "short"))
    emptied(*filled(t, "bounded"))


@script(defined=True)
def priority(t):
    """Of two policies that match the one with the higher priority counts, alone."""
    emptied(*filled(t, "shorter"))


@script(defined=True)
def lower_of_argument_and_policy(t):
    """Of a length by argument and one by policy the lower counts."""
    emptied(*filled(t, "all-more", arguments={"x-max-length": 4}))
    emptied(*filled(t, "all-less", arguments={"x-max-length": 2}))


@script(defined=True)
def policies_are_no_arguments(t):
    """A redeclaration is compared with arguments alone."""
    queue = t.name("short")
    on = channel(t)
    on.declare(queue, exclusive=True)
    on.declare(queue, exclusive=True)
    on.declare(queue, {"x-max-length": 2}, exclusive=True)


@script(defined=True)
def dead_letters(t):
    """A dead-letter exchange and key by policy, and what the dead letter tells."""
    dead = t.name("letters")
    on = channel(t)
    on.declare(dead, exclusive=True)
    on.bind(dead, "amq.direct", "by-policy")
    on.consume(dead, no_ack=True)
    queue = t.name("dying")
    other = on.connection.channel(2)
    other.declare(queue, exclusive=True)
    other.fill(queue, b"first", b"second")
    on.wait()
    other.get(queue)


@script(defined=True)
def time_to_live(t):
    """A time to live of nothing by policy: only a consumer that waits gets it."""
    on, queue = filled(t, "stale", 1)
    on.get(queue)
    on.consume(queue, no_ack=True)
    channel(t).publish("", queue, b"now")
    on.wait()


@script(defined=True)
def alternate_exchange(t):
    """An alternate exchange by policy takes what finds no queue."""
    on = channel(t)
    exchange, queue = t.name("other"), t.name("rest")
    on.exchange(exchange, auto_delete=False)
    on.declare(queue, exclusive=True)
    on.bind(queue, "amq.fanout")
    on.call("confirm.select")
    on.publish(exchange, "nobody", b"m", mandatory=True)
    on.confirmed()
    on.get(queue)
    on.call("exchange.delete", exchange=exchange)
