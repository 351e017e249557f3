import pytest

from refusals import channel_error
from session import fetch, publish, sync


class Held:
    """A channel that holds `count` of `published` messages, fetched and not yet settled."""

    def __init__(self, session, count, published=None):
        self.channel, self._observer = session.channel(), session.channel()
        self.queue = session.queue(self.channel)
        publish(self.channel, self.queue, range(published or count))
        self.tags = [self.channel.basic_get(self.queue)[0].delivery_tag for _ in range(count)]

    def fetch(self):
        method, _, body = self.channel.basic_get(self.queue)
        return body.decode(), method.redelivered

    def left_after_close(self):
        self.channel.close()
        return list(iter(lambda: fetch(self._observer, self.queue), None))


def test_ack_settles_one_message(session):
    held = Held(session, 3)
    held.channel.basic_ack(held.tags[1])
    assert held.left_after_close() == ["0", "2"]


def test_ack_multiple_settles_all_up_to_the_tag(session):
    held = Held(session, 4)
    held.channel.basic_ack(held.tags[2], multiple=True)
    assert held.left_after_close() == ["3"]


def test_ack_multiple_after_acks_out_of_order_settles_the_rest(session):
    held = Held(session, 5)
    held.channel.basic_ack(held.tags[3])
    held.channel.basic_ack(held.tags[1])
    held.channel.basic_ack(held.tags[2], multiple=True)
    assert held.left_after_close() == ["4"]


def test_tag_0_with_multiple_settles_everything_and_may_find_nothing(session):
    held = Held(session, 3)
    held.channel.basic_ack(0, multiple=True)
    held.channel.basic_ack(0, multiple=True)
    held.channel.basic_nack(0, multiple=True)
    assert held.left_after_close() == []


@pytest.mark.parametrize(
    "settle",
    [
        lambda channel: channel.basic_ack(99),
        lambda channel: channel.basic_ack(99, multiple=True),
        lambda channel: channel.basic_ack(0),
        lambda channel: channel.basic_nack(99),
        lambda channel: channel.basic_nack(0),
        lambda channel: channel.basic_reject(99),
    ],
    ids=["ack", "ack multiple", "ack 0", "nack", "nack 0", "reject"],
)
def test_an_unknown_tag_is_refused_with_406(session, settle):
    held = Held(session, 1)
    with channel_error(406, r"PRECONDITION_FAILED - unknown delivery tag \d+"):
        settle(held.channel)
        sync(held.channel)


def test_a_tag_can_be_settled_only_once(session):
    held = Held(session, 2)
    held.channel.basic_ack(held.tags[0])
    with channel_error(406, "unknown delivery tag 1"):
        held.channel.basic_ack(held.tags[0])
        sync(held.channel)


def test_another_channels_tag_is_unknown(session):
    held, other = Held(session, 1), session.channel()
    with channel_error(406, "unknown delivery tag 1"):
        other.basic_ack(held.tags[0])
        sync(other)


def test_nack_with_requeue_returns_the_message_to_its_place(session):
    held = Held(session, 2, published=4)
    held.channel.basic_nack(held.tags[0])
    assert held.fetch() == ("0", True)
    assert held.fetch() == ("2", False)


def test_requeued_messages_go_where_they_were(session):
    held = Held(session, 4, published=6)
    held.channel.basic_reject(held.tags[2])
    held.channel.basic_reject(held.tags[0])
    assert [held.fetch()[0] for _ in range(4)] == ["0", "2", "4", "5"]


def test_nack_multiple_returns_all_up_to_the_tag_in_order(session):
    held = Held(session, 4)
    held.channel.basic_nack(held.tags[2], multiple=True)
    assert [held.fetch() for _ in range(3)] == [("0", True), ("1", True), ("2", True)]


def test_nack_without_requeue_drops(session):
    held = Held(session, 4)
    held.channel.basic_nack(held.tags[3], requeue=False)
    held.channel.basic_nack(held.tags[1], multiple=True, requeue=False)
    assert held.left_after_close() == ["2"]


def test_reject_drops_or_requeues(session):
    held = Held(session, 2)
    held.channel.basic_reject(held.tags[0], requeue=False)
    held.channel.basic_reject(held.tags[1], requeue=True)
    assert held.left_after_close() == ["1"]


def test_acknowledging_after_the_queue_was_deleted_is_fine(session):
    held = Held(session, 1)
    held.channel.queue_delete(held.queue)
    held.channel.basic_ack(held.tags[0])
    sync(held.channel)
