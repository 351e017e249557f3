"""Transactions: select, commit, rollback."""

from differential.script import script

from .consume import filled


def transactional(t):
    channel = t.channel()
    channel.call("tx.select")
    return channel


@script
def without_select(t):
    """Without select there is nothing to commit."""
    t.channel().call("tx.commit")
    t.channel().call("tx.rollback")


@script
def empty_transactions(t):
    """There may be nothing in a transaction."""
    channel = transactional(t)
    channel.call("tx.commit")
    channel.call("tx.rollback")
    channel.call("tx.select")
    channel.call("tx.commit")


@script
def publishes(t):
    """Publishes are seen with the commit, in their order."""
    queue = filled(t, 0)
    watcher = t.channel()
    channel = transactional(t)
    for body in (b"1", b"2", b"3"):
        channel.publish("", queue, body)
    channel.quiet()
    watcher.get(queue)
    channel.call("tx.commit")
    for _ in range(4):
        watcher.get(queue)


@script
def rollback_of_publishes(t):
    """A rollback drops publishes."""
    queue = filled(t, 0)
    channel = transactional(t)
    channel.publish("", queue, b"1")
    channel.call("tx.rollback")
    channel.publish("", queue, b"2")
    channel.call("tx.commit")
    channel.get(queue)
    channel.get(queue)


@script
def acks(t):
    """Acks count with the commit; a rollback undoes them and the messages stay out."""
    queue = filled(t, 3)
    channel = transactional(t)
    for _ in range(3):
        channel.get(queue, no_ack=False)
    channel.ack(1)
    channel.call("tx.rollback")
    channel.ack(1)
    channel.call("tx.commit")
    channel.ack(2)
    channel.nack(3, requeue=True)
    channel.call("channel.close", reply_code=200)
    watcher = t.channel()
    for _ in range(3):
        watcher.get(queue)


@script
def nacks(t):
    """Messages are given back with the commit."""
    queue = filled(t, 2)
    channel = transactional(t)
    channel.get(queue, no_ack=False)
    channel.get(queue, no_ack=False)
    channel.nack(1)
    channel.reject(2, requeue=False)
    channel.quiet()
    channel.get(queue)
    channel.call("tx.commit")
    channel.quiet()
    channel.get(queue)
    channel.get(queue)


@script
def returns(t):
    """Returns come with the commit, before commit-ok."""
    channel = transactional(t)
    channel.publish("", t.name("none"), b"", mandatory=True)
    channel.quiet()
    channel.call("tx.commit")


@script
def returns_are_dropped_by_a_rollback(t):
    """What is rolled back is not returned."""
    channel = transactional(t)
    channel.publish("", t.name("none"), b"", mandatory=True)
    channel.call("tx.rollback")
    channel.quiet()


@script
def immediate_errors(t):
    """What can be refused is refused at once."""
    channel = transactional(t)
    channel.publish(t.name("nox"), "", b"")
    channel.wait()
    channel = transactional(t)
    channel.ack(5)
    channel.wait()
    channel = transactional(t)
    channel.publish("", "k", b"", expiration="abc")
    channel.wait()


@script
def acking_twice(t):
    """Within a transaction, too, a tag is settled once."""
    queue = filled(t, 1)
    channel = transactional(t)
    channel.get(queue, no_ack=False)
    channel.ack(1)
    channel.ack(1)
    channel.wait()


@script
def partial_completion(t):
    """A commit of which a queue refused something is partial."""
    queue = filled(t, 0, {"x-max-length": 1, "x-overflow": "reject-publish"})
    channel = transactional(t)
    channel.publish("", queue, b"1")
    channel.publish("", queue, b"2")
    channel.call("tx.commit")
    watcher = t.channel()
    watcher.get(queue)
    watcher.get(queue)


@script
def route_of_the_publish(t):
    """When a transaction's messages are routed: at their publish or at the commit."""
    queue, exchange = filled(t, 0), t.exchange()
    watcher = t.channel()
    watcher.exchange(exchange)
    channel = transactional(t)
    channel.publish(exchange, "k", b"early")
    channel.quiet()
    watcher.bind(queue, exchange, "k")
    channel.call("tx.commit")
    watcher.get(queue)
    channel.publish(exchange, "k", b"bound")
    channel.quiet()
    watcher.call("queue.unbind", queue=queue, exchange=exchange, routing_key="k")
    channel.call("tx.commit")
    watcher.get(queue)


@script
def exchange_deleted_before_the_commit(t):
    """An exchange that goes before the commit."""
    queue, exchange = filled(t, 0), t.exchange()
    watcher = t.channel()
    watcher.exchange(exchange, "fanout")
    watcher.bind(queue, exchange)
    channel = transactional(t)
    channel.publish(exchange, "k", b"")
    channel.quiet()
    watcher.call("exchange.delete", exchange=exchange)
    channel.call("tx.commit")
    watcher.get(queue)


@script
def end_of_the_channel(t):
    """The end of a channel is a rollback."""
    queue = filled(t, 1)
    for how in ("channel.close", "connection.close"):
        channel = transactional(t)
        channel.publish("", queue, b"lost")
        channel.get(queue, no_ack=False)
        channel.ack(1)
        if how == "channel.close":
            channel.call(how, reply_code=200)
        else:
            channel.connection.call(how, reply_code=200)
        watcher = t.channel()
        watcher.quiet()
        watcher.get(queue, no_ack=False)
        watcher.nack(1)
        watcher.quiet()


@script
def deliveries_while_transactional(t):
    """Consumers of a transactional channel get messages as others do."""
    queue = filled(t, 2)
    channel = transactional(t)
    channel.qos(1)
    channel.consume(queue)
    channel.wait()
    channel.ack(1)
    channel.quiet()
    channel.call("tx.commit")
    channel.wait()


@script
def commands_behind_a_commit(t):
    """Commands that are sent before commit-ok has come."""
    queue = t.queue()
    channel = transactional(t)
    channel.declare(queue, durable=True)
    for number in range(20):
        channel.publish("", queue, b"x", delivery_mode=2)
    channel.send("tx.commit")
    channel.send("basic.qos", prefetch_count=1)
    channel.wait(2)
