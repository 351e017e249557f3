import pytest
from pika import BasicProperties

from refusals import channel_error
from session import publish, ready


def test_binding_twice_is_binding_once(session, confirming):
    exchange, queue = session.exchange(confirming, "direct"), session.queue(confirming)
    confirming.queue_bind(queue, exchange, "k")
    confirming.queue_bind(queue, exchange, "k")
    confirming.basic_publish(exchange, "k", b"m")
    assert ready(confirming, queue) == 1
    confirming.queue_unbind(queue, exchange, "k")
    confirming.basic_publish(exchange, "k", b"m")
    assert ready(confirming, queue) == 1


def test_a_queue_gets_one_copy_however_many_bindings_match(session, confirming):
    exchange, queue = session.exchange(confirming, "topic"), session.queue(confirming)
    for key in ("#", "a.*", "a.b"):
        confirming.queue_bind(queue, exchange, key)
    confirming.basic_publish(exchange, "a.b", b"m")
    assert ready(confirming, queue) == 1


def test_bindings_that_differ_in_their_arguments_are_different(session, confirming):
    exchange, queue = session.exchange(confirming, "headers"), session.queue(confirming)
    confirming.queue_bind(queue, exchange, arguments={"a": 1})
    confirming.queue_bind(queue, exchange, arguments={"a": 2})
    confirming.queue_unbind(queue, exchange, arguments={"a": 1})
    for value in (1, 2):
        confirming.basic_publish(exchange, "", b"m", BasicProperties(headers={"a": value}))
    assert ready(confirming, queue) == 1


def test_unbinding_what_is_not_there_is_fine(session, channel):
    exchange, queue = session.exchange(channel, "direct"), session.queue(channel)
    channel.queue_unbind(queue, exchange, "never bound")
    channel.queue_unbind(session.queue_name(), exchange, "k")
    channel.queue_unbind(queue, session.exchange_name(), "k")


def test_binding_to_a_missing_exchange_is_refused_with_404(session, channel):
    with channel_error(404, "no exchange"):
        channel.queue_bind(session.queue(channel), session.exchange_name(), "k")


def test_binding_a_missing_queue_is_refused_with_404(session, channel):
    with channel_error(404, "no queue"):
        channel.queue_bind(session.queue_name(), "amq.direct", "k")


@pytest.mark.parametrize("verb", ["queue_bind", "queue_unbind"])
def test_the_default_exchange_can_be_neither_bound_nor_unbound(session, channel, verb):
    with channel_error(403, "operation not permitted on the default exchange"):
        getattr(channel, verb)(session.queue(channel), "", "k")


def test_a_deleted_queue_takes_its_bindings_along(session, confirming):
    exchange, queue = session.exchange(confirming, "fanout"), session.queue(confirming)
    confirming.queue_bind(queue, exchange)
    confirming.queue_delete(queue)
    confirming.queue_declare(queue)
    confirming.basic_publish(exchange, "", b"m")
    assert ready(confirming, queue) == 0
    publish(confirming, queue, "m")
    assert ready(confirming, queue) == 1
