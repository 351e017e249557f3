from pika import spec

from refusals import channel_error, connection_error
from session import publish, sync
from wire import send


def consuming(session, channel, bodies):
    queue = session.queue(channel)
    publish(channel, queue, bodies)
    inbox = session.consume(channel, queue)
    return queue, inbox, inbox.take(len(bodies))


def test_recover_delivers_again_with_new_tags(session, channel):
    _, inbox, messages = consuming(session, channel, "abc")
    channel.basic_ack(messages[1].method.delivery_tag)
    channel.basic_recover(requeue=True)
    again = inbox.take(2)
    assert [message.body for message in again] == [b"a", b"c"]
    assert [message.method.delivery_tag for message in again] == [4, 5]
    assert all(message.method.redelivered for message in again)


def test_after_a_recover_the_old_tags_are_unknown(session, channel):
    _, inbox, messages = consuming(session, channel, "a")
    channel.basic_recover(requeue=True)
    inbox.next()
    with channel_error(406, "unknown delivery tag 1"):
        channel.basic_ack(messages[0].method.delivery_tag)
        sync(channel)


def test_recover_async_does_the_same_without_an_answer(session, channel):
    _, inbox, _ = consuming(session, channel, "ab")
    send(channel, spec.Basic.RecoverAsync(requeue=True))
    assert inbox.bodies(2) == ["a", "b"]


def test_without_a_consumer_recovered_messages_go_back_to_the_queue(session, channel):
    queue, inbox, _ = consuming(session, channel, "a")
    channel.basic_cancel(inbox.tag)
    channel.basic_recover(requeue=True)
    method, _, body = channel.basic_get(queue)
    assert (body, method.redelivered) == (b"a", True)


def test_recover_without_requeue_is_refused_with_540(channel):
    with connection_error(540, "NOT_IMPLEMENTED - requeue=false"):
        channel.basic_recover(requeue=False)
