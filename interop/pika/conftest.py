import signal

import pytest

from session import Session

PHASE_SECS = 60


@pytest.fixture
def session():
    session = Session()
    yield session
    session.end()


@pytest.fixture
def channel(session):
    return session.channel()


@pytest.fixture
def confirming(session):
    """A channel in confirm mode: its publishes return when they are in the queue."""
    return session.confirm_channel()


def bounded():
    """pika's blocking calls wait for ever; a broker that never answers must fail one test, not hold up the run."""

    def expire(_signal, _frame):
        raise TimeoutError(f"no end after {PHASE_SECS} s")

    signal.signal(signal.SIGALRM, expire)
    signal.alarm(PHASE_SECS)
    try:
        return (yield)
    finally:
        signal.alarm(0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup():
    return (yield from bounded())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call():
    return (yield from bounded())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown():
    return (yield from bounded())
