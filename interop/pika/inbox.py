"""Deliveries in the order they came, so that a test can wait for the next one, or for silence."""

import time
from collections import namedtuple

TIMEOUT_SECS = 5
# Long enough for a wrong delivery to arrive over loopback, short enough to be paid in many tests.
SILENCE_SECS = 0.15

Message = namedtuple("Message", "method properties body")


class Inbox:
    def __init__(self, channel):
        self._channel = channel
        self._messages = []
        self.received = []
        self.tag = None

    def put(self, _channel, method, properties, body):
        message = Message(method, properties, body)
        self._messages.append(message)
        self.received.append(message)

    def take(self, count):
        deadline = time.monotonic() + TIMEOUT_SECS
        while len(self._messages) < count:
            assert time.monotonic() < deadline, f"{len(self._messages)} of {count} deliveries came"
            self._channel.connection.process_data_events(time_limit=0.1)
        taken, self._messages = self._messages[:count], self._messages[count:]
        return taken

    def next(self):
        return self.take(1)[0]

    def bodies(self, count):
        """The next `count` bodies as strings."""
        return [message.body.decode() for message in self.take(count)]

    def silence(self, seconds=SILENCE_SECS):
        self._channel.connection.sleep(seconds)
        assert [message.body for message in self._messages] == [], "expected no further delivery"
