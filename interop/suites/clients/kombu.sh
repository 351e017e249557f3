# kombu (Python): its integration tests with py-amqp. Its own marks try a failed test again, up to five times.

pypi_source kombu 5.7.0
python_with kombu
export python

kombu_tests() {
    RABBITMQ_HOST=$AMQP_HOST RABBITMQ_5672_TCP=$AMQP_PORT PYTHONPATH=. \
        "$python" -m pytest t/integration/test_py_amqp.py -q -W ignore --junit-xml="$RESULTS/pytest.xml"
}
export -f kombu_tests

fresh_copy kombu-5.7.0
suite kombu-5.7.0 300 bash -ec kombu_tests
