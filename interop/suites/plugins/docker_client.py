"""Stands in for `tests/docker_client.py` of aio-pika and aiormq, which starts RabbitMQ in containers.

The first "container" is the broker that the suite was given. Further ones, which a test stops and starts again, are
processes of LEVERET_BIN on a port and a data folder of their own; without LEVERET_BIN their tests are skipped.
"""

import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

START_SECS = 30


class DockerNotAvailableError(Exception):
    pass


class DockerHostInfo:
    pass


def check_docker_available():
    return DockerHostInfo()


@dataclass
class ContainerInfo:
    id: str
    ports: dict
    host: str


@dataclass
class Broker:
    folder: Path
    listen: str = "127.0.0.1:0"
    process: subprocess.Popen = field(default=None)

    def start(self):
        addresses = self.folder / "addresses.json"
        addresses.unlink(missing_ok=True)
        arguments = ["--data-dir", self.folder / "data", "--addresses-file", addresses, "--metrics-listen", "none"]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [os.environ["LEVERET_BIN"], "serve", "--listen", self.listen, *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        deadline = time.monotonic() + START_SECS
        while not addresses.exists():
            assert self.process.poll() is None, "the broker ended early"
            assert time.monotonic() < deadline, "the broker did not start"
            time.sleep(0.02)
        # It keeps its port from now on.
        self.listen = json.loads(addresses.read_text())["amqp"][0]

    def end(self, signal_number):
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        self.process.wait(START_SECS)

    @property
    def ports(self):
        return {"5672/tcp": int(self.listen.rpartition(":")[2])}


brokers = {}
executed = {}


class DockerClient:
    def __init__(self, docker_host_info=None):
        pass

    def run(self, image, ports, environment=None):
        if "5671/tcp" in ports:
            given = {"5672/tcp": int(os.environ["AMQP_PORT"]), "5671/tcp": 5671}
            return ContainerInfo("given", given, os.environ["AMQP_HOST"])
        if "LEVERET_BIN" not in os.environ:
            pytest.skip("needs a broker that can be stopped")
        broker = Broker(Path(tempfile.mkdtemp()))
        broker.start()
        name = f"broker-{len(brokers)}"
        brokers[name] = broker
        return ContainerInfo(name, broker.ports, "127.0.0.1")

    def start(self, name):
        brokers[name].start()

    def kill(self, name):
        if name in brokers:
            brokers[name].end(signal.SIGKILL)

    def remove(self, name):
        if name in brokers:
            shutil.rmtree(brokers.pop(name).folder)

    def inspect(self, name):
        return {"name": name}

    def _parse_ports(self, info):
        return brokers[info["name"]].ports

    def _request(self, method, path, body=None):
        """The three requests of `rabbitmqctl stop_app` and `start_app` in a container."""
        match path.strip("/").split("/"):
            case ["containers", name, "exec"]:
                executed[name] = body["Cmd"][-1]
                return {"Id": name}
            case ["exec", name, "start"]:
                if executed[name] == "stop_app":
                    brokers[name].end(signal.SIGTERM)
                else:
                    brokers[name].start()
                return {}
            case ["exec", _, "json"]:
                return {"Running": False, "ExitCode": 0}
        raise NotImplementedError(path)
