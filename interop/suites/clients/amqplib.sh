# amqplib (Node): 0.10.9 by mocha; 1.2.0 by node's runner; 1.2.0's tests over 2.3.1, whose package has none.

# Most of the tests connect to the library's default port, and one to [::1].
amqplib_patch() {
    sed -i "s/5672/$AMQP_PORT/" lib/connect.js
    sed -i "s/\[::1\]/$AMQP_IPV6/" "$1"
}

amqplib_mocha() {
    amqplib_patch test/connect.js
    URL=$AMQP_URL ../node_modules/.bin/mocha --check-leaks -u tdd --exit --timeout 10000 \
        --reporter xunit --reporter-option output="$RESULTS/mocha.xml" test/
}

# Upstream gives each test one second, which is little on a shared machine. Each file counts as a test too.
amqplib_node() {
    amqplib_patch test/connect.test.js
    node --test --test-timeout=30000 --test-reporter=junit --test-reporter-destination="$RESULTS/node.xml"
}
export -f amqplib_patch amqplib_mocha amqplib_node

# One test wants the broker to be called RabbitMQ.
export LEVERET_SERVER_PRODUCT=RabbitMQ

node_with amqplib
npm_source amqplib 0.10.9
npm_source amqplib 1.2.0
npm_source amqplib 2.3.1

fresh_copy amqplib-0.10.9 amqplib/0.10.9
suite amqplib-0.10.9 180 bash -ec amqplib_mocha

fresh_copy amqplib-1.2.0 amqplib/1.2.0
suite amqplib-1.2.0 180 bash -ec amqplib_node

fresh_copy amqplib-2.3.1 amqplib/2.3.1
cp -r "$work/src/amqplib-1.2.0/test" .
suite amqplib-2.3.1 180 bash -ec amqplib_node
