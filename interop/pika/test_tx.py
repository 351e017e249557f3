import pytest

from refusals import channel_error
from session import fetch, publish, sync


@pytest.fixture
def outside(session, channel):
    return session.channel()


@pytest.fixture
def queue(session, channel):
    """A queue, and `channel` made transactional."""
    queue = session.queue(channel)
    channel.tx_select()
    return queue


def test_publishes_are_held_until_the_commit_then_arrive_in_order(channel, outside, queue):
    publish(channel, queue, range(50))
    assert fetch(outside, queue) is None
    channel.tx_commit()
    assert [fetch(outside, queue) for _ in range(50)] == [str(i) for i in range(50)]


def test_rollback_drops_the_publishes(channel, outside, queue):
    publish(channel, queue, ["dropped"])
    channel.tx_rollback()
    publish(channel, queue, ["kept"])
    channel.tx_commit()
    assert [fetch(outside, queue), fetch(outside, queue)] == ["kept", None]


def test_a_committed_ack_is_final(channel, outside, queue):
    publish(outside, queue, "m")
    sync(outside)
    channel.basic_ack(channel.basic_get(queue)[0].delivery_tag)
    channel.tx_commit()
    channel.close()
    assert fetch(outside, queue) is None


def test_a_rolled_back_ack_leaves_the_message_out_to_be_settled_again(channel, outside, queue):
    publish(outside, queue, "m")
    sync(outside)
    tag = channel.basic_get(queue)[0].delivery_tag
    channel.basic_ack(tag)
    channel.tx_rollback()
    assert fetch(outside, queue) is None  # not requeued
    channel.basic_ack(tag)
    channel.tx_commit()
    channel.close()
    assert fetch(outside, queue) is None


def test_closing_the_channel_undoes_everything(channel, outside, queue):
    publish(outside, queue, ["out"])
    sync(outside)
    channel.basic_ack(channel.basic_get(queue)[0].delivery_tag)
    publish(channel, queue, ["never"])
    channel.close()
    assert [fetch(outside, queue), fetch(outside, queue)] == ["out", None]


def test_returns_come_with_the_commit(session, channel, queue):
    returned = []
    channel.add_on_return_callback(lambda _channel, _method, _properties, body: returned.append(body))
    channel.basic_publish("", session.queue_name(), b"nobody", mandatory=True)
    sync(channel)
    channel.connection.process_data_events(0.1)
    assert returned == []
    channel.tx_commit()
    channel.connection.process_data_events(0)
    assert returned == [b"nobody"]


def test_select_may_be_repeated_and_nothing_may_be_committed(channel, queue):
    channel.tx_select()
    channel.tx_commit()
    channel.tx_rollback()


@pytest.mark.parametrize("method", ["tx_commit", "tx_rollback"])
def test_without_a_select_it_is_refused_with_406(channel, method):
    with channel_error(406, "PRECONDITION_FAILED - channel is not transactional"):
        getattr(channel, method)()


def test_a_transactional_channel_cannot_confirm(channel, queue):
    with channel_error(406, "cannot switch from tx to confirm mode"):
        channel.confirm_delivery()


def test_a_confirming_channel_cannot_be_transactional(confirming):
    with channel_error(406, "cannot switch from confirm to tx mode"):
        confirming.tx_select()


def test_errors_are_raised_at_once_not_at_the_commit(session, channel, outside, queue):
    outside.tx_select()
    with channel_error(404, "no exchange"):
        channel.basic_publish(session.exchange_name(), "k", b"m")
        sync(channel)
    with channel_error(406, "unknown delivery tag 7"):
        outside.basic_ack(7)
        sync(outside)
