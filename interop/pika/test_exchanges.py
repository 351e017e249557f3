import pytest
from pika.exceptions import UnroutableError

from refusals import channel_error, connection_error
from session import fetch, ready, sync


@pytest.mark.parametrize("exchange_type", ["direct", "fanout", "topic", "headers"])
def test_an_exchange_is_declared_again_checked_and_deleted(session, channel, exchange_type):
    exchange = session.exchange(channel, exchange_type)
    channel.exchange_declare(exchange, exchange_type)
    channel.exchange_declare(exchange, passive=True)
    channel.exchange_delete(exchange)
    with channel_error(404, "NOT_FOUND - no exchange"):
        channel.exchange_declare(exchange, passive=True)


def test_the_standard_exchanges_are_there(channel):
    for name in ("direct", "fanout", "topic", "headers", "match", "rabbitmq.trace"):
        channel.exchange_declare(f"amq.{name}", passive=True)


def test_a_passive_declare_ignores_the_type(session, channel):
    channel.exchange_declare(session.exchange(channel, "fanout"), "topic", passive=True, durable=True)


@pytest.mark.parametrize(
    "argument, change",
    [
        ("type", {"exchange_type": "fanout"}),
        ("durable", {"durable": True}),
        ("auto_delete", {"auto_delete": True}),
        ("internal", {"internal": True}),
        ("alternate-exchange", {"arguments": {"alternate-exchange": "amq.fanout"}}),
    ],
)
def test_declaring_an_exchange_otherwise_is_refused_with_406(session, channel, argument, change):
    exchange = session.exchange(channel, "direct")
    with channel_error(406, f"inequivalent arg '{argument}' for exchange '{exchange}'"):
        channel.exchange_declare(exchange, **change)


def test_an_unknown_type_ends_the_connection_with_503(session, channel):
    with connection_error(503, "exchange type 'bogus'"):
        channel.exchange_declare(session.exchange_name(), "bogus")


def test_reserved_names_are_refused_with_403(channel):
    with channel_error(403, "exchange name 'amq.mine' contains reserved prefix"):
        channel.exchange_declare("amq.mine")


def test_the_default_exchange_cannot_be_deleted(channel):
    with channel_error(403, "operation not permitted on the default exchange"):
        channel.exchange_delete("")


def test_a_standard_exchange_cannot_be_deleted(channel):
    with channel_error(403, "deletion of system exchange 'amq.topic'"):
        channel.exchange_delete("amq.topic")


def test_deleting_a_missing_exchange_is_fine(session, channel):
    channel.exchange_delete(session.exchange_name())


def test_delete_if_unused_refuses_while_bound(session, channel):
    exchange = session.exchange(channel, "fanout")
    channel.queue_bind(session.queue(channel), exchange)
    with channel_error(406, "PRECONDITION_FAILED - exchange .* in use"):
        channel.exchange_delete(exchange, if_unused=True)


def test_an_auto_delete_exchange_goes_with_its_last_binding(session, channel):
    exchange = session.exchange(channel, "direct", auto_delete=True)
    queue = session.queue(channel)
    for key in "ab":
        channel.queue_bind(queue, exchange, key)
    channel.queue_unbind(queue, exchange, "a")
    channel.exchange_declare(exchange, passive=True)
    channel.queue_unbind(queue, exchange, "b")
    with channel_error(404, "no exchange"):
        channel.exchange_declare(exchange, passive=True)


def test_an_internal_exchange_takes_nothing_from_clients(session, channel):
    exchange = session.exchange(channel, "fanout", internal=True)
    with channel_error(403, "cannot publish to internal exchange"):
        channel.basic_publish(exchange, "", b"no")
        sync(channel)


def test_the_alternate_exchange_gets_what_is_unroutable(session, confirming):
    alternate = session.exchange(confirming, "fanout")
    arguments = {"alternate-exchange": alternate}
    exchange = session.exchange(confirming, "direct", arguments=arguments)
    with pytest.raises(UnroutableError):
        confirming.basic_publish(exchange, "k", b"nobody yet", mandatory=True)
    queue = session.queue(confirming)
    confirming.queue_bind(queue, alternate)
    confirming.basic_publish(exchange, "k", b"stray", mandatory=True)
    assert fetch(confirming, queue) == "stray"


def test_a_missing_alternate_exchange_is_no_error(session, confirming):
    arguments = {"alternate-exchange": session.exchange_name()}
    exchange = session.exchange(confirming, "direct", arguments=arguments)
    confirming.basic_publish(exchange, "k", b"dropped")


def test_a_message_flows_from_exchange_to_exchange(session, confirming):
    source, destination = session.exchange(confirming, "topic"), session.exchange(confirming, "direct")
    queue = session.queue(confirming)
    confirming.exchange_bind(destination, source, "a.*")
    confirming.queue_bind(queue, destination, "a.b")
    confirming.basic_publish(source, "a.b", b"both")
    confirming.basic_publish(source, "a.c", b"one")
    assert ready(confirming, queue) == 1
    confirming.exchange_unbind(destination, source, "a.*")
    confirming.basic_publish(source, "a.b", b"unbound")
    assert ready(confirming, queue) == 1


def test_a_cycle_of_exchanges_delivers_one_copy(session, confirming):
    first, second = session.exchange(confirming, "fanout"), session.exchange(confirming, "fanout")
    queue = session.queue(confirming)
    confirming.exchange_bind(first, second)
    confirming.exchange_bind(second, first)
    confirming.queue_bind(queue, first)
    confirming.queue_bind(queue, second)
    confirming.basic_publish(first, "", b"round")
    assert ready(confirming, queue) == 1


def test_unbinding_exchanges_that_are_not_bound_is_fine(session, channel):
    channel.exchange_unbind(session.exchange_name(), session.exchange_name(), "k")


def test_binding_a_missing_exchange_is_refused_with_404(session, channel):
    exchange = session.exchange(channel, "fanout")
    with channel_error(404, "no exchange"):
        channel.exchange_bind(exchange, session.exchange_name())


def test_the_default_exchange_cannot_be_bound(session, channel):
    exchange = session.exchange(channel, "fanout")
    with channel_error(403, "default exchange"):
        channel.exchange_bind(exchange, "", "k")
