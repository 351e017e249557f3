import pytest
from pika import BasicProperties
from pika.exceptions import ChannelClosedByBroker

from broker_process import BrokerProcess, needs_broker
from session import Session, fetch, publish, ready

pytestmark = needs_broker

PERSISTENT = BasicProperties(delivery_mode=2)


@pytest.fixture
def broker(tmp_path):
    broker = BrokerProcess(tmp_path)
    yield broker
    broker.kill()


def connected(broker):
    return Session(broker.url).confirm_channel()


def test_durable_exchanges_queues_and_bindings_survive_a_kill(broker):
    before = connected(broker)
    before.exchange_declare("front", "topic", durable=True)
    before.exchange_declare("back", "headers", durable=True)
    before.queue_declare("kept", durable=True, arguments={"x-max-length": 1000})
    before.exchange_bind("back", "front", "a.#")
    before.queue_bind("kept", "back", arguments={"x-match": "any", "colour": "red"})

    broker.kill_and_restart()
    after = connected(broker)
    after.queue_declare("kept", durable=True, arguments={"x-max-length": 1000})
    after.basic_publish("front", "a.b", b"bound", BasicProperties(headers={"colour": "red"}))
    assert fetch(after, "kept") == "bound"


def test_unbound_and_deleted_things_stay_so(broker):
    before = connected(broker)
    before.exchange_declare("x", "fanout", durable=True)
    before.exchange_declare("deleted", "fanout", durable=True)
    before.queue_declare("q", durable=True)
    before.queue_bind("q", "x")
    before.queue_unbind("q", "x")
    before.exchange_delete("deleted")

    broker.kill_and_restart()
    after = connected(broker)
    after.basic_publish("x", "", b"m")
    assert ready(after, "q") == 0
    with pytest.raises(ChannelClosedByBroker, match="404"):
        after.exchange_declare("deleted", passive=True)


def test_transient_and_exclusive_queues_do_not_survive(broker):
    before = connected(broker)
    before.queue_declare("transient")
    before.queue_declare("exclusive", durable=True, exclusive=True)

    broker.kill_and_restart()
    connection = Session(broker.url).connect()
    for queue in ("transient", "exclusive"):
        with pytest.raises(ChannelClosedByBroker, match="404"):
            connection.channel().queue_declare(queue, passive=True)


def test_confirmed_persistent_messages_survive_a_kill_in_order(broker):
    before = connected(broker)
    before.queue_declare("q", durable=True)
    properties = BasicProperties(delivery_mode=2, message_id="id", headers={"a": {"b": [1, "two"]}})
    for i in range(200):
        before.basic_publish("", "q", b"%d" % i, properties)
        before.basic_publish("", "q", b"transient")

    broker.kill_and_restart()
    after = connected(broker)
    assert ready(after, "q") == 200
    messages = [after.basic_get("q", auto_ack=True) for _ in range(200)]
    assert [body for _, _, body in messages] == [b"%d" % i for i in range(200)]
    assert messages[0][1] == properties


def test_large_messages_survive_a_kill(broker):
    before = connected(broker)
    before.queue_declare("q", durable=True)
    bodies = [bytes([i]) * 1_000_000 for i in range(5)]
    for body in bodies:
        before.basic_publish("", "q", body, PERSISTENT)

    broker.kill_and_restart()
    after = connected(broker)
    assert [after.basic_get("q", auto_ack=True)[2] for _ in bodies] == bodies


def hold_some(broker):
    """Four messages in `q`, of which 0 and 2 are out and 1 is acknowledged."""
    channel = connected(broker)
    channel.queue_declare("q", durable=True)
    for i in range(4):
        channel.basic_publish("", "q", b"%d" % i, PERSISTENT)
    tags = [channel.basic_get("q")[0].delivery_tag for _ in range(3)]
    channel.basic_ack(tags[1])
    # Marks are written on the broker's own time; the confirm of a later publish shows that it has written.
    channel.basic_publish("", "q", b"4", PERSISTENT)


def redelivery(broker):
    channel = connected(broker)
    messages = [channel.basic_get("q") for _ in range(4)]
    return [(body.decode(), method.redelivered) for method, _, body in messages]


def test_after_a_kill_the_messages_that_were_out_are_back_marked_redelivered(broker):
    hold_some(broker)
    broker.kill_and_restart()
    marks = redelivery(broker)
    assert [body for body, _ in marks] == ["0", "2", "3", "4"]
    # RabbitMQ marks the untouched ones too after a kill, to be on the safe side; so nothing is asked of those here.
    assert marks[:2] == [("0", True), ("2", True)]


def test_after_an_orderly_stop_only_the_messages_that_were_out_are_marked(broker):
    hold_some(broker)
    broker.stop_and_restart()
    assert redelivery(broker) == [("0", True), ("2", True), ("3", False), ("4", False)]


def test_a_committed_transaction_survives_a_kill_an_open_one_does_not(broker):
    before = Session(broker.url).channel()
    before.queue_declare("q", durable=True)
    before.tx_select()
    before.basic_publish("", "q", b"committed", PERSISTENT)
    before.tx_commit()
    before.basic_publish("", "q", b"open", PERSISTENT)

    broker.kill_and_restart()
    after = connected(broker)
    assert [fetch(after, "q"), fetch(after, "q")] == ["committed", None]


def test_a_purge_survives_a_kill(broker):
    before = connected(broker)
    before.queue_declare("q", durable=True)
    for i in range(10):
        before.basic_publish("", "q", b"%d" % i, PERSISTENT)
    before.queue_purge("q")
    before.basic_publish("", "q", b"after", PERSISTENT)

    broker.kill_and_restart()
    after = connected(broker)
    assert [fetch(after, "q"), fetch(after, "q")] == ["after", None]
    publish(after, "q", ["and on"])
    assert fetch(after, "q") == "and on"
