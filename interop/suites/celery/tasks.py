"""The tasks of the worker that conftest.py starts."""

import os

from celery import Celery

app = Celery("suites", broker=os.environ["AMQP_URL"], backend=os.environ["RESULT_BACKEND"])
app.conf.update(
    broker_connection_retry_on_startup=True,
    # An acknowledgement after the task, and one task at a time: the broker's prefetch at work.
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_send_task_events=True,
)


@app.task
def add(x, y):
    return x + y


@app.task
def total(numbers):
    return sum(numbers)


@app.task(bind=True, max_retries=5)
def succeed_at(self, attempt):
    if self.request.retries < attempt:
        raise self.retry(countdown=0.2)
    return self.request.retries


@app.task
def fail():
    raise ValueError("on purpose")


@app.task
def echo(value):
    return value
