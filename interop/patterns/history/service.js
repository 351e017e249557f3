// The history of the chat: a durable subscriber that keeps every message and serves the last ones over HTTP.

import { createServer } from 'node:http';
import { connect } from './broker.js';
import { Intake } from './intake.js';
import { MessageStore } from './store.js';

const port = Number(process.env.PORT ?? 3010);
const folder = process.env.HISTORY_FOLDER ?? 'history-data';
const LAST_DEFAULT = 50;
const LAST_MAX = 10_000;
// How many messages may be on their way to the disk.
const PREFETCH = 500;

const store = await MessageStore.open(folder);

const connection = await connect(async (model) => {
  const channel = await model.createChannel();
  await channel.assertExchange('chat', 'topic');
  // Durable, and not exclusive: the queue goes on collecting while this service is away.
  await channel.assertQueue('history', { durable: true });
  await channel.bindQueue('history', 'chat', '#');
  await channel.prefetch(PREFETCH);
  const intake = new Intake(channel, store);
  await channel.consume('history', (delivery) => intake.take(delivery));
});
connection.on('connect', () => console.log('recording'));

const http = createServer(async (request, response) => {
  const { pathname, searchParams } = new URL(request.url, 'http://localhost');
  const count = Number(searchParams.get('last') ?? LAST_DEFAULT);
  if (pathname !== '/messages' || !Number.isInteger(count) || count < 1) return response.writeHead(404).end();
  const messages = await store.last(Math.min(count, LAST_MAX));
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(messages));
});
http.listen(port, '127.0.0.1', () => console.log(`history on http://127.0.0.1:${http.address().port}/messages`));
