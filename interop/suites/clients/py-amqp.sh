# py-amqp (Python): its integration tests over plain TCP.

pypi_source amqp 5.4.2
python_with kombu
export python

py_amqp_tests() {
    RABBITMQ_HOST=$AMQP_HOST RABBITMQ_5672_TCP=$AMQP_PORT PYTHONPATH=. \
        "$python" -m pytest t/integration/test_rmq.py -k 'not tls' -q -W ignore --junit-xml="$RESULTS/pytest.xml"
}
export -f py_amqp_tests

fresh_copy amqp-5.4.2
suite py-amqp-5.4.2 120 bash -ec py_amqp_tests
