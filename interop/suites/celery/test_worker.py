"""Celery with a real worker, results over the broker (rpc://): what applications do with it every day."""

import threading
import time

import pytest
from celery import chain, group
from tasks import add, app, echo, fail, succeed_at

ANSWER_SECS = 20


def test_a_result_comes_back():
    assert add.delay(2, 3).get(timeout=ANSWER_SECS) == 5


def test_an_error_comes_back():
    with pytest.raises(ValueError, match="on purpose"):
        fail.delay().get(timeout=ANSWER_SECS)


def test_many_results_come_back_each_to_its_call():
    calls = [add.delay(number, number) for number in range(200)]
    assert [call.get(timeout=ANSWER_SECS) for call in calls] == [2 * number for number in range(200)]


def test_a_large_argument_comes_back_whole():
    text = "x" * 1_000_000
    assert echo.delay(text).get(timeout=ANSWER_SECS) == text


def test_a_task_is_tried_again_until_it_succeeds():
    assert succeed_at.delay(3).get(timeout=ANSWER_SECS) == 3


def test_a_countdown_is_waited_for():
    started = time.monotonic()
    assert add.apply_async((1, 1), countdown=2).get(timeout=ANSWER_SECS) == 2
    assert time.monotonic() - started >= 2


def test_a_task_past_its_time_is_not_run():
    result = add.apply_async((1, 1), countdown=3, expires=1)
    with pytest.raises(Exception, match="expired|revoked"):
        result.get(timeout=ANSWER_SECS)


def test_a_chain_hands_results_on():
    assert chain(add.s(1, 2), add.s(3), add.s(4))().get(timeout=ANSWER_SECS) == 10


def test_a_group_gathers_results():
    assert group(add.s(number, 1) for number in range(10))().get(timeout=ANSWER_SECS) == list(range(1, 11))


def test_a_revoked_task_is_not_run():
    result = add.apply_async((1, 1), countdown=3)
    result.revoke()
    with pytest.raises(Exception, match="revoked"):
        result.get(timeout=ANSWER_SECS)


def test_inspect_asks_the_worker():
    inspect = app.control.inspect(timeout=5)
    assert inspect.ping() == {"suites@localhost": {"ok": "pong"}}
    assert "tasks.add" in inspect.registered()["suites@localhost"]
    assert [queue["name"] for queue in inspect.active_queues()["suites@localhost"]] == ["celery"]
    assert inspect.stats()["suites@localhost"]["pool"]["max-concurrency"] == 2


def test_control_adds_and_cancels_a_queue():
    app.control.add_consumer("suites-other", reply=True)
    assert add.apply_async((4, 4), queue="suites-other").get(timeout=ANSWER_SECS) == 8
    app.control.cancel_consumer("suites-other", reply=True)
    with app.connection_for_write() as connection:
        connection.default_channel.queue_delete("suites-other")


def test_events_tell_a_tasks_life():
    seen, ready, done = [], threading.Event(), threading.Event()

    def receive():
        def on_event(event):
            if event["type"].startswith("task-"):
                seen.append((event["type"], event["uuid"]))
                if event["type"] == "task-succeeded":
                    done.set()

        with app.connection_for_read() as connection:
            receiver = app.events.Receiver(connection, handlers={"*": on_event})
            with receiver.consumer_context():
                ready.set()
                deadline = time.monotonic() + ANSWER_SECS
                while not done.is_set() and time.monotonic() < deadline:
                    try:
                        connection.drain_events(timeout=1)
                    except TimeoutError:
                        pass

    listener = threading.Thread(target=receive)
    listener.start()
    assert ready.wait(ANSWER_SECS)
    time.sleep(0.5)
    result = add.delay(1, 2)
    result.get(timeout=ANSWER_SECS)
    listener.join(ANSWER_SECS)
    types = [kind for kind, task in seen if task == result.id]
    assert types == ["task-received", "task-started", "task-succeeded"]
