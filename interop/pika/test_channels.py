import pytest
from pika import spec
from pika.exceptions import ChannelWrongStateError

from refusals import channel_error, connection_error
from session import publish, ready, sync
from wire import send


def test_a_closed_channel_number_can_be_opened_again(session):
    connection = session.connect()
    connection.channel(5).close()
    sync(connection.channel(5))


def test_a_soft_error_leaves_other_channels_alive(session):
    healthy, failing = session.channel(), session.channel()
    with channel_error(404, "NOT_FOUND - no queue"):
        failing.queue_declare(session.queue_name(), passive=True)
    with pytest.raises(ChannelWrongStateError):
        sync(failing)
    sync(healthy)


def test_the_number_of_a_channel_that_failed_can_be_opened_again(session):
    connection = session.connect()
    with channel_error(404, "NOT_FOUND"):
        connection.channel(9).exchange_declare(session.exchange_name(), passive=True)
    sync(connection.channel(9))


def test_what_is_published_after_the_failing_command_is_ignored(session):
    failing, other = session.channel(), session.channel()
    queue = session.queue(other)
    with channel_error(404, "no exchange"):
        failing._impl.basic_publish(session.exchange_name(), "k", b"into nowhere")
        for _ in range(20):
            failing._impl.basic_publish("", queue, b"too late")
        sync(failing)
    assert ready(other, queue) == 0


def test_flow_true_is_answered_with_true(channel):
    assert channel.flow(True) is True


def test_flow_false_is_refused_with_540(channel):
    with connection_error(540, "NOT_IMPLEMENTED - active=false"):
        channel.flow(False)


def test_many_channels_share_a_connection(session):
    connection = session.connect()
    channels = [connection.channel() for _ in range(100)]
    for channel in channels:
        sync(channel)


def test_closing_a_channel_returns_its_messages_marked_redelivered(session):
    holder, next_holder = session.channel(), session.channel()
    queue = session.queue(holder)
    publish(holder, queue, "abc")
    session.consume(holder, queue).take(3)
    holder.close()
    messages = session.consume(next_holder, queue).take(3)
    assert [message.body for message in messages] == [b"a", b"b", b"c"]
    assert all(message.method.redelivered for message in messages)


def test_a_confirm_select_without_wait_takes_effect(session):
    channel = session.channel()
    queue = session.queue(channel)
    send(channel, spec.Confirm.Select(nowait=True))
    channel.basic_publish("", queue, b"m")
    sync(channel)  # the unasked confirm must not disturb the channel
