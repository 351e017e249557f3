import re

import pika
import pytest
from pika.exceptions import (
    AMQPConnectionError,
    ConnectionClosedByBroker,
    NoFreeChannels,
    ProbableAccessDeniedError,
    ProbableAuthenticationError,
)

from refusals import connection_error
from session import fetch, parameters, publish, ready, sync
from wire import server_properties


def test_the_server_announces_what_pika_asks_for(session):
    connection = session.connect()
    assert connection.publisher_confirms_supported
    assert connection.basic_nack_supported
    assert connection.consumer_cancel_notify_supported
    assert connection.exchange_exchange_bindings_supported


def test_the_capabilities_are_a_table_of_trues(session):
    capabilities = server_properties(session.connect())["capabilities"]
    for name in ("connection.blocked", "consumer_priorities", "per_consumer_qos", "direct_reply_to",
                 "authentication_failure_close"):
        assert capabilities[name] is True


def test_the_server_says_what_it_is(session):
    properties = server_properties(session.connect())
    assert isinstance(properties["product"], str)
    assert re.match(r"\d+\.\d+\.\d+", properties["version"])


def test_a_wrong_password_is_answered_with_403():
    wrong = pika.PlainCredentials("guest", "wrong")
    with pytest.raises(ProbableAuthenticationError, match="403.*ACCESS_REFUSED"):
        pika.BlockingConnection(parameters(credentials=wrong))


def test_an_unknown_user_is_answered_with_403():
    nobody = pika.PlainCredentials("nobody", "guest")
    with pytest.raises(ProbableAuthenticationError, match="403.*ACCESS_REFUSED"):
        pika.BlockingConnection(parameters(credentials=nobody))


def test_an_unknown_vhost_is_answered_with_530():
    # pika reports it as its own error or as the broker's close, depending on how far the handshake was.
    with pytest.raises((ProbableAccessDeniedError, ConnectionClosedByBroker), match="530|no-such-vhost"):
        pika.BlockingConnection(parameters(virtual_host="no-such-vhost"))


def test_client_properties_of_many_types_are_accepted(session):
    properties = {"connection_name": "interop", "nested": {"list": [1, "two", True, None]}}
    sync(session.channel(session.connect(client_properties=properties)))


def test_heartbeats_keep_an_idle_consumer_alive(session):
    channel = session.channel(session.connect(heartbeat=1))
    queue = session.queue(channel)
    inbox = session.consume(channel, queue, auto_ack=True)
    channel.connection.sleep(4.5)  # both sides would have given up by now without the other's heartbeats
    publish(session.channel(session.connect()), queue, ["awake?"])
    assert inbox.bodies(1) == ["awake?"]


def test_no_heartbeat_is_fine_too(session):
    sync(session.channel(session.connect(heartbeat=0)))


def test_frame_max_4096_splits_bodies_in_both_directions(session):
    channel = session.channel(session.connect(frame_max=4096))
    queue = session.queue(channel)
    body = bytes(i % 251 for i in range(100_000))
    channel.basic_publish("", queue, body)
    assert channel.basic_get(queue, auto_ack=True)[2] == body


def test_a_body_is_split_by_the_consumers_frame_max(session):
    wide = session.channel(session.connect())
    narrow = session.channel(session.connect(frame_max=4096))
    queue = session.queue(wide)
    inbox = session.consume(narrow, queue, auto_ack=True)
    body = b"leveret" * 43_000
    wide.basic_publish("", queue, body)
    assert inbox.next().body == body


def test_channel_max_bounds_how_many_channels_are_open(session):
    connection = session.connect(channel_max=2)
    first, second = connection.channel(), connection.channel()
    with pytest.raises(NoFreeChannels):
        connection.channel()
    second.close()
    sync(connection.channel())
    sync(first)


def test_channel_numbers_may_be_any(session):
    connection = session.connect(channel_max=10)
    channels = [connection.channel(number) for number in (10, 3, 7)]
    for channel in channels:
        sync(channel)


def test_the_broker_refuses_one_channel_too_many(session):
    connection = session.connect(channel_max=2)
    connection.channel(1), connection.channel(2)
    with connection_error(530, "NOT_ALLOWED - .*channel"):
        connection.channel(3)  # pika counts only when it chooses the number itself


def test_the_secret_can_be_updated(session):
    connection = session.connect()
    connection.update_secret("guest", "rotation")
    sync(connection.channel())


def test_a_hard_error_ends_its_connection_and_no_other(session):
    bystander = session.channel(session.connect())
    culprit = session.channel(session.connect())
    with connection_error(503, "unknown exchange type|COMMAND_INVALID"):
        culprit.exchange_declare(session.exchange_name(), "no-such-type")
    assert culprit.connection.is_closed
    sync(bystander)


def test_closing_a_connection_returns_what_its_consumers_held(session):
    connection = session.connect()
    channel = connection.channel()
    queue = session.queue(channel)
    publish(channel, queue, ["a", "b"])
    session.consume(channel, queue).take(2)
    connection.close()
    other = session.channel(session.connect())
    assert ready(other, queue) == 2
    assert [fetch(other, queue), fetch(other, queue)] == ["a", "b"]


def test_connections_come_and_go(session):
    for _ in range(50):
        connection = session.connect()
        connection.channel()
        connection.close()


def test_a_port_where_nobody_speaks_amqp_is_no_broker():
    # Guards the suite itself: a broker that is not there must fail the connect, not pass it.
    with pytest.raises(AMQPConnectionError):
        pika.BlockingConnection(parameters(port=1, connection_attempts=1))
