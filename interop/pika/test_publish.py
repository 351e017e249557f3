from datetime import datetime, timezone
from decimal import Decimal

import pytest
from pika import BasicProperties, spec
from pika.exceptions import UnroutableError

from refusals import channel_error, connection_error
from session import eventually, fetch, publish, ready, sync
from wire import send


@pytest.mark.parametrize("size", [0, 1, 131_064, 131_065, 300_000, 1_000_000])
def test_a_body_arrives_whole(session, channel, size):
    queue = session.queue(channel)
    body = bytes(i % 256 for i in range(size))
    channel.basic_publish("", queue, body)
    assert channel.basic_get(queue, auto_ack=True)[2] == body


def test_every_property_is_relayed(session, channel):
    queue = session.queue(channel)
    properties = BasicProperties(
        content_type="application/json",
        content_encoding="utf-8",
        headers={"a": 1},
        delivery_mode=2,
        priority=7,
        correlation_id="correlation",
        reply_to="somewhere",
        expiration="3600000",
        message_id="message",
        timestamp=1_700_000_000,
        type="greeting",
        user_id="guest",
        app_id="interop",
        cluster_id="cluster",
    )
    channel.basic_publish("", queue, b"m", properties)
    assert channel.basic_get(queue, auto_ack=True)[1] == properties


def test_a_message_without_properties_gets_none_on_the_way(session, channel):
    queue = session.queue(channel)
    publish(channel, queue, "m")
    assert channel.basic_get(queue, auto_ack=True)[1] == BasicProperties()


def test_header_values_of_every_type_are_relayed(session, channel):
    queue = session.queue(channel)
    headers = {
        "string": "grüße",
        "bytes": b"\x00\xff\xce",
        "yes": True,
        "no": False,
        "int": -5,
        "long": 2**40,
        "decimal": Decimal("3.14"),
        "timestamp": datetime(2024, 2, 29, 12, 30, tzinfo=timezone.utc),
        "nothing": None,
        "list": [1, "two", [3, None], {"four": 4}],
        "table": {"a": {"b": {"c": "deep"}}},
    }
    channel.basic_publish("", queue, b"m", BasicProperties(headers=headers))
    assert channel.basic_get(queue, auto_ack=True)[1].headers == headers


def test_a_mandatory_message_is_returned_as_it_was_sent(session, channel):
    returned = []
    channel.add_on_return_callback(lambda _channel, *message: returned.append(message))
    exchange = session.exchange(channel, "direct")
    channel.basic_publish(exchange, "nowhere", b"back", BasicProperties(message_id="42"), mandatory=True)
    eventually(lambda: channel.connection.process_data_events(0.05) or returned, "the return")
    method, properties, body = returned[0]
    assert (method.reply_code, method.reply_text) == (312, "NO_ROUTE")
    assert (method.exchange, method.routing_key) == (exchange, "nowhere")
    assert (properties.message_id, body) == ("42", b"back")


def test_the_return_comes_before_the_confirm(session, confirming):
    # pika's publish ends with the confirm, and fails if a return came before that.
    with pytest.raises(UnroutableError) as unroutable:
        confirming.basic_publish("", session.queue_name(), b"back", mandatory=True)
    assert unroutable.value.messages[0].body == b"back"
    queue = session.queue(confirming)
    confirming.basic_publish("", queue, b"taken", mandatory=True)
    assert fetch(confirming, queue) == "taken"


def test_an_unroutable_message_without_mandatory_vanishes(session, confirming):
    confirming.basic_publish("", session.queue_name(), b"m")
    confirming.basic_publish("amq.topic", session.queue_name(), b"m")


def test_immediate_is_refused_with_540(session, channel):
    with connection_error(540, "NOT_IMPLEMENTED - immediate=true"):
        method = spec.Basic.Publish(exchange="", routing_key=session.queue(channel), immediate=True)
        channel._impl._send_method(method, (BasicProperties(), b"m"))
        sync(channel)


def test_publishing_to_a_missing_exchange_closes_the_channel_with_404(session, channel):
    with channel_error(404, "NOT_FOUND - no exchange .* in vhost '/'"):
        channel.basic_publish(session.exchange_name(), "k", b"m")
        sync(channel)


def test_another_users_user_id_is_refused_with_406(session, channel):
    with channel_error(406, "user_id property set to 'someone' but authenticated user was 'guest'"):
        channel.basic_publish("", session.queue(channel), b"m", BasicProperties(user_id="someone"))
        sync(channel)


@pytest.mark.parametrize("expiration", ["soon", "-1", "1.5", "315360000001"])
def test_an_expiration_that_is_no_number_of_milliseconds_is_refused(session, channel, expiration):
    with channel_error(406, "PRECONDITION_FAILED - invalid expiration"):
        channel.basic_publish("", session.queue(channel), b"m", BasicProperties(expiration=expiration))
        sync(channel)


def test_many_small_messages_keep_their_order(session, channel):
    queue = session.queue(channel)
    for i in range(5000):
        channel._impl.basic_publish("", queue, b"%d" % i)  # the blocking function flushes every single one
    inbox = session.consume(channel, queue, auto_ack=True)
    assert inbox.bodies(5000) == [str(i) for i in range(5000)]


def test_confirms_wait_for_persistent_messages(session, confirming):
    queue = session.queue(confirming, durable=True)
    for _ in range(20):
        confirming.basic_publish("", queue, b"m", BasicProperties(delivery_mode=2))
    assert ready(confirming, queue) == 20


def test_confirm_select_may_be_repeated(session, confirming):
    send(confirming, spec.Confirm.Select())
    publish(confirming, session.queue(confirming), "m")


def test_one_publish_reaches_many_queues(session, confirming):
    exchange = session.exchange(confirming, "fanout")
    queues = [session.queue(confirming) for _ in range(10)]
    for queue in queues:
        confirming.queue_bind(queue, exchange)
    confirming.basic_publish(exchange, "", b"all")
    assert [fetch(confirming, queue) for queue in queues] == ["all"] * 10
