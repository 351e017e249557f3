"""The two brokers: started here with ports and folders of their own, or running already."""

import json
import os
import signal
import socket
import subprocess
import time

from .amqp import PROTOCOL_HEADER

START_SECS = 120
STOP_SECS = 60

# What users, vhosts, permissions, limits and policies there are from the start.
DEFINITIONS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "definitions.json")

RABBITMQ_BIN = "/usr/lib/rabbitmq/bin"
# Exchange types that come with RabbitMQ's package and have to be switched on.
RABBITMQ_PLUGINS = [
    "rabbitmq_consistent_hash_exchange",
    "rabbitmq_random_exchange",
    "rabbitmq_recent_history_exchange",
    "rabbitmq_sharding",
]


class Running:
    """A broker that somebody else runs: it is not restarted and not stopped."""

    restartable = False

    def __init__(self, name, url):
        self.name = name
        host, _, port = url.rpartition("://")[2].rpartition("/")[0].rpartition("@")[2].rpartition(":")
        if not host or not port.isdigit():
            raise SystemExit(f"{name}: expected amqp://host:port/ and got {url}")
        self.address = (host, int(port))

    def start(self):
        """It is there."""

    def stop(self):
        """It stays."""


class Started:
    """A process of our own. What it says goes to a file `log` in its folder."""

    restartable = True

    def __init__(self, folder):
        self.folder = folder
        self.address = ("127.0.0.1", free_port())
        self._process = None
        os.makedirs(folder)

    def spawn(self, command, environment=None):
        with open(os.path.join(self.folder, "log"), "ab") as log:
            return subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment, cwd=self.folder
            )

    def await_ready(self):
        """Waits until it answers the protocol header."""
        deadline = time.monotonic() + START_SECS
        while not answers(self.address):
            if self._process.poll() is not None:
                raise SystemExit(f"{self.name} ended early; see {self.folder}/log:\n{self.log_end()}")
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.name} was not ready in {START_SECS} s; see {self.folder}/log")
            time.sleep(0.1)

    def log_end(self):
        with open(os.path.join(self.folder, "log"), errors="replace") as log:
            return "".join(log.readlines()[-20:])

    def stop(self):
        """Ends it in order, and by force if that takes too long."""
        end(self._process)
        self._process = None

    def restart(self):
        self.stop()
        self.start()


class Leveret(Started):
    """Leveret, from the given program."""

    name = "leveret"

    def __init__(self, folder, program):
        super().__init__(folder)
        self._program = os.path.abspath(program)

    def start(self):
        port = self.address[1]
        command = [self._program, "serve", "--listen", f"127.0.0.1:{port}", "--metrics-listen", "127.0.0.1:0"]
        self._process = self.spawn([*command, "--definitions", DEFINITIONS, "--data-dir", self._data()])
        self.await_ready()

    def _data(self):
        return os.path.join(self.folder, "data")

    def control(self, *arguments):
        """Runs `leveret ctl` with these arguments."""
        command = [self._program, "ctl", "--data-dir", self._data(), *arguments]
        subprocess.run(command, check=True, capture_output=True, cwd=self.folder)


class RabbitMQ(Started):
    """Debian's rabbitmq-server, with a name, a port mapper and folders of its own."""

    name = "rabbitmq"

    def __init__(self, folder):
        super().__init__(folder)
        self._mapper = None
        self._mapper_port = free_port()
        self._environment = self._write_settings(self.address[1], free_port())

    def _write_settings(self, port, distribution_port):
        def inside(*names):
            return os.path.join(self.folder, *names)

        with open(inside("rabbitmq.conf"), "w") as file:
            file.write(f"listeners.tcp.1 = 127.0.0.1:{port}\nlog.file.level = warning\nlog.console = false\n")
            file.write(f"load_definitions = {DEFINITIONS}\n")
            # Never reached by a script but that of the timeout itself, which waits for a minute.
            file.write("consumer_timeout = 20000\n")
        with open(inside("advanced.config"), "w") as file:
            file.write("[{rabbit, [{channel_tick_interval, 5000}]}].\n")
        with open(inside("enabled_plugins"), "w") as file:
            file.write(f"[{','.join(RABBITMQ_PLUGINS)}].\n")
        open(inside("environment.conf"), "w").close()
        return {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": self.folder,
            "LANG": "C.UTF-8",
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            # With these the start script becomes the server, so that it can be ended by its process id.
            "RABBITMQ_ALLOW_INPUT": "1",
            "RABBITMQ_SERVER_START_ARGS": "-noinput",
            "RABBITMQ_CONF_ENV_FILE": inside("environment.conf"),
            "RABBITMQ_CONFIG_FILE": inside("rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": inside("advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": inside("enabled_plugins"),
            "RABBITMQ_NODENAME": f"differential-{os.getpid()}@localhost",
            "RABBITMQ_DIST_PORT": str(distribution_port),
            "RABBITMQ_MNESIA_BASE": inside("data"),
            "RABBITMQ_LOG_BASE": inside("logs"),
            "RABBITMQ_PID_FILE": inside("pid"),
        }

    def start(self):
        if self._mapper is None:
            self._mapper = self.spawn(["epmd", "-port", str(self._mapper_port)], self._environment)
        self._process = self.spawn([f"{RABBITMQ_BIN}/rabbitmq-server"], self._environment)
        self.await_ready()

    def restart(self):
        end(self._process)
        self.start()

    def environment(self):
        """What rabbitmqctl finds the node by."""
        return dict(self._environment)

    def control(self, *arguments):
        """Runs rabbitmqctl with these arguments."""
        subprocess.run(
            [f"{RABBITMQ_BIN}/rabbitmqctl", *arguments], env=self._environment, check=True, capture_output=True
        )

    def stop(self):
        super().stop()
        end(self._mapper)
        self._mapper = None


def end(process):
    """Ends a process that was started here."""
    if process is None or process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_SECS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port():
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(address):
    """Whether a broker greets there."""
    try:
        with socket.create_connection(address, timeout=2) as probe:
            probe.sendall(PROTOCOL_HEADER)
            return len(probe.recv(1)) == 1
    except OSError:
        return False


def version(broker):
    """Product and version as connection.start has them, for the report."""
    from .session import Session

    connection = Session(broker, "", "").socket()
    properties = dict(connection.start()["server-properties"] or [])
    connection.drop()
    words = [properties[key].value.decode() for key in ("product", "version") if key in properties]
    return " ".join(words) or json.dumps("unknown")
