# kombu (Python): its integration tests with py-amqp. Its marks would have a failed test tried again; here none is.

pypi_source kombu 5.7.0
python_with kombu
export python

kombu_tests() {
    # One test leaves its messages behind, and fails if it finds them.
    "$python" -c 'import kombu, os
with kombu.Connection(os.environ["AMQP_URL"]) as connection:
    connection.default_channel.queue_delete("priority_requeue_test")'
    RABBITMQ_HOST=$AMQP_HOST RABBITMQ_5672_TCP=$AMQP_PORT PYTHONPATH=. \
        "$python" -m pytest t/integration/test_py_amqp.py -q -W ignore --junit-xml="$RESULTS/pytest.xml"
}
export -f kombu_tests

fresh_copy kombu-5.7.0
suite kombu-5.7.0 180 bash -ec kombu_tests
