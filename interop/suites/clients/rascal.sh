# rascal (Node, over amqplib): all its tests. Later packages than this one's have none.

rascal_tests() {
    mkdir -p node_modules
    cp "$suites/plugins/random_readable.js" node_modules/random-readable.js
    # The port is in the library's defaults, and in the addresses that the tests expect.
    grep -rlw 5672 lib test | xargs sed -i "s/\b5672\b/$AMQP_PORT/g"
    grep -rl 'amqplib.connect(function' test | xargs sed -i "s#amqplib.connect(function#amqplib.connect('$AMQP_URL', function#"
    # The test left out connects to an address on another network.
    ../node_modules/.bin/mocha --check-leaks --recursive --exit --timeout 10000 \
        --grep "should timeout connections" --invert \
        --reporter xunit --reporter-option output="$RESULTS/mocha.xml" test
}
export -f rascal_tests

node_with rascal
npm_source rascal 10.2.6

fresh_copy rascal-10.2.6 rascal/10.2.6
suite rascal-10.2.6 300 bash -ec rascal_tests
