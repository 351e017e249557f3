# AMQPStorm (Python): its functional tests but those of the management API and of TLS. They connect to the library's
# default port.

pypi_source amqpstorm 3.1.4
python_with amqpstorm
export python

amqpstorm_tests() {
    sed -i "s/\b5672\b/$AMQP_PORT/" amqpstorm/connection.py
    cat "$suites/plugins/amqpstorm_clean.py" >>amqpstorm/tests/functional/utility.py
    export AMQP_USERNAME=guest AMQP_PASSWORD=guest AMQP_URI=$AMQP_URL
    PYTHONPATH=. "$python" -m pytest amqpstorm/tests/functional -q -W ignore --junit-xml="$RESULTS/pytest.xml" \
        --ignore=amqpstorm/tests/functional/management --ignore=amqpstorm/tests/functional/ssl \
        --ignore=amqpstorm/tests/functional/test_web_based.py
}
export -f amqpstorm_tests

fresh_copy amqpstorm-3.1.4
suite amqpstorm-3.1.4 300 bash -ec amqpstorm_tests
