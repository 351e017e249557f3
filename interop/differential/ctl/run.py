"""Gives the same command lines to rabbitmqctl and to `leveret ctl` and compares exit code, standard output and
standard error. `run.sh` is the way in."""

import argparse
import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

from differential import brokers  # noqa: E402
from differential.session import Session  # noqa: E402

PATIENCE_SECS = 60

# What is another at every run, and what stands for it in the comparison.
NORMAL = [
    (re.compile(r"<[^<>\s]+@[^<>\s]+\.\d+\.\d+\.\d+>"), "PID"),
    (re.compile(r"(differential-\d+|leveret)@localhost"), "NODE"),
    (re.compile(r"(?<=127\.0\.0\.1\t)\d+"), "PORT"),
    (re.compile(r"\n\d\d:\d\d:\d\d\.\d{3} \[warning\][^\n]*\n"), ""),
]


def arguments():
    parser = argparse.ArgumentParser(prog="interop/differential/ctl/run.sh", description=__doc__)
    parser.add_argument("--leveret-bin", metavar="FILE", required=True)
    parser.add_argument("--show", action="store_true", help="print what both have said to every line")
    parser.add_argument("--keep", action="store_true", help="keep the brokers' folders")
    return parser.parse_args()


def lines():
    with open(os.path.join(HERE, "commands.txt")) as file:
        stripped = (line.strip() for line in file)
        return [line for line in stripped if line and not line.startswith("#")]


class Explanations:
    """differences.toml: which differences are known, and why they are."""

    def __init__(self):
        with open(os.path.join(HERE, "differences.toml"), "rb") as file:
            self.all = tomllib.load(file)["difference"]
        self.used = set()

    def explain(self, line):
        for index, known in enumerate(self.all):
            if any(fnmatch.fnmatchcase(line, glob) for glob in known["commands"]):
                self.used.add(index)
                return known["reason"]
        return None

    def unused(self):
        return [known for index, known in enumerate(self.all) if index not in self.used]


def ask(command, environment, words):
    done = subprocess.run(
        [command, *words], env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_SECS
    )
    told = [normal(text.decode(errors="replace"), words) for text in (done.stdout, done.stderr)]
    return {"code": done.returncode, "output": told[0], "errors": told[1]}


def normal(text, words):
    """Without what differs by chance; lists in one order."""
    for pattern, name in NORMAL:
        text = pattern.sub(name, text)
    if words and words[0].startswith("list_"):
        # A row of JSON may begin with the comma before it, and ends the list or not.
        rows = [in_order(row.removeprefix(",")) for row in text.split("\n")]
        # Rows of Erlang's, whichever of them begins and ends the list.
        rows = [row.strip(" [],") if "[{" in row and "\t" not in row else row for row in rows]
        text = "\n".join(sorted(rows))
    return text


def in_order(row):
    """A row of JSON with its field tables in one order; their names are known there."""
    try:
        return json.dumps(json.loads(row), sort_keys=True)
    except ValueError:
        return row


def begin(broker, control):
    """What the commands are about."""
    control("import_definitions", os.path.join(HERE, "definitions.json"))
    deadline = time.monotonic() + PATIENCE_SECS
    # RabbitMQ imports in the background.
    while b"kk" not in control("list_bindings", "-q").stdout:
        if time.monotonic() > deadline:
            raise SystemExit(f"{broker.name} did not import the definitions")
        time.sleep(0.1)
    session = Session(broker, "ctl", "0")
    channel = session.channel()
    channel.call("queue.declare", queue="own", exclusive=True)
    channel.call("basic.qos", prefetch_count=2)
    channel.fill("busy", b"1", b"2", b"3")
    channel.fill("full", b"4")
    channel.call("basic.consume", queue="busy", consumer_tag="tag")
    channel.wait(2)
    return session


def main():
    options = arguments()
    folder = tempfile.mkdtemp(prefix="ctl.")
    rabbitmq = brokers.RabbitMQ(os.path.join(folder, "rabbitmq"))
    with open(os.path.join(rabbitmq.folder, "rabbitmq.conf"), "a") as file:
        # The deliveries of the client stay unacknowledged for longer than scripts of frames take.
        file.write("consumer_timeout = 1800000\n")
    leveret = brokers.Leveret(os.path.join(folder, "leveret"), options.leveret_bin)
    name = os.path.join(folder, "rabbitmqctl")
    os.symlink(os.path.abspath(options.leveret_bin), name)
    of_leveret = {"LEVERET_DATA_DIR": os.path.join(leveret.folder, "data"), "PATH": os.environ["PATH"]}
    sides = [
        (rabbitmq, f"{brokers.RABBITMQ_BIN}/rabbitmqctl", rabbitmq.environment()),
        (leveret, name, of_leveret),
    ]
    known, wrong, sessions = Explanations(), 0, []
    try:
        for broker, command, environment in sides:
            broker.start()

            def control(*words, command=command, environment=environment):
                return subprocess.run([command, *words], env=environment, check=True, capture_output=True)

            sessions.append(begin(broker, control))
        asked = lines()
        for line in asked:
            words = shlex.split(line)
            theirs, ours = (ask(command, environment, words) for _, command, environment in sides)
            if options.show:
                print(f"--- {line}\n{theirs}\n{ours}")
            if theirs == ours:
                continue
            reason = known.explain(line)
            if reason is None:
                wrong += 1
                print(f"DIFFERS: {line}")
                for part in ("code", "output", "errors"):
                    if theirs[part] != ours[part]:
                        print(f"    {part}\n        rabbitmq {theirs[part]!r}\n        leveret  {ours[part]!r}")
        for explanation in known.unused():
            wrong += 1
            print(f"NO DIFFERENCE ANY MORE: {explanation['commands']}: {explanation['reason']}")
        print(f"{len(asked)} commands, {len(known.used)} explained differences, {wrong} wrong")
    finally:
        for broker, _, _ in sides:
            broker.stop()
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
