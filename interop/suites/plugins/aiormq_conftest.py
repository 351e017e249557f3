"""What the `conftest.py` at the root of aiormq's repository has, which is not in its package."""

import pytest
from yarl import URL

from tests.docker_client import DockerClient


@pytest.fixture(scope="session")
def rabbitmq_container():
    return DockerClient().run("given", ["5672/tcp", "5671/tcp"])


@pytest.fixture(scope="session")
def amqp_direct_url(rabbitmq_container):
    port = rabbitmq_container.ports["5672/tcp"]
    return URL(f"amqp://guest:guest@{rabbitmq_container.host}:{port}//")
