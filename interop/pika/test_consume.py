import pytest
from pika import spec
from pika.exceptions import ChannelClosedByBroker

from inbox import Inbox
from refusals import channel_error, connection_error
from session import publish, ready, sync
from wire import send


def test_a_delivery_says_where_it_came_from(session, channel):
    exchange, queue = session.exchange(channel, "topic"), session.queue(channel)
    channel.queue_bind(queue, exchange, "#")
    inbox = session.consume(channel, queue, consumer_tag="mine")
    channel.basic_publish(exchange, "a.b", b"m")
    method = inbox.next().method
    assert (method.consumer_tag, method.delivery_tag, method.redelivered) == ("mine", 1, False)
    assert (method.exchange, method.routing_key) == (exchange, "a.b")


def test_a_backlog_is_delivered_in_order(session, channel):
    queue = session.queue(channel)
    publish(channel, queue, range(500))
    messages = session.consume(channel, queue).take(500)
    assert [message.body for message in messages] == [b"%d" % i for i in range(500)]
    assert [message.method.delivery_tag for message in messages] == list(range(1, 501))


def test_the_generator_form_consumes_and_cancels(session, channel):
    queue = session.queue(channel)
    publish(channel, queue, range(10))
    seen = []
    for method, _, body in channel.consume(queue, inactivity_timeout=5):
        seen.append(body)
        channel.basic_ack(method.delivery_tag)
        if len(seen) == 10:
            break
    channel.cancel()
    assert seen == [b"%d" % i for i in range(10)]


def test_nothing_is_delivered_after_cancel_ok(session, confirming):
    queue = session.queue(confirming)
    inbox = session.consume(confirming, queue, auto_ack=True)
    confirming.basic_cancel(inbox.tag)
    publish(confirming, queue, ["stays"])
    inbox.silence()
    assert ready(confirming, queue) == 1


def test_what_was_delivered_before_the_cancel_can_be_acknowledged_after_it(session):
    channel, observer = session.channel(), session.channel()
    queue = session.queue(channel)
    publish(channel, queue, "m")
    inbox = session.consume(channel, queue)
    message = inbox.next()
    channel.basic_cancel(inbox.tag)
    assert ready(observer, queue) == 0
    channel.basic_ack(message.method.delivery_tag)
    channel.close()
    assert ready(observer, queue) == 0


def test_cancelling_an_unknown_consumer_is_fine(channel):
    send(channel, spec.Basic.Cancel(consumer_tag="nobody", nowait=False))
    sync(channel)


def test_a_consumer_tag_used_twice_ends_the_connection_with_530(session, channel):
    queue = session.queue(channel)
    session.consume(channel, queue, consumer_tag="twice")
    with connection_error(530, "NOT_ALLOWED - attempt to reuse consumer tag 'twice'"):
        send(channel, spec.Basic.Consume(queue=queue, consumer_tag="twice"))  # pika itself would refuse
        sync(channel)


def test_the_same_tag_may_be_used_on_another_channel(session):
    first, second = session.channel(), session.channel()
    queue = session.queue(first)
    session.consume(first, queue, consumer_tag="tag")
    session.consume(second, queue, consumer_tag="tag")
    first.basic_cancel("tag")
    session.consume(first, queue, consumer_tag="tag")


def test_consuming_a_missing_queue_is_refused_with_404(session, channel):
    with channel_error(404, "no queue"):
        session.consume(channel, session.queue_name())


def test_deleting_the_queue_cancels_its_consumers(session):
    channel, other = session.channel(session.connect()), session.channel(session.connect())
    queue = session.queue(channel)
    cancelled = []
    channel.add_on_cancel_callback(lambda frame: cancelled.append(frame.method.consumer_tag))
    inbox = session.consume(channel, queue)
    other.queue_delete(queue)
    channel.connection.sleep(0.2)
    assert cancelled == [inbox.tag]
    sync(channel)


def test_the_generator_form_ends_when_the_queue_is_deleted(session):
    channel, other = session.channel(session.connect()), session.channel(session.connect())
    queue = session.queue(channel)
    publish(channel, queue, ["last"])
    bodies = []
    for _, _, body in channel.consume(queue, auto_ack=True):
        bodies.append(body)
        other.queue_delete(queue)
    assert bodies == [b"last"]


def test_an_exclusive_consumer_shuts_out_every_other(session):
    first, second = session.channel(), session.channel()
    queue = session.queue(first)
    session.consume(first, queue, exclusive=True)
    with channel_error(403, "ACCESS_REFUSED - queue .* in exclusive use"):
        session.consume(second, queue)


def test_exclusive_is_refused_while_there_are_consumers(session, channel):
    queue = session.queue(channel)
    session.consume(channel, queue)
    with channel_error(403, "in exclusive use"):
        session.consume(channel, queue, exclusive=True)


def test_an_exclusive_consumer_leaves_the_queue_free_when_it_goes(session):
    first, second = session.channel(), session.channel()
    queue = session.queue(first)
    first.basic_cancel(session.consume(first, queue, exclusive=True).tag)
    session.consume(second, queue, exclusive=True)


def test_consumers_of_equal_priority_take_turns(session, channel):
    queue = session.queue(channel)
    inboxes = [session.consume(channel, queue, auto_ack=True) for _ in range(3)]
    publish(channel, queue, range(90))
    for inbox in inboxes:
        share = [int(body) for body in inbox.bodies(30)]
        assert [later - earlier for earlier, later in zip(share, share[1:])] == [3] * 29


def test_the_consumer_of_higher_priority_goes_first_while_it_has_credit(session, confirming):
    queue = session.queue(confirming)
    confirming.basic_qos(prefetch_count=2)
    low = session.consume(confirming, queue, arguments={"x-priority": -1})
    high = session.consume(confirming, queue, arguments={"x-priority": 10})
    publish(confirming, queue, range(3))
    assert high.bodies(2) == ["0", "1"]
    assert low.bodies(1) == ["2"]


def test_an_x_priority_that_is_no_integer_is_refused_with_406(session, channel):
    with channel_error(406, "PRECONDITION_FAILED - .*x-priority"):
        session.consume(channel, session.queue(channel), arguments={"x-priority": "high"})


def test_no_ack_deliveries_are_settled_as_they_leave(session):
    channel, observer = session.channel(), session.channel()
    queue = session.queue(channel)
    publish(channel, queue, "m")
    message = session.consume(channel, queue, auto_ack=True).next()
    with channel_error(406, "unknown delivery tag 1"):
        channel.basic_ack(message.method.delivery_tag)
        sync(channel)
    assert ready(observer, queue) == 0


def test_a_get_tells_how_many_messages_are_left(session, confirming):
    queue = session.queue(confirming)
    publish(confirming, queue, "ab")
    assert confirming.basic_get(queue)[0].message_count == 1
    assert confirming.basic_get(queue)[0].message_count == 0
    assert confirming.basic_get(queue) == (None, None, None)


def test_a_get_on_a_missing_queue_is_refused_with_404(session, channel):
    with pytest.raises(ChannelClosedByBroker, match="404"):
        channel.basic_get(session.queue_name())


def test_gets_and_deliveries_share_one_run_of_tags(session, confirming):
    queue = session.queue(confirming)
    publish(confirming, queue, range(3))
    confirming.basic_qos(prefetch_count=1)
    inbox = session.consume(confirming, queue)
    assert inbox.next().method.delivery_tag == 1
    assert confirming.basic_get(queue)[0].delivery_tag == 2  # a get knows no prefetch
    assert confirming.basic_get(queue, auto_ack=True)[0].delivery_tag == 3


def test_a_no_wait_cancel_stops_the_deliveries(session, confirming):
    queue = session.queue(confirming)
    inbox = Inbox(confirming)
    tag = confirming.basic_consume(queue, inbox.put)
    send(confirming, spec.Basic.Cancel(consumer_tag=tag, nowait=True))
    publish(confirming, queue, ["late"])
    inbox.silence()
    assert ready(confirming, queue) == 1
