import pytest

from refusals import connection_error
from session import publish


@pytest.fixture
def backlog(session, channel):
    queue = session.queue(channel)
    publish(channel, queue, range(10))
    return queue


def test_prefetch_bounds_what_is_out_and_each_ack_lets_one_more_through(session, channel, backlog):
    channel.basic_qos(prefetch_count=2)
    inbox = session.consume(channel, backlog)
    first, _ = inbox.take(2)
    inbox.silence()
    channel.basic_ack(first.method.delivery_tag)
    assert inbox.bodies(1) == ["2"]
    inbox.silence()


def test_an_ack_of_several_lets_as_many_through(session, channel, backlog):
    channel.basic_qos(prefetch_count=4)
    inbox = session.consume(channel, backlog)
    channel.basic_ack(inbox.take(4)[2].method.delivery_tag, multiple=True)
    assert inbox.bodies(3) == ["4", "5", "6"]
    inbox.silence()


def test_without_global_the_limit_is_per_consumer(session, channel, backlog):
    channel.basic_qos(prefetch_count=2)
    inboxes = [session.consume(channel, backlog) for _ in range(2)]
    for inbox in inboxes:
        inbox.take(2)
        inbox.silence()


def test_a_change_without_global_spares_the_consumers_already_there(session, channel, backlog):
    channel.basic_qos(prefetch_count=1)
    before = session.consume(channel, backlog)
    channel.basic_qos(prefetch_count=3)
    after = session.consume(channel, backlog)
    after.take(3), before.take(1)
    before.silence()
    after.silence()


def test_a_global_limit_is_shared_by_the_channel(session, channel, backlog):
    channel.basic_qos(prefetch_count=3, global_qos=True)
    inboxes = [session.consume(channel, backlog) for _ in range(2)]
    channel.connection.sleep(0.3)
    assert sum(len(inbox.received) for inbox in inboxes) == 3


def test_raising_the_global_limit_lets_messages_through_at_once(session, channel, backlog):
    channel.basic_qos(prefetch_count=1, global_qos=True)
    inbox = session.consume(channel, backlog)
    inbox.take(1)
    inbox.silence()
    channel.basic_qos(prefetch_count=3, global_qos=True)
    inbox.take(2)
    inbox.silence()


def test_prefetch_0_means_no_limit(session, channel, backlog):
    channel.basic_qos(prefetch_count=1)
    channel.basic_qos(prefetch_count=0)
    session.consume(channel, backlog).take(10)


def test_no_ack_consumers_know_no_prefetch(session, channel, backlog):
    channel.basic_qos(prefetch_count=1)
    session.consume(channel, backlog, auto_ack=True).take(10)


def test_a_prefetch_size_is_refused_with_540(channel):
    with connection_error(540, "NOT_IMPLEMENTED - prefetch_size!=0"):
        channel.basic_qos(prefetch_size=5)
