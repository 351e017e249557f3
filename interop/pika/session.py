"""One test's dealings with the broker: the connections it opened and the names it must not leave behind."""

import os
import time
import uuid

import pika

from inbox import Inbox

AMQP_URL = os.environ.get("AMQP_URL", "amqp://guest:guest@127.0.0.1:5672/%2F")


def parameters(url=AMQP_URL, **changes):
    """The broker's address, with attributes of pika.URLParameters changed."""
    result = pika.URLParameters(url)
    for name, value in changes.items():
        setattr(result, name, value)
    return result


class Session:
    def __init__(self, url=AMQP_URL):
        self._url = url
        self._connections = []
        self._queues = []
        self._exchanges = []

    def connect(self, **changes):
        """A further connection of its own."""
        connection = pika.BlockingConnection(parameters(self._url, **changes))
        self._connections.append(connection)
        return connection

    def channel(self, connection=None):
        if connection is None:
            connection = self._connections[0] if self._connections else self.connect()
        return connection.channel()

    def confirm_channel(self, connection=None):
        channel = self.channel(connection)
        channel.confirm_delivery()
        return channel

    def queue_name(self, label="q"):
        """A fresh queue name, deleted after the test if a queue of that name exists."""
        self._queues.append(f"interop.pika.{label}.{uuid.uuid4()}")
        return self._queues[-1]

    def exchange_name(self, label="x"):
        """A fresh exchange name, deleted after the test if an exchange of that name exists."""
        self._exchanges.append(f"interop.pika.{label}.{uuid.uuid4()}")
        return self._exchanges[-1]

    def queue(self, channel, **options):
        """Declares a fresh queue, transient unless the test says otherwise."""
        return channel.queue_declare(self.queue_name(), **options).method.queue

    def exchange(self, channel, exchange_type, **options):
        name = self.exchange_name(exchange_type)
        channel.exchange_declare(name, exchange_type, **options)
        return name

    def consume(self, channel, queue, **options):
        """Starts a consumer whose deliveries land in an Inbox."""
        inbox = Inbox(channel)
        inbox.tag = channel.basic_consume(queue, inbox.put, **options)
        return inbox

    def end(self):
        for connection in self._connections:
            if connection.is_open:
                connection.close()
        if self._queues or self._exchanges:
            self._delete_names()

    def _delete_names(self):
        # A connection of its own: the test's may have ended in the error that it was about.
        try:
            connection = pika.BlockingConnection(parameters(self._url))
        except pika.exceptions.AMQPConnectionError:
            return  # the broker of a durability test is gone already
        channel = connection.channel()
        for queue in self._queues:
            channel.queue_delete(queue)
        for exchange in self._exchanges:
            channel.exchange_delete(exchange)
        connection.close()


def publish(channel, queue, bodies):
    for body in bodies:
        channel.basic_publish("", queue, str(body).encode())


def fetch(channel, queue):
    """The body of the next message, taken for good, or None."""
    _, _, body = channel.basic_get(queue, auto_ack=True)
    return None if body is None else body.decode()


def ready(channel, queue):
    """How many messages wait in the queue. Only sure about what was confirmed: RabbitMQ answers a declare ahead of
    publishes that are still on their way to the queue."""
    return channel.queue_declare(queue, passive=True).method.message_count


def sync(channel):
    """One round trip: an error that an earlier command without answer caused is raised here."""
    channel.exchange_declare("amq.direct", passive=True)


def eventually(holds, what, timeout_secs=5):
    """Polls until `holds` says true: for what the broker does on its own time."""
    deadline = time.monotonic() + timeout_secs
    while not holds():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)
