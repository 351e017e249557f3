import assert from 'node:assert/strict';
import { test } from 'node:test';
import amqp from 'amqplib';
import { freePort } from '../delivery/local_broker.js';
import { application, eventually, startBroker } from './processes.js';

const LINE = { orders: /^orders on (.*)$/, shipping: /^shipping on (.*)$/ };
const BACK_OFF_MS = '50,100,200';

/** Starts a service and waits until it can be called; `connected` waits until it is on the broker, too. */
async function service(run, name, env = {}) {
  const program = run(`${name}.js`, { env: { PORT: '0', ...env } });
  const [, url] = await program.line(LINE[name]);
  const connected = (times) => program.line(new RegExp(`^${name} connected$`), times);
  return { program, url, connected };
}

async function call(method, url, body) {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json' },
    body: body && JSON.stringify(body),
  });
  return { status: response.status, body: await response.json() };
}

const order = (orders, body = { article: 'lamp', address: 'Berlin' }) => call('POST', `${orders.url}/orders`, body);
const carrier = (shipping, up) => call('PUT', `${shipping.url}/carrier`, { up });

async function becomes(orders, { order }, status) {
  await eventually(
    async () => (await call('GET', `${orders.url}/orders/${order}`)).body.status === status,
    `the order is ${status}`,
  );
}

/** Both services on a broker of their own. */
async function shop(t, env = {}) {
  const broker = await startBroker(t);
  const run = application(t, 'microservices', { AMQP_URL: broker.url, BACK_OFF_MS, ...env });
  const orders = await service(run, 'orders');
  await orders.connected();
  return { broker, run, orders };
}

async function deadLetters(run, ...args) {
  const program = run('dead_letters.js', { args });
  assert.equal(await program.ended(), 0, program.lines.join('\n'));
  return program.lines;
}

test('direct calls: the caller is down when the other is', async (t) => {
  const port = String(await freePort());
  const run = application(t, 'microservices', { INTEGRATION: 'direct', SHIPPING_URL: `http://127.0.0.1:${port}` });
  const orders = await service(run, 'orders');
  assert.equal((await order(orders)).status, 503);
  const shipping = await service(run, 'shipping', { PORT: port });
  const done = await order(orders);
  assert.deepEqual([done.status, done.body.status], [202, 'shipped']);
  await carrier(shipping, false);
  assert.equal((await order(orders)).status, 503);
  await shipping.program.kill();
  assert.equal((await order(orders)).status, 503);
});

test('through the broker: orders are taken while shipping is down, over a crash of the broker too, and done when it is back', async (t) => {
  const { broker, run, orders } = await shop(t);
  const before = await Promise.all([order(orders), order(orders), order(orders)]);
  for (const { status, body } of before) assert.deepEqual([status, body.status], [202, 'accepted']);

  await broker.killAndRestart();
  await orders.connected(2);
  const shipping = await service(run, 'shipping');
  for (const { body } of before) await becomes(orders, body, 'shipped');

  await shipping.program.kill();
  const meanwhile = await order(orders);
  assert.equal(meanwhile.status, 202);
  // Orders is away when the answer comes: its queue keeps that.
  await orders.program.kill();
  const next = await service(run, 'shipping');
  await next.program.line(new RegExp(`^shipped ${meanwhile.body.order}$`));
  await becomes(await service(run, 'orders'), meanwhile.body, 'shipped');
});

test('what fails is tried again with back-off, and put aside at last; from there it can be sent again', async (t) => {
  const { run, orders } = await shop(t);
  const shipping = await service(run, 'shipping');
  await carrier(shipping, false);
  const { body } = await order(orders);
  await becomes(orders, body, 'failed');
  const attempts = shipping.program.lines.filter((line) => line.startsWith('attempt'));
  assert.deepEqual(attempts, [
    'attempt 1 failed, again in 50 ms: the carrier does not answer',
    'attempt 2 failed, again in 100 ms: the carrier does not answer',
    'attempt 3 failed, again in 200 ms: the carrier does not answer',
    'attempt 4 failed for good: the carrier does not answer',
  ]);
  await carrier(shipping, true);
  await eventually(async () => (await deadLetters(run)).at(-1) === '1 dead letters', 'the dead letter is there');
  assert.deepEqual(await deadLetters(run, 'again'), [
    `rejected: {"order":"${body.order}","article":"lamp","address":"Berlin"}`,
    '1 dead letters sent again',
  ]);
  await becomes(orders, body, 'shipped');
  assert.deepEqual(await deadLetters(run), ['0 dead letters']);
});

test('an attempt that succeeds ends the trying', async (t) => {
  const backOff = Array(200).fill(200).join();
  const { run, orders } = await shop(t, { BACK_OFF_MS: backOff });
  const shipping = await service(run, 'shipping');
  await carrier(shipping, false);
  const { body } = await order(orders);
  await shipping.program.line(/^attempt 2 failed, again in 200 ms/);
  await carrier(shipping, true);
  await becomes(orders, body, 'shipped');
  assert.deepEqual(await deadLetters(run), ['0 dead letters']);
});

test('what waits to be tried again holds nothing up', async (t) => {
  const { run, orders } = await shop(t, { BACK_OFF_MS: '3600000' });
  const shipping = await service(run, 'shipping');
  await carrier(shipping, false);
  const { body } = await order(orders);
  await shipping.program.line(/^attempt 1 failed/);
  await carrier(shipping, true);
  await becomes(orders, (await order(orders)).body, 'shipped');
  await becomes(orders, body, 'accepted');
});

test('poison: what cannot be read, cannot be done or kills the service goes to the dead letters', async (t) => {
  const { broker, run, orders } = await shop(t);
  const connection = await amqp.connect(broker.url);
  connection.on('error', () => {}); // it ends with the broker, should the test fail before its end
  const channel = await connection.createConfirmChannel();
  channel.sendToQueue('shipping.commands', Buffer.from('{"order":'), { persistent: true });
  await channel.waitForConfirms();
  const homeless = await order(orders, { article: 'lamp' });
  const deadly = await order(orders, { article: 'bomb', address: 'Berlin' });
  const good = await order(orders);

  // A supervisor starts the service again whenever it dies.
  let ends = 0;
  let over = false;
  t.after(() => {
    over = true;
  });
  const supervisor = (async () => {
    while (!over) {
      const { program } = await service(run, 'shipping', { CRASH_ON: 'bomb' });
      const code = await Promise.race([program.ended(), eventually(() => over, 'all is told').then(() => null)]);
      if (code !== null) ends++;
    }
  })();
  await becomes(orders, homeless.body, 'failed');
  await becomes(orders, good.body, 'shipped');
  await eventually(async () => (await channel.checkQueue('shipping.dead')).messageCount === 3, 'three dead letters');
  over = true;
  await supervisor;
  assert.ok(ends > 3, `the service died of it ${ends} times`);
  const reasons = (await deadLetters(run)).map((line) => line.replace(/"order":"[^"]+"/, '"order":"…"')).sort();
  assert.deepEqual(reasons, [
    '3 dead letters',
    'delivery_limit: {"order":"…","article":"bomb","address":"Berlin"}',
    'rejected: {"order":',
    'rejected: {"order":"…","article":"lamp"}',
  ]);
  // Still waiting for its end: nobody has told of it, as nobody lived to.
  await becomes(orders, deadly.body, 'accepted');
  await connection.close();
});
