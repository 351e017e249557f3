"""What RabbitMQ adds beyond queues and exchanges; run.sh runs this file only with INTEROP_EXTENSIONS=1."""

import pytest
from pika import BasicProperties
from pika.exceptions import NackError

from refusals import channel_error
from session import eventually, fetch, publish, ready, sync


def test_cc_and_bcc_add_routing_keys_and_only_cc_is_shown(session, channel):
    exchange = session.exchange(channel, "direct")
    queues = {key: session.queue(channel) for key in ("to", "cc", "bcc")}
    for key, queue in queues.items():
        channel.queue_bind(queue, exchange, key)
    channel.basic_publish(exchange, "to", b"m", BasicProperties(headers={"CC": ["cc"], "BCC": ["bcc"]}))
    for queue in queues.values():
        method, properties, _ = channel.basic_get(queue, auto_ack=True)
        assert (method.routing_key, properties.headers) == ("to", {"CC": ["cc"]})


def test_cc_must_be_a_list(session, channel):
    with channel_error(406, "PRECONDITION_FAILED - .*CC"):
        channel.basic_publish("", session.queue(channel), b"m", BasicProperties(headers={"CC": "one"}))
        sync(channel)


def test_a_reply_finds_its_way_over_direct_reply_to(session):
    client, server = session.channel(session.connect()), session.channel(session.connect())
    requests = session.queue(server)
    replies = session.consume(client, "amq.rabbitmq.reply-to", auto_ack=True)
    client.basic_publish("", requests, b"question", BasicProperties(reply_to="amq.rabbitmq.reply-to"))
    request = session.consume(server, requests, auto_ack=True).next()
    assert request.properties.reply_to.startswith("amq.rabbitmq.reply-to.")
    server.basic_publish("", request.properties.reply_to, b"answer")
    assert replies.bodies(1) == ["answer"]


def test_direct_reply_to_without_a_consumer_is_refused_with_406(session, channel):
    with channel_error(406, "fast reply consumer does not exist"):
        properties = BasicProperties(reply_to="amq.rabbitmq.reply-to")
        channel.basic_publish("", session.queue(channel), b"m", properties)
        sync(channel)


def test_messages_expire_by_queue_or_message(session, confirming):
    by_queue = session.queue(confirming, arguments={"x-message-ttl": 50})
    by_message = session.queue(confirming)
    publish(confirming, by_queue, "m")
    confirming.basic_publish("", by_message, b"m", BasicProperties(expiration="50"))
    for queue in (by_queue, by_message):
        eventually(lambda queue=queue: ready(confirming, queue) == 0, "expiry", timeout_secs=2)


def test_max_length_drops_the_oldest(session, confirming):
    queue = session.queue(confirming, arguments={"x-max-length": 2})
    publish(confirming, queue, range(4))
    assert [fetch(confirming, queue) for _ in range(3)] == ["2", "3", None]


def test_reject_publish_nacks_what_does_not_fit(session, confirming):
    queue = session.queue(confirming, arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
    publish(confirming, queue, ["fits"])
    with pytest.raises(NackError):
        publish(confirming, queue, ["does not"])


@pytest.mark.parametrize("reason", ["rejected", "expired", "maxlen"])
def test_dead_letters_carry_their_history(session, confirming, reason):
    graveyard = session.queue(confirming)
    arguments = {"x-dead-letter-exchange": "", "x-dead-letter-routing-key": graveyard}
    if reason == "maxlen":
        arguments["x-max-length"] = 0
    queue = session.queue(confirming, arguments=arguments)
    properties = BasicProperties(expiration="20") if reason == "expired" else None
    confirming.basic_publish("", queue, b"m", properties)
    if reason == "rejected":
        confirming.basic_reject(confirming.basic_get(queue)[0].delivery_tag, requeue=False)
    dead = session.consume(confirming, graveyard, auto_ack=True).next()
    death = dead.properties.headers["x-death"][0]
    assert (death["reason"], death["queue"], death["count"]) == (reason, queue, 1)
    assert (death["exchange"], death["routing-keys"]) == ("", [queue])
    assert dead.properties.headers["x-first-death-queue"] == queue


def test_messages_of_higher_priority_go_first(session, confirming):
    queue = session.queue(confirming, arguments={"x-max-priority": 5})
    for priority in (None, 3, 5, 1):
        confirming.basic_publish("", queue, str(priority).encode(), BasicProperties(priority=priority))
    assert [fetch(confirming, queue) for _ in range(4)] == ["5", "3", "1", "None"]
