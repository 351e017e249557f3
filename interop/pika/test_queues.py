import re

import pytest
from pika import spec
from pika.exceptions import ChannelClosedByBroker

from refusals import channel_error
from session import eventually, fetch, publish, ready, sync
from wire import send


def test_the_server_names_queues_that_the_client_does_not(channel):
    names = {channel.queue_declare("", exclusive=True).method.queue for _ in range(3)}
    assert len(names) == 3
    assert all(re.fullmatch(r"amq\.gen-[\w-]{22}", name) for name in names)


def test_declare_ok_counts_ready_messages_and_consumers(session, confirming):
    queue = session.queue(confirming)
    publish(confirming, queue, range(5))
    confirming.basic_qos(prefetch_count=2)
    session.consume(confirming, queue).take(2)  # unacknowledged, so no longer counted
    declared = confirming.queue_declare(queue, passive=True).method
    assert (declared.queue, declared.message_count, declared.consumer_count) == (queue, 3, 1)


def test_checking_a_missing_queue_is_refused_with_404(session, channel):
    queue = session.queue_name()
    with channel_error(404, f"NOT_FOUND - no queue '{queue}' in vhost '/'"):
        channel.queue_declare(queue, passive=True)


def test_reserved_names_are_refused_with_403(channel):
    with channel_error(403, r"queue name 'amq.mine' contains reserved prefix 'amq\.\*'"):
        channel.queue_declare("amq.mine")


def test_declaring_a_queue_again_as_it_is_changes_nothing(session, confirming):
    options = {"durable": True, "arguments": {"x-max-length": 10}}
    queue = session.queue(confirming, **options)
    publish(confirming, queue, "m")
    assert confirming.queue_declare(queue, **options).method.message_count == 1


@pytest.mark.parametrize(
    "argument, change",
    [
        ("durable", {"durable": True}),
        ("auto_delete", {"auto_delete": True}),
        ("x-max-length", {"arguments": {"x-max-length": 20}}),
        ("x-max-length", {"arguments": {}}),
        ("x-message-ttl", {"arguments": {"x-max-length": 10, "x-message-ttl": 60_000}}),
    ],
)
def test_declaring_a_queue_otherwise_is_refused_with_406(session, channel, argument, change):
    options = {"arguments": {"x-max-length": 10}}
    queue = session.queue(channel, **options)
    with channel_error(406, f"inequivalent arg '{argument}' for queue '{queue}'"):
        channel.queue_declare(queue, **{**options, **change})


@pytest.mark.parametrize(
    "arguments",
    [
        {"x-message-ttl": "soon"},
        {"x-message-ttl": -1},
        {"x-expires": 0},
        {"x-max-length": -1},
        {"x-max-priority": 256},
        {"x-overflow": "spill"},
        {"x-single-active-consumer": "yes"},
        {"x-queue-type": "no-such-type"},
    ],
    ids=str,
)
def test_bad_arguments_are_refused_with_406(session, channel, arguments):
    with channel_error(406, f"PRECONDITION_FAILED - .*{next(iter(arguments))}"):
        channel.queue_declare(session.queue_name(), arguments=arguments)


def test_unknown_arguments_are_accepted_and_not_compared(session, channel):
    queue = session.queue(channel, arguments={"x-mine": 1})
    channel.queue_declare(queue, arguments={"x-mine": "two"})


STRANGERS = {
    "declare": lambda channel, queue: channel.queue_declare(queue, exclusive=True),
    "check": lambda channel, queue: channel.queue_declare(queue, passive=True),
    "consume": lambda channel, queue: channel.basic_consume(queue, lambda *_: None),
    "get": lambda channel, queue: channel.basic_get(queue),
    "purge": lambda channel, queue: channel.queue_purge(queue),
    "bind": lambda channel, queue: channel.queue_bind(queue, "amq.direct", "k"),
    "delete": lambda channel, queue: channel.queue_delete(queue),
}


@pytest.mark.parametrize("action", STRANGERS)
def test_an_exclusive_queue_is_locked_to_its_connection(session, action):
    owner, stranger = session.channel(session.connect()), session.channel(session.connect())
    queue = session.queue(owner, exclusive=True)
    with channel_error(405, "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue"):
        STRANGERS[action](stranger, queue)


def test_anyone_may_publish_to_an_exclusive_queue(session):
    owner, stranger = session.channel(session.connect()), session.confirm_channel(session.connect())
    queue = session.queue(owner, exclusive=True)
    publish(stranger, queue, ["from outside"])
    assert fetch(owner, queue) == "from outside"


def test_an_exclusive_queue_is_gone_before_its_connection_is_closed(session):
    other = session.channel(session.connect())
    for _ in range(10):
        owner = session.connect()
        queue = session.queue(owner.channel(), exclusive=True)
        owner.close()
        other.queue_declare(queue)  # 405 if the broker was late


def test_an_auto_delete_queue_goes_with_its_last_consumer(session, channel):
    queue = session.queue(channel, auto_delete=True)
    channel.basic_get(queue)  # a get is no consumer
    first, second = session.consume(channel, queue), session.consume(channel, queue)
    channel.basic_cancel(first.tag)
    channel.queue_declare(queue, passive=True)
    channel.basic_cancel(second.tag)
    with channel_error(404, "no queue"):
        channel.queue_declare(queue, passive=True)


def test_an_auto_delete_queue_goes_with_its_last_consumers_connection(session):
    connection = session.connect()
    channel = connection.channel()
    queue = session.queue(channel, auto_delete=True)
    session.consume(channel, queue)
    connection.close()
    observer = session.connect()

    def gone():
        try:
            observer.channel().queue_declare(queue, passive=True)
        except ChannelClosedByBroker as closed:
            return closed.reply_code == 404

    eventually(gone, "the queue goes")


def test_delete_tells_how_many_messages_went_along(session, confirming):
    queue = session.queue(confirming)
    publish(confirming, queue, range(3))
    assert confirming.queue_delete(queue).method.message_count == 3
    assert confirming.queue_delete(queue).method.message_count == 0  # already gone: still fine


def test_delete_if_unused_refuses_while_consumed(session, channel):
    queue = session.queue(channel)
    session.consume(channel, queue)
    with channel_error(406, "PRECONDITION_FAILED - queue .* in use"):
        channel.queue_delete(queue, if_unused=True)


def test_delete_if_empty_refuses_while_filled(session, confirming):
    queue = session.queue(confirming)
    publish(confirming, queue, "m")
    with channel_error(406, "PRECONDITION_FAILED - queue .* not empty"):
        confirming.queue_delete(queue, if_empty=True)


def test_purge_removes_what_is_ready_and_counts_it(session, confirming):
    queue = session.queue(confirming)
    publish(confirming, queue, range(4))
    held, _, _ = confirming.basic_get(queue)
    assert confirming.queue_purge(queue).method.message_count == 3
    confirming.basic_nack(held.delivery_tag)
    assert fetch(confirming, queue) == "0"  # unacknowledged messages are not purged
    assert fetch(confirming, queue) is None


def test_purging_a_missing_queue_is_refused_with_404(session, channel):
    with channel_error(404, "no queue"):
        channel.queue_purge(session.queue_name())


def test_an_empty_name_means_the_queue_declared_last(channel):
    queue = channel.queue_declare("", exclusive=True).method.queue
    channel.queue_bind("", "amq.direct", queue)
    channel.basic_publish("amq.direct", queue, b"one")
    assert fetch(channel, "") == "one"
    channel.queue_purge("")
    channel.queue_delete("")
    with channel_error(404, "no queue"):
        channel.queue_declare(queue, passive=True)


def test_bind_with_empty_name_and_key_uses_the_queue_name_as_key(session, channel):
    # pika would put the queue's name there itself; the method as the specification means it has both empty.
    exchange = session.exchange(channel, "direct")
    queue = session.queue(channel)
    send(channel, spec.Queue.Bind(queue="", exchange=exchange, routing_key="", nowait=True))
    channel.basic_publish(exchange, queue, b"m")
    assert fetch(channel, queue) == "m"


def test_an_empty_name_without_a_queue_is_refused_with_404(channel):
    with channel_error(404, "NOT_FOUND - no previously declared queue"):
        channel.basic_get("")


def test_a_passive_declare_does_not_take_the_empty_name(channel):
    channel.queue_declare("", exclusive=True)
    with channel_error(404, "NOT_FOUND - no queue '' in vhost '/'"):
        channel.queue_declare("", passive=True)


def test_no_wait_declare_and_delete_act_in_silence(session, channel):
    queue = session.queue_name()
    send(channel, spec.Queue.Declare(queue=queue, nowait=True))
    assert ready(channel, queue) == 0
    send(channel, spec.Queue.Delete(queue=queue, nowait=True))
    with channel_error(404, "no queue"):
        channel.queue_declare(queue, passive=True)


def test_no_wait_does_not_hide_errors(session, channel):
    with channel_error(404, "no queue"):
        send(channel, spec.Queue.Purge(queue=session.queue_name(), nowait=True))
        sync(channel)
