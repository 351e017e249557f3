"""Plays all scripts against RabbitMQ and Leveret and reports what differs. `run.sh` is the way in."""

import argparse
import os
import shutil
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

from differential import brokers, explain, script  # noqa: E402
from differential.compare import compare  # noqa: E402
from differential.session import Session  # noqa: E402

# Scripts wait most of their time, so many more than there are cores run side by side.
JOBS = 16


def arguments():
    parser = argparse.ArgumentParser(prog="interop/differential/run.sh", description=__doc__)
    parser.add_argument("--filter", default="*", metavar="GLOB", help="scripts by name, as in 'queues.*'")
    parser.add_argument("--slow", action="store_true", help="also scripts that take longer than ten seconds")
    parser.add_argument("--list", action="store_true", help="print the scripts and play nothing")
    parser.add_argument("--show", action="store_true", help="print both transcripts of every script")
    parser.add_argument("--rabbitmq", metavar="URL", help="a RabbitMQ that runs: amqp://host:port/")
    parser.add_argument("--leveret", metavar="URL", help="a Leveret that runs: amqp://host:port/")
    parser.add_argument("--leveret-bin", metavar="FILE", help="the program to start")
    parser.add_argument("--jobs", type=int, default=JOBS, help="scripts at a time (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="keep the brokers' folders, with their logs")
    return parser.parse_args()


class Play:
    """One script against one broker: begun, maybe interrupted by a restart, and ended."""

    def __init__(self, chosen, broker, run):
        self.script = chosen
        self.session = Session(broker, chosen.name, run)
        self.transcript = {}
        self.failure = None
        self._steps = None

    def begin(self):
        self._attempt(self._begin)

    def _begin(self):
        result = self.script.play(self.session)
        if self.script.restarts:
            self._steps = result
            next(result)
        else:
            self.transcript = self.session.finish()

    def go_on(self):
        """What stands behind the restart."""
        if not self.failure:
            self._attempt(self._go_on)

    def _go_on(self):
        if next(self._steps, self) is not self:
            raise RuntimeError("a script yields once")
        self.transcript = self.session.finish()

    def _attempt(self, step):
        try:
            step()
        except Exception:
            self.failure = traceback.format_exc()
            # Its connections must not disturb others, nor be closed at leisure.
            try:
                self.session.finish()
            except Exception:
                pass


def play(scripts, pair, jobs):
    """Plays the scripts against both brokers; returns their plays by script, RabbitMQ's first."""
    run = f"{os.getpid()} {time.time()}"
    plays = {each: [Play(each, broker, run) for broker in pair] for each in scripts}
    together = [each for each in scripts if not each.alone and not each.restarts]
    restarting = [each for each in scripts if each.restarts]
    with ThreadPoolExecutor(jobs) as pool:
        list(pool.map(Play.begin, [one for each in together for one in plays[each]]))
        for each in scripts:
            if each.alone:
                list(pool.map(Play.begin, plays[each]))
        if restarting:
            halves = [one for each in restarting for one in plays[each]]
            list(pool.map(Play.begin, halves))
            list(pool.map(lambda broker: broker.restart(), pair))
            list(pool.map(Play.go_on, halves))
    return plays


def report(plays, explanations, show, everything):
    """Prints what is to be known; returns whether all is well."""
    unexplained, explained, pending, failures = 0, set(), set(), 0
    for each, (rabbitmq, leveret) in plays.items():
        for one in (rabbitmq, leveret):
            if one.failure:
                failures += 1
                print(f"\n{each.name} failed against {one.session.broker.name}:\n{one.failure}")
        if show:
            print_transcripts(each, rabbitmq, leveret)
        if rabbitmq.failure or leveret.failure:
            continue
        for difference in compare(each.name, rabbitmq.transcript, leveret.transcript):
            reasons = [explanation for explanation in explanations if explanation.explains(difference)]
            if reasons:
                (pending if reasons[0].pending else explained).add(each.name)
            else:
                unexplained += 1
                print(f"\nunexplained: {difference}")
    untrue = 0
    played = {each.name for each in plays}
    for explanation in explanations:
        for pattern in explanation.missing(played, everything):
            untrue += 1
            print(f"\nno longer so: {pattern}: {explanation.field} ({explanation.reason})")
    print(
        f"\n{len(plays)} scripts: {len(plays) - len(explained | pending)} without an explained difference, "
        f"{len(explained)} with wanted ones, {len(pending)} with pending ones; "
        f"{unexplained} unexplained differences, {untrue} explanations no longer so, {failures} failures"
    )
    return not unexplained and not untrue and not failures


def print_transcripts(each, rabbitmq, leveret):
    print(f"\n== {each.name}: {each.description}")
    for one in (rabbitmq, leveret):
        print(f"-- {one.session.broker.name}")
        for at, events in one.transcript.items():
            for event in events:
                print(f"   {at}  {event}")


def choose(everything, options):
    wanted = explain.glob(options.filter)
    return [each for each in everything if wanted.fullmatch(each.name) and (options.slow or not each.slow)]


def main():
    options = arguments()
    everything = script.load("scripts")
    chosen = choose(everything, options)
    if options.list:
        for each in chosen:
            print(f"{each.name}{' (slow)' if each.slow else ''}: {each.description}")
        return 0
    if not chosen:
        raise SystemExit(f"no script is called {options.filter}")
    explanations = explain.load(os.path.join(HERE, "differences.toml"))
    folder = tempfile.mkdtemp(prefix="differential-")
    pair = [
        brokers.Running("rabbitmq", options.rabbitmq) if options.rabbitmq
        else brokers.RabbitMQ(os.path.join(folder, "rabbitmq")),
        brokers.Running("leveret", options.leveret) if options.leveret
        else brokers.Leveret(os.path.join(folder, "leveret"), options.leveret_bin),
    ]  # fmt: skip
    if not all(broker.restartable for broker in pair):
        # Its definitions are its own, and so are its restarts and its control command.
        foreign = [each for each in chosen if each.restarts or each.defined or each.controls]
        for each in foreign:
            print(f"left out, as one of the brokers is not ours: {each.name}")
        chosen = [each for each in chosen if each not in foreign]
    started = time.monotonic()
    try:
        for broker in pair:
            broker.start()
        print(f"{brokers.version(pair[0])} and {brokers.version(pair[1])}, {len(chosen)} scripts", flush=True)
        well = report(play(chosen, pair, options.jobs), explanations, options.show, [each.name for each in everything])
    finally:
        for broker in pair:
            broker.stop()
        if options.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    print(f"{time.monotonic() - started:.0f} s")
    return 0 if well else 1


if __name__ == "__main__":
    # A run that is ended from outside still ends its brokers.
    import signal

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main())
