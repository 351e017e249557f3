# aiormq (Python, asyncio): all its tests but those over TLS. They start RabbitMQ in Docker; plugins/docker_client.py
# stands in for that.

pypi_source aiormq 7.2.4
python_with aio-pika
export python

aiormq_tests() {
    sed -i "s#amqp://guest:guest@localhost/#amqp://guest:guest@localhost:$AMQP_PORT/#" tests/test_channel_number.py
    PYTHONPATH=. "$python" -m pytest tests -k 'not amqps and not ssl' -q --junit-xml="$RESULTS/pytest.xml"
}
export -f aiormq_tests

# Its tests publish 20 MiB at once, which RabbitMQ takes by default up to 3.13.
export LEVERET_LIMITS_MAX_MESSAGE_SIZE=134217728

fresh_copy aiormq-7.2.4
cp "$suites/plugins/docker_client.py" tests/docker_client.py
cp "$suites/plugins/aiormq_conftest.py" conftest.py
suite aiormq-7.2.4 900 bash -ec aiormq_tests
