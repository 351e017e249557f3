// Sends some messages of each kind: node shop.js

import { randomUUID } from 'node:crypto';
import { connect, publish } from './broker.js';
import { declareExchanges, encode, KINDS } from './message.js';

const JSON_TYPE = 'application/json';
const ANSWER_MS = 30_000;

const connection = await connect();
const channel = await connection.createConfirmChannel();
await declareExchanges(channel);

// A command that no queue takes comes back, as it is `mandatory`. An event or a document that nobody wants is in order.
channel.on('return', ({ fields, properties }) => {
  console.error(`${properties.type}: nobody takes commands for '${fields.routingKey}'; has it ever been started?`);
  process.exit(1);
});

/** Sends a message; settles when the broker has it safe. */
function send(kind, { type, key = '', headers = {}, contentType = JSON_TYPE, body, ...properties }) {
  return publish(channel, KINDS[kind].exchange, key, encode(contentType, body), {
    type,
    headers,
    contentType,
    messageId: randomUUID(),
    persistent: true,
    mandatory: kind === 'command',
    ...properties,
  });
}

// A command with an answer: request/reply (../request-reply has this as a module, with time-outs for many at once).
async function ask(key, type, body) {
  const correlationId = randomUUID();
  let timer;
  const answer = new Promise((resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer to ${type}`)), ANSWER_MS);
    waiting.set(correlationId, resolve);
  });
  await send('command', { type, key, body, correlationId, replyTo: 'amq.rabbitmq.reply-to', persistent: false });
  return answer.finally(() => clearTimeout(timer));
}

const waiting = new Map();
await channel.consume(
  'amq.rabbitmq.reply-to',
  ({ properties, content }) => waiting.get(properties.correlationId)?.(JSON.parse(content)),
  { noAck: true },
);

for (const article of ['book', 'lamp']) {
  const { inStock } = await ask('warehouse', 'stock.query', { article });
  console.log(`${article}: ${inStock} in stock`);
}

await send('command', { type: 'order.pack', key: 'warehouse', body: { order: 'A1', article: 'book', country: 'de' } });
await send('command', { type: 'order.burn', key: 'warehouse', body: { order: 'A1' } });

await send('event', { type: 'order.placed', key: 'order.placed.fr', body: { order: 'A2' } });
await send('event', { type: 'page.visited', key: 'page.visited.de', body: { visitor: 'ann' } });
await send('event', { type: 'page.visited', key: 'page.visited.fr', body: { visitor: 'ben' } });

const invoice = { type: 'invoice', body: { order: 'A1', total: '12.50 EUR' } };
await send('document', { ...invoice, headers: { document: 'invoice', country: 'de' } });
await send('document', { ...invoice, headers: { document: 'invoice', country: 'fr' } });
await send('document', {
  type: 'stocktaking',
  headers: { document: 'stocktaking', form: 'table' },
  contentType: 'text/csv',
  body: [['book', 3], ['lamp', 0]],
});

await connection.close();
console.log('all sent');
