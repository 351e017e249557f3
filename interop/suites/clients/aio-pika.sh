# aio-pika (Python, asyncio): all its tests but those over TLS. They start RabbitMQ in Docker; plugins/docker_client.py
# stands in for that.

pypi_source aio-pika 10.2.1
python_with aio-pika
export python

aio_pika_tests() {
    PYTHONPATH=. "$python" -m pytest tests --ignore=tests/test_amqps.py -q --timeout 60 --durations=15 --junit-xml="$RESULTS/pytest.xml"
}
export -f aio_pika_tests

# Its tests publish 20 MiB at once, which RabbitMQ takes by default up to 3.13.
export LEVERET_LIMITS_MAX_MESSAGE_SIZE=134217728

fresh_copy aio-pika-10.2.1
cp "$suites/plugins/docker_client.py" tests/docker_client.py
suite aio-pika-10.2.1 1500 bash -ec aio_pika_tests
