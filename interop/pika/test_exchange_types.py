"""The exchange types of RabbitMQ's plugins; run.sh runs this file only with INTEROP_EXTENSIONS=1. A RabbitMQ needs
rabbitmq_consistent_hash_exchange, rabbitmq_random_exchange, rabbitmq_sharding and rabbitmq_recent_history_exchange
enabled: scenarios about types that it does not have are skipped."""

from collections import Counter

import pytest
from pika import BasicProperties
from pika.exceptions import ConnectionClosedByBroker, UnroutableError

from refusals import channel_error
from session import eventually, fetch, publish, ready, sync

HASH, MODULUS, RANDOM, HISTORY = "x-consistent-hash", "x-modulus-hash", "x-random", "x-recent-history"
KINDS = (HASH, MODULUS, RANDOM, HISTORY)


@pytest.fixture(autouse=True)
def type_is_there(request, session):
    """Skips what a RabbitMQ without the plugin cannot do. Any other broker has to."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    for kind in [parameters["kind"]] if "kind" in parameters else KINDS:
        connection = session.connect()
        product = connection._impl.server_properties["product"]
        try:
            session.exchange(session.channel(connection), kind)
        except ConnectionClosedByBroker as closed:
            if product == "RabbitMQ" and closed.reply_code == 503:
                pytest.skip(f"{kind} is not enabled")
            raise


def bound(session, channel, exchange, key, count=4):
    queues = [session.queue(channel) for _ in range(count)]
    for queue in queues:
        channel.queue_bind(queue, exchange, key)
    return queues


def drained(channel, queue):
    bodies = []
    while (body := fetch(channel, queue)) is not None:
        bodies.append(body)
    return bodies


def spread(channel, queues, exchange, messages):
    """Publishes keys, properties and bodies on a confirming channel: the number of the queue that got each body."""
    for key, properties, body in messages:
        channel.basic_publish(exchange, key, str(body).encode(), properties, mandatory=True)
    found = {}
    for number, queue in enumerate(queues):
        for body in drained(channel, queue):
            assert body not in found, "a message came twice"
            found[body] = number
    return found


def keyed(count):
    return [(f"key.{number}", None, number) for number in range(count)]


@pytest.mark.parametrize("kind", [HASH, MODULUS])
def test_a_key_has_one_queue(session, confirming, kind):
    exchange = session.exchange(confirming, kind)
    queues = bound(session, confirming, exchange, "1")
    first = spread(confirming, queues, exchange, keyed(100))
    assert len(first) == 100
    assert len(set(first.values())) == 4
    assert spread(confirming, queues, exchange, keyed(100)) == first


def test_weights_are_shares(session, confirming):
    exchange = session.exchange(confirming, HASH)
    light, heavy = session.queue(confirming), session.queue(confirming)
    confirming.queue_bind(light, exchange, "1")
    confirming.queue_bind(heavy, exchange, "9")
    found = Counter(spread(confirming, [light, heavy], exchange, keyed(500)).values())
    assert found[0] + found[1] == 500
    assert 20 < found[0] < 90


def test_the_last_queue_bound_moves_only_its_own_keys(session, confirming):
    exchange = session.exchange(confirming, HASH)
    queues = bound(session, confirming, exchange, "2")
    first = spread(confirming, queues, exchange, keyed(100))
    confirming.queue_unbind(queues[3], exchange, "2")
    fewer = spread(confirming, queues, exchange, keyed(100))
    assert all(fewer[body] == number for body, number in first.items() if number != 3)
    assert 3 not in fewer.values()


def test_a_second_binding_of_a_queue_does_not_count(session, confirming):
    exchange = session.exchange(confirming, HASH)
    queues = bound(session, confirming, exchange, "1", count=2)
    first = spread(confirming, queues, exchange, keyed(100))
    confirming.queue_bind(queues[0], exchange, "50")
    assert spread(confirming, queues, exchange, keyed(100)) == first


@pytest.mark.parametrize("key, text", [
    ("abc", 'The binding key must be an integer: <<"abc">>'),
    ("", "The binding key must be an integer: <<>>"),
    (" 1", 'The binding key must be an integer: <<" 1">>'),
    ("0", "The binding key must be greater than 0"),
    ("-1", "The binding key must be greater than 0"),
])
def test_a_weight_is_a_positive_integer(session, channel, key, text):
    exchange, queue = session.exchange(channel, HASH), session.queue(channel)
    with channel_error(406, f"^PRECONDITION_FAILED - {text}$"):
        channel.queue_bind(queue, exchange, key)


@pytest.mark.parametrize("key", ["1", "+5", "007"])
def test_a_weight_is_written_as_erlang_reads_it(session, channel, key):
    channel.queue_bind(session.queue(channel), session.exchange(channel, HASH), key)


@pytest.mark.parametrize("arguments, text", [
    ({"hash-property": "app_id"}, "Unsupported property: app_id"),
    ({"hash-header": "h", "hash-property": "timestamp"}, "hash-header and hash-property are mutually exclusive"),
])
def test_a_consistent_hash_looks_at_one_thing(session, channel, arguments, text):
    with channel_error(406, f"^PRECONDITION_FAILED - {text}$"):
        session.exchange(channel, HASH, arguments=arguments)


@pytest.mark.parametrize("arguments, properties", [
    ({"hash-header": "h"}, lambda value: BasicProperties(headers={"h": str(value)})),
    ({"hash-property": "message_id"}, lambda value: BasicProperties(message_id=str(value))),
    ({"hash-property": "correlation_id"}, lambda value: BasicProperties(correlation_id=str(value))),
    ({"hash-property": "timestamp"}, lambda value: BasicProperties(timestamp=value)),
])
def test_a_header_or_property_decides(session, confirming, arguments, properties):
    exchange = session.exchange(confirming, HASH, arguments=arguments)
    queues = bound(session, confirming, exchange, "1")
    first = spread(confirming, queues, exchange, [("a", properties(n), n) for n in range(80)])
    assert len(first) == 80
    assert len(set(first.values())) == 4
    assert spread(confirming, queues, exchange, [("b", properties(n), n) for n in range(80)]) == first
    # Without it all go one way.
    assert len(set(spread(confirming, queues, exchange, keyed(20)).values())) == 1


def test_copies_count_for_a_modulus_only(session, confirming):
    messages = [("k", BasicProperties(headers={"CC": [str(n)]}), n) for n in range(60)]
    for kind, used in ((HASH, 1), (MODULUS, 4)):
        exchange = session.exchange(confirming, kind)
        queues = bound(session, confirming, exchange, "1")
        assert len(set(spread(confirming, queues, exchange, messages).values())) == used


def test_a_random_exchange_reaches_every_queue_and_one_at_a_time(session, confirming):
    exchange = session.exchange(confirming, RANDOM)
    queues = bound(session, confirming, exchange, "any")
    found = spread(confirming, queues, exchange, [("k", None, n) for n in range(200)])
    assert len(found) == 200
    assert len(set(found.values())) == 4


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_binding_a_message_is_unroutable_or_the_alternates(session, confirming, kind):
    lonely = session.exchange(confirming, kind)
    with pytest.raises(UnroutableError):
        confirming.basic_publish(lonely, "k", b"m", mandatory=True)
    alternate, queue = session.exchange(confirming, "fanout"), session.queue(confirming)
    confirming.queue_bind(queue, alternate, "")
    backed = session.exchange(confirming, kind, arguments={"alternate-exchange": alternate})
    confirming.basic_publish(backed, "k", b"m", mandatory=True)
    assert drained(confirming, queue) == ["m"]


@pytest.mark.parametrize("kind", KINDS)
def test_messages_come_through_bound_exchanges_and_as_dead_letters(session, confirming, kind):
    source, exchange = session.exchange(confirming, "direct"), session.exchange(confirming, kind)
    queue = session.queue(confirming)
    confirming.exchange_bind(exchange, source, "k")
    confirming.queue_bind(queue, exchange, "1")
    confirming.basic_publish(source, "k", b"bound", mandatory=True)
    assert drained(confirming, queue) == ["bound"]
    short = session.queue(confirming, arguments={"x-message-ttl": 1, "x-dead-letter-exchange": exchange})
    publish(confirming, short, ["dead"])
    eventually(lambda: ready(confirming, queue) == 1, "the dead letter arrives")
    assert drained(confirming, queue) == ["dead"]


def test_a_new_queue_gets_the_latest_messages(session, confirming):
    exchange = session.exchange(confirming, HISTORY, arguments={"x-recent-history-length": 3})
    for number in range(5):
        confirming.basic_publish(exchange, f"k{number}", str(number).encode())
    queue = session.queue(confirming)
    confirming.queue_bind(queue, exchange, "a")
    eventually(lambda: ready(confirming, queue) == 3, "the history arrives")
    method, _, body = confirming.basic_get(queue, auto_ack=True)
    assert (method.exchange, method.routing_key, method.redelivered, body) == (exchange, "k2", False, b"2")
    assert drained(confirming, queue) == ["3", "4"]
    # The same binding again brings nothing, another one does.
    confirming.queue_bind(queue, exchange, "a")
    confirming.basic_publish(exchange, "k", b"live")
    assert drained(confirming, queue) == ["live"]
    confirming.queue_bind(queue, exchange, "b")
    eventually(lambda: ready(confirming, queue) == 3, "the history arrives again")
    assert drained(confirming, queue) == ["3", "4", "live"]


def test_twenty_messages_are_kept_if_nobody_says_how_many(session, confirming):
    exchange = session.exchange(confirming, HISTORY)
    for number in range(25):
        confirming.basic_publish(exchange, "k", str(number).encode())
    queue = session.queue(confirming)
    confirming.queue_bind(queue, exchange, "")
    eventually(lambda: ready(confirming, queue) == 20, "the history arrives")
    assert drained(confirming, queue) == [str(number) for number in range(5, 25)]


def test_a_message_may_ask_not_to_be_kept(session, confirming):
    exchange = session.exchange(confirming, HISTORY)
    for value in (True, False, "true"):
        headers = {"x-recent-history-no-store": value}
        confirming.basic_publish(exchange, "k", str(value).encode(), BasicProperties(headers=headers))
    queue = session.queue(confirming)
    confirming.queue_bind(queue, exchange, "")
    eventually(lambda: ready(confirming, queue) == 2, "the history arrives")
    assert drained(confirming, queue) == ["False", "true"]


def test_an_exchange_bound_to_a_history_hands_it_on(session, confirming):
    exchange, onward = session.exchange(confirming, HISTORY), session.exchange(confirming, "fanout")
    confirming.basic_publish(exchange, "k", b"kept")
    queue = session.queue(confirming)
    confirming.queue_bind(queue, onward, "")
    confirming.exchange_bind(onward, exchange, "")
    eventually(lambda: ready(confirming, queue) == 1, "the history arrives")
    assert drained(confirming, queue) == ["kept"]


@pytest.mark.parametrize("length, shown", [(0, "0"), (-1, "-1"), ("5", '<<"5">>'), (True, "true")])
def test_a_history_length_is_a_positive_integer(session, channel, length, shown):
    text = f"Invalid argument {shown}, 'x-recent-history-length' must be a positive integer"
    with channel_error(406, f"^PRECONDITION_FAILED - {text}$"):
        session.exchange(channel, HISTORY, arguments={"x-recent-history-length": length})


@pytest.mark.parametrize("kind", KINDS)
def test_an_internal_exchange_takes_no_publish(session, channel, kind):
    exchange = session.exchange(channel, kind, internal=True)
    with channel_error(403, "ACCESS_REFUSED - cannot publish to internal exchange"):
        channel.basic_publish(exchange, "k", b"m")
        sync(channel)
