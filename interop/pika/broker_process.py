"""A broker of the test's own, on a data folder of its own, to be killed and started again."""

import atexit
import json
import os
import signal
import subprocess
import sys
import time

import pytest

START_SECS = 30

LEVERET_BIN = os.environ.get("LEVERET_BIN")

needs_broker = pytest.mark.skipif(not LEVERET_BIN, reason="LEVERET_BIN names no broker to kill and restart")


class BrokerProcess:
    def __init__(self, folder, options=(), environment=None):
        self._folder = folder
        self._options = list(options)
        self._environment = {**os.environ, **(environment or {})}
        self._process = None
        # A run that is ended from outside skips the fixtures: its brokers must not outlive it.
        atexit.register(self.kill)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        self._start()

    def _start(self):
        addresses = self._folder / "addresses.json"
        addresses.unlink(missing_ok=True)
        command = [LEVERET_BIN, "serve", "--listen", "127.0.0.1:0", "--metrics-listen", "127.0.0.1:0"]
        command += ["--data-dir", self._folder / "data", "--addresses-file", addresses, *self._options]
        with open(self._folder / "log", "ab") as log:
            self._process = subprocess.Popen(
                command, env=self._environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        deadline = time.monotonic() + START_SECS
        while not addresses.exists():
            assert self._process.poll() is None, f"the broker ended early:\n{(self._folder / 'log').read_text()}"
            assert time.monotonic() < deadline, "the broker did not write its addresses file"
            time.sleep(0.02)
        listening = json.loads(addresses.read_text())
        self.url = f"amqp://guest:guest@{listening['amqp'][0]}/%2F"
        self.encrypted = listening.get("amqps", [None])[0]

    def _end(self, how):
        if self._process is None or self._process.poll() is not None:
            return
        self._process.send_signal(how)
        self._process.wait(START_SECS)

    def kill(self):
        """kill -9: no chance to say goodbye or to write anything down."""
        self._end(signal.SIGKILL)

    def kill_and_restart(self):
        self.kill()
        self._start()

    def stop_and_restart(self):
        self._end(signal.SIGTERM)
        self._start()
