'use strict';
const { test } = require('node:test');
const assert = require('node:assert/strict');
const { Session } = require('../session');
const { expectChannelError } = require('../failures');

/** Publishes one message and tells, for each queue, whether it came. */
async function reached(channel, queues, exchange, key, headers) {
  channel.publish(exchange, key, Buffer.from(key), { headers });
  return Promise.all(queues.map(async (queue) => (await channel.get(queue, { noAck: true })) !== false));
}

test('the default exchange routes by queue name', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const queues = [await session.queue(channel), await session.queue(channel)];
  assert.deepEqual(await reached(channel, queues, '', queues[1]), [false, true]);
});

test('a direct exchange compares the whole key', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const exchange = await session.exchange(channel, 'direct');
  const queues = [await session.queue(channel), await session.queue(channel), await session.queue(channel)];
  await channel.bindQueue(queues[0], exchange, 'red');
  await channel.bindQueue(queues[1], exchange, 'red');
  await channel.bindQueue(queues[2], exchange, 'r*');
  assert.deepEqual(await reached(channel, queues, exchange, 'red'), [true, true, false]);
  assert.deepEqual(await reached(channel, queues, exchange, 'Red'), [false, false, false]);
  assert.deepEqual(await reached(channel, queues, exchange, 'r*'), [false, false, true]);
});

test('a fanout exchange ignores the key', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const exchange = await session.exchange(channel, 'fanout');
  const queues = [await session.queue(channel), await session.queue(channel)];
  await channel.bindQueue(queues[0], exchange, 'a');
  await channel.bindQueue(queues[1], exchange, '');
  assert.deepEqual(await reached(channel, queues, exchange, 'b'), [true, true]);
});

// Pattern, keys that match, keys that do not. A word may be empty; `*` is one word, `#` any number.
const TOPICS = [
  ['a.b', ['a.b'], ['a', 'a.b.c', 'a.', '']],
  ['*', ['a', 'anything'], ['', 'a.b', '.']],
  ['#', ['', 'a', 'a.b.c', '.'], []],
  ['a.*', ['a.b', 'a.'], ['a', 'a.b.c', 'b.a']],
  ['*.*', ['a.b', '.', 'a.', '.a'], ['a', '', 'a.b.c']],
  ['a.#', ['a', 'a.b', 'a.b.c', 'a.'], ['b', 'ab', '', 'b.a']],
  ['#.b', ['b', 'a.b', 'a.c.b'], ['b.a', 'ab', '']],
  ['a.#.b', ['a.b', 'a.x.b', 'a.x.y.b'], ['a', 'b', 'a.b.c']],
  ['#.*', ['a', 'a.b'], ['']],
  ['*.#.*', ['a.b', 'a.b.c'], ['a', '']],
  ['#.#', ['', 'a', 'a.b'], []],
  ['a*', ['a*'], ['ab', 'a']],
  ['a#', ['a#'], ['ab', 'a']],
];
for (const [pattern, matching, others] of TOPICS) {
  test(`topic pattern '${pattern}'`, async (t) => {
    const session = new Session(t);
    const channel = await session.channel();
    const exchange = await session.exchange(channel, 'topic');
    const queue = await session.queue(channel);
    await channel.bindQueue(queue, exchange, pattern);
    for (const key of matching) assert.deepEqual(await reached(channel, [queue], exchange, key), [true], `'${key}'`);
    for (const key of others) assert.deepEqual(await reached(channel, [queue], exchange, key), [false], `'${key}'`);
  });
}

test('a topic exchange serves many patterns at once', async (t) => {
  const session = new Session(t);
  const channel = await session.channel();
  const exchange = await session.exchange(channel, 'topic');
  const patterns = ['stock.*.nyse', 'stock.#', '*.*', '#.nyse', 'stock.ibm.nyse'];
  const queues = await Promise.all(patterns.map(() => session.queue(channel)));
  await Promise.all(patterns.map((pattern, i) => channel.bindQueue(queues[i], exchange, pattern)));
  assert.deepEqual(await reached(channel, queues, exchange, 'stock.ibm.nyse'), [true, true, false, true, true]);
  assert.deepEqual(await reached(channel, queues, exchange, 'stock.ibm'), [false, true, true, false, false]);
  assert.deepEqual(await reached(channel, queues, exchange, 'bond.nyse'), [false, false, true, true, false]);
});

// Binding arguments, headers that match, headers that do not.
const HEADERS = [
  ['all of them by default', { a: '1', b: '2' }, [{ a: '1', b: '2' }, { a: '1', b: '2', c: '3' }], [{ a: '1' }, {}]],
  ['x-match all', { 'x-match': 'all', a: '1', b: '2' }, [{ a: '1', b: '2' }], [{ a: '1', b: 'x' }, {}]],
  ['x-match any', { 'x-match': 'any', a: '1', b: '2' }, [{ a: '1' }, { b: '2', a: 'x' }], [{ a: 'x' }, {}]],
  ['an empty all matches everything', { 'x-match': 'all' }, [{}, { a: 1 }], []],
  ['an empty any matches nothing', { 'x-match': 'any' }, [], [{}, { a: 1 }]],
  ['void asks for presence only', { a: null }, [{ a: 1 }, { a: 'x' }, { a: null }], [{ b: 1 }, {}]],
  ['keys with x- are ignored', { a: '1', 'x-b': '2' }, [{ a: '1' }, { a: '1', 'x-b': 'y' }], [{ 'x-b': '2' }]],
  ['all-with-x counts them', { 'x-match': 'all-with-x', 'x-b': '2' }, [{ 'x-b': '2' }], [{ 'x-b': 'y' }, {}]],
  ['any-with-x counts them', { 'x-match': 'any-with-x', a: '1', 'x-b': '2' }, [{ 'x-b': '2' }, { a: '1' }], [{}]],
  ['numbers are no strings', { a: 1 }, [{ a: 1 }, { a: { '!': 'long', value: 1 } }], [{ a: '1' }, { a: true }]],
  ['booleans', { a: true }, [{ a: true }], [{ a: false }, { a: 1 }, { a: 'true' }]],
  ['tables', { a: { b: 'c' } }, [{ a: { b: 'c' } }], [{ a: { b: 'd' } }, { a: {} }]],
];
for (const [name, args, matching, others] of HEADERS) {
  test(`headers exchange: ${name}`, async (t) => {
    const session = new Session(t);
    const channel = await session.channel();
    const exchange = await session.exchange(channel, 'headers');
    const queue = await session.queue(channel);
    await channel.bindQueue(queue, exchange, '', args);
    for (const headers of matching) {
      assert.deepEqual(await reached(channel, [queue], exchange, 'k', headers), [true], JSON.stringify(headers));
    }
    for (const headers of others) {
      assert.deepEqual(await reached(channel, [queue], exchange, 'k', headers), [false], JSON.stringify(headers));
    }
  });
}

test('an unknown x-match is refused with 406', async (t) => {
  const session = new Session(t);
  const queue = await session.queue(await session.channel());
  for (const bad of ['some', 5]) {
    const channel = await session.channel();
    await expectChannelError(channel, 406, /PRECONDITION_FAILED - Invalid x-match field/, () =>
      channel.bindQueue(queue, 'amq.headers', '', { 'x-match': bad }),
    );
  }
});
