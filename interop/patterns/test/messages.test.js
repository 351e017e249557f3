import assert from 'node:assert/strict';
import { test } from 'node:test';
import { application, startBroker } from './processes.js';

/** The lines that tell of messages, in a known order: different bindings of one queue are still one queue. */
const told = (program) => program.lines.filter((line) => !/ready$|^broker|^trying/.test(line));

test('each kind of message finds its receivers, and nobody else', async (t) => {
  const broker = await startBroker(t);
  const run = application(t, 'messages', { AMQP_URL: broker.url });
  const [warehouse, notices, accounts] = ['warehouse.js', 'notices.js', 'accounts.js'].map((program) => run(program));
  for (const receiver of [warehouse, notices, accounts]) await receiver.line(/ready$/);

  const shop = run('shop.js');
  assert.equal(await shop.ended(), 0, shop.lines.join('\n'));
  assert.deepEqual(shop.lines, ['book: 3 in stock', 'lamp: 0 in stock', 'all sent']);
  await warehouse.line(/^refused/);
  await notices.line(/^event page.visited/);
  await notices.line(/^event order.packed/);
  await accounts.line(/^stocktaking/);

  // A second visit comes last in every queue: whatever is not there by then, does not come.
  const again = run('shop.js');
  assert.equal(await again.ended(), 0, again.lines.join('\n'));
  await warehouse.line(/^refused/, 2);
  await notices.line(/^event page.visited/, 2);
  await notices.line(/^event order.packed/, 2);
  await accounts.line(/^stocktaking/, 2);
  const [packed, refused] = told(warehouse);
  assert.equal(packed, 'packed A1: book');
  assert.match(refused, /^refused [\w-]+: type order.burn is not understood$/);
  assert.equal(told(warehouse).length, 4);
  const events = ['event order.placed (order.placed.fr): A2', 'event page.visited (page.visited.de): ann'];
  const packedEvent = 'event order.packed (order.packed.de): A1';
  assert.deepEqual(told(notices).sort(), [packedEvent, packedEvent, events[0], events[0], events[1], events[1]]);
  const documents = ['invoice A1: 12.50 EUR', 'stocktaking: 2 rows, first book 3'];
  assert.deepEqual(told(accounts), [...documents, ...documents]);
});

test('a command for somebody who has never been there comes back', async (t) => {
  const broker = await startBroker(t);
  const shop = application(t, 'messages', { AMQP_URL: broker.url })('shop.js');
  await shop.line(/^stock.query: nobody takes commands for 'warehouse'/);
  assert.equal(await shop.ended(), 1);
});

test('what is sent while receivers and broker are down arrives when they are back', async (t) => {
  const broker = await startBroker(t);
  const run = application(t, 'messages', { AMQP_URL: broker.url });
  const warehouse = run('warehouse.js');
  const others = [run('notices.js'), run('accounts.js')];
  for (const receiver of [warehouse, ...others]) await receiver.line(/ready$/);
  for (const receiver of others) await receiver.kill();
  const shop = run('shop.js');
  assert.equal(await shop.ended(), 0, shop.lines.join('\n'));
  await warehouse.line(/^packed A1/);

  await broker.killAndRestart();
  await warehouse.line(/ready$/, 2);
  const [notices, accounts] = [run('notices.js'), run('accounts.js')];
  await notices.line(/^event order.placed/);
  await notices.line(/^event page.visited/);
  await notices.line(/^event order.packed/);
  await accounts.line(/^invoice A1/);
  await accounts.line(/^stocktaking/);
});
