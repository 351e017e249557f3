import os
import subprocess
import sys
import time

import pytest
from tasks import app


@pytest.fixture(scope="session", autouse=True)
def worker():
    command = ["-A", "tasks", "worker", "--concurrency=2", "--loglevel=info", "--hostname=suites@localhost", "-E"]
    with open(os.path.join(os.environ["RESULTS"], "worker.log"), "ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "celery", *command], stdout=log, stderr=log)
        try:
            deadline = time.monotonic() + 60
            while not app.control.ping(timeout=1):
                assert process.poll() is None, "the worker ended early"
                assert time.monotonic() < deadline, "the worker does not answer"
            yield process
        finally:
            process.terminate()
            process.wait(30)
